"""The states of stateful layers, in the files of a model: only if you ask for them."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from typing import Any

import keras
from keras import tree

_wanted: ContextVar[bool | None] = ContextVar("states_in_files", default=None)


@contextlib.contextmanager
def states_in_files(wanted: bool = True) -> Iterator[None]:
    """Saves and loads the states of stateful layers together with the weights, within this context.

    A stateful model that reads a stream can stop in the middle of it: save the model in this context, load it in
    another process, and go on with the next batch. It works for `.keras` and `.weights.h5` files, for callbacks such as
    `keras.callbacks.BackupAndRestore` if `fit` is called in the context, and for all recurrent layers of rnnkit,
    including those inside `Bidirectional`, `Stacked` and other layers. A stateful layer of Keras's takes part if it is
    inside rnnkit's `Bidirectional` or `Stacked`; anywhere else, use rnnkit's layer, which has the same weights.

    | | saving | loading |
    |---|---|---|
    | outside the context | no states | the states in the file, if it has some |
    | `states_in_files()` | states | states; an error if the file has none |
    | `states_in_files(False)` | no states | no states, whatever is in the file |

    A layer that is not stateful has no states, and loads its weights alone.

    Args:
        wanted: whether files have states. Defaults to `True`.

    Yields:
        None.

    Raises:
        ValueError: on loading, the file has no states, or has states of another shape, such as those of another batch
            size.

    Example:

    >>> import os, tempfile, keras, numpy as np, rnnkit.layers
    >>> model = keras.Sequential([keras.Input(batch_shape=(1, None, 2)), rnnkit.layers.GRU(3, stateful=True)])
    >>> stream = np.ones((1, 6, 2), "float32")
    >>> _ = model.predict(stream[:, :4], verbose=0)
    >>> path = os.path.join(tempfile.mkdtemp(), "stream.keras")
    >>> with rnnkit.layers.states_in_files():
    ...     model.save(path)
    >>> loaded = keras.saving.load_model(path)
    >>> bool(np.allclose(loaded.predict(stream[:, 4:], verbose=0), model.predict(stream[:, 4:], verbose=0)))
    True
    """
    token = _wanted.set(bool(wanted))
    try:
        yield
    finally:
        _wanted.reset(token)


class StateVariables(keras.layers.Layer):
    """Holds the states of a stateful layer among the variables of the model, but not among its weights.

    Without it, compiled functions on JAX would start every batch at the states of the first: they hand only those
    variables on that the model knows.
    """

    def __init__(self, owner: keras.layers.RNN, **kwargs: Any):
        super().__init__(trainable=False, **kwargs)
        self.owner_name = owner.name
        self.held = tree.flatten(owner.states)
        self.built = True

    weights = property(lambda self: [])

    def quantize(self, mode: str | None = None, type_check: bool = True, config: Any = None) -> None:
        """States stay as they are."""

    def save_own_variables(self, store: Any) -> None:
        """Saves the states if `states_in_files` asks for it."""
        if _wanted.get():
            for index, state in enumerate(self.held):
                store[str(index)] = state

    def load_own_variables(self, store: Any) -> None:
        """Loads the states if the file has some, or if `states_in_files` asks for it."""
        if _wanted.get() is False or _wanted.get() is None and not store.keys():
            return
        saved = [store[key] for key in sorted(store.keys(), key=int)]
        expected, received = ([tuple(state.shape) for state in states] for states in (self.held, saved))
        if not saved:
            raise ValueError(
                f"Layer {self.owner_name!r} expected states {expected} in the file, received none: save the model in "
                "rnnkit.layers.states_in_files(), or load it outside of it."
            )
        if received != expected:
            raise ValueError(
                f"Layer {self.owner_name!r} expected states {expected}, batch first, received {received} from the "
                "file: load into a model of the same batch size and units, or the weights alone, in "
                "rnnkit.layers.states_in_files(False)."
            )
        for state, value in zip(self.held, saved, strict=True):
            state.assign(value)


def hold_states_of_keras(layers: list[keras.layers.Layer]) -> list[StateVariables]:
    """Returns the `StateVariables` of the stateful layers of Keras's among `layers`; rnnkit's have their own."""
    layers = [layer for layer in layers if isinstance(layer, keras.layers.RNN) and layer.stateful]
    return [StateVariables(layer, name="states") for layer in layers if not hasattr(layer, "state_variables")]
