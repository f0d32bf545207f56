"""Tags that mark the entities of a sentence, one tag per token: "B-PER", "I-PER", "O".

An entity is a type with the tokens that it covers: `("PER", 0, 2)` covers tokens 0 and 1. No two of them overlap.
Corpora write them down in nine schemes, here for a sentence that names two people, "Ana Ruiz" and "Bo", one right after
the other:

| scheme | Ana | Ruiz | Bo | left | |
|---|---|---|---|---|---|
| IOB1 | I-PER | I-PER | B-PER | O | B only where an entity touches one of its own type before it |
| BIO (IOB2) | B-PER | I-PER | B-PER | O | B at each beginning |
| IOE1 | I-PER | E-PER | I-PER | O | E only where an entity touches one of its own type after it |
| IOE2 (IOE) | I-PER | E-PER | E-PER | O | E at each end |
| IO | I-PER | I-PER | I-PER | O | entities of one type that touch are one |
| BIOES (IOBES) | B-PER | E-PER | S-PER | O | E at each end too, S where an entity is a single token |
| BILOU (BIOUL) | B-PER | L-PER | U-PER | O | the same with other letters: last, unit |
| BMES (BMESO) | B-PER | E-PER | S-PER | O | the same with M for middle |
| BMEWO | B-PER | E-PER | W-PER | O | the same with W for word |

How a corpus spells them follows after a comma, as in `"BIO, type first"`:

| spelling | Ana | |
|---|---|---|
| type first | PER-B | |
| underscore | B_PER | |
| types only | PER | of the scheme IO |
| lower case | b-per, o | |
| any case | B-PER, b-PER | reads small letters and capitals, writes capitals; types stay as they are |

Tags without types, "B", "I" and "O", are tags of all schemes; the type of their entities is the empty string.
`find_scheme` finds out which scheme a corpus has.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from rnnkit.annotations import Tokens
from rnnkit.text.schemes import Scheme, Tag, guess_scheme, not_a_tag, scheme_of

OUTSIDE = Tag("O", "")  # also what is before and after a sentence


def tags_to_spans(
    tags: Iterable[str], scheme: str | None = None, ignore: Iterable[str] = (), strict: bool = False
) -> list[tuple[str, int, int]]:
    """Finds the entities that tags mark.

    One rule reads all schemes, that of the CoNLL evaluations: an entity continues as long as its type does, through an
    E (L) and up to the next B or S (U, W). Tags that follow no scheme have entities too: an I after O begins one. With
    `strict`, tags that break their scheme mark nothing: an entity counts only if it begins and ends as the scheme
    demands.

    Args:
        tags: list of tags of one sentence.
        scheme: one of the schemes of `find_scheme`, or `"auto"`, which finds it for these tags alone. Defaults to
            `None`: the letters of all schemes, before a hyphen and a type.
        ignore: special labels that are no tags, such as `["[CLS]", "X"]`. Their tokens are left out before the tags are
            read: an entity may go on after them. Defaults to `()`.
        strict: whether tags that break their scheme mark nothing. It needs a scheme. Defaults to `False`.

    Returns:
        List of tuples `(type, begin, end)` in the order of the sentence; the tokens are `tokens[begin:end]`.

    Raises:
        ValueError: a tag is not one of the scheme, or the scheme is unknown.

    Example:

    >>> tags_to_spans(["B-PER", "I-PER", "O", "B-LOC"])
    [('PER', 0, 2), ('LOC', 3, 4)]
    >>> tags_to_spans(["PER-B", "PER-L", "O", "LOC-U"], "BILOU, type first")
    [('PER', 0, 2), ('LOC', 3, 4)]
    >>> tags_to_spans(["O", "I-PER", "O"]), tags_to_spans(["O", "I-PER", "O"], "BIO", strict=True)
    ([('PER', 1, 2)], [])

    References:
        Tjong Kim Sang and De Meulder, "Introduction to the CoNLL-2003 shared task: language-independent named entity
        recognition", 2003.
        Lignos and Kamyab, "If you build your own NER scorer, non-replicable results will come", 2020.
    """
    tags = _tags("tags_to_spans", tags)
    reader = resolve(scheme, [tags], ignore)
    if strict and reader.name is None:
        raise ValueError("tags_to_spans expected a scheme along with strict=True, received none.")
    ignore = set(ignore)
    places = [place for place, tag in enumerate(tags) if tag not in ignore]
    raw = [OUTSIDE, *(_read(tags[place], reader) for place in places), OUTSIDE]
    read = raw
    if strict:
        pairs = zip(raw, raw[1:], strict=False)
        read = [OUTSIDE, *(tag if reader.reads(before, tag) else OUTSIDE for before, tag in pairs)]
    found, begun = [], None
    for index, place in enumerate(places, 1):
        before, tag, after = read[index - 1 : index + 2]
        if tag.role == "O":
            continue
        if not tag.goes_on_after(before):
            begun = place if not strict or reader.begins(tag) else None
        if not after.goes_on_after(tag) and begun is not None and (not strict or reader.ends(tag, raw[index + 1])):
            found.append((tag.type, begun, place + 1))
    return found


def spans_to_tags(spans: Iterable[tuple[str, int, int]], length: int, scheme: str = "BIO") -> list[str]:
    """Writes the tags that mark entities.

    Args:
        spans: list of `(type, begin, end)` in any order; `end` is the position after the last token.
        length: number of tokens of the sentence.
        scheme: one of the schemes of `find_scheme`. Defaults to `"BIO"`.

    Returns:
        List of `length` tags.

    Raises:
        ValueError: an entity is empty, overlaps another one or ends after `length`, the scheme is unknown, or it cannot
            mark the entities (IO: two of one type touch).

    Example:

    >>> spans_to_tags([("PER", 0, 2), ("PER", 2, 3)], 4)
    ['B-PER', 'I-PER', 'B-PER', 'O']
    >>> spans_to_tags([("PER", 0, 2), ("PER", 2, 3)], 4, "BIOES")
    ['B-PER', 'E-PER', 'S-PER', 'O']
    """
    writer = scheme_of(scheme)
    tags = [writer.spell("O")] * length
    spans = sorted(spans, key=lambda span: span[1])
    last_end = 0
    for index, (type, begin, end) in enumerate(spans):
        if not last_end <= begin < end <= length:
            raise ValueError(
                f"spans_to_tags expected spans (type, begin, end) of at least one token that do not overlap, from 0 to "
                f"{length}; received {(type, begin, end)!r}"
                + (f" after one that ends at {last_end}." if last_end else ".")
            )
        after_same = index > 0 and spans[index - 1][0] == type and spans[index - 1][2] == begin
        before_same = index + 1 < len(spans) and spans[index + 1][:2] == (type, end)
        if writer.name == "IO" and before_same:
            raise ValueError(
                f"spans_to_tags expected entities of one type that do not touch, as IO cannot mark where one of them "
                f"ends, received {spans[index]!r} and {spans[index + 1]!r}. Choose another scheme."
            )
        roles = writer.roles_of(end - begin, after_same, before_same)
        tags[begin:end] = [writer.spell(role, type) for role in roles]
        last_end = end
    return tags


def convert_tags(tags: Tokens, source: str, target: str, ignore: Iterable[str] = ()) -> list[str]:
    """Converts tags to another scheme; the entities stay the same.

    Args:
        tags: list of tags of one sentence.
        source: the scheme of `tags`, one of those of `find_scheme`. `"auto"` finds it for these tags alone: for a
            corpus, call `find_scheme` once instead.
        target: the scheme of the result.
        ignore: special labels that are no tags, such as `["[CLS]", "X"]`. They stay where they are. Defaults to `()`.

    Returns:
        List of as many tags.

    Raises:
        ValueError: the tags do not follow their scheme (see `check_tags`), or a scheme is unknown.

    Example:

    >>> convert_tags(["I-PER", "I-PER", "B-PER", "O"], "IOB1", "BIO")
    ['B-PER', 'I-PER', 'B-PER', 'O']
    >>> convert_tags(["PER", "PER", "O"], "IO, types only", "BIOES")
    ['B-PER', 'E-PER', 'O']
    """
    tags, ignore = _tags("convert_tags", tags), set(ignore)
    source = str(resolve(source, [tags], ignore))
    check_tags(tags, source, ignore)
    kept = [tag for tag in tags if tag not in ignore]
    converted = iter(spans_to_tags(tags_to_spans(kept, source), len(kept), target))
    return [tag if tag in ignore else next(converted) for tag in tags]


def check_tags(tags: Tokens, scheme: str = "BIO", ignore: Iterable[str] = ()) -> None:
    """Checks that the tags of a sentence follow their scheme.

    Args:
        tags: list of tags of one sentence.
        scheme: one of the schemes of `find_scheme`. Defaults to `"BIO"`.
        ignore: special labels that are no tags, such as `["[CLS]", "X"]`. Defaults to `()`.

    Raises:
        ValueError: a tag is not one of the scheme, or not allowed at its position, which the message names, counted
            from 0; or the scheme is unknown.

    Example:

    >>> check_tags(["O", "I-PER"])
    Traceback (most recent call last):
    ...
    ValueError: Position 1: I-PER may not follow O in BIO.
    """
    scheme, ignore = scheme_of(scheme), set(ignore)
    before, last, named = OUTSIDE, None, None
    for position, tag in enumerate(_tags("check_tags", tags)):
        if tag in ignore:
            continue
        read = scheme.read(tag)
        if read is None:
            _read(tag, scheme_of(None) if not scheme.styles else scheme, f"Position {position}: ")
            examples = ", ".join(scheme.spell(role, "type") for role in scheme.roles[1:])
            raise ValueError(
                f"Position {position}: {tag} is not a tag of {scheme}, which has {scheme.spell('O')} and {examples}."
            )
        if not scheme.allows(before, read):
            place = f"follow {named}" if named is not None else "begin a sentence"
            raise ValueError(f"Position {position}: {tag} may not {place} in {scheme}.")
        before, last, named = read, position, tag
    if not scheme.allows(before, OUTSIDE):
        raise ValueError(f"Position {last}: {named} may not end a sentence in {scheme}.")


def find_scheme(tags: Iterable[Tokens] | Iterable[str], ignore: Iterable[str] = ()) -> str:
    """Finds out which scheme a corpus has.

    The schemes are IOB1, BIO (or IOB2), IOE1, IOE2 (or IOE), IO, BIOES (or IOBES), BILOU (or BIOUL), BMES and BMEWO,
    each followed, after commas, by what is unusual in its spelling: type first ("PER-B"), underscore ("B_PER"), lower
    case ("b-per"), any case, and types only ("PER", of IO). All functions that take a scheme take these names.

    Letters leave a choice between BIO and IOB1, and between IOE1 and IOE2. It is the one that fewer sentences break, so
    that a few mistakes change nothing: `check_tags` finds them.

    Args:
        tags: for each sentence the list of its tags; or one list of all different tags, from which BIO and IOB1 cannot
            be told apart: that is BIO.
        ignore: special labels that are no tags, such as `["[CLS]", "X"]`. Defaults to `()`.

    Returns:
        The name of the scheme.

    Raises:
        ValueError: the tags are of no scheme, or of several.

    Example:

    >>> find_scheme([["O", "I-PER", "I-PER", "O"], ["I-LOC", "B-LOC"]])
    'IOB1'
    >>> find_scheme(["O", "PER-B", "PER-M", "PER-E", "PER-S"])
    'BMES, type first'
    """
    rows = _tags("find_scheme", tags)
    is_list_of_tags = all(isinstance(row, str) for row in rows)
    rows = [rows] if is_list_of_tags else [_tags("find_scheme", row) for row in rows]
    known = {*ignore, ""}
    rows = [[tag for tag in row if tag not in known] for row in rows]
    every = list(dict.fromkeys(tag for row in rows for tag in row))
    found = guess_scheme(every)
    if found is None:
        for tag in every:
            if scheme_of(None).read(tag) is None:
                raise not_a_tag(tag, scheme_of("BIO"), "find_scheme: ")
        raise ValueError(f"find_scheme expected tags of one scheme, received those of several: {every!r:.200}.")
    also = {"BIO": "IOB1", "IOE2": "IOE1"}.get(found.name or "")
    if also is None or is_list_of_tags:
        return str(found)
    other = Scheme(also, found.styles)
    broken = [sum(not _follows(row, scheme) for row in rows) for scheme in (found, other)]
    return str(other if broken[1] < broken[0] else found)


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


def legal_transitions(tags: Iterable[str], scheme: str = "BIO", ignore: Iterable[str] = ()) -> Transitions:
    """Finds which tag may begin a sentence, which may follow which, and which may end it.

    Args:
        tags: list of all tags, in the order of their numbers. A `Vocabulary` of tags is such a list; its padding, the
            empty string, is legal nowhere.
        scheme: one of the schemes of `find_scheme`. Defaults to `"BIO"`.
        ignore: special labels in the list that are no tags, such as `["[CLS]", "X"]`; they are legal nowhere. Defaults
            to `()`.

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
    scheme = scheme_of(scheme)
    read = read_tag_list("legal_transitions", tags, scheme, ignore)

    def allowed(before, after):
        return before is not None and after is not None and scheme.allows(before, after)

    return Transitions(
        start=np.array([allowed(OUTSIDE, tag) for tag in read]),
        between=np.array([[allowed(before, tag) for tag in read] for before in read]),
        end=np.array([allowed(tag, OUTSIDE) for tag in read]),
    )


def read_tag_list(name: str, tags: Iterable[str], scheme: Scheme, ignore: Iterable[str] = ()) -> list[Tag | None]:
    """Reads a list of different tags; `None` stands for the padding, an empty string, and for special labels.

    Raises a `ValueError` that begins with `name` if there is no tag, or something else than a tag, or one tag twice.
    """
    tags, ignore = _tags(name, tags), {*ignore, ""}
    if not any(tags):
        raise ValueError(f"{name} expected a list of at least one tag, received {tags!r}.")
    read = []
    for index, tag in enumerate(tags):
        read.append(None if tag in ignore else scheme.read(tag))
        if read[-1] is None and tag not in ignore:
            _read(tag, scheme_of(None) if not scheme.styles else scheme, f"{name}: ")
            letters = ", ".join(scheme.letters.values())
            raise ValueError(f"{name} expected tags with the prefixes {letters}, received {tag!r}.")
        if tag in tags[:index]:
            raise ValueError(f"{name} expected each tag once, received {tag!r} twice.")
    return read


def resolve(scheme: str | None, tags: Iterable[Tokens] | Iterable[str], ignore: Iterable[str] = ()) -> Scheme:
    """Returns the scheme with a name; `"auto"` is the one that `find_scheme` finds for the tags."""
    return scheme_of(find_scheme(tags, ignore) if scheme == "auto" else scheme)


def _follows(tags, scheme):
    read = [OUTSIDE, *map(scheme.read, tags), OUTSIDE]
    return all(scheme.allows(*pair) for pair in zip(read, read[1:], strict=False))


def _read(tag, scheme, where=""):
    read = scheme.read(tag)
    if read is None:
        raise not_a_tag(tag, scheme if scheme.name else scheme_of("BIO"), where)
    return read


def _tags(name, tags):
    if isinstance(tags, str):
        raise ValueError(f"{name} expected a list of tags, received one string, {tags!r:.40}. Split it.")
    return list(tags)
