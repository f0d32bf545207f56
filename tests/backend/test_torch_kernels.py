import contextlib

import keras
import numpy as np
import pytest
from keras import ops

from rnnkit.layers import (
    GRU,
    LSTM,
    Bidirectional,
    Elman,
    ElmanCell,
    LayerNormGRU,
    LayerNormLSTM,
    LSTMCell,
    PeepholeLSTM,
    Recurrent,
)

if keras.backend.backend() != "torch":
    pytest.skip("of PyTorch alone", allow_module_level=True)

import torch

from rnnkit.backend.torch.kernels import against_kernels
from rnnkit.layers.recurrent_cell import as_recurrent_cell

FEATURES, UNITS = 3, 4
CASES = {  # the layer, and PyTorch's with the order in which it has the layer's gates
    "LSTM": (LSTM, {}, torch.nn.LSTM, {}, (0, 1, 2, 3)),
    "GRU": (GRU, {}, torch.nn.GRU, {}, (1, 0, 2)),
    "GRU of torch": (GRU, {"convention": "torch"}, torch.nn.GRU, {}, (0, 1, 2)),
    "Elman": (Elman, {}, torch.nn.RNN, {}, (0,)),
    "Elman relu": (Elman, {"activation": "relu"}, torch.nn.RNN, {"nonlinearity": "relu"}, (0,)),
}
MASKS = ["none", "right", "left", "holes", "empty rows"]


def random_mask(rng, kind, batch, time):
    lengths = rng.integers(1, time + 1, (batch, 1))
    if kind == "empty rows":
        lengths[rng.integers(batch)] = 0
    masks = {"left": np.arange(time) >= time - lengths, "holes": rng.random((batch, time)) < 0.6, "none": None}
    return masks.get(kind, np.arange(time) < lengths)


def filled(layer, rng):
    layer.build((None, None, FEATURES))
    layer.set_weights([rng.normal(scale=0.6, size=weight.shape) for weight in layer.get_weights()])
    return layer


def tensor(array, dtype):
    return torch.tensor(array, dtype=getattr(torch, dtype), requires_grad=True)


@contextlib.contextmanager
def plain(layer):
    """The layer runs its cell step by step."""
    layer._no_kernel = lambda: "the test asks for a loop"
    try:
        yield
    finally:
        del layer._no_kernel


def values_and_gradients(outputs, inputs, rng):
    loss = sum((output * torch.tensor(rng.normal(size=output.shape)).to(output)).sum() for output in outputs)
    return [*outputs, *torch.autograd.grad(loss, inputs)]


def assert_close(values, expected, tolerance):
    for index, (value, same) in enumerate(zip(values, expected, strict=True)):
        value, same = value.detach().numpy(), same.detach().numpy()
        np.testing.assert_allclose(
            value, same, atol=tolerance * max(1, abs(same).max()), rtol=0, err_msg=f"tensor {index}"
        )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_those_of_the_loop(name, kind, dtype):
    make, arguments, *_ = CASES[name]
    for seed in range(8):
        rng = np.random.default_rng(seed)
        flags = ["go_backwards", "zero_output_for_mask", "return_sequences", "use_bias"]
        options = {flag: bool(rng.integers(2)) for flag in flags}
        if make is Elman and rng.integers(2):
            options["output_units"] = 2
        layer = filled(make(UNITS, return_state=True, dtype=dtype, **arguments, **options), rng)
        batch, time = rng.integers(1, 13), rng.integers(1, 13)
        x = tensor(rng.normal(size=(batch, time, FEATURES)), dtype)
        states = [tensor(rng.normal(size=(batch, UNITS)), dtype) for _ in layer.state_size]
        given = {"mask": random_mask(rng, kind, batch, time)}
        if rng.integers(2):
            given["initial_state"] = states
        inputs = [weight.value for weight in layer.weights] + [x, *given.get("initial_state", [])]

        def run(layer=layer, x=x, given=given, inputs=inputs, seed=seed):
            return values_and_gradients(layer(x, **given), inputs, np.random.default_rng(seed))

        values = run()
        with plain(layer):
            assert_close(values, run(), 2e-6)  # in float64, too: there, ops.matmul rounds to float32


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_those_of_torch_nn_over_each_row_alone(name, kind, backwards):
    make, arguments, torch_class, torch_arguments, order = CASES[name]
    rng = np.random.default_rng(0)
    options = {"return_sequences": True, "return_state": True, "go_backwards": backwards, **arguments}
    layer = filled(make(UNITS, dtype="float64", **options), rng)
    batch, time = 6, 7
    mask = random_mask(rng, kind, batch, time)
    x = tensor(rng.normal(size=(batch, time, FEATURES)), "float64")
    states = [tensor(rng.normal(size=(batch, UNITS)), "float64") for _ in layer.state_size]
    module = torch_class(FEATURES, UNITS, batch_first=True, **torch_arguments).double()
    kernel, recurrent_kernel, bias = layer.get_weights()
    biases = bias if bias.ndim == 2 else [bias, np.zeros_like(bias)]
    with torch.no_grad():
        for parameter, weight in zip(module.parameters(), [kernel.T, recurrent_kernel.T, *biases], strict=True):
            gates = np.split(weight, len(order))
            parameter.copy_(torch.tensor(np.concatenate([gates[index] for index in order])))

    def row_alone(b):
        steps = range(time)[::-1] if backwards else range(time)
        counting = [t for t in steps if mask is None or mask[b, t]]
        state = [state[None, b : b + 1] for state in states]
        outputs = torch.zeros((0, UNITS), dtype=torch.float64)
        if counting:
            outputs, state = module(x[b : b + 1, counting], tuple(state) if len(state) > 1 else state[0])
            outputs, state = outputs[0], state if isinstance(state, tuple) else [state]
        outputs = torch.cat([torch.zeros((1, UNITS), dtype=torch.float64), outputs])
        counted = np.cumsum([t in counting for t in steps])
        return [outputs[counted], *[value[0, 0] for value in state]]

    expected = [torch.stack(values) for values in zip(*map(row_alone, range(batch)), strict=True)]
    wanted = values_and_gradients(expected, [*module.parameters(), x, *states], np.random.default_rng(1))
    values = values_and_gradients(
        layer(x, initial_state=states, mask=mask),
        [*[weight.value for weight in layer.weights], x, *states],
        np.random.default_rng(1),
    )
    count = len(expected)
    gradients = [
        torch.cat([part.chunk(len(order))[index] for index in np.argsort(order)]) for part in wanted[count:][:4]
    ]
    assert_close(values[:count] + values[count + 3 :], wanted[:count] + wanted[count + 4 :], 1e-12)
    d_kernel, d_recurrent_kernel, d_bias = values[count:][:3]
    assert_close([d_kernel, d_recurrent_kernel], [gradients[0].T, gradients[1].T], 1e-12)
    assert_close([d_bias], [torch.stack(gradients[2:]) if bias.ndim == 2 else gradients[2]], 1e-12)


@pytest.mark.parametrize("kind", [*MASKS, "only empty rows"])
@pytest.mark.parametrize("name", CASES)
def test_inference_is_the_same_without_gradients(name, kind):
    make, arguments, *_ = CASES[name]
    rng = np.random.default_rng(0)
    layer = filled(make(UNITS, return_sequences=True, return_state=True, **arguments), rng)
    x, states = rng.normal(size=(5, 7, FEATURES)), [rng.normal(size=(5, UNITS)) for _ in layer.state_size]
    mask = np.zeros((5, 7), bool) if kind == "only empty rows" else random_mask(rng, kind, 5, 7)
    expected = layer(x, initial_state=states, mask=mask)
    with torch.no_grad():
        assert_close(layer(x, initial_state=states, mask=mask), expected, 1e-6)


class StraightCell(LSTMCell):
    """An equation of one's own: h_t = o_t * C_t."""

    def output_activation(self, C):
        return C


def taken(layer, training=False, dtype="float32", device="cpu"):
    """The name of the kernel that a layer takes and None, or None and the reason why it takes none."""
    layer.build((None, None, FEATURES))
    cell = as_recurrent_cell(layer.cell)
    states = keras.tree.flatten(cell.get_initial_state(2) if hasattr(cell, "get_initial_state") else [])
    sequences = torch.zeros(2, 5, FEATURES, dtype=getattr(torch, dtype), device=device)
    loop = layer._loop(cell, sequences, states, None, training)
    reason = against_kernels(loop)
    return (f"torch.{loop.equation.name}", None) if reason is None else (None, reason)


@pytest.mark.parametrize(
    "layer, name",
    [
        (LSTM(UNITS), "torch.lstm"),
        (LSTM(UNITS, dropout=0.5, dropout_each_step=True), "torch.lstm"),
        (GRU(UNITS, use_bias=False), "torch.gru"),
        (GRU(UNITS, convention="torch"), "torch.gru"),
        (Elman(UNITS, output_units=2), "torch.rnn_tanh"),
        (Elman(UNITS, activation="relu"), "torch.rnn_relu"),
        (Recurrent(LSTMCell(UNITS)), "torch.lstm"),
    ],
    ids=lambda value: value.name if isinstance(value, keras.Layer) else value,
)
def test_the_kernel_has_a_name(layer, name):
    assert taken(layer, training=True)[0] == taken(layer, dtype="float64")[0] == name


@pytest.mark.parametrize(
    "layer, reason",
    [
        (LSTM(UNITS, activation="relu"), "no kernel for the equation of this LSTMCell"),
        (LSTM(UNITS, recurrent_activation="hard_sigmoid"), "no kernel for the equation of this LSTMCell"),
        (Recurrent(StraightCell(UNITS)), "no kernel for the equation of this StraightCell"),
        (PeepholeLSTM(UNITS), "no kernel for the equation of this PeepholeLSTMCell"),
        (LayerNormLSTM(UNITS), "no kernel for the equation of this LayerNormLSTMCell"),
        (LayerNormGRU(UNITS), "no kernel for the equation of this LayerNormGRUCell"),
        (GRU(UNITS, convention="chung"), "no kernel for the equation of this GRUCell"),
        (GRU(UNITS, reset_after=False), "no kernel for the equation of this GRUCell"),
        (GRU(UNITS, activation="sigmoid"), "no kernel for the equation of this GRUCell"),
        (Elman(UNITS, activation="sigmoid"), "no kernel for the equation of this ElmanCell"),
        (Recurrent([ElmanCell(UNITS), ElmanCell(UNITS)]), "no kernel for the equation of this StackedRNNCells"),
        (GRU(UNITS, use_cudnn=False), "use_cudnn=False asks for a loop"),
        (Elman(UNITS, recurrent_dropout=0.5), "no recurrent dropout"),
    ],
    ids=lambda value: value.name if isinstance(value, keras.Layer) else "",
)
def test_no_kernel_is_taken_and_the_reason_is_told(layer, reason, monkeypatch):
    kernel, why = taken(layer, training=True)
    assert kernel is None and reason in why
    for name in ("lstm", "gru", "rnn_tanh", "rnn_relu"):
        monkeypatch.delattr(torch, name)
    assert layer(np.zeros((2, 5, FEATURES), "float32"), training=True) is not None
    assert reason in layer.explain()


def test_an_unrolled_layer_takes_no_kernel(monkeypatch):
    monkeypatch.delattr(torch, "lstm")
    layer = LSTM(UNITS, unroll=True)
    layer(np.zeros((2, 5, FEATURES), "float32"))
    assert "unroll=True asks for it" in layer.explain()


def test_what_has_a_kernel_runs_no_step(monkeypatch):
    def step(*args, **kwargs):
        raise AssertionError("a step ran")

    for name in CASES:
        make, arguments, *_ = CASES[name]
        for backwards in (False, True):
            layer = make(UNITS, go_backwards=backwards, **arguments)
            layer.build((None, None, FEATURES))
            monkeypatch.setattr(type(layer.cell), "step", step)
            for kind in MASKS:
                mask = random_mask(np.random.default_rng(0), kind, 5, 7)
                layer(np.zeros((5, 7, FEATURES), "float32"), mask=mask, training=True)


def test_recurrent_dropout_is_for_training_only():
    layer = LSTM(UNITS, recurrent_dropout=0.5)
    assert taken(layer, training=True)[0] is None and taken(layer, training=False)[0] == "torch.lstm"


@pytest.mark.parametrize(
    "dtype, device", [("float16", "cpu"), ("bfloat16", "cpu"), ("int32", "cpu"), ("float32", "meta")]
)
def test_there_are_no_kernels_for_other_numbers_and_devices(dtype, device):
    kernel, why = taken(LSTM(UNITS), dtype=dtype, device=device)
    assert kernel is None and f"not for {dtype} on the device '{device}'" in why


def test_a_compiler_sees_the_loop(monkeypatch):
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    kernel, why = taken(LSTM(UNITS))
    assert kernel is None and "a compiler" in why


@pytest.mark.parametrize("each_step", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_dropout_comes_before_the_kernel(name, each_step, monkeypatch):
    make, arguments, *_ = CASES[name]
    rng = np.random.default_rng(0)
    layer = filled(make(UNITS, dropout=0.5, dropout_each_step=each_step, **arguments), rng)

    def draw(ones, rate):
        return ops.convert_to_tensor(2.0 * (np.random.default_rng(1).random(ones.shape) < rate), "float32")

    monkeypatch.setattr(layer.cell, "_mask", draw)
    x, mask = rng.normal(size=(5, 7, FEATURES)).astype("float32"), random_mask(rng, "holes", 5, 7)
    values = layer(x, mask=mask, training=True)
    assert abs(values - layer(x, mask=mask)).max() > 0.01
    with plain(layer):
        assert_close([values], [layer(x, mask=mask, training=True)], 1e-6)


def test_what_grows_in_the_padding_harms_nobody():
    layer = Elman(UNITS, activation="relu", return_state=True)
    layer.build((None, None, FEATURES))
    layer.set_weights([np.ones((FEATURES, UNITS)), 1e4 * np.eye(UNITS), np.ones(UNITS)])
    x, mask = np.ones((2, 40, FEATURES), "float32"), np.arange(40) < np.array([[2], [0]])
    weights = [weight.value for weight in layer.weights]

    def run(x, mask):
        return values_and_gradients(layer(x, mask=mask), weights, np.random.default_rng(0))

    values = run(x, mask)
    assert all(torch.isfinite(value).all() for value in values)
    assert_close(values, run(x[:, :2], mask[:, :2]), 1e-6)


@pytest.mark.parametrize("name", CASES)
def test_gradients_of_gradients(name):
    make, arguments, *_ = CASES[name]
    rng = np.random.default_rng(0)
    layer = filled(make(UNITS, **arguments), rng)
    x = tensor(rng.normal(size=(3, 5, FEATURES)), "float32")
    mask = random_mask(rng, "right", 3, 5)

    def run():
        (gradient,) = torch.autograd.grad(layer(x, mask=mask).square().sum(), [x], create_graph=True)
        return torch.autograd.grad(
            gradient.square().sum(), [layer.cell.kernel.value, layer.cell.recurrent_kernel.value]
        )

    values = run()
    with plain(layer):
        assert_close(values, run(), 1e-5)


def test_a_bidirectional_tagger_with_padding_trains_as_with_the_loop():
    def losses(use_cudnn):
        keras.utils.set_random_seed(0)
        inputs = keras.Input((None, FEATURES))
        x = keras.layers.Masking()(inputs)
        x = Bidirectional(LSTM(UNITS, return_sequences=True, use_cudnn=use_cudnn))(x)
        x = Bidirectional(GRU(UNITS, return_sequences=True, use_cudnn=use_cudnn))(x)
        model = keras.Model(inputs, keras.layers.Dense(2)(x))
        model.compile(keras.optimizers.SGD(0.1), loss="mse")
        rng = np.random.default_rng(0)
        sequences = rng.normal(size=(6, 9, FEATURES)) * random_mask(rng, "right", 6, 9)[..., None]
        return [model.train_on_batch(sequences, sequences[..., :2]) for _ in range(5)]

    np.testing.assert_allclose(losses("auto"), losses(False), rtol=1e-5)
