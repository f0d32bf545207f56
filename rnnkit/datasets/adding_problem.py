"""The adding problem: two numbers to remember among many to ignore."""

import numpy as np

from rnnkit.arguments import check_integer


def adding_problem(samples: int, length: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Generates sequences of random numbers, two of them marked; the target is the sum of these two.

    Each time step has a number, uniform in [0, 1), and a marker, 0 or 1. One number of the first half is marked and one
    of the second half. To add them up, a network must carry the first across a gap that can be as long as the sequence.
    A network that knows nothing predicts the mean, 1, and has a mean squared error of 1/6, the variance of the sum of
    two such numbers.

    Args:
        samples: number of sequences.
        length: number of time steps, at least 2. If it is odd, the second half is one step longer than the first.
        seed: integer; equal seeds give equal numbers.

    Returns:
        inputs: float32 array `(samples, length, 2)`: number and marker.
        targets: float32 array `(samples, 1)`, from 0 to 2.

    Raises:
        ValueError: `samples` is not a positive integer, or `length` is not an integer of at least 2.

    Example:

    >>> inputs, targets = adding_problem(samples=10_000, length=6, seed=1)
    >>> inputs.shape, targets.shape
    ((10000, 6, 2), (10000, 1))
    >>> print(inputs[0].round(2).T)  # the numbers, the markers
    [[0.47 0.51 0.76 0.95 0.03 0.14]
     [0.   1.   0.   0.   1.   0.  ]]
    >>> print(targets[0].round(2))
    [0.55]
    >>> round(float(((targets - 1) ** 2).mean()), 2)  # 1/6
    0.17

    References:
        Hochreiter and Schmidhuber, "Long short-term memory", 1997, experiment 4; in the form of Arjovsky, Shah and
        Bengio, "Unitary evolution recurrent neural networks", 2016.
    """
    check_integer("adding_problem", "samples", samples)
    check_integer("adding_problem", "length", length, at_least=2)
    rng = np.random.default_rng(seed)
    inputs = np.zeros((samples, length, 2), "float32")
    inputs[..., 0] = rng.random((samples, length), "float32")
    rows, half = np.arange(samples), length // 2
    first, second = rng.integers(0, half, samples), rng.integers(half, length, samples)
    inputs[rows, first, 1] = inputs[rows, second, 1] = 1.0
    targets = inputs[rows, first, 0] + inputs[rows, second, 0]
    return inputs, targets[:, None]
