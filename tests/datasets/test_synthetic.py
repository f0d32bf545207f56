"""The adding problem and the copy memory problem, against their definitions."""

import numpy as np
import pytest

from rnnkit.datasets import adding_problem, copy_memory


@pytest.mark.parametrize("length", [2, 7, 100])
def test_one_number_of_each_half_is_marked_and_they_add_up(length):
    inputs, targets = adding_problem(500, length, seed=3)
    assert inputs.shape == (500, length, 2) and targets.shape == (500, 1)
    assert inputs.dtype == targets.dtype == np.float32
    for sequence, target in zip(inputs, targets, strict=True):
        first, second = np.flatnonzero(sequence[:, 1])  # exactly two
        assert first < length // 2 <= second
        assert target[0] == pytest.approx(sequence[first, 0] + sequence[second, 0], abs=1e-6)
    assert set(np.unique(inputs[..., 1])) <= {0.0, 1.0}


def test_numbers_and_places_are_uniform():
    inputs, targets = adding_problem(20_000, 10, seed=1)
    assert 0 <= inputs[..., 0].min() and inputs[..., 0].max() < 1
    assert inputs[..., 0].mean() == pytest.approx(0.5, abs=0.01)
    np.testing.assert_allclose(inputs[..., 1].mean(axis=0), 1 / 5, atol=0.015)  # 5 places in each half
    assert ((targets - 1) ** 2).mean() == pytest.approx(1 / 6, abs=0.005)


def test_unmarked_numbers_do_not_predict_the_target():
    inputs, targets = adding_problem(20_000, 10, seed=1)
    others = np.where(inputs[..., 1] == 0, inputs[..., 0], 0).sum(axis=1)
    assert abs(np.corrcoef(others, targets[:, 0])[0, 1]) < 0.03


@pytest.mark.parametrize("delay, symbols, length", [(1, 2, 1), (5, 8, 10), (40, 3, 4)])
def test_the_list_is_repeated_after_the_signal(delay, symbols, length):
    inputs, targets = copy_memory(200, delay, symbols, length, seed=2)
    assert inputs.shape == targets.shape == (200, delay + 2 * length)
    assert inputs.dtype == targets.dtype == np.int32
    signal = length + delay - 1
    np.testing.assert_array_equal(targets[:, signal + 1 :], inputs[:, :length])
    assert (inputs[:, signal] == symbols + 1).all() and not targets[:, : signal + 1].any()
    assert set(np.unique(inputs[:, :length])) == set(range(1, symbols + 1))
    blanks = np.delete(inputs, [*range(length), signal], axis=1)
    assert not blanks.any()


def test_baseline_of_the_copy_memory_problem():
    _, targets = copy_memory(2000, delay=30)
    length, symbols = 10, 8
    p = np.where(targets == 0, 1.0, 1 / symbols)  # certain of each blank, and all symbols equally likely
    assert -np.log(p).mean() == pytest.approx(length * np.log(symbols) / (30 + 2 * length))
    shares = np.bincount(targets[targets > 0], minlength=9)[1:] / np.count_nonzero(targets)
    np.testing.assert_allclose(shares, 1 / 8, atol=0.01)  # no other guess is better


@pytest.mark.parametrize("make", [lambda seed: adding_problem(4, 9, seed), lambda seed: copy_memory(4, 9, seed=seed)])
def test_the_seed_decides(make):
    for one, same, other in zip(make(1), make(1), make(2), strict=True):
        np.testing.assert_array_equal(one, same)
        assert (one != other).any()


@pytest.mark.parametrize("name, value", [("samples", 0), ("samples", 2.0), ("length", 1), ("length", True)])
def test_adding_problem_refuses(name, value):
    with pytest.raises(
        ValueError, match=f"adding_problem expected {name} to be an integer of at least [12], received {value!r}"
    ):
        adding_problem(**{"samples": 3, "length": 10, "seed": 1, name: value})


@pytest.mark.parametrize("name, value", [("samples", -1), ("delay", 0), ("symbols", 1), ("length", None)])
def test_copy_memory_refuses(name, value):
    with pytest.raises(
        ValueError, match=f"copy_memory expected {name} to be an integer of at least [12], received {value!r}"
    ):
        copy_memory(**{"samples": 3, "delay": 10, name: value})
