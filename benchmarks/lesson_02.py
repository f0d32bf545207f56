"""What lesson 02 reads from a file: five seeds of its classifiers, and what longer training brings.

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
    classifiers = {}
    for seed in SEEDS:
        for name, (body, epochs) in networks().items():
            record = classified(body, epochs, seed)
            classifiers.setdefault(name, []).append(record)
            print(seed, name, record["weights"], record["validation"][7], record["validation"][-1], flush=True)
    packages = ["keras", "tensorflow", "numpy"]
    write_results("02_vanilla_rnn", packages, folder=OF_LESSONS, seeds=SEEDS, classifiers=classifiers)


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


if __name__ == "__main__":
    main()
