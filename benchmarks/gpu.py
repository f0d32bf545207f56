"""On a GPU: recurrent layers against the framework's own LSTM and GRU, which run on cuDNN.

    KERAS_BACKEND=torch python benchmarks/gpu.py [--rounds 15]
    KERAS_BACKEND=jax python benchmarks/gpu.py

A training step (values and all weights' gradients) at (batch 64, time 200, features 512, units 512) of `LSTM` and `GRU`
against the native layer of the same equation, and of `PeepholeLSTM` and `LayerNormLSTM`, for which there is no kernel,
against the native LSTM. Native is `torch.nn` on PyTorch, and on JAX `keras.layers.LSTM(use_cudnn=True)`; JAX has no GRU
on cuDNN. TensorFlow is not measured. What is reported is rnnkit's seconds over the native layer's: the ratio of
medians, and the smallest and the largest ratio of one round.

Without a GPU nothing is measured and nothing is written. `--anywhere` runs a small shape on any device, to see that the
script works, and writes nothing either.
"""

import argparse
from functools import partial

import keras
import numpy as np
from harness import alternate, ratio, write_results
from keras import ops

import rnnkit.convert
import rnnkit.layers

SHAPE = (64, 200, 512, 512)  # batch, time, features, units
NATIVE = {"LSTM": "LSTM", "GRU": "GRU", "PeepholeLSTM": "LSTM", "LayerNormLSTM": "LSTM"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--anywhere", action="store_true", help="a small shape on any device; nothing is written")
    arguments = parser.parse_args()
    backend = keras.backend.backend()
    if backend not in STEPS:
        raise SystemExit(f"This runs on JAX and PyTorch, not on {backend}: set KERAS_BACKEND.")
    gpu = name_of_gpu(backend)
    if gpu is None and not arguments.anywhere:
        return print(f"{backend} sees no GPU here: nothing was measured.")
    shape = (4, 6, 8, 8) if arguments.anywhere else SHAPE
    print(f"{backend} on {gpu or 'a processor'}, {shape}")
    rows = [row for name in NATIVE for row in measure(name, shape, STEPS[backend], arguments.rounds)]
    if not arguments.anywhere:
        write_results(f"gpu_{backend}", ["keras", backend], gpu=gpu, shape=shape, rows=rows)


def name_of_gpu(backend):
    if backend == "torch":
        import torch

        return torch.cuda.get_device_name() if torch.cuda.is_available() else None
    import jax

    return jax.devices()[0].device_kind if jax.default_backend() == "gpu" else None


def measure(name, shape, steps, rounds):
    batch, time, features, units = shape
    x = ops.convert_to_tensor(np.random.default_rng(0).normal(size=(batch, time, features)).astype("float32"))
    layer = getattr(rnnkit.layers, name)(units, return_sequences=True)
    layer.build(x.shape)
    contenders = dict(zip(("rnnkit", "native"), steps(layer, NATIVE[name], x), strict=True))
    if contenders["native"] is None:
        print(f"{name:13} no native {NATIVE[name]} to compare with")
        return
    values = {contender: float(run()) for contender, run in contenders.items()}
    if name == NATIVE[name]:
        np.testing.assert_allclose(values["rnnkit"], values["native"], rtol=1e-3, err_msg=name)
    alternate(contenders, 3)  # warms up
    seconds = alternate(contenders, rounds)
    row = {"layer": name, "native": NATIVE[name], "way": layer.explain(), **ratio(seconds["rnnkit"], seconds["native"])}
    print(f"{name:13} {row['ratio']:5.2f} ({row['spread'][0]:.2f} to {row['spread'][1]:.2f})  {row['way']}", flush=True)
    yield row


def steps_of_torch(layer, native, x):
    """Functions that take one training step, and return its loss when it is done: rnnkit's, and the native layer's."""
    import torch

    module = rnnkit.convert.to_torch(layer if type(layer).__name__ == native else _built(native, layer, x)).to(x.device)

    def step(run, parameters):
        loss = torch.sum(run() ** 2)
        torch.autograd.grad(loss, parameters)
        if x.is_cuda:
            torch.cuda.synchronize()
        return loss.detach()

    ours = partial(step, partial(layer, x), [variable.value for variable in layer.trainable_variables])
    return ours, partial(step, lambda: module(x)[0], list(module.parameters()))


def steps_of_jax(layer, native, x):
    import jax

    if native == "GRU":
        return None, None
    theirs = keras.layers.LSTM(layer.units, return_sequences=True, use_cudnn=jax.default_backend() == "gpu")
    theirs.build(x.shape)
    if type(layer).__name__ == native:
        theirs.set_weights(layer.get_weights())

    def step_of(layer):
        def loss(weights):
            others = [variable.value for variable in layer.non_trainable_variables]
            return ops.sum(layer.stateless_call(weights, others, x)[0] ** 2)

        compiled, weights = jax.jit(jax.value_and_grad(loss)), [v.value for v in layer.trainable_variables]
        return lambda: jax.block_until_ready(compiled(weights))[0]

    return step_of(layer), step_of(theirs)


def _built(name, like, x):
    layer = getattr(rnnkit.layers, name)(like.units)
    layer.build(x.shape)
    return layer


STEPS = {"torch": steps_of_torch, "jax": steps_of_jax}


if __name__ == "__main__":
    main()
