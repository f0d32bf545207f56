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


def lstm_step(weights, x, states):
    """The decks' LSTM; the columns of each weight are those of i, f, C~ and o."""
    kernel, recurrent_kernel, bias = weights
    h, C = states
    i, f, candidate, o = np.split(kernel.T @ x + recurrent_kernel.T @ h + bias, 4)
    C = sigmoid(f) * C + sigmoid(i) * np.tanh(candidate)
    h = sigmoid(o) * np.tanh(C)
    return h, [h, C]


def peephole_full_step(weights, x, states):
    """The decks' LSTM with peepholes: W_f [C_{t-1}, h_{t-1}, x_t], W_i [C_{t-1}, ...], and W_o [C_t, ...]."""
    kernel, recurrent_kernel, bias, peephole_kernel = weights
    h, C = states
    P_i, P_f, P_o = np.split(peephole_kernel, 3, axis=1)
    i, f, candidate, o = np.split(kernel.T @ x + recurrent_kernel.T @ h + bias, 4)
    C_before = C
    C = sigmoid(f + P_f.T @ C_before) * C_before + sigmoid(i + P_i.T @ C_before) * np.tanh(candidate)
    h = sigmoid(o + P_o.T @ C) * np.tanh(C)
    return h, [h, C]


def peephole_diagonal_step(weights, x, states):
    """Gers's peepholes: as `peephole_full_step`, with diagonal matrices."""
    *weights, peephole_kernel = weights
    diagonals = [np.diag(vector) for vector in np.split(peephole_kernel, 3)]
    return peephole_full_step([*weights, np.concatenate(diagonals, axis=1)], x, states)


def gru_chung_step(weights, x, states):
    """The decks' GRU, with a bias; the columns of each weight are those of z, r and h~."""
    kernel, recurrent_kernel, bias = weights
    (h,) = states
    W_z, W_r, W_h = np.split(np.concatenate([recurrent_kernel, kernel]), 3, axis=1)
    b_z, b_r, b_h = np.split(bias, 3)
    z = sigmoid(W_z.T @ np.concatenate([h, x]) + b_z)
    r = sigmoid(W_r.T @ np.concatenate([h, x]) + b_r)
    candidate = np.tanh(W_h.T @ np.concatenate([r * h, x]) + b_h)
    h = (1 - z) * h + z * candidate
    return h, [h]


def gru_keras_step(weights, x, states):
    """Keras's GRU: the reset comes after the product, and z keeps the old state."""
    kernel, recurrent_kernel, (bias, recurrent_bias) = weights
    (h,) = states
    x_z, x_r, x_h = np.split(kernel.T @ x + bias, 3)
    h_z, h_r, h_h = np.split(recurrent_kernel.T @ h + recurrent_bias, 3)
    z, r = sigmoid(x_z + h_z), sigmoid(x_r + h_r)
    h = z * h + (1 - z) * np.tanh(x_h + r * h_h)
    return h, [h]


def gru_keras_before_step(weights, x, states):
    """Keras's GRU with `reset_after=False`: the decks', with z and 1 - z in each other's place."""
    kernel, recurrent_kernel, bias = weights
    (h,) = states
    U_z, U_r, U_h = np.split(recurrent_kernel, 3, axis=1)
    x_z, x_r, x_h = np.split(kernel.T @ x + bias, 3)
    z, r = sigmoid(x_z + U_z.T @ h), sigmoid(x_r + U_r.T @ h)
    h = z * h + (1 - z) * np.tanh(x_h + U_h.T @ (r * h))
    return h, [h]


def gru_torch_step(weights, x, states):
    """The equation in the documentation of `torch.nn.GRU`; the columns of each weight are those of r, z and n."""
    kernel, recurrent_kernel, (b_i, b_h) = weights
    (h,) = states
    W_ir, W_iz, W_in = np.split(kernel, 3, axis=1)
    W_hr, W_hz, W_hn = np.split(recurrent_kernel, 3, axis=1)
    b_ir, b_iz, b_in = np.split(b_i, 3)
    b_hr, b_hz, b_hn = np.split(b_h, 3)
    r = sigmoid(W_ir.T @ x + b_ir + W_hr.T @ h + b_hr)
    z = sigmoid(W_iz.T @ x + b_iz + W_hz.T @ h + b_hz)
    n = np.tanh(W_in.T @ x + b_in + r * (W_hn.T @ h + b_hn))
    h = (1 - z) * n + z * h
    return h, [h]


def layer_norm_lstm_step(weights, x, states):
    """Ba et al., supplement, equations 20 to 22; all four gates in one normalization, order i, f, g, o."""
    kernel, recurrent_kernel, bias, g_2, g_1, g_3, b_3 = weights
    h, C = states
    i, f, g, o = np.split(layer_norm(recurrent_kernel.T @ h, g_1) + layer_norm(kernel.T @ x, g_2) + bias, 4)
    C = sigmoid(f) * C + sigmoid(i) * np.tanh(g)
    h = sigmoid(o) * np.tanh(layer_norm(C, g_3, b_3))
    return h, [h, C]


def layer_norm_gru_step(weights, x, states):
    """Ba et al., supplement, equations 23 to 25; z and r in one normalization, the candidate in its own."""
    kernel, recurrent_kernel, bias, g_2, g_3, g_1, g_4, b_4 = weights
    (h,) = states
    n = len(h)
    z_r = layer_norm(recurrent_kernel[:, : 2 * n].T @ h, g_1) + layer_norm(kernel[:, : 2 * n].T @ x, g_2)
    z, r = np.split(sigmoid(z_r + bias[: 2 * n]), 2)
    from_x = layer_norm(kernel[:, 2 * n :].T @ x, g_3, bias[2 * n :])
    candidate = np.tanh(from_x + r * layer_norm(recurrent_kernel[:, 2 * n :].T @ h, g_4, b_4))
    h = (1 - z) * h + z * candidate
    return h, [h]


def ro_step(weights, x, states):
    """s_t = tanh(W [s_{t-1}, x_t] + b), y_t = V s_t + c: the decks' R and O, each one dense layer."""
    W, b, V, c = weights
    state = np.tanh(W.T @ np.concatenate([states[0], x]) + b)
    return V.T @ state + c, [state]


def residual(step):
    """y_t = O(s_t) + x_t around a step."""

    def residual_step(weights, x, states):
        y, states = step(weights, x, states)
        return y + x, states

    return residual_step


def zoneout(step, rates, readout=lambda weights, states: states[0]):
    """Krueger et al. around a step, in inference: each state is the mean of old and new, with a rate for each."""

    def zoneout_step(weights, x, states):
        _, new_states = step(weights, x, states)
        states = [d * old + (1 - d) * new for d, old, new in zip(rates, states, new_states, strict=True)]
        return readout(weights, states), states

    return zoneout_step


def dot_score(weights, query, position, coverage=0.0):
    """Luong et al., equation 8: h_t . hbar_s; `coverage` is added to what the memory shows."""
    return query @ (position + coverage)


def general_score(weights, query, position, coverage=0.0):
    """h_t . W_a hbar_s"""
    (W_a,) = weights
    return query @ (W_a.T @ position + coverage)


def concat_score(weights, query, position, coverage=0.0):
    """v_a . tanh(W_a [h_t; hbar_s])"""
    W_a, v_a = weights
    return v_a @ np.tanh(W_a.T @ np.concatenate([query, position]) + coverage)


def additive_score(weights, query, position, coverage=0.0):
    """Bahdanau et al., appendix A.1.2: v_a . tanh(W_q h_t + W_v hbar_s); See et al., equation 11 with coverage."""
    W_q, W_v, v_a = weights
    return v_a @ np.tanh(W_q.T @ query + W_v.T @ position + coverage)


def masked_softmax(scores, counts):
    """Softmax over the scores that count; zeros elsewhere, and everywhere if none counts."""
    weights = np.zeros(len(scores))
    if counts.any():
        exponentials = np.exp(scores[counts] - scores[counts].max())
        weights[counts] = exponentials / exponentials.sum()
    return weights


def attend(score, weights, query, memory, counts, coverage=None):
    """alpha_ts, c_t and a_t of one query; `counts` says for each position of the memory whether it may be looked at."""
    *weights, W_c = weights
    coverage = np.zeros(len(memory)) if coverage is None else coverage
    scores = np.array([score(weights, query, *seen) for seen in zip(memory, coverage, strict=True)])
    alignment = masked_softmax(scores, counts)
    context = sum(weight * position for weight, position in zip(alignment, memory, strict=True))
    return alignment, context, np.tanh(W_c.T @ np.concatenate([context, query]))


def attention_cell(step, weights_of_step, score, input_feeding=False, coverage=False, look=None):
    """Luong et al., section 3.3, and See et al., section 2.3, around a step.

    Args:
        step, weights_of_step: the cell inside, and how many weights it has.
        score: of the attention.
        input_feeding, coverage: as of the layer.
        look: which of alpha_ts, c_t and a_t (0, 1, 2) to put out instead of a_t.

    Returns:
        A step; its weights are w_c (with coverage), those of the cell inside, those of the attention; its states those
        of the cell inside, a_{t-1} (with input feeding), the sum of alpha (with coverage), the memory and its mask.
    """

    def attention_cell_step(weights, x, states):
        *states, memory, mask = states
        w_c, *weights = weights if coverage else (None, *weights)
        seen = states.pop() if coverage else None
        if input_feeding:
            x = np.concatenate([x, states.pop()])
        h, states = step(weights[:weights_of_step], x, states)
        attended = attend(
            score, weights[weights_of_step:], h, memory, mask > 0, np.outer(seen, w_c) if coverage else None
        )
        alignment, _, a = attended
        states = [*states, *([a] if input_feeding else []), *([seen + alignment] if coverage else []), memory, mask]
        return attended[2 if look is None else look], states

    return attention_cell_step


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def layer_norm(a, gain, shift=0.0, epsilon=1e-5):
    """Ba et al., equation 4: centered and scaled over the features, then gain and shift."""
    centered = a - a.sum() / len(a)
    return gain * centered / np.sqrt((centered**2).sum() / len(a) + epsilon) + shift


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
