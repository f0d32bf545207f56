"""The CRF against pytorch-crf: a training step, and decoding, on PyTorch and on TensorFlow.

    pip install -e ".[torch,bench]"
    python benchmarks/crf.py [--rounds 15] [--backends torch tensorflow]

A training step is the log-likelihood, summed over the batch, and its gradients for emissions, transitions, start and
end. Decoding is Viterbi, until Python has the tags. With a mask, rows are padded on the right: one is full,
the others have a random number of steps. Emissions, tags and weights are random and the same for both. rnnkit runs as a
Keras model would run it: on PyTorch op by op, on TensorFlow compiled by XLA.

Everything is float32. rnnkit's likelihood, gradients and sequences are checked to be those of pytorch-crf in float64;
the results record the largest distance of each library's gradients for the emissions from these (`errors`).

Each backend has its own process, in which rnnkit and pytorch-crf alternate, each after a first call that compiles.
Reported are the ratio of medians, pytorch-crf's seconds to rnnkit's (above 1, rnnkit is the faster one), and the
smallest and the largest ratio of one round.
"""

import argparse
import json
import statistics
import sys

import keras
import numpy as np
from harness import alternate, in_a_process_of_its_own, ratio, write_results
from keras import ops

from rnnkit.layers import CRF

try:
    import torch
    import torchcrf
except ImportError as error:
    sys.exit(f"{error}: this benchmark needs PyTorch and pytorch-crf: pip install -e '.[torch,bench]'")

SHAPES = [(32, 50, 9), (64, 200, 17), (8, 1000, 9)]  # batch, time, tags


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--backends", nargs="+", default=["torch", "tensorflow"], choices=["torch", "tensorflow"])
    parser.add_argument("--here", action="store_true", help="measure the backend of this process and print JSON")
    arguments = parser.parse_args()
    if arguments.here:
        return print(json.dumps([row for shape in SHAPES for row in measure(shape, arguments.rounds)]))
    again = ["--here", "--rounds", arguments.rounds]
    rows = [row for name in arguments.backends for row in in_a_process_of_its_own(*again, KERAS_BACKEND=name)]
    print(f"{'backend':10}  {'batch, time, tags':17}  mask   work      {'rnnkit':>8}  pytorch-crf  ratio  spread")
    for row in rows:
        shape, spread = "{}, {}, {}".format(*row["shape"]), "{:.2f} to {:.2f}".format(*row["spread"])
        print(f"{row['backend']:10}  {shape:17}  {row['mask']!s:5}  {row['work']:8}", end="  ")
        print(f"{row['rnnkit']:8.4f}  {row['pytorch-crf']:11.4f}  {row['ratio']:5.2f}  {spread}")
    packages = ["keras", *arguments.backends, "torch", "pytorch-crf"]
    write_results("crf", packages, threads=torch.get_num_threads(), rounds=arguments.rounds, rows=rows)


def measure(shape, rounds):
    batch, time, num_tags = shape
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=size).astype("float32") for size in (num_tags, (num_tags, num_tags), num_tags)]
    emissions = rng.normal(scale=2.0, size=shape).astype("float32")
    tags = rng.integers(0, num_tags, (batch, time))
    lengths = np.concatenate([[time], rng.integers(1, time + 1, batch - 1)])
    for mask in (None, np.arange(time) < lengths[:, None]):
        ours = of_rnnkit(weights, emissions, tags, mask)
        theirs = of_pytorch_crf(weights, emissions, tags, mask)
        exact = of_pytorch_crf(weights, emissions, tags, mask, torch.float64)
        errors = check_equal(ours, theirs, exact, lengths if mask is not None else [time] * batch)
        for work in ("training", "decoding"):
            seconds = alternate({"rnnkit": ours[work], "pytorch-crf": theirs[work]}, rounds)
            about = {"backend": keras.backend.backend(), "shape": shape, "mask": mask is not None, "work": work}
            medians = {name: statistics.median(times) for name, times in seconds.items()}
            row = {**about, **medians, **ratio(seconds["pytorch-crf"], seconds["rnnkit"])}
            yield {**row, "errors": errors} if work == "training" else row


def of_rnnkit(weights, emissions, tags, mask):
    """What is timed: `training`, which returns the likelihood and its gradients, and `decoding`."""
    layer = CRF(emissions.shape[-1])
    layer.build(emissions.shape)
    layer.set_weights(weights)
    emissions, tags = ops.convert_to_tensor(emissions), ops.convert_to_tensor(tags)
    mask = None if mask is None else ops.convert_to_tensor(mask)
    inputs = [emissions, *(variable.value for variable in (layer.start, layer.transitions, layer.end))]

    def likelihood():
        return ops.sum(layer.log_likelihood(emissions, tags, mask))

    def decode():
        return layer.decode(emissions, mask).tags

    if keras.backend.backend() == "torch":
        training = trained_by_autograd(likelihood, inputs)
        decode = torch.no_grad()(decode)
    else:
        import tensorflow as tf

        @tf.function(jit_compile=True)
        def training():
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                value = likelihood()
            return value, tape.gradient(value, inputs)

        decode = tf.function(decode, jit_compile=True)
    return {"training": training, "decoding": lambda: ops.convert_to_numpy(decode())}


def of_pytorch_crf(weights, emissions, tags, mask, precision=torch.float32):
    layer = torchcrf.CRF(emissions.shape[-1], batch_first=True)
    parameters = [layer.start_transitions, layer.transitions, layer.end_transitions]
    for parameter, weight in zip(parameters, weights, strict=True):
        parameter.data = torch.tensor(weight, dtype=precision)
    emissions, tags = torch.tensor(emissions, dtype=precision), torch.tensor(tags)
    mask = None if mask is None else torch.tensor(mask)
    training = trained_by_autograd(lambda: layer(emissions, tags, mask), [emissions, *parameters])
    return {"training": training, "decoding": torch.no_grad()(lambda: layer.decode(emissions, mask))}


def trained_by_autograd(likelihood, inputs):
    inputs[0].requires_grad_()

    def training():
        value = likelihood()
        return value, torch.autograd.grad(value, inputs)

    return training


def check_equal(ours, theirs, exact, lengths):
    """Returns how far the gradients for the emissions are from those in float64, at most."""
    (value, gradients), (exact_value, exact_gradients) = ours["training"](), exact["training"]()
    np.testing.assert_allclose(ops.convert_to_numpy(value), exact_value.detach(), rtol=1e-6)
    for gradient, same, atol in zip(gradients, exact_gradients, [2e-6, 1e-3, 1e-3, 1e-3], strict=True):
        np.testing.assert_allclose(ops.convert_to_numpy(gradient), same, rtol=1e-5, atol=atol)  # those of weights: sums
    for row, same, length in zip(ours["decoding"](), exact["decoding"](), lengths, strict=True):
        assert row[:length].tolist() == same
    by_emissions = {"rnnkit": gradients[0], "pytorch-crf": theirs["training"]()[1][0]}
    distances = {name: ops.convert_to_numpy(g) - exact_gradients[0].numpy() for name, g in by_emissions.items()}
    return {name: float(abs(distance).max()) for name, distance in distances.items()}


if __name__ == "__main__":
    main()
