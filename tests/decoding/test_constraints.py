"""What is forbidden, forced and repeated: every search against all sequences, listed one by one."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from rnnkit import decoding, layers

VOCABULARY, START, END, LENGTH = 6, 1, 2, 4
TABLE = np.random.default_rng(3).normal(scale=2.0, size=(VOCABULARY, VOCABULARY)).astype("float32")
STATES = [np.zeros((1, 1), "float32")]
SEARCHES = {
    "greedy": decoding.greedy_search,
    "sample": lambda *args, **kwargs: decoding.sample(*args, seed=1, **kwargs),
    "beam": lambda *args, **kwargs: decoding.beam_search(*args, width=3, **kwargs),
}
LOW = {"-inf": -np.inf, "finfo.min": np.finfo("float32").min, "-1e9": -1e9, "half precision": np.finfo("float16").min}


def decoder_of(table):
    """A function whose logits depend on the token before alone."""
    table = ops.convert_to_tensor(table)
    return lambda tokens, states: (ops.take(table, tokens, axis=0), states)


def log_softmax(logits):
    logits = np.where(np.asarray(logits, "float64") > -5e4, np.asarray(logits, "float64"), -np.inf)
    largest = logits.max()
    return logits if largest == -np.inf else logits - largest - np.log(np.exp(logits - largest).sum())


def all_sequences(allows, table=TABLE, length=LENGTH, change=lambda tokens, logits: 0.0):
    """All sequences that end, or are as long as may be, with their scores, the best first. Padding is never said."""
    found = []
    for size in range(1, length + 1):
        for tokens in itertools.product(range(1, VOCABULARY), repeat=size):
            if END in tokens[:-1] or (size < length and tokens[-1] != END):
                continue
            steps = [(tokens[:t], token) for t, token in enumerate(tokens)]
            if all(allows(before, token) for before, token in steps):
                logits = [table[before[-1] if before else START] for before, _ in steps]
                parts = [
                    (log_softmax(row) + change(before, row))[token]
                    for row, (before, token) in zip(logits, steps, strict=True)
                ]
                found.append((sum(parts), tokens))
    return sorted(((score, tokens) for score, tokens in found if score > -np.inf), reverse=True)


def said(tokens):
    """The tokens of a row, without padding."""
    return tuple(int(token) for token in tokens if token != 0)


def beams(width=200, n_best=8, table=TABLE, **control):
    return decoding.beam_search(decoder_of(table), STATES, START, END, LENGTH, width=width, n_best=n_best, **control)


def same_as(found, expected):
    """The n best of one row are those of a list, whose ties are in any order; the places that are left are empty."""
    scores, kept = dict((tokens, score) for score, tokens in expected), set()
    for place in range(found.tokens.shape[1]):
        if place < len(expected):
            tokens = said(found.tokens[0, place])
            kept.add(tokens)
            np.testing.assert_allclose(found.scores[0, place], expected[place][0], atol=1e-5)
            np.testing.assert_allclose(found.scores[0, place], scores[tokens], atol=1e-5)
        else:
            assert found.scores[0, place] == -np.inf and (found.tokens[0, place] == 0).all()
    assert len(kept) == min(len(expected), found.tokens.shape[1])


def repeats(size):
    def allows(before, token):
        grams = [(*before, token)[i : i + size] for i in range(len(before) + 2 - size)]
        return len(set(grams)) == len(grams)

    return allows


class Odd:
    """A user's constraint: the third token is odd, and token 5 gets a bonus."""

    def __call__(self, tokens, step, logits):
        numbers = ops.arange(ops.shape(logits)[-1])
        even = ops.logical_and(step == 2, numbers % 2 == 0)
        return ops.where(even, -1e9, logits + ops.cast(numbers == 5, "float32"))


MOVES = np.random.default_rng(5).random((VOCABULARY, VOCABULARY)) < 0.6
FIRST = np.array([1, 0, 1, 1, 0, 1], bool)
PHRASES = [(3, 4), (3, 4, 5), (5,), (4, 4, 4)]
CONSTRAINTS = {
    "nothing": ({}, lambda before, token: True),
    "forbidden": ({"forbidden": [3, END]}, lambda before, token: token not in (3, END)),
    "min_length": ({"min_length": 2}, lambda before, token: token != END or len(before) >= 2),
    "no token twice": ({"no_repeat": 1}, repeats(1)),
    "no pair twice": ({"no_repeat": 2}, repeats(2)),
    "longer than all": ({"no_repeat": 9}, lambda before, token: True),
    "prefix": ({"prefix": [5, 3]}, lambda before, token: len(before) > 1 or token == (5, 3)[len(before)]),
    "prefix of what is forbidden": (
        {"prefix": [5], "forbidden": [5]},
        lambda before, token: (token == 5) == (len(before) == 0),
    ),
    "moves": (
        {"constrain": decoding.Moves(MOVES, FIRST)},
        lambda before, token: MOVES[before[-1], token] if before else FIRST[token],
    ),
    "trie": (
        {"constrain": decoding.Trie(PHRASES, END)},
        lambda before, token: any((*phrase, END)[: len(before) + 1] == (*before, token) for phrase in PHRASES),
    ),
    "several": (
        {"constrain": [decoding.Moves(MOVES, FIRST)], "min_length": 3, "no_repeat": 2, "forbidden": [4]},
        lambda before, token: (
            (MOVES[before[-1], token] if before else FIRST[token])
            and (token != END or len(before) >= 3)
            and repeats(2)(before, token)
            and token != 4
        ),
    ),
}


@pytest.mark.parametrize("name", CONSTRAINTS)
def test_a_wide_beam_finds_what_is_best_under_a_constraint(name):
    control, allows = CONSTRAINTS[name]
    expected = all_sequences(allows)
    assert expected
    same_as(beams(**control), expected)
    for search in SEARCHES.values():
        found = search(decoder_of(TABLE), STATES, START, END, LENGTH, **control)
        tokens = said(found.tokens.ravel())
        if tokens in [tokens for _, tokens in expected]:
            np.testing.assert_allclose(found.scores.ravel()[0], dict((t, s) for s, t in expected)[tokens], atol=1e-5)
        else:  # the search ran into a dead end
            assert found.scores.ravel()[0] == -np.inf
            assert all(allows(tokens[:t], token) for t, token in enumerate(tokens))


def test_changed_logits_count_in_the_score_of_a_beam():
    bonus = np.eye(VOCABULARY)[5]
    expected = all_sequences(lambda before, token: len(before) != 2 or token % 2 == 1, change=lambda before, row: bonus)
    same_as(beams(constrain=Odd()), expected)

    def penalized(before, row):
        new = np.where(row > 0, row / 1.5, row * 1.5)
        return np.where(np.isin(np.arange(VOCABULARY), before), new, row) - row

    same_as(beams(repetition_penalty=1.5), all_sequences(lambda before, token: True, change=penalized))


@pytest.mark.parametrize("low", LOW.values(), ids=list(LOW))
def test_tokens_that_the_decoder_forbids(low):
    """Two sequences are possible; then 3 is a dead end, and then there is none."""
    nexts = {START: (3, 4), 3: (END,), 4: (5,), 5: (END,)}

    def table(nexts):
        logits = np.full((VOCABULARY, VOCABULARY), low, "float32")
        for token, row in {0: (0,), END: (0,), **nexts}.items():
            logits[token, list(row)] = [0, -1][: len(row)]
        return logits

    for width in (1, 2, 4, 9):
        both = beams(width, min(width, 4), table(nexts))
        same_as(both, all_sequences(lambda before, token: True, table(nexts))[:width])
    dead = beams(2, 2, table({**nexts, 3: ()}))
    assert said(dead.tokens[0, 0]) == (4, 5, END)
    np.testing.assert_allclose(dead.scores[0], [log_softmax([0, -1])[1], -np.inf], atol=1e-6)
    none = table({START: (3,), 3: (4,), 4: ()})
    for name, search in SEARCHES.items():
        found = search(decoder_of(none), STATES, START, END, LENGTH)
        assert said(found.tokens.ravel()) == (3, 4), name
        assert found.scores.ravel()[0] == -np.inf
    three = beams(3, 3, none)
    assert said(three.tokens[0, 0]) == (3, 4) and (three.tokens[0, 1:] == 0).all() and (three.scores == -np.inf).all()


def test_rows_end_each_by_itself():
    """One row has a dead end, another one goes on."""
    table = np.full((VOCABULARY, VOCABULARY), -np.inf, "float32")
    for token, after in [(START, 3), (3, 4), (4, END), (END, 0), (0, 0)]:
        table[token, after] = 0
    for search in SEARCHES.values():
        found = search(decoder_of(table), [np.zeros((2, 1), "float32")], np.array([START, 5]), END, LENGTH)
        tokens, scores = found.tokens.reshape(2, LENGTH), found.scores.ravel()
        np.testing.assert_array_equal(tokens, [[3, 4, END, 0], [0, 0, 0, 0]])
        np.testing.assert_array_equal(scores, [0, -np.inf])


def test_padding_is_never_said():
    table = TABLE.copy()
    table[:, 0] = 9.0  # what a network says that has learned to pad
    for search in SEARCHES.values():
        found = search(decoder_of(table), STATES, START, END, LENGTH)
        assert 0 not in found.tokens.ravel()[: len(said(found.tokens.ravel()))]
    free = decoding.greedy_search(decoder_of(table), STATES, START, END, LENGTH, padding=-1)
    np.testing.assert_array_equal(free.tokens, [[0] * LENGTH])
    ends = TABLE.copy()
    ends[:, END] = 9.0
    found = decoding.beam_search(decoder_of(ends), STATES, START, END, LENGTH, padding=-1, n_best=2)
    np.testing.assert_array_equal(found.tokens[0, 0], [END, -1, -1, -1])


def trained(units=4, seed=0, mask_zero=False):
    keras.utils.set_random_seed(seed)
    embedding = keras.layers.Embedding(VOCABULARY, 3, mask_zero=mask_zero, embeddings_initializer="normal")
    decoder = layers.Decoder(embedding, layers.GRUCell(units), keras.layers.Dense(VOCABULARY))
    decoder(np.array([[1, 2]]))
    for weight in decoder.weights:
        weight.assign(keras.random.normal(weight.shape, stddev=2.0))
    return decoder


def test_a_decoder_that_masks_zeros_never_says_them():
    decoder = trained(mask_zero=True)
    head = decoder.head
    head.bias.assign(np.where(np.arange(VOCABULARY) == 0, 50.0, 0.0))
    for search in SEARCHES.values():
        assert (search(decoder, [np.zeros((2, 4), "float32")], START, None, 5).tokens != 0).all()


PREFIXES = {
    "ragged": [[3, 4], [], [5]],
    "padded on the right": np.array([[3, 4], [0, 0], [5, 0]]),
    "padded on the left": np.array([[3, 4], [0, 0], [0, 5]]),
    "padded with -1": np.array([[3, 4], [-1, -1], [-1, 5]]),
}


@pytest.mark.parametrize("search", SEARCHES)
def test_each_row_goes_on_from_its_prefix(search):
    decoder, states = trained(), np.random.default_rng(0).normal(size=(3, 4)).astype("float32")
    found = [SEARCHES[search](decoder, [states], START, END, 6, prefix=prefix) for prefix in PREFIXES.values()]
    for same in found[1:]:
        np.testing.assert_array_equal(same.tokens, found[0].tokens)
        np.testing.assert_array_equal(same.scores, found[0].scores)
    tokens = found[0].tokens.reshape(3, 6)
    np.testing.assert_array_equal(tokens[0, :2], [3, 4])
    assert tokens[2, 0] == 5
    if search != "sample":  # there, each row has numbers of its own
        alone = SEARCHES[search](decoder, [states[2:]], START, END, 6, prefix=[5])
        np.testing.assert_array_equal(alone.tokens.reshape(1, 6), tokens[2:])
        np.testing.assert_allclose(alone.scores.ravel(), found[0].scores.ravel()[2:], atol=1e-5)


@pytest.mark.parametrize("kind", ["gru", "attention"])
def test_chunks_equal_one_run(kind):
    decoder, states = trained(), [np.random.default_rng(0).normal(size=(3, 4)).astype("float32")]
    if kind == "attention":
        cell = layers.AttentionCell(layers.GRUCell(4), layers.LuongAttention(4))
        decoder = layers.Decoder(keras.layers.Embedding(VOCABULARY, 3), cell, keras.layers.Dense(VOCABULARY))
        memory = np.random.default_rng(1).normal(size=(3, 5, 4)).astype("float32")
        first = cell.initial_state(memory, None, states)
        decoder(np.array([[1, 2]] * 3), initial_state=first)
        states = first
    whole = decoding.greedy_search(decoder, states, START, None, 9)
    for search in (decoding.greedy_search, lambda *args, **kwargs: decoding.beam_search(*args, width=1, **kwargs)):
        first = search(decoder, states, START, None, 4, return_states=True)
        tokens = first.tokens.reshape(3, 4)
        going_on = [state.reshape(old.shape) for state, old in zip(first.states, states, strict=True)]
        second = decoding.greedy_search(decoder, going_on, tokens[:, -1], None, 5)
        np.testing.assert_array_equal(np.concatenate([tokens, second.tokens], axis=1), whole.tokens)
        np.testing.assert_allclose(first.scores.ravel() + second.scores, whole.scores, atol=1e-4)


def test_a_sample_depends_on_its_seed_and_row_alone():
    decoder, states = trained(), np.random.default_rng(0).normal(size=(3, 4)).astype("float32")

    def draw(rows, length, **how):
        return decoding.sample(decoder, [states[rows]], START, None, length, **how).tokens

    whole = draw([0, 1, 2], 40, seed=7)
    np.testing.assert_array_equal(draw([0, 1, 2], 31, seed=7), whole[:, :31])
    np.testing.assert_array_equal(draw([0, 1], 70, seed=7)[:, :40], whole[:2])
    np.testing.assert_array_equal(draw([2, 0], 40, seed=[5, 9]), draw([0, 2], 40, seed=[9, 5])[::-1])
    again = decoding.sample(decoder, [states], START, None, 40, seed=7, prefix=whole[:, :10])
    np.testing.assert_array_equal(again.tokens, whole)
    assert (draw([0, 0], 40, seed=7)[0] != draw([0, 0], 40, seed=7)[1]).any()


def test_an_ensemble_decides_by_the_mean_probability():
    decoders = [trained(4, 1), trained(5, 2)]
    first = [[np.random.default_rng(i).normal(size=(2, 4 + i)).astype("float32")] for i in range(2)]

    def step(tokens, states):
        both = [decoder.step(tokens, [state]) for decoder, state in zip(decoders, states, strict=True)]
        p = [ops.softmax(logits) for logits, _, _ in both]
        return ops.log((p[0] + p[1]) / 2), [new[0] for _, new, _ in both]

    ensemble = decoding.Ensemble(decoders)
    for _ in range(2):
        found = decoding.beam_search(ensemble, first, START, END, 5, width=4, n_best=2)
        expected = decoding.beam_search(step, [s[0] for s in first], START, END, 5, width=4, n_best=2)
        np.testing.assert_array_equal(found.tokens, expected.tokens)
        np.testing.assert_allclose(found.scores, expected.scores, atol=1e-5)
    same = decoding.greedy_search(decoding.Ensemble([decoders[0]] * 2), [first[0]] * 2, START, END, 5)
    alone = decoding.greedy_search(decoders[0], first[0], START, END, 5)
    np.testing.assert_array_equal(same.tokens, alone.tokens)
    np.testing.assert_allclose(same.scores, alone.scores, atol=1e-5)


def test_groups_of_beams_say_different_things():
    """Against the definition: the groups one after the other, and what was said at this step costs."""
    width, groups, diversity = 4, 2, 1.3
    found = beams(width, width, groups=groups, diversity=diversity)
    log_p = np.array([log_softmax(row) for row in TABLE])
    state = [[(0.0, ())] for _ in range(groups)]
    for _ in range(LENGTH):
        spoken = np.zeros(VOCABULARY)
        for group in range(groups):
            options = []
            for score, tokens in state[group]:
                if END in tokens:
                    options.append((score - diversity * spoken[0], score, tokens, 0))
                    continue
                row = log_p[tokens[-1] if tokens else START]
                options += [
                    (score + row[k] - diversity * spoken[k], score + row[k], (*tokens, k), k)
                    for k in range(1, VOCABULARY)
                ]
            best = sorted(options, key=lambda option: -option[0])[: width // groups]
            state[group] = [(score, tokens) for _, score, tokens, _ in best]
            for *_, k in best:
                spoken[k] += 1
    expected = sorted((pair for group in state for pair in group), reverse=True)
    assert [said(row) for row in found.tokens[0]] == [tokens for _, tokens in expected]
    np.testing.assert_allclose(found.scores[0], [score for score, _ in expected], atol=1e-5)
    plain = beams(width, width)
    assert {said(row) for row in found.tokens[0]} != {said(row) for row in plain.tokens[0]}
    same_as(
        beams(width, width, groups=1, diversity=5.0),
        list(zip(plain.scores[0], map(said, plain.tokens[0]), strict=True)),
    )


@pytest.mark.parametrize(
    ("control", "message"),
    [
        ({"forbidden": [6]}, "forbidden to be token numbers from 0 to 5"),
        ({"forbidden": [0.5]}, "forbidden to be token numbers"),
        ({"min_length": -1}, "min_length"),
        ({"no_repeat": 1.5}, "no_repeat"),
        ({"repetition_penalty": 0}, "repetition_penalty to be a number above 0"),
        ({"constrain": 3}, "constrain to be a function"),
        ({"prefix": [[3], [4]]}, "a list for each of 1 rows|one for each of 1 rows"),
        ({"prefix": [9]}, "prefix to be a token number"),
        ({"prefix": [3, 0, 4]}, "padding only before and after a prefix"),
        ({"prefix": [3] * 5}, "at most max_length=4 tokens, received one of 5"),
        ({"constrain": decoding.Moves(np.ones((3, 3)))}, "a vocabulary of 3 tokens"),
        ({"constrain": decoding.Trie([[7]])}, "a vocabulary with the token 7"),
    ],
    ids=lambda value: value if isinstance(value, str) else next(iter(value)),
)
def test_what_cannot_be_asked_for_is_refused(control, message):
    with pytest.raises(ValueError, match=message):
        decoding.greedy_search(decoder_of(TABLE), STATES, START, END, LENGTH, **control)


def test_constraints_that_are_none():
    for wrong in ([], [[]], [3], [[-1]], [[0.5]]):
        with pytest.raises(ValueError, match="Trie expected"):
            decoding.Trie(wrong)
    for wrong in ([], [[1, 0]], [[2, 0], [0, 1]]):
        with pytest.raises(ValueError, match="Moves expected"):
            decoding.Moves(wrong)
    with pytest.raises(ValueError, match="Ensemble expected"):
        decoding.Ensemble([])
    with pytest.raises(ValueError, match="multiple of groups"):
        beams(5, 1, groups=2)
