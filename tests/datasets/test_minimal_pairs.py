"""rnnkit.datasets.minimal_pairs: the facts that lesson 05 builds on."""

import re
from collections import Counter

from rnnkit import datasets

PARTS = datasets.minimal_pairs()
PAIRS = [pair for part in PARTS for pair in part]


def sentences(pair):
    return [(*pair.left, pair.word, *right) for right in (pair.name, pair.other)]


def test_sizes():
    assert [len(part) for part in PARTS] == [317, 79, 88]
    assert len({pair.word for pair in PAIRS}) == 96


def test_words_are_lower_case_and_every_part_of_a_pair_is_there():
    for pair in PAIRS:
        assert pair.left and pair.name and pair.other
        assert all(re.fullmatch("[a-z]+", word) for sentence in sentences(pair) for word in sentence)


def test_members_of_a_pair_differ_only_after_the_ambiguous_word():
    for pair in PAIRS:
        name, other = sentences(pair)
        here = len(pair.left)
        assert name[: here + 1] == other[: here + 1]
        assert name != other


def test_no_sentence_and_no_right_context_occurs_twice():
    assert max(Counter(sentence for pair in PAIRS for sentence in sentences(pair)).values()) == 1
    rights = Counter(tuple(right) for pair in PAIRS for right in (pair.name, pair.other))
    assert max(rights.values()) == 1


def test_no_left_context_with_its_word_occurs_twice():
    assert max(Counter((tuple(pair.left), pair.word) for pair in PAIRS).values()) == 1


def test_words_of_the_test_pairs_are_held_out_and_those_of_the_validation_pairs_are_not():
    train, validation, test = ({pair.word for pair in part} for part in PARTS)
    assert validation <= train
    assert len(test) == 17
    assert not test & train


def test_the_pair_of_the_lecture_is_held_out():
    assert [" ".join(sentence) for sentence in sentences(PARTS.test[0])] == [
        "he said teddy roosevelt was a great president",
        "he said teddy bears are on sale",
    ]
