"""The copy memory problem: read a list, wait, and repeat it."""

import numpy as np

from rnnkit.arguments import check_integer


def copy_memory(
    samples: int, delay: int, symbols: int = 8, length: int = 10, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Generates lists of random symbols to be repeated after a delay.

    The input is a list of `length` symbols, `delay - 1` blanks, a signal that says "now", and `length` blanks. The
    target is blank up to and including the signal, and then the list. A blank is 0, the symbols are 1 to `symbols`, and
    the signal is `symbols + 1`, which no target contains.

    A network that remembers nothing, but knows when to speak, predicts each blank with certainty and then gives every
    symbol the probability 1 / `symbols`. This baseline has a cross-entropy of
    `length * ln(symbols) / (delay + 2 * length)` nats per time step.

    Args:
        samples: number of sequences.
        delay: number of time steps from the last symbol of the list to the signal, at least 1.
        symbols: number of different symbols, at least 2. Defaults to `8`.
        length: number of symbols in a list, at least 1. Defaults to `10`.
        seed: integer; equal seeds give equal lists. Defaults to `0`.

    Returns:
        inputs: int32 array `(samples, delay + 2 * length)`, from 0 to `symbols + 1`.
        targets: int32 array of the same shape, from 0 to `symbols`.

    Raises:
        ValueError: one of the sizes is not an integer, or is too small.

    Example:

    >>> inputs, targets = copy_memory(samples=100, delay=3, symbols=2, length=4)
    >>> inputs.shape
    (100, 11)
    >>> inputs[0].tolist()
    [2, 2, 2, 1, 0, 0, 3, 0, 0, 0, 0]
    >>> targets[0].tolist()
    [0, 0, 0, 0, 0, 0, 0, 2, 2, 2, 1]

    References:
        Hochreiter and Schmidhuber, "Long short-term memory", 1997; Arjovsky, Shah and Bengio, "Unitary evolution
        recurrent neural networks", 2016, whose form with 8 symbols and lists of 10 this is.
    """
    for name, value, at_least in [
        ("samples", samples, 1),
        ("delay", delay, 1),
        ("symbols", symbols, 2),
        ("length", length, 1),
    ]:
        check_integer("copy_memory", name, value, at_least)
    lists = np.random.default_rng(seed).integers(1, symbols + 1, (samples, length), "int32")
    inputs = np.zeros((samples, delay + 2 * length), "int32")
    inputs[:, :length] = lists
    inputs[:, length + delay - 1] = symbols + 1
    targets = np.zeros_like(inputs)
    targets[:, -length:] = lists
    return inputs, targets
