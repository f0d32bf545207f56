"""States as PyTorch has them, `(layers * directions, batch, units)`, and as layers of rnnkit and Keras have them."""

from typing import Any

import keras
import numpy as np
from keras import tree

from rnnkit.annotations import Tensor
from rnnkit.layers.state_layout import in_words, places_by_direction, states_of


def states_from_torch(states: Any, layer: Any) -> list[Tensor]:
    """Takes the states of a PyTorch module apart, in the order in which a layer has its states.

    Args:
        states: `h_n` of a `torch.nn.GRU` or `RNN`, or `(h_n, c_n)` of an `LSTM`: arrays or tensors of shape
            `(layers * directions, batch, units)`, layer by layer, forward before backward.
        layer: the layer that computes what the module computes, such as `from_torch(module)`; also a decoder, whose
            first states they shall be.

    Returns:
        List of arrays or tensors `(batch, units)`, to be passed as `initial_state` of the layer or to a `Bridge`.

    Raises:
        ValueError: the layer has other states than those that are given.

    Example:

    >>> import numpy as np, rnnkit
    >>> layer = rnnkit.layers.Bidirectional(rnnkit.layers.LSTM(4, return_state=True))
    >>> h_n, c_n = np.zeros((2, 3, 4)), np.ones((2, 3, 4))
    >>> [int(state[0, 0]) for state in rnnkit.convert.states_from_torch((h_n, c_n), layer)]
    [0, 1, 0, 1]
    """
    parts = list(states) if isinstance(states, list | tuple) else [states]
    layers = states_of(layer)
    groups = places_by_direction(layers)
    shapes = [tuple(part.shape) for part in parts]
    fits = all(len(group) == len(parts) for group in groups)
    if not fits or any(len(shape) != 3 or shape[0] != len(groups) for shape in shapes):
        raise ValueError(
            f"states_from_torch expected arrays of shape ({len(groups)}, batch, units), one for each state of "
            f"{in_words(layers)} with {len(groups)} entries for layers and directions, received arrays of the shapes "
            f"{shapes}."
        )
    found = {place: part[index] for index, group in enumerate(groups) for place, part in zip(group, parts, strict=True)}
    return [found[place] for place in range(len(found))]


def states_to_torch(states: Any, layer: Any) -> Any:
    """Puts the states of a layer together, as PyTorch has them: the inverse of `states_from_torch`.

    Args:
        states: list of the layer's states, each `(batch, units)`, as it returns them.
        layer: the layer that returned them, or whose first states they are.

    Returns:
        NumPy array `(layers * directions, batch, units)`, or a pair of them for an LSTM.

    Raises:
        ValueError: the layer has other states, or its layers differ in their states or in their sizes.

    Example:

    >>> import numpy as np, rnnkit
    >>> layer = rnnkit.layers.GRU(4)
    >>> rnnkit.convert.states_to_torch([np.zeros((3, 4))], layer).shape
    (1, 3, 4)
    """
    layers = states_of(layer)
    groups = places_by_direction(layers)
    arrays = [keras.ops.convert_to_numpy(state) for state in tree.flatten(states)]
    count = sum(map(len, groups))
    if len(arrays) != count:
        raise ValueError(f"states_to_torch expected the {count} states of {in_words(layers)}, received {len(arrays)}.")
    if len({len(group) for group in groups}) > 1 or len({array.shape for array in arrays}) > 1:
        raise ValueError(
            "states_to_torch expected layers with the same states of the same size, as in PyTorch, received "
            f"{in_words(layers)} with states of the shapes {[array.shape for array in arrays]}."
        )
    parts = [np.stack([arrays[place] for place in places]) for places in zip(*groups, strict=True)]
    return parts[0] if len(parts) == 1 else tuple(parts)
