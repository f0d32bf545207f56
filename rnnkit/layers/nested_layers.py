"""What layers have in common that keep states."""

import keras
import numpy as np
from keras import ops, tree


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


def recurrent_layers(layers):
    """The recurrent layers among `layers`, and inside of models, stacks and wrappers there; lowest first."""
    for layer in layers:
        if isinstance(layer, keras.layers.RNN | keras.layers.Bidirectional):
            yield layer
        elif isinstance(layer, keras.layers.Wrapper):
            yield from recurrent_layers([layer.layer])
        elif isinstance(getattr(layer, "recurrent", None), keras.layers.RNN):  # a Decoder's
            yield layer.recurrent
        elif isinstance(getattr(layer, "layers", None), list):
            yield from recurrent_layers(layer.layers)


def split_states(layer, initial_state, layers):
    """A list of states, flat or nested, as one list for each of `layers`, nested as that layer wants them."""
    states, sizes = tree.flatten(initial_state), [state_size_of(inner) for inner in layers]
    counts = [len(tree.flatten(size)) for size in sizes]
    if len(states) != sum(counts):
        raise ValueError(
            f"Layer {layer.name!r} expected {sum(counts)} initial states of sizes {tree.flatten(sizes)}, "
            f"received {len(states)}."
        )
    split = [[states.pop(0) for _ in range(count)] for count in counts]
    return [tree.pack_sequence_as(size, part) for size, part in zip(sizes, split, strict=True)]


def reset_state_of(layer, rows):
    """Sets the states of a layer of rnnkit or Keras to zero: all, or only some rows."""
    if isinstance(layer, keras.layers.RNN):
        reset_rows(layer, rows)
    elif isinstance(layer, keras.layers.Bidirectional):
        reset_state_of(layer.forward_layer, rows)
        reset_state_of(layer.backward_layer, rows)
    elif isinstance(layer, keras.layers.Wrapper):
        reset_state_of(layer.layer, rows)
    else:
        layer.reset_state(rows)


def backward_copy(config):
    """The configuration of a layer inside of the backward layer of a `Bidirectional`, under a name of its own.

    On PyTorch, Keras keeps the variables of a loaded model by their names: of two with the same one it forgets one.
    """
    name = config["config"]["name"]
    return {**config, "config": {**config["config"], "name": f"backward_{name.removeprefix('backward_')}"}}


def plain(sizes):
    """Nested sizes as plain lists: JAX takes no lists that Keras tracks."""
    return [plain(size) if isinstance(size, list | tuple) else size for size in sizes]


def reset_rows(layer, rows):
    """Sets the states of a `keras.layers.RNN` to zero: all, or only some rows; see `Recurrent.reset_state`."""
    states = tree.flatten(layer.states) if layer.states is not None else []
    if rows is None:
        for state in states:
            state.assign(ops.zeros_like(state.value))
        return
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
        state.assign(ops.where(kept, state.value, ops.zeros_like(state.value)))


class StateVariables(keras.layers.Layer):
    """Holds the states of a stateful layer among the variables of the model, but not among its weights.

    Without it, compiled functions on JAX would start every batch at the states of the first: they hand only those
    variables on that the model knows.
    """

    def __init__(self, variables, **kwargs):
        super().__init__(trainable=False, **kwargs)
        self.held = variables
        self.built = True

    weights = property(lambda self: [])

    def save_own_variables(self, store):
        """States are not saved."""

    def load_own_variables(self, store):
        """States are not loaded."""
