"""Trains an encoder-decoder, saves it, and serves it: from one file to a program that needs neither Keras nor rnnkit.

The task is small enough to watch: a word comes in, and is said backward. The model learns with the true letters. Then
it is saved, loaded, and written as a SavedModel that searches by itself. Another process, which imports TensorFlow
alone, reads it and says the same.

    python examples/serve.py               about a minute
"""

import argparse
import os
import subprocess
import sys
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

from rnnkit import datasets, decoding, layers

START, END, LETTERS, LONGEST = 1, 2, "abcdefghijklmnopqrstuvwxyz", 8
CLIENT = """
import sys
import numpy as np, tensorflow as tf
served = tf.saved_model.load(sys.argv[1])
found = served.serve(tf.constant(np.load(sys.argv[2])))
np.save(sys.argv[3], found["tokens"].numpy())
assert "rnnkit" not in sys.modules
"""


def main(epochs=25, words=4000):
    keras.utils.set_random_seed(0)
    sources, targets = make_data(words)
    model = make_model(sources, targets, epochs)
    with tempfile.TemporaryDirectory() as folder:
        model.save(f"{folder}/model.keras")
        encoder, decoder = load_parts(f"{folder}/model.keras")
        decoding.export_search(f"{folder}/served", encoder, decoder, START, END, LONGEST + 1, width=4)
        asked = encode(["recurrent", "served", "lstm", "keras", "gate", "rnn"])
        np.save(f"{folder}/asked.npy", asked)
        paths = [f"{folder}/{name}" for name in ("served", "asked.npy", "said.npy")]
        subprocess.run([sys.executable, "-c", CLIENT, *paths], check=True, stderr=subprocess.DEVNULL)
        said = np.load(f"{folder}/said.npy")[:, 0]
    here = decoding.beam_search(decoder, encoder.predict(asked, verbose=0), START, END, LONGEST + 1, width=4)
    for word, answer in zip(asked, said, strict=True):
        print(f"{spell(word):10} {spell(answer)}")
    print("the other process says the same:", bool((said == here.tokens[:, 0]).all()))


def make_data(count):
    """Words of the lessons' articles, and the same words backward."""
    found = sorted({word for document in datasets.wikipedia() for word in document})
    found = [word for word in found if 3 <= len(word) <= LONGEST and set(word) <= set(LETTERS)]
    found = [found[i] for i in np.random.default_rng(0).permutation(len(found))[:count]]
    return encode(found), encode([word[::-1] for word in found])


def encode(words):
    """Numbers from 3 for letters, then zeros; letters after the longest are left out."""
    numbers = np.zeros((len(words), LONGEST), "int32")
    for row, word in zip(numbers, words, strict=True):
        row[: len(word)] = [LETTERS.index(letter) + 3 for letter in word[:LONGEST]]
    return numbers


def spell(numbers):
    return "".join(LETTERS[number - 3] for number in numbers if number >= 3)


def make_model(sources, targets, epochs):
    source, target = keras.Input((None,), dtype="int32", name="source"), keras.Input((None,), dtype="int32")
    mask = keras.ops.not_equal(source, 0)
    encoder = layers.Bidirectional(layers.GRU(64, return_sequences=True, return_state=True))
    memory, *states = encoder(keras.layers.Embedding(len(LETTERS) + 3, 16)(source), mask=mask)
    cell = layers.AttentionCell(layers.GRUCell(64), layers.LuongAttention(64))
    embedding = keras.layers.Embedding(len(LETTERS) + 3, 16, mask_zero=True)
    decoder = layers.Decoder(embedding, cell, keras.layers.Dense(len(LETTERS) + 3), name="decoder")
    first = cell.initial_state(memory, mask, layers.Bridge(cell)(states))
    model = keras.Model([source, target], decoder(target, initial_state=first))
    model.compile(keras.optimizers.Adam(5e-3), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    ends = np.concatenate([targets, np.zeros_like(targets[:, :1])], axis=1)
    ends[np.arange(len(ends)), (targets > 0).sum(axis=1)] = END
    reads = np.concatenate([np.full_like(ends[:, :1], START), np.where(ends == END, 0, ends)[:, :-1]], axis=1)
    model.fit([sources, reads], ends, 64, epochs, verbose=0)
    return model


def load_parts(path):
    """The encoder and the decoder of a model that was saved as a whole."""
    model = keras.saving.load_model(path)
    decoder = model.get_layer("decoder")
    return keras.Model(model.inputs[0], decoder.input[1:]), decoder


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--epochs", type=int, default=25, help="default 25")
    main(arguments.parse_args().epochs)
