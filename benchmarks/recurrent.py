"""Recurrent layers against those they replace: training and inference with equal weights.

    python benchmarks/recurrent.py [--rounds 3] [--shapes 0 3] [--layers LSTM GRU] [--masks no yes]

`LSTM`, `GRU` and `Elman` run against `keras.layers.LSTM`, `GRU` and `SimpleRNN`; `PeepholeLSTM`, `LayerNormLSTM` and a
custom cell, the minimal gated unit, against `keras.layers.RNN` with the same cell. A model is one layer, with the
sequence of its outputs; training is `model.fit` (squared error, stochastic gradient descent) and inference
`model.predict`, both over as many batches as have a million outputs, at least five, after a first call that
compiles. What is timed is a batch inside the call, without the first: what `fit` and `predict` do before and after
their batches would hide the difference in such a short run. With a mask, rows are padded on the right.
`KERAS_BACKEND=jax` does the same on JAX.

With `KERAS_BACKEND=torch`, training is the layer and its gradients without a model around it, and the contender is
`torch.nn.LSTM` or `GRU`, with packed sequences where there is a mask; Keras's layers run as well.

The outputs are checked to be equal before anything is timed, and the weights after training. (The scales of layer
normalization are a tenth: with ones, the recurrence is chaotic, and rounding grows with each step.) Reported are
the contender's seconds over rnnkit's (the ratio of medians; above 1, rnnkit is the faster one), the smallest and the
largest ratio of one round, and rnnkit's share of the limit: the floating-point operations of its matrix products, over
what the machine's product of two matrices of 2,048 by 2,048 does in the same time.

Finally, the peak memory of a training step at (32, 1000, 64, 128), compiling included, above what the process had
before: each in its own process (Linux only).
"""

import argparse
import statistics
import time
from functools import partial

import keras
import numpy as np
from harness import alternate, in_a_process_of_its_own, in_turn, peak_megabytes, ratio, write_results
from keras import ops

import rnnkit.convert
import rnnkit.layers

SHAPES = [
    (1, 200, 64, 128),
    (16, 200, 32, 64),
    (64, 50, 64, 128),
    (32, 100, 256, 256),
    (64, 200, 128, 128),
    (8, 1000, 32, 64),
    (256, 30, 128, 256),
    (32, 100, 256, 512),
]  # batch, time, features, units
LONG = (32, 1000, 64, 128)


class MinimalGatedCell(rnnkit.layers.RecurrentCell):
    """f = sigmoid(x_f + U_f h), h = (1 - f) * h + f * tanh(x_h + U_h (f * h)): Zhou et al., 2016."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units, self.state_size, self.output_size = units, [units], units

    def build(self, input_shape):
        self.kernel = self.add_weight((input_shape[-1], 2 * self.units), "glorot_uniform", name="kernel")
        self.recurrent_kernel = self.add_weight((self.units, 2 * self.units), "orthogonal", name="recurrent_kernel")

    def project(self, inputs, training=False):
        return ops.matmul(inputs, self.kernel)

    def step(self, projected, states, training=False):
        (h,), units = states, self.units
        product = rnnkit.layers.recurrent_product
        f = ops.sigmoid(product(h, self.recurrent_kernel[:, :units], base=projected[:, :units]))
        candidate = ops.tanh(product(f * h, self.recurrent_kernel[:, units:], base=projected[:, units:]))
        h = (1 - f) * h + f * candidate
        return h, [h]


def in_keras(cell, units, **kwargs):
    return keras.layers.RNN(cell(units), **kwargs)


def in_rnnkit(cell, units, **kwargs):
    return rnnkit.layers.Recurrent(cell(units), **kwargs)


LAYERS = {
    "LSTM": (rnnkit.layers.LSTM, keras.layers.LSTM),
    "GRU": (rnnkit.layers.GRU, keras.layers.GRU),
    "Elman": (rnnkit.layers.Elman, keras.layers.SimpleRNN),
    "PeepholeLSTM": (rnnkit.layers.PeepholeLSTM, partial(in_keras, rnnkit.layers.PeepholeLSTMCell)),
    "LayerNormLSTM": (rnnkit.layers.LayerNormLSTM, partial(in_keras, rnnkit.layers.LayerNormLSTMCell)),
    "own cell": (partial(in_rnnkit, MinimalGatedCell), partial(in_keras, MinimalGatedCell)),
}


OUTPUTS = 0 if keras.backend.backend() == "torch" else 1_000_000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--shapes", nargs="+", type=int, default=range(len(SHAPES)), help="numbers of SHAPES")
    parser.add_argument("--layers", nargs="+", default=[*LAYERS], choices=[*LAYERS])
    parser.add_argument(
        "--masks", nargs="+", choices=["no", "yes"], help="by default both, or no against keras.layers.RNN"
    )
    parser.add_argument("--peak", choices=["rnnkit", "keras"], help="print the peak memory of a training step")
    arguments = parser.parse_args()
    if arguments.peak:
        return print(peak_memory(arguments.peak))
    limit = products_per_second()
    print(f"matrix products: {limit / 1e9:.0f} GFLOP/s")
    print(f"{'layer':13}  {'batch, time, features, units':28}  mask  {'work':9}  {'contender':9}", end="  ")
    print(f"{'rnnkit':>8}  {'other':>8}  ratio  {'spread':14}  share")
    rows = []
    for name in arguments.layers:
        for shape in [SHAPES[number] for number in arguments.shapes]:
            for mask in arguments.masks or (["no", "yes"] if name in ("LSTM", "GRU", "Elman") else ["no"]):
                for row in measure(name, shape, mask == "yes", arguments.rounds, limit):
                    rows.append(row)
                    print_row(row)
    ratios = {}
    for row in rows:
        ratios.setdefault((row["layer"], row["contender"], row["work"]), []).append(row["ratio"])
    for (name, contender, work), found in ratios.items():
        mean, least = statistics.geometric_mean(found), min(found)
        print(f"{name:13}  {contender:9}  {work:9}  geometric mean {mean:.2f}, least {least:.2f}")
    backend = keras.backend.backend()
    memory = {name: in_a_process_of_its_own("--peak", name) for name in ("rnnkit", "keras")}
    print(f"peak memory of a training step of LSTM at {LONG}, MB: {memory}")
    results = {"rounds": arguments.rounds, "limit": limit, "rows": rows, "peak_megabytes": memory}
    write_results(f"recurrent_{backend}", ["keras", backend], **results)


def print_row(row):
    shape, spread = "{}, {}, {}, {}".format(*row["shape"]), "{:.2f} to {:.2f}".format(*row["spread"])
    mask = "yes" if row["mask"] else "no"
    print(f"{row['layer']:13}  {shape:28}  {mask:4}  {row['work']:9}  {row['contender']:9}", end="  ")
    print(
        f"{row['seconds']:8.4f}  {row['other']:8.4f}  {row['ratio']:5.2f}  {spread:14}  {row['share']:5.0%}", flush=True
    )


def measure(name, shape, masked, rounds, limit):
    batch, time, features, units = shape
    batches = max(OUTPUTS // (batch * time * units), 5 if OUTPUTS else 1)
    rng = np.random.default_rng(0)
    lengths = np.append(time, rng.integers(1, time + 1, batches * batch - 1))
    x = rng.normal(size=(batches * batch, time, features)).astype("float32")
    mask = np.arange(time) < lengths[:, None] if masked else None
    contenders = (
        of_torch(name, shape, x, mask) if keras.backend.backend() == "torch" else of_keras(name, shape, x, mask)
    )
    operations = operations_of(name, shape)
    for work in ("inference", "training"):
        results = {contender: runs[work]()[0] for contender, runs in contenders.items()}
        for contender, result in results.items():
            for ours, theirs in zip(results["rnnkit"], result, strict=contender != "torch.nn"):
                np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4, err_msg=f"{name} {shape} {contender}")
        timed = {contender: lambda run=runs[work]: run()[1] for contender, runs in contenders.items()}
        seconds = in_turn(timed, rounds)
        ours = seconds.pop("rnnkit")
        for contender, theirs in seconds.items():
            yield {
                **{"layer": name, "shape": shape, "mask": masked, "work": work, "contender": contender},
                **{"seconds": statistics.median(ours), "other": statistics.median(theirs)},
                **ratio(theirs, ours),
                "share": operations[work] / statistics.median(ours) / limit,
            }


def of_keras(name, shape, x, mask):
    """Of rnnkit and of Keras: inference, which returns the outputs, and training, which returns the weights.

    Each returns the seconds of a batch, too.
    """
    batch, time, features, units = shape
    y = np.random.default_rng(1).normal(size=(len(x), time, units)).astype("float32")
    data = x if mask is None else [x, mask]
    contenders, weights = {}, None
    for contender, layer in zip(("rnnkit", "keras"), LAYERS[name], strict=True):
        inputs = keras.Input((time, features))
        counts = None if mask is None else keras.Input((time,), dtype="bool")
        outputs = layer(units, return_sequences=True)(inputs, mask=counts)
        model = keras.Model(inputs if mask is None else [inputs, counts], outputs)
        if weights is None:
            weights = [0.1 * weight if np.all(weight == 1) else weight for weight in model.get_weights()]
        model.set_weights(weights)
        model.compile("sgd", "mse")

        def train(model=model):
            model.fit(data, y, batch_size=batch, shuffle=False, verbose=0, callbacks=[clock := Clock()])
            return model.get_weights(), clock.seconds_of_a_batch()

        def infer(model=model):
            outputs = model.predict(data, batch_size=batch, verbose=0, callbacks=[clock := Clock()])
            return [outputs], clock.seconds_of_a_batch()

        contenders[contender] = {"training": train, "inference": infer}
    return contenders


class Clock(keras.callbacks.Callback):
    """Notes when a batch ends."""

    def __init__(self):
        super().__init__()
        self.ends = []

    def on_train_batch_end(self, batch, logs=None):
        self.ends.append(time.perf_counter())

    on_predict_batch_end = on_train_batch_end

    def seconds_of_a_batch(self):
        return (self.ends[-1] - self.ends[0]) / (len(self.ends) - 1)


def of_torch(name, shape, x, mask):
    """Of rnnkit, Keras and `torch.nn`: inference, which returns the outputs, and training.

    Training returns the value and its gradients, of `torch.nn`, where these have another layout, only the value. Each
    returns its seconds, too.
    """
    import torch

    x = torch.tensor(x)
    mask = None if mask is None else torch.tensor(mask)
    ours, theirs = (layer(shape[-1], return_sequences=True) for layer in LAYERS[name])
    for layer in (ours, theirs):
        layer.build(x.shape)
    theirs.set_weights(ours.get_weights())
    runs = {"rnnkit": partial(ours, x, mask=mask), "keras": partial(theirs, x, mask=mask)}
    parameters = {"rnnkit": ours.trainable_variables, "keras": theirs.trainable_variables}
    parameters = {contender: [variable.value for variable in found] for contender, found in parameters.items()}
    if name in ("LSTM", "GRU"):
        module = rnnkit.convert.to_torch(ours)
        runs["torch.nn"], parameters["torch.nn"] = partial(packed, module, x, mask), list(module.parameters())

    def train(contender):
        begin = time.perf_counter()
        outputs = runs[contender]()
        counts = 1 if mask is None else mask[..., None]
        value = torch.sum(counts * outputs**2)
        gradients = torch.autograd.grad(value, parameters[contender])
        seconds = time.perf_counter() - begin
        gradients = [] if contender == "torch.nn" else [gradient.numpy() for gradient in gradients]
        return [value.detach().numpy(), *gradients], seconds

    def infer(contender):
        begin = time.perf_counter()
        with torch.no_grad():
            outputs = runs[contender]()
        seconds = time.perf_counter() - begin
        return [(outputs if mask is None else outputs * mask[..., None]).numpy()], seconds

    return {name: {"training": partial(train, name), "inference": partial(infer, name)} for name in runs}


def packed(module, x, mask):
    """What one writes in PyTorch for sequences that are padded on the right."""
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    if mask is None:
        return module(x)[0]
    sequences = pack_padded_sequence(x, mask.sum(1), batch_first=True, enforce_sorted=False)
    return pad_packed_sequence(module(sequences)[0], batch_first=True, total_length=x.shape[1])[0]


def operations_of(name, shape):
    """Floating-point operations of the matrix products for one batch. Training needs no gradient of the inputs."""
    batch, time, features, units = shape
    layer = LAYERS[name][0](units)
    layer.build((batch, time, features))
    sizes = {"input": 0, "recurrent": 0}
    for weight in layer.trainable_weights:
        if len(weight.shape) == 2 and weight.name != "bias":
            sizes["input" if weight.name == "kernel" else "recurrent"] += int(np.prod(weight.shape))
    of_one_product = {kind: 2 * batch * time * size for kind, size in sizes.items()}
    inference = sum(of_one_product.values())
    return {"inference": inference, "training": 2 * inference + of_one_product["recurrent"]}


def products_per_second():
    """Floating-point operations per second of the backend's matrix product."""
    size = 2048
    a = ops.convert_to_tensor(np.random.default_rng(0).normal(size=(size, size)).astype("float32"))

    def product():
        return ops.convert_to_numpy(ops.matmul(a, a))

    product()
    return 2 * size**3 / statistics.median(alternate({"product": product}, 15)["product"])


def peak_memory(name):
    """Megabytes that training an LSTM adds to the peak that the process had before."""
    shape, number = LONG, ("rnnkit", "keras").index(name)
    batch, time, features, units = shape
    x = np.random.default_rng(0).normal(size=(batch, time, features)).astype("float32")
    y = np.zeros((batch, time, units), "float32")
    model = keras.Sequential([keras.Input((time, features)), LAYERS["LSTM"][number](units, return_sequences=True)])
    model.compile("sgd", "mse")
    before = peak_megabytes()
    for _ in range(3):
        model.train_on_batch(x, y)
    return round(peak_megabytes() - before)


if __name__ == "__main__":
    main()
