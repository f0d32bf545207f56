"""Truncated backpropagation through time: training on streams that are too long to unroll."""

import keras
import numpy as np
from keras import tree

from rnnkit.annotations import Tensor, Tensors
from rnnkit.arguments import check_positive_integer
from rnnkit.layers.nested_layers import recurrent_layers


def truncated_bptt(
    model: keras.Model,
    inputs: Tensors,
    targets: Tensor,
    k1: int,
    k2: int | None = None,
    sample_weight: Tensor | None = None,
) -> list[float]:
    """Trains a stateful model on a long stream by truncated backpropagation through time.

    Every `k1` time steps, the weights are updated once for the loss of these k1 steps. Gradients flow back through `k2`
    steps: these and the k2 - k1 steps before them. The state at the beginning is treated as a constant. With `k1 = k2`
    the stream is cut into chunks that pass on their states; with `k2 > k1` the windows overlap, which takes
    (k1 + k2) / k1 times as many steps. If k2 covers the stream, the gradient is that of full backpropagation.

    The model starts from its current states (`reset_state()` of its layers sets them to zero) and ends with those after
    the last step: a stream may be split over several calls.

    Args:
        model: a compiled model whose recurrent layers are all `stateful`, with one output for every time step.
        inputs: array `(batch, time, ...)` with one stream per row, or a nested structure of such arrays.
        targets: array `(batch, time, ...)`.
        k1: number of time steps between two updates.
        k2: number of time steps that gradients flow back, at least `k1`. Defaults to `k1`.
        sample_weight: array `(batch, time)`, the weight of each step's loss. Defaults to `None`, equal weights.

    Returns:
        List of floats, the loss of the model before each of its ceil(time / k1) updates, as the mean over the steps of
        a chunk.

    Raises:
        ValueError: the model is not compiled or not built, has several outputs, or a recurrent layer that is not
            stateful, or none at all; k1 or k2 is not a positive integer, or k2 is less than k1; the arrays do not have
            the same batch and time axes.

    Example:

    >>> import keras, numpy as np, rnnkit.layers, rnnkit.training
    >>> lstm = rnnkit.layers.LSTM(4, return_sequences=True, stateful=True)
    >>> model = keras.Sequential([keras.Input(batch_shape=(2, None, 3)), lstm, keras.layers.Dense(1)])
    >>> model.compile("adam", loss="mse")
    >>> stream, targets = np.zeros((2, 1000, 3), "float32"), np.zeros((2, 1000, 1), "float32")
    >>> len(rnnkit.training.truncated_bptt(model, stream, targets, k1=100))
    10

    References:
        Williams and Peng, "An efficient gradient-based algorithm for on-line training of recurrent network
        trajectories", 1990; Sutskever, "Training recurrent neural networks", 2013, section 2.8.6.
    """
    k2 = k1 if k2 is None else k2
    layers = list(recurrent_layers([model]))
    _check_model(model, layers)
    _check_steps(k1, k2)
    targets = np.asarray(targets)
    weights = np.ones(targets.shape[:2], "float32") if sample_weight is None else np.asarray(sample_weight, "float32")
    _check_arrays(model, inputs, targets, weights)
    time = targets.shape[1]
    variables = tree.flatten([layer.states for layer in layers])
    known = {id(variable) for variable in model.variables}
    if keras.config.backend() == "jax" and any(id(variable) not in known for variable in variables):
        raise ValueError("On JAX, Keras's own stateful layers lose their states between batches: use rnnkit.layers.")
    losses, reached = [], 0  # the states of the model are those before step `reached`
    for begin in range(0, time, k1):
        end = min(begin + k1, time)
        window = max(0, begin - (k2 - k1))
        if reached < window:
            model.predict_on_batch(_steps(inputs, reached, window))
        goes_back = k2 > k1 and end < time  # the next window begins before this end
        before = [keras.ops.copy(variable) for variable in variables] if goes_back else []
        chunk_weights = np.zeros((len(targets), end - window), "float32")
        chunk_weights[:, begin - window :] = weights[:, begin:end] * (end - window) / (end - begin)
        model.reset_metrics()  # without this, the loss would be the mean over all updates
        chunk = _steps(inputs, window, end), targets[:, window:end], chunk_weights
        losses.append(float(model.train_on_batch(*chunk, return_dict=True)["loss"]))
        reached = end
        if goes_back:
            for variable, value in zip(variables, before, strict=True):
                variable.assign(value)
            reached = window
    return losses


def _steps(inputs, begin, end):
    return tree.map_structure(lambda array: array[:, begin:end], inputs)


def _check_steps(k1, k2):
    for name, value in (("k1", k1), ("k2", k2)):
        check_positive_integer("truncated_bptt", name, value)
    if k2 < k1:
        raise ValueError(
            f"truncated_bptt expected k2 >= k1, received k1={k1} and k2={k2}: some losses would be left out."
        )


def _check_model(model, layers):
    if not model.compiled:
        raise ValueError(f"truncated_bptt needs a loss and an optimizer: call {model.name!r}.compile(...) first.")
    for layer in layers:
        if isinstance(layer, keras.layers.Bidirectional) or layer.go_backwards or not layer.stateful:
            raise ValueError(
                f"truncated_bptt passes states on from chunk to chunk, forward in time: layer {layer.name!r} needs "
                "stateful=True and must run in the order of the stream."
            )
        if not layer.return_sequences:
            raise ValueError(
                f"truncated_bptt needs an output for every time step: layer {layer.name!r} needs return_sequences=True."
            )
    if not layers:
        raise ValueError(f"truncated_bptt found no recurrent layer in model {model.name!r}.")
    if not model.built:
        raise ValueError(
            f"truncated_bptt needs the states of model {model.name!r}, which has none yet: start it with "
            "keras.Input(batch_shape=(batch, None, features)), or call it once."
        )
    if len(model.outputs if hasattr(model, "outputs") else [None]) != 1:
        raise ValueError(
            f"truncated_bptt expected a model with one output, but {model.name!r} has {len(model.outputs)}: "
            "train on one of them, or concatenate them."
        )


def _check_arrays(model, inputs, targets, weights):
    for array in (*tree.flatten(inputs), targets, weights):
        if not hasattr(array, "shape"):
            raise ValueError(
                f"truncated_bptt expected arrays as inputs, received lists of {type(array).__name__}: np.array(inputs)."
            )
        if len(targets.shape) < 2 or tuple(array.shape[:2]) != targets.shape[:2]:
            raise ValueError(
                "truncated_bptt expected inputs and targets with the same axes (batch, time, ...), received shapes "
                f"{[tuple(a.shape) for a in tree.flatten(inputs)]} and {targets.shape}, and sample weights "
                f"{weights.shape}."
            )
