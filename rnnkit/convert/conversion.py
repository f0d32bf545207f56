"""Conversion of layers, and of whole models, from one package to the other."""

import copy
from typing import Any

import keras
from keras import ops, tree

from rnnkit.annotations import Config
from rnnkit.convert.building import build_like, layers_inside, states_of
from rnnkit.layers import Stacked


class Conversion:
    """Makes the twin of a layer or model in the other package.

    Every layer is converted once: one that is used in several places of a model is still one layer afterward.

    Subclasses say which class becomes which (`kinds`), what of the configuration changes, and what cannot be expressed.

    Args:
        kinds: for each class of one package, that of the other.
    """

    def __init__(self, kinds: dict[type, type]):
        self.kinds = kinds
        self._twins: dict[int, tuple[Any, Any]] = {}  # by id, with the layer itself: an id is not used again

    def __call__(self, layer: keras.layers.Layer) -> keras.layers.Layer:
        """Returns the twin, with the weights and the states of the layer; which stays as it is."""
        twin = self.twin(layer)
        if layer.built:
            if not twin.built:
                build_like(twin, layer)
            twin.set_weights(self.weights(layer))
            for state, other in zip(states_of(layer), states_of(twin), strict=True):
                other.assign(state)
        return twin

    def twin(self, layer: Any) -> Any:
        """Returns the twin of a layer, a cell or an operation. Its weights are set when all twins are there."""
        if id(layer) not in self._twins:
            self._twins[id(layer)] = layer, self._made(layer)
        return self._twins[id(layer)][1]

    def config(self, layer: keras.layers.Layer) -> Config:
        """Returns the configuration for the twin of a layer or cell."""
        return layer.get_config()

    def stack(self, stack: Stacked) -> keras.layers.Layer:
        """Returns the twin of a `Stacked`."""
        return Stacked([self.twin(one) for one in stack.layers], **_without(stack.get_config(), "layers"))

    def stacked_cells(self, cell: keras.layers.StackedRNNCells) -> keras.layers.Layer:
        """Returns the twin of a cell made of cells."""
        return keras.layers.StackedRNNCells(
            [self.twin(one) for one in cell.cells], **_without(cell.get_config(), "cells")
        )

    def wrapper(self, layer: keras.layers.Wrapper) -> keras.layers.Layer:
        """Returns a wrapper like this one, around the twin of the layer inside."""
        return type(layer)(self.twin(layer.layer), **_without(layer.get_config(), "layer"))

    def copied(self, layer: keras.layers.Layer) -> keras.layers.Layer:
        """Returns a copy of a layer that the conversion leaves as it is."""
        if not isinstance(layer, keras.layers.Layer):  # an operation of keras.ops, or a cell that is no layer
            if not hasattr(layer, "get_config"):
                raise ValueError(f"A layer to convert has no get_config: {layer!r} cannot be copied. Give it one.")
            return type(layer).from_config(layer.get_config())
        with keras.saving.custom_object_scope({type(one).__name__: type(one) for one in layers_inside(layer)}):
            return copy.deepcopy(layer)

    def weights(self, layer: keras.layers.Layer) -> list[Any]:
        """Returns the arrays for the twin of a layer."""
        return layer.get_weights()

    def call(self, layer: Any, *args: Any, **kwargs: Any) -> Any:
        """Calls a twin as its layer is called in a functional model."""
        return layer(*args, **kwargs)

    def _made(self, layer):
        kind = self.kinds.get(type(layer))
        if is_graph(layer):
            return self._model(layer)
        if isinstance(layer, Stacked):
            return self.stack(layer)
        if kind is not None and issubclass(kind, keras.layers.Bidirectional):
            forward, backward = self.twin(layer.forward_layer), self.twin(layer.backward_layer)
            twin = kind(forward, backward_layer=backward, **_without(layer.get_config(), "layer", "backward_layer"))
            _pass_on_cudnn(layer.backward_layer, twin.backward_layer)  # Keras gives it the forward layer's
            return twin
        if type(layer) is keras.layers.StackedRNNCells:
            return self.stacked_cells(layer)
        if kind is not None:
            config = self.config(layer)
            if "cell" in config:
                return kind(self.twin(layer.cell), **_without(config, "cell"))
            twin = kind.from_config(config)
            _pass_on_cudnn(layer, twin)
            return twin
        if isinstance(layer, keras.layers.Wrapper):
            return self.wrapper(layer)
        return self.copied(layer)

    def _model(self, model):
        losses = [loss for loss in tree.flatten(getattr(model, "loss", None)) if callable(loss)]
        arguments = {"clone_function": self.twin}
        if not isinstance(model, keras.Sequential):
            arguments |= {"call_function": self.call, "input_tensors": _inputs_like(model)}
        with keras.saving.custom_object_scope(
            {getattr(loss, "__name__", type(loss).__name__): loss for loss in losses}
        ):
            twin = keras.models.clone_model(model, **arguments)
        if type(twin) is not type(model):
            raise ValueError(
                f"Model {model.name!r} is a {type(model).__name__}, which makes its layers itself: they cannot be "
                "replaced. Convert keras.Model(model.inputs, model.outputs) instead, or write such a class with the "
                "other layers, and give the new model model.get_weights()."
            )
        return twin


def is_graph(layer: Any) -> bool:
    """Whether a layer is a sequential or functional model: one whose layers are known from outside."""
    return isinstance(layer, keras.Sequential) or (isinstance(layer, keras.Model) and hasattr(layer, "operations"))


def arrays_of(layer: keras.layers.Layer, replaced: dict[int, Any]) -> list[Any]:
    """Returns the weights of a layer as arrays, some of them replaced, by the id of their variable."""
    return [replaced.get(id(weight), ops.convert_to_numpy(weight)) for weight in layer.weights]


def _inputs_like(model):
    """Inputs like those of a model; Keras, left to itself, gives them other names."""
    layers = [layer for layer in model.layers if isinstance(layer, keras.layers.InputLayer)]
    twins = {id(layer.output): type(layer).from_config(layer.get_config()).output for layer in layers}
    return tree.map_structure(lambda tensor: twins[id(tensor)], model.input)


def _without(config: Config, *names: str) -> Config:
    return {name: value for name, value in config.items() if name not in names}


def _pass_on_cudnn(layer, twin):
    if hasattr(layer, "use_cudnn") and hasattr(twin, "use_cudnn"):
        twin.use_cudnn = layer.use_cudnn
