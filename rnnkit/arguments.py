"""Checks of arguments that several layers and functions share."""

import numbers

from rnnkit.annotations import Shape


def check_positive_integer(owner: str, name: str, value: object) -> int:
    """Checks that an argument is an integer of at least 1.

    Args:
        owner: the layer or function that received the argument, for the message.
        name: the argument.
        value: what was passed.

    Returns:
        The value as an `int`.

    Raises:
        ValueError: the value is not an integer of at least 1.

    Example:

    >>> check_positive_integer("LSTM", "units", 0)
    Traceback (most recent call last):
    ...
    ValueError: LSTM expected units to be a positive integer, received 0.
    """
    return _integer(owner, name, value, at_least=1, expected="a positive integer")


def check_integer(owner: str, name: str, value: object, at_least: int = 1) -> int:
    """Checks that an argument is an integer that is not too small.

    Args:
        owner: the layer or function that received the argument, for the message.
        name: the argument.
        value: what was passed.
        at_least: the smallest value allowed. Defaults to `1`.

    Returns:
        The value as an `int`.

    Raises:
        ValueError: the value is not an integer, or it is less than `at_least`.

    Example:

    >>> check_integer("copy_memory", "delay", -1, at_least=0)
    Traceback (most recent call last):
    ...
    ValueError: copy_memory expected delay to be an integer of at least 0, received -1.
    """
    return _integer(owner, name, value, at_least, expected=f"an integer of at least {at_least}")


def check_rate(owner: str, name: str, value: object) -> float:
    """Checks that an argument is a number from 0 up to, but not including, 1.

    Args:
        owner: the layer or function that received the argument, for the message.
        name: the argument.
        value: what was passed.

    Returns:
        The value as a `float`.

    Raises:
        ValueError: the value is not a number in [0, 1).

    Example:

    >>> check_rate("LSTM", "dropout", 1)
    Traceback (most recent call last):
    ...
    ValueError: LSTM expected dropout to be a number in [0, 1), received 1.
    """
    if not isinstance(value, numbers.Real) or isinstance(value, bool) or not 0 <= float(value) < 1:
        raise ValueError(f"{owner} expected {name} to be a number in [0, 1), received {value!r}.")
    return float(value)


def agree(shape: Shape, expected: Shape) -> bool:
    """Returns whether two shapes are equal wherever both are known.

    >>> agree((None, 3), (2, 3)), agree((2, 3), (2, 4))
    (True, False)
    """
    pairs = zip(shape, expected, strict=False)
    return len(shape) == len(expected) and all(a is None or b is None or a == b for a, b in pairs)


def _integer(owner, name, value, at_least, expected):
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < at_least:
        raise ValueError(f"{owner} expected {name} to be {expected}, received {value!r}.")
    return int(value)
