"""Lesson 06: a stack that reads a long sequence in pieces and carries all its states over."""

import numpy as np

from rnnkit.course.checks.engine.check import Check
from rnnkit.course.checks.engine.known_mistake import KnownMistake
from rnnkit.course.checks.engine.numpy_cells import LSTMCell, Stack


def reference(stack, x, mask, length):
    states, pieces = None, []
    for start in range(0, x.shape[1], length):
        piece = slice(start, start + length)
        outputs, *states = stack(x[:, piece], initial_state=states, mask=mask[:, piece])
        pieces.append(outputs)
    return np.concatenate(pieces, axis=1)


MISTAKES = [
    KnownMistake(
        "no state is carried over: each piece starts from zeros", ("initial_state=states", "initial_state=None")
    ),
    KnownMistake(
        "only the states of the top layer are carried over",
        ("initial_state=states", "initial_state=states and [0 * states[0], 0 * states[1], *states[2:]]"),
    ),
    KnownMistake(
        "only the states of the lowest layer are carried over",
        ("initial_state=states", "initial_state=states and [*states[:2], 0 * states[2], 0 * states[3]]"),
    ),
    KnownMistake(
        "h is carried over and C is not",
        ("initial_state=states", "initial_state=states and [states[0], 0 * states[1], states[2], 0 * states[3]]"),
    ),
    KnownMistake(
        "h and C are swapped", ("initial_state=states", "initial_state=states and [states[i] for i in (1, 0, 3, 2)]")
    ),
    KnownMistake(
        "the states of the two layers are swapped",
        ("initial_state=states", "initial_state=states and states[2:] + states[:2]"),
    ),
    KnownMistake(
        "every piece starts from the states after the first one",
        ("outputs, *states = stack", "outputs, *new = stack"),
        ("        pieces.append", "        states = states or new\n        pieces.append"),
    ),
    KnownMistake("the mask is not passed on: padding leaks in", (", mask=mask[:, piece]", "")),
    KnownMistake(
        "every piece gets the mask of the first one", ("mask[:, piece]", "mask[:, :length][:, : x[:, piece].shape[1]]")
    ),
    KnownMistake("the last, shorter piece is left out", ("x.shape[1], length)", "x.shape[1] - length + 1, length)")),
    KnownMistake("the pieces are joined along the batch, not along time", ("(pieces, axis=1)", "(pieces, axis=0)")),
]


def cases(random):
    def video(length, mask):
        cells = [LSTMCell(random, 5, 4), LSTMCell(random, 4, 4)]
        mask = np.array(mask, "bool")
        x = np.where(mask[..., None], random.normal(size=(*mask.shape, 5)), 9.0)
        return {"stack": Stack(cells, longest=length), "x": x, "mask": mask, "length": length}

    whole = np.ones((3, 6))
    padded = np.array([[1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0, 0], [0, 1, 1, 1, 0, 1, 1]])
    return [
        ("one piece", video(6, whole)),
        ("two pieces", video(3, whole)),
        ("pieces of one frame", video(1, whole)),
        ("a last piece that is shorter, and a mask", video(3, padded)),
    ]


def unmasked(answers, arguments):
    """The outputs, with zeros where the mask is False: anything may be there."""
    return {"outputs": answers["outputs"] * arguments["mask"][..., None]}


in_pieces = Check(
    "in_pieces",
    reference,
    cases,
    returns={"outputs": ["batch", "time", "units"]},
    mistakes=MISTAKES,
    measure=unmasked,
)
