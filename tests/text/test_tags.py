"""rnnkit.text's tag schemes: against seqeval, against the definition, and on every short sequence."""

import itertools
import re

import numpy as np
import pytest
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import BILOU, IOB1, IOB2, IOBES, IOE2, Tokens

from rnnkit.text import (
    Vocabulary,
    check_tags,
    convert_tags,
    encode_characters,
    find_scheme,
    legal_transitions,
    spans_to_tags,
    tags_to_spans,
)

TAGS = {
    scheme: ["O", *(f"{prefix}-{type}" for type in ("PER", "LOC") for prefix in prefixes)]
    for scheme, prefixes in {
        "IOB1": "BI",
        "BIO": "BI",
        "IOE1": "IE",
        "IOE2": "IE",
        "IO": "I",
        "BIOES": "BIES",
        "BILOU": "BILU",
        "BMES": "BMES",
        "BMEWO": "BMEW",
    }.items()
}
STRICT = {"IOB1": IOB1, "BIO": IOB2, "IOE2": IOE2, "BIOES": IOBES, "BILOU": BILOU}  # those that seqeval has and can
STYLES = {  # how a tag of BIO is spelled
    "type first": lambda letter, type: f"{type}-{letter}" if type else letter,
    "underscore": lambda letter, type: f"{letter}_{type}" if type else letter,
    "type first, underscore": lambda letter, type: f"{type}_{letter}" if type else letter,
    "lower case": lambda letter, type: f"{letter}-{type}".lower() if type else letter.lower(),
}


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


def touching(spans):
    return any(one[0] == other[0] and one[2] == other[1] for one, other in itertools.pairwise(spans))


def is_legal(tags, scheme):
    try:
        check_tags(tags, scheme)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize(("scheme", "longest"), [("BIO", 5), ("BIOES", 4), ("IOE2", 5)])
def test_spans_are_those_of_seqeval_on_every_sequence(scheme, longest):
    for tags in sequences(scheme, longest):
        assert tags_to_spans(tags) == [(type, begin, end + 1) for type, begin, end in get_entities(tags)], tags


@pytest.mark.parametrize("scheme", TAGS)
def test_tags_and_spans_are_inverse(scheme):
    for length in range(5):
        sets = [spans for spans in sets_of_spans(length) if scheme != "IO" or not touching(spans)]
        written = [spans_to_tags(entities, length, scheme) for entities in sets]
        assert [tags_to_spans(tags) for tags in written] == sets
        assert [tags_to_spans(tags, scheme, strict=True) for tags in written] == sets
        # The legal tags are exactly those that spans_to_tags writes.
        legal = {tuple(tags) for tags in sequences(scheme, 4) if len(tags) == length and is_legal(tags, scheme)}
        assert legal == set(map(tuple, written))
        assert len(written) == len(legal)


@pytest.mark.parametrize("scheme", STRICT)
def test_strict_reading_is_that_of_seqeval_on_every_sequence(scheme):
    for tags in sequences(scheme, 4):
        found = [(entity.tag, entity.start, entity.end) for entity in Tokens(tags, STRICT[scheme]).entities]
        assert tags_to_spans(tags, scheme, strict=True) == found, tags
        if is_legal(tags, scheme):
            assert tags_to_spans(tags) == tags_to_spans(tags, scheme) == found, tags


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
        "IOE1": ["I-PER", "E-PER", "I-PER", "I-LOC", "O", "I-LOC", "I-LOC", "I-LOC"],
        "IOE2": ["I-PER", "E-PER", "E-PER", "E-LOC", "O", "I-LOC", "I-LOC", "E-LOC"],
        "BIOES": ["B-PER", "E-PER", "S-PER", "S-LOC", "O", "B-LOC", "I-LOC", "E-LOC"],
        "BILOU": ["B-PER", "L-PER", "U-PER", "U-LOC", "O", "B-LOC", "I-LOC", "L-LOC"],
        "BMES": ["B-PER", "E-PER", "S-PER", "S-LOC", "O", "B-LOC", "M-LOC", "E-LOC"],
        "BMEWO": ["B-PER", "E-PER", "W-PER", "W-LOC", "O", "B-LOC", "M-LOC", "E-LOC"],
        "BMES, type first": ["PER-B", "PER-E", "PER-S", "LOC-S", "O", "LOC-B", "LOC-M", "LOC-E"],
    }
    for source, target in itertools.product(same, repeat=2):
        assert convert_tags(same[source], source, target) == same[target]
        assert convert_tags(same[source], "auto", target) == same[target]
    assert convert_tags([], "IOB1", "BIOES") == []
    for alias, scheme in {"IOB2": "BIO", "IOE": "IOE2", "IOBES": "BIOES", "BIOUL": "BILOU", "BMESO": "BMES"}.items():
        assert convert_tags(same["BIO"], "BIO", alias) == same[scheme]
    types = ["PER", "PER", "O", "creative-work", "LOC"]
    assert convert_tags(types, "IO, types only", "BIOES") == ["B-PER", "E-PER", "O", "S-creative-work", "S-LOC"]
    assert convert_tags(["B-PER", "I-PER", "O"], "BIO", "IO, types only") == ["PER", "PER", "O"]
    with pytest.raises(ValueError, match="of one type that do not touch"):
        convert_tags(same["BIO"], "BIO", "IO")


@pytest.mark.parametrize("style", STYLES)
def test_spellings(style):
    for tags in sequences("BIO", 3):
        spelled = [STYLES[style](*tag.partition("-")[::2]) for tag in tags]
        case = str.lower if style == "lower case" else str
        wanted = [(case(type), *places) for type, *places in tags_to_spans(tags)]
        scheme = f"BIO, {style}"
        assert tags_to_spans(spelled, scheme) == wanted
        assert is_legal(spelled, scheme) == is_legal(tags, "BIO")
        if is_legal(tags, "BIO"):
            assert spans_to_tags(wanted, len(tags), scheme) == spelled
            assert convert_tags(tags, "BIO", "BIOES") == convert_tags(spelled, f"{scheme}, any case", "BIOES") or (
                style == "lower case"
            )
    assert find_scheme([STYLES[style](*tag.partition("-")[::2]) for tag in TAGS["BIO"]]) == scheme


def test_tags_without_types():
    assert tags_to_spans(["B", "I", "O", "B"]) == [("", 0, 2), ("", 3, 4)]
    assert convert_tags(["B", "I", "O", "B"], "BIO", "BILOU") == ["B", "L", "O", "U"]
    assert legal_transitions(["O", "B", "I"]).between.tolist() == [[True, True, False], [True] * 3, [True] * 3]
    assert find_scheme(["O", "B", "I"]) == "BIO" and find_scheme(["b", "m", "e", "s"]) == "BMES, lower case"


@pytest.mark.parametrize("scheme", TAGS)
def test_the_scheme_of_a_corpus_is_found(scheme):
    rows = [spans_to_tags(spans, 4, scheme) for spans in sets_of_spans(4) if scheme != "IO" or not touching(spans)]
    assert find_scheme(rows) == find_scheme(iter(rows)) == scheme
    assert find_scheme([*rows, ["[CLS]", "O", "X", "[SEP]", ""]], ignore=["[CLS]", "X", "[SEP]"]) == scheme
    first = {"IOB1": "BIO", "IOE1": "IOE2"}  # a list of all tags does not tell them apart
    assert find_scheme(TAGS[scheme]) == first.get(scheme, scheme)
    suffix = [["-".join(reversed(tag.split("-"))) for tag in row] for row in rows]
    assert find_scheme(suffix) == f"{scheme}, type first"


def test_a_few_mistakes_do_not_change_the_scheme():
    assert find_scheme([["B-X", "I-X"], ["O", "B-X"], ["O", "I-X"]]) == "BIO"
    assert find_scheme([["I-X", "I-X"], ["O", "I-X"], ["O", "B-X"]]) == "IOB1"
    assert find_scheme([["O", "PER"], ["O", "LOC"]]) == "IO, types only"
    assert find_scheme([["o", "b-X"], ["O", "I-X"]]) == "BIO, any case"
    assert find_scheme([[], ["O"]]) == "BIO"
    for tags in (["O", "B-X", "<pad>"], ["O", 7], ["O", "B-X", "LOC"], ["O", "L-X", "M-X"], ["B-X", "X_B"]):
        with pytest.raises(ValueError, match="find_scheme"):
            find_scheme([tags])


@pytest.mark.parametrize("tag", ["B:PER", "I/PER", "B PER", "PER.B", "S|PER", "PER:E"])
def test_a_tag_with_another_separator_is_no_type(tag):
    with pytest.raises(ValueError, match=re.escape(f"received {tag!r}.")):
        find_scheme([["O", tag], ["O", "LOC"]])
    assert find_scheme(["O", "Creative Work", "creative_work", "org-company"]) == "IO, types only"


def test_special_labels_are_left_out():
    special = {"ignore": ["[CLS]", "X", "[SEP]"]}
    tags = ["[CLS]", "B-PER", "X", "X", "I-PER", "O", "B-LOC", "X", "[SEP]"]
    assert tags_to_spans(tags, **special) == [("PER", 1, 5), ("LOC", 6, 7)]
    check_tags(tags, **special)
    converted = [tag.replace("I-P", "E-P").replace("B-L", "S-L") for tag in tags]
    assert convert_tags(tags, "BIO", "BIOES", **special) == converted
    start, between, end = legal_transitions(["O", "B-X", "X"], **special)
    assert not (start[2] or end[2] or between[2].any() or between[:, 2].any()) and between[:2, :2].all()
    with pytest.raises(ValueError, match="Position 4: I-PER may not follow O in BIO"):
        check_tags(["O", "X", "X", "X", "I-PER"], **special)


@pytest.mark.parametrize(
    ("tag", "advice"),
    [
        ("PER-B", "It looks like a tag of the scheme 'BIO, type first'."),
        ("b-per", "It looks like a tag of the scheme 'BIO, any case'."),
        ("B_PER", "It looks like a tag of the scheme 'BIO, underscore'."),
        ("LOC", "It looks like a tag of the scheme 'IO, types only'."),
        ("[PAD]", "If it is no tag, but a special label, pass ignore=['[PAD]']."),
        ("X", "If it is no tag, but a special label, pass ignore=['X']."),
    ],
)
def test_an_error_says_what_a_tag_looks_like(tag, advice):
    message = re.escape(f"expected a tag such as 'O', 'B-PER' or 'I-PER', received {tag!r}. {advice}")
    for use in (tags_to_spans, check_tags, legal_transitions):
        with pytest.raises(ValueError, match=message):
            use(["O", tag])


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
        (["O"], "BOI", "Expected one of the schemes IOB1, BIO, BIOES, IOE1, IOE2, IO, BILOU, BMES, BMEWO"),
        (["O", "E-PER"], "IO, types only, type", "after IO), received 'IO, types only, type'."),
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
        (lambda: tags_to_spans(["A-PER"]), "received 'A-PER'"),
        (lambda: tags_to_spans(["O"], strict=True), "expected a scheme along with strict=True"),
        (lambda: spans_to_tags([("PER", 0, 2), ("LOC", 1, 3)], 3), "received ('LOC', 1, 3) after one that ends at 2."),
        (lambda: spans_to_tags([("PER", 1, 1)], 3), "of at least one token"),
        (lambda: spans_to_tags([("PER", -1, 1)], 3), "from 0 to 3; received ('PER', -1, 1)"),
        (lambda: spans_to_tags([("PER", 2, 4)], 3), "received ('PER', 2, 4)"),
        (lambda: spans_to_tags([], 3, "BILUO"), "received 'BILUO'"),
        (lambda: convert_tags(["O", "I-PER"], "BIO", "IOB1"), "Position 1: I-PER may not follow O in BIO."),
        (lambda: convert_tags(["O"], "BIO", "BIO, upside down"), "received 'BIO, upside down'"),
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
