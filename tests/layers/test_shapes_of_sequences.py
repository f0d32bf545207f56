"""A wrong shape is refused at once by every recurrent layer, which is then as usable as before."""

import keras
import numpy as np
import pytest
from keras import ops

from rnnkit import layers
from tests.layer_checks import to_numpy
from tests.loop_cases import LAYERS, UNITS

FEATURES = 3
LAYERS = {
    **LAYERS,
    "Keras's cell": lambda **kwargs: layers.Recurrent(keras.layers.GRUCell(UNITS), **kwargs),
    "attention": lambda **kwargs: layers.Recurrent(attention_cell(), **kwargs),
    "Bidirectional": lambda **kwargs: layers.Bidirectional(layers.GRU(UNITS, **kwargs)),
    "Keras's Bidirectional": lambda **kwargs: keras.layers.Bidirectional(layers.LSTM(UNITS, **kwargs)),
    "Stacked": lambda **kwargs: layers.Stacked([layers.LSTM(UNITS), layers.Elman(UNITS)], **kwargs),
    "Stacked directions": lambda **kwargs: layers.Stacked([layers.Bidirectional(layers.GRU(UNITS))], **kwargs),
    "learned states": lambda **kwargs: layers.LearnedInitialState(layers.PeepholeLSTM(UNITS, **kwargs)),
}


def attention_cell():
    return layers.AttentionCell(layers.GRUCell(UNITS), layers.LuongAttention(5))


def call(layer, x):
    """The layer's output; a layer with attention needs a memory."""
    if isinstance(getattr(layer, "cell", None), layers.AttentionCell):
        memory = ops.ones((x.shape[0] or 2, 7, 5))
        return layer(x, initial_state=layer.cell.initial_state(memory))
    return layer(x)


def sequences(*shape):
    return np.random.default_rng(0).normal(size=shape).astype("float32")


def shapes_of_weights(layer):
    return [tuple(weight.shape) for weight in layer.weights]


@pytest.fixture(scope="module")
def expected_weights():
    """The shapes of the weights of a layer that never saw a wrong shape, by name; each layer is built once."""
    found = {}

    def of(name):
        if name not in found:
            layer = LAYERS[name](return_sequences=True)
            call(layer, sequences(2, 5, FEATURES))
            found[name] = shapes_of_weights(layer)
        return found[name]

    return of


def assert_usable(layer, expected):
    outputs = to_numpy(call(layer, sequences(2, 5, FEATURES)))
    assert outputs.shape[:2] == (2, 5) and np.isfinite(outputs).all()
    assert shapes_of_weights(layer) == expected


WRONG = {
    "rank 2": ((2, 5), r"expected ndim=3, found ndim=2.*\(2, 5\)"),
    "rank 4": ((2, 5, FEATURES, 1), r"expected ndim=3, found ndim=4.*\(2, 5, 3, 1\)"),
    "rank 1": ((2,), r"expected ndim=3, found ndim=1.*\(2,\)"),
    "no step": ((2, 0, 7), r"at least one time step, received shape \(2, 0, 7\)"),
}


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("name", LAYERS)
def test_an_array_of_the_wrong_shape(name, wrong, expected_weights):
    shape, message = WRONG[wrong]
    layer = LAYERS[name](return_sequences=True)
    attends = isinstance(getattr(layer, "cell", None), layers.AttentionCell)
    for use in ((layer if attends else lambda x: call(layer, x)), lambda x: layer.build(x.shape)):
        with pytest.raises(ValueError, match=f"(?s)(L|l)ayer '.*{message}"):
            use(sequences(*shape))
        assert not layer.weights
    assert_usable(layer, expected_weights(name))
    for use in (layer, lambda x: layer.compute_output_shape(x.shape)):
        with pytest.raises(ValueError, match=f"(?s){message}"):
            use(sequences(*shape))
    assert_usable(layer, expected_weights(name))


@pytest.mark.parametrize("shape", [(5,), (None,), (None, None, FEATURES), (5, 2, FEATURES)], ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_a_symbolic_tensor_of_the_wrong_rank(name, shape, expected_weights):
    layer = LAYERS[name](return_sequences=True)
    with pytest.raises(ValueError, match=f"expected ndim=3, found ndim={1 + len(shape)}"):
        layer(keras.Input(shape))
    with pytest.raises(ValueError, match=f"expected ndim=3, found ndim={1 + len(shape)}"):
        keras.Sequential([keras.Input(shape), layer])
    assert not layer.weights
    assert_usable(layer, expected_weights(name))


@pytest.mark.parametrize("name", LAYERS)
def test_an_unknown_number_of_features(name, expected_weights):
    layer = LAYERS[name](return_sequences=True)
    if name == "attention":
        return  # it is built from its memory, and says so
    message = r"expected a known number of input features, received inputs of shape|has None features"
    if name == "own cell":
        message = "must be fully-defined"  # what its build calls says so
    with pytest.raises(ValueError, match=message):
        layer(keras.Input((5, None)))
    assert not layer.weights
    assert_usable(layer, expected_weights(name))


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_on_one_that_returns_the_last_output_alone(name, expected_weights):
    layer = LAYERS[name](return_sequences=True)
    below = layers.LSTM(FEATURES)
    for use in (
        lambda: layer(below(keras.Input((5, 2)))),
        lambda: keras.Sequential([below, layer]).build((None, 5, 2)),
        lambda: layer(below(sequences(2, 5, 2))),
    ):
        with pytest.raises(ValueError, match="expected ndim=3, found ndim=2.*return_sequences=True"):
            use()
    assert_usable(layer, expected_weights(name))


def test_data_of_the_wrong_shape_in_fit():
    layer = layers.LSTM(UNITS)
    model = keras.Sequential([layer])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="expected ndim=3, found ndim=2"):
        model.fit(sequences(4, 5), np.zeros((4, UNITS)), verbose=0)
    model = keras.Sequential([layer])  # a Sequential keeps the first shape that it saw
    model.compile("sgd", "mse")
    model.fit(sequences(4, 5, 2), np.zeros((4, UNITS)), verbose=0)
    assert shapes_of_weights(layer)[0] == (2, 4 * UNITS)


@pytest.mark.parametrize("name", ["LSTM", "GRU chung", "PeepholeLSTM", "LayerNormGRU", "Bidirectional", "Stacked"])
def test_another_number_of_features_than_it_was_built_for(name):
    layer = LAYERS[name]()
    layer(sequences(2, 5, FEATURES))
    for wrong in (sequences(2, 5, 4), keras.Input((None, 4))):
        with pytest.raises(ValueError, match=r"was built for sequences of shape \(None, None, 3\), received shape"):
            layer(wrong)
