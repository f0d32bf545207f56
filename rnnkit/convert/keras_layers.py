"""Conversion of layers between rnnkit and Keras."""

from collections.abc import Sequence
from typing import Any

import keras
from keras import tree

from rnnkit.annotations import Config
from rnnkit.convert.building import layers_inside
from rnnkit.convert.conventions import weights_in
from rnnkit.convert.conversion import Conversion, arrays_of, is_graph
from rnnkit.layers import (
    GRU,
    LSTM,
    Bidirectional,
    ConvLSTM1D,
    ConvLSTM2D,
    Elman,
    ElmanCell,
    GRUCell,
    LSTMCell,
    Recurrent,
    Stacked,
)
from rnnkit.layers.state_shapes import state_specs


def from_keras(layer: keras.layers.Layer | Sequence[keras.layers.Layer]) -> keras.layers.Layer:
    """Makes the rnnkit layer or model that computes what one of Keras computes.

    Args:
        layer: `keras.layers.LSTM`, `GRU`, `SimpleRNN` or `RNN`, one of their cells, `StackedRNNCells`, `Bidirectional`
            or `TimeDistributed` around any of them; a functional or sequential model, in which all of these are
            converted wherever they are, and all other layers are copied; or a list of layers to be stacked, lowest
            first. The stack returns its states if all layers of the list do.

    Returns:
        `LSTM`, `GRU`, `Elman`, `Recurrent`, `Bidirectional`, `Stacked`, or a model, with the same names and
        configuration, and with the same weights and states if the layer has them. A model that was compiled is
        compiled in the same way; its optimizer starts anew. A layer of your own class that has recurrent layers
        inside keeps them.

    Raises:
        ValueError: rnnkit has no such layer, or the model is a subclass that makes its layers itself.

    Example:

    >>> import keras, rnnkit.convert
    >>> model = keras.Sequential([keras.Input((None, 3)), keras.layers.LSTM(4), keras.layers.Dense(2)])
    >>> ours = rnnkit.convert.from_keras(model)
    >>> type(ours.layers[0]).__module__, bool((ours.get_weights()[0] == model.get_weights()[0]).all())
    ('rnnkit.layers.lstm', True)
    """
    if isinstance(layer, list | tuple):
        return_state = all(one.return_state for one in layer)
        layers = [from_keras(one) for one in layer]
        return Stacked(layers, return_sequences=layer[-1].return_sequences, return_state=return_state)
    _check_known("from_keras", layer, _FROM_KERAS)
    return Conversion(_FROM_KERAS)(layer)


def to_keras(layer: keras.layers.Layer) -> keras.layers.Layer | list[keras.layers.Layer]:
    """Makes the Keras layer or model that computes what one of rnnkit computes.

    Args:
        layer: `LSTM`, `GRU` (in any convention), `Elman` without `output_units`, `Recurrent`, one of their cells,
            `Bidirectional` around one of them, `Stacked` without residuals and without `go_backwards`; or a functional
            or sequential model of these and of layers of Keras.

    Returns:
        `keras.layers.LSTM`, `GRU`, `SimpleRNN`, `RNN`, `Bidirectional`, or a model, with the same names, and with the
        same weights and states if the layer has them. For `Stacked` a list of layers; inside a model it becomes one
        `RNN` of `StackedRNNCells`, or a `Sequential` if there is a `Bidirectional` in the stack. A model that was
        compiled is compiled in the same way; its optimizer starts anew. A cell of your own, in `Recurrent`, is the
        cell of `keras.layers.RNN`.

    Raises:
        ValueError: Keras has no such layer, or the model is a subclass that makes its layers itself.

    Example:

    >>> import rnnkit.convert, rnnkit.layers
    >>> layer = rnnkit.layers.GRU(4, convention="chung")
    >>> layer.build((None, None, 3))
    >>> rnnkit.convert.to_keras(layer).reset_after
    False
    """
    if isinstance(layer, Stacked):
        _check_stack(layer)
        if layer.go_backwards:
            raise ValueError(
                f"Keras has no stack that runs backwards: reverse the inputs of {layer.name!r} yourself, and convert a "
                "stack with go_backwards=False."
            )
        return [to_keras(one) for one in layer.layers]
    _check_known("to_keras", layer, _TO_KERAS)
    return _ToKeras()(layer)


def is_of_keras(layer: Any) -> bool:
    """Whether `from_keras` makes another layer of this one."""
    return type(layer) in _EQUAL or any(type(one) in _EQUAL for one in layers_inside(layer))


_EQUAL: dict[type, type] = {
    keras.layers.LSTM: LSTM,
    keras.layers.GRU: GRU,
    keras.layers.SimpleRNN: Elman,
    keras.layers.RNN: Recurrent,
    keras.layers.Bidirectional: Bidirectional,
    keras.layers.ConvLSTM1D: ConvLSTM1D,
    keras.layers.ConvLSTM2D: ConvLSTM2D,
    keras.layers.LSTMCell: LSTMCell,
    keras.layers.GRUCell: GRUCell,
    keras.layers.SimpleRNNCell: ElmanCell,
}
# A layer around others may be of one package, and those inside it of the other.
_FROM_KERAS = {**_EQUAL, Recurrent: Recurrent, Bidirectional: Bidirectional}
_TO_KERAS = {ours: theirs for theirs, ours in _EQUAL.items()} | {
    keras.layers.RNN: keras.layers.RNN,
    keras.layers.Bidirectional: keras.layers.Bidirectional,
}


def _check_known(caller, layer, kinds):
    others = (keras.layers.Wrapper, keras.layers.StackedRNNCells, Stacked)
    if type(layer) in kinds or is_graph(layer) or isinstance(layer, others):
        return
    if isinstance(layer, keras.Model):
        raise ValueError(
            f"{caller} expected a functional or sequential model, received {layer!r}, whose layers are made by its own "
            "code: write that code with the other layers, and give the new model the weights of this one, "
            "new.set_weights(model.get_weights())."
        )
    names = [kind.__name__ for kind, other in kinds.items() if kind is not other]
    raise ValueError(f"{caller} expected one of {names}, a functional or sequential model, received {layer!r}.")


class _ToKeras(Conversion):
    """To Keras, which can express less."""

    def __init__(self) -> None:
        super().__init__(_TO_KERAS)
        self._stacks: list[keras.layers.Layer] = []

    def config(self, layer: keras.layers.Layer) -> Config:
        cell = getattr(layer, "cell", layer)
        if getattr(cell, "dropout_each_step", False):
            raise ValueError(f"Keras draws one mask for all steps: {layer.name!r} has dropout_each_step=True.")
        if getattr(cell, "output_units", None) is not None:
            raise ValueError(f"keras.layers.SimpleRNN has no output_kernel: {layer.name!r} has output_units.")
        if isinstance(layer, Elman) and layer.activity_regularizer is not None:
            raise ValueError(f"keras.layers.SimpleRNN ignores its activity_regularizer: {layer.name!r} has one.")
        config = layer.get_config()
        if isinstance(cell, GRUCell):
            config["reset_after"] = cell.reset_after
        ours = ("dropout_each_step", "convention", "output_units", "output_initializer", "use_cudnn")
        return {name: value for name, value in config.items() if name not in ours}

    def stack(self, stack: Stacked) -> keras.layers.Layer:
        """One `keras.layers.RNN`, which has the cells and the states of all layers."""
        _check_stack(stack)
        layers = stack.layers
        fits = all(type(one) in _TO_KERAS and hasattr(one, "cell") for one in layers)
        if not fits or len({one.stateful for one in layers}) > 1 or any(one.activity_regularizer for one in layers):
            raise ValueError(
                f"Keras has no layer for a stack of {[type(one).__name__ for one in layers]}, unless all are recurrent "
                "layers in one direction, without activity_regularizer, and all or none of them stateful: write the "
                f"layers of {stack.name!r} one by one into the model; to_keras({stack.name}) returns a list of them."
            )
        cells = [self.twin(one.cell) for one in layers]
        twin = keras.layers.RNN(
            cells if len(cells) > 1 else cells[0],
            return_sequences=stack.return_sequences,
            return_state=stack.return_state,
            go_backwards=stack.go_backwards,
            stateful=stack.stateful,
            unroll=all(one.unroll for one in layers),
            zero_output_for_mask=stack.zero_output_for_mask,
            name=stack.name,
            dtype=stack.dtype_policy,
            trainable=stack.trainable,
        )
        self._stacks.append(twin)
        return twin

    def stacked_cells(self, cell: keras.layers.StackedRNNCells) -> keras.layers.Layer:
        # Keras cannot run a stack of one cell.
        return super().stacked_cells(cell) if len(cell.cells) > 1 else self.twin(cell.cells[0])

    def copied(self, layer: keras.layers.Layer) -> keras.layers.Layer:
        for one in layers_inside(layer) if isinstance(layer, keras.layers.Layer) else ():
            if _is_ours(one):
                made = "" if one is layer else f", which is made by the code of {layer.name!r},"
                raise ValueError(f"Keras has no {type(one).__name__}: {one.name!r}{made} cannot be converted.")
        return super().copied(layer)

    def wrapper(self, layer: keras.layers.Wrapper) -> keras.layers.Layer:
        return self.copied(layer) if _is_ours(layer) else super().wrapper(layer)

    def weights(self, layer: keras.layers.Layer) -> list[Any]:
        replaced = {}
        for cell in layers_inside(layer):
            if type(cell) is GRUCell and cell.convention != "keras":
                pairs = zip(cell.weights, weights_in(cell, "keras"), strict=True)
                replaced |= {id(weight): array for weight, array in pairs}
        return arrays_of(layer, replaced)

    def call(self, layer: Any, *args: Any, **kwargs: Any) -> Any:
        if not any(layer is twin for twin in self._stacks):
            return super().call(layer, *args, **kwargs)
        sequences, states = args[0], kwargs.pop("initial_state", args[1] if len(args) > 1 else None)
        if states is None:
            return layer(sequences, **kwargs)
        states = tree.pack_sequence_as(state_specs(layer.cell), tree.flatten(states))
        return layer(sequences, initial_state=states, **kwargs)


def _is_ours(layer):
    return type(layer).__module__.startswith("rnnkit.")


def _check_stack(stack):
    if stack.residual:
        raise ValueError(f"Keras has no stack with residuals: {stack.name!r} cannot be converted.")
