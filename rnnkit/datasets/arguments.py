"""A check that the made data sets share."""

import numpy as np


def check_integer(name, value, least):
    """Refuses, with a `ValueError`, what is not an integer of at least `least`."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < least:
        raise ValueError(f"Expected {name} to be an integer of at least {least}, got {value!r}.")
