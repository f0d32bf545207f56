"""The switch that turns compiled loops and kernels off."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

_is_on = ContextVar("plain_loop", default=False)


@contextlib.contextmanager
def plain_loop() -> Iterator[None]:
    """Lets recurrent layers run in the plain loop of the backend's own operations.

    A recurrent layer chooses the fastest way to run: a loop that is compiled, or a kernel of the backend. All ways
    compute the same. In the plain loop, every operation of a step is one that the backend runs by itself, which is what
    a debugger, a profiler or a converter of graphs may need.

    What is traced within the block, by `tf.function`, `jax.jit` or the first batch of `fit`, stays as it was traced. To
    turn compiled loops off for one layer, set `layer.plain_loop = True` before it first runs; for a whole model on
    TensorFlow, `model.compile(jit_compile=False)` does it. `layer.explain()` says how a layer ran, and why.

    Returns:
        A context manager.

    Example:

    >>> import numpy as np, rnnkit.layers
    >>> layer = rnnkit.layers.GRU(8)
    >>> with rnnkit.layers.plain_loop():
    ...     outputs = layer(np.zeros((2, 5, 3), "float32"))
    >>> "plain_loop() asks for it" in layer.explain()
    True
    """
    token = _is_on.set(True)
    try:
        yield
    finally:
        _is_on.reset(token)


class PlainLoopOfAll:
    """The switch of a layer around others: it is theirs."""

    def switched(self) -> list:
        """The layers around which this one is."""
        raise NotImplementedError

    @property
    def plain_loop(self) -> bool:
        """Whether all layers inside run in the plain loop; see `rnnkit.layers.plain_loop`."""
        return all(getattr(layer, "plain_loop", False) for layer in self.switched())

    @plain_loop.setter
    def plain_loop(self, is_on: bool) -> None:
        for layer in self.switched():
            layer.plain_loop = is_on


def reason_of_the_switch(layer: object) -> str | None:
    """Why nothing but the plain loop may run, if the switch is on, for this layer or for all; None if it is off."""
    if getattr(layer, "plain_loop", False):
        return "plain_loop=True of the layer asks for it"
    return "plain_loop() asks for it" if _is_on.get() else None
