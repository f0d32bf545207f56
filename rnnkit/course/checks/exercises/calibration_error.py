"""Lesson 08: the expected calibration error."""

import numpy as np

from rnnkit.course.checks.engine.check import Check
from rnnkit.course.checks.engine.known_mistake import KnownMistake


def reference(confidence, is_right, bins):
    number = np.minimum((confidence * bins).astype(int), bins - 1)
    total = 0.0
    for k in range(bins):
        inside = number == k
        if inside.any():
            distance = abs(confidence[inside].mean() - is_right[inside].mean())
            total += inside.sum() * distance
    return total / len(confidence)


NUMBER = "(confidence * bins).astype(int)"
DISTANCE = "abs(confidence[inside].mean() - is_right[inside].mean())"
MISTAKES = [
    KnownMistake(
        "all bins have the same weight: each should be weighted by its number of claims",
        ("inside.sum() * distance", "distance"),
        ("len(confidence)", "len(np.unique(number))"),
    ),
    KnownMistake(
        "a plain mean is taken over all bins, even the empty ones: each should be weighted by its number of claims",
        ("inside.sum() * distance", "distance"),
        ("len(confidence)", "bins"),
    ),
    KnownMistake("the distances are added up: the task asks for a mean", (" / len(confidence)", "")),
    KnownMistake("the distances are not made positive: too high and too low cancel out", ("abs(", "(")),
    KnownMistake("the distances are squared", (DISTANCE, DISTANCE.replace("abs", "") + " ** 2")),
    KnownMistake(
        "a confidence of exactly 1 is lost: it belongs to the last bin",
        ("np.minimum((confidence * bins).astype(int), bins - 1)", NUMBER),
    ),
    KnownMistake(
        "the middle of each bin is used as its mean confidence", ("confidence[inside].mean()", "(k + 0.5) / bins")
    ),
    KnownMistake("there is only one bin, with all claims in it", (NUMBER, "np.zeros(len(confidence), int)")),
    KnownMistake("there are always ten bins, whatever `bins` says", ("    number", "    bins = 10\n    number")),
    KnownMistake(
        "the distance is taken for each claim, not for the means of a bin",
        (DISTANCE, "abs(confidence[inside] - is_right[inside]).mean()"),
    ),
    KnownMistake(
        "the bins are equally full, not equally wide",
        (NUMBER, "(np.argsort(np.argsort(confidence)) * bins // len(confidence))"),
    ),
    KnownMistake("the first bin is left out", ("range(bins)", "range(1, bins)")),
]


def cases(random):
    def claims(count, bins, power):
        confidence = random.uniform(size=count) ** power
        confidence[: count // 8] = 1.0
        return {"confidence": confidence, "is_right": random.random(count) < 0.8 * confidence, "bins": bins}

    four_of_five = {"confidence": np.full(5, 0.85), "is_right": np.array([True, True, True, True, False]), "bins": 10}
    return [
        ("one bin with four right of five", four_of_five),
        ("many claims, ten bins", claims(60, 10, 0.5)),
        ("another number of bins", claims(60, 4, 1.0)),
        ("more bins than claims", claims(9, 20, 0.3)),
    ]


calibration_error = Check("calibration_error", reference, cases, returns={"error": []}, mistakes=MISTAKES)
