"""Moves layers, models and weights files between rnnkit, Keras and PyTorch, and GRUs between their conventions.

Weights are copied, negated or reordered, never recomputed: converting there and back gives the same bits. The one
exception is an LSTM or vanilla network from PyTorch, which has two biases where one is enough: they are added up.
"""

from rnnkit.convert.conventions import with_convention
from rnnkit.convert.keras_layers import from_keras, to_keras
from rnnkit.convert.torch_modules import from_torch, to_torch
from rnnkit.convert.torch_states import states_from_torch, states_to_torch
from rnnkit.convert.weights_files import load_weights

__all__ = [
    "from_keras",
    "from_torch",
    "load_weights",
    "states_from_torch",
    "states_to_torch",
    "to_keras",
    "to_torch",
    "with_convention",
]
