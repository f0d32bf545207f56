"""Finds the recurrent layer in a model, and replaces its loop for a while."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras

from rnnkit.layers.nested_layers import recurrent_layers


def recurrent_layer(
    caller: str, model: keras.layers.Layer, layer: str | keras.layers.Layer | None = None
) -> keras.layers.Layer:
    """Finds the recurrent layer that is meant.

    Args:
        caller: name of the public function, for its error messages.
        model: a model, or a layer that is recurrent itself.
        layer: a layer, which is returned unchanged, or a name. Defaults to `None`, the only one.

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
def replaced_loop(layer: keras.layers.RNN, inner_loop: Callable[..., Any]) -> Iterator[None]:
    """Runs `inner_loop` instead of the layer's own loop over time."""
    layer.inner_loop = inner_loop
    try:
        yield
    finally:
        del layer.inner_loop
