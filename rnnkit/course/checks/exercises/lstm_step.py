"""Lesson 03: one step of the LSTM, for a batch."""

import numpy as np

from rnnkit.course.checks.engine.check import Check
from rnnkit.course.checks.engine.known_mistake import KnownMistake
from rnnkit.course.checks.engine.numpy_cells import sigmoid


def reference(x, h, C, kernel, recurrent_kernel, bias):
    i, f, candidate, o = np.split(x @ kernel + h @ recurrent_kernel + bias, 4, axis=1)
    new_C = sigmoid(f) * C + sigmoid(i) * np.tanh(candidate)
    new_h = sigmoid(o) * np.tanh(new_C)
    return new_h, new_C


MISTAKES = [
    KnownMistake("the bias is left out", (" + bias", "")),
    KnownMistake(
        "1 is added to the bias of the forget gate, which the weights already hold", ("sigmoid(f)", "sigmoid(f + 1)")
    ),
    KnownMistake("h_{t-1} does not reach the gates", (" + h @ recurrent_kernel", "")),
    KnownMistake("x_t does not reach the gates", ("x @ kernel + ", "")),
    KnownMistake(
        "the kernels are swapped: `kernel` belongs to x, and `recurrent_kernel` to h",
        ("x @ kernel + h @ recurrent_kernel", "np.hstack([h, x]) @ np.vstack([kernel, recurrent_kernel])"),
    ),
    KnownMistake("the gates read C_{t-1} instead of h_{t-1}", ("h @ recurrent_kernel", "C @ recurrent_kernel")),
    KnownMistake(
        "the recurrent kernel of each gate is transposed",
        ("h @ recurrent_kernel", "h @ np.hstack([W.T for W in np.split(recurrent_kernel, 4, axis=1)])"),
    ),
    KnownMistake(
        "the forget gate multiplies the candidate, and the input gate the old C", ("i, f, candidate", "f, i, candidate")
    ),
    KnownMistake(
        "the columns of the candidate and the forget gate are swapped", ("f, candidate, o", "candidate, f, o")
    ),
    KnownMistake("the columns of the candidate and the output gate are swapped", ("candidate, o =", "o, candidate =")),
    KnownMistake(
        "the columns of the gates are taken in turns (every fourth one), but those of each gate are side by side",
        ("np.split(", "np.moveaxis(("),
        (", 4, axis=1)", ").reshape(len(x), -1, 4), 2, 0)"),
    ),
    KnownMistake("the sigmoids are left out", ("sigmoid(f)", "f"), ("sigmoid(i)", "i"), ("sigmoid(o)", "o")),
    KnownMistake("the forget gate has no sigmoid", ("sigmoid(f)", "f")),
    KnownMistake("the input gate has no sigmoid", ("sigmoid(i)", "i")),
    KnownMistake("the output gate has no sigmoid", ("sigmoid(o)", "o")),
    KnownMistake(
        "the candidate goes through a sigmoid, not through the tanh", ("np.tanh(candidate)", "sigmoid(candidate)")
    ),
    KnownMistake("the candidate has no tanh", ("np.tanh(candidate)", "candidate")),
    KnownMistake("the forget gate is not used", ("sigmoid(f) * C", "C")),
    KnownMistake("the input gate is not used", ("sigmoid(i) * ", "")),
    KnownMistake("1 - f is used instead of the input gate", ("sigmoid(i)", "(1 - sigmoid(f))")),
    KnownMistake("the output gate is not used", ("sigmoid(o) * ", "")),
    KnownMistake("the new h has no tanh around C", ("np.tanh(new_C)", "new_C")),
    KnownMistake("the new h is made from the old C", ("np.tanh(new_C)", "np.tanh(C)")),
    KnownMistake("the new h is made from the candidate, not from C", ("np.tanh(new_C)", "np.tanh(candidate)")),
]


def cases(random):
    def step(batch, features, units):
        sizes = {"x": (batch, features), "h": (batch, units), "C": (batch, units)}
        sizes |= {"kernel": (features, 4 * units), "recurrent_kernel": (units, 4 * units), "bias": 4 * units}
        return {name: random.normal(size=size) for name, size in sizes.items()}

    start = step(3, 5, 4)
    start |= {"h": np.zeros((3, 4)), "C": np.zeros((3, 4))}
    return [
        ("a step from zero states", start),
        ("a step from other states", step(3, 5, 4)),
        ("a batch of one row", step(1, 2, 3)),
    ]


lstm_step = Check(
    "lstm_step",
    reference,
    cases,
    returns={"h": ["batch", "units"], "C": ["batch", "units"]},
    mistakes=MISTAKES,
)
