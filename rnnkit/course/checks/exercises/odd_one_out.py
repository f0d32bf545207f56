"""Lesson 01: which word does not belong, by cosine."""

import numpy as np

from rnnkit.course.checks.engine.check import Check
from rnnkit.course.checks.engine.known_mistake import KnownMistake


def reference(vectors):
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = units @ units.T
    fits = (cosines.sum(axis=1) - 1) / (len(vectors) - 1)
    return np.argmin(fits), fits


MISTAKES = [
    KnownMistake(
        "the vectors are not scaled to length one, and long ones count for more",
        (" / np.linalg.norm(vectors, axis=1, keepdims=True)", ""),
        (" - 1) /", " - (vectors**2).sum(axis=1)) /"),
    ),
    KnownMistake(
        "the vectors are not scaled to length one, and each word is compared with itself, too",
        (" / np.linalg.norm(vectors, axis=1, keepdims=True)", ""),
        ("(cosines.sum(axis=1) - 1) / (len(vectors) - 1)", "cosines.mean(axis=1)"),
    ),
    KnownMistake(
        "each word is compared with itself, too",
        ("(cosines.sum(axis=1) - 1) / (len(vectors) - 1)", "cosines.mean(axis=1)"),
    ),
    KnownMistake("the cosine with itself is in the sum", (".sum(axis=1) - 1)", ".sum(axis=1))")),
    KnownMistake(
        "the mean divides by the number of all words, not of the others", ("(len(vectors) - 1)", "len(vectors)")
    ),
    KnownMistake("the cosines with the others are added up: fits should be their mean", (" / (len(vectors) - 1)", "")),
    KnownMistake("the index is that of the word that fits best", ("np.argmin(fits)", "np.argmax(fits)")),
    KnownMistake(
        "each column is scaled to length one: a word is a row", ("axis=1, keepdims=True)", "axis=0, keepdims=True)")
    ),
    KnownMistake(
        "the whole table is divided by one number: each row has its own length",
        ("np.linalg.norm(vectors, axis=1, keepdims=True)", "np.linalg.norm(vectors)"),
    ),
    KnownMistake(
        "the rows are divided by the sum of the sizes of their numbers, not by their length",
        ("np.linalg.norm(vectors, axis=1, keepdims=True)", "np.linalg.norm(vectors, ord=1, axis=1, keepdims=True)"),
    ),
    KnownMistake(
        "the rows are divided by the square of their length",
        ("keepdims=True)", "keepdims=True) ** 2"),
    ),
    KnownMistake("the signs of the cosines are dropped", ("units @ units.T", "np.abs(units @ units.T)")),
    KnownMistake(
        "each word is compared with the mean of all unit vectors, as one cosine",
        ("(cosines.sum(axis=1) - 1) / (len(vectors) - 1)", "units @ (u := units.mean(axis=0)) / np.linalg.norm(u)"),
    ),
    KnownMistake(
        "each word is compared with the mean of the vectors themselves, which the long ones pull to their side",
        ("(cosines.sum(axis=1) - 1) / (len(vectors) - 1)", "units @ (u := vectors.mean(axis=0)) / np.linalg.norm(u)"),
    ),
]


def cases(random):
    alike = np.ones(4) + random.normal(0, 0.3, size=(4, 4))
    alike[2] = [0.2, -1.0, 0.1, 0.8]
    lengths = np.array([1.0, 0.4, 20.0, 2.0, 0.1, 6.0])
    return [
        ("four words of about the same length", {"vectors": alike / np.linalg.norm(alike, axis=1, keepdims=True) * 2}),
        ("six words of very different lengths", {"vectors": lengths[:, None] * random.normal(size=(6, 3))}),
        ("words that point away from each other", {"vectors": random.normal(size=(5, 2))}),
    ]


odd_one_out = Check("odd_one_out", reference, cases, returns={"index": [], "fits": ["words"]}, mistakes=MISTAKES)
