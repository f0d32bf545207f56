"""Lesson 03: an LSTM of one unit, set by hand, that adds marked numbers and starts again at each reset."""

import numpy as np

from rnnkit.course.checks.engine.check import Check
from rnnkit.course.checks.engine.known_mistake import KnownMistake
from rnnkit.course.checks.engine.numpy_cells import sigmoid


def reference():
    kernel = np.array([[0, 0, 1 / 4, 0], [24, 0, 0, 0], [0, -24, 0, 0]])
    return kernel, np.zeros((1, 4)), np.array([-12, 12, 0, 12])


MISTAKES = [
    KnownMistake("a reset changes nothing", ("[0, -24, 0, 0]", "[0, 0, 0, 0]")),
    KnownMistake("a reset shuts the input gate, not the forget gate", ("[0, -24, 0, 0]", "[-24, 0, 0, 0]")),
    KnownMistake(
        "a reset shuts the input gate, too, and a marked number at a reset is lost",
        ("[0, -24, 0, 0]", "[-24, -24, 0, 0]"),
    ),
    KnownMistake(
        "a reset shuts the output gate: that hides the belt for one step, but does not empty it",
        ("[0, -24, 0, 0]", "[0, 0, 0, -24]"),
    ),
    KnownMistake(
        "a reset shuts the output gate, too, and a marked number at a reset is hidden for a step",
        ("[0, -24, 0, 0]", "[0, -24, 0, -24]"),
    ),
    KnownMistake("a reset leaves the forget gate half open", ("[0, -24, 0, 0]", "[0, -12, 0, 0]")),
    KnownMistake(
        "a reset opens the input gate, and a number that is not marked is added",
        ("[0, -24, 0, 0]", "[24, -24, 0, 0]"),
    ),
    KnownMistake(
        "the rows of the marker and the reset are swapped: the input is (number, marker, reset)",
        ("[24, 0, 0, 0], [0, -24, 0, 0]", "[0, -24, 0, 0], [24, 0, 0, 0]"),
    ),
    KnownMistake(
        "the gates open and shut no further than in the example on paper: they leak",
        ("[24, 0, 0, 0], [0, -24, 0, 0]", "[8, 0, 0, 0], [0, -8, 0, 0]"),
        ("[-12, 12, 0, 12]", "[-4, 4, 0, 4]"),
    ),
    KnownMistake("every number is let in, marked or not", ("[-12,", "[12,")),
    KnownMistake("the input gate is half open where nothing is marked", ("[-12,", "[0,")),
    KnownMistake("nothing is let in, marked or not", ("[24, 0, 0, 0]", "[0, 0, 0, 0]")),
    KnownMistake("the marker shuts the input gate, and its absence opens it", ("[24,", "[-24,"), ("[-12,", "[12,")),
    KnownMistake("the forget gate is half open where nothing is reset", (" 12, 0, 12]", " 0, 0, 12]")),
    KnownMistake("the forget gate is shut where nothing is reset", (" 12, 0, 12]", " -12, 0, 12]")),
    KnownMistake("the output gate is half open, or the input gate at a marker", ("0, 12]", "0, 0]")),
    KnownMistake("the belt carries whole numbers, which the tanh bends: take a quarter of each", ("1 / 4", "1")),
    KnownMistake(
        "the columns of the input and the forget gate are swapped: the order is i, f, C, o",
        ("[24, 0, 0, 0]", "[0, 24, 0, 0]"),
        ("[0, -24, 0, 0]", "[-24, 0, 0, 0]"),
        ("[-12, 12,", "[12, -12,"),
    ),
    KnownMistake(
        "the columns of the candidate and the output gate are swapped: the order is i, f, C, o",
        ("1 / 4, 0]", "0, 1 / 4]"),
        ("0, 12]", "12, 0]"),
    ),
]

SEQUENCES = {  # steps of (number, marker, reset)
    "the sum without a reset": [(0.2, 1, 0), (0.9, 0, 0), (0.3, 1, 0)],
    "the sum of what is marked after a reset": [(0.2, 1, 0), (0.9, 0, 1), (0.3, 1, 0)],
    "the sum with a marked number at the reset": [(0.2, 1, 0), (0.3, 1, 1)],
    "the sum one step after a marked number at the reset": [(0.2, 1, 0), (0.3, 1, 1), (0.5, 0, 0)],
    "the sum where the reset is the last step": [(0.6, 1, 0), (0.5, 0, 1)],
    "the sum with fifty unmarked numbers after a reset": [(0.2, 0, 1), *[(0.5, 0, 0)] * 50],
    "the sum with fifty unmarked numbers after two marked ones": [(0.4, 1, 0), (0.5, 1, 0), *[(0.5, 0, 0)] * 50],
}


def sums(weights, arguments):
    """Four times the last h of the LSTM with these weights, for each sequence."""
    return {name: np.array(4 * last_h(sequence, *weights.values())) for name, sequence in SEQUENCES.items()}


def last_h(sequence, kernel, recurrent_kernel, bias):
    h = C = np.zeros(1)
    for x in sequence:
        i, f, candidate, o = x @ kernel + h @ recurrent_kernel + bias
        C = sigmoid(f) * C + sigmoid(i) * np.tanh(candidate)
        h = sigmoid(o) * np.tanh(C)
    return h[0]


resetting_adder = Check(
    "resetting_adder",
    reference,
    cases=lambda random: [("seven sequences", {})],
    returns={"kernel": ["inputs", "gates"], "recurrent_kernel": ["units", "gates"], "bias": ["gates"]},
    mistakes=MISTAKES,
    measure=sums,
    tolerance=0.02,
)
