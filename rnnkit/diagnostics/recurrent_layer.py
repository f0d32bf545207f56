"""Finds the recurrent layer in a model, and sees what it is called with."""

import contextlib

import keras

from rnnkit.layers.nested_layers import recurrent_layers


def recurrent_layer(caller, model, layer=None):
    """The recurrent layer that is meant.

    Args:
        caller: name of the public function, for its messages.
        model: a model, or a layer that is recurrent itself.
        layer: a layer, which is returned as it is; a name; or None where there is only one.

    Returns:
        A `keras.layers.RNN` or a `keras.layers.Bidirectional`.

    Raises:
        ValueError: there is none, or there are several.
    """
    if isinstance(layer, keras.layers.Layer):
        return layer
    found = list(recurrent_layers([model]))
    named = [candidate for candidate in found if layer in (None, candidate.name)]
    if len(named) != 1:
        raise ValueError(
            f"{caller} expected one recurrent layer{f' named {layer!r}' if layer else ''} in {model.name!r}, found "
            f"{[candidate.name for candidate in found]}: name one with layer=, or pass the layer itself if a wrapper "
            "hides it."
        )
    return named[0]


@contextlib.contextmanager
def replaced_loop(layer, inner_loop):
    """Lets `inner_loop` run in the place of the layer's own loop over time."""
    layer.inner_loop = inner_loop
    try:
        yield
    finally:
        del layer.inner_loop
