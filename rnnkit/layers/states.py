"""What layers have in common that keep states."""

import keras
import numpy as np
from keras import ops


def state_size_of(layer):
    """Sizes of a recurrent layer's states, nested as its `initial_state` has to be; a `ValueError` if it has none."""
    if isinstance(layer, keras.layers.Bidirectional):
        return plain(layer.forward_layer.state_size) + plain(layer.backward_layer.state_size)
    if isinstance(layer, keras.layers.Layer) and hasattr(layer, "state_size") and hasattr(layer, "return_sequences"):
        return plain(layer.state_size)
    raise ValueError(
        f"Expected a recurrent layer (keras.layers.RNN, LSTM, GRU, Recurrent, Stacked, ...) or a Bidirectional around "
        f"one, received {layer!r}."
    )


def plain(sizes):
    """Nested sizes as plain lists: JAX takes no lists that Keras tracks."""
    return [plain(size) if isinstance(size, list | tuple) else size for size in sizes]


def reset_rows(layer, states, rows):
    """Sets some rows of state variables `(batch, size)` to zero: row numbers, or a boolean array `(batch,)`."""
    if not states:
        raise ValueError(
            f"Layer {layer.name!r} has no states to reset: it needs stateful=True, and a first call or build."
        )
    batch, rows = states[0].shape[0], np.asarray(rows)
    if rows.dtype == bool:
        fits = rows.shape == (batch,)
    else:
        fits = rows.ndim == 1 and (
            rows.size == 0 or rows.dtype.kind in "iu" and -batch <= rows.min() <= rows.max() < batch
        )
    if not fits:
        raise ValueError(
            f"reset_state expected row numbers below {batch} or a boolean array ({batch},), received {rows.tolist()}."
        )
    kept = np.ones((batch, 1), bool)
    kept[rows if rows.size else []] = False
    for state in states:
        state.assign(ops.where(kept, state, ops.zeros_like(state)))
