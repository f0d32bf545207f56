"""Tags that mark the entities of a sentence, one tag per token: "B-PER", "I-PER", "O".

An entity is a type with the tokens that it covers: `("PER", 0, 2)` covers tokens 0 and 1. No two of them overlap. Three
schemes write them down, here for a sentence that names two people, "Ana Ruiz" and "Bo", one right after the other:

| scheme | Ana | Ruiz | Bo | left | |
|---|---|---|---|---|---|
| IOB1 | I-PER | I-PER | B-PER | O | B only where an entity touches one of its own type before it |
| BIO (or IOB2) | B-PER | I-PER | B-PER | O | B at each beginning |
| BIOES | B-PER | E-PER | S-PER | O | E at each end too, S where an entity is a single token |
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from rnnkit.annotations import Tokens

_PREFIXES = {"IOB1": "BI", "BIO": "BI", "BIOES": "BIES"}


def tags_to_spans(tags: Iterable[str]) -> list[tuple[str, int, int]]:
    """Finds the entities that tags mark.

    One rule reads all three schemes, that of the CoNLL evaluations: an entity continues as long as its type does,
    through an E and up to the next B or S. Tags that follow no scheme have entities too: an I after O begins one. Call
    `check_tags` first if that would be a mistake.

    Args:
        tags: list of tags of one sentence.

    Returns:
        List of tuples `(type, begin, end)` in the order of the sentence; the tokens are `tokens[begin:end]`.

    Raises:
        ValueError: a tag is neither "O" nor B, I, E or S with a hyphen and a type.

    Example:

    >>> tags_to_spans(["B-PER", "I-PER", "O", "B-LOC"])
    [('PER', 0, 2), ('LOC', 3, 4)]

    References:
        Tjong Kim Sang and De Meulder, "Introduction to the CoNLL-2003 shared task: language-independent named entity
        recognition", 2003.
    """
    found = []
    before = "O"
    for position, tag in enumerate(_tags("tags_to_spans", tags)):
        _, type = split_tag(tag)
        if goes_on(before, tag):
            found[-1] = (type, found[-1][1], position + 1)
        elif type:
            found.append((type, position, position + 1))
        before = tag
    return found


def spans_to_tags(spans: Iterable[tuple[str, int, int]], length: int, scheme: str = "BIO") -> list[str]:
    """Writes the tags that mark entities.

    Args:
        spans: list of `(type, begin, end)` in any order; `end` is the position after the last token.
        length: number of tokens of the sentence.
        scheme: `"IOB1"`, `"BIO"` or `"BIOES"`. Defaults to `"BIO"`.

    Returns:
        List of `length` tags.

    Raises:
        ValueError: an entity is empty, overlaps another one or ends after `length`, or the scheme is unknown.

    Example:

    >>> spans_to_tags([("PER", 0, 2), ("PER", 2, 3)], 4)
    ['B-PER', 'I-PER', 'B-PER', 'O']
    >>> spans_to_tags([("PER", 0, 2), ("PER", 2, 3)], 4, "BIOES")
    ['B-PER', 'E-PER', 'S-PER', 'O']
    """
    _check_scheme(scheme)
    tags = ["O"] * length
    last_type, last_end = "", 0
    for type, begin, end in sorted(spans, key=lambda span: span[1]):
        if not last_end <= begin < end <= length:
            raise ValueError(
                f"spans_to_tags expected spans (type, begin, end) of at least one token that do not overlap, from 0 to "
                f"{length}; received {(type, begin, end)!r}"
                + (f" after one that ends at {last_end}." if last_end else ".")
            )
        tags[begin:end] = [f"I-{type}"] * (end - begin)
        if scheme != "IOB1" or (type, begin) == (last_type, last_end):
            tags[begin] = f"B-{type}"
        if scheme == "BIOES":
            tags[end - 1] = f"E-{type}" if end - begin > 1 else f"S-{type}"
        last_type, last_end = type, end
    return tags


def convert_tags(tags: Tokens, source: str, target: str) -> list[str]:
    """Converts tags to another scheme; the entities stay the same.

    Args:
        tags: list of tags of one sentence.
        source: the scheme of `tags`: `"IOB1"`, `"BIO"` or `"BIOES"`.
        target: the scheme of the result.

    Returns:
        List of as many tags.

    Raises:
        ValueError: the tags do not follow their scheme (see `check_tags`), or a scheme is unknown.

    Example:

    >>> convert_tags(["I-PER", "I-PER", "B-PER", "O"], "IOB1", "BIO")
    ['B-PER', 'I-PER', 'B-PER', 'O']
    """
    check_tags(tags, source)
    return spans_to_tags(tags_to_spans(tags), len(tags), target)


def check_tags(tags: Tokens, scheme: str = "BIO") -> None:
    """Checks that the tags of a sentence follow their scheme.

    Args:
        tags: list of tags of one sentence.
        scheme: `"IOB1"`, `"BIO"` or `"BIOES"`. Defaults to `"BIO"`.

    Raises:
        ValueError: a tag is not one of the scheme, or not allowed at its position, which the message names, counted
            from 0; or the scheme is unknown.

    Example:

    >>> check_tags(["O", "I-PER"])
    Traceback (most recent call last):
    ...
    ValueError: Position 1: I-PER may not follow O in BIO.
    """
    _check_scheme(scheme)
    before = "O"
    for position, tag in enumerate(_tags("check_tags", tags)):
        prefix, _ = split_tag(tag, f"Position {position}: ")
        if prefix not in f"O{_PREFIXES[scheme]}":
            raise ValueError(f"Position {position}: {tag} is not a tag of {scheme}, which has O and {_named(scheme)}.")
        if not _legal(before, tag, scheme):
            place = f"follow {before}" if position else "begin a sentence"
            raise ValueError(f"Position {position}: {tag} may not {place} in {scheme}.")
        before = tag
    if not _legal(before, "O", scheme):
        raise ValueError(f"Position {len(tags) - 1}: {before} may not end a sentence in {scheme}.")


class Transitions(NamedTuple):
    """Which tags are legal where.

    Attributes:
        start: booleans `(tags,)`: whether a tag may begin a sentence.
        between: booleans `(tags, tags)`: whether the tag of the column may follow the tag of the row.
        end: booleans `(tags,)`: whether a tag may end a sentence.
    """

    start: np.ndarray
    between: np.ndarray
    end: np.ndarray


def legal_transitions(tags: Iterable[str], scheme: str = "BIO") -> Transitions:
    """Finds which tag may begin a sentence, which may follow which, and which may end it.

    Args:
        tags: list of all tags, in the order of their numbers. A `Vocabulary` of tags is such a list; its padding, the
            empty string, is legal nowhere.
        scheme: `"IOB1"`, `"BIO"` or `"BIOES"`. Defaults to `"BIO"`.

    Returns:
        Named tuple `(start, between, end)` of boolean arrays `(tags,)`, `(tags, tags)` and `(tags,)`. `between[i, j]`
        says whether tag j may follow tag i.

    Raises:
        ValueError: a tag is not one of the scheme or is in the list twice, or the scheme is unknown.

    Example:

    >>> start, between, end = legal_transitions(["O", "B-PER", "I-PER"])
    >>> start
    array([ True,  True, False])
    >>> between
    array([[ True,  True, False],
           [ True,  True,  True],
           [ True,  True,  True]])
    """
    _check_scheme(scheme)
    names = check_tag_list("legal_transitions", tags, f"O{_PREFIXES[scheme]}")
    return Transitions(
        start=np.array([_legal("O", tag, scheme) for tag in names]),
        between=np.array([[_legal(before, tag, scheme) for tag in names] for before in names]),
        end=np.array([_legal(tag, "O", scheme) for tag in names]),
    )


def check_tag_list(name: str, tags: Iterable[str], prefixes: str = "OBIES") -> list[str]:
    """Returns the tags as a list, or raises a `ValueError` that begins with `name` if they are not distinct tags.

    An empty string, the padding, is accepted.
    """
    tags = _tags(name, tags)
    if not any(tags):
        raise ValueError(f"{name} expected a list of at least one tag, received {tags!r}.")
    for index, tag in enumerate(tags):
        if tag and split_tag(tag, f"{name}: ")[0] not in prefixes:
            raise ValueError(f"{name} expected tags with the prefixes {', '.join(prefixes)}, received {tag!r}.")
        if tag in tags[:index]:
            raise ValueError(f"{name} expected each tag once, received {tag!r} twice.")
    return tags


def split_tag(tag: str, where: str = "") -> tuple[str, str]:
    """Returns the prefix and the type of a tag; the type of "O" is the empty string.

    >>> split_tag("B-PER"), split_tag("O")
    (('B', 'PER'), ('O', ''))
    """
    prefix, hyphen, type = tag.partition("-") if isinstance(tag, str) else ("", "", "")
    if tag == "O" or prefix in ("B", "I", "E", "S") and type:
        return prefix, type
    raise ValueError(f"{where}expected a tag such as 'O', 'B-PER' or 'I-PER', received {tag!r}.")


def goes_on(before: str, tag: str) -> bool:
    """Returns whether a tag continues the entity of the tag before it, whatever the scheme.

    >>> goes_on("B-PER", "I-PER"), goes_on("I-PER", "B-PER")
    (True, False)
    """
    (before, type), (prefix, same) = split_tag(before), split_tag(tag)
    return before in "BI" and prefix in "IE" and type == same


def _legal(before, tag, scheme):
    """Whether `tag` may follow `before`. The start and the end of a sentence count as O."""
    if not before or not tag:
        return False
    prefix = split_tag(tag)[0]
    if scheme == "BIO":
        return prefix != "I" or goes_on(before, tag)
    if scheme == "IOB1":
        return prefix != "B" or split_tag(before)[1] == split_tag(tag)[1]
    is_open = split_tag(before)[0] in "BI"  # BIOES: an entity that has begun continues until its E
    return goes_on(before, tag) if is_open else prefix in "OBS"


def _check_scheme(scheme):
    if scheme not in _PREFIXES:
        raise ValueError(f"Expected one of the schemes {', '.join(_PREFIXES)}, received {scheme!r}.")


def _tags(name, tags):
    if isinstance(tags, str):
        raise ValueError(f"{name} expected a list of tags, received one string, {tags!r:.40}. Split it.")
    return list(tags)


def _named(scheme):
    return ", ".join(f"{prefix}-type" for prefix in _PREFIXES[scheme])
