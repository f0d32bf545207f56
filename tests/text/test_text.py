"""rnnkit.text: the vocabulary, and the n-gram model against a brute-force recursion and known figures."""

import itertools
import math
import os
from pathlib import Path

import numpy as np
import pytest

from rnnkit.text import NGram, Vocabulary


def test_vocabulary_numbers_characters_in_order_of_appearance():
    vocabulary = Vocabulary(["hello", "world"])
    assert vocabulary.tokens == ["", "h", "e", "l", "o", "w", "r", "d"]
    assert list(vocabulary) == vocabulary.tokens
    assert len(vocabulary) == 8
    assert vocabulary["h"] == 1 and vocabulary["d"] == 7
    assert "w" in vocabulary and "x" not in vocabulary
    assert Vocabulary("hello").tokens == ["", "h", "e", "l", "o"]
    assert Vocabulary(sequence for sequence in ["he", "llo"]).tokens == ["", "h", "e", "l", "o"]


def test_vocabulary_puts_unknown_and_specials_first():
    vocabulary = Vocabulary([["a", "cat"]], unknown="<unknown>", specials=("<start>", "<end>"))
    assert vocabulary.tokens == ["", "<unknown>", "<start>", "<end>", "a", "cat"]
    assert vocabulary["dog"] == 1
    ids = vocabulary.encode([["<start>", "a", "dog", "<end>"]])
    np.testing.assert_array_equal(ids, [[2, 4, 1, 3]])
    assert vocabulary.decode(ids) == [["<start>", "a", "<unknown>", "<end>"]]


def test_encode_pads_on_the_right():
    vocabulary = Vocabulary(["abc"])
    ids = vocabulary.encode(["ab", "", "abc"])
    assert ids.dtype == np.int32
    np.testing.assert_array_equal(ids, [[1, 2, 0], [0, 0, 0], [1, 2, 3]])
    np.testing.assert_array_equal(vocabulary.encode(["ab"], length=4), [[1, 2, 0, 0]])
    assert vocabulary.encode([]).shape == (0, 0)
    assert vocabulary.encode([], length=5).shape == (0, 5)


def test_decode_undoes_encode():
    names = ["tokyo", "", "san jose", "o'fallon"]
    vocabulary = Vocabulary(names)
    ids = vocabulary.encode(names, length=20)
    assert ["".join(tokens) for tokens in vocabulary.decode(ids)] == names
    assert "".join(vocabulary.decode(ids[2])) == "san jose"
    assert vocabulary.decode(np.int64([])) == vocabulary.decode([]) == []


def test_unknown_token_says_which_and_where():
    vocabulary = Vocabulary([["the", "cat"]])
    with pytest.raises(KeyError, match=r"Unknown token 'dog' at position 1 of sequence 2.*2 tokens.*unknown="):
        vocabulary.encode([["the"], ["cat"], ["the", "dog"]])
    with pytest.raises(KeyError, match="Unknown token 'dog'; "):
        vocabulary["dog"]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Vocabulary([]), "at least one token, received none"),
        (lambda: Vocabulary([""], unknown="?", specials=["!"]), "at least one token, received none"),
        (lambda: Vocabulary([["a", ""]]), "at least one character"),
        (lambda: Vocabulary(["a"], specials="<end>"), "list of tokens, received one string"),
        (lambda: Vocabulary("abc").encode("abc"), "received one string, 'abc'"),
        (lambda: Vocabulary("abc").encode(["ab", "abc"], length=2), "length=2 tokens, received one of 3"),
        (lambda: Vocabulary("abc").decode([0.5, 0.5]), "integer ids, received float64"),
        (lambda: Vocabulary("abc").decode([4]), "from 0 to 3, received ids from 4 to 4"),
        (lambda: Vocabulary("abc").decode([[-1, 2]]), "received ids from -1 to 2"),
        (lambda: Vocabulary("abc").decode(3), r"received shape \(\)"),
        (lambda: Vocabulary("abc").decode(np.zeros((1, 2, 3), int)), r"received shape \(1, 2, 3\)"),
    ],
)
def test_vocabulary_refuses(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def witten_bell(token, history, sequences, tokens):
    """The textbook recursion, counting by looking at every position of every sequence again."""
    n = len(history)
    followers = [
        sequence[end]
        for sequence in sequences
        for end in range(n, len(sequence))
        if sequence[end - n : end] == history and sequence[end] != "^"
    ]
    shorter = witten_bell(token, history[1:], sequences, tokens) if n else 1 / len(tokens)
    types = len(set(followers))
    return (followers.count(token) + types * shorter) / (len(followers) + types) if followers else shorter


TEXTS = ["abracadabra", "banana", "a", "", "cabana", "bad"]


@pytest.mark.parametrize("order", [1, 2, 3, 5])
@pytest.mark.parametrize("ends", [True, False])
def test_ngram_equals_the_recursion_and_sums_to_one(order, ends):
    model = NGram(order, ends=ends, vocabulary="abcdnrz").fit(TEXTS)
    bounded = [f"^{text}$" if ends else text for text in TEXTS]
    tokens = "abcdnrz$" if ends else "abcdnrz"
    for length in range(4):
        for context in map("".join, itertools.product("abnz", repeat=length)):
            history = ("^" if ends else "") + context
            history = history[max(0, len(history) - order + 1) :]
            probabilities = []
            for token in tokens:
                probabilities.append(model.probability(None if token == "$" else token, context))
                expected = witten_bell(token, history, bounded, tokens)
                assert probabilities[-1] == pytest.approx(expected, rel=1e-12), (token, context)
            assert sum(probabilities) == pytest.approx(1, abs=1e-12)


def test_ngram_cross_entropy_is_the_mean_over_tokens_and_ends():
    held_out = ["banal", "", "lab"]
    model = NGram(3, vocabulary="abcdnrl").fit(TEXTS)
    logs = [
        math.log(model.probability(token, text[:position]))
        for text in held_out
        for position, token in enumerate([*text, None])
    ]
    assert len(logs) == 11
    assert model.cross_entropy(held_out) == pytest.approx(-sum(logs) / 11, rel=1e-12)
    words = [text.split() for text in ["the cat runs", "the dog runs", "a cat sleeps"]]
    assert NGram(2).fit(words).cross_entropy(words) < NGram(1).fit(words).cross_entropy(words)


def test_ngram_reads_iterators_and_forgets_earlier_text():
    model = NGram(2).fit(["xyz"])
    model.fit(iter(text) for text in TEXTS if text)
    again = NGram(2).fit([list(text) for text in TEXTS if text])
    assert model.cross_entropy(["banana"]) == again.cross_entropy(iter(["banana"]))
    with pytest.raises(KeyError, match="'x' is unknown"):
        model.probability("x")


@pytest.mark.parametrize(
    ("use", "kind", "message"),
    [
        (lambda: NGram(0), ValueError, "at least 1, received 0"),
        (lambda: NGram(2.0), ValueError, "integer of at least 1, received 2.0"),
        (lambda: NGram(2).fit("hello"), ValueError, "received one string, 'hello'"),
        (lambda: NGram(2).fit([""]), ValueError, "at least one token"),
        (lambda: NGram(2, vocabulary="helo").fit(["hello world"]), KeyError, "' ', 'd', 'r', 'w'.*vocabulary="),
        (lambda: NGram(2).probability("a"), ValueError, "Call fit first"),
        (lambda: NGram(2).fit(["ab"]).cross_entropy(["abc"]), KeyError, "Token 'c' is unknown.*vocabulary="),
        (lambda: NGram(2, ends=False).fit(["ab"]).probability(None), KeyError, "Token None is unknown"),
        (lambda: NGram(2).fit(["ab"]).cross_entropy([]), ValueError, "at least one token"),
        (lambda: NGram(2).fit(["ab"]).cross_entropy("ab"), ValueError, "received one string"),
    ],
)
def test_ngram_refuses(use, kind, message):
    with pytest.raises(kind, match=message):
        use()


@pytest.mark.parametrize(("order", "nats"), [(2, 2.486), (3, 2.049), (4, 1.774), (5, 1.669), (6, 1.698)])
def test_ngram_known_figures_on_tiny_shakespeare(order, nats):
    if not Path(os.environ.get("RNNKIT_DATA") or "absent", "tinyshakespeare.txt").is_file():
        pytest.skip("RNNKIT_DATA names no folder with tinyshakespeare.txt")
    from rnnkit.datasets import tiny_shakespeare

    train, validation = tiny_shakespeare()
    model = NGram(order, ends=False).fit([train])
    assert model.cross_entropy([validation]) == pytest.approx(nats, abs=0.0005)
