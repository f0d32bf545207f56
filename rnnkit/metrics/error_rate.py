"""How much of a sequence has to be changed: the error rates of words, of phonemes, of characters."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np


def error_rate(predicted: Iterable[Sequence[Any]], references: Iterable[Sequence[Any]]) -> float:
    """Computes how many changes make the predictions right, per token of the references.

    A change inserts, deletes or substitutes one token, and the smallest number of them counts (Levenshtein distance).
    Changes and tokens are summed over all sequences before the division: a long sequence weighs more than a short one.
    For lists of phonemes this is the phoneme error rate, for lists of words the word error rate, for strings the
    character error rate.

    Args:
        predicted: list of sequences: lists of tokens, or strings, whose tokens are their characters.
        references: list of the right sequences, one for each prediction. Where several are right,
            `closest_references` chooses.

    Returns:
        A float, 0 if all is right. It is above 1 if there are more changes than tokens in the references.

    Raises:
        ValueError: the lists are not equally long, a string is paired with a list of tokens, or the references have no
            token.

    Example:

    >>> error_rate(["kitten", "hello"], ["sitting", "hello"])  # 3 changes for 12 characters
    0.25
    >>> error_rate([["K", "AE", "T"]], [["K", "AH", "T", "S"]])
    0.5

    References:
        Wagner and Fischer, "The string-to-string correction problem", 1974.
    """
    pairs = _pairs("error_rate", predicted, references)
    length = sum(len(reference) for _, reference in pairs)
    if length == 0:
        raise ValueError("error_rate expected references with at least one token, received none.")
    return sum(_distance(*pair) for pair in pairs) / length


def sequence_error_rate(predicted: Iterable[Sequence[Any]], references: Iterable[Sequence[Any]]) -> float:
    """Computes the share of sequences with any error.

    For pronunciations this is the word error rate that papers report: a word counts as wrong if one phoneme is.

    Args:
        predicted: list of sequences: lists of tokens, or strings.
        references: list of the right sequences, one for each prediction. Where several are right,
            `closest_references` chooses.

    Returns:
        A float from 0 (all right) to 1.

    Raises:
        ValueError: the lists are not equally long or empty, or a string is paired with a list of tokens.

    Example:

    >>> sequence_error_rate(["kitten", "hello"], ["sitting", "hello"])
    0.5
    """
    pairs = _pairs("sequence_error_rate", predicted, references)
    if not pairs:
        raise ValueError("sequence_error_rate expected at least one sequence, received none.")
    return sum(left != right for left, right in pairs) / len(pairs)


def closest_references(
    predicted: Iterable[Sequence[Any]], alternatives: Iterable[Sequence[Sequence[Any]]]
) -> list[Sequence[Any]]:
    """Chooses the reference that needs the fewest changes, where several are right.

    Args:
        predicted: list of sequences: lists of tokens, or strings.
        alternatives: for each of them the list of all sequences that are right, such as the pronunciations of a word.

    Returns:
        List of as many sequences, the references for `error_rate` and `sequence_error_rate`. Of equally
        close ones, the first.

    Raises:
        ValueError: the lists are not equally long, a prediction has no alternative, or a string is paired with a
            list of tokens.

    Example:

    >>> closest_references(["grey", "colour"], [["gray", "grey"], ["color"]])
    ['grey', 'color']
    """
    predicted, alternatives = list(predicted), list(alternatives)
    _check_lengths("closest_references", predicted, alternatives)
    closest = []
    for index, (sequence, candidates) in enumerate(zip(predicted, alternatives, strict=True)):
        if isinstance(candidates, str) or not len(candidates):
            raise ValueError(
                f"closest_references expected a list of at least one sequence at index {index} of alternatives, "
                f"received {candidates!r}."
            )
        pairs = _pairs("closest_references", [sequence] * len(candidates), candidates)
        distances = [_distance(*pair) for pair in pairs]
        closest.append(candidates[distances.index(min(distances))])
    return closest


def _distance(left, right):
    """Levenshtein distance, one row of the table after the other."""
    row = list(range(len(right) + 1))
    for i, token in enumerate(left, 1):
        before, row = row, [i]
        for j, other in enumerate(right, 1):
            row.append(min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (token != other)))
    return row[-1]


def _pairs(name, predicted, references):
    """Each prediction with its reference, as tuples of tokens that can be compared."""
    predicted, references = list(predicted), list(references)
    _check_lengths(name, predicted, references)
    for index, pair in enumerate(zip(predicted, references, strict=True)):
        if isinstance(pair[0], str) != isinstance(pair[1], str) or not all(map(_is_sequence, pair)):
            raise ValueError(
                f"{name} expected two strings or two lists of tokens at index {index}, received {pair[0]!r:.60} and "
                f"{pair[1]!r:.60}. Split both into tokens, or neither: text.split()."
            )
    return [(tuple(left), tuple(right)) for left, right in zip(predicted, references, strict=True)]


def _is_sequence(value):
    return isinstance(value, str | list | tuple) or isinstance(value, np.ndarray) and value.ndim == 1


def _check_lengths(name, predicted, others):
    if len(predicted) != len(others):
        raise ValueError(
            f"{name} expected as many references as predictions, received {len(others)} for {len(predicted)}."
        )
