"""The road that text takes: batches as long as their longest row, with a mask, inside `model.fit`.

Each batch has 32 rows and as many steps as its longest row, 20 to 60, so that the time axis is unknown when the model
is traced: words, an embedding of 64 features, a recurrent layer of 64 units. Ours and Keras's take turns, epoch by
epoch, on the same batches. What is timed: one training step (the median), and the first three epochs as a whole, with
all tracing and compiling, each in a process of its own.

    python benchmarks/padded_batches.py
"""

import argparse
import os
import statistics
import time
from functools import partial

from harness import in_a_process_of_its_own, in_turn, write_results

BATCHES, ROWS, WORDS, FEATURES, UNITS = 60, 32, 500, 64, 64
LAYERS = ("LSTM", "GRU", "Bidirectional LSTM")
LIBRARIES = ("rnnkit", "keras")


def main():
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rounds", type=int, default=6, help="epochs of each that are timed; default 6")
    arguments.add_argument("--first-epochs", nargs=2, help=argparse.SUPPRESS)  # the library and the layer
    arguments = arguments.parse_args()
    if arguments.first_epochs:
        print(first_epochs(*arguments.first_epochs))
        return
    rows = []
    for layer in LAYERS:
        milliseconds = step_in_turns(layer, arguments.rounds)
        seconds = {library: in_a_process_of_its_own("--first-epochs", library, layer) for library in LIBRARIES}
        rows.append({"layer": layer, "milliseconds": milliseconds, "seconds_of_three_epochs": seconds})
        print(layer, milliseconds, seconds, flush=True)
    write_results("padded_batches", ["keras", "tensorflow"], batches=BATCHES, rows=rows)


def first_epochs(library, layer):
    """Seconds for the first three epochs of a new model, compiling and all; TensorFlow itself is warm."""
    model, data = make_model(library, layer), make_data()
    start = time.perf_counter()
    model.fit(data, steps_per_epoch=BATCHES, epochs=3, verbose=0)
    return time.perf_counter() - start


def step_in_turns(layer, rounds):
    import keras

    class Clock(keras.callbacks.Callback):
        def __init__(self, taken):
            super().__init__()
            self.taken = taken

        def on_train_batch_begin(self, batch, logs=None):
            self.start = time.perf_counter()

        def on_train_batch_end(self, batch, logs=None):
            if batch:  # the first one of an epoch also makes the iterator
                self.taken.append(1e3 * (time.perf_counter() - self.start))

    data = make_data()
    models = {library: make_model(library, layer) for library in LIBRARIES}
    times = {library: [] for library in LIBRARIES}

    def epoch_of(library):
        models[library].fit(data, steps_per_epoch=BATCHES, verbose=0, callbacks=[Clock(times[library])])

    epochs = {library: partial(epoch_of, library) for library in LIBRARIES}
    in_turn(epochs, 1)  # the first epoch traces and compiles
    for taken in times.values():
        taken.clear()
    in_turn(epochs, rounds)
    return {library: round(statistics.median(taken), 2) for library, taken in times.items()}


def make_model(library, layer):
    import keras

    import rnnkit.layers

    keras.utils.set_random_seed(0)
    layers = {"rnnkit": rnnkit.layers, "keras": keras.layers}[library]
    recurrent = getattr(layers, layer.split()[-1])(UNITS)
    if layer.startswith("Bidirectional"):
        recurrent = layers.Bidirectional(recurrent)
    embedding = keras.layers.Embedding(WORDS, FEATURES, mask_zero=True)
    model = keras.Sequential([keras.Input((None,), dtype="int32"), embedding, recurrent, keras.layers.Dense(1)])
    model.compile("adam", "mse")
    return model


def make_data():
    import numpy as np
    import tensorflow as tf

    rng = np.random.default_rng(0)
    batches = []
    for longest in rng.integers(20, 61, BATCHES):
        words = rng.integers(1, WORDS, (ROWS, longest)).astype("int32")
        lengths = np.append(rng.integers(5, longest + 1, ROWS - 1), longest)
        words[np.arange(longest) >= lengths[:, None]] = 0
        batches.append((words, rng.integers(0, 2, (ROWS, 1)).astype("float32")))
    specs = tf.TensorSpec((None, None), "int32"), tf.TensorSpec((None, 1), "float32")
    return tf.data.Dataset.from_generator(lambda: iter(batches), output_signature=specs).cache().repeat().prefetch(2)


if __name__ == "__main__":
    main()
