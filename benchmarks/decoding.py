"""Decoding: one compiled loop against a loop over `model.predict`, and beam search against greedy search.

    python benchmarks/decoding.py [--rounds 9]

An LSTM of 256 units with a vocabulary of 1,000 tokens writes 100 tokens, for 1 row and for 32, with random weights; no
token ends a sequence: all do the same work. The loop over `predict` feeds a Keras model of one step, token after
token; its tokens are checked to be equal. What controls a beam search is compared with the beam search without it.
Contenders alternate, each after a first call that compiles. Reported are the ratio of medians, and the smallest and the
largest ratio of one round.
"""

import argparse
import statistics
from functools import partial

import keras
import numpy as np
from harness import alternate, ratio, write_results
from keras import ops

from rnnkit import decoding, layers

UNITS, VOCABULARY, TOKENS, WIDTH = 256, 1000, 100, 5
CONTROLS = {
    "forbidden": {"forbidden": [3, 4, 5]},
    "min_length": {"end": 2, "min_length": TOKENS},
    "no_repeat": {"no_repeat": 3},
    "repetition_penalty": {"repetition_penalty": 1.2},
    "prefix": {"prefix": np.arange(3, 13)},
    "constrain": {"constrain": lambda tokens, step, logits: ops.where(np.arange(VOCABULARY) < 900, logits, -np.inf)},
    "moves": {"constrain": decoding.Moves(np.random.default_rng(0).random((VOCABULARY, VOCABULARY)) < 0.9)},
}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    keras.utils.set_random_seed(0)
    rows = [row for batch in (1, 32) for row in measure(batch, arguments.rounds)]
    print(f"{'batch':>5}  {'contender':24} {'seconds':>8}  {'of base':>9}  spread")
    for row in rows:
        spread = "{:.2f} to {:.2f}".format(*row["spread"])
        print(f"{row['batch']:5}  {row['contender']:24} {row['seconds']:8.4f}  {row['ratio']:9.2f}  {spread}")
    write_results("decoding", ["keras", keras.backend.backend()], rounds=arguments.rounds, rows=rows)


def measure(batch, rounds):
    decoder, attending, model = make()
    states = [np.zeros((batch, UNITS), "float32")] * 2
    memory = np.random.default_rng(0).normal(size=(batch, 30, UNITS)).astype("float32")
    looking = attending.cell.initial_state(memory, states=states)
    attending(np.ones((batch, 1), "int32"), initial_state=looking)
    common = {"start": 1, "end": None, "max_length": TOKENS}
    contenders = {
        "greedy": lambda: decoding.greedy_search(decoder, states, **common).tokens,
        "greedy, Keras model": lambda: decoding.greedy_search(model, states, **common).tokens,
        "predict, token by token": lambda: by_predict(model, states, batch),
        f"beam of {WIDTH}": lambda: decoding.beam_search(decoder, states, **common, width=WIDTH).tokens[:, 0],
        "greedy, attention": lambda: decoding.greedy_search(attending, looking, **common).tokens,
        f"beam of {WIDTH}, attention": lambda: decoding.beam_search(attending, looking, **common, width=WIDTH).tokens,
    }
    for name, options in CONTROLS.items():
        options = {**common, "width": WIDTH, **options}
        contenders[f"beam of {WIDTH}, {name}"] = partial(decoding.beam_search, decoder, states, **options)
    tokens = {name: run() for name, run in contenders.items()}  # compiles
    assert (tokens["predict, token by token"] == tokens["greedy"]).all()
    assert (tokens["greedy, Keras model"] == tokens["greedy"]).all()
    seconds = alternate(contenders, rounds)
    rows = []
    for name, times in seconds.items():
        base = seconds["greedy, attention" if "attention" in name else "greedy"]
        if name.rsplit(", ")[-1] in CONTROLS:
            base = seconds[f"beam of {WIDTH}"]
        rows.append({"batch": batch, "contender": name, "seconds": statistics.median(times), **ratio(times, base)})
    return rows


def make():
    """A decoder without attention, one with, and the Keras model of one step with the weights of the first."""
    embedding, cell, head = (
        keras.layers.Embedding(VOCABULARY, UNITS),
        layers.LSTMCell(UNITS),
        keras.layers.Dense(VOCABULARY),
    )
    decoder = layers.Decoder(embedding, cell, head)
    decoder(np.ones((1, 1), "int32"))
    decoder.set_weights([3 * weight for weight in decoder.get_weights()])  # else it says one token for ever
    tokens, h, C = keras.Input((1,), dtype="int32"), keras.Input((UNITS,)), keras.Input((UNITS,))
    output, (new_h, new_C) = keras.layers.LSTMCell(UNITS, name="cell")(embedding(tokens)[:, 0], [h, C])
    model = keras.Model([tokens, h, C], [head(output), new_h, new_C])
    model.get_layer("cell").set_weights(cell.get_weights())
    attending = layers.Decoder(
        keras.layers.Embedding(VOCABULARY, UNITS),
        layers.AttentionCell(layers.LSTMCell(UNITS), layers.LuongAttention(UNITS)),
        keras.layers.Dense(VOCABULARY),
    )
    return decoder, attending, model


def by_predict(model, states, batch):
    token, said = np.ones((batch, 1), "int32"), []
    for _ in range(TOKENS):
        logits, *states = model.predict([token, *states], verbose=0)
        token = logits.argmax(axis=-1, keepdims=True)
        said.append(token)
    return np.concatenate(said, axis=1)


if __name__ == "__main__":
    main()
