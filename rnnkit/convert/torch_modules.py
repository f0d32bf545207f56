"""Conversion of layers between rnnkit and PyTorch."""

from typing import Any

import keras
import numpy as np
from keras import activations

from rnnkit.convert.building import check_built, layers_inside
from rnnkit.convert.conventions import weights_in
from rnnkit.convert.keras_layers import from_keras, is_of_keras
from rnnkit.convert.torch_weights import TorchWeights, weights_of
from rnnkit.layers import GRU, LSTM, Bidirectional, Elman, ElmanCell, GRUCell, LSTMCell, Stacked


def from_torch(module: Any, mode: str | None = None, prefix: str | None = None) -> keras.layers.Layer:
    """Makes the rnnkit layer that computes what a PyTorch module computes.

    The weights are those that the module computes with in `eval()`, also where they are pruned or normalized
    (`torch.nn.utils.prune`, `weight_norm`, `spectral_norm`, `parametrize`), on any device, in float64, float32, float16
    or bfloat16, which becomes the layer's dtype. Dropout between its layers becomes dropout on the inputs of the upper
    layers, with a fresh mask at each step.

    Args:
        module: `torch.nn.LSTM`, `GRU` or `RNN`, with any number of layers, in one or both directions; `LSTMCell`,
            `GRUCell` or `RNNCell`; or a state_dict with the weights of one of them, as tensors or arrays, and nothing
            else that is recurrent. A state_dict holds no dropout.
        mode: what a state_dict is: `"LSTM"`, `"GRU"`, `"RNN_TANH"` or `"RNN_RELU"`. Defaults to `None`: what the shapes
            say, which is enough for all but the nonlinearity of an `RNN`.
        prefix: what the names of the weights in a state_dict begin with, such as `"encoder.rnn"`. Defaults to `None`,
            any.

    Returns:
        `LSTM`, `GRU` (in convention "torch") or `Elman`; `Bidirectional` for both directions; `Stacked` for several
        layers. It takes the batch first, whatever the module takes, and like the module it returns the outputs of all
        steps and the states. For a cell, `LSTMCell`, `GRUCell` or `ElmanCell`.

    Raises:
        ValueError: rnnkit has no such layer, such as an LSTM with `proj_size`; the module is quantized, has its own
            `forward`, or is on the device "meta"; the state_dict is incomplete or holds several modules.

    Example (with PyTorch installed):

        lstm = torch.nn.LSTM(3, 4, num_layers=2, bidirectional=True)
        stack = rnnkit.convert.from_torch(lstm)
        outputs, h_1, C_1, *rest = stack(sequences)  # forward h and C, then backward, then those of the upper layer
    """
    found = weights_of(module, mode, prefix)
    options: dict[str, Any] = {"use_bias": found.has_bias, "dtype": found.dtype}
    if found.dtype in ("float16", "bfloat16"):
        options["recurrent_initializer"] = "glorot_uniform"  # orthogonal matrices need more digits on some backends
    if found.mode == "GRU":
        options["convention"] = "torch"
    if found.mode == "RNN_RELU":
        options["activation"] = "relu"
    if found.is_cell:
        cell = _CELLS[found.mode](found.units, **options)
        cell.build((None, found.arrays["weight_ih"].shape[1]))
        cell.set_weights(_from_torch(found, ""))
        return cell
    layers = []
    for suffixes in found.suffixes:
        dropout = {"dropout": found.dropout, "dropout_each_step": True} if layers and found.dropout else {}
        kind = _KINDS[found.mode]
        layer = kind(found.units, return_sequences=True, return_state=True, **options, **dropout)
        layer = Bidirectional(layer) if len(suffixes) == 2 else layer
        layer.build((None, None, found.arrays[f"weight_ih{suffixes[0]}"].shape[1]))
        layer.set_weights([weight for suffix in suffixes for weight in _from_torch(found, suffix)])
        layers.append(layer)
    if len(layers) == 1:
        return layers[0]
    stack = Stacked(layers, return_sequences=True, return_state=True)
    stack.build((None, None, found.arrays["weight_ih_l0"].shape[1]))
    return stack


def to_torch(layer: keras.layers.Layer) -> Any:
    """Makes the PyTorch module that computes what a layer computes.

    It needs PyTorch, but not as the backend of Keras. Regularizers and constraints stay behind, and masks: pack the
    sequences instead.

    Args:
        layer: a layer of rnnkit with weights: `LSTM`, `GRU` that resets after the product, `Elman` without
            `output_units`, `Recurrent` with one of their cells or a list of them, `Bidirectional` with
            `merge_mode="concat"`, a `Stacked` of equal layers, or a single cell; or the layer of Keras that
            `from_keras` makes one of these of.

    Returns:
        `torch.nn.LSTM`, `GRU` or `RNN`, with `batch_first=True`, or `LSTMCell`, `GRUCell` or `RNNCell`, in the dtype of
        the weights. The one bias of an LSTM or `Elman` becomes `bias_ih`, and `bias_hh` is zero.

    Raises:
        ImportError: PyTorch is not installed.
        ValueError: PyTorch has no such module; the layer has no weights yet.

    Example (with PyTorch installed):

        layer = rnnkit.layers.LSTM(4)
        layer.build((None, None, 3))
        module = rnnkit.convert.to_torch(layer)  # torch.nn.LSTM(3, 4, batch_first=True)
    """
    try:
        import torch
    except ImportError as error:
        raise ImportError('to_torch needs PyTorch: pip install "rnnkit[torch]".') from error
    check_built(layer)
    layer = from_keras(layer) if is_of_keras(layer) else layer
    parts = _cells_of(layer)
    _check_torch(layer, parts)
    first = parts[0][0]
    kind = {LSTMCell: "LSTM", GRUCell: "GRU", ElmanCell: "RNN"}[type(first)]
    options = {"bias": first.use_bias, "dtype": getattr(torch, first.variable_dtype)}
    if kind == "RNN":
        options["nonlinearity"] = activations.serialize(first.activation)
    if layer is first:
        module = getattr(torch.nn, f"{kind}Cell")(first.kernel.shape[0], first.units, **options)
        module.load_state_dict(_state(torch, first, ""))
        return module
    module = getattr(torch.nn, kind)(
        first.kernel.shape[0],
        first.units,
        num_layers=len(parts),
        batch_first=True,
        dropout=parts[-1][0].dropout if len(parts) > 1 else 0.0,
        bidirectional=len(parts[0]) == 2,
        **options,
    )
    state = {}
    for index, cells in enumerate(parts):
        for cell, end in zip(cells, ("", "_reverse"), strict=False):
            state |= _state(torch, cell, f"_l{index}{end}")
    module.load_state_dict(state)
    return module


_KINDS = {"LSTM": LSTM, "GRU": GRU, "RNN_TANH": Elman, "RNN_RELU": Elman}
_CELLS = {"LSTM": LSTMCell, "GRU": GRUCell, "RNN_TANH": ElmanCell, "RNN_RELU": ElmanCell}


def _from_torch(found: TorchWeights, suffix: str) -> list[np.ndarray]:
    """The weights of one direction of one layer, in the form that rnnkit has."""
    weights = [found.arrays[f"weight_ih{suffix}"].T, found.arrays[f"weight_hh{suffix}"].T]
    if found.has_bias:
        biases = [found.arrays[f"bias_ih{suffix}"], found.arrays[f"bias_hh{suffix}"]]
        weights.append(np.stack(biases) if found.mode == "GRU" else biases[0] + biases[1])
    return weights


def _state(torch, cell, suffix):
    """The tensors of one direction of one layer, by their names in PyTorch."""
    is_gru = isinstance(cell, GRUCell)
    kernel, recurrent_kernel, *bias = weights_in(cell, "torch") if is_gru else cell.get_weights()
    arrays = {"weight_ih": kernel.T, "weight_hh": recurrent_kernel.T}
    if bias:
        arrays["bias_ih"], arrays["bias_hh"] = bias[0] if is_gru else (bias[0], np.zeros_like(bias[0]))
    # NumPy has no bfloat16 that PyTorch knows; on the way, float32 holds the same numbers.
    dtype = "float32" if cell.variable_dtype == "bfloat16" else cell.variable_dtype
    return {f"{name}{suffix}": torch.from_numpy(np.array(array, dtype)) for name, array in arrays.items()}


def _cells_of(layer):
    """For each layer of the module, the cells of its directions; a `ValueError` if that is not what a layer has."""
    if isinstance(layer, Stacked):
        return [cells for one in layer.layers for cells in _cells_of(one)]
    if isinstance(layer, keras.layers.Bidirectional):
        forward, backward = _cells_of(layer.forward_layer), _cells_of(layer.backward_layer)
        if len(forward) == 1 and len(backward) == 1:
            return [forward[0] + backward[0]]
        raise _refusal(layer, "PyTorch runs each layer in both directions, not the whole stack")
    cell = getattr(layer, "cell", layer)
    cells = cell.cells if isinstance(cell, keras.layers.StackedRNNCells) else [cell]
    for one in cells:
        if type(one) not in (LSTMCell, GRUCell, ElmanCell):
            raise _refusal(layer, f"PyTorch has no {type(one).__name__}")
    return [[one] for one in cells]


def _check_torch(layer, parts):
    cells = [cell for directions in parts for cell in directions]
    first = cells[0]
    inside = list(layers_inside(layer))
    if getattr(layer, "residual", False) or any(getattr(one, "residual", False) for one in inside):
        raise _refusal(layer, "PyTorch has no residuals between the layers")
    for one in inside:
        if getattr(one, "merge_mode", "concat") != "concat":
            raise _refusal(layer, f"PyTorch concatenates the two directions, but merge_mode is {one.merge_mode!r}")
        if isinstance(one, keras.layers.RNN) and one.stateful:
            raise _refusal(layer, "PyTorch keeps no states between batches (stateful=True): it takes and returns them")
    backward = {id(one.backward_layer) for one in inside if isinstance(one, keras.layers.Bidirectional)}
    for one in inside:
        if getattr(one, "go_backwards", False) != (id(one) in backward):
            raise _refusal(layer, "PyTorch has no layer that runs backwards only")
    kinds = {(type(cell), cell.units, cell.use_bias, cell.variable_dtype) for cell in cells}
    for index, cell in enumerate(cells):
        if len(kinds) > 1 or len(set(map(len, parts))) > 1:
            raise _refusal(layer, "all layers of a module have one kind and size, and biases or none")
        is_elman = isinstance(cell, ElmanCell)
        names = [activations.serialize(cell.activation)]
        names += [] if is_elman else [activations.serialize(cell.recurrent_activation)]
        if names not in ([["tanh"], ["relu"]] if is_elman else [["tanh", "sigmoid"]]) or (
            cell.activation is not first.activation
        ):
            raise _refusal(layer, f"PyTorch has other activations than {names}, or not in one module")
        if is_elman and cell.output_units is not None:
            raise _refusal(layer, "PyTorch has no output_kernel (output_units)")
        upper = index >= len(parts[0])
        fits = cell.dropout == (cells[-1].dropout if upper else 0) and not cell.recurrent_dropout
        if not fits or (cell.dropout and (len(parts[0]) == 2 or not cell.dropout_each_step)):
            raise _refusal(
                layer, "PyTorch drops only between layers, with a fresh mask at each step (dropout_each_step=True)"
            )


def _refusal(layer, reason):
    return ValueError(f"to_torch cannot convert {layer.name!r}: {reason}.")
