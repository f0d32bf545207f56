"""Conversion of layers between rnnkit and PyTorch."""

from typing import Any

import keras
import numpy as np
from keras import activations

from rnnkit.convert.building import check_built, directions_of
from rnnkit.convert.conventions import with_convention
from rnnkit.layers import GRU, LSTM, Bidirectional, Elman, Stacked


def from_torch(module: Any) -> keras.layers.Layer:
    """Makes the rnnkit layer that computes what a PyTorch module computes.

    Args:
        module: `torch.nn.LSTM`, `GRU` or `RNN`, with any number of layers, in one or both directions. Dropout between
            its layers becomes dropout on the inputs of the upper layers, with a fresh mask at each step.

    Returns:
        `LSTM`, `GRU` (in convention "torch") or `Elman`; `Bidirectional` for both directions; `Stacked` for several
        layers. It takes the batch first, whatever the module takes, and like the module it returns the outputs of all
        steps and the states.

    Raises:
        ValueError: rnnkit has no such layer.

    Example (with PyTorch installed):

        lstm = torch.nn.LSTM(3, 4, num_layers=2, bidirectional=True)
        stack = rnnkit.convert.from_torch(lstm)
        outputs, h_1, C_1, *rest = stack(sequences)  # forward h and C, then backward, then those of the upper layer
    """
    kinds = {"LSTM": LSTM, "GRU": GRU, "RNN_TANH": Elman, "RNN_RELU": Elman}
    if getattr(module, "mode", None) not in kinds or getattr(module, "proj_size", None):
        raise ValueError(f"from_torch expected a torch.nn.LSTM, GRU or RNN without proj_size, received {module!r}.")
    if module.dropout and module.bidirectional and module.num_layers > 1:
        raise ValueError(
            "from_torch expected a module without dropout, received a bidirectional one with several layers and "
            f"dropout={module.dropout}: PyTorch drops the same inputs in both directions, rnnkit's Bidirectional does "
            "not. Set module.dropout = 0 first."
        )
    tensors = {name: value.detach().cpu().numpy() for name, value in module.named_parameters()}
    layers = []
    for index in range(module.num_layers):
        options = {"use_bias": module.bias, "dtype": str(next(iter(tensors.values())).dtype)}
        if index > 0 and module.dropout:
            options |= {"dropout": module.dropout, "dropout_each_step": True}
        if module.mode == "GRU":
            options["convention"] = "torch"
        if module.mode == "RNN_RELU":
            options["activation"] = "relu"
        layer = kinds[module.mode](module.hidden_size, return_sequences=True, return_state=True, **options)
        layer = Bidirectional(layer) if module.bidirectional else layer
        layer.build((None, None, tensors[f"weight_ih_l{index}"].shape[1]))
        suffixes = ("", "_reverse") if module.bidirectional else ("",)
        layer.set_weights([w for suffix in suffixes for w in _from_torch(module, tensors, f"l{index}{suffix}")])
        layers.append(layer)
    if len(layers) == 1:
        return layers[0]
    stack = Stacked(layers, return_sequences=True, return_state=True)
    stack.build((None, None, module.input_size))
    return stack


def to_torch(layer: keras.layers.Layer) -> Any:
    """Makes the PyTorch module that computes what a layer of rnnkit computes.

    It needs PyTorch, but not as the backend of Keras.

    Args:
        layer: `LSTM`, `GRU` that resets after the product, `Elman` without `output_units`, `Bidirectional` with
            `merge_mode="concat"`, or a `Stacked` of equal layers; with weights.

    Returns:
        `torch.nn.LSTM`, `GRU` or `RNN`, with `batch_first=True`. The one bias of an LSTM or `Elman` becomes `bias_ih`,
        and `bias_hh` is zero.

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
    layers = list(layer.layers) if isinstance(layer, Stacked) else [layer]
    parts = [directions_of(one) for one in layers]
    first = parts[0][0]
    _check_torch(layer, layers, parts)
    kind = {LSTM: "LSTM", GRU: "GRU", Elman: "RNN"}[type(first)]
    options = {"nonlinearity": activations.serialize(first.activation)} if kind == "RNN" else {}
    module = getattr(torch.nn, kind)(
        first.cell.kernel.shape[0],
        first.units,
        num_layers=len(layers),
        bias=first.use_bias,
        batch_first=True,
        dropout=parts[-1][0].dropout if len(layers) > 1 else 0.0,
        bidirectional=len(parts[0]) == 2,
        dtype=getattr(torch, first.variable_dtype),
        **options,
    )
    state = {}
    for index, directions in enumerate(parts):
        for one, suffix in zip(directions, ("", "_reverse"), strict=False):
            for name, array in _to_torch(one).items():
                state[f"{name}_l{index}{suffix}"] = torch.from_numpy(np.array(array))
    module.load_state_dict(state)
    return module


def _from_torch(module, tensors, suffix):
    """The weights of one direction of one layer, in the form that rnnkit has."""
    weights = [tensors[f"weight_ih_{suffix}"].T, tensors[f"weight_hh_{suffix}"].T]
    if module.bias:
        biases = [tensors[f"bias_ih_{suffix}"], tensors[f"bias_hh_{suffix}"]]
        weights.append(np.stack(biases) if module.mode == "GRU" else biases[0] + biases[1])
    return weights


def _to_torch(layer):
    """The tensors of one direction of one layer, by their names in PyTorch."""
    layer = with_convention(layer, "torch") if isinstance(layer, GRU) else layer
    kernel, recurrent_kernel, *bias = layer.get_weights()
    tensors = {"weight_ih": kernel.T, "weight_hh": recurrent_kernel.T}
    if bias:
        two = bias[0] if isinstance(layer, GRU) else (bias[0], np.zeros_like(bias[0]))
        tensors |= {"bias_ih": two[0], "bias_hh": two[1]}
    return tensors


def _check_torch(layer, layers, parts):
    def refuse(reason):
        raise ValueError(f"to_torch cannot convert {layer.name!r}: {reason}.")

    flat = [one for directions in parts for one in directions]
    first = flat[0]
    if type(first) not in (LSTM, GRU, Elman):
        refuse(f"PyTorch has no {type(first).__name__}")
    if getattr(layer, "residual", False):
        refuse("PyTorch has no residuals between the layers")
    for one in layers:
        if getattr(one, "merge_mode", "concat") != "concat":
            refuse(f"PyTorch concatenates the two directions, but merge_mode is {one.merge_mode!r}")
    if getattr(layer, "go_backwards", False) or (len(parts[0]) == 1 and first.go_backwards):
        refuse("PyTorch has no layer that runs backwards only")
    for index, one in enumerate(flat):
        if (type(one), one.units, one.use_bias) != (type(first), first.units, first.use_bias) or len(
            {len(directions) for directions in parts}
        ) > 1:
            refuse("all layers of a module have one kind and size")
        names = [activations.serialize(one.activation)]
        names += [] if isinstance(one, Elman) else [activations.serialize(one.recurrent_activation)]
        if names not in ([["tanh"], ["relu"]] if isinstance(one, Elman) else [["tanh", "sigmoid"]]):
            refuse(f"PyTorch has other activations than {names}")
        if isinstance(one, Elman) and one.cell.output_units is not None:
            refuse("PyTorch has no output_kernel (output_units)")
        upper = index >= len(parts[0])
        fits = one.dropout == (flat[-1].dropout if upper else 0) and not one.recurrent_dropout
        if not fits or (one.dropout and (len(parts[0]) == 2 or not one.cell.dropout_each_step)):
            refuse("PyTorch drops only between layers, with a fresh mask at each step (dropout_each_step=True)")
