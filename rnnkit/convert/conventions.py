"""Conversion of GRUs between conventions."""

import numpy as np

from rnnkit.convert.building import build_like, check_built
from rnnkit.layers import GRU, GRUCell
from rnnkit.layers.gru import CONVENTIONS


def with_convention(layer: GRU, convention: str) -> GRU:
    """Converts a GRU to another convention, in which it computes the same.

    "keras" with `reset_after=True` and "torch" differ in the order of the gates; "chung" and "keras" with
    `reset_after=False` differ in the sign of z's weights. Between these two pairs nothing can be converted, because one
    resets h_{t-1} before the product with the candidate's weights and the other after it.

    Args:
        layer: a `GRU` with weights.
        convention: `"keras"`, `"chung"` or `"torch"`.

    Returns:
        A new `GRU`.

    Raises:
        ValueError: no weights of the other convention compute the same; the layer is not a GRU or has no weights yet.

    Example:

    >>> import rnnkit.convert, rnnkit.layers
    >>> layer = rnnkit.layers.GRU(4, convention="chung")
    >>> layer.build((None, None, 3))
    >>> rnnkit.convert.with_convention(layer, "torch")
    Traceback (most recent call last):
        ...
    ValueError: A GRU in convention 'chung' resets h_{t-1} before the product with the candidate's recurrent weights, \
recurrent_kernel[:, 8:], and one in 'torch' after it: no weights there compute the same. The weights of z and r could \
be converted, but not those of the candidate.
    """
    if not isinstance(layer, GRU):
        raise ValueError(f"with_convention expected a rnnkit.layers.GRU, received {layer!r}.")
    check_built(layer)
    cell = layer.cell
    weights = weights_in(cell, convention)
    config = {**layer.get_config(), "convention": convention, "reset_after": cell.reset_after}
    if convention != cell.convention:
        del config["use_cudnn"]  # each convention has its own default
    twin = GRU.from_config(config)
    build_like(twin, layer)
    twin.set_weights(weights)
    return twin


def weights_in(cell: GRUCell, convention: str) -> list[np.ndarray]:
    """Returns the weights of a GRU's cell in another convention; a `ValueError` if that cannot express them."""
    after = {"chung": False, "torch": True, "keras": cell.reset_after}.get(convention)
    if after is None:
        raise ValueError(f"A GRU expected convention to be in {CONVENTIONS}, received {convention!r}.")
    if after != cell.reset_after:
        places = ("after", "before") if cell.reset_after else ("before", "after")
        raise ValueError(
            f"A GRU in convention {cell.convention!r} resets h_{{t-1}} {places[0]} the product with the candidate's "
            f"recurrent weights, recurrent_kernel[:, {2 * cell.units}:], and one in {convention!r} {places[1]} it: no "
            "weights there compute the same. The weights of z and r could be converted, but not those of the candidate."
        )
    sign = -1.0 if (cell.convention == "chung") != (convention == "chung") else 1.0
    arrays = []
    for weight in cell.get_weights():
        gates = np.split(weight, 3, axis=-1)
        z, r = gates[:2] if cell.convention != "torch" else gates[1::-1]
        z = sign * z
        arrays.append(np.concatenate([*((r, z) if convention == "torch" else (z, r)), gates[2]], axis=-1))
    return arrays
