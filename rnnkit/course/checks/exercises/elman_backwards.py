"""Lesson 02: an Elman network that reads from the last step to the first."""

import numpy as np

from rnnkit.course.checks.engine.check import Check
from rnnkit.course.checks.engine.known_mistake import KnownMistake


def reference(x, W_xh, W_hh):
    h, states = np.zeros(len(W_hh)), []
    for x_t in x[::-1]:
        h = np.tanh(W_hh @ h + W_xh @ x_t)
        states.append(h)
    return np.array(states[::-1])


MISTAKES = [
    KnownMistake("the run starts at the first letter, not at the last", ("x[::-1]", "x"), ("states[::-1]", "states")),
    KnownMistake("the states are in the order of the run, not of the letters", ("states[::-1]", "states")),
    KnownMistake("the run starts at the first letter, and its states are turned around", ("x[::-1]", "x")),
    KnownMistake("the state is not carried from step to step", ("W_hh @ h", "W_hh @ np.zeros_like(h)")),
    KnownMistake("W_hh is transposed", ("W_hh @ h", "W_hh.T @ h")),
    KnownMistake("there is no tanh", ("np.tanh(W_hh @ h + W_xh @ x_t)", "W_hh @ h + W_xh @ x_t")),
    KnownMistake("each product goes through its own tanh", (" + W_xh @ x_t", ") + np.tanh(W_xh @ x_t")),
    KnownMistake("the first state is not zeros but ones", ("np.zeros", "np.ones")),
    KnownMistake(
        "each state is stored before its step, not after it",
        ("        states.append(h)\n", ""),
        ("        h = np.tanh", "        states.append(h)\n        h = np.tanh"),
    ),
    KnownMistake("only the last state is returned", ("np.array(states[::-1])", "h")),
    KnownMistake(
        "the list holds the same array many times, and every step changes it in place",
        ("h = np.tanh", "h[:] = np.tanh"),
    ),
]


def cases(random):
    def network(time, features, units):
        sizes = {"x": (time, features), "W_xh": (units, features), "W_hh": (units, units)}
        return {name: random.normal(size=size) for name, size in sizes.items()}

    return [
        ("a single letter", network(1, 5, 4)),
        ("six letters", network(6, 5, 4)),
        ("as many units as letters and features", network(3, 3, 3)),
    ]


elman_backwards = Check("elman_backwards", reference, cases, returns={"states": ["time", "units"]}, mistakes=MISTAKES)
