"""What differs between TensorFlow, JAX and PyTorch: three functions, each backend's in a file of its own.

`scan(step, carry, sequences, output)` runs a step over time, `gradient(function, tensors)` differentiates, and
`is_concrete(tensor)` says whether a tensor's numbers are known now. All else in rnnkit is written with `keras.ops`.
"""

import importlib

import keras

_backend = importlib.import_module(f"rnnkit.backend.{keras.backend.backend()}")

gradient = _backend.gradient
is_concrete = _backend.is_concrete
scan = _backend.scan
