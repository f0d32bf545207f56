"""Lesson 05: the outputs of two runs, one of them backwards, put together step by step."""

import numpy as np

from rnnkit.course.checks.engine.check import Check
from rnnkit.course.checks.engine.known_mistake import KnownMistake


def reference(forward, backward, lengths, mode):
    def merge(a, b):
        modes = {"sum": a + b, "ave": (a + b) / 2, "mul": a * b}
        return np.concatenate([a, b], axis=-1) if mode == "concat" else modes[mode]

    aligned = np.zeros(backward.shape)
    for row, n in enumerate(lengths):
        aligned[row, :n] = backward[row, :n][::-1]
    counts = np.arange(forward.shape[1]) < lengths[:, None]
    outputs = np.where(counts[:, :, None], merge(forward, aligned), 0)
    rows, last = np.arange(len(lengths)), lengths - 1
    return outputs, merge(forward[rows, last], backward[rows, last])


MISTAKES = [
    KnownMistake("the backward run is not turned around: its first state belongs to the last step", ("[::-1]", "")),
    KnownMistake(
        "the backward run is turned around with its padding: turn around its first n steps, row by row",
        ("        aligned[row, :n] = backward[row, :n][::-1]\n", "        aligned[row] = backward[row][::-1]\n"),
    ),
    KnownMistake(
        "the backward run is turned around with its padding, and nothing is set to zero after the ends: "
        "turn around its first n steps, row by row",
        ("        aligned[row, :n] = backward[row, :n][::-1]\n", "        aligned[row] = backward[row][::-1]\n"),
        ("np.where(counts[:, :, None], merge(forward, aligned), 0)", "merge(forward, aligned)"),
    ),
    KnownMistake(
        "all rows are turned around at the length of the first",
        ("for row, n in enumerate(lengths)", "for row, n in enumerate(0 * lengths + lengths[0])"),
    ),
    KnownMistake(
        "the rows of the batch are turned around, not the steps",
        ("backward[row, :n][::-1]", "backward[-1 - row, :n]"),
    ),
    KnownMistake(
        "the forward run is turned around, and the backward run is not",
        (
            "        aligned[row, :n] = backward[row, :n][::-1]\n",
            "        aligned[row, :n] = backward[row, :n]\n        turned[row, :n] = forward[row, :n][::-1]\n",
        ),
        ("    aligned =", "    turned = np.zeros(forward.shape)\n    aligned ="),
        ("merge(forward, aligned)", "merge(turned, aligned)"),
    ),
    KnownMistake(
        "what comes after the ends is merged, too: these outputs should be zeros",
        (
            "np.where(counts[:, :, None], merge(forward, aligned), 0)",
            "merge(forward, np.where(counts[:, :, None], aligned, backward))",
        ),
    ),
    KnownMistake(
        "after the ends, only the backward half is set to zero",
        ("np.where(counts[:, :, None], merge(forward, aligned), 0)", "merge(forward, aligned)"),
    ),
    KnownMistake("the last step of each row is set to zero, too", ("< lengths[:, None]", "< lengths[:, None] - 1")),
    KnownMistake("the backward half comes first in concat", ("np.concatenate([a, b]", "np.concatenate([b, a]")),
    KnownMistake("ave is a sum: it is not divided by 2", ("(a + b) / 2", "a + b")),
    KnownMistake(
        "the summary of the backward run is taken at the last step, where it has read one step only",
        ("backward[rows, last])", "aligned[rows, last])"),
    ),
    KnownMistake(
        "the summary is outputs[:, -1], which is padding in all rows but the longest",
        ("return outputs, merge(forward[rows, last], backward[rows, last])", "return outputs, outputs[:, -1]"),
    ),
    KnownMistake(
        "the summary of both runs is taken at the first step, where the forward run has read one step only",
        ("merge(forward[rows, last]", "merge(forward[:, 0]"),
    ),
    KnownMistake(
        "the summary is taken from the last column of each run, which is padding in the shorter rows",
        ("merge(forward[rows, last], backward[rows, last])", "merge(forward[:, -1], backward[:, -1])"),
    ),
    KnownMistake(
        "the summary of the forward run is taken from the last column, which is padding in the shorter rows",
        ("merge(forward[rows, last]", "merge(forward[:, -1]"),
    ),
    KnownMistake(
        "the summary takes both runs where they begin, not where they end",
        ("merge(forward[rows, last], backward[rows, last])", "merge(forward[:, 0], backward[:, 0])"),
    ),
    KnownMistake(
        "the summary is the mean of the outputs over the n steps",
        ("merge(forward[rows, last], backward[rows, last])", "outputs.sum(axis=1) / lengths[:, None]"),
    ),
]


def cases(random):
    def runs(mode, lengths):
        forward, backward = random.normal(size=(2, len(lengths), max(lengths), 3))
        return {"forward": forward, "backward": backward, "lengths": np.array(lengths), "mode": mode}

    return [
        ("concat, rows of the same length", runs("concat", [5, 5, 5])),
        ("concat, rows of different lengths", runs("concat", [6, 2, 1, 4])),
        ("sum", runs("sum", [3, 6, 5])),
        ("ave", runs("ave", [1, 4, 6])),
        ("mul", runs("mul", [2, 6, 3])),
    ]


merge_runs = Check(
    "merge_runs",
    reference,
    cases,
    returns={"outputs": ["batch", "time", "units"], "summary": ["batch", "units"]},
    mistakes=MISTAKES,
)
