import keras
import numpy as np
import pytest

from rnnkit.convert import from_keras, from_torch, to_keras, to_torch, with_convention
from rnnkit.layers import GRU, LSTM, Bidirectional, Elman, PeepholeLSTM, Stacked
from tests.layer_checks import to_numpy

FEATURES, UNITS = 3, 4
X = np.random.default_rng(0).normal(size=(2, 5, FEATURES)).astype("float32")
KERAS = {
    "LSTM": lambda: keras.layers.LSTM(UNITS, return_sequences=True, go_backwards=True, dropout=0.1, name="mine"),
    "LSTM without bias": lambda: keras.layers.LSTM(UNITS, use_bias=False, return_state=True, use_cudnn=False),
    "GRU": lambda: keras.layers.GRU(UNITS, activation="relu", kernel_regularizer="l2"),
    "GRU, reset before": lambda: keras.layers.GRU(UNITS, reset_after=False),
    "SimpleRNN": lambda: keras.layers.SimpleRNN(UNITS, return_sequences=True),
    "Bidirectional": lambda: keras.layers.Bidirectional(
        keras.layers.LSTM(UNITS, return_sequences=True),
        backward_layer=keras.layers.GRU(UNITS, return_sequences=True, go_backwards=True),
        merge_mode="sum",
    ),
    "stateful": lambda: keras.layers.GRU(UNITS, stateful=True),
}


def with_weights(layer, seed=1):
    layer.build((len(X) if getattr(layer, "stateful", False) else None, None, FEATURES))
    rng = np.random.default_rng(seed)
    layer.set_weights([rng.normal(size=weight.shape).astype("float32") for weight in layer.get_weights()])
    return layer


def outputs_of(layer, x=X):
    return [to_numpy(output) for output in keras.tree.flatten(layer(x))]


def assert_same(layer, other):
    for expected, value in zip(outputs_of(layer), outputs_of(other), strict=True):
        np.testing.assert_allclose(value, expected, atol=1e-6)


def assert_same_bits(weights, others):
    for weight, other in zip(weights, others, strict=True):
        np.testing.assert_array_equal(weight, other)


@pytest.mark.parametrize("name", KERAS)
def test_keras_there_and_back(name):
    layer = with_weights(KERAS[name]())
    ours = from_keras(layer)
    assert type(ours).__module__.startswith("rnnkit.") and ours.name == layer.name
    assert_same(layer, ours)
    back = to_keras(ours)
    assert type(back) is type(layer) and getattr(back, "use_cudnn", None) == getattr(layer, "use_cudnn", None)
    assert_same_bits(layer.get_weights(), back.get_weights())
    assert {**layer.get_config()} == {**back.get_config()}


def test_a_layer_without_weights_stays_without():
    ours = from_keras(keras.layers.LSTM(UNITS))
    assert not ours.built and ours.units == UNITS
    assert not to_keras(ours).built


def test_a_stack_of_keras():
    layers = [keras.layers.LSTM(UNITS, return_sequences=True), keras.layers.GRU(UNITS)]
    expected = layers[1](layers[0](X))
    stack = from_keras(layers)
    np.testing.assert_allclose(to_numpy(stack(X)), to_numpy(expected), atol=1e-6)
    lower, upper = to_keras(stack)
    assert_same_bits(layers[0].get_weights() + layers[1].get_weights(), lower.get_weights() + upper.get_weights())
    outputs, *_ = upper(lower(X)[0])
    np.testing.assert_allclose(to_numpy(outputs), to_numpy(expected), atol=1e-6)


def test_a_stack_of_keras_with_states():
    layers = [keras.layers.LSTM(UNITS, return_sequences=True, return_state=True)]
    layers.append(keras.layers.GRU(UNITS, return_state=True))
    outputs, *lower = layers[0](X)
    output, upper = layers[1](outputs)
    for value, expected in zip(from_keras(layers)(X), [output, *lower, upper], strict=True):
        np.testing.assert_allclose(to_numpy(value), to_numpy(expected), atol=1e-6)


@pytest.mark.parametrize("use_bias", [True, False])
@pytest.mark.parametrize(("convention", "reset_after", "other"), [("keras", True, "torch"), ("keras", False, "chung")])
def test_conventions_that_can_be_converted(convention, reset_after, other, use_bias):
    layer = with_weights(GRU(UNITS, convention=convention, reset_after=reset_after, use_bias=use_bias))
    twin = with_convention(layer, other)
    assert twin.cell.convention == other
    assert not np.array_equal(twin.get_weights()[0], layer.get_weights()[0])
    assert_same(layer, twin)
    back = with_convention(twin, convention)
    assert_same_bits(layer.get_weights(), back.get_weights())
    assert back.get_config() == layer.get_config()
    assert_same_bits(twin.get_weights(), with_convention(twin, other).get_weights())


@pytest.mark.parametrize(
    ("convention", "reset_after", "other"),
    [("chung", False, "torch"), ("torch", True, "chung"), ("keras", True, "chung"), ("keras", False, "torch")],
)
def test_conventions_that_cannot_express_each_other(convention, reset_after, other):
    layer = with_weights(GRU(UNITS, convention=convention, reset_after=reset_after))
    weights = r"the candidate's recurrent weights, recurrent_kernel\[:, 8:\]"
    message = rf"{weights}, and one in '{other}' (before|after) it: no weights"
    with pytest.raises(ValueError, match=message):
        with_convention(layer, other)


def test_conversions_that_make_no_sense():
    with pytest.raises(ValueError, match="expected a rnnkit.layers.GRU, received"):
        with_convention(LSTM(3), "torch")
    with pytest.raises(ValueError, match="has no weights yet: build it or call it"):
        with_convention(GRU(3), "torch")
    with pytest.raises(ValueError, match="convention to be in"):
        with_convention(with_weights(GRU(3)), "jax")
    with pytest.raises(ValueError, match="from_keras expected one of .*LSTM"):
        from_keras(keras.layers.Dense(3))
    with pytest.raises(ValueError, match="to_keras expected one of .*LSTM"):
        to_keras(PeepholeLSTM(3))
    with pytest.raises(ValueError, match="no output_kernel"):
        to_keras(Elman(3, output_units=2))
    with pytest.raises(ValueError, match="no stack with residuals"):
        to_keras(Stacked([LSTM(3), LSTM(3)], residual=True))
    with pytest.raises(ValueError, match="no stack that runs backwards"):
        to_keras(Stacked([LSTM(3), LSTM(3)], go_backwards=True))
    with pytest.raises(ValueError, match="draws one mask for all steps"):
        to_keras(LSTM(3, dropout=0.1, dropout_each_step=True))
    with pytest.raises(ValueError, match="expected a torch.nn.LSTM, GRU, RNN, LSTMCell"):
        from_torch(LSTM(3))


MODULES = {
    "LSTM": ("LSTM", {}),
    "GRU": ("GRU", {"batch_first": True}),
    "RNN": ("RNN", {}),
    "RNN relu": ("RNN", {"nonlinearity": "relu"}),
    "LSTM without bias": ("LSTM", {"bias": False}),
    "GRU without bias": ("GRU", {"bias": False}),
    "both directions": ("LSTM", {"bidirectional": True}),
    "GRU, both directions": ("GRU", {"bidirectional": True}),
    "stacked": ("LSTM", {"num_layers": 3}),
    "stacked, both directions": ("GRU", {"num_layers": 2, "bidirectional": True}),
    "stacked with dropout": ("GRU", {"num_layers": 2, "dropout": 0.25}),
}


@pytest.mark.parametrize("name", MODULES)
def test_torch_there_and_back(name):
    torch = pytest.importorskip("torch")
    torch.manual_seed(1)
    kind, options = MODULES[name]
    module = getattr(torch.nn, kind)(FEATURES, UNITS, **options).eval()
    x = torch.from_numpy(X)
    outputs, last = module(x if module.batch_first else x.swapaxes(0, 1))
    outputs = outputs if module.batch_first else outputs.swapaxes(0, 1)
    layer = from_torch(module)
    ours, *states = layer(X)
    np.testing.assert_allclose(to_numpy(ours), outputs.detach().numpy(), atol=1e-6)
    last = torch.stack(last, axis=1).flatten(0, 1) if kind == "LSTM" else last
    for state, expected in zip(states, last, strict=True):
        np.testing.assert_allclose(to_numpy(state), expected.detach().numpy(), atol=1e-6)
    back = to_torch(layer)
    assert (back.num_layers, back.bidirectional, back.bias) == (module.num_layers, module.bidirectional, module.bias)
    assert back.dropout == module.dropout
    np.testing.assert_allclose(back.eval()(x)[0].detach().numpy(), outputs.detach().numpy(), atol=1e-6)
    again = from_torch(back)
    assert_same_bits(layer.get_weights(), again.get_weights())
    if kind == "GRU" or not module.bias:
        for parameter, other in zip(module.parameters(), back.parameters(), strict=True):
            assert torch.equal(parameter, other)


def test_keras_to_torch_and_its_gradients():
    torch = pytest.importorskip("torch")
    layer = with_weights(Bidirectional(GRU(UNITS, return_sequences=True)))
    module = to_torch(layer)
    np.testing.assert_allclose(module(torch.from_numpy(X))[0].detach().numpy(), to_numpy(layer(X)), atol=1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: PeepholeLSTM(3), "PyTorch has no PeepholeLSTM"),
        (lambda: LSTM(3, recurrent_activation="relu"), "other activations than"),
        (lambda: LSTM(3, dropout=0.5), "drops only between layers"),
        (lambda: GRU(3, convention="chung"), "no weights there compute the same"),
        (lambda: Bidirectional(LSTM(3), merge_mode="sum"), "concatenates the two directions"),
        (lambda: Stacked([LSTM(3), LSTM(3)], residual=True), "no residuals"),
        (lambda: Stacked([LSTM(3), LSTM(4)]), "one kind and size"),
        (lambda: Stacked([LSTM(3), GRU(3)]), "one kind and size"),
        (lambda: LSTM(3, go_backwards=True), "backwards only"),
        (lambda: Stacked([LSTM(3), LSTM(3)], go_backwards=True), "backwards only"),
        (lambda: Elman(3, output_units=2), "no output_kernel"),
    ],
)
def test_layers_that_torch_does_not_have(make, message):
    pytest.importorskip("torch")
    with pytest.raises(ValueError, match=message):
        to_torch(with_weights(make()))
