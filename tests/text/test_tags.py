"""rnnkit.text's tag schemes: against seqeval, against the definition, and on every short sequence."""

import itertools
import re

import numpy as np
import pytest
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import IOB1, IOB2, IOBES, Tokens

from rnnkit.text import (
    Vocabulary,
    check_tags,
    convert_tags,
    encode_characters,
    legal_transitions,
    spans_to_tags,
    tags_to_spans,
)

TAGS = {
    scheme: ["O", *(f"{prefix}-{type}" for type in ("PER", "LOC") for prefix in prefixes)]
    for scheme, prefixes in (("IOB1", "BI"), ("BIO", "BI"), ("BIOES", "BIES"))
}
STRICT = {"IOB1": IOB1, "BIO": IOB2, "BIOES": IOBES}


def sequences(scheme, longest):
    return (list(tags) for n in range(longest + 1) for tags in itertools.product(TAGS[scheme], repeat=n))


def sets_of_spans(length):
    """Every set of entities of two types that do not overlap, by choosing what begins at each position."""
    if length <= 0:
        yield []
        return
    for rest in sets_of_spans(length - 1):
        yield rest
    for size in range(1, length + 1):
        for rest in sets_of_spans(length - size):
            for type in ("PER", "LOC"):
                yield [*rest, (type, length - size, length)]


def is_legal(tags, scheme):
    try:
        check_tags(tags, scheme)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(("scheme", "longest"), [("BIO", 5), ("BIOES", 4)])
def test_spans_are_those_of_seqeval_on_every_sequence(scheme, longest):
    for tags in sequences(scheme, longest):
        assert tags_to_spans(tags) == [(type, begin, end + 1) for type, begin, end in get_entities(tags)], tags


@pytest.mark.parametrize("scheme", TAGS)
def test_tags_and_spans_are_inverse(scheme):
    for length in range(5):
        written = [spans_to_tags(entities, length, scheme) for entities in sets_of_spans(length)]
        assert [tags_to_spans(tags) for tags in written] == list(sets_of_spans(length))
        # The legal tags are exactly those that spans_to_tags writes.
        legal = {tuple(tags) for tags in sequences(scheme, 4) if len(tags) == length and is_legal(tags, scheme)}
        assert legal == set(map(tuple, written))
        assert len(written) == len(legal)


@pytest.mark.parametrize("scheme", TAGS)
def test_legal_tags_are_read_the_same_by_strict_seqeval(scheme):
    for tags in sequences(scheme, 4):
        if is_legal(tags, scheme):
            found = [(entity.tag, entity.start, entity.end) for entity in Tokens(tags, STRICT[scheme]).entities]
            assert tags_to_spans(tags) == found, tags


@pytest.mark.parametrize("scheme", TAGS)
def test_legal_transitions_allow_what_check_tags_allows(scheme):
    start, between, end = legal_transitions(TAGS[scheme], scheme)
    assert (start.shape, between.shape, end.shape) == ((len(start),), (len(start), len(start)), (len(start),))
    for tags in sequences(scheme, 4):
        if tags:
            ids = [TAGS[scheme].index(tag) for tag in tags]
            allowed = start[ids[0]] and end[ids[-1]] and all(between[pair] for pair in itertools.pairwise(ids))
            assert allowed == is_legal(tags, scheme), tags


def test_the_padding_of_a_vocabulary_is_legal_nowhere():
    tags = Vocabulary([TAGS["BIO"]])
    with_padding, without = legal_transitions(tags), legal_transitions(TAGS["BIO"])
    assert not (with_padding.start[0] or with_padding.end[0])
    assert not (with_padding.between[0].any() or with_padding.between[:, 0].any())
    np.testing.assert_array_equal(with_padding.between[1:, 1:], without.between)


def test_convert_between_all_schemes():
    same = {
        "IOB1": ["I-PER", "I-PER", "B-PER", "I-LOC", "O", "I-LOC", "I-LOC", "I-LOC"],
        "BIO": ["B-PER", "I-PER", "B-PER", "B-LOC", "O", "B-LOC", "I-LOC", "I-LOC"],
        "BIOES": ["B-PER", "E-PER", "S-PER", "S-LOC", "O", "B-LOC", "I-LOC", "E-LOC"],
    }
    for source, target in itertools.product(same, repeat=2):
        assert convert_tags(same[source], source, target) == same[target]
    assert convert_tags([], "IOB1", "BIOES") == []


def test_types_may_contain_hyphens():
    assert tags_to_spans(["B-creative-work", "I-creative-work"]) == [("creative-work", 0, 2)]
    assert spans_to_tags([("creative-work", 0, 2)], 2, "BIOES") == ["B-creative-work", "E-creative-work"]


@pytest.mark.parametrize(
    ("tags", "scheme", "message"),
    [
        (["O", "I-PER"], "BIO", "Position 1: I-PER may not follow O in BIO."),
        (["I-PER"], "BIO", "Position 0: I-PER may not begin a sentence in BIO."),
        (["B-PER", "I-LOC"], "BIO", "Position 1: I-LOC may not follow B-PER in BIO."),
        (["O", "B-PER"], "IOB1", "Position 1: B-PER may not follow O in IOB1."),
        (["I-LOC", "B-PER"], "IOB1", "Position 1: B-PER may not follow I-LOC in IOB1."),
        (["B-PER", "O"], "BIOES", "Position 1: O may not follow B-PER in BIOES."),
        (["O", "B-PER"], "BIOES", "Position 1: B-PER may not end a sentence in BIOES."),
        (["E-PER"], "BIOES", "Position 0: E-PER may not begin a sentence in BIOES."),
        (["O", "S-PER"], "BIO", "Position 1: S-PER is not a tag of BIO, which has O and B-type, I-type."),
        (["O", "PER"], "BIO", "Position 1: expected a tag such as 'O', 'B-PER' or 'I-PER', received 'PER'."),
        (["O", ""], "BIO", "Position 1: expected a tag such as 'O', 'B-PER' or 'I-PER', received ''."),
        (["B-"], "BIO", "Position 0: expected a tag"),
        (["O-PER"], "BIO", "Position 0: expected a tag"),
        ([1], "BIO", "Position 0: expected a tag such as 'O', 'B-PER' or 'I-PER', received 1."),
        (["O"], "IOB2", "Expected one of the schemes IOB1, BIO, BIOES, received 'IOB2'."),
        ("O", "BIO", "check_tags expected a list of tags, received one string, 'O'."),
    ],
)
def test_check_tags_names_position_and_tag(tags, scheme, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        check_tags(tags, scheme)


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda: tags_to_spans("B-PER"), "tags_to_spans expected a list of tags, received one string"),
        (lambda: tags_to_spans(["U-PER"]), "received 'U-PER'"),
        (lambda: spans_to_tags([("PER", 0, 2), ("LOC", 1, 3)], 3), "received ('LOC', 1, 3) after one that ends at 2."),
        (lambda: spans_to_tags([("PER", 1, 1)], 3), "of at least one token"),
        (lambda: spans_to_tags([("PER", -1, 1)], 3), "from 0 to 3; received ('PER', -1, 1)"),
        (lambda: spans_to_tags([("PER", 2, 4)], 3), "received ('PER', 2, 4)"),
        (lambda: spans_to_tags([], 3, "BILOU"), "received 'BILOU'"),
        (lambda: convert_tags(["O", "I-PER"], "BIO", "IOB1"), "Position 1: I-PER may not follow O in BIO."),
        (lambda: convert_tags(["O"], "BIO", "IOBES"), "received 'IOBES'"),
        (
            lambda: legal_transitions(["O", "B-PER", "O"]),
            "legal_transitions expected each tag once, received 'O' twice",
        ),
        (lambda: legal_transitions(["O", "S-PER"]), "the prefixes O, B, I, received 'S-PER'"),
        (lambda: legal_transitions([]), "at least one tag, received []"),
        (lambda: legal_transitions([""]), "at least one tag, received ['']"),
        (lambda: legal_transitions("O"), "received one string, 'O'"),
    ],
)
def test_tags_refuse(use, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        use()


def test_characters_of_words():
    sentences = [["The", "end"], [], ["a", "the"]]
    characters = Vocabulary((word for sentence in sentences for word in sentence), unknown="<unknown>")
    ids = encode_characters(sentences, characters)
    assert (ids.shape, ids.dtype) == ((3, 2, 3), np.int32)
    for row, sentence in zip(ids, sentences, strict=True):
        words = ["".join(letters) for letters in characters.decode(row)]
        assert words == sentence + [""] * (2 - len(sentence))
    wide = encode_characters(sentences, characters, length=4, word_length=5)
    np.testing.assert_array_equal(wide[:, :2, :3], ids)
    assert wide.shape == (3, 4, 5) and wide.sum() == ids.sum()
    assert characters.decode(encode_characters([["xe"]], characters)[0]) == [["<unknown>", "e"]]
    assert encode_characters([], characters).shape == (0, 0, 0)
    assert encode_characters([[], []], characters, length=3, word_length=2).shape == (2, 3, 2)


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"sentences": "abc"}, ValueError, "received a string"),
        ({"sentences": ["abc"]}, ValueError, "received a string"),
        ({"sentences": [["a", "b"]], "length": 1}, ValueError, "at most length=1 words, received one of 2"),
        ({"sentences": [["a", "bcab"]], "word_length": 3}, ValueError, "word_length=3 characters, received 'bcab'"),
        ({"sentences": [["a", "cab", "dad"]]}, KeyError, "Unknown token 'd'"),
    ],
)
def test_encode_characters_refuses(arguments, kind, message):
    with pytest.raises(kind, match=message):
        encode_characters(characters=Vocabulary("abc"), **arguments)
