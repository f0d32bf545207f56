"""Decoding against exhaustive search, by scores that teacher forcing gives: no line of the searches is in them."""

import functools
import gc
import itertools
import weakref

import keras
import numpy as np
import pytest
from keras import ops

from rnnkit import layers
from rnnkit.decoding import beam_search, greedy_search, sample, search
from tests.layer_checks import to_numpy

VOCABULARY, BATCH, SOURCE, START, END, LENGTH = 27, 3, 4, 1, 2, 4
SAID = [END, 5, 9]  # the only tokens that the decoders of these tests say: so 27 beams hold every beginning of length 3


def decoder_and_states(kind="attention", tokens=SAID, batch=BATCH, **kwargs):
    rng = np.random.default_rng(4)
    cells = {
        "gru": lambda: layers.GRUCell(5),
        "keras lstm": lambda: keras.layers.LSTMCell(5),
        "stacked": lambda: keras.layers.StackedRNNCells([layers.LSTMCell(5), keras.layers.GRUCell(5)]),
        "attention": lambda: layers.AttentionCell(
            layers.LSTMCell(5), layers.LuongAttention(5), input_feeding=True, coverage=True
        ),
    }
    decoder = layers.Decoder(
        keras.layers.Embedding(VOCABULARY, 3), cells[kind](), keras.layers.Dense(VOCABULARY), **kwargs
    )
    counts = {"gru": 1, "keras lstm": 2, "stacked": 3, "attention": 2}
    states = [rng.normal(size=(batch, 5)).astype("float32") for _ in range(counts[kind])]
    if kind == "attention":
        memory = rng.normal(size=(batch, SOURCE, 6)).astype("float32")
        mask = np.arange(SOURCE) < np.resize([4, 2, 3], batch)[:, None]
        states = decoder.cell.initial_state(memory, mask, states)
    nested = [[states[0], states[1]], states[2]] if kind == "stacked" else states
    decoder(np.ones((batch, 1), "int32"), initial_state=nested)
    decoder.set_weights([rng.normal(size=weight.shape) for weight in decoder.get_weights()])
    bias = np.full(VOCABULARY, -1e4)
    bias[tokens] = rng.normal(size=len(tokens))
    *rest, _ = decoder.get_weights()
    decoder.set_weights([*rest, bias])
    return decoder, nested


@functools.cache
def _shared(kind):
    return decoder_and_states(kind)


def shared(kind="attention"):
    """A decoder that no test changes: all of them use its programs. The states are a list of the caller's own."""
    decoder, states = _shared(kind)
    return decoder, list(states)


def log_p_by_teacher_forcing(decoder, states, tokens):
    """ln p of every token of the vocabulary at each step, `(batch, time, vocabulary)`, from one call."""
    read = np.concatenate([np.full((len(tokens), 1), START), tokens[:, :-1]], axis=1)
    return to_numpy(ops.log_softmax(ops.cast(decoder(read, initial_state=states), "float32"), axis=-1))


def steps_by_teacher_forcing(decoder, states, tokens):
    """ln p of each token, `(batch, time)`."""
    tokens = np.asarray(tokens)
    log_p = log_p_by_teacher_forcing(decoder, states, tokens)
    return np.take_along_axis(log_p, tokens[..., None], axis=-1)[..., 0]


def for_each_row(function, decoder, states, sequences):
    """`function(decoder, states, tokens)` of each of the sequences in each row, in one call: `(sequence, row, ...)`."""
    many = [ops.convert_to_tensor(np.tile(to_numpy(state), (len(sequences), *[1] * (state.ndim - 1))))
            for state in map(to_numpy, keras.tree.flatten(states))]  # fmt: skip
    many = keras.tree.pack_sequence_as(states, many)
    values = function(decoder, many, np.repeat(padded(sequences), BATCH, axis=0))
    return values.reshape(len(sequences), BATCH, *values.shape[1:])


def padded(sequences):
    return np.array([[*sequence, *[0] * (LENGTH - len(sequence))] for sequence in sequences])


def is_token(sequences):
    return np.arange(LENGTH) < np.array([[len(sequence)] for sequence in sequences])


def alignments_by_hand(decoder, states, tokens):
    carried, found, before = list(map(ops.convert_to_tensor, states)), [], np.full(len(tokens), START)
    for t in range(tokens.shape[1]):
        projected = decoder.cell.project(decoder.embedding(before))
        attended, carried = decoder.cell.attend(projected, carried)
        found.append(to_numpy(attended.alignment))
        before = tokens[:, t]
    return np.stack(found, axis=1)


def every_sequence(tokens=SAID, length=LENGTH):
    """All that can be said in at most `length` tokens: they end with END, or are cut off."""
    for size in range(1, length + 1):
        for sequence in itertools.product([token for token in tokens if token != END], repeat=size - 1):
            yield from ([*sequence, last] for last in tokens if last == END or size == length)


def exhaustive(decoder, states, length_penalty=0.0, coverage_penalty=0.0):
    """For each row, all sequences with their scores, the best first."""
    sequences = list(every_sequence())
    counts, lengths = is_token(sequences), np.array([len(sequence) for sequence in sequences])
    scores = for_each_row(steps_by_teacher_forcing, decoder, states, sequences).astype("float64")
    scores = np.where(counts[:, None], scores, 0.0).sum(axis=-1) / ((5 + lengths[:, None]) / 6) ** length_penalty
    if coverage_penalty:
        alignments = for_each_row(alignments_by_hand, decoder, states, sequences)
        covered = np.minimum(np.where(counts[:, None, :, None], alignments, 0.0).sum(axis=2), 1)
        mask = to_numpy(states[-1]).astype(bool)
        scores += coverage_penalty * np.log(np.where(mask, covered, 1)).sum(axis=-1)
    rows = [zip(scores[:, row], padded(sequences).tolist(), strict=True) for row in range(BATCH)]
    return [sorted(row, reverse=True) for row in rows]


@pytest.mark.parametrize(
    "kind, penalties",
    [("attention", (0.0, 0.0)), ("attention", (0.8, 0.0)), ("attention", (0.6, 0.7)), ("gru", (1.0, 0.0)),
     ("stacked", (0.0, 0.0)), ("keras lstm", (0.3, 0.0))],
)  # fmt: skip
def test_a_beam_as_wide_as_all_beginnings_finds_what_exhaustive_search_finds(kind, penalties):
    decoder, states = shared(kind)
    options = dict(zip(("length_penalty", "coverage_penalty"), penalties, strict=True))
    found = beam_search(decoder, states, START, END, LENGTH, width=VOCABULARY, n_best=10, **options)
    expected = exhaustive(decoder, states, *penalties)
    for row in range(BATCH):
        best = expected[row][:10]
        np.testing.assert_allclose(found.scores[row], [score for score, _ in best], rtol=1e-4)
        assert found.tokens[row].tolist() == [sequence for _, sequence in best]


def test_penalties_change_what_is_found():
    decoder, states = shared()
    plain, long, covering = (
        beam_search(decoder, states, START, END, LENGTH, width=VOCABULARY, n_best=10, **options).tokens
        for options in ({}, {"length_penalty": 0.8}, {"length_penalty": 0.6, "coverage_penalty": 0.7})
    )
    assert (plain != long).any() and (plain != covering).any() and (long != covering).any()


def test_a_narrow_beam_is_the_search_of_the_book():
    """Against a beam search in plain Python, which scores each beginning by teacher forcing."""
    decoder, states = shared()
    found = beam_search(decoder, states, START, END, LENGTH, width=2, n_best=2)
    whole = [[*beginning, token] for beginning in itertools.product(SAID, repeat=LENGTH - 1) for token in SAID]
    gains = for_each_row(steps_by_teacher_forcing, decoder, states, whole)
    gain_of = {}  # of the last token of each beginning, in each row
    for sequence, of_rows in zip(whole, gains, strict=True):
        gain_of.update({tuple(sequence[: t + 1]): of_rows[:, t] for t in range(LENGTH)})
    for row in range(BATCH):
        beams = [(0.0, [])]
        for _ in range(LENGTH):
            candidates = [beam for beam in beams if beam[1] and beam[1][-1] == END]
            for score, sequence in beams:
                if not sequence or sequence[-1] != END:
                    for token in SAID:
                        candidates.append((score + gain_of[*sequence, token][row], [*sequence, token]))
            beams = sorted(candidates, reverse=True)[:2]
        for place, (score, sequence) in enumerate(beams):
            assert found.tokens[row, place].tolist() == [*sequence, *[0] * (LENGTH - len(sequence))]
            np.testing.assert_allclose(found.scores[row, place], score, rtol=1e-4)


@pytest.mark.parametrize("kind", ["attention", "gru", "keras lstm", "stacked"])
def test_greedy_search_takes_the_most_likely_token_at_each_step(kind):
    decoder, states = shared(kind)
    found = greedy_search(decoder, states, START, END, 6)
    log_p = log_p_by_teacher_forcing(decoder, states, found.tokens)
    total, finished = np.zeros(BATCH), np.zeros(BATCH, bool)
    for t in range(6):
        np.testing.assert_array_equal(found.tokens[:, t], np.where(finished, 0, log_p[:, t].argmax(axis=-1)))
        total += np.where(finished, 0, log_p[:, t].max(axis=-1))
        finished |= found.tokens[:, t] == END
    np.testing.assert_allclose(found.scores, total, rtol=1e-4)
    one_beam = beam_search(decoder, states, START, END, 6, width=1)
    np.testing.assert_array_equal(one_beam.tokens[:, 0], found.tokens)
    np.testing.assert_allclose(one_beam.scores[:, 0], found.scores, rtol=1e-5)


def test_alignments_belong_to_the_tokens():
    decoder, states = shared()
    greedy, beam = (
        search(decoder, states, START, END, LENGTH, **options)
        for search, options in ((greedy_search, {}), (beam_search, {"width": 4, "n_best": 3}))
    )
    for tokens, alignments in [(greedy.tokens, greedy.alignments)] + [
        (beam.tokens[:, n], beam.alignments[:, n]) for n in range(3)
    ]:
        lasts = np.cumsum(np.cumsum(tokens == END, axis=1), axis=1) <= 1  # up to the end token
        expected = np.where(lasts[..., None], alignments_by_hand(decoder, states, tokens), 0)
        np.testing.assert_allclose(alignments, expected, atol=1e-5)
    assert decoder_without_alignments().alignments is None


def decoder_without_alignments():
    return greedy_search(*shared("gru"), START, END, 2)


@pytest.mark.parametrize("search", [greedy_search, beam_search, sample])
def test_each_row_has_its_own_length_and_its_own_result(search):
    decoder, states = shared()
    options = {"seed": 1} if search is sample else {}
    lengths = np.array([2, 5, 1])
    together = search(decoder, states, START, None, lengths, padding=7, **options)
    tokens = together.tokens[:, 0] if search is beam_search else together.tokens
    assert tokens.shape == (BATCH, 5)
    for row, length in enumerate(lengths):
        assert (tokens[row, :length] != 7).all() and (tokens[row, length:] == 7).all()
        if search is not sample:
            alone = search(decoder, [state[row : row + 1] for state in states], START, None, int(length), padding=7)
            np.testing.assert_array_equal(alone.tokens[0, ..., :length], together.tokens[row, ..., :length])


@pytest.mark.parametrize("search", [greedy_search, beam_search])
def test_the_start_token_may_differ_by_row(search):
    decoder, states = shared()
    states = [ops.repeat(ops.convert_to_tensor(state)[:1], 3, axis=0) for state in states]
    starts = np.array([START, 9, 5])
    together = search(decoder, states, starts, None, LENGTH, padding=7)
    for row, start in enumerate(starts):
        alone = search(decoder, [state[:1] for state in states], int(start), None, LENGTH, padding=7)
        np.testing.assert_array_equal(alone.tokens[0], together.tokens[row])
    assert len(set(together.scores.ravel().tolist())) == 3


def table_step(logits):
    """A decoder as a function: the next token depends on the last one alone."""

    def step(tokens, states):
        return ops.take(ops.convert_to_tensor(logits, "float32"), tokens, axis=0), states

    return step


def table_model(logits):
    """The same as a Keras model, whose programs are kept."""
    table = keras.layers.Embedding(*logits.shape)
    tokens, state = keras.Input((), dtype="int32"), keras.Input((1,))
    model = keras.Model([tokens, state], [table(tokens), state])
    table.set_weights([logits])
    return model


def test_samples_are_distributed_as_the_probabilities():
    logits = np.random.default_rng(0).normal(size=(6, 6))
    model, state = table_model(logits), [np.zeros((20_000, 1), "float32")]

    def shares(**options):
        drawn = sample(model, state, 3, None, 1, seed=2, **options).tokens[:, 0]
        return np.bincount(drawn, minlength=6) / len(drawn)

    def probabilities(temperature=1.0, kept=range(6)):
        p = np.where(np.isin(np.arange(6), list(kept)), np.exp(logits[3] / temperature), 0)
        return p / p.sum()

    order = np.argsort(-logits[3])
    np.testing.assert_allclose(shares(), probabilities(), atol=0.015)  # four standard deviations
    np.testing.assert_allclose(shares(temperature=0.5), probabilities(0.5), atol=0.015)
    np.testing.assert_allclose(shares(temperature=3.0), probabilities(3.0), atol=0.015)
    np.testing.assert_allclose(shares(top_k=2), probabilities(kept=order[:2]), atol=0.015)
    until = np.cumsum(probabilities()[order])
    for top_p in (until[0] - 0.01, until[0] + 0.01, until[2] + 0.01):
        count = int(np.searchsorted(until, top_p)) + 1
        np.testing.assert_allclose(shares(top_p=top_p), probabilities(kept=order[:count]), atol=0.015)
    assert (shares(top_k=1) == probabilities(kept=order[:1])).all()


def test_samples_follow_their_seed_and_their_scores_are_the_decoders_own():
    decoder, states = shared()
    first, same, other = (
        sample(decoder, states, START, None, 12, temperature=2.0, top_k=3, seed=seed) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first.tokens, same.tokens)
    assert (first.tokens != other.tokens).any()
    expected = steps_by_teacher_forcing(decoder, states, first.tokens).sum(axis=1)
    np.testing.assert_allclose(first.scores, expected, rtol=1e-4)


def test_samples_without_a_seed_follow_that_of_keras():
    def drawn(seed):
        keras.utils.set_random_seed(seed)
        return sample(table_step(np.zeros((6, 6))), [np.zeros((4, 1))], 3, None, 20).tokens

    np.testing.assert_array_equal(drawn(1), drawn(1))
    assert (drawn(1) != drawn(2)).any()


@pytest.mark.parametrize("temperature", [1e-6, 1e-60])
def test_the_lowest_temperatures_take_the_most_likely_token(temperature):
    decoder, states = shared()
    found = sample(decoder, states, START, END, LENGTH, temperature=temperature, seed=0)
    np.testing.assert_array_equal(found.tokens, greedy_search(decoder, states, START, END, LENGTH).tokens)


def test_only_tokens_that_may_be_drawn_are_drawn_also_at_the_very_end(monkeypatch):
    """A uniform number of 1 stands for sums that are rounded differently than the last of them, as in parallel."""

    class Last:
        def random(self, shape, dtype):
            return np.ones(shape, dtype)

    monkeypatch.setattr(np.random, "default_rng", lambda seed: Last())
    logits = np.random.RandomState(0).normal(size=(500, 500))
    order = np.argsort(-logits, axis=1)
    for options in ({}, {"top_p": 0.5}, {"top_k": 3}):
        start = np.arange(500)
        drawn = sample(table_step(logits), [np.zeros((500, 1))], start, None, 1, **options)
        assert drawn.tokens.min() >= 0 and drawn.tokens.max() < 500
        p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        places = np.argmax(order == drawn.tokens, axis=1)
        before = np.array([p[row, order[row, :place]].sum() for row, place in enumerate(places)])
        assert (places < options.get("top_k", 500)).all() and (before <= options.get("top_p", 1) + 1e-5).all()


def test_a_function_may_have_no_states():
    logits = np.eye(6)[[1, 2, 3, 4, 5, 0]]
    found = greedy_search(table_step(logits), [], np.array([0, 2]), 4, 5)
    assert found.tokens.tolist() == [[1, 2, 3, 4, 0], [3, 4, 0, 0, 0]]


@pytest.mark.parametrize("time_axis", [True, False])
def test_a_keras_model_with_states_decodes_as_the_decoder_with_its_weights(time_axis):
    decoder, states = shared("keras lstm")
    tokens, h, C = keras.Input((1,) if time_axis else (), dtype="int32"), keras.Input((5,)), keras.Input((5,))
    vectors = decoder.embedding(tokens)
    cell = keras.layers.LSTMCell(5)
    output, (new_h, new_C) = cell(vectors[:, 0] if time_axis else vectors, [h, C])
    cell.set_weights(decoder.cell.get_weights())
    logits = decoder.head(output)
    logits = keras.layers.Reshape((1, VOCABULARY))(logits) if time_axis else logits
    alignment = keras.layers.Softmax()(h)
    for outputs in ([logits, new_h, new_C], [logits, new_h, new_C, alignment]):
        model = keras.Model([tokens, h, C], outputs)
        for a_search in (greedy_search, beam_search):
            ours, theirs = (a_search(searched, states, START, END, LENGTH) for searched in (decoder, model))
            np.testing.assert_array_equal(ours.tokens, theirs.tokens)
            np.testing.assert_allclose(ours.scores, theirs.scores, rtol=1e-5)
            assert (theirs.alignments is None) == (len(outputs) == 3)


def test_a_function_decodes_and_may_change_its_mind():
    likely = np.full((6, 6), -5.0)
    likely[[0, 1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 0]] = 5.0
    logits = {"now": likely}

    def step(tokens, states):
        chosen = ops.take(ops.convert_to_tensor(logits["now"], "float32"), tokens, axis=0)
        return chosen, {"steps": states["steps"] + 1}, ops.ones_like(chosen[:, :2]) / 2

    states = {"steps": np.zeros((2, 1), "int32")}
    found = greedy_search(step, states, 0, 4, 8)
    assert found.tokens.tolist() == [[1, 2, 3, 4, 0, 0, 0, 0]] * 2
    assert found.alignments.sum(axis=(1, 2)).tolist() == [4, 4]
    logits["now"] = likely.T
    assert greedy_search(step, states, 0, 4, 8).tokens.tolist() == [[5, 4, 0, 0, 0, 0, 0, 0]] * 2


def test_new_weights_and_new_shapes_count():
    decoder, states = decoder_and_states()
    before = greedy_search(decoder, states, START, END, LENGTH)
    weights = decoder.get_weights()
    decoder.set_weights([-0.5 * weight for weight in weights[:-1]] + weights[-1:])
    after = greedy_search(decoder, states, START, END, LENGTH)
    assert (before.scores != after.scores).all()
    expected = steps_by_teacher_forcing(decoder, states, after.tokens)
    np.testing.assert_allclose(after.scores, np.where(after.tokens > 0, expected, 0).sum(axis=1), rtol=1e-4)
    one_row = [ops.concatenate([state, state], axis=1) if index >= 3 else state for index, state in enumerate(states)]
    one_row = [state[:1] for state in one_row]  # a memory twice as long
    found = greedy_search(decoder, one_row, START, END, LENGTH)
    assert found.alignments.shape == (1, LENGTH, 2 * SOURCE)


@pytest.mark.parametrize("searched", [greedy_search, beam_search])
def test_few_lengths_need_a_program_of_their_own(searched):
    decoder, states = decoder_and_states()
    all_ = searched(decoder, states, START, None, 33)
    for length in (1, 5, 32):
        found = searched(decoder, states, START, None, length)
        assert found.tokens.shape[-1] == found.alignments.shape[-2] == length
        if searched is greedy_search:
            np.testing.assert_array_equal(found.tokens, all_.tokens[:, :length])
    assert len(search._programs[decoder]) == 2


def test_functions_that_take_turns_are_compiled_once_each_and_few_are_kept():
    decoder, states = decoder_and_states()
    traced = []

    def forbids(token):
        def constrain(tokens, step, logits):
            traced.append(token)
            return ops.where(np.arange(logits.shape[-1]) == token, -np.inf, logits)

        return constrain

    functions = [forbids(token) for token in range(3, 6)]
    counts = []
    for _ in range(3):
        for token, function in zip(range(3, 6), functions, strict=True):
            assert token not in greedy_search(decoder, states, START, END, LENGTH, constrain=function).tokens
        counts.append(len(traced))
    assert counts[0] == counts[1] == counts[2]
    for _ in range(4):
        greedy_search(decoder, states, START, END, LENGTH, constrain=forbids(3))
    programs = [program for program in search._programs[decoder] if program.setting.constraints]
    assert len(programs) == search.KEPT


def one_step_model(decoder):
    """A Keras model from `[tokens, h, C]` to `[logits, h, C]`, with the layers of the decoder."""
    tokens, h, C = keras.Input((), dtype="int32"), keras.Input((5,)), keras.Input((5,))
    output, states = decoder.cell(decoder.embedding(tokens), [h, C])
    return keras.Model([tokens, h, C], [decoder.head(output), *states])


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["attention", "gru", "model"])
def test_nothing_is_left_of_what_was_searched(kind):
    decoder, states = decoder_and_states("keras lstm" if kind == "model" else kind)
    searched = one_step_model(decoder) if kind == "model" else decoder
    for a_search in (greedy_search, sample, beam_search):
        a_search(searched, states, START, END, 2)
    alive = [searched, *searched._flatten_layers(), *searched.variables]
    references = [weakref.ref(one) for one in alive]
    del decoder, searched, alive, states
    keras.backend.clear_session()
    gc.collect()
    assert [reference() for reference in references if reference() is not None] == []


def test_a_saved_model_decodes_equally(tmp_path):
    source, target = keras.Input((None,), dtype="int32"), keras.Input((None,), dtype="int32")
    mask = ops.not_equal(source, 0)
    encoder = layers.Bidirectional(layers.LSTM(4, return_sequences=True, return_state=True))
    memory, *states = encoder(keras.layers.Embedding(VOCABULARY, 3)(source), mask=mask)
    cell = layers.AttentionCell(layers.LSTMCell(5), layers.BahdanauAttention(6))
    decoder = layers.Decoder(
        keras.layers.Embedding(VOCABULARY, 3), cell, keras.layers.Dense(VOCABULARY), name="decoder"
    )
    first = cell.initial_state(memory, mask, layers.Bridge(5)(states))
    model = keras.Model([source, target], [decoder(target, initial_state=first), *first])
    read = np.array([[3, 4, 5, 6], [7, 8, 0, 0]])
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    results = []
    for a_model in (model, loaded):
        _, *states = a_model([read, np.ones((2, 1), "int32")])
        results.append(beam_search(a_model.get_layer("decoder"), states, START, END, 6, n_best=3))
    for expected, value in zip(*results, strict=True):
        np.testing.assert_array_equal(value, expected)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_decodes_with_scores_near_those_of_float32(policy):
    exact, states = decoder_and_states()
    decoder, _ = decoder_and_states(dtype=policy)
    for layer in (decoder, exact):
        weights = layer.get_weights()
        layer.set_weights([0.3 * weight for weight in weights[:-1]] + weights[-1:])
    found = beam_search(decoder, states, START, END, LENGTH, width=3)
    expected = steps_by_teacher_forcing(exact, states, found.tokens[:, 0])
    counts = np.cumsum(np.cumsum(found.tokens[:, 0] == END, axis=1), axis=1) <= 1
    np.testing.assert_allclose(found.scores[:, 0], (expected * counts).sum(axis=1), atol=0.15)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"start": 27}, "start to be a token number from 0 to 26, as the vocabulary has 27 tokens, received 27"),
        ({"start": -1}, "start to be a token number"),
        ({"start": "<s>"}, "start to be a token number, or one for each of 3 rows, received '<s>'"),
        ({"start": np.array([1, 2])}, "one for each of 3 rows"),
        ({"end": 30}, "end to be a token number from 0 to 26"),
        ({"end": 1.5}, "end to be a token number"),
        ({"padding": 99}, "padding to be a token number"),
        ({"max_length": 0}, "max_length to be a positive integer, received 0"),
        ({"max_length": [1, 2]}, "one for each of 3 rows"),
        ({"states": []}, "6 states, received 0: cell.initial_state"),
        ({"states": np.zeros(3)}, "6 states, received 1"),
        ({"states": np.zeros(())}, "states that all have the batch"),
        ({"states": [np.zeros((0, 5))]}, "one row or more"),
        ({"states": [np.zeros((3, 5)), np.zeros((2, 5))]}, r"received shapes \[\(3, 5\), \(2, 5\)\]"),
        ({"decoder": keras.Sequential([keras.layers.Dense(3)])}, "a model from .* received one with 0 inputs"),
        ({"decoder": "a decoder"}, "a rnnkit.layers.Decoder, a Keras model"),
        ({"decoder": keras.layers.Dense(3)}, "a rnnkit.layers.Decoder, a Keras model"),
    ],
)
@pytest.mark.parametrize("search", [greedy_search, sample, beam_search])
def test_wrong_arguments_are_refused(search, change, message):
    decoder, states = shared()
    arguments = {"decoder": decoder, "states": states, "start": START, "end": END, "max_length": 3, **change}
    with pytest.raises(ValueError, match=f"{search.__name__} expected .*{message}"):
        search(**arguments)


@pytest.mark.parametrize(
    "search, options, message",
    [
        (sample, {"temperature": 0}, "temperature to be a number above 0, received 0"),
        (sample, {"temperature": -1.0}, "temperature to be a number above 0"),
        (sample, {"top_p": 0.0}, "top_p to be a number above 0 and at most 1"),
        (sample, {"top_p": 1.1}, "top_p to be a number above 0 and at most 1"),
        (sample, {"top_k": 0}, "top_k to be a positive integer"),
        (sample, {"top_k": 28}, "top_k of at most 27, the size of the vocabulary, received 28"),
        (beam_search, {"width": 0}, "width to be a positive integer"),
        (beam_search, {"width": 2, "n_best": 3}, "n_best of at most width=2"),
        (beam_search, {"length_penalty": -1}, "length_penalty to be a number of 0 or more"),
        (beam_search, {"coverage_penalty": np.nan}, "coverage_penalty to be a number of 0 or more"),
    ],
)
def test_wrong_options_are_refused(search, options, message):
    decoder, states = shared()
    with pytest.raises(ValueError, match=message):
        search(decoder, states, START, END, 3, **options)


@pytest.mark.parametrize(
    "place, shape, message",
    [(1, (3, 4), r"state 1 of shape \(batch, 5\), received \(3, 4\)"), (2, (3,), "state 2 of shape"),
     (4, (3, 4, 7), r"memory \(batch, memory_time, 6\)"), (4, (3, 6), "a memory"), (5, (3, 5), "and its mask")],
)  # fmt: skip
def test_states_of_other_shapes_are_refused_also_by_a_kept_program(place, shape, message):
    decoder, states = shared()
    greedy_search(decoder, states, START, END, LENGTH)
    states[place] = np.ones(shape, "float32")
    with pytest.raises(ValueError, match=f"greedy_search expected .*{message}"):
        greedy_search(decoder, states, START, END, LENGTH)


def test_coverage_penalty_needs_alignments():
    decoder, states = shared("gru")
    with pytest.raises(ValueError, match="beam_search expected alignments for coverage_penalty=0.5"):
        beam_search(decoder, states, START, END, 3, coverage_penalty=0.5)


@pytest.mark.parametrize("last", [keras.layers.Softmax(), keras.layers.Dense(5, activation="softmax", name="said")])
@pytest.mark.parametrize("inside", [False, True])
def test_a_head_of_probabilities_is_refused(last, inside):
    head = keras.Sequential([keras.layers.Dense(5), last]) if inside else last
    decoder = layers.Decoder(keras.layers.Embedding(5, 3), layers.GRUCell(5), head)
    decoder(np.ones((1, 1), "int32"))
    with pytest.raises(ValueError, match=f"expected a head that returns logits, .* the softmax '{last.name}'"):
        greedy_search(decoder, [np.zeros((1, 5))], 1, 2, 3)


def test_a_model_without_states_is_refused():
    model = keras.Sequential([keras.layers.Embedding(5, 3), keras.layers.LSTM(4), keras.layers.Dense(5)])
    model(np.ones((1, 2), "int32"))
    with pytest.raises(ValueError, match=r"a model from .* decode as rnnkit.layers.Decoder\(embedding, layer.cell"):
        greedy_search(model, [], 1, 2, 3)


def test_nothing_to_attend_to_is_refused():
    decoder, states = shared()
    *rest, memory, mask = states
    with pytest.raises(ValueError, match=r"a mask that hides all of rows \[1\]"):
        greedy_search(decoder, [*rest, memory, to_numpy(mask) * np.array([[1], [0], [1]])], START, END, 3)
    with pytest.raises(ValueError, match="an empty memory"):
        greedy_search(decoder, [*rest, memory[:, :0], mask[:, :0]], START, END, 3)


def test_a_decoder_without_weights_and_a_model_of_another_form_are_refused():
    decoder = layers.Decoder(keras.layers.Embedding(5, 3), layers.GRUCell(4), keras.layers.Dense(5))
    with pytest.raises(ValueError, match="expected a decoder with weights"):
        greedy_search(decoder, [np.zeros((1, 4))], 1, 2, 3)
    inputs = keras.Input((4,))
    with pytest.raises(ValueError, match="expected a model from"):
        greedy_search(keras.Model(inputs, keras.layers.Dense(2)(inputs)), [np.zeros((1, 4))], 1, 2, 3)


@pytest.mark.parametrize("kind", ["gru", "keras lstm", "stacked"])
def test_a_decoder_without_states_begins_with_zeros(kind):
    decoder, _ = decoder_and_states(kind)
    zeros = decoder.recurrent.get_initial_state(2)
    for start in (np.array([START, 9]), np.array([9, 5])):
        expected, found = (greedy_search(decoder, states, start, END, LENGTH) for states in (zeros, None))
        np.testing.assert_array_equal(found.tokens, expected.tokens)
    assert beam_search(decoder, None, START, END, LENGTH).tokens.shape == (1, 1, LENGTH)


def test_states_are_needed_where_there_are_no_zeros():
    with pytest.raises(ValueError, match="a memory to attend to, .* give the layer initial_state"):
        greedy_search(shared()[0], None, START, END, 3)
    with pytest.raises(ValueError, match="greedy_search expected states"):
        greedy_search(table_step(np.zeros((3, 3))), None, 0, 1, 3)
