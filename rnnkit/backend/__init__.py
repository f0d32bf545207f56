"""What differs between TensorFlow, JAX and PyTorch: seven functions and a module, in files of their own.

`scan(step, carry, sequences, output)` runs a step over time. `recurrence` does so for a recurrent layer, in the fastest
way that fits, and says which that was; `split_batch` lets two cores run it; `kernel_for(layer, sequences, training)`
finds what the backend has for a layer instead of a loop. `gradient(function, tensors)` differentiates,
`compiled(function, variables)` makes one program of a function, and `is_concrete(tensor)` says whether a tensor's
numbers are known now. `chains` has the recursions over a batch of linear chains. All else in rnnkit is written with
`keras.ops`.
"""

import importlib

import keras

_backend = importlib.import_module(f"rnnkit.backend.{keras.backend.backend()}")
_family = "torch" if keras.backend.backend() == "torch" else "keras"

compiled = _backend.compiled
gradient = _backend.gradient
split_batch = _backend.split_batch
is_concrete = _backend.is_concrete
recurrence = _backend.recurrence
scan = _backend.scan
chains = importlib.import_module("rnnkit.backend.torch.chains" if _family == "torch" else "rnnkit.backend.chains")
if _family == "torch":
    from rnnkit.backend.torch.kernels import kernel_for
else:

    def kernel_for(layer, sequences, training):
        return None, ""
