from dataclasses import dataclass

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
    ElmanCell,
    GRUCell,
    LSTMCell,
    LuongAttention,
    Recurrent,
    ResidualCell,
    ZoneoutCell,
)
from tests import layer_checks, oracles
from tests.attention_cases import (
    ATTENTIONS,
    MEMORY_MASKS,
    MEMORY_TIME,
    UNITS,
    WIDTH,
    call_with,
    memory,
    memory_masks,
    randomized,
)
from tests.layer_checks import BATCH, EAGER, FEATURES, TIME, to_numpy

X, MEMORY = layer_checks.sequences(), memory()
HOLES, EMPTY = layer_checks.MASKS["holes"].astype(bool), MEMORY_MASKS["empty rows"].astype(bool)


def stack_step(weights, x, states):
    h, lower = oracles.lstm_step(weights[:3], x, states[:2])
    h, upper = oracles.gru_keras_step(weights[3:], h, states[2:])
    return h, [*lower, *upper]


INNER = {  # a cell, its step, how many weights it has, and the sizes of its states
    "LSTM": (LSTMCell, oracles.lstm_step, 3, [WIDTH] * 2),
    "GRU": (GRUCell, oracles.gru_keras_step, 3, [WIDTH]),
    "GRU chung": (lambda units, **how: GRUCell(units, convention="chung", **how), oracles.gru_chung_step, 3, [WIDTH]),
    "GRU torch": (lambda units, **how: GRUCell(units, convention="torch", **how), oracles.gru_torch_step, 3, [WIDTH]),
    "Elman": (ElmanCell, oracles.elman_step, 3, [WIDTH]),
    "keras LSTM": (keras.layers.LSTMCell, oracles.lstm_step, 3, [WIDTH] * 2),
    "keras GRU": (keras.layers.GRUCell, oracles.gru_keras_step, 3, [WIDTH]),
    "stack": (
        lambda units, **how: keras.layers.StackedRNNCells([LSTMCell(2, **how), GRUCell(units, **how)], **how),
        stack_step,
        6,
        [2, 2, WIDTH],
    ),
    "zoneout": (
        lambda units, **how: ZoneoutCell(LSTMCell(units, **how), rate=[0.1, 0.4]),
        oracles.zoneout(oracles.lstm_step, [0.1, 0.4]),
        3,
        [WIDTH] * 2,
    ),
}


@dataclass
class Case(layer_checks.Case):
    """A case as of other layers, with a memory and its mask as the last two states."""

    memory_mask: str = "none"

    def states(self, seed=3):
        mask = dict(memory_masks())[self.memory_mask]
        mask = np.ones((BATCH, MEMORY_TIME), bool) if mask is None else mask
        return [*super().states(seed), MEMORY, mask.astype("float32")]


def case(inner, attention, input_feeding=False, coverage=False, memory_mask="none", look=None):
    make_cell, step, weights, sizes = INNER[inner]
    make_attention, score = ATTENTIONS[attention]
    options = {"input_feeding": input_feeding, "coverage": coverage}

    def make(dtype=None, **kwargs):
        attention = make_attention(dtype=dtype)
        attention.build((None, None, WIDTH), (None, None, WIDTH))
        return Recurrent(AttentionCell(make_cell(WIDTH, dtype=dtype), attention, **options), **kwargs)

    step = oracles.attention_cell(step, weights, score, look=look, **options)
    sizes = sizes + [UNITS] * input_feeding + [MEMORY_TIME] * coverage
    return Case(make, step, sizes, memory_mask=memory_mask)


FULL = {
    "LSTM, general, both": case("LSTM", "general", True, True, "empty rows"),
    "GRU, bahdanau": case("GRU", "bahdanau", memory_mask="holes"),
    "Elman, dot, coverage": case("Elman", "dot", coverage=True, memory_mask="left"),
}


@pytest.mark.parametrize("name", FULL)
@pytest.mark.parametrize(
    "check",
    [layer_checks.values_equal_the_oracle, layer_checks.gradients_equal_finite_differences_of_the_oracle],
    ids=lambda check: check.__name__,
)
def test_attention_cell(name, check):
    check(FULL[name])


@pytest.mark.parametrize(
    "arguments",
    [
        ("GRU chung", "concat", True, False, "right"),
        ("GRU torch", "general", False, True, "holes"),
        ("keras LSTM", "bahdanau", True, True, "empty rows"),
        ("keras GRU", "concat", False, True, "left"),
        ("stack", "dot", True, False, "empty rows"),
        ("stack", "bahdanau", True, True, "holes"),
        ("zoneout", "general", False, True, "right"),
    ],
    ids=str,
)
def test_cells_inside(arguments):
    """With a mask over time and one over the memory, both of which are returned as they were."""
    made = case(*arguments)
    layer, states = made.layer(return_sequences=True, return_state=True), made.states()
    for mask in (None, HOLES):
        want, want_states = oracles.run(made.step, layer.get_weights(), X, states, mask)
        outputs, *last = layer(X, initial_state=states, mask=mask)
        np.testing.assert_allclose(to_numpy(outputs), want, atol=4e-6)
        for state, want_state in zip(last, want_states, strict=True):
            np.testing.assert_allclose(to_numpy(state), want_state, atol=4e-6)
        for state, given in zip(last[-2:], states[-2:], strict=True):
            np.testing.assert_array_equal(to_numpy(state), given)


def test_gradients_of_the_memory():
    made = case("GRU", "bahdanau", True, True, "empty rows")
    layer, (*states, value, mask) = made.layer(return_sequences=True), made.states()
    coefficients = np.random.default_rng(5).normal(size=(BATCH, TIME, UNITS)).astype("float32")

    def loss(value):
        outputs = layer(X, initial_state=[*map(ops.convert_to_tensor, states), value, ops.convert_to_tensor(mask)])
        return ops.sum(outputs * ops.convert_to_tensor(coefficients))

    def oracle_loss(value):
        return (oracles.run(made.step, layer.get_weights(), X, [*states, value, mask])[0] * coefficients).sum()

    (gradient,) = backend.gradient(loss, [ops.convert_to_tensor(value)])
    np.testing.assert_allclose(to_numpy(gradient), oracles.numerical_gradient(oracle_loss, value), atol=2e-5)
    assert not to_numpy(gradient)[~EMPTY].any()


def test_garbage_in_the_paddings_changes_nothing():
    made = case("LSTM", "concat", True, True, "empty rows")
    layer, (*states, value, mask) = made.layer(return_sequences=True), made.states()
    dirty_x = np.where(HOLES[..., None], X, np.resize([np.nan, 1e6, np.inf], X.shape)).astype("float32")
    dirty = np.where(EMPTY[..., None], value, np.resize([np.inf, np.nan, 1e6], value.shape)).astype("float32")
    clean = layer(X, initial_state=[*states, value, mask], mask=HOLES)
    found = layer(dirty_x, initial_state=[*states, dirty, mask], mask=HOLES)
    np.testing.assert_array_equal(to_numpy(found), to_numpy(clean))

    def loss(*weights):
        given = list(map(ops.convert_to_tensor, [*states, dirty, mask]))
        outputs = call_with(weights, layer, dirty_x, initial_state=given, mask=HOLES)
        return ops.sum(ops.square(outputs))

    gradients = backend.gradient(loss, [ops.convert_to_tensor(weight) for weight in layer.get_weights()])
    assert all(np.isfinite(to_numpy(gradient)).all() for gradient in gradients)


def test_initial_state_makes_the_list():
    made = case("LSTM", "general", True, True)
    cell = made.layer().cell
    zeros = [np.zeros((BATCH, size)) for size in made.state_sizes]
    for mask, want in ((None, np.ones((BATCH, MEMORY_TIME))), (EMPTY, EMPTY)):
        for state, expected in zip(cell.initial_state(MEMORY, mask), [*zeros, MEMORY, want], strict=True):
            np.testing.assert_array_equal(to_numpy(state), expected)
    h, C = made.states()[:2]
    given = cell.initial_state(MEMORY, EMPTY, states=(h, C))
    for state, expected in zip(given, [h, C, *zeros[2:], MEMORY, EMPTY], strict=True):
        np.testing.assert_array_equal(to_numpy(state), expected)
    np.testing.assert_array_equal(
        [to_numpy(state).shape for state in cell.initial_state(ops.ones((2, 7, WIDTH)))[:4]],
        [(2, WIDTH), (2, WIDTH), (2, UNITS), (2, 7)],
    )


def test_coverage_is_the_sum_of_the_alignments():
    made = case("GRU", "bahdanau", False, True, "empty rows")
    layer = made.layer(return_state=True)
    given = layer.cell.initial_state(MEMORY, EMPTY)
    coverage = to_numpy(layer(X, initial_state=given)[2])
    alignment = record_gates(layer, X, initial_state=given)["alignment"]
    np.testing.assert_allclose(coverage, alignment.sum(axis=1), atol=1e-6)
    np.testing.assert_allclose(coverage.sum(axis=1), TIME * EMPTY.any(axis=1), atol=1e-5)
    assert not coverage[~EMPTY].any()
    fresh = made.make()
    fresh.build((None, None, FEATURES))
    assert [w.name for w in fresh.weights][0] == "coverage_vector" and not fresh.get_weights()[0].any()


@pytest.mark.parametrize("arguments", [("LSTM", "general", True, True), ("stack", "bahdanau", False, False)], ids=str)
def test_keras_rnn_and_steps_by_hand_give_the_same(arguments):
    made = case(*arguments, "empty rows")
    layer, states = made.layer(return_sequences=True), list(map(ops.convert_to_tensor, made.states()))
    want, cell = to_numpy(layer(X, initial_state=states)), layer.cell
    theirs = keras.layers.RNN(cell, return_sequences=True)
    np.testing.assert_allclose(to_numpy(theirs(ops.convert_to_tensor(X), initial_state=states)), want, atol=1e-6)
    by_hand, prepared, new = [], [], states
    changing, constants = cell.prepare(states)
    for t in range(TIME):
        x = ops.convert_to_tensor(X[:, t])
        output, new = cell(x, new)
        by_hand.append(to_numpy(output))
        output, after = cell.step(cell.project(x), [*changing, *constants])
        prepared.append(to_numpy(output))
        changing = after[: len(changing)]
        for one, other in zip(changing, new, strict=False):
            np.testing.assert_allclose(to_numpy(one), to_numpy(other), atol=1e-6)
    np.testing.assert_allclose(np.stack(by_hand, axis=1), want, atol=1e-6)
    np.testing.assert_allclose(np.stack(prepared, axis=1), want, atol=1e-6)
    for state, given in zip(new[-2:], states[-2:], strict=True):
        np.testing.assert_array_equal(to_numpy(state), to_numpy(given))


@pytest.mark.parametrize("inner", ["LSTM", "keras GRU", "stack", "zoneout", "residual Elman"])
def test_recorded_alignments(inner):
    if inner == "residual Elman":
        layer = Recurrent(AttentionCell(ResidualCell(ElmanCell(FEATURES)), BahdanauAttention(UNITS)))
        gates = record_gates(layer, X, initial_state=layer.cell.initial_state(MEMORY))
        assert gates["alignment"].shape == (BATCH, TIME, MEMORY_TIME)
        return
    arguments = (inner, "general", inner != "zoneout", True, "empty rows")
    made = case(*arguments)
    layer, states = made.layer(return_sequences=True), made.states()
    gates = record_gates(layer, X, mask=HOLES, initial_state=states)
    for look, name in enumerate(("alignment", "context")):
        step = case(*arguments, look=look).step
        want, _ = oracles.run(step, layer.get_weights(), X, states, HOLES)
        np.testing.assert_allclose(gates[name][HOLES], want[HOLES], atol=4e-6)
        assert np.isnan(gates[name][~HOLES]).all()
    if inner in ("LSTM", "zoneout"):
        assert set(gates) == {"alignment", "context", "i", "f", "candidate", "o", "C", "h"}
        steps = oracles.run(made.step, layer.get_weights(), X[:, :1], states)[1]
        np.testing.assert_allclose(gates["h"][:, 0][HOLES[:, 0]], steps[0][HOLES[:, 0]], atol=4e-6)


def encoder_decoder():
    """A model from source and target tokens to logits; 0 is padding in both."""
    source, target = (keras.Input((None,), dtype="int32", name=name) for name in ("source", "target"))
    embedding = keras.layers.Embedding(9, FEATURES, mask_zero=True)
    encoder = Bidirectional(Recurrent(LSTMCell(2), return_sequences=True, return_state=True))
    memory, *states = encoder(embedding(source))
    cell = AttentionCell(LSTMCell(WIDTH), LuongAttention(UNITS, score="dot"), input_feeding=True, coverage=True)
    initial = cell.initial_state(memory, embedding.compute_mask(source), Bridge(WIDTH)(states))
    decoder = Recurrent(cell, return_sequences=True, name="decoder")
    # Keras passes no mask on by itself if states are given, too.
    outputs = decoder(embedding(target), initial_state=initial, mask=embedding.compute_mask(target))
    return keras.Model([source, target], keras.layers.Dense(9)(outputs))


SOURCE = np.array([[3, 1, 4, 1], [2, 5, 0, 0], [0, 0, 0, 0]])
TARGET = np.array([[1, 2, 3, 4, 5], [1, 7, 0, 0, 0], [1, 8, 8, 0, 0]])


def test_an_encoder_decoder_saves_and_loads_in_one_file(tmp_path):
    model = encoder_decoder()
    randomized(model)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")  # safe mode is the default
    model.run_eagerly = loaded.run_eagerly = EAGER
    want = model.predict_on_batch([SOURCE, TARGET])
    assert want.shape == (3, 5, 9) and np.isfinite(want).all()
    np.testing.assert_array_equal(loaded.predict_on_batch([SOURCE, TARGET]), want)
    wider = np.pad(SOURCE, ((0, 0), (0, 3)))  # more padding changes nothing
    np.testing.assert_allclose(loaded.predict_on_batch([wider, TARGET]), want, atol=1e-6)
    alignment = record_gates(loaded, [SOURCE, TARGET], layer="decoder")["alignment"]
    counts = TARGET > 0
    assert np.isnan(alignment[~counts]).all()
    np.testing.assert_allclose(alignment.sum(axis=-1)[counts], np.repeat([1, 1, 0], [5, 2, 3]), atol=1e-6)
    assert not alignment[1, 0, 2:].any()


@pytest.mark.slow
def test_a_step_of_training_is_the_same_however_it_is_compiled():
    y = np.random.default_rng(1).normal(size=(*TARGET.shape, 9))

    def trained(**how):
        keras.utils.set_random_seed(0)
        model = encoder_decoder()
        model.compile(keras.optimizers.SGD(0.1), "mse", **how)
        return [model.train_on_batch([SOURCE, TARGET], y), *model.get_weights()]

    xla = keras.backend.backend() != "torch"  # there, jit_compile means torch.compile, which Keras tests itself
    want = trained(jit_compile=False)
    for value, same in zip(trained(jit_compile=xla), want, strict=True):
        np.testing.assert_allclose(value, same, atol=1e-6)


def test_symbolic_shapes_equal_eager_ones():
    made = case("LSTM", "general", True, True)
    layer, states = made.layer(return_sequences=True, return_state=True), made.states()
    for time, memory_time in ((TIME, MEMORY_TIME), (None, None)):
        inputs = [keras.Input((time, FEATURES)), keras.Input((memory_time, WIDTH))]
        symbolic = layer(inputs[0], initial_state=layer.cell.initial_state(inputs[1]))
        eager = layer(X, initial_state=states)
        for one, other in zip(symbolic, eager, strict=True):
            assert len(one.shape) == len(other.shape)
            assert all(a is None or a == b for a, b in zip(one.shape, other.shape, strict=True))
        assert symbolic[0].shape[-1] == UNITS
    model = keras.Model(inputs, symbolic)
    want = layer(X, initial_state=layer.cell.initial_state(MEMORY))
    for value, expected in zip(model.predict_on_batch([X, MEMORY]), want, strict=True):
        np.testing.assert_allclose(value, to_numpy(expected), atol=1e-6)


def test_config_makes_the_same_cell():
    for inner, attention, *options in (("LSTM", "concat", True, False), ("stack", "bahdanau", False, True)):
        cell = case(inner, attention, *options).layer(return_sequences=True).cell
        twin = AttentionCell.from_config(cell.get_config())
        assert twin.get_config() == cell.get_config()
        assert [twin.input_feeding, twin.coverage] == options
        assert twin.state_size == cell.state_size and twin.output_size == UNITS
        runs = []
        for each in (cell, twin):
            layer = Recurrent(each)
            given = each.initial_state(MEMORY, EMPTY)
            layer(X, initial_state=given)
            each.set_weights(cell.get_weights())
            runs.append(to_numpy(layer(X, initial_state=given)))
        np.testing.assert_array_equal(*runs)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision(policy):
    made = case("LSTM", "bahdanau", True, True, "empty rows")
    want = made.layer(return_sequences=True)(X, initial_state=made.states(), mask=HOLES)
    layer = layer_checks.filled(made.make(dtype=policy, return_sequences=True, return_state=True))
    outputs, *states = layer(X, initial_state=made.states(), mask=HOLES)
    for value in (outputs, *states):
        assert keras.backend.standardize_dtype(value.dtype) == policy.removeprefix("mixed_")
    assert all(weight.dtype == "float32" for weight in layer.weights)
    tolerance = {"mixed_float16": 0.02, "mixed_bfloat16": 0.1}[policy]
    np.testing.assert_allclose(to_numpy(ops.cast(outputs, "float32")), to_numpy(want), atol=tolerance)
    weights = layer.get_weights()

    def loss(*weights):
        given = list(map(ops.convert_to_tensor, made.states()))
        outputs, *_ = call_with(weights, layer, X, initial_state=given, mask=HOLES)
        return ops.sum(ops.square(ops.cast(outputs, "float32")))

    gradients = backend.gradient(loss, [ops.convert_to_tensor(weight) for weight in weights])
    assert all(np.isfinite(to_numpy(g)).all() and to_numpy(g).any() for g in gradients)


@pytest.mark.parametrize("kind", [LSTMCell, keras.layers.GRUCell])
@pytest.mark.parametrize("input_feeding", [False, True])
def test_dropout_in_the_cell_inside(kind, input_feeding):
    def layer():
        inner = kind(WIDTH, dropout=0.4, recurrent_dropout=0.3, seed=2)
        made = Recurrent(AttentionCell(inner, LuongAttention(UNITS), input_feeding=input_feeding))
        made(X, initial_state=made.cell.initial_state(MEMORY))
        return randomized(made)

    twins = layer(), layer()
    given = twins[0].cell.initial_state(MEMORY)
    first, second = ([to_numpy(each(X, initial_state=given, training=True)) for _ in range(2)] for each in twins)
    np.testing.assert_array_equal(first, second)
    calm = to_numpy(twins[0](X, initial_state=given))
    np.testing.assert_array_equal(calm, to_numpy(twins[0](X, initial_state=given, training=False)))
    assert abs(first[0] - calm).max() > 1e-3 and abs(first[0] - first[1]).max() > 1e-3


def test_input_feeding_knows_its_inputs_only_step_by_step():
    each_step = LSTMCell(4, dropout=0.1, dropout_each_step=True)
    for inner in (each_step, ZoneoutCell(LSTMCell(4), 0.1)):  # without, all is drawn before the first step
        layer = Recurrent(AttentionCell(inner, LuongAttention(3)))
        layer(X, initial_state=layer.cell.initial_state(MEMORY), training=True)
    stack = keras.layers.StackedRNNCells([LSTMCell(3), ZoneoutCell(LSTMCell(3))])
    for inner in (each_step, ResidualCell(GRUCell(3, dropout_each_step=True)), ZoneoutCell(LSTMCell(4)), stack):
        with pytest.raises(ValueError, match=r"AttentionCell\(input_feeding=True\) expected a cell that draws nothing"):
            AttentionCell(inner, LuongAttention(3), input_feeding=True)


def test_wrappers_are_inside():
    cell = AttentionCell(LSTMCell(4), LuongAttention(3))
    for wrap in (ResidualCell, ZoneoutCell, lambda cell: AttentionCell(cell, LuongAttention(3))):
        with pytest.raises(ValueError, match="a cell without a memory, received .* put it inside"):
            wrap(cell)


@pytest.mark.parametrize("thing", [None, "lstm", keras.layers.Dense(3), keras.layers.LSTM(3)])
def test_only_cells_can_attend(thing):
    with pytest.raises(ValueError, match="AttentionCell expected a cell .* received"):
        AttentionCell(thing, LuongAttention(3))


@pytest.mark.parametrize("thing", [None, "dot", LSTMCell(3), keras.layers.Attention()])
def test_only_attention_is_attention(thing):
    with pytest.raises(ValueError, match="expected a LuongAttention or BahdanauAttention, received"):
        AttentionCell(LSTMCell(3), thing)


def test_there_must_be_a_memory():
    fresh = Recurrent(AttentionCell(LSTMCell(4), LuongAttention(3)))
    with pytest.raises(ValueError, match="expected to be built with the shape of its memory, .* with an initial_state"):
        fresh(X)
    with pytest.raises(ValueError, match="expected to be built with the shape of its memory"):
        Bidirectional(fresh)(X)
    built = case("LSTM", "general").layer()
    for layer in (built, Recurrent(built.cell, stateful=True)):
        with pytest.raises(ValueError, match=r"a memory to attend to, .*=cell.initial_state\("):
            layer(X)
    with pytest.raises(ValueError, match="expected 4 initial state"):
        built(X, initial_state=[np.zeros((BATCH, WIDTH), "float32")] * 2)


@pytest.mark.parametrize(
    ("value", "mask", "states", "message"),
    [
        (MEMORY[:, 0], None, None, r"a memory \(batch, memory_time, memory_features\), .* \(5, 4\): an encoder needs"),
        (MEMORY[:, :0], None, None, "one position or more to attend to"),
        (MEMORY, EMPTY[:, :3], None, r"a mask \(batch, memory_time\) = \(5, 5\), received shape \(5, 3\)"),
        (MEMORY, None, [MEMORY[:, 0]], r"expected 2 states of LSTMCell, of sizes \[4, 4\], received 1"),
    ],
)
def test_wrong_memories(value, mask, states, message):
    with pytest.raises(ValueError, match=message):
        AttentionCell(LSTMCell(4), LuongAttention(3)).initial_state(value, mask, states)


def test_memory_and_mask_in_the_wrong_order():
    layer, (*states, value, mask) = case("LSTM", "general").layer(), case("LSTM", "general").states()
    with pytest.raises(ValueError, match=r"its mask \(batch, memory_time\) as its last two states"):
        layer(X, initial_state=[*states, mask, value])


def test_dtype_is_that_of_the_cell():
    cell = AttentionCell(LSTMCell(3, dtype="mixed_bfloat16"), LuongAttention(3, dtype="mixed_bfloat16"))
    assert cell.compute_dtype == Recurrent(cell).compute_dtype == "bfloat16"
    assert tree.flatten(cell.state_size) == [3, 3, None, None]
