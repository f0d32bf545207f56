"""The words that attention links, and how far they are from the true word alignment."""

from collections.abc import Iterable, Sequence
from operator import index

import numpy as np
from keras import ops

from rnnkit.annotations import Mask, Tensor


def alignment_error_rate(
    predicted: Iterable[Iterable[Sequence[int]]],
    sure: Iterable[Iterable[Sequence[int]]],
    possible: Iterable[Iterable[Sequence[int]]] | None = None,
) -> float:
    r"""Computes the share of links that are wrong or missing, over a whole corpus.

    A is the set of predicted links, S that of the sure ones, and P that of the possible ones, which include the sure
    ones:

    $$\mathrm{AER} = 1 - \frac{|A \cap S| + |A \cap P|}{|A| + |S|}$$

    A predicted link that is not possible is an error, and so is a sure link that was not predicted; a possible link may
    be predicted or not. Without possible links this is 1 - F1. The links of all sentences are counted before the
    division: a long sentence weighs more than a short one.

    Args:
        predicted: A, for each sentence a set of links `(source, target)`, the positions of two words, as
            `extract_alignment` returns them.
        sure: S, for each sentence a set of links that have to be there.
        possible: P, for each sentence a set of links that may be there. Sure links are possible, repeated here or not.
            Defaults to `None`, only the sure ones.

    Returns:
        A float from 0 (all right) to 1.

    Raises:
        ValueError: the lists are not equally long, a link is not a pair of integers, or there is neither a predicted
            nor a sure link.

    Example:

    >>> print(f"{alignment_error_rate([{(0, 0), (1, 1), (2, 1)}], sure=[{(0, 0), (1, 2)}]):.2f}")
    0.60
    >>> print(f"{alignment_error_rate([{(0, 0), (2, 1)}], sure=[{(0, 0)}], possible=[{(2, 1)}]):.2f}")
    0.00

    References:
        Och and Ney, "A systematic comparison of various statistical alignment models", 2003.
    """
    predicted, sure = _links("predicted", predicted), _links("sure", sure)
    possible = sure if possible is None else _links("possible", possible)
    if not len(predicted) == len(sure) == len(possible):
        raise ValueError(
            "alignment_error_rate expected as many sets of links in each list, one for each sentence, received "
            f"{len(predicted)} predicted, {len(sure)} sure and {len(possible)} possible."
        )
    right, links = 0, 0
    for a, s, p in zip(predicted, sure, possible, strict=True):
        right += len(a & s) + len(a & (p | s))
        links += len(a) + len(s)
    if links == 0:
        raise ValueError("alignment_error_rate expected at least one predicted or sure link, received none.")
    return 1 - right / links


def extract_alignment(
    weights: Tensor, query_mask: Mask = None, value_mask: Mask = None, threshold: float | None = None
) -> list[set[tuple[int, int]]]:
    """Links each target word to the source word with its largest attention weight.

    Positions count from 0 at the first column of the weights. Mask everything that is not a word: padding, start and
    end tokens. A target word without any weight on an unmasked word has no link.

    Args:
        weights: attention weights, array or tensor `(batch, target_time, source_time)`.
        query_mask: booleans `(batch, target_time)`, True at target words. Defaults to `None`: all are words.
        value_mask: booleans `(batch, source_time)`, True at source words. Defaults to `None`: all are words.
        threshold: a number above 0. A target word is then linked to every source word with at least this weight: to
            none, one or several. Defaults to `None`: it is linked to the one with the largest weight, the first of
            equal ones.

    Returns:
        For each sentence a set of links `(source, target)`.

    Raises:
        ValueError: weights or masks have other shapes than these, a weight is negative or NaN, or `threshold` is not
            above 0.

    Example:

    >>> weights = [[[0.7, 0.3, 0.0], [0.1, 0.4, 0.5]]]
    >>> [sorted(links) for links in extract_alignment(weights)]
    [[(0, 0), (2, 1)]]
    >>> [sorted(links) for links in extract_alignment(weights, threshold=0.3)]
    [[(0, 0), (1, 0), (1, 1), (2, 1)]]
    >>> [sorted(links) for links in extract_alignment(weights, value_mask=[[True, True, False]])]
    [[(0, 0), (1, 1)]]
    """
    weights = ops.convert_to_numpy(ops.cast(ops.convert_to_tensor(weights), "float32"))
    if weights.ndim != 3:
        raise ValueError(
            "extract_alignment expected weights of shape (batch, target_time, source_time), received shape "
            f"{weights.shape}. Put a single sentence into a batch of one: weights[None]."
        )
    if threshold is not None and not threshold > 0:
        raise ValueError(f"extract_alignment expected threshold to be a number above 0, received {threshold!r}.")
    batch, target_time, source_time = weights.shape
    rows = _mask("query_mask", query_mask, (batch, target_time))[:, :, None]
    columns = _mask("value_mask", value_mask, (batch, source_time))[:, None, :]
    weights = np.where(rows & columns, weights, 0.0)
    if not (weights >= 0).all():
        raise ValueError(
            "extract_alignment expected weights of 0 and more, received negative ones or NaN. Pass "
            "probabilities, not logits."
        )
    if threshold is None:
        linked = (weights > 0) & (np.arange(source_time) == weights.argmax(axis=2)[:, :, None])
    else:
        linked = weights >= np.float32(threshold)
    return [{(int(source), int(target)) for target, source in np.argwhere(sentence)} for sentence in linked]


def _links(name, sentences):
    """The links of each sentence as a set of pairs of integers."""
    checked = []
    for sentence, links in enumerate(sentences):
        try:
            checked.append({(index(source), index(target)) for source, target in links})
        except (TypeError, ValueError):  # not a pair, or not integers
            raise ValueError(
                f"alignment_error_rate expected {name} to hold a set of pairs (source, target) for each sentence, "
                f"received {links!r:.80} at index {sentence}. Put the links of a single sentence into a list."
            ) from None
    return checked


def _mask(name, mask, shape):
    if mask is None:
        return np.ones(shape, "bool")
    mask = ops.convert_to_numpy(mask).astype("bool")
    if mask.shape != shape:
        raise ValueError(
            f"extract_alignment expected {name} of shape {shape}, as in the weights, received {mask.shape}."
        )
    return mask
