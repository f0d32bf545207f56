"""What turns compiled loops and kernels off."""

import keras
import numpy as np
import pytest

from rnnkit import layers
from tests.marks import slow_except

STEPS, UNITS = 3, 2
TENSORFLOW = keras.backend.backend() == "tensorflow"
LAYERS = {
    "LSTM": lambda: layers.LSTM(UNITS),
    "GRU": lambda: layers.GRU(UNITS),
    "Elman": lambda: layers.Elman(UNITS),
    "PeepholeLSTM": lambda: layers.PeepholeLSTM(UNITS),
    "LayerNormLSTM": lambda: layers.LayerNormLSTM(UNITS),
    "Recurrent": lambda: layers.Recurrent(layers.ZoneoutCell(layers.GRUCell(UNITS), 0.1)),
}


def predict(layer, **arguments):
    model = keras.Sequential([keras.Input((STEPS, UNITS)), layer])
    model.compile("sgd", "mse", **arguments)
    return model.predict(np.ones((2, STEPS, UNITS)), verbose=0)


@pytest.mark.parametrize("name", slow_except(["LSTM"], LAYERS))
def test_a_layer_and_a_block(name):
    layer = LAYERS[name]()
    fast = predict(layer)
    assert "asks for it" not in layer.explain()
    with layers.plain_loop():
        np.testing.assert_allclose(predict(layer), fast, rtol=1e-5)
    assert "plain_loop() asks for it" in layer.explain()
    layer.plain_loop = True
    np.testing.assert_allclose(predict(layer), fast, rtol=1e-5)
    assert "plain_loop=True of the layer asks for it" in layer.explain()
    layer.plain_loop = False
    predict(layer)
    assert "asks for it" not in layer.explain()


def test_decoders_and_documents():
    layer = layers.GRU(UNITS)
    layers.SentenceEncoder(layer).plain_loop = True
    assert layer.plain_loop is True
    decoder = layers.Decoder(keras.layers.Embedding(5, UNITS), layers.GRUCell(UNITS), keras.layers.Dense(5))
    assert decoder.plain_loop is False
    decoder.plain_loop = True
    decoder(np.ones((2, STEPS), "int32"))
    assert "asks for it" in decoder.recurrent.explain()


def test_a_block_ends_with_an_error():
    with pytest.raises(KeyError), layers.plain_loop():
        raise KeyError
    layer = layers.GRU(UNITS)
    predict(layer)
    assert "asks for it" not in layer.explain()


@pytest.mark.parametrize("wrap", [layers.Bidirectional, lambda layer: layers.Stacked([layer, layers.GRU(UNITS)])])
def test_layers_around_layers(wrap):
    layer = layers.GRU(UNITS, return_sequences=True)
    outer = wrap(layer)
    assert outer.plain_loop is False
    outer.plain_loop = True
    predict(outer)
    inner = [outer.forward_layer, outer.backward_layer] if hasattr(outer, "forward_layer") else outer.layers
    assert all("asks for it" in layer.explain() for layer in inner)
    assert outer.plain_loop is True


@pytest.mark.skipif(not TENSORFLOW, reason="JAX's models hand it to their functions, and PyTorch has no such loops")
class TestJitCompile:
    def test_of_a_model_in_all_its_functions(self):
        layer = layers.GRU(UNITS)
        model = keras.Sequential([keras.Input((STEPS, UNITS)), keras.Sequential([layer])])
        x, y = np.ones((2, STEPS, UNITS)), np.ones((2, UNITS))
        for wish, said in [(False, True), ("auto", False)]:
            model.compile("sgd", "mse", jit_compile=wish)
            for run in (lambda: model.fit(x, y, verbose=0), lambda: model.evaluate(x, y, verbose=0)):
                run()
                assert ("jit_compile=False" in layer.explain()) is said
            model.predict(x, verbose=0)
            assert ("jit_compile=False" in layer.explain()) is said

    def test_of_a_model_with_a_training_step_of_its_own(self):
        class Model(keras.Model):
            def __init__(self):
                super().__init__()
                self.inner = layers.GRU(UNITS)

            def call(self, x):
                return self.inner(x)

            def train_step(own, data):
                return super().train_step(data)

        model = Model()
        model.compile("sgd", "mse", jit_compile=False)
        model.fit(np.ones((2, STEPS, UNITS)), np.ones((2, UNITS)), verbose=0)
        assert "jit_compile=False" in model.inner.explain()

    def test_a_model_that_is_loaded_is_compiled_as_it_is_by_default(self, tmp_path):
        """Keras saves False for a model that was compiled by default, where there is no GPU."""
        model = keras.Sequential([keras.Input((STEPS, UNITS)), layers.GRU(UNITS)])
        model.compile("sgd", "mse")
        model.save(tmp_path / "model.keras")
        loaded = keras.models.load_model(tmp_path / "model.keras")
        assert loaded.compiled
        loaded.predict(np.ones((2, STEPS, UNITS)), verbose=0)
        assert "XLA compiles" in loaded.layers[0].explain()
