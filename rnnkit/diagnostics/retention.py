"""How much of a state is left after some time."""

from typing import NamedTuple

import keras
import numpy as np

from rnnkit.annotations import Mask, Tensors
from rnnkit.diagnostics.record_gates import Record, for_each_direction, record


class Retention(NamedTuple):
    """What `retention` measured.

    Attributes:
        carried: array `(batch, time, units)`, dC_T/dC_t along the carry path (dh_T/dh_t for a GRU): the part of the
            state after step t that is left at the end T. It is 1 at t = T.
        half_life: array `(units,)`, the number of time steps after which half of a unit's state is left, at the mean
            rate over all unmasked steps; infinite if the gate stays at 1.
    """

    carried: np.ndarray
    half_life: np.ndarray


def retention(
    layer_or_model: keras.layers.Layer,
    inputs: Tensors,
    mask: Mask = None,
    layer: str | keras.layers.Layer | None = None,
) -> Retention | dict[str, Retention]:
    """Measures how long a layer keeps what is in its state.

    An LSTM's C_t = f_t * C_{t-1} + i_t * C~_t carries over the part f_t of C_{t-1}. Along this path, dC_T/dC_t is the
    product f_T f_{T-1} ... f_{t+1} of the forget gates. (The other paths from C_t to C_T, through h, are left out.) A
    GRU carries over the part 1 - z_t of h_{t-1}, or z_t in Keras's convention.

    Args:
        layer_or_model: a recurrent layer with gates, or a model with one, as for `record_gates`.
        inputs: array `(batch, time, features)` for a layer; the inputs of the model for a model.
        mask: boolean array `(batch, time)`, True at unmasked steps. Defaults to `None`.
        layer: the recurrent layer inside, or its name, if there are several. Defaults to `None`, the only one.

    Returns:
        A `Retention`; for a `Bidirectional` a dictionary of two, `"forward"` and `"backward"` (for which T is the first
        time step of the input).

    Raises:
        ValueError: see `record_gates`.

    Example:

    >>> import numpy as np, rnnkit.diagnostics, rnnkit.layers
    >>> layer = rnnkit.layers.LSTM(2, kernel_initializer="zeros", recurrent_initializer="zeros")
    >>> layer.build((None, None, 1))
    >>> bias = np.array([0, 0, 0, np.log(3), 0, 0, 0, 0])  # f = 1/2 and 3/4
    >>> layer.set_weights([*layer.get_weights()[:2], bias])
    >>> carried, half_life = rnnkit.diagnostics.retention(layer, np.zeros((1, 3, 1), "float32"))
    >>> carried[0].round(3).tolist(), half_life.round(2).tolist()
    ([[0.25, 0.562], [0.5, 0.75], [1.0, 1.0]], [1.0, 2.41])

    References:
        Gers, Schmidhuber and Cummins, "Learning to forget: continual prediction with LSTM", 2000; Khanzhina, "Recurrent
        neural networks", lecture, 2019: an LSTM "still forgets".
    """
    return for_each_direction(record("retention", layer_or_model, inputs, mask, layer), _retention)


def _retention(run: Record) -> Retention:
    carry = np.where(run.mask[..., None], run.cell.carry_gate(run.gates), 1.0).astype("float64")
    later = np.concatenate([carry[:, 1:], np.ones_like(carry[:, :1])], axis=1)
    carried = np.cumprod(later[:, ::-1], axis=1)[:, ::-1]
    with np.errstate(divide="ignore"):
        rate = np.log2(carry).sum(axis=(0, 1)) / max(run.mask.sum(), 1)
        half_life = -1.0 / rate
    return Retention(run.in_time(carried), np.where(rate == 0, np.inf, half_life))
