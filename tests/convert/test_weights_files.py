"""Weights files between Keras's layers and rnnkit's, in both directions and all nestings."""

import keras
import numpy as np
import pytest
from keras import layers as K

from rnnkit import layers as R
from rnnkit.convert import load_weights
from tests.convert.test_models import Decay
from tests.marks import slow_except

FEATURES, TIME = 3, 4
KERAS = {"simple": K.SimpleRNN, "rnn": K.RNN, "both": K.Bidirectional, "cell": K.SimpleRNNCell, "lstm": K.LSTM}
OURS = {"simple": R.Elman, "rnn": R.Recurrent, "both": R.Bidirectional, "cell": R.ElmanCell, "lstm": R.LSTM}
MIXED = {**KERAS, "simple": R.Elman, "cell": R.ElmanCell}


def sequential(kinds):
    return keras.Sequential(
        [
            keras.Input((TIME, FEATURES)),
            kinds["simple"](4, return_sequences=True),
            kinds["lstm"](3, return_sequences=True),
            K.Dense(4),
            kinds["simple"](4, return_sequences=True),
            kinds["rnn"]([kinds["cell"](4), K.LSTMCell(4), kinds["cell"](4)], return_sequences=True),
            kinds["rnn"](Decay(4), return_sequences=True),
            kinds["both"](kinds["simple"](4, return_sequences=True)),
            kinds["simple"](2),
        ]
    )


def functional(kinds):
    inputs = keras.Input((TIME, FEATURES))
    shared = kinds["simple"](FEATURES, return_sequences=True)
    inner_input = keras.Input((TIME, FEATURES))
    inner = keras.Model(inner_input, kinds["simple"](FEATURES, return_sequences=True)(shared(inner_input)))
    x = inner(shared(inputs)) + kinds["simple"](FEATURES, return_sequences=True)(inputs)
    stack = R.Stacked([kinds["simple"](4), kinds["both"](kinds["simple"](4)), kinds["simple"](4)])
    documents = K.Reshape((2, 2, FEATURES))(x)
    return keras.Model(inputs, [stack(x), K.TimeDistributed(kinds["simple"](4))(documents)])


class Subclassed(keras.Model):
    def __init__(self, kinds):
        super().__init__()
        self.recurrent = [kinds["simple"](4, return_sequences=True) for _ in range(12)]
        self.last = kinds["rnn"](kinds["cell"](2))

    def get_config(self):
        return {}

    def call(self, x):
        for layer in self.recurrent:
            x = layer(x)
        return self.last(x)


def subclassed(kinds):
    model = Subclassed(kinds)
    model(np.zeros((1, TIME, FEATURES), "float32"))
    return model


@pytest.mark.parametrize("ending", slow_except(["weights.h5"], ["weights.h5", "keras"]))
@pytest.mark.parametrize("make", slow_except([functional], [sequential, functional, subclassed]))
@pytest.mark.parametrize(("of_file", "of_model"), [(KERAS, OURS), (OURS, KERAS), (KERAS, MIXED), (OURS, OURS)])
def test_a_file_of_the_other_package(make, of_file, of_model, ending, tmp_path):
    written, model = make(of_file), make(of_model)
    rng = np.random.default_rng(1)  # each weight has its own numbers: one in the wrong place is found
    written.set_weights([rng.normal(size=weight.shape) for weight in written.get_weights()])
    path = tmp_path / f"model.{ending}"
    written.save(path) if ending == "keras" else written.save_weights(path)
    before = path.read_bytes()
    load_weights(model, path)
    for value, expected in zip(model.get_weights(), written.get_weights(), strict=True):
        np.testing.assert_array_equal(value, expected)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("kinds", "others"), [(KERAS, OURS), (KERAS, {**KERAS, "rnn": R.Recurrent, "cell": R.ElmanCell})]
)
def test_what_keras_alone_says_of_such_a_file(kinds, others, tmp_path):
    written, model = sequential(kinds), sequential(others)
    written.save_weights(tmp_path / "a.weights.h5")
    with pytest.raises(ValueError, match="rnnkit.convert.load_weights"):
        model.load_weights(tmp_path / "a.weights.h5")


def test_layers_that_only_their_names_tell_apart(tmp_path):
    def model_of(*kinds):
        layers = [kind(3, return_sequences=True, name=f"layer_{i}") for i, kind in enumerate(kinds)]
        model = keras.Sequential([keras.Input((TIME, FEATURES)), *layers])
        model.set_weights([np.full(weight.shape, i) for i, weight in enumerate(model.get_weights())])
        return model

    written, model = model_of(K.SimpleRNN, R.Elman, K.SimpleRNN), model_of(R.Elman, R.Elman, R.Elman)
    written.save_weights(tmp_path / "a.weights.h5")
    model.set_weights([0 * weight for weight in model.get_weights()])
    load_weights(model, tmp_path / "a.weights.h5")
    for value, expected in zip(model.get_weights(), written.get_weights(), strict=True):
        np.testing.assert_array_equal(value, expected)
    model.layers[0].name = "another"
    with pytest.raises(ValueError, match="do not say which is which: load it into a model of the classes"):
        load_weights(model, tmp_path / "a.weights.h5")


def test_a_file_of_another_model(tmp_path):
    written = keras.Sequential([keras.Input((TIME, FEATURES)), K.SimpleRNN(4)])
    written.save_weights(tmp_path / "a.weights.h5")
    for layers in ([R.Elman(5)], [R.Elman(4, return_sequences=True), R.Elman(4)], [R.LSTM(4)]):
        with pytest.raises(ValueError, match="shape|expected"):
            load_weights(keras.Sequential([keras.Input((TIME, FEATURES)), *layers]), tmp_path / "a.weights.h5")
    with pytest.raises(ValueError, match=r"expected a file \*.weights.h5 or \*.keras, received 'weights.npz'"):
        load_weights(written, "weights.npz")
