"""Keras's own tests of its recurrent layers, which its wheel ships, with rnnkit's classes instead of Keras's."""

import importlib

import keras
import pytest

from rnnkit import layers

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:`shuffle=True` was passed"),  # Keras's helper fits on a generator
]


class Layers:
    """`keras.layers` with rnnkit's recurrent layers."""

    RNN = layers.Recurrent
    LSTM = layers.LSTM
    GRU = layers.GRU
    SimpleRNN = layers.Elman
    Bidirectional = layers.Bidirectional
    LSTMCell = layers.LSTMCell
    GRUCell = layers.GRUCell
    SimpleRNNCell = layers.ElmanCell

    def __getattr__(self, name):
        return getattr(keras.layers, name)


def cases(name):
    """The test classes in the module next to that of a layer of Keras. It sees our layers from now on."""
    module = importlib.import_module(getattr(keras.layers, name).__module__ + "_test")
    module.layers = Layers()
    own = {key: value for key, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__}
    return {f"TestKeras{name}": value for key, value in own.items() if key.endswith("Test")}


try:
    for name in ("LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional", "StackedRNNCells"):
        globals().update(cases(name))
except ModuleNotFoundError as error:
    pytest.skip(f"the wheel of Keras {keras.__version__} lacks its tests: {error}", allow_module_level=True)
