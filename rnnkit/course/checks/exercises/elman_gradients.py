"""Lesson 02: backpropagation through time by hand, from an error at the last step only."""

import numpy as np

from rnnkit.course.checks.engine.check import Check
from rnnkit.course.checks.engine.known_mistake import KnownMistake


def reference(x, h_0, W_xh, W_hh, b, dh_T):
    h = [h_0]
    for x_t in x:
        h.append(np.tanh(W_hh @ h[-1] + W_xh @ x_t + b))
    dW_xh, dW_hh, db = np.zeros_like(W_xh), np.zeros_like(W_hh), np.zeros_like(b)
    dh = dh_T
    for t in reversed(range(len(x))):
        da = (1 - h[t + 1] ** 2) * dh
        dW_xh += np.outer(da, x[t])
        dW_hh += np.outer(da, h[t])
        db += da
        dh = W_hh.T @ da
    return dW_xh, dW_hh, db, dh


MISTAKES = [
    KnownMistake("the bias is left out when the states are computed", (" + b)", ")")),
    KnownMistake("the states start from zeros, not from h_0", ("[h_0]", "[0 * h_0]")),
    KnownMistake("the slope of the tanh is left out", ("(1 - h[t + 1] ** 2) * dh", "dh")),
    KnownMistake("the slope of the tanh is taken one step too early", ("h[t + 1] ** 2", "h[t] ** 2")),
    KnownMistake(
        "the states are counted one too early: h_0 is the first of the list",
        ("h[t + 1] ** 2", "h[t] ** 2"),
        ("(da, h[t])", "(da, h[t - 1])"),
    ),
    KnownMistake("the slope of the tanh is taken as 1 - h", ("h[t + 1] ** 2", "h[t + 1]")),
    KnownMistake("W_hh is not transposed on the way back", ("W_hh.T @ da", "W_hh @ da")),
    KnownMistake("the gradient of W_hh takes the state after the step", ("(da, h[t])", "(da, h[t + 1])")),
    KnownMistake("the gradient of W_hh is transposed", ("(da, h[t])", "(h[t], da)")),
    KnownMistake(
        "the error is added at every step, although only the last state enters the loss",
        ("W_hh.T @ da", "W_hh.T @ da + dh_T"),
    ),
    KnownMistake("the walk back ends after the last step", ("range(len(x))", "range(len(x) - 1, len(x))")),
    KnownMistake("the walk back ends before the first step", ("range(len(x))", "range(1, len(x))")),
    KnownMistake("the walk goes forward in time, not back", ("reversed(range(len(x)))", "range(len(x))")),
    KnownMistake(
        "each step overwrites the gradients of the weights: they are sums over the steps",
        ("dW_xh +=", "dW_xh ="),
        ("dW_hh +=", "dW_hh ="),
        ("db +=", "db ="),
    ),
    KnownMistake("the gradient of h_0 stops inside the tanh of the first step", ("db, dh\n", "db, da\n")),
]


def cases(random):
    def network(time, features, units):
        sizes = {"x": (time, features), "h_0": units, "W_xh": (units, features), "W_hh": (units, units)}
        sizes |= {"b": units, "dh_T": units}
        return {name: random.normal(size=size) / 2 for name, size in sizes.items()}

    return [("a single step", network(1, 5, 4)), ("two steps", network(2, 5, 4)), ("six steps", network(6, 5, 3))]


elman_gradients = Check(
    "elman_gradients",
    reference,
    cases,
    returns={"dW_xh": ["units", "features"], "dW_hh": ["units", "units"], "db": ["units"], "dh_0": ["units"]},
    mistakes=MISTAKES,
)
