"""The decks' equations in float64 NumPy, one row and one time step at a time: what the layers are tested against."""

import numpy as np


def elman_step(weights, x, states):
    """h_t = tanh(W_xh x_t + W_hh h_{t-1} + b), y_t = h_t. Weights as the layer stores them: rows times matrix."""
    kernel, recurrent_kernel, bias = weights
    h = np.tanh(kernel.T @ x + recurrent_kernel.T @ states[0] + bias)
    return h, [h]


def elman_with_output_step(weights, x, states):
    """As `elman_step`, and y_t = W_hy h_t."""
    *weights, output_kernel = weights
    h, states = elman_step(weights, x, states)
    return output_kernel.T @ h, states


def run(step, weights, x, states, mask=None, go_backwards=False, zero_output_for_mask=False):
    """Runs `step` over `x` `(batch, time, features)`: outputs `(batch, time, ...)` and the list of last states.

    Each row runs alone, over the steps that its mask lets count and over nothing else.
    """
    weights = [np.asarray(weight, "float64") for weight in weights]
    rows = []
    for b in range(len(x)):
        row_states = [np.asarray(state[b], "float64") for state in states]
        output, outputs = None, []
        for t in range(x.shape[1])[:: -1 if go_backwards else 1]:
            counts = mask is None or mask[b, t]
            if counts:
                output, row_states = step(weights, np.asarray(x[b, t], "float64"), row_states)
            outputs.append(None if zero_output_for_mask and not counts else output)
        rows.append((outputs, row_states))
    zeros = np.zeros_like(step(weights, np.zeros(x.shape[2]), [np.asarray(s[0], "float64") for s in states])[0])
    outputs = np.stack([np.stack([zeros if y is None else y for y in outputs]) for outputs, _ in rows])
    return outputs, [np.stack(column) for column in zip(*(row_states for _, row_states in rows), strict=True)]


def numerical_gradient(function, array, epsilon=1e-6):
    """Central differences of a scalar function of a float64 array."""
    array = np.array(array, "float64")
    gradient = np.zeros_like(array)
    for index in np.ndindex(array.shape):
        value = array[index]
        array[index] = value + epsilon
        above = function(array)
        array[index] = value - epsilon
        below = function(array)
        array[index] = value
        gradient[index] = (above - below) / (2 * epsilon)
    return gradient
