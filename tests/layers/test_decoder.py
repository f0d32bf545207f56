import gc
import weakref

import keras
import numpy as np
import pytest
from keras import ops, tree

from rnnkit import backend
from rnnkit.diagnostics import record_gates
from rnnkit.layers import (
    AttentionCell,
    BahdanauAttention,
    Bidirectional,
    Bridge,
    Decoder,
    GRUCell,
    LSTMCell,
    LuongAttention,
    Recurrent,
    RecurrentCell,
    ResidualCell,
    ZoneoutCell,
)
from tests.attention_cases import MEMORY_MASKS, call_with, memory, randomized
from tests.layer_checks import BATCH, EAGER, to_numpy

VOCABULARY, WIDTH = 7, 4
MEMORY, MEMORY_MASK = memory(), MEMORY_MASKS["empty rows"].astype(bool)
TOKENS = np.random.default_rng(4).integers(1, VOCABULARY, size=(BATCH, 6))
PADDED = TOKENS * np.array([[1] * 6, [1, 1, 1, 0, 0, 0], [0, 0, 1, 1, 1, 1], [1, 0, 1, 0, 0, 1], [0] * 6])
CELLS = {
    "LSTM": lambda **how: LSTMCell(WIDTH, **how),
    "residual GRU": lambda **how: ResidualCell(GRUCell(WIDTH, **how)),
    "keras GRU": lambda **how: keras.layers.GRUCell(WIDTH, **how),
    "keras LSTM": lambda **how: keras.layers.LSTMCell(WIDTH, **how),
    "stack": lambda **how: keras.layers.StackedRNNCells([LSTMCell(2, **how), GRUCell(WIDTH, **how)], **how),
    "attention": lambda **how: AttentionCell(
        LSTMCell(3, **how), BahdanauAttention(WIDTH, **how), input_feeding=True, coverage=True
    ),
    "attention to a stack": lambda **how: AttentionCell(
        keras.layers.StackedRNNCells([keras.layers.GRUCell(3, **how), LSTMCell(WIDTH, **how)], **how),
        LuongAttention(3, score="dot", **how),
    ),
}


def decoder_of(name, /, dtype=None, **options):
    embedding = keras.layers.Embedding(VOCABULARY, WIDTH, mask_zero=True, dtype=dtype)
    decoder = Decoder(embedding, CELLS[name](dtype=dtype), keras.layers.Dense(VOCABULARY, dtype="float32"), **options)
    decoder(TOKENS, initial_state=states_of(decoder))
    randomized(decoder)
    if decoder.scheduled_sampling:
        decoder.sampling_rate.assign(0.0)
    return decoder


def states_of(decoder, seed=3):
    rng = np.random.default_rng(seed)
    sizes = tree.flatten(decoder.cell.state_size)
    states = [rng.normal(size=(BATCH, size)).astype("float32") for size in sizes if size]
    if None not in sizes:
        return tree.pack_sequence_as(decoder.recurrent.get_initial_state(BATCH), states)
    return decoder.cell.initial_state(MEMORY, MEMORY_MASK, states[: decoder.cell.inner_states])


@pytest.mark.parametrize("name", CELLS)
def test_is_embedding_recurrence_and_head(name):
    decoder = decoder_of(name)
    layer = Recurrent(decoder.cell, return_sequences=True)
    for given in (states_of(decoder), None):
        if given is None and "attention" in name:
            continue
        for tokens in (TOKENS, PADDED):
            vectors = decoder.embedding(tokens)
            want = decoder.head(layer(vectors, initial_state=given, mask=tokens > 0))
            found = decoder(tokens, initial_state=given)
            np.testing.assert_allclose(to_numpy(found), to_numpy(want), atol=1e-6)


def steps(decoder, choose, states):
    """Logits `(batch, time, vocabulary)` and alignments of a loop by hand; `choose(t, logits)` gives the tokens."""
    changing, constants = decoder.prepare(tree.flatten(states))
    logits, all_logits, alignments = None, [], []
    for t in range(TOKENS.shape[1]):
        logits, new, alignment = decoder.step(choose(t, logits), [*changing, *constants])
        changing = new[: len(changing)]
        all_logits.append(to_numpy(logits))
        alignments.append(alignment)
    return np.stack(all_logits, axis=1), alignments


@pytest.mark.parametrize("name", CELLS)
def test_step_by_step_equals_teacher_forcing(name):
    decoder = decoder_of(name)
    states = states_of(decoder)
    found, alignments = steps(decoder, lambda t, logits: TOKENS[:, t], states)
    np.testing.assert_allclose(found, to_numpy(decoder(TOKENS, initial_state=states)), atol=1e-6)
    if "attention" not in name:
        assert alignments == [None] * TOKENS.shape[1]
        return
    vectors = to_numpy(decoder.embedding(TOKENS))
    want = record_gates(decoder.recurrent, vectors, initial_state=states)["alignment"]
    np.testing.assert_allclose(np.stack([to_numpy(a) for a in alignments], axis=1), want, atol=1e-6)


@pytest.mark.parametrize("name", CELLS)
def test_scheduled_sampling_with_rate_0_is_teacher_forcing(name):
    decoder = decoder_of(name, scheduled_sampling=True, seed=1)
    states = states_of(decoder)
    for tokens in (TOKENS, PADDED):
        want = to_numpy(decoder(tokens, initial_state=states))
        np.testing.assert_allclose(to_numpy(decoder(tokens, initial_state=states, training=True)), want, atol=1e-6)


@pytest.mark.parametrize("name", CELLS)
def test_scheduled_sampling_with_rate_1_reads_its_own_most_likely_tokens(name):
    decoder = decoder_of(name, scheduled_sampling=True, seed=1)
    states = states_of(decoder)
    want, _ = steps(decoder, lambda t, logits: to_numpy(logits).argmax(axis=-1) if t else TOKENS[:, 0], states)
    forced = to_numpy(decoder(TOKENS, initial_state=states))
    decoder.sampling_rate.assign(1.0)
    np.testing.assert_allclose(to_numpy(decoder(TOKENS, initial_state=states, training=True)), want, atol=1e-6)
    np.testing.assert_array_equal(to_numpy(decoder(TOKENS, initial_state=states)), forced)  # only in training
    assert abs(want - forced).max() > 1e-2


class Echo(RecurrentCell):
    """Returns what it reads."""

    state_size, output_size = [1], 32

    def step(self, projected, states, training=False):
        return projected, states


def counting_decoder(rate, seed):
    """After token k, token k + 1 is most likely; the logits at t say which token was read at t."""
    embedding = keras.layers.Embedding(32, 32, embeddings_initializer=keras.initializers.Identity())
    decoder = Decoder(embedding, Echo(), keras.layers.Dense(32, use_bias=False), scheduled_sampling=True, seed=seed)
    decoder(np.zeros((1, 1), "int32"))
    decoder.head.set_weights([np.roll(np.eye(32), 1, axis=1)])
    decoder.sampling_rate.assign(rate)
    return decoder


def test_each_row_and_step_is_sampled_on_its_own():
    tokens, rate, decoder = np.zeros((40, 25), "int32"), 0.3, counting_decoder(0.3, seed=1)

    def read(decoder):
        return (to_numpy(decoder(tokens, training=True)).argmax(axis=-1) - 1) % 32

    first = read(decoder)
    own = first > 0  # its own token is one more than what it read before, the true one is 0
    before = np.pad(first, ((0, 0), (1, 0)))[:, :-1]
    np.testing.assert_array_equal(first[own], before[own] + 1)
    assert not own[:, 0].any()
    assert abs(own[:, 1:].mean() - rate) < 4 * np.sqrt(rate * (1 - rate) / own[:, 1:].size)
    for axis in range(2):
        assert (np.diff(own[:, 1:].astype(int), axis=axis) != 0).any()
    again, twin, other = read(decoder), counting_decoder(rate, seed=1), counting_decoder(rate, seed=2)
    assert (again != first).any()
    np.testing.assert_array_equal([read(twin), read(twin)], [first, again])
    assert (read(other) != first).any()


@pytest.mark.parametrize("name", ["keras GRU", "attention"])
def test_gradients_flow_through_sampled_runs(name):
    decoder = decoder_of(name, scheduled_sampling=True, seed=1)
    decoder.sampling_rate.assign(0.5)
    assert [weight.name for weight in decoder.non_trainable_weights] == ["sampling_rate"]
    states = states_of(decoder)

    def loss(*weights):
        logits = call_with(weights, decoder, PADDED, initial_state=states, training=True)
        return ops.sum(ops.square(logits))

    weights = [ops.convert_to_tensor(to_numpy(weight)) for weight in decoder.trainable_weights]
    for gradient in map(to_numpy, backend.gradient(loss, weights)):
        assert np.isfinite(gradient).all() and gradient.any()


def translator(name="attention", dtype=None, **options):
    """A model from source and target tokens to logits, and its decoder; 0 is padding in both."""
    source, target = (keras.Input((None,), dtype="int32", name=kind) for kind in ("source", "target"))
    embedding = keras.layers.Embedding(9, 3, mask_zero=True, dtype=dtype)
    encoder = Bidirectional(Recurrent(LSTMCell(2, dtype=dtype), return_sequences=True, return_state=True))
    value, *states = encoder(embedding(source))
    decoder = Decoder(
        keras.layers.Embedding(VOCABULARY, WIDTH, mask_zero=True, dtype=dtype),
        CELLS[name](dtype=dtype),
        keras.layers.Dense(VOCABULARY, dtype="float32"),
        name="decoder",
        **options,
    )
    states = Bridge(3 if name == "attention" else WIDTH, dtype=dtype)(states)
    if name == "attention":
        states = decoder.cell.initial_state(value, embedding.compute_mask(source), states)
    return keras.Model([source, target], decoder(target, initial_state=states)), decoder


SOURCE = np.array([[3, 1, 4], [2, 5, 0], [1, 0, 0], [6, 6, 2], [0, 0, 0]])
TARGET = np.array([[1, 2, 3, 4, 5, 6], [1, 6, 2, 0, 0, 0], [1, 5, 0, 0, 0, 0], [1, 3, 3, 3, 2, 0], [1, 2, 3, 0, 0, 0]])
NEXT = np.pad(TARGET, ((0, 0), (0, 1)))[:, 1:]
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def test_the_mask_reaches_the_loss():
    model, decoder = translator()
    np.testing.assert_array_equal(to_numpy(decoder.compute_mask(TARGET)), TARGET > 0)
    model.compile(loss=LOSS, run_eagerly=EAGER)
    logits = model.predict_on_batch([SOURCE, TARGET]).astype("float64")
    logs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    rows, times = np.nonzero(TARGET)
    want = -logs[rows, times, NEXT[rows, times]].mean()
    np.testing.assert_allclose(model.evaluate([SOURCE, TARGET], NEXT, verbose=0), want, rtol=1e-5)
    garbage = np.where(TARGET > 0, NEXT, 3)
    np.testing.assert_allclose(model.evaluate([SOURCE, TARGET], garbage, verbose=0), want, rtol=1e-5)
    unmasked = Decoder(keras.layers.Embedding(3, 2), LSTMCell(2), keras.layers.Dense(3))
    assert unmasked.compute_mask(TARGET) is None


@pytest.mark.parametrize("name", ["attention", "LSTM"])
def test_a_translator_trains_saves_and_loads_in_one_file(name, tmp_path):
    model, decoder = translator(name, scheduled_sampling=True, seed=5)
    assert model.output.shape == (None, None, VOCABULARY)
    model.compile(keras.optimizers.Adam(0.1), loss=LOSS, run_eagerly=EAGER)
    decoder.sampling_rate.assign(0.25)
    losses = [model.train_on_batch([SOURCE, TARGET], NEXT) for _ in range(12)]
    assert losses[-1] < 0.8 * losses[0]
    assert float(to_numpy(decoder.sampling_rate)) == 0.25
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")  # safe mode is the default
    assert float(to_numpy(loaded.get_layer("decoder").sampling_rate)) == 0.25
    want = model.predict_on_batch([SOURCE, TARGET])
    np.testing.assert_array_equal(loaded.predict_on_batch([SOURCE, TARGET]), want)
    assert len(loaded.get_weights()) == len(model.get_weights())


@pytest.mark.slow
def test_a_step_of_training_is_the_same_however_it_is_compiled():
    def trained(**how):
        keras.utils.set_random_seed(0)
        model, decoder = translator(scheduled_sampling=True, seed=5)
        decoder.sampling_rate.assign(1.0)  # the draws themselves are others with XLA
        model.compile(keras.optimizers.SGD(0.1), loss=LOSS, **how)
        return [model.train_on_batch([SOURCE, TARGET], NEXT), *model.get_weights()]

    xla = keras.backend.backend() != "torch"  # there, jit_compile means torch.compile, which Keras tests itself
    want = trained(jit_compile=False)
    for value, same in zip(trained(jit_compile=xla), want, strict=True):
        np.testing.assert_allclose(value, same, atol=1e-6)


@pytest.mark.parametrize("name", ["stack", "attention"])
def test_config_makes_the_same_layer(name):
    decoder = decoder_of(name, scheduled_sampling=True, seed=3, name="mine")
    twin = Decoder.from_config(decoder.get_config())
    assert twin.get_config() == decoder.get_config()
    assert twin.scheduled_sampling and twin.seed == 3 and type(twin.cell) is type(decoder.cell)
    states = states_of(decoder)
    twin(TOKENS, initial_state=states)
    twin.set_weights(decoder.get_weights())
    runs = [to_numpy(each(TOKENS, initial_state=states)) for each in (decoder, twin)]
    np.testing.assert_array_equal(*runs)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    single, decoder = (decoder_of("attention", dtype=dtype) for dtype in (None, policy))
    assert decoder.compute_dtype == policy.removeprefix("mixed_")
    assert all(weight.dtype == "float32" for weight in decoder.weights)
    tolerance = {"mixed_float16": 0.02, "mixed_bfloat16": 0.12}[policy]
    states = states_of(single)
    logits = decoder(PADDED, initial_state=states)
    assert keras.backend.standardize_dtype(logits.dtype) == "float32"  # of the head
    np.testing.assert_allclose(to_numpy(logits), to_numpy(single(PADDED, initial_state=states)), atol=tolerance)
    found, _ = steps(decoder, lambda t, logits: TOKENS[:, t], states)
    np.testing.assert_allclose(found, to_numpy(decoder(TOKENS, initial_state=states)), atol=tolerance)


def test_trains_in_half_precision():
    model, _ = translator(dtype="mixed_float16", scheduled_sampling=True, seed=1)
    model.compile(keras.optimizers.SGD(0.1), loss=LOSS, run_eagerly=EAGER, auto_scale_loss=False)
    assert np.isfinite([model.train_on_batch([SOURCE, TARGET], NEXT) for _ in range(2)]).all()
    assert all(np.isfinite(weight).all() for weight in model.get_weights())


@pytest.mark.parametrize("shape", [(5,), (5, 6, 1)])
def test_tokens_have_a_time_axis(shape):
    decoder = decoder_of("LSTM")
    with pytest.raises(ValueError, match=r"expected tokens \(batch, time\), received shape"):
        decoder(np.ones(shape, "int32"))


def test_an_attention_cell_needs_its_memory():
    decoder = decoder_of("attention", scheduled_sampling=True)
    for training in (False, True):
        with pytest.raises(ValueError, match="a memory to attend to, .* initial_state=cell.initial_state"):
            decoder(TOKENS, training=training)


def test_what_is_drawn_for_each_step_cannot_be_drawn_in_sampled_runs():
    for cell in (LSTMCell(2, dropout=0.1, dropout_each_step=True), ResidualCell(ZoneoutCell(LSTMCell(2)))):
        parts = keras.layers.Embedding(3, 2), cell, keras.layers.Dense(3)
        Decoder(*parts)
        with pytest.raises(ValueError, match=r"Decoder\(scheduled_sampling=True\) expected a cell that draws nothing"):
            Decoder(*parts, scheduled_sampling=True)


@pytest.mark.parametrize("kind", [LSTMCell, keras.layers.LSTMCell])
def test_dropout_of_a_sequence_in_sampled_runs(kind):
    def run(training=True):
        cell = kind(WIDTH, dropout=0.4, recurrent_dropout=0.3, seed=2)
        decoder = Decoder(keras.layers.Embedding(9, 3), cell, keras.layers.Dense(9), scheduled_sampling=True, seed=1)
        decoder(TOKENS)
        randomized(decoder)
        decoder.sampling_rate.assign(0.5)
        return to_numpy(decoder(TOKENS, training=training))

    np.testing.assert_array_equal(run(), run())
    assert abs(run() - run(training=False)).max() > 1e-2


@pytest.mark.parametrize("kind", ["left", "right"])
def test_the_first_unmasked_token_is_read_as_given(kind):
    """Whatever the padding before it: there, no token of its own is known."""
    embedding = keras.layers.Embedding(32, 32, embeddings_initializer=keras.initializers.Identity(), mask_zero=True)
    decoder = Decoder(embedding, Echo(), keras.layers.Dense(32, use_bias=False), scheduled_sampling=True, seed=1)
    tokens = np.array([[5, 9, 9, 9]] + [[0, 0, 5, 9] if kind == "left" else [5, 9, 0, 0]])
    decoder(tokens)
    decoder.head.set_weights([np.roll(np.eye(32), 1, axis=1)])
    decoder.sampling_rate.assign(1.0)
    read = to_numpy(decoder(tokens, training=True)).argmax(axis=-1) - 1
    np.testing.assert_array_equal(read[0], [5, 6, 7, 8])
    np.testing.assert_array_equal(read[1][tokens[1] > 0], [5, 6])


@pytest.mark.parametrize(
    ("run", "name", "scheduled_sampling"),
    [
        ("eager", "attention", True),
        pytest.param("fit", "attention", True, marks=pytest.mark.slow),
        pytest.param("predict", "LSTM", False, marks=pytest.mark.slow),
    ],
)
def test_nothing_is_left_of_a_model(run, name, scheduled_sampling):
    model, _ = translator(name, scheduled_sampling=scheduled_sampling, seed=1)
    model.compile("sgd", loss=LOSS)
    if run == "fit":
        model.fit([SOURCE, TARGET], NEXT, verbose=0)
    elif run == "predict":
        model.predict([SOURCE, TARGET], verbose=0)
    else:
        model([SOURCE, TARGET], training=True)
    references = [weakref.ref(one) for one in [*model._flatten_layers(), *model.variables]]
    del model, _
    keras.backend.clear_session()
    gc.collect()
    assert [reference() for reference in references if reference() is not None] == []


def test_embedding_and_head_may_be_models_with_dropout():
    embedding = keras.Sequential([keras.Input((None,), dtype="int32"), keras.layers.Embedding(9, 4)])
    head = keras.Sequential([keras.Input((None, 5)), keras.layers.Dropout(0.5, seed=1), keras.layers.Dense(9)])
    decoder = Decoder(embedding, GRUCell(5), head, scheduled_sampling=True, seed=2)
    tokens, states = np.array([[1, 2, 3]]), [np.ones((1, 5), "float32")]
    expected = to_numpy(decoder(tokens, initial_state=states))
    changing, constants = decoder.prepare([ops.convert_to_tensor(state) for state in states])
    for t in range(3):
        logits, changing, _ = decoder.step(ops.convert_to_tensor(tokens[:, t]), [*changing, *constants])
        np.testing.assert_allclose(to_numpy(logits), expected[:, t], atol=1e-6)
    decoder.sampling_rate.assign(1.0)
    assert np.isfinite(to_numpy(decoder(tokens, initial_state=states, training=True))).all()
