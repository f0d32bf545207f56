"""Lesson 03: what is left of each step's parcel on the LSTM's conveyor belt."""

import numpy as np

from rnnkit.course.checks.engine.check import Check
from rnnkit.course.checks.engine.known_mistake import KnownMistake


def reference(f, added):
    left = np.zeros((len(f), len(f)))
    for T in range(len(f)):
        if T > 0:
            left[T] = f[T] * left[T - 1]
        left[T, T] = added[T]
    return left


MISTAKES = [
    KnownMistake(
        "f_t shrinks the parcel of step t itself: it passes the gates of the later steps only",
        ("= added[T]", "= f[T] * added[T]"),
    ),
    KnownMistake("rows and columns are swapped: rows are T, columns are t", ("return left", "return left.T")),
    KnownMistake("the gates are those of one step earlier", ("f[T] * left", "f[T - 1] * left")),
    KnownMistake(
        "only the gate of step T counts, not all the gates on the way",
        ("f[T] * left[T - 1]", "f[T] * np.where(np.arange(len(f)) < T, added, 0)"),
    ),
    KnownMistake("the products of the gates are returned without what was added", ("= added[T]", "= 1")),
    KnownMistake("1 - f is used instead of f", ("f[T] * left", "(1 - f[T]) * left")),
    KnownMistake(
        "the parcels are on the belt before their step", ("return left", "return left + np.triu([added] * len(f), 1)")
    ),
    KnownMistake("the parcel of step T itself is left out", ("return left", "return left - np.diag(added)")),
    KnownMistake(
        "the parcels of a row are added up one after the other", ("return left", "return np.cumsum(left, axis=1)")
    ),
]


def cases(random):
    def belt(time):
        return {"f": random.uniform(0.1, 0.9, size=time), "added": random.normal(size=time)}

    shut = belt(5)
    shut["f"][2] = 0.0
    return [("a single step", belt(1)), ("six steps", belt(6)), ("a gate that is 0", shut)]


parcels = Check("parcels", reference, cases, returns={"left": ["rows", "columns"]}, mistakes=MISTAKES)
