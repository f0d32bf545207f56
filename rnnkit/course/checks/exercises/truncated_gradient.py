"""Lesson 02: truncated backpropagation through time, with windows that overlap."""

import numpy as np

from rnnkit.course.checks.engine.check import Check
from rnnkit.course.checks.engine.known_mistake import KnownMistake


def reference(x, dh, W_xh, W_hh, k1, k2):
    h = [np.zeros(len(W_hh))]
    for x_t in x:
        h.append(np.tanh(W_hh @ h[-1] + W_xh @ x_t))
    dW_hh = np.zeros_like(W_hh)
    for begin in range(0, len(x), k1):
        end = min(begin + k1, len(x))
        future = np.zeros(len(W_hh))
        for t in reversed(range(max(0, begin - (k2 - k1)), end)):
            own = dh[t] if t >= begin else 0
            da = (1 - h[t + 1] ** 2) * (own + future)
            dW_hh += np.outer(da, h[t])
            future = W_hh.T @ da
    return dW_hh


MISTAKES = [
    KnownMistake("nothing is cut: every loss flows back to the first step", ("begin - (k2 - k1)", "0")),
    KnownMistake(
        "the losses flow back to the beginning of their chunk only, as if k2 were k1", ("begin - (k2 - k1)", "begin")
    ),
    KnownMistake(
        "the k2 steps are counted from the first step of a chunk, not from its end", ("begin - (k2 - k1)", "begin - k2")
    ),
    KnownMistake(
        "in the last, shorter chunk the steps back are counted from its end", ("begin - (k2 - k1)", "end - k2")
    ),
    KnownMistake(
        "the losses of the steps before a chunk are counted again, with the losses of the chunk",
        ("dh[t] if t >= begin else 0", "dh[t]"),
    ),
    KnownMistake("only the loss of the last step of each chunk is used", ("t >= begin", "t == end - 1")),
    KnownMistake("the last, shorter chunk is left out", ("(0, len(x), k1)", "(0, len(x) - k1 + 1, k1)")),
    KnownMistake(
        "only the last chunk is returned",
        ("    for begin in", "    for begin in list("),
        ("len(x), k1):", "len(x), k1))[-1:]:"),
    ),
    KnownMistake(
        "every step flows back k2 steps by itself, as if k1 were 1",
        ("len(x), k1)", "len(x), 1)"),
        ("begin + k1", "begin + 1"),
        ("(k2 - k1)", "(k2 - 1)"),
    ),
    KnownMistake(
        "the state starts from zero in each chunk: the cut stops the gradient, not the state",
        ("for x_t in x", "for t, x_t in enumerate(x)"),
        ("W_hh @ h[-1]", "W_hh @ h[-1] * (t % k1 > 0)"),
        ("np.outer(da, h[t])", "np.outer(da, h[t] * (t % k1 > 0))"),
    ),
    KnownMistake("the slope of the tanh is left out", ("(1 - h[t + 1] ** 2) * (own + future)", "own + future")),
    KnownMistake("W_hh is not transposed on the way back", ("W_hh.T @ da", "W_hh @ da")),
    KnownMistake("the gradient takes the state after the step", ("(da, h[t])", "(da, h[t + 1])")),
]


def cases(random):
    def network(time, k1, k2):
        sizes = {"x": (time, 5), "dh": (time, 4), "W_xh": (4, 5), "W_hh": (4, 4)}
        return {name: random.normal(size=size) / 2 for name, size in sizes.items()} | {"k1": k1, "k2": k2}

    return [
        ("one chunk, nothing to cut", network(4, 4, 4)),
        ("two chunks that do not overlap", network(6, 3, 3)),
        ("windows that overlap", network(9, 2, 3)),
        ("a last chunk that is shorter", network(11, 4, 6)),
    ]


truncated_gradient = Check(
    "truncated_gradient", reference, cases, returns={"dW_hh": ["units", "units"]}, mistakes=MISTAKES
)
