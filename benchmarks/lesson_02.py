"""What lesson 02 reads from a file: five seeds of its networks, and what longer training brings.

    python benchmarks/lesson_02.py

All numbers are of the validation names; the test names are left to the lesson. The convolution has as many weights as
the recurrent classifier, up to 1 %.
"""

import keras
import numpy as np
from harness import OF_LESSONS, write_results

from rnnkit import datasets, layers, text

SEEDS = [1, 2, 3, 4, 5]
EPOCHS = 20  # of the recurrent classifier; the lesson trains for 8
PLACES = datasets.place_names()
COUNTRIES = sorted(set(PLACES.train.countries))
LETTERS = sorted(set("".join(PLACES.train.names)))
TRAIN_COUNTRY, VALIDATION_COUNTRY = (
    np.array([COUNTRIES.index(country) for country in part.countries]) for part in PLACES[:2]
)


def main():
    classifiers, told = {}, {}
    for seed in SEEDS:
        for name, (body, epochs) in networks().items():
            record = classified(body, epochs, seed)
            classifiers.setdefault(name, []).append(record)
            print(seed, name, record["weights"], record["validation"][7], record["validation"][-1], flush=True)
        for when, gain in told_gains(seed).items():
            told.setdefault(when, []).append(gain)
            print(seed, when, np.round(gain, 3), flush=True)
    write_results(
        "02_vanilla_rnn",
        ["keras", "tensorflow", "numpy"],
        folder=OF_LESSONS,
        seeds=SEEDS,
        classifiers=classifiers,
        gain_by_letter=told,
    )


# ---------------------------------------------------------------------------------------------- which country is it in?


def networks():
    """Each classifier of the lesson: the layers between input and softmax, and the epochs."""
    return {
        "recurrent": (lambda: [layers.Elman(64)], EPOCHS),
        "recurrent, learned start": (lambda: [layers.LearnedInitialState(layers.Elman(64))], 8),
        "four letters": (
            lambda: [
                keras.layers.Conv1D(49, 4, padding="same", activation="relu"),
                keras.layers.GlobalMaxPooling1D(),
            ],
            8,
        ),
    }


def classified(body, epochs, seed):
    """The accuracy after each epoch, on the training and on the validation names."""
    characters = text.Vocabulary([LETTERS])
    x, x_val = (characters.encode(part.names, length=24) for part in PLACES[:2])
    keras.utils.set_random_seed(seed)
    body = body()
    masked = not isinstance(body[0], keras.layers.Conv1D)
    model = keras.Sequential(
        [
            keras.Input((24,), dtype="int32"),
            keras.layers.Embedding(len(characters), 32, mask_zero=masked),
            *body,
            keras.layers.Dense(len(COUNTRIES), activation="softmax"),
        ]
    )
    optimizer = keras.optimizers.Adam(2e-3, global_clipnorm=1.0)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    history = model.fit(
        x,
        TRAIN_COUNTRY,
        validation_data=(x_val, VALIDATION_COUNTRY),
        epochs=epochs,
        batch_size=64,
        verbose=0,
    ).history
    accuracy = {name: [round(value, 4) for value in history[name]] for name in ("accuracy", "val_accuracy")}
    return {
        "weights": model.count_params(),
        "training": accuracy["accuracy"],
        "validation": accuracy["val_accuracy"],
    }


# ------------------------------------------------------------------------------------------- told once, or at each step

SIGNS = text.Vocabulary([LETTERS], specials=("<", ">"))


def told_gains(seed):
    """The mean gain in nats at each of 12 letters, told the country at the start and at every letter."""
    (x, y), (x_val, y_val) = (shifted(part.names) for part in PLACES[:2])
    rows, rows_val = TRAIN_COUNTRY + 1, VALIDATION_COUNTRY + 1
    first = trained(speller(seed), [x, 0 * rows, 0 * rows[:, None]], y, 7)
    needs = {}
    for when, (start, each) in {"never": (0, 0), "at the start": (1, 0), "at every letter": (0, 1)}.items():
        model = speller(seed)
        model.set_weights(first.get_weights())
        begin = model.get_layer("start")
        begin.set_weights([np.repeat(begin.get_weights()[0][:1], len(COUNTRIES) + 1, axis=0)])
        trained(model, [x, start * rows, each * rows[:, None]], y, 4)
        scores = model.predict([x_val, start * rows_val, each * rows_val[:, None]], verbose=0).astype("float64")
        log_p = scores - np.log(np.exp(scores).sum(axis=-1, keepdims=True))
        right = np.take_along_axis(log_p, y_val[..., None], axis=-1)[..., 0]
        needs[when] = np.where(y_val > 0, -right, np.nan)
    return {
        when: [round(float(value), 4) for value in np.nanmean(needs["never"] - needs[when], axis=0)[:12]]
        for when in ("at the start", "at every letter")
    }


def shifted(names):
    ids = SIGNS.encode([["<", *name, ">"] for name in names], length=26)
    outputs = ids[:, 1:]
    return np.where(outputs > 0, ids[:, :-1], 0), outputs


def speller(seed):
    """The lesson's language model with a start and a hint for each country; number 0 is "not told"."""
    keras.utils.set_random_seed(seed)
    ids = keras.Input((None,), dtype="int32")
    at_start, at_each = keras.Input((), dtype="int32"), keras.Input((1,), dtype="int32")
    h_0 = keras.layers.Embedding(len(COUNTRIES) + 1, 128, name="start", embeddings_initializer="zeros")(at_start)
    hint = keras.layers.Embedding(len(COUNTRIES) + 1, 32, embeddings_initializer="zeros")(at_each)
    vectors = keras.layers.Embedding(len(SIGNS), 32)(ids)
    states = layers.Elman(128, return_sequences=True)(vectors + hint, initial_state=[h_0])
    model = keras.Model([ids, at_start, at_each], keras.layers.Dense(len(SIGNS))(states))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(3e-3, global_clipnorm=1.0), loss, weighted_metrics=[])
    return model


def trained(model, inputs, outputs, epochs):
    weights = (outputs > 0).astype("float32")
    model.fit(inputs, outputs, sample_weight=weights, epochs=epochs, batch_size=64, verbose=0)
    return model


if __name__ == "__main__":
    main()
