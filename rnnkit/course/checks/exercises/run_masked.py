"""Lesson 03: an LSTM over padded sequences, with the mask handled correctly."""

import numpy as np

from rnnkit.course.checks.engine.check import Check
from rnnkit.course.checks.engine.known_mistake import KnownMistake
from rnnkit.course.checks.engine.numpy_cells import LSTMCell


def reference(step, x, mask, units):
    h = C = np.zeros((len(x), units))
    outputs = []
    for t in range(x.shape[1]):
        counts = mask[:, t, None]
        new_h, new_C = step(x[:, t], h, C)
        h = np.where(counts, new_h, h)
        C = np.where(counts, new_C, C)
        outputs.append(h)
    return np.stack(outputs, axis=1), h, C


MISTAKES = [
    KnownMistake("padding leaks into the state: the mask is not used", ("counts = mask[:, t, None]", "counts = True")),
    KnownMistake("padding leaks into C: only h is masked", ("np.where(counts, new_C, C)", "new_C")),
    KnownMistake("padding leaks into h: only C is masked", ("np.where(counts, new_h, h)", "new_h")),
    KnownMistake(
        "the outputs are masked, but padding leaks into the states",
        ("np.where(counts, new_h, h)", "new_h"),
        ("np.where(counts, new_C, C)", "new_C"),
        ("append(h)", "append(np.where(counts, h, outputs[-1] if t else 0))"),
    ),
    KnownMistake(
        "padding is set to zeros and then read: a step on zeros changes the state, too",
        ("x[:, t]", "x[:, t] * counts"),
        ("np.where(counts, new_h, h)", "new_h"),
        ("np.where(counts, new_C, C)", "new_C"),
    ),
    KnownMistake(
        "a masked step sets the state to zero: it should keep it",
        ("np.where(counts, new_h, h)", "np.where(counts, new_h, 0)"),
        ("np.where(counts, new_C, C)", "np.where(counts, new_C, 0)"),
    ),
    KnownMistake(
        "a masked step sets h to zero: it should keep it",
        ("np.where(counts, new_h, h)", "np.where(counts, new_h, 0)"),
    ),
    KnownMistake(
        "the padding is assumed to be on the right, whatever the mask says",
        ("mask[:, t, None]", "t < mask.sum(axis=1, keepdims=True)"),
    ),
    KnownMistake(
        "h and C start as the same array, and the steps change it in place",
        ("h = np.where(", "h[:] = np.where("),
        ("C = np.where(", "C[:] = np.where("),
        ("append(h)", "append(h.copy())"),
    ),
    KnownMistake(
        "the list of outputs holds the same array many times, and every step changes it in place",
        ("h = C = np.zeros((len(x), units))", "h, C = np.zeros((2, len(x), units))"),
        ("h = np.where(", "h[:] = np.where("),
    ),
    KnownMistake(
        "the outputs of masked steps are zeros: they should repeat the output before",
        ("append(h)", "append(np.where(counts, h, 0))"),
    ),
    KnownMistake(
        "the outputs are what the step returned, masked or not: a masked step should repeat the output before",
        ("append(h)", "append(new_h)"),
    ),
    KnownMistake("the mask is read the wrong way round: True is an unmasked step", ("= mask[", "= ~mask[")),
    KnownMistake("each step uses the mask of the step before", ("mask[:, t, None]", "mask[:, t - 1, None]")),
    KnownMistake("the mask of the first row is used for all rows", ("mask[:, t, None]", "mask[:1, t, None]")),
    KnownMistake("a step is masked in all rows if it is masked in one", ("mask[:, t, None]", "mask[:, t].all()")),
    KnownMistake("a step is unmasked in all rows if it is unmasked in one", ("mask[:, t, None]", "mask[:, t].any()")),
    KnownMistake("h is not carried from step to step", ("x[:, t], h, C", "x[:, t], 0 * h, C")),
    KnownMistake("C is not carried from step to step", ("x[:, t], h, C", "x[:, t], h, 0 * C")),
    KnownMistake("no state is carried from step to step", ("x[:, t], h, C", "x[:, t], 0 * h, 0 * C")),
    KnownMistake("h and C are swapped when they are passed to the step", ("x[:, t], h, C", "x[:, t], C, h")),
    KnownMistake("the outputs are those of C, not of h", ("append(h)", "append(C)")),
    KnownMistake(
        "each output is stored before its step, not after it",
        ("        outputs.append(h)\n", ""),
        ("        new_h,", "        outputs.append(h)\n        new_h,"),
    ),
    KnownMistake(
        "time is the first axis of the outputs: it should be the second", ("(outputs, axis=1)", "(outputs, axis=0)")
    ),
]


def cases(random):
    cell = LSTMCell(random, 5, 4)

    def step(x, h, C):
        return cell.step(cell.project(x), [h, C])[1]

    def batch(mask):
        mask = np.array(mask, "bool")
        x = np.where(mask[..., None], random.normal(size=(*mask.shape, 5)), random.choice([-9.0, 9.0], size=5))
        return {"step": step, "x": x, "mask": mask, "units": 4}

    return [
        ("no padding", batch(np.ones((3, 6)))),
        ("padding on the right", batch([[1, 1, 1, 1, 1, 1], [1, 1, 1, 0, 0, 0], [1, 0, 0, 0, 0, 0]])),
        ("padding on the left", batch([[1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1], [0, 0, 0, 0, 0, 1]])),
        ("holes, and a row of padding only", batch([[1, 0, 1, 1, 0, 1], [0, 0, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0]])),
    ]


run_masked = Check(
    "run_masked",
    reference,
    cases,
    returns={"outputs": ["batch", "time", "units"], "h": ["batch", "units"], "C": ["batch", "units"]},
    mistakes=MISTAKES,
)
