"""Lesson 04: one step of Keras's GRU, for a batch."""

import numpy as np

from rnnkit.course.checks.engine.check import Check
from rnnkit.course.checks.engine.known_mistake import KnownMistake
from rnnkit.course.checks.engine.numpy_cells import sigmoid


def reference(x, h, kernel, recurrent_kernel, bias):
    x_z, x_r, x_h = np.split(x @ kernel + bias[0], 3, axis=1)
    h_z, h_r, h_h = np.split(h @ recurrent_kernel + bias[1], 3, axis=1)
    z, r = sigmoid(x_z + h_z), sigmoid(x_r + h_r)
    candidate = np.tanh(x_h + r * h_h)
    return z * h + (1 - z) * candidate


MISTAKES = [
    KnownMistake(
        "the reset gate comes before the product, as in Chung et al.: in Keras it comes after it",
        ("r * h_h", "(r * h) @ np.split(recurrent_kernel, 3, axis=1)[2] + np.split(bias[1], 3)[2]"),
    ),
    KnownMistake(
        "z is the other way round, as in Chung et al.: in Keras it keeps the state",
        ("z * h + (1 - z)", "(1 - z) * h + z"),
    ),
    KnownMistake(
        "z and r are swapped, as in PyTorch: in Keras the columns of z come first",
        ("x_z, x_r, x_h", "x_r, x_z, x_h"),
        ("h_z, h_r, h_h", "h_r, h_z, h_h"),
    ),
    KnownMistake(
        "the columns are read in the order r, h~, z",
        ("x_z, x_r, x_h", "x_r, x_h, x_z"),
        ("h_z, h_r, h_h", "h_r, h_h, h_z"),
    ),
    KnownMistake("the second bias is left out", (" + bias[1]", "")),
    KnownMistake("the first bias is left out", (" + bias[0]", "")),
    KnownMistake("both biases are left out", (" + bias[0]", ""), (" + bias[1]", "")),
    KnownMistake(
        "the two biases are swapped",
        ("+ bias[0]", "+ bias[1]"),
        ("h @ recurrent_kernel + bias[1]", "h @ recurrent_kernel + bias[0]"),
    ),
    KnownMistake(
        "both biases are added to the part of x, and the reset gate does not reach the second one",
        ("+ bias[0]", "+ bias.sum(axis=0)"),
        ("h @ recurrent_kernel + bias[1]", "h @ recurrent_kernel"),
    ),
    KnownMistake("the reset gate is not used", ("r * h_h", "h_h")),
    KnownMistake("the reset gate multiplies the part of x, too", ("x_h + r * h_h", "r * (x_h + h_h)")),
    KnownMistake("the reset gate multiplies the part of x, not that of h", ("x_h + r * h_h", "r * x_h + h_h")),
    KnownMistake("1 - r is used instead of r", ("r * h_h", "(1 - r) * h_h")),
    KnownMistake("the reset gate multiplies the old state in the last line, too", ("return z * h", "return z * r * h")),
    KnownMistake("the gates have no sigmoid", ("sigmoid(x_z + h_z)", "x_z + h_z"), ("sigmoid(x_r + h_r)", "x_r + h_r")),
    KnownMistake("the candidate goes through a sigmoid, not through the tanh", ("np.tanh", "sigmoid")),
    KnownMistake("the old state is left out of the new one", ("z * h + ", "")),
    KnownMistake("the candidate itself is returned", ("z * h + (1 - z) * candidate", "candidate")),
    KnownMistake(
        "the recurrent kernel of each gate is transposed",
        ("h @ recurrent_kernel", "h @ np.hstack([W.T for W in np.split(recurrent_kernel, 3, axis=1)])"),
    ),
]


def cases(random):
    def step(batch, features, units):
        sizes = {"x": (batch, features), "h": (batch, units)}
        sizes |= {"kernel": (features, 3 * units), "recurrent_kernel": (units, 3 * units), "bias": (2, 3 * units)}
        return {name: random.normal(size=size) for name, size in sizes.items()}

    return [
        ("a step without biases", step(3, 5, 4) | {"bias": np.zeros((2, 12))}),
        ("a step with biases", step(3, 5, 4)),
        ("a batch of one row", step(1, 2, 3)),
    ]


keras_gru_step = Check("keras_gru_step", reference, cases, returns={"h": ["batch", "units"]}, mistakes=MISTAKES)
