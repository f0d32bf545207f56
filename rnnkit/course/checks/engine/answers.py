"""Turns what a function returned into named arrays."""

from typing import Any

import numpy as np

from rnnkit.course.checks.engine.mistake import Mistake


def answers_of(name: str, result: Any, returns: dict[str, list[str]]) -> dict[str, np.ndarray]:
    """Turns a result into a dictionary of arrays.

    Args:
        name: name of the exercise.
        result: what its function returned: an array, several, or lists of arrays; NumPy's, Keras's or a backend's.
        returns: dictionary from the name of each value that should be returned to the names of its axes. A name that
            ends in `[]` means a list of arrays.

    Returns:
        Dictionary from name to NumPy array; `states[]` becomes `states[0]`, `states[1]`, ...

    Raises:
        Mistake: there are too many or too few values, or a value is not an array of numbers.
    """
    if result is None:
        raise Mistake(f"{name} returns None. Does it end in `return ...`?")
    names = list(returns)
    if len(names) == 1:
        values = [result]
    elif isinstance(result, list | tuple) and len(result) == len(names):
        values = result
    else:
        many = f"{len(result)} values" if isinstance(result, list | tuple) else f"one ({type(result).__name__})"
        raise Mistake(f"{name} should return {len(names)} values, {', '.join(names)}; it returns {many}.")
    answers = {}
    for key, value in zip(names, values, strict=True):
        if not key.endswith("[]"):
            answers[key] = as_array(name, key, value)
            continue
        if not isinstance(value, list | tuple):
            raise Mistake(f"{name}: {key[:-2]} should be a list of arrays, received {type(value).__name__}.")
        for index, entry in enumerate(value):
            answers[f"{key[:-2]}[{index}]"] = as_array(name, f"{key[:-2]}[{index}]", entry)
    return answers


def as_array(name, key, value):
    if value is None:
        raise Mistake(f"{name}: {key} is None.")
    if hasattr(value, "detach"):  # PyTorch
        value = value.detach().cpu()
    try:
        array = np.array(value)  # a copy: the function may change its own later
    except Exception:
        array = np.array(None)
    if array.dtype.kind not in "fiub":
        kind = f"{type(value).__name__} of {array.dtype}" if array.dtype.kind != "O" else type(value).__name__
        raise Mistake(f"{name}: {key} should be an array of numbers, all rows equally long; received {kind}.")
    return array


def agree(answers: dict[str, np.ndarray], expected: dict[str, np.ndarray], tolerance: float) -> bool:
    """Whether two such dictionaries are equal within the tolerance."""
    return list(answers) == list(expected) and all(same(answers[key], expected[key], tolerance) for key in expected)


def same(answer: np.ndarray, expected: np.ndarray, tolerance: float) -> bool:
    """Whether two arrays are equal within the tolerance, in shape and numbers."""
    return answer.shape == expected.shape and np.allclose(
        answer, expected, rtol=tolerance, atol=tolerance, equal_nan=True
    )
