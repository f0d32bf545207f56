"""What is in a module or a state_dict of PyTorch: which network it is, and its weights as arrays."""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

GATES = {"LSTM": 4, "GRU": 3, "RNN_TANH": 1, "RNN_RELU": 1}
_DTYPES = ("float64", "float32", "float16", "bfloat16")
_NAME = re.compile(
    r"(?P<prefix>(?:.*\.)?)(?P<name>(?:weight|bias)_(?:ih|hh|hr)(?:_l\d+(?:_reverse)?)?)(?P<rest>[._].*)?"
)


@dataclass(frozen=True)
class TorchWeights:
    """The weights of a recurrent module of PyTorch.

    Attributes:
        mode: `"LSTM"`, `"GRU"`, `"RNN_TANH"` or `"RNN_RELU"`, as `torch.nn.RNNBase.mode`.
        is_cell: whether it is a cell.
        arrays: the weights by the names that they have in a module.
        dtype: the name of their dtype; bfloat16 comes in arrays of float32.
        dropout: the rate of dropout between layers.
    """

    mode: str
    is_cell: bool
    arrays: dict[str, np.ndarray]
    dtype: str
    dropout: float = 0.0

    @property
    def units(self) -> int:
        return self.arrays["weight_hh" if self.is_cell else "weight_hh_l0"].shape[1]

    @property
    def suffixes(self) -> list[list[str]]:
        """For each layer, what is at the end of the names of its weights, forward and backward."""
        if self.is_cell:
            return [[""]]
        count = sum(re.fullmatch(r"weight_ih_l\d+", name) is not None for name in self.arrays)
        ends = ("", "_reverse") if "weight_ih_l0_reverse" in self.arrays else ("",)
        return [[f"_l{index}{end}" for end in ends] for index in range(count)]

    @property
    def has_bias(self) -> bool:
        return any(name.startswith("bias") for name in self.arrays)


def weights_of(source: Any, mode: str | None, prefix: str | None) -> TorchWeights:
    """Reads a module or a state_dict; a `ValueError` says what is wrong with it."""
    if isinstance(source, Mapping):
        found = _of_mapping(source, mode, prefix)
    else:
        if mode is not None or prefix is not None:
            raise ValueError(
                f"from_torch expected a state_dict with mode and prefix, received a {type(source).__name__}: leave "
                "both out, a module says what it is."
            )
        found = _of_module(source)
    if any(name.startswith("weight_hr") for name in found.arrays):
        size = next(array.shape[0] for name, array in found.arrays.items() if name.startswith("weight_hr"))
        raise ValueError(
            f"from_torch expected an LSTM without a projection, received one with proj_size={size} (weight_hr): in "
            "rnnkit's LSTM the next step reads h_t, and in that one W_hr h_t, of another size than C_t. No weights of "
            "an LSTM do the same; write a RecurrentCell whose step ends with that product."
        )
    _check_shapes(found)
    return found


def _of_module(module):
    torch = sys.modules.get("torch")  # if you have a module, you have imported it
    kinds = () if torch is None else (torch.nn.LSTM, torch.nn.GRU, torch.nn.RNN)
    cells = () if torch is None else (torch.nn.LSTMCell, torch.nn.GRUCell, torch.nn.RNNCell)
    kind = next((kind for kind in (*kinds, *cells) if isinstance(module, kind)), None)
    if kind is None:
        quantized = "quantized" in type(module).__module__
        hint = " Convert the module that was quantized: its weights are still there." if quantized else ""
        raise ValueError(
            "from_torch expected a torch.nn.LSTM, GRU, RNN, LSTMCell, GRUCell, RNNCell, or the state_dict of one, "
            f"received {module!r}.{hint}"
        )
    if type(module).forward is not kind.forward:
        raise ValueError(
            f"from_torch expected the forward of torch.nn.{kind.__name__}, received a {type(module).__name__}, which "
            "has its own: what it computes is not known."
        )
    if any(tensor.is_meta for tensor in module.state_dict().values()):
        raise ValueError(f"from_torch expected a module with weights, received {module!r} on the device 'meta'.")
    tensors = _effective_tensors(torch, module, _names(module, is_cell=kind in cells))
    arrays, dtype = _arrays(tensors)
    if kind in cells:
        nonlinearity = getattr(module, "nonlinearity", None)
        mode = f"RNN_{nonlinearity.upper()}" if nonlinearity else kind.__name__.removesuffix("Cell")
        return TorchWeights(mode, True, arrays, dtype)
    if module.dropout and module.bidirectional and module.num_layers > 1:
        raise ValueError(
            "from_torch expected a module without dropout, received a bidirectional one with several layers and "
            f"dropout={module.dropout}: PyTorch drops the same inputs in both directions, rnnkit's Bidirectional does "
            "not. Set module.dropout = 0 first."
        )
    return TorchWeights(module.mode, False, arrays, dtype, module.dropout)


def _names(module, is_cell):
    kinds = ["weight_ih", "weight_hh"] + (["bias_ih", "bias_hh"] if module.bias else [])
    if is_cell:
        return kinds
    kinds += ["weight_hr"] if module.proj_size else []
    ends = ("", "_reverse") if module.bidirectional else ("",)
    return [f"{kind}_l{index}{end}" for index in range(module.num_layers) for end in ends for kind in kinds]


def _effective_tensors(torch, module, names):
    """The weights that the module computes with. Where they are pruned or normalized, a call brings them up to date."""
    plain = dict(module.named_parameters(recurse=False))
    training = module.training
    module.eval()  # in which spectral norms stay as they are
    try:
        with torch.no_grad():
            if not set(names) <= set(plain):
                parameter = next(module.parameters())
                shape = (1, 1, module.input_size) if hasattr(module, "mode") else (1, module.input_size)
                module(torch.zeros(shape, dtype=parameter.dtype, device=parameter.device))
            return {name: getattr(module, name) for name in names}
    finally:
        module.train(training)


def _of_mapping(state, mode, prefix):
    prefix = prefix if not prefix or prefix.endswith(".") else f"{prefix}."
    found = {}
    for key, value in state.items():
        match = _NAME.fullmatch(key)
        if match is None or (prefix is not None and not key.startswith(prefix)):
            continue
        if match["rest"]:
            raise ValueError(
                f"from_torch expected a state_dict of plain weights, received {key!r}, part of a weight that is pruned "
                "or normalized: load the state_dict into its module, and convert that."
            )
        if prefix is None or match["prefix"] == prefix:
            found.setdefault(match["prefix"], {})[match["name"]] = value
    if len(found) != 1:
        what = f"those of {len(found)}: say which one with prefix={sorted(found)}" if found else f"{list(state)}"
        raise ValueError(
            f"from_torch expected a state_dict with the weights of one recurrent module (weight_ih_l0, weight_hh_l0, "
            f"... or weight_ih, weight_hh of a cell){f' below {prefix!r}' if prefix else ''}, received {what}."
        )
    (tensors,) = found.values()
    if any(getattr(tensor, "is_meta", False) for tensor in tensors.values()):
        raise ValueError("from_torch expected a state_dict with weights, received one on the device 'meta'.")
    arrays, dtype = _arrays(tensors)
    return TorchWeights(_mode(arrays, mode), "weight_hh" in arrays, arrays, dtype)


def _mode(arrays, mode):
    """What a state_dict is, by the number of its gates."""
    if mode is not None and mode not in GATES:
        raise ValueError(f"from_torch expected mode to be in {tuple(GATES)}, received {mode!r}.")
    weight = next((array for name, array in arrays.items() if name.startswith("weight_hh")), np.zeros((0, 0)))
    projected = [array for name, array in arrays.items() if name.startswith("weight_hr")]
    units = projected[0].shape[1] if projected else weight.shape[-1]
    fitting = [one for one, gates in GATES.items() if units and weight.shape[0] == gates * units]
    if not fitting or mode not in (None, *fitting):
        raise ValueError(
            f"from_torch expected weight_hh of shape (gates * units, units), with gates of {GATES}, received "
            f"{weight.shape}{f' for mode={mode!r}' if mode else ''}."
        )
    if mode is None and len(fitting) > 1:
        raise ValueError(
            "from_torch received the state_dict of a torch.nn.RNN, which does not hold its nonlinearity: give "
            f"mode={' or mode='.join(map(repr, fitting))}."
        )
    return mode or fitting[0]


def _arrays(tensors):
    dtypes = {str(tensor.dtype).removeprefix("torch.") for tensor in tensors.values()}
    if len(dtypes) != 1 or not dtypes <= set(_DTYPES):
        raise ValueError(f"from_torch expected weights of one dtype of {_DTYPES}, received {sorted(dtypes)}.")
    (dtype,) = dtypes
    return {name: _array(tensor, dtype) for name, tensor in tensors.items()}, dtype


def _array(tensor, dtype):
    if hasattr(tensor, "detach"):
        tensor = tensor.detach().cpu()
        tensor = (tensor.float() if dtype == "bfloat16" else tensor).numpy()
    return np.array(tensor, "float32" if dtype == "bfloat16" else dtype)


def _check_shapes(found):
    """Refuses what a module could not have loaded."""
    expected, gates = {}, GATES[found.mode] * found.units
    widths = len(found.suffixes[0]) * found.units if found.suffixes else 0
    for index, suffixes in enumerate(found.suffixes):
        for suffix in suffixes:
            first = found.arrays.get(f"weight_ih{suffix}")
            expected[f"weight_ih{suffix}"] = (gates, widths if index else (None if first is None else first.shape[1]))
            expected[f"weight_hh{suffix}"] = (gates, found.units)
            if found.has_bias:
                expected |= {f"bias_ih{suffix}": (gates,), f"bias_hh{suffix}": (gates,)}
    received = {name: array.shape for name, array in found.arrays.items()}
    if received != expected:
        raise ValueError(f"from_torch expected the weights {expected} of a {found.mode}, received {received}.")
