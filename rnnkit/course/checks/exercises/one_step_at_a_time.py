"""Lesson 06: a stack of cells, with time outside and the layers inside."""

import numpy as np

from rnnkit.course.checks.engine.check import Check
from rnnkit.course.checks.engine.known_mistake import KnownMistake
from rnnkit.course.checks.engine.numpy_cells import ElmanCell, LSTMCell


def reference(cells, x, states, residual):
    states, outputs = list(states), []
    for t in range(x.shape[1]):
        y, first = x[:, t], 0
        for index, cell in enumerate(cells):
            below, last = y, first + len(cell.state_size)
            y, new = cell.step(cell.project(below), states[first:last])
            states[first:last] = new
            if residual and index > 0:
                y = y + below
            first = last
        outputs.append(y)
    return np.stack(outputs, axis=1), states


MISTAKES = [
    KnownMistake("the residuals are left out", ("y = y + below", "pass")),
    KnownMistake("there are residuals although residual is False", ("residual and ", "")),
    KnownMistake("the lowest layer has a residual, too: it has no layer below it", ("index > 0", "index >= 0")),
    KnownMistake("only the highest layer has a residual", ("index > 0", "index == len(cells) - 1")),
    KnownMistake("the residual adds x, not the output of the layer below", ("y + below", "y + x[:, t]")),
    KnownMistake(
        "the residual goes into the state as well: only the output is a sum",
        ("y = y + below", "y = y + below; states[first] = y"),
    ),
    KnownMistake(
        "the layers do not keep their states: each step starts from those at the start",
        ("            states[first:last] = new\n", ""),
    ),
    KnownMistake("the states at the start are replaced by zeros", ("list(states)", "[0 * state for state in states]")),
    KnownMistake(
        "the last states are returned in the order from the top layer down", (", states\n", ", states[::-1]\n")
    ),
    KnownMistake(
        "the states at the start are returned, not the last ones",
        ("    states, outputs = list(states), []", "    given = states\n    states, outputs = list(states), []"),
        (", states\n", ", list(given)\n"),
    ),
    KnownMistake(
        "a layer with two states gets them in the wrong order", ("states[first:last])", "states[first:last][::-1])")
    ),
    KnownMistake(
        "a layer with two states keeps only the first of them", ("states[first:last] = new", "states[first] = new[0]")
    ),
    KnownMistake("the states of every layer are those of the lowest", ("            first = last\n", "")),
    KnownMistake(
        "each layer reads the output of the layer below from one step before",
        ("cell.project(below)", "cell.project(before[index] if index else below)"),
        ("    for t in", "    before = [0 * states[0]] * len(cells)\n    for t in"),
        ("            first = last\n", "            first = last\n            after = after + [y]\n"),
        ("y, first = x[:, t], 0", "y, first, after = x[:, t], 0, [0]"),
        ("        outputs.append(y)", "        before = after\n        outputs.append(y)"),
    ),
    KnownMistake(
        "the outputs are those of the lowest layer", ("        outputs.append(y)", "        outputs.append(states[0])")
    ),
    KnownMistake(
        "time is the first axis of the outputs: it should be the second", ("(outputs, axis=1)", "(outputs, axis=0)")
    ),
]


def cases(random):
    def stack(kinds, features, residual):
        cells = [kind(random, 4 if index else features, 4) for index, kind in enumerate(kinds)]
        states = [random.normal(size=(3, size)) for cell in cells for size in cell.state_size]
        return {"cells": cells, "x": random.normal(size=(3, 6, features)), "states": states, "residual": residual}

    return [
        ("one layer", stack([ElmanCell], 5, False)),
        ("two layers", stack([ElmanCell, ElmanCell], 5, False)),
        ("an LSTM layer, with two states, below a layer with one", stack([LSTMCell, ElmanCell], 5, False)),
        ("three layers with residuals", stack([ElmanCell, LSTMCell, LSTMCell], 4, True)),
    ]


one_step_at_a_time = Check(
    "one_step_at_a_time",
    reference,
    cases,
    returns={"outputs": ["batch", "time", "units"], "states[]": ["batch", "units"]},
    mistakes=MISTAKES,
)
