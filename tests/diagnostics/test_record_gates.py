import keras
import numpy as np
import pytest
from keras import ops

from rnnkit import backend
from rnnkit.diagnostics import record_gates, retention
from rnnkit.layers import (
    GRU,
    LSTM,
    AttentionCell,
    Bidirectional,
    Decoder,
    Elman,
    LayerNormGRU,
    LayerNormLSTM,
    LearnedInitialState,
    LSTMCell,
    LuongAttention,
    PeepholeLSTM,
    Recurrent,
    ResidualCell,
    Stacked,
    ZoneoutCell,
)
from tests import layer_checks
from tests.composed_checks import batches, random_states
from tests.layer_checks import filled, to_numpy

UNITS, FEATURES = 4, layer_checks.FEATURES
LAYERS = {
    "LSTM": lambda **kwargs: LSTM(UNITS, **kwargs),
    "keras LSTM": lambda **kwargs: keras.layers.LSTM(UNITS, **kwargs),
    "keras LSTM without bias": lambda **kwargs: keras.layers.LSTM(UNITS, use_bias=False, **kwargs),
    "PeepholeLSTM": lambda **kwargs: PeepholeLSTM(UNITS, **kwargs),
    "LayerNormLSTM": lambda **kwargs: LayerNormLSTM(UNITS, **kwargs),
    "GRU chung": lambda **kwargs: GRU(UNITS, convention="chung", **kwargs),
    "GRU torch": lambda **kwargs: GRU(UNITS, convention="torch", **kwargs),
    "keras GRU": lambda **kwargs: keras.layers.GRU(UNITS, **kwargs),
    "keras GRU, reset before": lambda **kwargs: keras.layers.GRU(UNITS, reset_after=False, **kwargs),
    "LayerNormGRU": lambda **kwargs: LayerNormGRU(UNITS, **kwargs),
    "zoneout": lambda **kwargs: Recurrent(ZoneoutCell(LSTMCell(UNITS), rate=[0.2, 0.4]), **kwargs),
}
OTHER_CARRIES = ("keras LSTM", "GRU torch", "keras GRU", "zoneout")
GATES = {"LSTM": {"i", "f", "o", "candidate", "C", "h"}, "GRU": {"z", "r", "candidate", "h"}}


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@pytest.mark.parametrize(
    ("name", "is_masked", "go_backwards"),
    [
        ("LSTM", False, False),
        ("LSTM", True, False),
        ("LSTM", False, True),
        *[pytest.param(name, False, False, marks=pytest.mark.slow) for name in LAYERS if name != "LSTM"],
        *[pytest.param(name, True, True, marks=pytest.mark.slow) for name in LAYERS],
    ],
)
def test_the_recorded_states_are_the_output(name, is_masked, go_backwards):
    x, mask = batches()[is_masked]
    layer = filled(LAYERS[name](return_sequences=True, return_state=True, go_backwards=go_backwards))
    outputs, *states = layer(x, mask=mask)
    outputs = to_numpy(outputs)[:, :: -1 if go_backwards else 1]
    gates = record_gates(layer, x, mask=mask)
    assert set(gates) == GATES["GRU" if "GRU" in name else "LSTM"]
    np.testing.assert_allclose(gates["h"], outputs, atol=1e-6)
    last = 0 if go_backwards else -1
    for state, gate in zip(states, ("h", "C"), strict=False):
        np.testing.assert_allclose(gates[gate][:, last], to_numpy(state), atol=1e-6)
    computed = np.ones(x.shape[:2], bool) if mask is None else mask
    for gate in set(gates) - {"h", "C"}:
        np.testing.assert_array_equal(np.isnan(gates[gate]), np.repeat(~computed[..., None], UNITS, axis=-1))


def test_each_gate_follows_its_equation():
    """The gates of one unmasked step, recomputed from h and C of the step before."""
    x, layer = layer_checks.sequences(), filled(LSTM(UNITS))
    gates = record_gates(layer, x)
    kernel, recurrent_kernel, bias = layer.get_weights()
    before = np.concatenate([np.zeros((len(x), 1, UNITS)), gates["h"][:, :-1]], axis=1)
    C_before = np.concatenate([np.zeros((len(x), 1, UNITS)), gates["C"][:, :-1]], axis=1)
    i, f, candidate, o = np.split(x @ kernel + before @ recurrent_kernel + bias, 4, axis=-1)
    for name, expected in {"i": sigmoid(i), "f": sigmoid(f), "o": sigmoid(o), "candidate": np.tanh(candidate)}.items():
        np.testing.assert_allclose(gates[name], expected, atol=1e-6, err_msg=name)
    np.testing.assert_allclose(gates["C"], gates["f"] * C_before + gates["i"] * gates["candidate"], atol=1e-6)


def test_a_trained_model_keeps_its_weights_and_masks():
    ids = np.array([[3, 1, 2, 0, 0], [1, 1, 4, 2, 0]])
    embedding, lstm = keras.layers.Embedding(5, FEATURES, mask_zero=True), keras.layers.LSTM(UNITS)
    model = keras.Sequential([embedding, lstm, keras.layers.Dense(1)])
    model(ids)
    before = model.get_weights()
    gates = record_gates(model, ids)
    expected = record_gates(lstm, embedding(ids), mask=ids > 0)
    for name in expected:
        np.testing.assert_array_equal(gates[name], expected[name])
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert "inner_loop" not in vars(lstm)


def test_layers_in_models_wrappers_and_stacks():
    x = layer_checks.sequences()
    lower, upper = LSTM(UNITS), GRU(UNITS)
    stack = Stacked([lower, upper], return_sequences=True)
    model = keras.Sequential([stack, keras.layers.Dense(1)])
    model(x)
    with pytest.raises(ValueError, match=r"record_gates expected one recurrent layer .* found \['lstm.*', 'gru.*'\]"):
        record_gates(model, x)
    np.testing.assert_allclose(record_gates(model, x, layer=upper)["h"], to_numpy(stack(x)), atol=1e-6)
    assert set(record_gates(stack, x, layer=lower.name)) == GATES["LSTM"]
    learned = LearnedInitialState(LSTM(UNITS, return_sequences=True), initializer="ones")
    np.testing.assert_allclose(record_gates(learned, x)["h"], to_numpy(learned(x)), atol=1e-6)
    residual = Recurrent(ResidualCell(LSTMCell(FEATURES)), return_sequences=True)
    np.testing.assert_allclose(record_gates(residual, x)["h"] + x, to_numpy(residual(x)), atol=1e-6)


def test_an_encoder_decoder_has_two_layers():
    source, target = keras.Input((None, FEATURES)), keras.Input((None,), dtype="int32")
    memory, *states = LSTM(UNITS, return_sequences=True, return_state=True)(source)
    cell = AttentionCell(LSTMCell(UNITS), LuongAttention(UNITS))
    decoder = Decoder(keras.layers.Embedding(7, 3), cell, keras.layers.Dense(7))
    model = keras.Model([source, target], decoder(target, initial_state=cell.initial_state(memory, states=states)))
    x = layer_checks.sequences()
    inputs = [x, np.ones((len(x), 4), "int32")]
    with pytest.raises(ValueError, match=r"expected one recurrent layer .* found \['lstm.*', 'recurrent.*'\]"):
        record_gates(model, inputs)
    gates = record_gates(model, inputs, layer=decoder.recurrent)
    assert gates["alignment"].shape == (len(x), 4, x.shape[1])
    np.testing.assert_allclose(gates["alignment"].sum(axis=-1), 1, atol=1e-5)


@pytest.mark.parametrize("bidirectional", [Bidirectional, keras.layers.Bidirectional])
def test_both_directions(bidirectional):
    x, both = layer_checks.sequences(), bidirectional(LSTM(UNITS, return_sequences=True))
    mask = layer_checks.MASKS["right"].astype(bool)
    outputs = to_numpy(both(x, mask=mask))
    gates = record_gates(both, x, mask=mask)
    found = np.concatenate([gates["forward"]["h"], gates["backward"]["h"]], axis=-1)
    np.testing.assert_allclose(found[mask], outputs[mask], atol=1e-6)
    alone = record_gates(both, x, mask=mask, layer=both.backward_layer)
    np.testing.assert_array_equal(alone["f"], gates["backward"]["f"])
    carried = retention(both, x, mask=mask)["backward"].carried
    np.testing.assert_array_equal(carried[:, 0], 1.0)


def test_a_layer_without_gates_and_a_stateful_one():
    x = layer_checks.sequences()
    with pytest.raises(ValueError, match=r"expected a layer whose cell has gates .* a custom cell needs a method"):
        record_gates(Elman(3), x)
    stateful = LSTM(3, stateful=True)
    stateful.build(x.shape)
    with pytest.raises(ValueError, match="is stateful: record_gates would change its states"):
        record_gates(stateful, x)
    with pytest.raises(ValueError, match=r"expected one recurrent layer in .* found \[\]"):
        record_gates(keras.Sequential([keras.layers.Dense(2)]), x)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["LSTM", "LayerNormLSTM", "keras LSTM", "LayerNormGRU", "keras GRU, reset before"])
@pytest.mark.parametrize("policy", ["mixed_bfloat16", "float16"])
def test_in_half_precision(name, policy):
    if policy == "float16" and keras.backend.backend() != "tensorflow":
        pytest.skip("the recurrent weights start as orthogonal matrices, which only TensorFlow makes in float16")
    layer, x = LAYERS[name](return_sequences=True, dtype=policy), layer_checks.sequences()
    filled(layer)
    gates = record_gates(layer, x)
    single = LAYERS[name](return_sequences=True)
    single.build(x.shape)
    single.set_weights(layer.get_weights())
    for gate, values in record_gates(single, x).items():
        np.testing.assert_allclose(gates[gate], values, atol=0.1)
    np.testing.assert_allclose(gates["h"], to_numpy(layer(x)).astype("float32"), atol=0.02)


def test_a_layer_that_runs_several_times():
    first, second = keras.Input((5, FEATURES)), keras.Input((5, FEATURES))
    layer = LSTM(UNITS, name="shared")
    model = keras.Model([first, second], keras.layers.Add()([layer(first), layer(second)]))
    x = np.zeros((2, 5, FEATURES), "float32")
    with pytest.raises(ValueError, match="'shared' to run once in .* ran 2 times: pass the layer itself"):
        record_gates(model, [x, x])
    assert record_gates(layer, x)["h"].shape == (2, 5, UNITS)


@pytest.mark.parametrize(
    ("name", "is_masked"),
    [
        ("LSTM", True),
        ("GRU chung", False),
        *[pytest.param(name, False, marks=pytest.mark.slow) for name in ("LSTM", *OTHER_CARRIES)],
        *[pytest.param(name, True, marks=pytest.mark.slow) for name in ("GRU chung", *OTHER_CARRIES)],
    ],
)
def test_retention_is_the_derivative_along_the_carry_path(name, is_masked):
    """Without recurrent weights there is no other path: automatic differentiation must give the same."""
    x, mask = batches()[is_masked]
    layer = filled(LAYERS[name](return_state=True))
    kernel, recurrent_kernel, bias = layer.get_weights()
    layer.set_weights([kernel, 0 * recurrent_kernel, bias])
    carried, _ = retention(layer, x, mask=mask)
    for t in (0, 3):
        states = [ops.convert_to_tensor(state) for state in random_states(layer, len(x))]
        rest = None if mask is None else mask[:, t + 1 :]

        def end(*states, t=t, rest=rest):
            return ops.sum(layer(x[:, t + 1 :], initial_state=list(states), mask=rest)[-1])

        derivative = to_numpy(backend.gradient(end, states)[-1])
        np.testing.assert_allclose(carried[:, t], derivative, atol=1e-6)
    np.testing.assert_array_equal(carried[:, -1], 1.0)


def test_half_life_counts_time_steps():
    """f = 1/2, 2**(-1/10), 1 and 0, whatever the input."""
    layer = LSTM(4, kernel_initializer="zeros", recurrent_initializer="zeros")
    layer.build((None, None, FEATURES))
    f = np.array([0.5, 2 ** (-1 / 10), 1.0, 0.0])
    with np.errstate(divide="ignore"):
        bias = np.concatenate([np.zeros(4), np.clip(np.log(f) - np.log(1 - f), -200, 200), np.zeros(8)])
    layer.set_weights([*layer.get_weights()[:2], bias])
    mask = layer_checks.MASKS["holes"].astype(bool)
    half_life = retention(layer, layer_checks.sequences(), mask=mask).half_life
    np.testing.assert_allclose(half_life, [1.0, 10.0, np.inf, 0.0], rtol=1e-5, atol=0.01)
