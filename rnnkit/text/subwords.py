"""Tags of words and of sub-words: a tokenizer cuts words into pieces, its tokens, and a corpus tags whole words.

Which word a token belongs to is a list `word_ids`, as tokenizers return it: for each token the index of its word, and
`None` for special tokens such as `[CLS]` and `[PAD]`.

| token | [CLS] | Ha | ##lina | left | [SEP] |
|---|---|---|---|---|---|
| `word_ids` | None | 0 | 0 | 1 | None |
| first token only | | B-PER | | O | |
| all tokens | | B-PER | I-PER | O | |
"""

from collections.abc import Sequence
from itertools import groupby
from numbers import Integral
from typing import Any, NamedTuple

from rnnkit.annotations import Tokens
from rnnkit.text.schemes import not_a_tag, scheme_of
from rnnkit.text.tags import spans_to_tags, tags_to_spans


class SubwordTags(NamedTuple):
    """The tags of the tokens of a sentence.

    Attributes:
        tags: for each token its tag; the empty string, which is the padding of a `Vocabulary`, if it has none.
        mask: for each token whether it has a tag. The mask of a CRF may have such holes.
        missing: the indices of the words that have no token: what was truncated, and words of which a tokenizer makes
            nothing.
    """

    tags: list[str]
    mask: list[bool]
    missing: list[int]


class WordTags(NamedTuple):
    """The tags of the words of a sentence.

    Attributes:
        tags: for each word its tag.
        missing: the indices of the words that have no token.
    """

    tags: list[Any]
    missing: list[int]


def tags_to_subwords(
    tags: Tokens, word_ids: Sequence[int | None], scheme: str | None = None, all_tokens: bool = False
) -> SubwordTags:
    """Aligns the tags of words with the tokens of a tokenizer.

    With a scheme, the entities stay what they are. If `all_tokens` have tags, those of a word continue in it: `S-PER`
    becomes `B-PER`, `I-PER`, `E-PER`. If words are missing, the tags of the others are written anew, so that each
    entity begins and ends as the scheme demands.

    Args:
        tags: list of the tags of the words of one sentence.
        word_ids: for each token the index of its word, or `None` for special tokens.
        scheme: one of the schemes of `find_scheme`. Defaults to `None`: tags without a scheme, such as parts of speech,
            which all tokens of a word share.
        all_tokens: whether all tokens of a word have tags, instead of the first one only. Defaults to `False`.

    Returns:
        Named tuple `(tags, mask, missing)`: lists with as many tags and booleans as there are tokens, and the list of
        the indices of words without a token.

    Raises:
        ValueError: `word_ids` go back, or name a word that has no tag; a tag is not one of the scheme, or the scheme is
            unknown.

    Example:

    >>> tags_to_subwords(["B-PER", "O"], [None, 0, 0, 1, None])
    SubwordTags(tags=['', 'B-PER', '', 'O', ''], mask=[False, True, False, True, False], missing=[])
    >>> tags_to_subwords(["B-PER", "O"], [None, 0, 0, 1, None], "BIO", all_tokens=True).tags
    ['', 'B-PER', 'I-PER', 'O', '']
    >>> tags_to_subwords(["S-PER", "O", "B-LOC", "E-LOC"], [0, 0, 1, 2], "BIOES", all_tokens=True)
    SubwordTags(tags=['B-PER', 'E-PER', 'O', 'S-LOC'], mask=[True, True, True, True], missing=[3])

    References:
        Devlin, Chang, Lee and Toutanova, "BERT: pre-training of deep bidirectional transformers for language
        understanding", 2019: the first token only.
    """
    if isinstance(tags, str):
        raise ValueError(f"tags_to_subwords expected a list of tags, received one string, {tags!r:.40}. Split it.")
    tags = list(tags)
    places = _places("tags_to_subwords", word_ids, len(tags))
    missing = [word for word in range(len(tags)) if word not in places]
    if scheme is not None:
        scheme = scheme_of(scheme)
        tags = _without(missing, tags, scheme)
    aligned, mask = [""] * len(word_ids), [False] * len(word_ids)
    for word, tokens in places.items():
        tokens = tokens if all_tokens else tokens[:1]
        new = _pieces(tags[word], len(tokens), scheme) if scheme else [tags[word]] * len(tokens)
        for token, tag in zip(tokens, new, strict=True):
            aligned[token], mask[token] = tag, True
    return SubwordTags(aligned, mask, missing)


def tags_to_words(
    tags: Sequence[Any],
    word_ids: Sequence[int | None],
    words: int | None = None,
    scheme: str | None = None,
    fill: Any = "O",
) -> WordTags:
    """Returns the tags of words from those of their tokens: what `tags_to_subwords` aligned.

    A word has the tag of its first token. With a scheme, which is for tags of all tokens, the entity ends in the word
    if it ends at one of its tokens: `B-PER`, `I-PER`, `E-PER` become `S-PER`.

    Args:
        tags: for each token its tag. Without a scheme they may be other values, such as confidences.
        word_ids: for each token the index of its word, or `None` for special tokens.
        words: the number of words of the sentence. Defaults to `None`: the last word is one that has a token.
        scheme: one of the schemes of `find_scheme`, if all tokens of a word have tags. Defaults to `None`: the first
            token of a word has its tag, whatever the others have.
        fill: the tag of words without a token. Defaults to `"O"`.

    Returns:
        Named tuple `(tags, missing)`: the list of the tags of all words, and the list of the indices of those that have
        no token.

    Raises:
        ValueError: there are more or fewer tags than tokens, `word_ids` go back, or name a word that `words` does not
            count; a tag is not one of the scheme, or the scheme is unknown.

    Example:

    >>> tags_to_words(["O", "B-PER", "I-PER", "O", "O"], [None, 0, 0, 1, None])
    WordTags(tags=['B-PER', 'O'], missing=[])
    >>> tags_to_words(["B-PER", "E-PER", "O"], [0, 0, 1], words=3, scheme="BIOES")
    WordTags(tags=['S-PER', 'O', 'O'], missing=[2])
    >>> tags_to_words([0.5, 0.9, 0.8], [0, 0, 1]).tags
    [0.5, 0.8]
    """
    if len(tags) != len(word_ids):
        raise ValueError(
            f"tags_to_words expected a tag for each token, received {len(tags)} tags and {len(word_ids)} word_ids."
        )
    places = _places("tags_to_words", word_ids, words)
    count = max(places, default=-1) + 1 if words is None else words
    whole = [fill] * count
    for word, tokens in places.items():
        if scheme is None:
            whole[word] = tags[tokens[0]]
        else:
            whole[word] = _whole([tags[token] for token in tokens], scheme_of(scheme))
    return WordTags(whole, [word for word in range(count) if word not in places])


def lengths_to_word_ids(
    lengths: Sequence[int], before: int = 0, after: int = 0, max_length: int | None = None
) -> list[int | None]:
    """Returns which word each token belongs to, from the number of tokens of each word.

    Args:
        lengths: for each word the number of its tokens.
        before: the number of special tokens before the first word. Defaults to `0`.
        after: the number of special tokens after the last word. Defaults to `0`.
        max_length: the number of tokens, special ones included, after which the sentence is truncated. Defaults to
            `None`: it isn't.

    Returns:
        List `word_ids`: for each token the index of its word, or `None` for special tokens.

    Raises:
        ValueError: a number is negative, or the special tokens alone are more than `max_length`.

    Example:

    >>> lengths_to_word_ids([2, 1], before=1, after=1)
    [None, 0, 0, 1, None]
    >>> lengths_to_word_ids([2, 1, 3], before=1, after=1, max_length=5)
    [None, 0, 0, 1, None]
    """
    if min(before, after, *lengths, 0) < 0:
        raise ValueError(
            f"lengths_to_word_ids expected numbers of tokens, none of them negative; received {before=}, {after=} and "
            f"{list(lengths)!r:.80}."
        )
    ids = [word for word, length in enumerate(lengths) for _ in range(length)]
    if max_length is not None:
        if max_length < before + after:
            raise ValueError(
                f"lengths_to_word_ids expected max_length of at least {before + after}, the special tokens; received "
                f"{max_length}."
            )
        ids = ids[: max_length - before - after]
    return [None] * before + ids + [None] * after


def _places(owner, word_ids, words):
    """For each word that has tokens the list of their places."""
    runs = [(word, [place for place, _ in run]) for word, run in groupby(enumerate(word_ids), lambda pair: pair[1])]
    places, last = {}, -1
    for word, tokens in runs:
        if word is None:
            continue
        if isinstance(word, bool) or not isinstance(word, Integral) or word <= last:
            raise ValueError(
                f"{owner} expected word_ids, None or indices of words in their order, received {word!r} at token "
                f"{tokens[0]}" + (f", after {last}." if last >= 0 else ".")
            )
        if words is not None and word >= words:
            raise ValueError(
                f"{owner} expected word_ids below {words}, the number of words, received {word} at token {tokens[0]}."
            )
        places[int(word)], last = tokens, int(word)
    return places


def _without(missing, tags, scheme):
    """The tags with the same entities if some words are missing."""
    for word, tag in enumerate(tags):
        if scheme.read(tag) is None:
            raise not_a_tag(tag, scheme, f"tags_to_subwords, word {word}: ")
    if not missing or scheme.name == "IO":
        return tags
    missing = set(missing)
    kept = [word for word in range(len(tags)) if word not in missing]
    number = {word: place for place, word in enumerate(kept)}
    spans = []
    for type, begin, end in tags_to_spans(tags, str(scheme)):
        inside = [number[word] for word in range(begin, end) if word in number]
        if inside:
            spans.append((type, inside[0], inside[-1] + 1))
    new = spans_to_tags(spans, len(kept), str(scheme))
    return [new[number[word]] if word in number else tag for word, tag in enumerate(tags)]


def _pieces(tag, count, scheme):
    """The tags of the tokens of a word."""
    role, type = scheme.read(tag)
    if role == "O" or count == 1:
        return [tag] * count
    roles = ["B" if role in "BS" else "I", *"I" * (count - 2), "E" if role in "ES" else "I"]
    return [tag if new == role else scheme.spell(new, type) for new in roles]


def _whole(tags, scheme):
    """The tag of a word from those of its tokens."""
    read = [scheme.read(tag) for tag in tags]
    if None in read:
        raise not_a_tag(tags[read.index(None)], scheme, "tags_to_words: ")
    first, ends = read[0], any(tag.role in "ES" for tag in read)
    if first.role == "O":
        return tags[0]
    role = ("S" if ends else "B") if first.role in "BS" else ("E" if ends else "I")
    return tags[0] if role == first.role else scheme.spell(role, first.type)
