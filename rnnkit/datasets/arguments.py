"""A check that the made data sets share."""

import numbers


def check_integer(owner, name, value, at_least=1):
    """The value as an `int`; a `ValueError` if it is not an integer of at least `at_least`."""
    if not isinstance(value, numbers.Integral) or isinstance(value, bool) or value < at_least:
        raise ValueError(f"{owner} expected {name} to be an integer of at least {at_least}, received {value!r}.")
    return int(value)
