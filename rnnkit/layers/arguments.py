"""Checks of constructor arguments that several layers share."""


def check_positive_integer(layer, name, value):
    """Refuses, with a `ValueError`, what is not an integer of 1 or more."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{type(layer).__name__} expected {name} to be a positive integer, received {value!r}.")
