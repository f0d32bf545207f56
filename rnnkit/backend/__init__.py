"""What differs between TensorFlow, JAX and PyTorch. Everything else in rnnkit is written with `keras.ops`.

| name | what it does |
|---|---|
| `run(loop)` | runs a recurrent layer's `Loop` in the fastest way that fits; the `Run` says which way |
| `scan(step, carry, sequences, output)` | runs a step over time, for whatever is not a recurrent layer |
| `gradient(function, tensors)` | differentiates |
| `compiled(function, variables)` | makes one program of a function |
| `from_ragged(tensor)` | makes of a ragged tensor a padded one and its mask |
| `is_concrete(tensor)` | says whether a tensor's numbers are known now |
| `chains` | the recursions over a batch of linear chains: forward, viterbi, backward, backtrace |

There is one folder per backend. To add one, write these names for it.
"""

import importlib

import keras

_backend = importlib.import_module(f"rnnkit.backend.{keras.backend.backend()}")

chains = _backend.chains
compiled = _backend.compiled
gradient = _backend.gradient
from_ragged = _backend.from_ragged
is_concrete = _backend.is_concrete
run = _backend.run
scan = _backend.scan
