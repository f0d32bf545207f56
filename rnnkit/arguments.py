"""Checks of arguments that several layers and functions share."""

import numbers


def check_positive_integer(owner, name, value):
    """The value as an `int`; a `ValueError` if it is not an integer of 1 or more."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{owner} expected {name} to be a positive integer, received {value!r}.")
    return int(value)


def check_rate(owner, name, value):
    """The value as a `float`; a `ValueError` if it is not a number from 0 up to, but not including, 1."""
    if not isinstance(value, numbers.Real) or isinstance(value, bool) or not 0 <= value < 1:
        raise ValueError(f"{owner} expected {name} to be a number in [0, 1), received {value!r}.")
    return float(value)


def agree(shape, expected):
    """Whether two shapes can be the same where both are known."""
    pairs = zip(shape, expected, strict=False)
    return len(shape) == len(expected) and all(a is None or b is None or a == b for a, b in pairs)
