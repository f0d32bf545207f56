"""The copy memory problem: read a list, wait, and repeat it."""

import numpy as np

from rnnkit.datasets.arguments import check_integer


def copy_memory(samples, delay, symbols=8, length=10, seed=0):
    """Lists of random symbols to be repeated after a delay.

    The input is a list of `length` symbols, `delay - 1` blanks, a sign that says "now", and `length` blanks. The target
    is blank until the sign, the sign included, and then the list. Blanks are 0, the symbols are 1 to `symbols`, and the
    sign is `symbols + 1`, which stands in no target.

    Who remembers nothing but knows when to speak says a blank with certainty, and then every symbol with the
    probability 1 / `symbols`. This baseline has a cross-entropy of `length * ln(symbols) / (delay + 2 * length)` nats a
    time step.

    Args:
        samples: number of sequences.
        delay: time steps from the last symbol of the list to the sign, at least 1.
        symbols: how many different symbols there are, at least 2.
        length: symbols in a list, at least 1.
        seed: integer; equal seeds give equal lists.

    Returns:
        inputs: int32 array `(samples, delay + 2 * length)`, from 0 to `symbols + 1`.
        targets: int32 array of the same shape, from 0 to `symbols`.

    Raises:
        ValueError: when one of the sizes is not an integer, or too small.

    Example:

    >>> inputs, targets = copy_memory(samples=100, delay=3, symbols=2, length=4)
    >>> inputs.shape
    (100, 11)
    >>> inputs[0].tolist()
    [2, 2, 2, 1, 0, 0, 3, 0, 0, 0, 0]
    >>> targets[0].tolist()
    [0, 0, 0, 0, 0, 0, 0, 2, 2, 2, 1]

    References:
        Hochreiter and Schmidhuber 1997, "Long short-term memory"; Arjovsky, Shah and Bengio 2016, "Unitary evolution
        recurrent neural networks", whose form with 8 symbols and lists of 10 this is.
    """
    for name, value, least in (
        ("samples", samples, 1),
        ("delay", delay, 1),
        ("symbols", symbols, 2),
        ("length", length, 1),
    ):
        check_integer(name, value, least)
    lists = np.random.default_rng(seed).integers(1, symbols + 1, (samples, length), "int32")
    inputs = np.zeros((samples, delay + 2 * length), "int32")
    inputs[:, :length] = lists
    inputs[:, length + delay - 1] = symbols + 1
    targets = np.zeros_like(inputs)
    targets[:, -length:] = lists
    return inputs, targets
