"""Conversion of layers between rnnkit and Keras."""

from collections.abc import Sequence

import keras

from rnnkit.convert.building import build_like
from rnnkit.convert.conventions import with_convention
from rnnkit.layers import GRU, LSTM, Bidirectional, Elman, Stacked


def from_keras(layer: keras.layers.Layer | Sequence[keras.layers.Layer]) -> keras.layers.Layer:
    """Makes the rnnkit layer that computes what a Keras layer computes.

    Args:
        layer: `keras.layers.LSTM`, `GRU`, `SimpleRNN`, `Bidirectional` around one of them, or a list of such layers to
            be stacked, lowest first. The stack returns its states if all layers of the list do.

    Returns:
        `LSTM`, `GRU`, `Elman`, `Bidirectional` or `Stacked`, with the same configuration, and with the same weights if
        the layer has weights.

    Raises:
        ValueError: rnnkit has no such layer.

    Example:

    >>> import keras, rnnkit.convert
    >>> keras_layer = keras.layers.LSTM(4)
    >>> keras_layer.build((None, None, 3))
    >>> layer = rnnkit.convert.from_keras(keras_layer)
    >>> type(layer).__module__, bool((layer.get_weights()[0] == keras_layer.get_weights()[0]).all())
    ('rnnkit.layers.lstm', True)
    """
    if isinstance(layer, list | tuple):
        return_state = all(one.return_state for one in layer)
        layers = [from_keras(one) for one in layer]
        return Stacked(layers, return_sequences=layer[-1].return_sequences, return_state=return_state)
    return _converted(layer, "from_keras", _FROM_KERAS)


def to_keras(layer: keras.layers.Layer) -> keras.layers.Layer | list[keras.layers.Layer]:
    """Makes the Keras layer that computes what a layer of rnnkit computes.

    Args:
        layer: `LSTM`, `GRU` (in any convention), `Elman` without `output_units`, `Bidirectional` around one of them, or
            `Stacked` without residuals and without `go_backwards`.

    Returns:
        `keras.layers.LSTM`, `GRU`, `SimpleRNN` or `Bidirectional`, with the same weights if the layer has weights; for
        `Stacked` a list of them.

    Raises:
        ValueError: Keras has no such layer.

    Example:

    >>> import rnnkit.convert, rnnkit.layers
    >>> layer = rnnkit.layers.GRU(4, convention="chung")
    >>> layer.build((None, None, 3))
    >>> rnnkit.convert.to_keras(layer).reset_after
    False
    """
    if isinstance(layer, Stacked):
        if layer.residual:
            raise ValueError(f"Keras has no stack with residuals: {layer.name!r} cannot be converted.")
        if layer.go_backwards:
            raise ValueError(
                f"Keras has no stack that runs backwards: reverse the inputs of {layer.name!r} yourself, and convert a "
                "stack with go_backwards=False."
            )
        return [to_keras(one) for one in layer.layers]
    if isinstance(layer, GRU) and layer.cell.convention != "keras":
        layer = with_convention(layer, "keras")
    if isinstance(layer, Elman) and layer.cell.output_units is not None:
        raise ValueError(f"keras.layers.SimpleRNN has no output_kernel: {layer.name!r} has output_units.")
    return _converted(layer, "to_keras", {ours: theirs for theirs, ours in _FROM_KERAS.items()})


_FROM_KERAS = {
    keras.layers.LSTM: LSTM,
    keras.layers.GRU: GRU,
    keras.layers.SimpleRNN: Elman,
    keras.layers.Bidirectional: Bidirectional,
}
_OURS = (LSTM, GRU, Elman, Bidirectional)


def _converted(layer, caller, kinds):
    """The layer of the other package, with the same configuration and weights."""
    kind = kinds.get(type(layer))
    if kind is None:
        names = [one.__name__ for one in kinds]
        raise ValueError(f"{caller} expected one of {names}, received {layer!r}.")
    if isinstance(layer, keras.layers.Bidirectional):
        convert = to_keras if caller == "to_keras" else from_keras
        forward, backward = convert(layer.forward_layer), convert(layer.backward_layer)
        twin = kind(forward, backward_layer=backward, merge_mode=layer.merge_mode, name=layer.name)
        weights = forward.get_weights() + backward.get_weights()
    else:
        ours = ("dropout_each_step", "convention", "output_units", "output_initializer", "use_cudnn")
        config = {name: value for name, value in layer.get_config().items() if kind in _OURS or name not in ours}
        if getattr(layer.cell, "dropout_each_step", False) and kind not in _OURS:
            raise ValueError(f"Keras draws one mask for all steps: {layer.name!r} has dropout_each_step=True.")
        twin, weights = kind.from_config(config), layer.get_weights()
        if hasattr(layer, "use_cudnn"):
            twin.use_cudnn = layer.use_cudnn
    if layer.built:
        build_like(twin, layer)
        twin.set_weights(weights)
    return twin
