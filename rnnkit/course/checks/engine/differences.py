"""Says where two answers differ, without showing the right numbers."""

from collections.abc import Callable

import numpy as np

from rnnkit.course.checks.engine.answers import same

WORDS = {"batch": "row", "time": "step"}  # other axes: units, unit


def differences(
    answers: dict[str, np.ndarray],
    expected: dict[str, np.ndarray],
    axes_of: Callable[[str], list[str]],
    tolerance: float,
) -> list[str]:
    """Says which answers are wrong, where, and which are right.

    Args:
        answers: dictionary from name to array, what the student's function returned.
        expected: the same for the reference.
        axes_of: function from a name to the names of its axes.
        tolerance: for `same`.

    Returns:
        Lines of text.
    """
    if len(answers) != len(expected):
        return [f"expected {len(expected)} arrays, received {len(answers)}. Return {', '.join(expected)}."]
    wrong = [key for key in expected if not same(answers[key], expected[key], tolerance)]
    right = [key for key in expected if key not in wrong]
    lines = [f"{key} {difference(answers[key], expected[key], axes_of(key), tolerance)}." for key in wrong]
    if right:
        lines.append(f"{listed(right)} {'is' if len(right) == 1 else 'are'} right.")
    return lines


def difference(answer, expected, axes, tolerance):
    if answer.shape != expected.shape:
        hint = " (are two of them swapped?)" if sorted(answer.shape) == sorted(expected.shape) else ""
        return f"should have the shape ({', '.join(axes)}) = {expected.shape}, but has {answer.shape}{hint}"
    if answer.dtype.kind != "f" and expected.dtype.kind == "f":
        return f"holds whole numbers ({answer.dtype}), so all decimals are cut off: make it an array of floats"
    finite = np.isfinite(answer)
    if not finite.all():
        kind = "nan (such as 0 / 0)" if np.isnan(answer).any() else "infinity (such as 1 / 0)"
        return f"holds {kind}{where(~finite, axes)}"
    if answer.dtype == np.float16:
        return "is too coarse in float16: compute in float32 or float64"
    return f"is wrong{where(~np.isclose(answer, expected, rtol=tolerance, atol=tolerance), axes)}"


def where(wrong, axes):
    """Names the rows, steps, units, ... of the entries that are True, as in " in row 1, steps 3 to 5 and all units"."""
    if wrong.size == 1 or not axes:
        return ""
    if wrong.all():
        return " everywhere"
    if wrong.mean() > 0.8:
        return " almost everywhere"
    parts = []
    for axis, name in enumerate(axes):
        others = tuple(other for other in range(wrong.ndim) if other != axis)
        numbers = np.flatnonzero(wrong.any(axis=others))
        parts.append(counted(numbers, wrong.shape[axis], WORDS.get(name, name.removesuffix("s"))))
    return f" in {listed(parts)} (counted from 0)"


def counted(numbers, size, word):
    """Such as "step 2", "steps 3 to 5", "all steps"."""
    if len(numbers) == size:
        return f"all {word}s" if size > 1 else f"the only {word}"
    if len(numbers) == 1:
        return f"{word} {numbers[0]}"
    if len(numbers) > 2 and np.ptp(numbers) == len(numbers) - 1:
        return f"{word}s {numbers[0]} to {numbers[-1]}"
    return f"{word}s {listed([str(number) for number in numbers])}"


def listed(words: list[str]) -> str:
    """Such as "a, b and c"."""
    return " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
