"""What lesson 03 reads from a file: five seeds of what it trains with one.

    python benchmarks/lesson_03.py

The adding problem over 100 steps; the characters of Wikipedia with an LSTM and with vanilla networks of as many units
and of as many weights; and the same LSTM on the beginnings of many articles instead of a few whole ones.
"""

import keras
import numpy as np
from harness import OF_LESSONS, write_results

from rnnkit import datasets, diagnostics, layers, text

SEEDS = [1, 2, 3, 4, 5]
SIGNS = " abcdefghijklmnopqrstuvwxyz"


def main():
    results = {"factor": {}, "adding": {}, "characters": {}}
    articles = [" ".join(words) for words in datasets.wikipedia()]
    articles = ["".join(sign for sign in article if sign in SIGNS) for article in articles]
    few = " ".join(articles[:7])[:300_000], [articles[96][:20_001]]
    many = " ".join(article[:3400] for article in articles[:96])[:300_000], [text[:2001] for text in articles[96:]]
    results["many_articles"] = {"held_out": len(many[1]), "5-grams": ngrams(*many), "LSTM": []}
    for seed in SEEDS:
        for name, (kind, start, memory) in ADDERS.items():
            fresh = adder(kind, start, memory, seed)
            x, y = datasets.adding_problem(samples=8, length=100, seed=0)
            flow = diagnostics.gradient_flow(fresh, x, y)
            results["factor"].setdefault(name, []).append(round(float(flow.factor_per_step), 4))
            results["adding"].setdefault(name, []).append(adding_error(fresh, seed))
        for name, (kind, units) in READERS.items():
            weights, nats = characters(kind, units, seed, *few)
            results["characters"].setdefault(name, {"weights": weights, "nats": []})["nats"].append(nats)
        if seed <= 2:
            results["many_articles"]["LSTM"].append(characters(layers.LSTM, 128, seed, *many)[1])
        print(seed, results, flush=True)
    write_results("03_lstm", ["keras", "tensorflow", "numpy"], folder=OF_LESSONS, seeds=SEEDS, **results)


# ------------------------------------------------------------------------------------------------ the adding problem

ADDERS = {
    "Elman": (layers.Elman, "orthogonal", None),
    "Elman, identity": (layers.Elman, "identity", None),
    "LSTM": (layers.LSTM, "orthogonal", None),
    "LSTM, chrono": (layers.LSTM, "orthogonal", 100),
}


def adder(kind, start, memory, seed, length=100, units=16):
    keras.utils.set_random_seed(seed)
    layer = kind(units, recurrent_initializer=start)
    model = keras.Sequential([keras.Input((length, 2)), layer, keras.layers.Dense(1)])
    if memory:
        kernel, recurrent_kernel, bias = layer.get_weights()
        slow = np.log(np.linspace(2, memory, units) - 1)
        bias[: 2 * units] = np.concatenate([-slow, slow])
        layer.set_weights([kernel, recurrent_kernel, bias])
    model.compile(keras.optimizers.Adam(1e-2, global_clipnorm=1.0), "mse")
    return model


def adding_error(model, seed):
    x, y = datasets.adding_problem(samples=600 * 32, length=100, seed=seed)
    model.fit(x, y, batch_size=32, epochs=1, verbose=0)
    return model.evaluate(*datasets.adding_problem(samples=2000, length=100, seed=0), verbose=0)


# -------------------------------------------------------------------------------------------------------- characters

READERS = {
    "LSTM, 128 units": (layers.LSTM, 128),
    "Elman, 128 units": (layers.Elman, 128),
    "Elman, 264 units": (layers.Elman, 264),  # as many weights as the LSTM
}


def ngrams(train_text, held_out):
    return text.NGram(5, ends=False, vocabulary=SIGNS).fit([train_text]).cross_entropy(held_out)


def characters(kind, units, seed, train_text, held_out):
    """The number of weights and the nats per character on held-out texts of one length."""
    numbers = {sign: number for number, sign in enumerate(SIGNS)}
    train = np.array([numbers[sign] for sign in train_text])
    held = np.array([[numbers[sign] for sign in piece] for piece in held_out])
    x, y = train[:-1][:299_950].reshape(-1, 50), train[1:][:299_950].reshape(-1, 50)
    keras.utils.set_random_seed(seed)
    ids = keras.Input((None,), dtype="int32")
    start = keras.initializers.RandomNormal(stddev=1.0, seed=seed)
    vectors = keras.layers.Embedding(27, 32, embeddings_initializer=start)(ids)
    model = keras.Model(ids, keras.layers.Dense(27)(kind(units, return_sequences=True)(vectors)))
    rate = keras.optimizers.schedules.CosineDecay(8e-3, decay_steps=3 * 188)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate, global_clipnorm=1.0), loss)
    model.fit(x, y, epochs=3, batch_size=32, verbose=0)
    x_held, y_held = held[:, :-1].reshape(-1, 1000), held[:, 1:].reshape(-1, 1000)
    return model.count_params(), model.evaluate(x_held, y_held, verbose=0)


if __name__ == "__main__":
    main()
