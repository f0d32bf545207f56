"""Modules and state_dicts of PyTorch, there and back."""

import itertools
import warnings

import keras
import numpy as np
import pytest

from rnnkit import layers as R
from rnnkit.convert import from_torch, to_torch
from tests.layer_checks import to_numpy

torch = pytest.importorskip("torch")

FEATURES, UNITS, TIME = 3, 4, 5
X = np.random.default_rng(0).normal(size=(2, TIME, FEATURES)).astype("float32")
TOLERANCES = {"float64": 1e-12, "float32": 1e-6, "float16": 4e-3, "bfloat16": 3e-2}


def torch_outputs(module, x=X):
    """The outputs, the batch first, and the states in the order of rnnkit."""
    x = torch.from_numpy(x).to(next(module.parameters()).dtype)
    with torch.no_grad():
        outputs, states = module.eval()(x if module.batch_first else x.swapaxes(0, 1))
    states = torch.stack(states, axis=1).flatten(0, 1) if isinstance(states, tuple) else states
    return [(outputs if module.batch_first else outputs.swapaxes(0, 1)).double().numpy(), *states.double().numpy()]


def our_outputs(layer, x=X):
    values = layer(keras.ops.cast(x, layer.compute_dtype))
    return [to_numpy(keras.ops.cast(value, "float64")) for value in values]


def assert_same(values, others, atol=0.0):
    for value, other in zip(values, others, strict=True):
        np.testing.assert_allclose(value, other, atol=atol, rtol=0)


def random_module(seed):
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    kind = ("LSTM", "GRU", "RNN")[seed % 3]
    count, both = int(rng.integers(1, 4)), bool(rng.integers(2))
    options = {"nonlinearity": str(rng.choice(["tanh", "relu"]))} if kind == "RNN" else {}
    return getattr(torch.nn, kind)(
        FEATURES,
        UNITS,
        num_layers=count,
        bidirectional=both,
        bias=bool(rng.integers(2)),
        batch_first=bool(rng.integers(2)),
        dropout=0.25 if count > 1 and not both else 0.0,
        dtype=getattr(torch, list(TOLERANCES)[rng.integers(4)]),
        **options,
    )


@pytest.mark.parametrize("seed", range(12))
def test_random_modules(seed):
    module = random_module(seed)
    dtype = str(module.weight_ih_l0.dtype).removeprefix("torch.")
    layer = from_torch(module)
    assert layer.variable_dtype == dtype
    assert_same(our_outputs(layer), torch_outputs(module), atol=TOLERANCES[dtype])
    back = to_torch(layer)
    for name in ("mode", "num_layers", "bidirectional", "bias", "dropout", "input_size", "hidden_size"):
        assert getattr(back, name) == getattr(module, name)
    assert_same(torch_outputs(back), torch_outputs(module), atol=TOLERANCES[dtype])
    for name, value in module.state_dict().items():
        if not name.startswith("bias") or module.mode == "GRU":
            assert torch.equal(back.state_dict()[name], value), name
    assert_same(from_torch(back).get_weights(), layer.get_weights())
    mode = module.mode if module.mode.startswith("RNN") else None
    state = {f"rnn.{name}": value for name, value in module.state_dict().items()} | {"dense.weight": torch.zeros(2, 2)}
    assert_same(from_torch(state, mode=mode).get_weights(), layer.get_weights())
    assert_same(from_torch(module.state_dict(), mode=mode).get_weights(), layer.get_weights())


CELLS = [("LSTMCell", {}), ("GRUCell", {}), ("RNNCell", {}), ("RNNCell", {"nonlinearity": "relu"})]


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("kind", "options"), CELLS)
def test_cells(kind, options, bias):
    torch.manual_seed(1)
    cell = getattr(torch.nn, kind)(FEATURES, UNITS, bias=bias, **options)
    ours = from_torch(cell)
    states = [(i + 1) * X[:, 0, :1] * np.ones((2, UNITS), "float32") for i in range(2 if kind == "LSTMCell" else 1)]
    tensors = [torch.from_numpy(state) for state in states]
    with torch.no_grad():
        expected = cell(torch.from_numpy(X[:, 0]), tuple(tensors) if len(tensors) == 2 else tensors[0])
    _, values = ours(X[:, 0], states)
    expected = [value.numpy() for value in (expected if isinstance(expected, tuple) else [expected])]
    assert_same([to_numpy(value) for value in values], expected, atol=1e-6)
    back = to_torch(ours)
    assert type(back) is type(cell) and getattr(back, "nonlinearity", None) == getattr(cell, "nonlinearity", None)
    assert_same(from_torch(back).get_weights(), ours.get_weights())
    mode = f"RNN_{cell.nonlinearity.upper()}" if kind == "RNNCell" else None
    assert_same(from_torch(cell.state_dict(), mode=mode).get_weights(), ours.get_weights())


def pruned(module, name):
    from torch.nn.utils import prune

    prune.random_unstructured(module, name, 0.5)


def weight_norm(module, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch calls it old
        torch.nn.utils.weight_norm(module, name)


def spectral_norm(module, name):
    torch.nn.utils.spectral_norm(module, name)


def parametrized_weight_norm(module, name):
    torch.nn.utils.parametrizations.weight_norm(module, name)


def parametrized_spectral_norm(module, name):
    torch.nn.utils.parametrizations.spectral_norm(module, name)


@pytest.mark.parametrize(
    "change", [pruned, weight_norm, spectral_norm, parametrized_weight_norm, parametrized_spectral_norm]
)
@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
def test_weights_that_are_computed(change, kind):
    torch.manual_seed(1)
    module = getattr(torch.nn, kind)(FEATURES, UNITS, num_layers=2, batch_first=True)
    for name in ("weight_ih_l0", "weight_hh_l1"):
        change(module, name)
    with torch.no_grad():  # as an optimizer does, which does not bring the weight itself up to date
        for parameter in module.parameters():
            parameter.mul_(1.5).add_(0.1)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    layer = from_torch(module)
    assert module.training
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert_same(our_outputs(layer), torch_outputs(module), atol=1e-6)
    with pytest.raises(ValueError, match="plain weights, received 'weight_|'parametrizations.weight_"):
        from_torch(module.state_dict())


def test_a_cell_that_is_pruned():
    cell = torch.nn.LSTMCell(FEATURES, UNITS)
    pruned(cell, "weight_hh")
    assert_same([from_torch(cell).get_weights()[1]], [cell.weight_hh.detach().numpy().T])


KERAS = {
    "LSTM": lambda: keras.layers.LSTM(UNITS, return_sequences=True, return_state=True),
    "GRU": lambda: keras.layers.GRU(UNITS, return_sequences=True, return_state=True),
    "SimpleRNN": lambda: keras.layers.SimpleRNN(UNITS, activation="relu", return_sequences=True, return_state=True),
    "Bidirectional": lambda: keras.layers.Bidirectional(
        keras.layers.LSTM(UNITS, return_sequences=True, return_state=True)
    ),
    "RNN": lambda: keras.layers.RNN(
        [keras.layers.LSTMCell(UNITS), keras.layers.LSTMCell(UNITS)], return_sequences=True, return_state=True
    ),
    "Recurrent": lambda: R.Recurrent(R.GRUCell(UNITS), return_sequences=True, return_state=True),
    "Stacked": lambda: R.Stacked(
        [keras.layers.GRU(UNITS), R.GRU(UNITS, convention="torch")], return_sequences=True, return_state=True
    ),
}


@pytest.mark.parametrize("name", KERAS)
def test_layers_of_keras_to_torch(name):
    layer = KERAS[name]()
    expected = [to_numpy(value) for value in keras.tree.flatten(layer(X))]
    assert_same(torch_outputs(to_torch(layer)), expected, atol=1e-6)


def state_of(**options):
    return torch.nn.LSTM(FEATURES, UNITS, **options).state_dict()


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (lambda: torch.nn.LSTM(3, 4, proj_size=2), {}, "received one with proj_size=2"),
        (lambda: state_of(proj_size=2), {}, "received one with proj_size=2"),
        (lambda: torch.nn.GRU(3, 4, device="meta"), {}, "on the device 'meta'"),
        (lambda: state_of(device="meta"), {}, "on the device 'meta'"),
        (lambda: torch.nn.Linear(3, 4), {}, "or the state_dict of one, received Linear"),
        (lambda: torch.nn.Sequential(torch.nn.LSTM(3, 4)), {}, "or the state_dict of one, received Sequential"),
        (lambda: torch.nn.LSTM(3, 4), {"mode": "LSTM"}, "expected a state_dict with mode and prefix"),
        (lambda: torch.nn.RNN(3, 4).state_dict(), {}, "mode='RNN_TANH' or mode='RNN_RELU'"),
        (lambda: torch.nn.GRU(3, 4).state_dict(), {"mode": "LSTM"}, r"\(12, 4\) for mode='LSTM'"),
        (state_of, {"mode": "lstm"}, "expected mode to be in"),
        (state_of, {"prefix": "rnn"}, r"below 'rnn.', received \['weight_ih_l0'"),
        (lambda: {"dense.weight": torch.zeros(2, 2)}, {}, "weights of one recurrent module"),
        (lambda: torch.nn.ModuleList([torch.nn.LSTM(3, 4)] * 2).state_dict(), {}, r"prefix=\['0.', '1.'\]"),
        (lambda: state_of() | {"weight_hh_l0": torch.zeros(16, 5)}, {}, r"received \(16, 5\)"),
        (lambda: {k: v for k, v in state_of().items() if k != "bias_hh_l0"}, {}, "expected the weights .*bias_hh_l0"),
        (lambda: state_of() | {"weight_hh_l0": torch.zeros(16, 4, dtype=torch.float64)}, {}, "weights of one dtype"),
        (lambda: {k: v.to(torch.int8) for k, v in state_of().items()}, {}, r"received \['int8'\]"),
    ],
)
def test_what_is_no_module(make, options, message):
    with pytest.raises(ValueError, match=message):
        from_torch(make(), **options)


def test_one_of_several_modules_in_a_state_dict():
    modules = torch.nn.ModuleDict({"a": torch.nn.LSTM(3, 4), "b": torch.nn.GRU(3, 4, bidirectional=True)})
    for prefix, name in itertools.product(("a", "b"), ("{}", "{}.")):
        layer = from_torch(modules.state_dict(), prefix=name.format(prefix))
        assert_same(layer.get_weights(), from_torch(modules[prefix]).get_weights())


def test_a_state_dict_of_arrays():
    state = {name: value.numpy() for name, value in state_of().items()}
    assert_same(
        from_torch(state).get_weights(), from_torch({k: torch.from_numpy(v) for k, v in state.items()}).get_weights()
    )


def test_a_quantized_module():
    kind = type("QuantizedLSTM", (torch.nn.Module,), {"__module__": "torch.ao.nn.quantized.dynamic", "mode": "LSTM"})
    with pytest.raises(ValueError, match="Convert the module that was quantized"):
        from_torch(kind())


def test_a_module_with_its_own_forward():
    class Mine(torch.nn.LSTM):
        def forward(self, x):
            return 2 * super().forward(x)[0]

    with pytest.raises(ValueError, match="received a Mine, which has its own"):
        from_torch(Mine(3, 4))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: R.LSTM(3, stateful=True), "keeps no states between batches"),
        (lambda: R.Stacked([R.Elman(3), R.Elman(3, activation="relu")]), "not in one module"),
        (lambda: R.Bidirectional(R.Recurrent([R.LSTMCell(3), R.LSTMCell(3)])), "not the whole stack"),
        (lambda: R.Recurrent(R.ResidualCell(R.LSTMCell(FEATURES))), "PyTorch has no ResidualCell"),
        (lambda: keras.layers.GRU(3, reset_after=False), "no weights there compute the same"),
        (lambda: R.LSTM(3, recurrent_dropout=0.5), "drops only between layers"),
    ],
)
def test_what_torch_does_not_have(make, message):
    layer = make()
    layer.build((2, TIME, FEATURES))
    with pytest.raises(ValueError, match=message):
        to_torch(layer)
