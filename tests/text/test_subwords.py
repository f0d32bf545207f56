"""rnnkit.text's alignment of words and sub-words: entities stay what they are, both ways."""

import random
import re

import numpy as np
import pytest

from rnnkit.text import (
    Vocabulary,
    check_tags,
    lengths_to_word_ids,
    spans_to_tags,
    tags_to_spans,
    tags_to_subwords,
    tags_to_words,
)

SCHEMES = [
    "IOB1",
    "BIO",
    "IOE1",
    "IOE2",
    "IO",
    "BIOES",
    "BILOU",
    "BMES",
    "BMEWO",
    "BIOES, type first",
    "BIO, lower case",
]
SCHEMES += ["IO, types only"]


def random_sentence(rng, scheme):
    """The entities of a sentence, their tags, and the number of tokens of each word."""
    spans, place, words = [], 0, rng.randint(1, 8)
    while place < words:
        end = min(words, place + rng.randint(1, 3))
        if rng.random() < 0.6:
            spans.append((rng.choice(["per", "loc"]), place, end))
        place = end + (1 if scheme.split(",")[0] == "IO" else rng.randint(0, 1))
    return spans, spans_to_tags(spans, words, scheme), [rng.choice([0, 1, 1, 2, 3, 4]) for _ in range(words)]


def moved(spans, places):
    """The entities over other places: for each word those of its tokens, or none."""
    found = []
    for type, begin, end in spans:
        tokens = [token for word in range(begin, end) for token in places[word]]
        if tokens:
            found.append((type, tokens[0], tokens[-1] + 1))
    return found


@pytest.mark.parametrize("scheme", SCHEMES)
def test_entities_stay_the_same_both_ways(scheme):
    """The entities over tokens are those over words, place by place, and the tags are legal; truncated or not."""
    rng = random.Random(0)
    for _ in range(200):
        spans, tags, lengths = random_sentence(rng, scheme)
        word_ids = lengths_to_word_ids(lengths, before=1, after=2, max_length=rng.choice([None, 6, 3]))
        ids = [word for word in word_ids if word is not None]
        for all_tokens in (True, False):
            aligned = tags_to_subwords(tags, word_ids, scheme, all_tokens)
            kept = [k for k, word in enumerate(ids) if all_tokens or k == 0 or ids[k - 1] != word]
            places = [[n for n, k in enumerate(kept) if ids[k] == word] for word in range(len(tags))]
            assert aligned.missing == [word for word in range(len(tags)) if word not in ids]
            assert [k for k, real in enumerate(aligned.mask) if real] == [k + 1 for k in kept]
            assert [tag != "" for tag in aligned.tags] == aligned.mask

            real = [tag for tag in aligned.tags if tag]
            check_tags(real, scheme)
            if scheme.split(",")[0] != "IO" or not aligned.missing:  # IO joins what now touches
                assert tags_to_spans(real, scheme, strict=True) == moved(spans, places)

            for_all = [tag or "O" for tag in aligned.tags]
            back = tags_to_words(for_all, word_ids, len(tags), scheme if all_tokens else None, fill="?")
            assert back.missing == aligned.missing
            assert [word for word, tag in enumerate(back.tags) if tag == "?"] == back.missing
            if not back.missing:
                assert back.tags == tags


def test_tags_without_a_scheme_are_shared():
    word_ids = [None, 0, 0, 1, 3, None]
    assert tags_to_subwords(["NN", "VB", "UH", "."], word_ids, all_tokens=True) == (
        ["", "NN", "NN", "VB", ".", ""],
        [False, True, True, True, True, False],
        [2],
    )
    assert tags_to_words(["", "NN", "x", "VB", ".", ""], word_ids, fill="?") == (["NN", "VB", "?", "."], [2])


def test_broken_tags_stay_as_they_are():
    assert tags_to_subwords(["O", "I-PER"], [0, 1, 1], "BIO", True).tags == ["O", "I-PER", "I-PER"]
    assert tags_to_subwords(["b-PER", "O"], [0, 0, 1], "BIO, any case", True).tags == ["b-PER", "I-PER", "O"]


@pytest.mark.parametrize(
    ("pieces", "scheme", "word"),
    [
        (["S-PER", "O"], "BIOES", "S-PER"),
        (["B-PER", "I-PER", "O"], "BIOES", "B-PER"),
        (["O", "B-PER"], "BIO", "O"),
        (["B-PER", "B-LOC"], "BIO", "B-PER"),
        (["I-PER", "E-PER", "O"], "IOE2", "E-PER"),
    ],
)
def test_tokens_that_disagree(pieces, scheme, word):
    assert tags_to_words(pieces, [0] * len(pieces), scheme=scheme).tags == [word]


def test_a_window_that_begins_inside_of_an_entity():
    assert tags_to_subwords(["B-PER", "I-PER", "O"], [None, 1, 1, 2], "BIO") == (
        ["", "B-PER", "", "O"],
        [False, True, False, True],
        [0],
    )
    assert tags_to_words(["", "B-PER", "", "O"], [None, 1, 1, 2]) == (["O", "B-PER", "O"], [0])


def test_what_has_no_tag_is_padding_and_numpy_is_read():
    aligned = tags_to_subwords(["B-PER", "O"], np.array([0, 0, 1]))
    numbers = Vocabulary([["O", "B-PER"]]).encode([aligned.tags])
    np.testing.assert_array_equal(numbers > 0, [aligned.mask])
    assert tags_to_subwords([], []) == ([], [], []) and tags_to_words([], []) == ([], [])


@pytest.mark.parametrize(
    ("use", "problem"),
    [
        (
            lambda: tags_to_subwords(["O"], [0, 1]),
            "expected word_ids below 1, the number of words, received 1 at token 1",
        ),
        (lambda: tags_to_subwords(["O", "O"], [1, 0]), "in their order, received 0 at token 1, after 1"),
        (lambda: tags_to_subwords(["O", "O"], [0, None, 0]), "received 0 at token 2, after 0"),
        (lambda: tags_to_subwords(["O"], [-1]), "received -1 at token 0."),
        (lambda: tags_to_subwords(["O"], ["a"]), "received 'a' at token 0."),
        (lambda: tags_to_subwords(["O", "S-X"], [0, 1], "BIO"), "word 1: expected a tag such as 'O', 'B-PER'"),
        (lambda: tags_to_subwords("OO", [0, 1]), "expected a list of tags, received one string, 'OO'"),
        (lambda: tags_to_words(["O"], [0, 0]), "expected a tag for each token, received 1 tags and 2 word_ids"),
        (lambda: tags_to_words(["O"], [3], words=2), "expected word_ids below 2, the number of words, received 3"),
        (lambda: tags_to_words(["X"], [0], scheme="BIO"), "tags_to_words: expected a tag such as 'O'"),
        (lambda: lengths_to_word_ids([1, -1]), "none of them negative; received before=0, after=0 and [1, -1]"),
        (
            lambda: lengths_to_word_ids([1], 1, 1, max_length=1),
            "max_length of at least 2, the special tokens; received 1",
        ),
    ],
)
def test_errors(use, problem):
    with pytest.raises(ValueError, match=re.escape(problem)):
        use()
