"""Cells and a stack of them, in NumPy and float64, that the checks pass to a student's function."""

import numpy as np


def sigmoid(a):
    """The logistic function, without overflow, whatever is in the padding."""
    return (1 + np.tanh(a / 2)) / 2


class ElmanCell:
    """h_t = tanh(W_xh x_t + W_hh h_{t-1}), in the two parts of a rnnkit cell; vectors are rows."""

    def __init__(self, random, features, units):
        self.kernel, self.recurrent_kernel = weights(random, features, units)
        self.state_size = [units]

    def project(self, inputs):
        return inputs @ self.kernel

    def step(self, projected, states):
        (h,) = states
        h = np.tanh(projected + h @ self.recurrent_kernel)
        return h, [h]


class LSTMCell:
    """The LSTM without a bias, in the two parts of a rnnkit cell; vectors are rows, gates in the order i, f, C, o."""

    def __init__(self, random, features, units):
        self.kernel, self.recurrent_kernel = weights(random, features, 4 * units, units)
        self.state_size = [units, units]

    def project(self, inputs):
        return inputs @ self.kernel

    def step(self, projected, states):
        h, C = states
        i, f, candidate, o = np.split(projected + h @ self.recurrent_kernel, 4, axis=-1)
        C = sigmoid(f) * C + sigmoid(i) * np.tanh(candidate)
        h = sigmoid(o) * np.tanh(C)
        return h, [h, C]


class Stack:
    """Cells on top of each other over time, called like `rnnkit.layers.Stacked` with return_sequences, return_state.

    It takes at most `longest` steps at once.
    """

    def __init__(self, cells, longest):
        self.cells, self.longest = cells, longest

    def __call__(self, sequences, initial_state=None, mask=None):
        if np.shape(sequences)[1] > self.longest:
            raise ValueError(f"expected at most {self.longest} steps at once, received {np.shape(sequences)[1]}")
        sizes = [size for cell in self.cells for size in cell.state_size]
        states = initial_state or [np.zeros((len(sequences), size)) for size in sizes]
        if len(states) != len(sizes):
            raise ValueError(f"expected {len(sizes)} states, received {len(states)}")
        mask = np.ones(np.shape(sequences)[:2], "bool") if mask is None else np.asarray(mask)
        if mask.shape != np.shape(sequences)[:2]:
            raise ValueError(f"expected a mask of shape {np.shape(sequences)[:2]}, received {mask.shape}")
        output, outputs = np.zeros((len(sequences), sizes[-1])), []
        for t in range(np.shape(sequences)[1]):
            new_output, new_states = one_step(self.cells, np.asarray(sequences)[:, t], states)
            unmasked = mask[:, t, None]
            states = [np.where(unmasked, new, old) for new, old in zip(new_states, states, strict=True)]
            output = np.where(unmasked, new_output, output)
            outputs.append(output)
        return [np.stack(outputs, axis=1), *states]


def one_step(cells, y, states):
    """Returns the output of the top cell and the new states of all cells."""
    states, new_states = list(states), []
    for cell in cells:
        own, states = states[: len(cell.state_size)], states[len(cell.state_size) :]
        y, own = cell.step(cell.project(y), own)
        new_states += own
    return y, new_states


def weights(random, features, columns, units=None):
    """Returns a kernel and a recurrent kernel, neither so small nor so large that the tanh hides what is in them."""
    return random.normal(size=(features, columns)), random.normal(size=(units or columns, columns))
