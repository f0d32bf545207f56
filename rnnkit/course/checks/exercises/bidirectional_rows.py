"""Lesson 05: a bidirectional network over padded sequences, with the mask handled correctly."""

import numpy as np

from rnnkit.course.checks.engine.check import Check
from rnnkit.course.checks.engine.known_mistake import KnownMistake


def reference(x, mask, forward_weights, backward_weights):
    halves = []
    for backwards, (W_xh, W_hh, b) in enumerate([forward_weights, backward_weights]):
        states = np.zeros((*mask.shape, len(b)))
        for row in range(len(x)):
            h, steps = np.zeros(len(b)), np.flatnonzero(mask[row])
            for t in steps[::-1] if backwards else steps:
                h = np.tanh(x[row, t] @ W_xh + h @ W_hh + b)
                states[row, t] = h
        halves.append(states)
    return np.concatenate(halves, axis=-1)


MISTAKES = [
    KnownMistake(
        "padding leaks into both directions: the mask is not used",
        ("np.flatnonzero(mask[row])", "np.arange(len(mask[row]))"),
    ),
    KnownMistake(
        "the mask sets outputs to zero, but both directions have read the padding",
        ("np.flatnonzero(mask[row])", "np.arange(len(mask[row]))"),
        ("append(states)", "append(states * mask[:, :, None])"),
    ),
    KnownMistake(
        "the backward direction has read the padding, and only its outputs are set to zero",
        ("np.flatnonzero(mask[row])", "np.flatnonzero(mask[row] | backwards)"),
        ("append(states)", "append(states * mask[:, :, None])"),
    ),
    KnownMistake(
        "the forward direction has read the padding, and only its outputs are set to zero",
        ("np.flatnonzero(mask[row])", "np.flatnonzero(mask[row] | (1 - backwards))"),
        ("append(states)", "append(states * mask[:, :, None])"),
    ),
    KnownMistake(
        "padding is set to zeros and then read: with a bias, a step on zeros changes the state, too",
        ("np.flatnonzero(mask[row])", "np.arange(len(mask[row]))"),
        ("x[row, t] @", "x[row, t] * mask[row, t] @"),
        ("append(states)", "append(states * mask[:, :, None])"),
    ),
    KnownMistake(
        "the padding is assumed to be on the right, whatever the mask says",
        ("np.flatnonzero(mask[row])", "np.arange(mask[row].sum())"),
    ),
    KnownMistake(
        "a masked step sets the state to zero: it should keep it",
        ("np.flatnonzero(mask[row])", "np.arange(len(mask[row]))"),
        ("= np.tanh(", "= mask[row, t] * np.tanh("),
    ),
    KnownMistake(
        "the outputs of masked steps repeat the state: they should be zeros",
        ("states[row, t] = h", "states[row, slice(0, t + 1) if backwards else slice(t, None)] = h"),
    ),
    KnownMistake(
        "the backward states are in the order of the run, not of the steps",
        (
            "for t in steps[::-1] if backwards else steps",
            "for t, place in zip(steps[::-1] if backwards else steps, steps)",
        ),
        ("states[row, t]", "states[row, place]"),
    ),
    KnownMistake(
        "the backward states are not turned around again: they are in the order of the reversed row, padding and all",
        ("states[row, t] = h", "states[row, -1 - t if backwards else t] = h"),
    ),
    KnownMistake("both directions read from the first step", ("steps[::-1] if backwards else steps", "steps")),
    KnownMistake("both directions read from the last step", ("steps[::-1] if backwards else steps", "steps[::-1]")),
    KnownMistake(
        "the state is carried from one row to the next: each row starts from zeros",
        ("            h, steps = np.zeros(len(b)), np", "            steps = np"),
        ("        for row in", "        h = np.zeros(len(b))\n        for row in"),
    ),
    KnownMistake(
        "the backward direction starts from the last forward state: it starts from zeros",
        ("        halves.append", "        ends.append(end)\n        halves.append"),
        ("    halves = []", "    halves, ends = [], []"),
        ("        for row in", "        end = []\n        for row in"),
        ("h, steps = np.zeros(len(b))", "h, steps = ends[0][row] if backwards else np.zeros(len(b))"),
        ("                states[row, t] = h\n", "                states[row, t] = h\n            end.append(h)\n"),
    ),
    KnownMistake(
        "both directions have the weights of the forward one",
        ("[forward_weights, backward_weights]", "[forward_weights, forward_weights]"),
    ),
    KnownMistake(
        "the weights of the two directions are swapped",
        ("[forward_weights, backward_weights]", "[backward_weights, forward_weights]"),
    ),
    KnownMistake("the backward half comes first", ("(halves,", "(halves[::-1],")),
    KnownMistake("the halves are added, not put side by side", ("np.concatenate(halves, axis=-1)", "sum(halves)")),
    KnownMistake("the bias is left out", ("h @ W_hh + b)", "h @ W_hh)")),
    KnownMistake("W_hh is transposed", ("h @ W_hh", "W_hh @ h")),
    KnownMistake("the state is not carried from step to step", ("h @ W_hh", "0 * h @ W_hh")),
    KnownMistake("the mask is read the wrong way round: True is an unmasked step", ("mask[row])", "~mask[row])")),
    KnownMistake("the mask of the first row is used for all rows", ("mask[row])", "mask[0])")),
    KnownMistake(
        "the list of states holds the same array many times, and every step changes it in place",
        ("                h = np.tanh", "                h[:] = np.tanh"),
        ("                states[row, t] = h\n", "            states[row, steps] = h\n"),
    ),
]


def cases(random):
    weights = {name: [random.normal(size=size) for size in ((4, 3), (3, 3), 3)] for name in ("forward", "backward")}

    def batch(mask):
        mask = np.array(mask, "bool")
        x = np.where(mask[..., None], random.normal(size=(*mask.shape, 4)) / 2, random.choice([-9.0, 9.0], size=4))
        copies = {f"{name}_weights": [array.copy() for array in arrays] for name, arrays in weights.items()}
        return {"x": x, "mask": mask, **copies}

    return [
        ("no padding", batch(np.ones((3, 5)))),
        ("padding on the right", batch([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0], [1, 0, 0, 0, 0, 0]])),
        ("padding on the left", batch([[1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1], [0, 0, 0, 0, 0, 1]])),
        ("holes, and a row of padding only", batch([[1, 0, 1, 1, 0, 1], [0, 0, 0, 0, 0, 0], [0, 1, 0, 0, 1, 0]])),
    ]


bidirectional_rows = Check(
    "bidirectional_rows",
    reference,
    cases,
    returns={"outputs": ["batch", "time", "units"]},
    mistakes=MISTAKES,
)
