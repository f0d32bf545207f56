"""How the gradient of a loss flows back through time."""

from typing import NamedTuple

import keras
import numpy as np
from keras import ops, tree

from rnnkit import backend
from rnnkit.annotations import Tensors
from rnnkit.diagnostics.recurrent_layer import recurrent_layer, replaced_loop


class GradientFlow(NamedTuple):
    """What `gradient_flow` measured. If a layer has several states (h and C of an LSTM), h_t is all of them.

    Attributes:
        state_gradients: array `(batch, time)`, the norm of dL/dh_t of each sequence: the gradient of the loss with
            respect to the state after step t, through everything that comes later. Zero in padding on the right.
        jacobian_products: array `(batch, time)`, the largest singular value of dh_T/dh_t = J_T J_{T-1} ... J_{t+1} with
            J_t = dh_t/dh_{t-1}: how much of a small change at t can be left at the end T. It is 1 at t = T.
        spectral_radius: the largest absolute eigenvalue of the recurrent matrix W_hh; None if it is not square (an LSTM
            has one block per gate).
        factor_per_step: the factor by which dh_T/dh_t changes per step back, as the geometric mean over steps and
            sequences: below 1 the gradient vanishes, above 1 it explodes.
    """

    state_gradients: np.ndarray
    jacobian_products: np.ndarray
    spectral_radius: float | None
    factor_per_step: float


def gradient_flow(
    model: keras.Model, inputs: Tensors, targets: Tensors, layer: str | keras.layers.Layer | None = None
) -> GradientFlow:
    """Measures how the gradient of a model's loss flows back through the time steps of its recurrent layer.

    The model runs as in inference (no dropout), one time step after another, and masks are respected; nothing in the
    model changes. This takes memory for `batch * time * states**2` numbers: a few sequences are enough.

    Args:
        model: a compiled Keras model with a recurrent layer: `keras.layers.RNN` or a subclass, alone or inside
            `LearnedInitialState`. Pass a layer inside another wrapper (`Bidirectional`) as `layer`.
        inputs: array or list of arrays, the inputs of `model`, batch first.
        targets: array or list of arrays, the targets that `model.compute_loss` takes.
        layer: the recurrent layer or its name, if the model has several or hides it. Defaults to `None`, the only one.

    Returns:
        A `GradientFlow`.

    Raises:
        ValueError: the model is not compiled, has no such layer or several, or the output of its cell does not follow
            from its states; the layer is stateful; `inputs` or `targets` contain NaN.

    Example:

    >>> import keras, numpy as np, rnnkit.diagnostics, rnnkit.layers
    >>> model = keras.Sequential([rnnkit.layers.Elman(8), keras.layers.Dense(1)])
    >>> model.compile(loss="mse")
    >>> flow = rnnkit.diagnostics.gradient_flow(model, np.ones((2, 10, 3), "float32"), np.ones((2, 1), "float32"))
    >>> flow.state_gradients.shape, round(flow.spectral_radius, 3)
    ((2, 10), 1.0)

    References:
        Bengio, Simard and Frasconi, "Learning long-term dependencies with gradient descent is difficult", 1994;
        Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", 2013.
    """
    _check(model, inputs, targets)
    if not model.built:
        model(inputs)
    recorder = _Recorder(_recurrent_layer(model, layer))

    def loss(pushes=None):
        with recorder.recording(pushes):
            predictions = model(inputs, training=False)
        return model.compute_loss(x=inputs, y=targets, y_pred=predictions, training=False)

    loss()  # a first run without pushes: it records the states
    x, before, mask = recorder.x, recorder.before, recorder.mask
    (gradients,) = backend.gradient(loss, [ops.zeros_like(before)])
    products = _jacobian_products(recorder, x, before, mask)
    with np.errstate(divide="ignore"):
        logs = np.log(products[0]) / np.maximum(mask[1:].sum(axis=0), 1)
    logs = logs[mask[1:].any(axis=0)]  # a row with fewer than two steps says nothing
    order = slice(None, None, -1 if recorder.layer.go_backwards else 1)
    return GradientFlow(
        state_gradients=np.linalg.norm(_float64(gradients), axis=-1).T[:, order],
        jacobian_products=products.T[:, order],
        spectral_radius=_spectral_radius(recorder.layer.cell),
        factor_per_step=float(np.exp(logs.mean())) if len(logs) else 1.0,
    )


class _Recorder:
    """Runs a recurrent layer step by step instead of its own loop, and keeps what each step saw.

    A push is a small change added to the state after a step: the gradient with respect to it, at zero, is dL/dh_t.
    """

    def __init__(self, layer):
        self.layer = layer
        self.readout = getattr(layer.cell, "readout", lambda states: states[0])
        self.pushes = None

    def recording(self, pushes):
        self.pushes = pushes
        return replaced_loop(self.layer, self.inner_loop)

    def inner_loop(self, sequences, initial_state, mask, training=False):
        steps = range(sequences.shape[1])
        states, output, outputs, before = list(initial_state), 0.0, [], []
        for t in reversed(steps) if self.layer.go_backwards else steps:
            before.append(ops.concatenate(states, axis=-1))
            step_output, new_states = self.layer.cell(sequences[:, t], states, training=False)
            if self.pushes is None and not np.allclose(_float64(step_output), _float64(self.readout(new_states)), 1e-3):
                raise ValueError(
                    f"The output of {type(self.layer.cell).__name__} is not its first state, and it has no "
                    "readout(states) that computes the output from the states: gradient_flow cannot measure dL/dh_t. "
                    "Implement readout, see rnnkit.layers.RecurrentCell."
                )
            unmasked = True if mask is None else ops.cast(mask[:, t, None], "bool")
            states = [ops.where(unmasked, new, old) for new, old in zip(new_states, states, strict=True)]
            if self.pushes is not None:
                states = self.split(ops.concatenate(states, axis=-1) + self.pushes[len(outputs)])
            output = ops.where(unmasked, self.readout(states), output)
            outputs.append(ops.where(unmasked, output, 0.0) if self.layer.zero_output_for_mask else output)
        if self.pushes is None:
            x = ops.flip(sequences, axis=1) if self.layer.go_backwards else sequences
            self.x, self.before = ops.swapaxes(x, 0, 1), ops.stack(before)
            mask = np.ones(sequences.shape[:2]) if mask is None else ops.convert_to_numpy(mask)
            self.mask = mask.astype(bool).T[:: -1 if self.layer.go_backwards else 1]
        return outputs[-1], ops.stack(outputs, axis=1), states

    def split(self, states):
        """The states, separated again."""
        ends = np.cumsum(self.layer.state_size).tolist()
        return [states[:, end - size : end] for end, size in zip(ends, self.layer.state_size, strict=True)]


def _jacobian_products(recorder, x, before, mask):
    """The largest singular value of dh_T/dh_t, `(time, batch)`."""
    steps, batch, size = before.shape
    rows = ops.repeat(ops.reshape(before, (steps * batch, size)), size, axis=0)
    x_rows = ops.repeat(ops.reshape(x, (steps * batch, -1)), size, axis=0)
    unit = ops.tile(ops.eye(size, dtype=before.dtype), (steps * batch, 1))

    def selected(states):  # row k of a block selects the gradient of the k-th number of the new state
        _, new_states = recorder.layer.cell(x_rows, recorder.split(states), training=False)
        return ops.sum(unit * ops.concatenate(new_states, axis=-1))

    (jacobians,) = backend.gradient(selected, [rows])
    jacobians = _float64(jacobians).reshape(steps, batch, size, size)
    jacobians[~mask] = np.eye(size)
    product, norms = np.broadcast_to(np.eye(size), (batch, size, size)), np.ones((steps, batch))
    for t in reversed(range(steps - 1)):
        product = product @ jacobians[t + 1]
        norms[t] = np.linalg.norm(product, ord=2, axis=(-2, -1))
    return norms


def _spectral_radius(cell):
    kernel = getattr(cell, "recurrent_kernel", None)
    if kernel is None or kernel.shape[0] != kernel.shape[1]:
        return None
    return float(np.abs(np.linalg.eigvals(_float64(kernel))).max())


def _recurrent_layer(model, layer):
    layer = recurrent_layer("gradient_flow", model, layer)
    if not isinstance(layer, keras.layers.RNN) or not all(isinstance(size, int) for size in layer.state_size):
        raise ValueError(
            f"gradient_flow expected a keras.layers.RNN with one cell, received {layer!r}. If it is a Bidirectional, "
            "pass one direction: layer.forward_layer or layer.backward_layer."
        )
    if layer.stateful:
        raise ValueError(f"Layer {layer.name!r} is stateful: measuring it would change its states. Use stateful=False.")
    return layer


def _check(model, inputs, targets):
    if not model.compiled:
        raise ValueError(f"gradient_flow needs the loss of model {model.name!r}: call model.compile(loss=...) first.")
    for name, array in (("inputs", inputs), ("targets", targets)):
        if any(np.isnan(_float64(leaf)).any() for leaf in tree.flatten(array)):
            raise ValueError(f"gradient_flow expected numbers, but {name} contain NaN: fill in or drop missing values.")


def _float64(tensor):
    return ops.convert_to_numpy(tensor).astype("float64")
