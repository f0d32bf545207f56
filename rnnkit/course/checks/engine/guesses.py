"""Mistakes that the numbers alone reveal, whatever the exercise."""

import itertools
from collections.abc import Callable, Sequence

import numpy as np

from rnnkit.course.checks.engine.answers import same
from rnnkit.course.checks.engine.differences import listed

LONGEST = 5  # arrays: of so many, every order is tried


def guess(
    answers: Sequence[dict[str, np.ndarray]],
    expected: Sequence[dict[str, np.ndarray]],
    axes_of: Callable[[str], list[str]],
    tolerance: float,
) -> str | None:
    """Explains the answers to all cases.

    Args:
        answers: dictionaries from name to array, one per case.
        expected: the same for the reference.
        axes_of: function from a name to the names of its axes.
        tolerance: for `same`.

    Returns:
        A sentence that continues "this is what you get if", or `None`.
    """
    names = list(expected[0])
    if any(list(case) != names for case in (*answers, *expected)):
        return None

    def fits(name, made):
        return all(same(case[name], array, tolerance) for case, array in zip(answers, made, strict=True))

    right = {name: [case[name] for case in expected] for name in names}
    for order in list(itertools.permutations(names))[1:] if len(names) <= LONGEST else []:
        if all(fits(name, right[other]) for name, other in zip(names, order, strict=True)):
            return f"the values are not returned in the order {', '.join(names)}"
    wrong = [name for name in names if not fits(name, right[name])]
    for sentence, change in CHANGES:
        if all(fits(name, [change(array) for array in right[name]]) for name in wrong):
            return sentence.format(listed(wrong))
    for name in wrong:
        for axis, word in enumerate(axes_of(name)):
            if fits(name, [turned(array, axis) for array in right[name]]):
                return f"{name} is turned around along its axis `{word}`"
        if scaled([case[name] for case in answers], right[name], tolerance):
            return f"all of {name} is multiplied by a number (a mean instead of a sum? one factor too many?)"
    return None


CHANGES: list[tuple[str, Callable]] = [
    ("the sign of {} is wrong", np.negative),
    ("the axes of {} are swapped", np.transpose),
]


def turned(array, axis):
    return np.flip(array, axis) if axis < array.ndim else array


def scaled(answers, expected, tolerance):
    """Whether in each case all numbers are the expected ones, times one number that is not 0 or 1."""
    factors = []
    for answer, right in zip(answers, expected, strict=True):
        if answer.shape != right.shape or not np.all(np.isfinite(answer)):
            return False
        if right.size < 3:
            continue  # too few numbers to tell
        factor = np.vdot(answer, right) / max(np.vdot(right, right), 1e-12)
        if abs(factor) < 0.05 or not same(answer, factor * right, tolerance):
            return False
        factors.append(factor)
    return any(abs(factor - 1) > 0.01 for factor in factors)
