"""Small models of all recurrent layers, each trained alone and distributed: the program that test_distribution.py runs.

    python tests/distributed_models.py mirrored|jax|worker FILE

It writes into FILE (.npz) the losses of each epoch and the weights before and after training, of every model. A worker
needs TF_CONFIG.
"""

import contextlib
import pathlib
import re
import sys

import keras
import numpy as np
from keras import ops

from rnnkit import layers

ROWS, BATCH, TIME, EPOCHS = 32, 8, 6, 2


def main(mode, file):
    runs = {"mirrored": mirrored, "jax": data_parallel, "worker": worker}[mode]
    np.savez(file, **{f"{run} {name}": value for run, results in runs() for name, value in results.items()})


def mirrored():
    import tensorflow as tf

    devices = [tf.config.LogicalDeviceConfiguration()] * 2
    tf.config.set_logical_device_configuration(tf.config.list_physical_devices("CPU")[0], devices)
    yield "alone", trained(fit)
    strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    yield f"on {strategy.num_replicas_in_sync}", trained(fit, strategy.scope)


def data_parallel():
    yield "alone", trained(fit)
    distribution = keras.distribution.DataParallel(devices=keras.distribution.list_devices())
    keras.distribution.set_distribution(distribution)
    yield f"on {distribution.device_mesh.devices.size}", trained(fit)


def worker():
    import tensorflow as tf

    sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "examples"))
    from distributed_ner import training_step

    def loop(model, inputs, targets):
        def batch(rows):
            return keras.tree.map_structure(lambda array: array[rows], (inputs, targets))

        step, epochs = training_step(strategy, model), []
        for _ in range(EPOCHS):
            model.reset_metrics()
            for rows in np.arange(ROWS).reshape(-1, BATCH):
                step(batch(rows))
            epochs.append(model.get_metrics_result())
        return {name: [float(epoch[name]) for epoch in epochs] for name in epochs[0]}

    strategy = tf.distribute.MultiWorkerMirroredStrategy()
    yield f"on {strategy.num_replicas_in_sync}", trained(loop, strategy.scope)


def fit(model, inputs, targets):
    return model.fit(inputs, targets, batch_size=BATCH, epochs=EPOCHS, shuffle=False, verbose=0).history


def trained(train, scope=contextlib.nullcontext):
    """The losses and the weights of all models, by name."""
    results = {}
    for make in (every_layer, tagger, translator):
        keras.utils.set_random_seed(1)
        with scope():
            model, loss, inputs, targets = make(np.random.default_rng(1))
            model.compile(keras.optimizers.SGD(0.05), loss)
        results |= weights_of(model, f"{make.__name__}, before")
        for name, losses in train(model, inputs, targets).items():
            results[f"{make.__name__}: {name}"] = np.array(losses)
        results |= weights_of(model, f"{make.__name__}, after")
    return results


def weights_of(model, title):
    """All weights, by their paths without the counts of layers in this process."""
    paths = [re.sub(r"_\d+", "", weight.path) for weight in model.weights]
    return {
        f"{title}: {number} {path}": ops.convert_to_numpy(weight)
        for number, (path, weight) in enumerate(zip(paths, model.weights, strict=True))
    }


class MinimalGatedCell(layers.RecurrentCell):
    """A cell as a user writes it, with one gate: it forgets as much as it lets in."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.state_size, self.output_size = [units], units

    def build(self, input_shape):
        units = self.output_size
        self.kernel = self.add_weight((input_shape[-1], 2 * units), name="kernel")
        self.recurrent_kernel = self.add_weight((units, units), name="recurrent_kernel")

    def project(self, inputs, training=False):
        return ops.matmul(inputs, self.kernel)

    def step(self, projected, states, training=False):
        gate, candidate = ops.split(projected, 2, axis=-1)
        gate = ops.sigmoid(gate + ops.matmul(states[0], self.recurrent_kernel))
        state = gate * states[0] + (1 - gate) * ops.tanh(candidate)
        return state, [state]


def every_layer(rng):
    """Side by side on the same sequences: each makes one column of the output. The models below have the others.

    One output, because Keras compiles the training of a model with several outputs twice.
    """
    recurrent = [
        layers.PeepholeLSTM(4),
        layers.LayerNormLSTM(4),
        layers.Recurrent(MinimalGatedCell(4)),
        layers.Stacked([layers.GRU(4), layers.Elman(4)]),
    ]
    sequences, ones = keras.Input((TIME, 3)), keras.Input((TIME,), dtype="int32")
    mask = ops.not_equal(ones, 0)  # Keras cannot fit boolean inputs under MirroredStrategy
    outputs = [keras.layers.Dense(1)(layer(sequences, mask=mask)) for layer in recurrent]
    model = keras.Model([sequences, ones], keras.layers.concatenate(outputs))
    x, ones = rng.normal(size=(ROWS, TIME, 3)).astype("float32"), np.int32(np.arange(TIME) < lengths(rng))
    y = np.tanh(x.sum(axis=-1) * ones).mean(axis=1, keepdims=True)
    return model, "mse", [x, ones], np.repeat(y, len(recurrent), axis=1)


def tagger(rng):
    words = keras.Input((TIME,), dtype="int32")
    mask = ops.not_equal(words, 0)
    lstm = layers.Bidirectional(layers.LSTM(4, return_sequences=True))
    emissions = keras.layers.Dense(3)(lstm(keras.layers.Embedding(12, 5)(words), mask=mask))
    model = keras.Model(words, layers.CRF(3)(emissions, mask=mask))
    x = numbers(rng)
    return model, layers.CRFLoss(), x, x % 3


def translator(rng):
    """A target is its source, with each number increased by one. Each batch has targets of many lengths.

    The loss is the sum over all words: in the mean over the words of a replica, the weight of a word would depend on
    how many others its replica has.
    """
    source, target = [keras.Input((TIME,), dtype="int32") for _ in range(2)]
    mask = ops.not_equal(source, 0)
    encoder = layers.Bidirectional(layers.LSTM(4, return_sequences=True, return_state=True))
    memory, *states = encoder(keras.layers.Embedding(12, 5)(source), mask=mask)
    cell = layers.AttentionCell(layers.LSTMCell(6), layers.LuongAttention(6))
    decoder = layers.Decoder(keras.layers.Embedding(13, 5, mask_zero=True), cell, keras.layers.Dense(13))
    scores = decoder(target, initial_state=cell.initial_state(memory, mask, layers.Bridge(6)(states)))
    x = numbers(rng)
    y = np.where(x > 0, x + 1, 0)
    before = np.where(x > 0, np.pad(y[:, :-1], ((0, 0), (1, 0)), constant_values=1), 0)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum")
    return keras.Model([source, target], scores), loss, [x, before], y


def numbers(rng):
    """Sequences of numbers from 1 to 11, followed by zeros."""
    return np.where(np.arange(TIME) < lengths(rng), rng.integers(1, 12, (ROWS, TIME)), 0).astype("int32")


def lengths(rng):
    return rng.integers(2, TIME + 1, (ROWS, 1))


if __name__ == "__main__":
    main(*sys.argv[1:])
