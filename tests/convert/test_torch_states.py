"""States of PyTorch, in the order of our layers and back."""

import keras
import numpy as np
import pytest

from rnnkit import layers as R
from rnnkit.convert import from_torch, states_from_torch, states_to_torch
from tests.layer_checks import to_numpy

X = np.random.default_rng(0).normal(size=(2, 5, 3)).astype("float32")


@pytest.mark.parametrize("kind", ["LSTM", "GRU", "RNN"])
@pytest.mark.parametrize(("num_layers", "bidirectional"), [(1, False), (1, True), (2, False), (3, True)])
def test_first_and_last_states_are_those_of_the_module(kind, num_layers, bidirectional):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    module = getattr(torch.nn, kind)(3, 4, num_layers=num_layers, bidirectional=bidirectional, batch_first=True)
    layer = from_torch(module)
    rng = np.random.default_rng(1)
    count = num_layers * (1 + bidirectional)
    first = [rng.uniform(-1, 1, (count, 2, 4)).astype("float32") for _ in range(1 + (kind == "LSTM"))]
    given = tuple(map(torch.from_numpy, first)) if kind == "LSTM" else torch.from_numpy(first[0])
    with torch.no_grad():
        want, last = module(torch.from_numpy(X), given)
    outputs, *states = layer(X, initial_state=states_from_torch(tuple(first) if len(first) > 1 else first[0], layer))
    np.testing.assert_allclose(to_numpy(outputs), want, atol=1e-6)
    found = states_to_torch(states, layer)
    for ours, theirs in zip(*((found, last) if kind == "LSTM" else ((found,), (last,))), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_there_and_back_is_the_same():
    layer = R.Stacked([R.Bidirectional(R.LSTM(4)), R.Bidirectional(keras.layers.LSTM(4))])
    h_n, c_n = np.random.default_rng(0).normal(size=(2, 4, 2, 4))
    states = states_from_torch((h_n, c_n), layer)
    for state, want in zip(states, [h_n[0], c_n[0], h_n[1], c_n[1], h_n[2], c_n[2], h_n[3], c_n[3]], strict=True):
        np.testing.assert_array_equal(state, want)
    for back, part in zip(states_to_torch(states, layer), (h_n, c_n), strict=True):
        np.testing.assert_array_equal(back, part)
    bridge = R.Bridge(5, encoder=layer)
    bridge(states)
    assert bridge.sources == [[0, 2], [1, 3], [4, 6], [5, 7]]


def test_states_of_another_module():
    h_n = np.zeros((2, 3, 4))
    for states, layer in [((h_n, h_n), R.GRU(4)), (h_n, R.LSTM(4)), (h_n, R.GRU(4)), (h_n[0], R.GRU(4))]:
        with pytest.raises(ValueError, match=r"expected arrays of shape \(1, batch, units\).*received arrays of"):
            states_from_torch(states, layer)
    with pytest.raises(ValueError, match=r"expected the 2 states of 1 layer \(h and C\), received 1"):
        states_to_torch([h_n[0]], R.LSTM(4))
    with pytest.raises(ValueError, match="the same states of the same size"):
        states_to_torch([h_n[0]] * 3, R.Stacked([R.LSTM(4), R.GRU(4)]))
