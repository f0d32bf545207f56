"""Lesson 07: greedy search for a batch."""

import numpy as np

from rnnkit.course.checks.engine.check import Check
from rnnkit.course.checks.engine.known_mistake import KnownMistake
from rnnkit.course.checks.engine.numpy_writer import Writer


def reference(step, states, start, end, max_length):
    said, columns = np.full(len(states[0]), start), []
    finished = np.zeros(len(said), "bool")
    for _ in range(max_length):
        logits, states = step(said, states)
        said = np.where(finished, 0, np.argmax(logits, axis=1))
        finished = finished | (said == end)
        columns.append(said)
    return np.stack(columns, axis=1)


MISTAKES = [
    KnownMistake("the first token that is read is 0, not <start>", ("(len(states[0]), start)", "(len(states[0]), 0)")),
    KnownMistake(
        "the new states are not passed on: every step starts from the first ones", ("logits, states =", "logits, _ =")
    ),
    KnownMistake(
        "<start> is read at every step, not the token before",
        ("step(said, states)", "step(0 * said + start, states)"),
    ),
    KnownMistake("a row continues after its <end>: there should be padding", ("np.where(finished, 0, np", "(np")),
    KnownMistake("<end> is repeated after the end: there should be padding", ("(finished, 0,", "(finished, end,")),
    KnownMistake(
        "<end> itself is replaced by padding",
        (
            "        said = np.where(finished, 0, np.argmax(logits, axis=1))\n",
            "        said = np.argmax(logits, axis=1)\n",
        ),
        ("        columns.append(said)", "        said = np.where(finished, 0, said)\n        columns.append(said)"),
    ),
    KnownMistake("all rows stop when the first one ends", ("np.where(finished, 0", "np.where(finished.any(), 0")),
    KnownMistake("no row stops before all have ended", ("np.where(finished, 0", "np.where(finished.all(), 0")),
    KnownMistake(
        "a row that has ended starts again two steps later: once finished, it should stay finished",
        ("finished = finished | (said == end)", "finished = said == end"),
    ),
    KnownMistake("the least likely token is chosen, not the most likely one", ("argmax", "argmin")),
    KnownMistake(
        "<start> is the first of the returned tokens", ("start), []", "start), [np.full(len(states[0]), start)]")
    ),
    KnownMistake("there is one step too few", ("range(max_length)", "range(max_length - 1)")),
    KnownMistake(
        "the rows of the result are steps, and its columns are the rows of the batch",
        ("(columns, axis=1)", "(columns, axis=0)"),
    ),
    KnownMistake("only the last tokens are returned", ("np.stack(columns, axis=1)", "said")),
]


def cases(random):
    def search(batch, max_length, will_to_end, start=1, end=2):
        writer = Writer(random, 9, start, end, will_to_end)
        states = [random.normal(size=(batch, 6)) for _ in range(2)]
        return {"step": writer.step, "states": states, "start": start, "end": end, "max_length": max_length}

    return [
        ("two steps", search(4, 2, will_to_end=-30)),
        ("no row ends", search(3, 6, will_to_end=-30)),
        ("rows that end at different steps", search(6, 12, will_to_end=1.0)),
        ("other numbers for <start> and <end>", search(6, 8, will_to_end=1.0, start=7, end=4)),
    ]


greedy_by_hand = Check("greedy_by_hand", reference, cases, returns={"tokens": ["batch", "time"]}, mistakes=MISTAKES)
