"""Convolutional LSTM and GRU, against Keras's layers and against loops in float64 NumPy."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from rnnkit import backend
from rnnkit.layers import (
    Bidirectional,
    ConvGRU1D,
    ConvGRU2D,
    ConvGRUCell,
    ConvLSTM1D,
    ConvLSTM2D,
    ConvLSTMCell,
    LearnedInitialState,
    Recurrent,
    ResidualCell,
    Stacked,
    ZoneoutCell,
)
from rnnkit.layers.conv_cell import ConvCell
from tests.layer_checks import KERAS_ARGUMENTS, masks, stateless, to_numpy
from tests.oracles import sigmoid

BATCH, TIME, CHANNELS, FILTERS = 5, 6, 2, 3
AXES = {1: (5,), 2: (4, 3)}
LAYERS = {"LSTM 1D": (ConvLSTM1D, 1), "LSTM 2D": (ConvLSTM2D, 2), "GRU 1D": (ConvGRU1D, 1), "GRU 2D": (ConvGRU2D, 2)}


def sequences(rank, batch=BATCH, time=TIME, channels=CHANNELS):
    return np.random.default_rng(1).normal(size=(batch, time, *AXES[rank], channels)).astype("float32")


def filled(layer, shape):
    layer.build((None, None, *shape[2:]))
    rng = np.random.default_rng(7)
    layer.set_weights([rng.normal(scale=0.4, size=weight.shape) for weight in layer.get_weights()])
    return layer


def made(name, **options):
    cls, rank = LAYERS[name]
    return filled(cls(FILTERS, 3, **{"padding": "same", "return_sequences": True, **options}), sequences(rank).shape)


def convolved(x, kernel):
    """The convolution, stride 1 and padding "same", of one row `(*axes, channels)`: a sum over the kernel's places."""
    size, axes = kernel.shape[:-2], x.shape[:-1]
    before = [(k - 1) // 2 for k in size]
    padded = np.pad(x, [*((b, k - 1 - b) for b, k in zip(before, size, strict=True)), (0, 0)])
    total = np.zeros((*axes, kernel.shape[-1]))
    for place in itertools.product(*map(range, size)):
        part = padded[tuple(slice(p, p + n) for p, n in zip(place, axes, strict=True))]
        total += part @ kernel[place]
    return total


def lstm_step(weights, x, states):
    kernel, recurrent_kernel, bias = weights
    h, C = states
    i, f, candidate, o = np.split(convolved(x, kernel) + convolved(h, recurrent_kernel) + bias, 4, axis=-1)
    C = sigmoid(f) * C + sigmoid(i) * np.tanh(candidate)
    return sigmoid(o) * np.tanh(C), [sigmoid(o) * np.tanh(C), C]


def gru_step(weights, x, states):
    kernel, recurrent_kernel, bias = weights
    (h,) = states
    W_z, W_r, W = np.split(kernel, 3, axis=-1)
    U_z, U_r, U = np.split(recurrent_kernel, 3, axis=-1)
    b_z, b_r, b = np.split(bias, 3)
    z = sigmoid(convolved(x, W_z) + convolved(h, U_z) + b_z)
    r = sigmoid(convolved(x, W_r) + convolved(h, U_r) + b_r)
    h = (1 - z) * h + z * np.tanh(convolved(x, W) + convolved(r * h, U) + b)
    return h, [h]


def oracle(name, weights, x, states, mask=None):
    """Outputs, zeros at masked steps, and last states, in float64."""
    step = lstm_step if "LSTM" in name else gru_step
    weights, states = [np.asarray(w, "float64") for w in weights], [np.array(s, "float64") for s in states]
    outputs = np.zeros((*x.shape[:-1], states[0].shape[-1]))
    for row, t in np.ndindex(x.shape[:2]):
        if mask is None or mask[row, t]:
            outputs[row, t], new = step(weights, x[row, t], [state[row] for state in states])
            for state, value in zip(states, new, strict=True):
                state[row] = value
    return outputs, states


def random_states(name, batch=BATCH):
    shape, rng = (batch, *AXES[LAYERS[name][1]], FILTERS), np.random.default_rng(3)
    return [rng.normal(size=shape).astype("float32") for _ in range(2 if "LSTM" in name else 1)]


@pytest.mark.parametrize("name", LAYERS)
def test_values_under_every_mask(name):
    x, states = sequences(LAYERS[name][1]), random_states(name)
    layer = made(name, return_state=True, zero_output_for_mask=True)
    for kind, mask in masks():
        expected, expected_states = oracle(name, layer.get_weights(), x, states, mask)
        garbage = x if mask is None else np.where(mask.reshape(BATCH, TIME, *[1] * (x.ndim - 2)), x, np.nan)
        outputs, *last = layer(garbage.astype("float32"), initial_state=states, mask=mask)
        np.testing.assert_allclose(to_numpy(outputs), expected, atol=5e-6, err_msg=kind)
        for state, expected_state in zip(last, expected_states, strict=True):
            np.testing.assert_allclose(to_numpy(state), expected_state, atol=5e-6, err_msg=kind)


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYERS)
def test_gradients_equal_differences_of_the_oracle(name):
    x, states = sequences(LAYERS[name][1])[:2, :4], random_states(name, 2)
    layer, mask = made(name), dict(masks())["holes"][:2, :4]
    weights, rng = layer.get_weights(), np.random.default_rng(5)
    coefficients = np.where(mask.reshape(2, 4, *[1] * (x.ndim - 2)), rng.normal(size=(*x.shape[:-1], FILTERS)), 0)
    inputs = [*weights, states[0]]

    def loss(*tensors):
        given = [tensors[-1], *map(ops.convert_to_tensor, states[1:])]
        outputs, _ = stateless(layer, tensors[:-1], x, initial_state=given, mask=mask)
        return ops.sum(outputs * ops.convert_to_tensor(coefficients, "float32"))

    gradients = backend.gradient(loss, [ops.convert_to_tensor(array) for array in inputs])
    for index, gradient in enumerate(gradients):
        direction = rng.normal(size=inputs[index].shape)

        def oracle_loss(distance, index=index, direction=direction):
            moved = [np.asarray(array, "float64") for array in inputs]
            moved[index] = moved[index] + distance * direction
            return (oracle(name, moved[:-1], x, [moved[-1], *states[1:]], mask)[0] * coefficients).sum()

        expected = (oracle_loss(1e-5) - oracle_loss(-1e-5)) / 2e-5
        np.testing.assert_allclose((to_numpy(gradient) * direction).sum(), expected, rtol=1e-4, atol=1e-4)


OPTIONS = {
    "default": {},
    "same": {"padding": "same", "return_state": True, "return_sequences": True},
    "strides": {"strides": 2, "padding": "SAME", "return_sequences": True, "go_backwards": True},
    "dilation": {"dilation_rate": 2, "return_sequences": True, "unit_forget_bias": False},
    "activations": {"activation": "relu", "recurrent_activation": "hard_sigmoid", "use_bias": False},
    "dropout": {"dropout": 0.3, "recurrent_dropout": 0.4, "seed": 5, "return_sequences": True},
    "even kernel": {"kernel_size": 2, "padding": "same", "return_sequences": True},
    "channels first": {"data_format": "channels_first", "return_sequences": True, "return_state": True},
}


@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("rank", [1, 2])
def test_equals_keras_layer_with_the_same_weights(rank, options):
    options = {"filters": FILTERS, "kernel_size": 3, **OPTIONS[options]}
    if options.get("data_format") and keras.backend.backend() == "tensorflow":
        pytest.skip("TensorFlow has no such convolution on a processor")
    name, x = f"ConvLSTM{rank}D", np.random.default_rng(0).normal(size=(2, 3, *(7, 6)[:rank], CHANNELS))
    x = x.astype("float32") if "data_format" not in options else np.moveaxis(x, -1, 2).astype("float32")
    ours, theirs = {1: ConvLSTM1D, 2: ConvLSTM2D}[rank](**options), getattr(keras.layers, name)(**options)
    assert isinstance(ours, type(theirs))
    ours.build(x.shape), theirs.build(x.shape)
    for weight, same in zip(ours.weights, theirs.weights, strict=True):
        assert weight.name == same.name and weight.shape == same.shape
    if ours.use_bias:
        np.testing.assert_array_equal(to_numpy(ours.cell.bias), to_numpy(theirs.cell.bias))
    filled(ours, x.shape)
    theirs.set_weights(ours.get_weights())
    training = "dropout" in options
    values, expected = (layer(x, training=training) for layer in (ours, theirs))
    for value, same in zip(keras.tree.flatten(values), keras.tree.flatten(expected), strict=True):
        np.testing.assert_allclose(to_numpy(value), to_numpy(same), atol=2e-6)
    assert ours.compute_output_shape(x.shape) == theirs.compute_output_shape(x.shape)
    if training:
        return  # what is drawn is another draw now

    def gradients(layer):
        def loss(*weights):
            values, _ = stateless(layer, weights, x)
            return sum(ops.sum(ops.square(value)) for value in keras.tree.flatten(values))

        return backend.gradient(loss, [ops.convert_to_tensor(weight) for weight in layer.get_weights()])

    for value, same in zip(gradients(ours), gradients(theirs), strict=True):
        np.testing.assert_allclose(to_numpy(value), to_numpy(same), rtol=1e-4, atol=1e-4)


def test_every_argument_of_keras_is_taken_and_kept():
    arguments = {name: value for name, value in KERAS_ARGUMENTS.items() if name != "unroll"}
    arguments |= {"strides": 2, "padding": "same", "data_format": "channels_first", "unit_forget_bias": False}
    for ours, theirs in ((ConvLSTM1D, keras.layers.ConvLSTM1D), (ConvLSTM2D, keras.layers.ConvLSTM2D)):
        expected = theirs(3, 2, **arguments, name="same").get_config()
        layer = ours(3, 2, **arguments, name="same")
        assert layer.get_config() == expected
        assert ours.from_config(expected).get_config() == expected
    del arguments["unit_forget_bias"]
    layer = ConvGRU2D(3, 2, **arguments)
    assert ConvGRU2D.from_config(layer.get_config()).get_config() == layer.get_config()


@pytest.mark.parametrize("name", LAYERS)
def test_model_file_and_training(name, tmp_path):
    rank = LAYERS[name][1]
    x = sequences(rank)
    inputs, mask = keras.Input((None, *AXES[rank], CHANNELS)), keras.Input((None,), dtype="bool")
    layer = made(name)
    hidden = layer(inputs, mask=mask)
    assert tuple(hidden.shape) == (None, None, *AXES[rank], FILTERS)
    model = keras.Model([inputs, mask], keras.layers.TimeDistributed(keras.layers.Flatten())(hidden))
    model.compile(keras.optimizers.Adam(0.02), "mse")
    data = [x, dict(masks())["holes"]]
    y = np.zeros((BATCH, TIME, FILTERS * int(np.prod(AXES[rank]))))
    losses = [model.train_on_batch(data, y) for _ in range(3)]
    assert losses[2] < losses[0]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict_on_batch(data), model.predict_on_batch(data))
    np.testing.assert_allclose(
        model.predict_on_batch(data), np.array(to_numpy(layer(x, mask=data[1]))).reshape(y.shape), atol=2e-6
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", LAYERS)
def test_a_step_of_training_is_the_same_in_a_graph_and_outside(name):
    x = sequences(LAYERS[name][1])
    found = []
    for how in ({"run_eagerly": True}, {"jit_compile": False}, {"jit_compile": keras.backend.backend() != "torch"}):
        model = keras.Sequential([keras.Input(x.shape[1:]), made(name)])
        model.compile(keras.optimizers.SGD(0.5), "mse", **how)
        loss = model.train_on_batch(x, np.zeros((*x.shape[:-1], FILTERS)))
        found.append([loss, *model.get_weights()])
    for other in found[1:]:
        for value, same in zip(other, found[0], strict=True):
            np.testing.assert_allclose(value, same, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("layer", [ConvLSTM1D, ConvGRU1D])
def test_pictures_of_two_sizes_in_compiled_loops(layer, monkeypatch):
    monkeypatch.setattr(ConvCell, "not_for_xla", None)  # nothing but time is against it
    models = []
    for axes in (5, 7):
        model = keras.Sequential([keras.Input((TIME, axes, CHANNELS)), layer(FILTERS, 3, return_sequences=True)])
        model.compile(keras.optimizers.SGD(0.1), "mse")
        x = np.random.default_rng(0).normal(size=(BATCH, TIME, axes, CHANNELS))
        models.append(model)
        expected = to_numpy(ops.mean(ops.square(model(x))))
        before = model.get_weights()
        np.testing.assert_allclose(model.train_on_batch(x, np.zeros(model(x).shape)), expected, rtol=1e-5)
        assert all((a != b).any() for a, b in zip(model.get_weights(), before, strict=True))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["LSTM 1D", "GRU 2D"])
def test_around_and_inside_of_other_layers(name):
    cls, rank = LAYERS[name]
    x = sequences(rank)
    layer = made(name)
    both = Bidirectional(cls(FILTERS, 3, padding="same", return_sequences=True))
    both.build(x.shape)
    both.set_weights(layer.get_weights() * 2)
    there, back = to_numpy(layer(x)), to_numpy(layer(x[:, ::-1]))[:, ::-1]
    np.testing.assert_allclose(to_numpy(both(x)), np.concatenate([there, back], axis=-1), atol=2e-6)
    stack = Stacked([cls(FILTERS, 3, padding="same") for _ in range(2)], residual=True, return_sequences=True)
    assert stack.compute_output_shape(x.shape) == tuple(stack(x).shape) == there.shape
    assert Stacked([cls(2, 2)]).compute_output_shape(x.shape)[-1] == 2
    learned = LearnedInitialState(cls(FILTERS, 3, padding="same"), initializer="uniform")
    assert tuple(learned(x).shape) == (BATCH, *AXES[rank], FILTERS)
    assert tuple(learned.initial_states[0].shape) == (1, *AXES[rank], FILTERS)
    parts = cls(FILTERS, 3, padding="same", return_sequences=True, stateful=True)
    parts.build((BATCH, 3, *x.shape[2:]))
    parts.set_weights(layer.get_weights())
    halves = [to_numpy(parts(x[:, :3])), to_numpy(parts(x[:, 3:]))]
    np.testing.assert_allclose(np.concatenate(halves, axis=1), there, atol=2e-6)
    parts.reset_state(rows=[1])
    assert not to_numpy(parts.states[0])[1].any() and to_numpy(parts.states[0])[0].any()
    layer = made(name, dtype="mixed_bfloat16")
    np.testing.assert_allclose(to_numpy(ops.cast(layer(x), "float32")), there, atol=0.05)


@pytest.mark.parametrize("cell", [ConvLSTMCell, ConvGRUCell])
def test_cells(cell):
    x = sequences(2)
    keras_rnn = keras.layers.RNN(cell(2, FILTERS, 3), return_sequences=True)
    expected = keras_rnn(x)
    ours = Recurrent(keras_rnn.cell, return_sequences=True)
    np.testing.assert_allclose(to_numpy(ours(x)), to_numpy(expected), atol=2e-6)
    several = Recurrent([cell(2, FILTERS, 3, padding="same"), cell(2, 2, 2)])
    assert several.compute_output_shape(x.shape) == tuple(several(x).shape) == (BATCH, 3, 2, 2)
    several = keras.layers.RNN([cell(2, FILTERS, 3, padding="same"), cell(2, 2, 2)])
    assert tuple(several(x).shape) == (BATCH, 3, 2, 2)
    around = ZoneoutCell(cell(2, CHANNELS, 3, padding="same"), 0.2, seed=1)
    inner = Recurrent(around)(x, training=True)
    assert tuple(inner.shape) == (BATCH, 4, 3, CHANNELS)
    around = Recurrent(ResidualCell(cell(2, CHANNELS, 3, padding="same")), return_sequences=True)
    plain = Recurrent(around.cell.cell, return_sequences=True)
    np.testing.assert_allclose(to_numpy(around(x)), x + to_numpy(plain(x)), atol=1e-6)
    with pytest.raises(ValueError, match=r"make them equal"):
        Recurrent(ResidualCell(cell(2, 4, 3, padding="same")))(x)


@pytest.mark.parametrize("name", LAYERS)
def test_sequences_of_the_wrong_shape(name):
    cls, rank = LAYERS[name]
    layer, x = cls(FILTERS, 2), sequences(rank)
    for wrong in (x[..., 0], x[..., None], keras.Input((3, 4))[..., None, None, None, None]):
        with pytest.raises(ValueError, match=f"expected ndim={rank + 3}, found ndim="):
            layer(wrong)
    with pytest.raises(ValueError, match="at least one time step"):
        layer(x[:, :0])
    for unknown in ((None, *[None] * rank, CHANNELS), (None, *AXES[rank], None)):
        with pytest.raises(ValueError, match="all known but the batch, received shape"):
            layer(keras.Input(unknown))
    with pytest.raises(ValueError, match="fits into, received"):
        layer(x[:, :, :1])
    assert not layer.weights
    layer(x)
    assert layer.weights[0].shape[-2] == CHANNELS
    with pytest.raises(ValueError, match="was built for sequences of shape"):
        layer(x[..., :1])


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"filters": 0}, "filters to be a positive integer"),
        ({"kernel_size": (3, 3, 3)}, "kernel_size to be an integer or 2 of them"),
        ({"padding": "causal"}, "padding to be one of"),
        ({"data_format": "last"}, "data_format to be one of"),
        ({"strides": 2, "dilation_rate": 2}, "strides or dilation_rate to be 1"),
        ({"dropout": 1.0}, "dropout to be a number in"),
    ],
)
def test_arguments_out_of_range(arguments, message):
    for layer in (ConvLSTM2D, ConvGRU2D):
        with pytest.raises(ValueError, match=message):
            layer(**{"filters": 2, "kernel_size": 3, **arguments})
