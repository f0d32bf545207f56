"""The checks of the exercises: a right function passes, a wrong one is explained, and the right numbers stay secret."""

import functools
import heapq
import importlib.util
import itertools
import re
from pathlib import Path

import keras
import nbformat
import numpy as np
import pytest
from keras import ops

import rnnkit.layers
import rnnkit.metrics
from rnnkit.course import checks
from rnnkit.course.checks.engine.answers import agree
from rnnkit.course.checks.exercises.resetting_adder import SEQUENCES, last_h
from rnnkit.text import tags_to_spans
from tests import oracles

ROOT = Path(__file__).resolve().parents[2]
CHECKS = {name: check for name in checks.__all__ if isinstance(check := getattr(checks, name), checks.Check)}
MUTATIONS = [(name, known) for name, check in CHECKS.items() for known in check.mistakes]
LESSONS = [path.stem for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]

specification = importlib.util.spec_from_file_location("student", ROOT / "tools" / "student.py")
student = importlib.util.module_from_spec(specification)
specification.loader.exec_module(student)


def exercises(notebook):
    """From the name of each exercise's function to its cell's source and the next cell's."""
    found = {}
    for cell, following in itertools.pairwise(notebook.cells):
        if "exercise" in cell.metadata.get("tags", []):
            found[re.search(r"^def (\w+)", cell.source, re.MULTILINE)[1]] = cell.source, following.source
    return found


def lessons():
    return [nbformat.read(path, as_version=4) for path in sorted((ROOT / "notebooks").glob("*.ipynb"))]


SOLUTIONS = {name: cells for lesson in lessons() for name, cells in exercises(lesson).items()}
STUBS = {name: cells for lesson in lessons() for name, cells in exercises(student.student_copy(lesson)).items()}


def function_in(source, name):
    """The function, made with nothing but NumPy: an exercise needs no other name of its lesson."""
    names = {"np": np}
    exec(source, names)
    return names[name]


@functools.cache
def mistake_of(name, known):
    """What the check finds in the reference with a known mistake in it."""
    return CHECKS[name].find_mistake(known.made_in(CHECKS[name].reference))


def answers_to_all_cases(check, function):
    """The answers, with `None` where there are none."""
    tried = [check.answers_or_mistake(function, number) for number in range(len(check.cases()))]
    return [None if isinstance(answer, checks.Mistake) else answer for answer in tried]


# ------------------------------------------------------------------------------------------- the lessons' exercises


@pytest.mark.parametrize("lesson", LESSONS)
def test_every_exercise_of_a_lesson_is_checked_in_the_next_cell(lesson):
    found = exercises(nbformat.read(ROOT / "notebooks" / f"{lesson}.ipynb", as_version=4))
    assert len(found) >= 2
    for name, (_, following) in found.items():
        assert name in CHECKS and f"checks.{name}({name})" in following.splitlines()


@pytest.mark.parametrize("name", CHECKS)
def test_the_solution_passes_and_the_same_line_says_so_every_time(name, capsys):
    for _ in range(2):
        CHECKS[name](function_in(SOLUTIONS[name][0], name))
    first, second = capsys.readouterr().out.splitlines()
    assert first == second and first.startswith(f"{name} is right. Tested: ")


@pytest.mark.parametrize("name", CHECKS)
def test_the_stub_fails_with_its_task(name):
    with pytest.raises(checks.Mistake, match=f"^{name} is not written yet") as caught:
        CHECKS[name](function_in(STUBS[name][0], name))
    assert f"Write `{name}(" in str(caught.value)
    assert caught.value.__context__ is None


# ------------------------------------------------------------------------------------------------ the known mistakes


def test_the_bank_is_large_enough():
    assert len(MUTATIONS) >= 100 and all(len(check.mistakes) >= 5 for check in CHECKS.values())


@pytest.mark.parametrize(("name", "known"), MUTATIONS, ids=lambda value: getattr(value, "sentence", value))
def test_a_known_mistake_is_named(name, known):
    assert str(mistake_of(name, known)).endswith(f"Why? This is what you get if {known.sentence}.")


@pytest.mark.parametrize("name", CHECKS)
def test_no_two_known_mistakes_give_the_same_numbers(name):
    check = CHECKS[name]
    made = {known: answers_to_all_cases(check, known.made_in(check.reference)) for known in check.mistakes}
    for one, other in itertools.combinations(made, 2):
        pairs = [(a, b) for a, b in zip(made[one], made[other], strict=True) if a is not None and b is not None]
        assert pairs and not all(agree(a, b, max(check.tolerance, 1e-3)) for a, b in pairs), (one, other)


@pytest.mark.parametrize("name", CHECKS)
def test_two_known_mistakes_at_once_are_named(name):
    check, named = CHECKS[name], 0
    for both in itertools.islice(itertools.combinations(check.mistakes, 2), 12):
        changes = [change for known in both for change in known.changes]
        try:
            function = checks.KnownMistake("both", *changes).made_in(check.reference)
        except ValueError:
            continue  # both change the same words
        mistake = check.find_mistake(function)
        named += mistake is not None and "Why? " in str(mistake)
    assert named >= 2


def test_a_known_mistake_must_occur_in_the_reference_once():
    with pytest.raises(ValueError, match=r"expected 'sigmoid' once in reference, found it 3 times"):
        checks.KnownMistake("no sigmoid", ("sigmoid", "")).made_in(checks.lstm_step.reference)
    with pytest.raises(ValueError, match="reference is not Python any more"):
        checks.KnownMistake("no sum", ("range(len(f))", "range(")).made_in(checks.parcels.reference)


@pytest.mark.parametrize("name", CHECKS)
def test_the_answer_stays_secret(name):
    check = CHECKS[name]
    solution = re.search(r"### BEGIN SOLUTION\n(.*?)### END SOLUTION", SOLUTIONS[name][0], re.DOTALL)[1]
    lines = [line.strip() for line in solution.splitlines() if len(line.strip()) > 12]
    assert lines and not any(line in source for line in lines for source in STUBS[name])
    found = [mistake_of(name, known) for known in check.mistakes]
    found += map(check.find_mistake, [lambda *a: np.zeros(3), lambda *a: None, lambda *a: 1 / 0])
    for message in map(str, found):
        assert not any(line in message for line in lines)
        assert not re.search(r"\d\.\d{2}|\de[-+]\d", message), "a number with decimals"


# ----------------------------------------------------------------------------- right in other ways, and it must pass


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


def lstm_by_rows(x, h, C, *weights):
    rows = [oracles.lstm_step(weights, *row)[1] for row in zip(x, zip(h, C, strict=True), strict=True)]
    return np.array([row[0] for row in rows]), np.array([row[1] for row in rows])


def lstm_cell_of_keras(x, h, C, *weights):
    cell = keras.layers.LSTMCell(h.shape[1])
    cell.build((None, x.shape[1]))
    cell.set_weights(weights)
    return cell(x.astype("float32"), [h.astype("float32"), C.astype("float32")])[1]


def lstm_with_keras_ops(x, h, C, kernel, recurrent_kernel, bias):
    x, h, C, kernel, recurrent_kernel, bias = [
        ops.convert_to_tensor(array, "float32") for array in (x, h, C, kernel, recurrent_kernel, bias)
    ]
    i, f, candidate, o = ops.split(ops.matmul(x, kernel) + ops.matmul(h, recurrent_kernel) + bias, 4, axis=-1)
    C = ops.sigmoid(f) * C + ops.sigmoid(i) * ops.tanh(candidate)
    return [ops.sigmoid(o) * ops.tanh(C), C]


def lstm_gate_by_gate(x, h, C, kernel, recurrent_kernel, bias):
    units, W, xh = h.shape[1], np.vstack([kernel, recurrent_kernel]), np.hstack([x, h])
    i, f, candidate, o = [xh @ W[:, k * units : (k + 1) * units] + bias[k * units : (k + 1) * units] for k in range(4)]
    C = C / (1 + np.exp(-f)) + np.tanh(candidate) / (1 + np.exp(-i))
    return np.tanh(C) / (1 + np.exp(-o)), C


def lstm_in_lists(x, h, C, kernel, recurrent_kernel, bias):
    sums = np.einsum("bf,fg->bg", x, kernel) + np.einsum("bu,ug->bg", h, recurrent_kernel) + bias
    new_h, new_C = [], []
    for row, old in zip(sums.reshape(len(x), 4, -1), C, strict=True):
        new_C.append([sigmoid(f) * c + sigmoid(i) * np.tanh(a) for i, f, a, c in zip(*row[:3], old, strict=True)])
        new_h.append([sigmoid(o) * np.tanh(c) for o, c in zip(row[3], new_C[-1], strict=True)])
    return new_h, new_C


def masked_by_rows(step, x, mask, units):
    outputs, last_h, last_C = np.zeros((*mask.shape, units)), [], []
    for row in range(len(x)):
        h, C = np.zeros((1, units)), np.zeros((1, units))
        for t in range(x.shape[1]):
            if mask[row, t]:
                h, C = step(x[row : row + 1, t], h, C)
            outputs[row, t] = h[0]
        last_h.append(h[0])
        last_C.append(C[0])
    return outputs, last_h, last_C


def masked_in_place(step, x, mask, units):
    h, C, outputs = np.zeros((len(x), units)), np.zeros((len(x), units)), []
    for t, counts in enumerate(mask.T):
        new_h, new_C = step(x[:, t], h, C)
        h[counts], C[counts] = new_h[counts], new_C[counts]
        outputs.append(h.copy())
    return np.array(outputs).transpose(1, 0, 2), h, C


def masked_by_a_product(step, x, mask, units):
    state, outputs = (np.zeros((len(x), units)),) * 2, []
    for t in range(x.shape[1]):
        m = mask[:, t, None].astype("float64")
        state = [m * new + (1 - m) * old for new, old in zip(step(x[:, t], *state), state, strict=True)]
        outputs.append(state[0])
    return [np.stack(outputs, 1), *state]


def masked_by_keras_ops(step, x, mask, units):
    h = C = ops.zeros((len(x), units))
    outputs = []
    for t in range(x.shape[1]):
        new = step(x[:, t], ops.convert_to_numpy(h), ops.convert_to_numpy(C))
        h, C = [ops.where(mask[:, t, None], n, old) for n, old in zip(new, (h, C), strict=True)]
        outputs.append(h)
    return ops.stack(outputs, axis=1), h, C


def masked_by_selection(step, x, mask, units):
    h, C, outputs = np.zeros((len(x), units)), np.zeros((len(x), units)), np.zeros((*mask.shape, units))
    for t in range(x.shape[1]):
        rows = np.flatnonzero(mask[:, t])
        if len(rows):
            h[rows], C[rows] = step(x[rows, t], h[rows], C[rows])
        outputs[:, t] = h
    return outputs, h, C


def loss_of_network(x, h_0, W_xh, W_hh, b, dh_T):
    """A loss whose gradient at h_T is dh_T."""
    h = h_0
    for x_t in x:
        h = np.tanh(W_hh @ h + W_xh @ x_t + b)
    return h @ dh_T


def gradients_by_differences(x, h_0, W_xh, W_hh, b, dh_T):
    def of(name):
        return lambda value: loss_of_network(
            **{"x": x, "h_0": h_0, "W_xh": W_xh, "W_hh": W_hh, "b": b, "dh_T": dh_T} | {name: value}
        )

    arrays = {"W_xh": W_xh, "W_hh": W_hh, "b": b, "h_0": h_0}
    return [oracles.numerical_gradient(of(name), array) for name, array in arrays.items()]


def all_states(x, h_0, W_xh, W_hh, b):
    h = [h_0]
    for x_t in x:
        h.append(np.tanh(W_hh @ h[-1] + W_xh @ x_t + b))
    return np.array(h)


def gradients_in_one_product(x, h_0, W_xh, W_hh, b, dh_T):
    h, da = all_states(x, h_0, W_xh, W_hh, b), np.zeros((len(x), len(b)))
    for t in range(len(x) - 1, -1, -1):
        da[t] = (1 - h[t + 1] ** 2) * (dh_T if t == len(x) - 1 else da[t + 1] @ W_hh)
    return da.T @ x, da.T @ h[:-1], da.sum(axis=0), da[0] @ W_hh


def gradients_by_jacobians(x, h_0, W_xh, W_hh, b, dh_T):
    h = all_states(x, h_0, W_xh, W_hh, b)
    jacobians = [np.diag(1 - state**2) @ W_hh for state in h[1:]]
    to_step = [np.linalg.multi_dot([np.eye(len(b)), *jacobians[:t:-1], np.eye(len(b))]) for t in range(len(x))]
    da = [(dh_T @ product) * (1 - state**2) for product, state in zip(to_step, h[1:], strict=True)]
    return np.einsum("tu,tf->uf", da, x), np.einsum("tu,tv->uv", da, h[:-1]), sum(da), da[0] @ W_hh


def gradients_by_recursion(x, h_0, W_xh, W_hh, b, dh_T):
    if len(x) == 0:
        return np.zeros_like(W_xh), np.zeros_like(W_hh), np.zeros_like(b), dh_T
    h = np.tanh(W_hh @ h_0 + W_xh @ x[0] + b)
    *later, dh = gradients_by_recursion(x[1:], h, W_xh, W_hh, b, dh_T)
    da = (1 - h**2) * dh
    now = np.outer(da, x[0]), np.outer(da, h_0), da
    return *(a + c for a, c in zip(later, now, strict=True)), W_hh.T @ da


def gradients_in_loops_over_units(x, h_0, W_xh, W_hh, b, dh_T):
    h, units = all_states(x, h_0, W_xh, W_hh, b), len(b)
    dW_xh, dW_hh, db, dh = 0 * W_xh, 0 * W_hh, 0 * b, list(dh_T)
    for t in range(len(x))[::-1]:
        da = [dh[u] * (1 - h[t + 1, u] ** 2) for u in range(units)]
        for u in range(units):
            dW_xh[u] += da[u] * x[t]
            dW_hh[u] += da[u] * h[t]
            db[u] += da[u]
        dh = [sum(da[u] * W_hh[u, v] for u in range(units)) for v in range(units)]
    return dW_xh, dW_hh, db, dh


def truncated_loss_by_loss(x, dh, W_xh, W_hh, k1, k2):
    """Each loss walks back by itself."""
    h, total = all_states(x, np.zeros(len(W_hh)), W_xh, W_hh, 0.0), np.zeros_like(W_hh)
    for t in range(len(x)):
        first, gradient = max(0, t // k1 * k1 - k2 + k1), dh[t]
        for k in range(t, first - 1, -1):
            da = gradient * (1 - h[k + 1] ** 2)
            total, gradient = total + da[:, None] * h[k], da @ W_hh
    return total


def truncated_by_whole_windows(x, dh, W_xh, W_hh, k1, k2):
    """Full backpropagation in every window, from the state in which it begins."""
    h, total = all_states(x, np.zeros(len(W_hh)), W_xh, W_hh, 0.0), 0
    for begin in range(0, len(x), k1):
        first = max(begin - k2 + k1, 0)
        window = slice(first, begin + k1)
        counted = np.where(np.arange(first, first + len(x[window]))[:, None] >= begin, dh[window], 0)
        for t in range(len(counted)):
            part = gradients_by_recursion(x[window][: t + 1], h[first], W_xh, W_hh, np.zeros(len(W_hh)), counted[t])
            total = total + part[1]
    return total


def windows(time, k1, k2):
    """First step, first step whose loss is used, and end of each window."""
    return [(max(0, begin - (k2 - k1)), begin, min(begin + k1, time)) for begin in range(0, time, k1)]


def truncated_by_differences(x, dh, W_xh, W_hh, k1, k2):
    """Finite differences of each window's losses, with the state in which it begins as a constant."""
    h, total = all_states(x, np.zeros(len(W_hh)), W_xh, W_hh, 0.0), 0
    for first, begin, end in windows(len(x), k1, k2):

        def losses(W, first=first, begin=begin, end=end):
            states = all_states(x[first:end], h[first], W_xh, W, 0.0)[1:]
            return np.sum(states[begin - first :] * dh[begin:end])

        total = total + oracles.numerical_gradient(losses, W_hh)
    return total


def truncated_in_one_product(x, dh, W_xh, W_hh, k1, k2):
    h, das, before = all_states(x, np.zeros(len(W_hh)), W_xh, W_hh, 0.0), [], []
    for first, begin, end in windows(len(x), k1, k2):
        future, t = 0 * dh[0], end - 1
        while t >= first:
            das.append((1 - h[t + 1] ** 2) * (future + dh[t] * (t >= begin)))
            before.append(h[t])
            future, t = das[-1] @ W_hh, t - 1
    return np.array(das).T @ np.array(before)


def truncated_by_jacobians(x, dh, W_xh, W_hh, k1, k2):
    h, total = all_states(x, np.zeros(len(W_hh)), W_xh, W_hh, 0.0), np.zeros_like(W_hh)
    for first, begin, end in windows(len(x), k1, k2):
        for loss, step in itertools.product(range(begin, end), range(first, end)):
            if step <= loss:
                product = np.eye(len(W_hh))
                for t in range(step + 1, loss + 1):
                    product = np.diag(1 - h[t + 1] ** 2) @ W_hh @ product
                total += np.outer((dh[loss] @ product) * (1 - h[step + 1] ** 2), h[step])
    return total


def gru_cell_of_keras(x, h, *weights):
    cell = keras.layers.GRUCell(h.shape[1])
    cell.build((None, x.shape[1]))
    cell.set_weights(weights)
    return cell(x.astype("float32"), [h.astype("float32")])[0]


def gru_cell_of_pytorch(x, h, *weights):
    """The same with the gates in another order."""
    cell = rnnkit.layers.GRUCell(h.shape[1], convention="torch")
    cell.build((None, x.shape[1]))
    parts = [np.split(weight, 3, axis=-1) for weight in weights]
    cell.set_weights([np.concatenate([r, z, candidate], axis=-1) for z, r, candidate in parts])
    return cell(x.astype("float32"), [h.astype("float32")])[0]


def gru_gate_by_gate(x, h, kernel, recurrent_kernel, bias):
    def part(array, k):
        return array[..., k * h.shape[1] : (k + 1) * h.shape[1]]

    z, r = [sigmoid(x @ part(kernel, k) + h @ part(recurrent_kernel, k) + part(bias, k).sum(axis=0)) for k in (0, 1)]
    product = h @ part(recurrent_kernel, 2) + part(bias, 2)[1]
    return h + (1 - z) * (np.tanh(x @ part(kernel, 2) + part(bias, 2)[0] + product * r) - h)


def gru_by_rows(x, h, kernel, recurrent_kernel, bias):
    new = []
    for x_row, h_row in zip(x, h, strict=True):
        X, H = (kernel.T @ x_row + bias[0]).reshape(3, -1), (recurrent_kernel.T @ h_row + bias[1]).reshape(3, -1)
        z, r = sigmoid(X[:2] + H[:2])
        new.append(z * h_row + (1 - z) * np.tanh(X[2] + r * H[2]))
    return new


def gru_with_keras_ops(x, h, kernel, recurrent_kernel, bias):
    x, h, kernel, recurrent_kernel, bias = [
        ops.convert_to_tensor(array, "float32") for array in (x, h, kernel, recurrent_kernel, bias)
    ]
    X = ops.split(ops.matmul(x, kernel) + bias[0], 3, axis=1)
    H = ops.split(ops.matmul(h, recurrent_kernel) + bias[1], 3, axis=1)
    z, r = ops.sigmoid(X[0] + H[0]), ops.sigmoid(X[1] + H[1])
    return z * h + (1 - z) * ops.tanh(X[2] + r * H[2])


def stack_layer_by_layer(cells, x, states, residual):
    states, last = list(states), []
    for index, cell in enumerate(cells):
        own, states = states[: len(cell.state_size)], states[len(cell.state_size) :]
        outputs = []
        for t in range(x.shape[1]):
            y, own = cell.step(cell.project(x[:, t]), own)
            outputs.append(y + x[:, t] if residual and index else y)
        x, last = np.stack(outputs, axis=1), last + own
    return x, last


def stack_with_nested_states(cells, x, states, residual):
    waiting = iter(states)
    nested = [[next(waiting) for _ in cell.state_size] for cell in cells]
    outputs = np.zeros((*x.shape[:2], cells[-1].state_size[0]))
    for t in range(x.shape[1]):
        y = x[:, t]
        for index, cell in enumerate(cells):
            new, nested[index] = cell.step(cell.project(y), nested[index])
            y = new + y if residual and index > 0 else new
        outputs[:, t] = y
    return outputs, sum(nested, [])


def stack_by_recursion(cells, x, states, residual):
    def up(index, y, states):
        if index == len(cells):
            return y, []
        own = len(cells[index].state_size)
        new, kept = cells[index].step(cells[index].project(y), states[:own])
        y, others = up(index + 1, new + y if residual and index else new, states[own:])
        return y, [*kept, *others]

    outputs = []
    for x_t in np.moveaxis(x, 1, 0):
        y, states = up(0, x_t, states)
        outputs.append(y)
    return np.moveaxis(outputs, 0, 1), tuple(states)


def stack_by_rows(cells, x, states, residual):
    rows = [stack_layer_by_layer(cells, x[b : b + 1], [s[b : b + 1] for s in states], residual) for b in range(len(x))]
    return np.concatenate([row[0] for row in rows]), [
        np.concatenate(s) for s in zip(*(r[1] for r in rows), strict=True)
    ]


def stack_projected_at_once(cells, x, states, residual):
    """As the layers do it: the product with the inputs is done for all steps before the loop."""
    given, last = iter(states), []
    for index, cell in enumerate(cells):
        own, outputs = [next(given) for _ in cell.state_size], []
        for step in cell.project(x).swapaxes(0, 1):
            y, own = cell.step(step, own)
            outputs.append(y)
        x, last = np.stack(outputs, 1) + (x if residual and index > 0 else 0), [*last, *own]
    return ops.convert_to_tensor(x), last


def backwards_by_keras(x, W_xh, W_hh):
    layer = keras.layers.SimpleRNN(len(W_hh), use_bias=False, return_sequences=True)
    layer.build((None, None, x.shape[1]))
    layer.set_weights([W_xh.T, W_hh.T])
    return ops.flip(layer(np.flip(x, 0)[None].astype("float32"))[0], axis=0)


def backwards_by_recursion(x, W_xh, W_hh):
    if len(x) == 0:
        return np.zeros((0, len(W_hh)))
    later = backwards_by_recursion(x[1:], W_xh, W_hh)
    return np.vstack([np.tanh(W_xh @ x[0] + (W_hh @ later[0] if len(later) else 0)), later])


def parcels_by_products(f, added):
    return [[added[t] * np.prod(f[t + 1 : T + 1]) if t <= T else 0 for t in range(len(f))] for T in range(len(f))]


def parcels_by_columns(f, added):
    left = np.diag(added.astype("float32"))
    for t in range(len(f)):
        left[t + 1 :, t] = added[t] * np.cumprod(f[t + 1 :])
    return left


def chung_by_loops(kernel, recurrent_kernel):
    units = len(recurrent_kernel)
    W_z, W_r, W = [np.zeros((units, units + len(kernel))) for _ in range(3)]
    for gate, (matrix, sign) in enumerate([(W_z, -1), (W_r, 1), (W, 1)]):
        for u in range(units):
            matrix[u, :units] = sign * recurrent_kernel[:, gate * units + u]
            matrix[u, units:] = sign * kernel[:, gate * units + u]
    return [W_z, W_r, W]


def damped_week_by_week(level, slope, season, phi):
    forecast, factor, at = np.zeros_like(season), 1.0, level
    for week in range(season.shape[1]):
        factor = factor * phi
        at = at + factor * slope
        forecast[:, week] = at + season[:, week]
    return forecast


def decode_loop(stack, x, mask, length):
    outputs, states = [], None
    for t in range(x.shape[1]):
        y, *states = stack(x[:, t : t + 1], mask=mask[:, t : t + 1], initial_state=states)
        outputs.append(y[:, 0])
    return ops.stack([ops.convert_to_tensor(y, "float32") for y in outputs], axis=1)


def odd_by_pairs(vectors):
    def cosine(a, b):
        return a @ b / np.sqrt(a @ a * (b @ b))

    others = [[b for j, b in enumerate(vectors) if j != i] for i in range(len(vectors))]
    fits = [np.mean([cosine(a, b) for b in rest]) for a, rest in zip(vectors, others, strict=True)]
    return fits.index(min(fits)), fits


def odd_by_the_sum_of_all(vectors):
    units = vectors / np.sqrt((vectors**2).sum(axis=1))[:, None]
    fits = (units @ units.sum(axis=0) - 1) / (len(units) - 1)
    return fits.argsort()[0], fits


def odd_with_keras_ops(vectors):
    units = ops.normalize(ops.convert_to_tensor(vectors, "float32"), axis=1)
    cosines = ops.matmul(units, ops.transpose(units)) * (1 - ops.eye(len(vectors)))
    fits = ops.sum(cosines, axis=1) / (len(vectors) - 1)
    return ops.argmin(fits), fits


def negatives_by_walking(counts, targets, uniform):
    drawn = np.zeros(uniform.shape, "int64")
    for (pair, draw), u in np.ndenumerate(uniform):
        p = np.where(np.arange(len(counts)) == targets[pair], 0, counts.astype("float64") ** 0.75)
        p, word = p / p.sum(), 0
        while u >= p[word]:
            u, word = u - p[word], word + 1
        drawn[pair, draw] = word
    return drawn


def negatives_without_the_target(counts, targets, uniform):
    """The target is deleted, and the numbers of the words after it are corrected."""
    drawn = []
    for target, row in zip(targets, uniform, strict=True):
        left = np.delete(np.power(counts, 0.75), target)
        words = np.digitize(row, np.cumsum(left) / left.sum())
        drawn.append([int(word) + (word >= target) for word in words])
    return drawn


def negatives_by_comparison(counts, targets, uniform):
    share = counts / counts.sum()
    allowed = share**0.75 * (np.arange(len(counts)) != targets[:, None])
    ends = np.cumsum(allowed, axis=1)
    return (uniform[:, :, None] * ends[:, None, -1:] >= ends[:, None]).sum(axis=2)


def losses_of_pairs(W, U, words, targets, negatives):
    right, wrong = (W[words] * U[targets]).sum(axis=1), np.einsum("pd,pkd->pk", W[words], U[negatives])
    return np.log1p(np.exp(-right)).sum() + np.log1p(np.exp(wrong)).sum()


def sampling_by_differences(W, U, words, targets, negatives, rate):
    dW = oracles.numerical_gradient(lambda table: losses_of_pairs(table, U, words, targets, negatives), W)
    dU = oracles.numerical_gradient(lambda table: losses_of_pairs(W, table, words, targets, negatives), U)
    return W - rate * dW, U - rate * dU, losses_of_pairs(W, U, words, targets, negatives)


def sampling_by_one_hot_products(W, U, words, targets, negatives, rate):
    one_hot, loss, dW, dU = np.eye(len(W)), 0, 0, 0
    for column, sign in [(targets, 1), *((column, -1) for column in negatives.T)]:
        read, said = one_hot[words], one_hot[column]
        p = sigmoid(sign * ((read @ W) * (said @ U)).sum(axis=1, keepdims=True))
        loss = loss - np.log(p).sum()
        dW, dU = dW - sign * read.T @ ((1 - p) * (said @ U)), dU - sign * said.T @ ((1 - p) * (read @ W))
    return W - rate * dW, U - rate * dU, loss


def sampling_with_one_list_of_rows(W, U, words, targets, negatives, rate):
    """All pairs and negatives side by side, and `np.add.at`."""
    k = negatives.shape[1]
    left, right = np.repeat(words, 1 + k), np.concatenate([targets[:, None], negatives], axis=1).ravel()
    signs = np.tile([1.0] + [-1.0] * k, len(words))
    z = signs * np.einsum("nd,nd->n", W[left], U[right])
    steps = (rate * signs * sigmoid(-z))[:, None]
    tables = W.copy(), U.copy()
    np.add.at(tables[0], left, steps * U[right])
    np.add.at(tables[1], right, steps * W[left])
    return *tables, np.log(1 + np.exp(-z)).sum()


def sampling_row_by_row(W, U, words, targets, negatives, rate):
    """For each row of a table, the gradients that belong to it."""
    loss, parts_of_W, parts_of_U = 0, {}, {}
    for word, others in zip(words, np.column_stack([targets, negatives]), strict=True):
        for place, other in enumerate(others):
            answer, wanted = sigmoid(W[word] @ U[other]), place == 0
            loss -= np.log(answer) if wanted else np.log(1 - answer)
            parts_of_W.setdefault(word, []).append((answer - wanted) * U[other])
            parts_of_U.setdefault(other, []).append((answer - wanted) * W[word])
    new_W = [row - rate * sum(parts_of_W.get(i, [0])) for i, row in enumerate(W)]
    return new_W, [row - rate * sum(parts_of_U.get(i, [0])) for i, row in enumerate(U)], loss


def sampling_with_keras_ops(W, U, words, targets, negatives, rate):
    W, U = ops.convert_to_tensor(W, "float32"), ops.convert_to_tensor(U, "float32")
    chosen = ops.concatenate([targets[:, None], negatives], axis=1)
    h, rows = ops.take(W, words, axis=0)[:, None], ops.take(U, chosen, axis=0)
    z = ops.sum(h * rows, axis=2)
    wanted = ops.one_hot(0 * targets, chosen.shape[1])
    loss = ops.sum(ops.binary_crossentropy(wanted, z, from_logits=True))
    error = ops.expand_dims(ops.sigmoid(z) - wanted, axis=2)
    dU = ops.segment_sum(ops.reshape(error * h, (-1, W.shape[1])), ops.reshape(chosen, (-1,)), len(U))
    return W - rate * ops.segment_sum(ops.sum(error * rows, axis=1), words, len(W)), U - rate * dU, loss


def delay_by_comparing_all(x, here, labels, k):
    """Each sentence looks for all that look the same."""
    seen = [[place, *sentence[: place + k + 1]] for sentence, place in zip(x.tolist(), here.tolist(), strict=True)]
    right = 0
    for mine in seen:
        ones = np.mean([label for other, label in zip(seen, labels, strict=True) if other == mine])
        right += max(ones, 1 - ones)
    return right / len(seen)


def delay_by_unique_rows(x, here, labels, k):
    read = np.arange(x.shape[1]) <= here[:, None] + k
    rows = np.column_stack([np.where(read, x, -1), here])
    _, group = np.unique(rows, axis=0, return_inverse=True)
    group = group.reshape(-1)
    ones, all_of_it = np.bincount(group, weights=labels), np.bincount(group)
    return np.maximum(ones, all_of_it - ones).sum() / len(x)


def merged(mode, a, b):
    return {"sum": np.add, "ave": lambda a, b: 0.5 * a + 0.5 * b, "mul": np.multiply, "concat": side_by_side}[mode](
        a, b
    )


def side_by_side(a, b):
    return np.concatenate([a, b], axis=-1)


def runs_by_index(forward, backward, lengths, mode):
    steps, n = np.arange(forward.shape[1]), lengths[:, None]
    turned = np.take_along_axis(backward, (n - 1 - steps)[:, :, None] % len(steps), axis=1)
    outputs = merged(mode, forward, turned) * (steps < n)[:, :, None]
    return outputs, merged(
        mode, *[np.take_along_axis(run, n[:, :, None] - 1, axis=1)[:, 0] for run in (forward, backward)]
    )


def runs_step_by_step(forward, backward, lengths, mode):
    outputs, summary = 0 * merged(mode, forward, backward), []
    for row, n in enumerate(lengths):
        for t in range(n):
            outputs[row, t] = merged(mode, forward[row, t], backward[row, n - 1 - t])
        summary.append(merged(mode, forward[row, n - 1], backward[row, n - 1]))
    return outputs, summary


def runs_rolled(forward, backward, lengths, mode):
    time, outputs, summary = forward.shape[1], [], []
    for a, b, n in zip(forward, backward, lengths, strict=True):
        a, b = np.where(np.arange(time)[:, None] < n, [a, np.roll(b[::-1], n - time, axis=0)], 0)
        outputs.append(merged(mode, a, b))
        summary.append(merged(mode, a[n - 1], b[0]))
    return np.array(outputs), np.array(summary)


def runs_in_lists(forward, backward, lengths, mode):
    rows = [merged(mode, a[:n], b[:n][::-1]) for a, b, n in zip(forward, backward, lengths, strict=True)]
    ends = [merged(mode, a[:n][-1:], b[:n][-1:])[0] for a, b, n in zip(forward, backward, lengths, strict=True)]
    return np.stack([np.pad(row, ((0, forward.shape[1] - len(row)), (0, 0))) for row in rows]), ends


def runs_with_keras_ops(forward, backward, lengths, mode):
    layers = {"sum": keras.layers.Add, "ave": keras.layers.Average, "mul": keras.layers.Multiply}
    merge = layers.get(mode, keras.layers.Concatenate)()
    forward, backward = ops.convert_to_tensor(forward, "float32"), ops.convert_to_tensor(backward, "float32")
    turned = [ops.concatenate([ops.flip(b[:n], axis=0), b[n:]], axis=0) for b, n in zip(backward, lengths, strict=True)]
    counts = ops.cast(ops.arange(forward.shape[1]) < lengths[:, None], "float32")[:, :, None]
    rows = range(len(lengths))
    ends = [ops.stack([run[row, lengths[row] - 1] for row in rows]) for run in (forward, backward)]
    return merge([forward, ops.stack(turned)]) * counts, merge(ends)


def two_ways_by_the_layer(x, mask, forward_weights, backward_weights):
    layer = rnnkit.layers.Bidirectional(rnnkit.layers.Elman(len(forward_weights[2]), return_sequences=True))
    layer.build(x.shape)
    layer.set_weights([*forward_weights, *backward_weights])
    return layer(x.astype("float32"), mask=mask)


def read_on(x, mask, W_xh, W_hh, b):
    """Forwards over a padded batch."""
    h, outputs = np.zeros((len(x), len(b))), np.zeros((*mask.shape, len(b)))
    for t in range(x.shape[1]):
        h = np.where(mask[:, t, None], np.tanh(x[:, t] @ W_xh + h @ W_hh + b), h)
        outputs[:, t] = h * mask[:, t, None]
    return outputs


def two_ways_by_turning_all(x, mask, forward_weights, backward_weights):
    back = read_on(x[:, ::-1], mask[:, ::-1], *backward_weights)[:, ::-1]
    return side_by_side(read_on(x, mask, *forward_weights), back)


def two_ways_by_moving_to_the_left(x, mask, forward_weights, backward_weights):
    """Unmasked steps are moved to the left; then only the lengths of the rows differ."""
    outputs = np.zeros((*mask.shape, 2 * len(forward_weights[2])))
    for row in range(len(x)):
        order = [t for t in range(x.shape[1]) if mask[row, t]]
        there = np.ones((1, len(order)), "bool")
        ahead = read_on(x[row : row + 1, order], there, *forward_weights)[0]
        back = read_on(x[row : row + 1, order[::-1]], there, *backward_weights)[0]
        for place, t in enumerate(order):
            outputs[row, t] = np.hstack([ahead[place], back[len(order) - 1 - place]])
    return outputs


def two_ways_by_selection(x, mask, forward_weights, backward_weights):
    halves, time = [], x.shape[1]
    for weights, order in ((forward_weights, range(time)), (backward_weights, range(time - 1, -1, -1))):
        h, half = np.zeros((len(x), len(weights[2]))), np.zeros((len(x), time, len(weights[2])))
        for t in order:
            rows = np.flatnonzero(mask[:, t])
            h[rows] = np.tanh(np.hstack([x[rows, t], h[rows]]) @ np.vstack(weights[:2]) + weights[2])
            half[rows, t] = h[rows]
        halves.append(half)
    return np.dstack(halves)


def two_ways_by_recursion(x, mask, forward_weights, backward_weights):
    def states(steps, h, W_xh, W_hh, b):
        if not steps:
            return []
        h = np.tanh(steps[0] @ W_xh + h @ W_hh + b)
        return [h, *states(steps[1:], h, W_xh, W_hh, b)]

    outputs = [[np.zeros(2 * len(forward_weights[2])) for _ in row] for row in mask]
    for row, line in enumerate(outputs):
        steps, start = list(x[row][mask[row]]), np.zeros(len(forward_weights[2]))
        ahead, back = states(steps, start, *forward_weights), states(steps[::-1], start, *backward_weights)
        both = iter(zip(ahead, reversed(back), strict=True))
        outputs[row] = [
            np.append(*next(both)) if counts else zero for zero, counts in zip(line, mask[row], strict=True)
        ]
    return outputs


def adder(forget, let_in, show, reset, empty=0.0):
    """Weights that are shut and opened by other amounts."""

    def resetting_adder():
        kernel = np.array([[0, 0, 0.25, 0], [2 * let_in, 0, 0, 0], [0, -reset, 0, 0]])
        return kernel.astype("float32"), np.full((1, 4), empty), [-let_in, forget, 0, show]

    return resetting_adder


def softmax_of_row(scores):
    powers = np.exp(np.array(scores) - max(scores))
    return powers / powers.sum()


def attend_by_loops(queries, memories, mask, W_a):
    alpha = np.zeros((*queries.shape[:2], memories.shape[1]))
    for b, t in np.ndindex(*queries.shape[:2]):
        if mask[b].any():
            alpha[b, t, mask[b]] = softmax_of_row([queries[b, t] @ W_a @ m for m in memories[b, mask[b]]])
    return alpha, np.array([[weights @ rows for weights in steps] for steps, rows in zip(alpha, memories, strict=True)])


def attend_by_layer(queries, memories, mask, W_a):
    layer = rnnkit.layers.LuongAttention(3, score="general")
    layer.build(queries.shape, memories.shape)
    layer.set_weights([W_a.T, layer.get_weights()[1]])
    found = layer(queries.astype("float32"), memories.astype("float32"), value_mask=mask)
    return found.alignment, found.context


def attend_with_keras_ops(queries, memories, mask, W_a):
    queries, memories, W_a = [ops.convert_to_tensor(array, "float32") for array in (queries, memories, W_a)]
    scores = ops.einsum("bqf,fg,bvg->bqv", queries, W_a, memories)
    alpha = ops.softmax(ops.where(mask[:, None], scores, -1e9), axis=-1) * mask[:, None]
    return alpha, ops.einsum("bqv,bvg->bqg", alpha, memories)


def attend_with_logarithms(queries, memories, mask, W_a):
    scores = np.einsum("bqf,bvf->bqv", queries, memories @ W_a.T)
    scores = np.where(mask[:, None], scores, -1e30)
    alpha = np.where(mask[:, None], np.exp(scores - np.logaddexp.reduce(scores, axis=2)[..., None]), 0)
    return alpha, np.matmul(alpha, memories)


def attend_by_rows_without_padding(queries, memories, mask, W_a):
    alpha = np.zeros((*queries.shape[:2], memories.shape[1]))
    contexts = np.zeros((*queries.shape[:2], memories.shape[2]))
    for b, counts in enumerate(mask):
        kept = memories[b][counts]
        if len(kept):
            weights = np.exp([row - row.max() for row in queries[b] @ W_a @ kept.T])
            alpha[b][:, counts] = weights / weights.sum(1)[:, None]
            contexts[b] = alpha[b][:, counts] @ kept
    return alpha, contexts


def greedy_by_rows(step, states, start, end, max_length):
    tokens = np.zeros((len(states[0]), max_length))
    for row in range(len(tokens)):
        own, said = [state[row : row + 1] for state in states], np.array([start])
        for t in range(max_length):
            logits, own = step(said, own)
            said = logits.argmax(axis=1)
            tokens[row, t] = said[0]
            if said[0] == end:
                break
    return tokens


def greedy_cut_off_at_last(step, states, start, end, max_length):
    said, columns = [start] * len(states[0]), []
    while len(columns) < max_length:
        logits, states = step(said, states)
        said = ops.convert_to_numpy(ops.argmax(logits, axis=-1))
        columns.append(said)
    tokens = np.array(columns).T
    ended_before = np.cumsum(tokens == end, axis=1) - (tokens == end) > 0
    return np.where(ended_before, 0, tokens)


def greedy_of_those_that_go_on(step, states, start, end, max_length):
    tokens, going = np.zeros((len(states[0]), max_length), "int32"), np.arange(len(states[0]))
    said = np.full(len(going), start)
    for t in range(max_length):
        if len(going):
            logits, states = step(said, states)
            said = logits.argmax(1)
            tokens[going, t] = said
            states, going, said = [s[said != end] for s in states], going[said != end], said[said != end]
    return tokens


def length_divisor(length, penalty):
    return ((5 + length) / 6) ** penalty


def log_softmax_of(logits):
    logits = np.array(logits)
    return logits - logits.max() - np.log(np.sum(np.exp(logits - logits.max())))


def beam_with_a_heap(step, states, start, end, width, max_length, penalty):
    beam = [(0.0, 0.0, (), states)]
    for _ in range(max_length):
        tried = []
        for number, (ranked, total, said, own) in enumerate(beam):
            if said[-1:] == (end,):
                tried.append((ranked, -number, 0, total, said, own))
                continue
            logits, new = step(said[-1] if said else start, own)
            for token, gain in enumerate(log_softmax_of(logits)):
                value = (total + gain) / length_divisor(len(said) + 1, penalty)
                tried.append((value, -number, -token, total + gain, (*said, token), new))
        best = heapq.nlargest(width, tried, key=lambda one: one[:3])
        beam = [(one[0], *one[3:]) for one in best]
    return np.array(beam[0][2]), beam[0][0]


def beam_in_arrays(step, states, start, end, width, max_length, penalty):
    said, totals, own = np.full((1, max_length + 1), start), np.zeros(1), [states]
    lengths, ended = np.zeros(1), np.zeros(1, bool)
    for t in range(max_length):
        stepped = [([0.0], old) if done else step(row[t], old) for row, old, done in zip(said, own, ended, strict=True)]
        vocabulary = max(len(logits) for logits, _ in stepped)
        gains = np.full((len(said), vocabulary), -np.inf)
        for row, (logits, _) in enumerate(stepped):
            gains[row, : len(logits)] = 0.0 if ended[row] else log_softmax_of(logits)
        lengths = lengths + ~ended
        ranked = (totals[:, None] + gains) / length_divisor(lengths, penalty)[:, None]
        places = np.argsort(-ranked, axis=None, kind="stable")[:width]
        places = places[np.isfinite(ranked.ravel()[places])]
        parents, tokens = np.divmod(places, vocabulary)
        totals, lengths = (totals[:, None] + gains)[parents, tokens], lengths[parents]
        said, own = said[parents].copy(), [stepped[parent][1] for parent in parents]
        said[:, t + 1] = np.where(ended[parents], end, tokens)
        ended = ended[parents] | (tokens == end)
    return said[0, 1 : 1 + int(lengths[0])], ranked.ravel()[places[0]]


def beam_of_chosen_tokens(step, states, start, end, width, max_length, penalty):
    """Only the best tokens of each sentence are tried: the others cannot live on."""
    beam = [{"said": [start], "total": 0.0, "states": states}]

    def rank(one):
        return one["total"] / length_divisor(len(one["said"]) - 1, penalty)

    for _ in range(max_length):
        following = [one for one in beam if one["said"][1:] and one["said"][-1] == end]
        for one in beam:
            if not one["said"][1:] or one["said"][-1] != end:
                logits, new = step(one["said"][-1], one["states"])
                log_p = log_softmax_of(logits)
                for token in np.argsort(-log_p)[:width]:
                    following.append(
                        {"said": [*one["said"], token], "total": one["total"] + log_p[token], "states": new}
                    )
        beam = sorted(following, key=rank)[::-1][:width]
    return beam[0]["said"][1:], rank(beam[0])


def beam_that_reads_again(step, states, start, end, width, max_length, penalty):
    """No states are kept: each sentence is read from the beginning again."""

    def log_p_after(said):
        own = states
        for token in (start, *said):
            logits, own = step(token, own)
        return log_softmax_of(logits)

    beam = {(): (0.0, 0.0)}
    for _ in range(max_length):
        tried = {}
        for said, (total, ranked) in beam.items():
            if said and said[-1] == end:
                tried[said] = total, ranked
            else:
                for token, gain in enumerate(log_p_after(said)):
                    tried[(*said, token)] = total + gain, (total + gain) / length_divisor(len(said) + 1, penalty)
        beam = dict(sorted(tried.items(), key=lambda item: item[1][1], reverse=True)[:width])
    said = max(beam, key=lambda one: beam[one][1])
    return list(said), beam[said][1]


def beam_that_stops_when_all_have_ended(step, states, start, end, width, max_length, penalty):
    done, going, t = [], [(0.0, [], states)], 0
    while going and t < max_length:
        t, tried = t + 1, list(done)
        for total, said, own in going:
            logits, new = step([start, *said][-1], own)
            log_p = ops.convert_to_numpy(ops.log_softmax(ops.convert_to_tensor(logits, "float32")))
            tried += [(total + gain, [*said, token], new) for token, gain in enumerate(log_p)]
        tried.sort(key=lambda one: one[0] / length_divisor(len(one[1]), penalty), reverse=True)
        done = [one for one in tried[:width] if one[1][-1] == end]
        going = [one for one in tried[:width] if one[1][-1] != end]
    best = max(done + going, key=lambda one: one[0] / length_divisor(len(one[1]), penalty))
    return best[1], best[0] / length_divisor(len(best[1]), penalty)


def all_paths(emissions, start, transitions, end):
    """Every path of one sentence with its score."""
    for path in itertools.product(range(len(start)), repeat=len(emissions)):
        score = start[path[0]] + end[path[-1]] + sum(row[tag] for row, tag in zip(emissions, path, strict=True))
        yield path, score + sum(transitions[pair] for pair in itertools.pairwise(path))


def partition_by_all_paths(emissions, mask, *scores):
    rows = [list(all_paths(row[counts], *scores)) for row, counts in zip(emissions, mask, strict=True)]
    return [np.logaddexp.reduce([score for _, score in paths]) for paths in rows]


def layer_of(start, transitions, end):
    crf = rnnkit.layers.CRF(len(start))
    crf.build((None, None, len(start)))
    for weight, value in zip((crf.start, crf.transitions, crf.end), (start, transitions, end), strict=True):
        weight.assign(value)
    return crf


def partition_by_layer(emissions, mask, *scores):
    return layer_of(*scores).log_partition(emissions.astype("float32"), mask)


def partition_from_the_end(emissions, mask, start, transitions, end):
    beta = np.tile(end, (len(emissions), 1))
    for t in reversed(range(1, emissions.shape[1])):
        before = np.logaddexp.reduce(transitions + (emissions[:, t] + beta)[:, None, :], axis=2)
        beta = np.where(mask[:, t, None], before, beta)
    return np.logaddexp.reduce(beta + start + emissions[:, 0], axis=1)


def partition_in_scaled_weights(emissions, mask, start, transitions, end):
    """Weights, not logarithms, divided at each word by their sum."""
    results = []
    for row, counts in zip(emissions, mask, strict=True):
        highest = row[counts].max(axis=1)
        weights = np.exp(row[counts] - highest[:, None])
        alpha, total = np.exp(start) * weights[0], highest.sum()
        for word in weights[1:]:
            total, alpha = total + np.log(alpha.sum()), alpha / alpha.sum()
            alpha = alpha @ np.exp(transitions) * word
        results.append(total + np.log(alpha @ np.exp(end)))
    return np.array(results)


def partition_with_keras_ops(emissions, mask, start, transitions, end):
    emissions, start, transitions, end = [
        ops.convert_to_tensor(array, "float32") for array in (emissions, start, transitions, end)
    ]
    alpha = start + emissions[:, 0]
    for t in range(1, emissions.shape[1]):
        new = ops.logsumexp(alpha[:, None] + ops.transpose(transitions), axis=2) + emissions[:, t]
        alpha = ops.where(mask[:, t : t + 1], new, alpha)
    return ops.logsumexp(alpha + end, axis=-1)


def path_of_one(emissions, start, transitions, end):
    """The best path of one sentence and its score, with whole paths instead of back pointers."""
    best = {k: (score, [k]) for k, score in enumerate(start + emissions[0])}
    for row in emissions[1:]:
        best = {
            k: max((score + transitions[j, k] + row[k], [*path, k]) for j, (score, path) in best.items())
            for k in range(len(end))
        }
    score, path = max((score + end[k], path) for k, (score, path) in best.items())
    return path, score


def padded_paths(mask, found):
    """Of rows of (path, score), what `best_path` returns."""
    tags = np.full(mask.shape, -1)
    for row, (path, _) in enumerate(found):
        tags[row, : len(path)] = path
    return tags, [score for _, score in found]


def path_by_whole_paths(emissions, mask, *scores):
    rows = zip(emissions, mask, strict=True)
    return padded_paths(mask, [path_of_one(row[counts], *scores) for row, counts in rows])


def path_from_the_end(emissions, mask, start, transitions, end):
    """The best rest of a path is computed first, so that the way back goes forward."""
    found = []
    for row, counts in zip(emissions, mask, strict=True):
        words = row[counts]
        rest = [end]
        for word in words[:0:-1]:
            rest.insert(0, np.max(transitions + word + rest[0], axis=1))
        path = [np.argmax(start + words[0] + rest[0])]
        for word, later in zip(words[1:], rest[1:], strict=True):
            path.append(np.argmax(transitions[path[-1]] + word + later))
        found.append((path, np.max(start + words[0] + rest[0])))
    return padded_paths(mask, found)


def path_by_layer(emissions, mask, *scores):
    path = layer_of(*scores).decode(emissions.astype("float32"), mask)
    return ops.where(mask, path.tags, -1), path.score


def path_by_recursion(emissions, mask, start, transitions, end):
    def best(words, last):
        """The best beginning that ends in a tag: its score and its tags."""
        if len(words) == 1:
            return start[last] + words[0, last], (last,)
        if (len(words), last) not in known:
            ways = [best(words[:-1], tag) for tag in range(len(end))]
            score, tags = max((score + transitions[tags[-1], last], tags) for score, tags in ways)
            known[len(words), last] = score + words[-1, last], (*tags, last)
        return known[len(words), last]

    found = []
    for row, counts in zip(emissions, mask, strict=True):
        known = {}
        whole = [best(row[counts], tag) for tag in range(len(end))]
        score, tags = max((score + end[tags[-1]], tags) for score, tags in whole)
        found.append((tags, score))
    return padded_paths(mask, found)


def path_with_a_bonus_for_staying(emissions, mask, start, transitions, end):
    """At padding, only the move from a tag to itself is free, and all others are forbidden."""
    stay = np.where(np.eye(len(end)), 0.0, -1e9)
    delta, back = start + emissions[:, 0], []
    for t in range(1, emissions.shape[1]):
        counts = mask[:, t, None, None]
        ways = delta[:, :, None] + np.where(counts, transitions, stay)
        back.append(np.argmax(ways, axis=1))
        delta = np.max(ways, axis=1) + emissions[:, t] * mask[:, t, None]
    path = [np.argmax(delta + end, axis=1)]
    for pointers in back[::-1]:
        path.insert(0, pointers[range(len(mask)), path[0]])
    return np.where(mask, np.array(path).T, -1), (delta + end).max(axis=1)


def scores_by_spans(true, predicted):
    there, said = [
        {(number, *span) for number, tags in enumerate(part) for span in tags_to_spans(tags)}
        for part in (true, predicted)
    ]
    if not there & said:
        return 0, 0, 0
    P, R = len(there & said) / len(said), len(there & said) / len(there)
    return [P, R, 2 / (1 / P + 1 / R)]


def scores_by_pattern(true, predicted):
    def entities(tags):
        return {match.span() + (match[1],) for match in re.finditer(r"B-(\w+)(?: I-\w+)*", " ".join(tags))}

    right = said = there = 0
    for one, other in zip(true, predicted, strict=True):
        # one letter and a type of three letters a tag, so that places in the text are places in the sentence
        one, other = [[tag if tag != "O" else "O----" for tag in tags] for tags in (one, other)]
        right += len(entities(one) & entities(other))
        said, there = said + len(entities(other)), there + len(entities(one))
    P, R = np.divide(right, said) if said else 0.0, right / there
    return P, R, 2 * P * R / (P + R) if right else 0.0


def scores_by_metric(true, predicted):
    tags = ["O", *[f"{prefix}-{kind}" for kind in ("PER", "ORG", "LOC") for prefix in "BI"]]
    metric = rnnkit.metrics.EntityF1(tags, ignore_class=-1)
    for one, other in zip(true, predicted, strict=True):
        metric.update_state([[tags.index(tag) for tag in one]], [[tags.index(tag) for tag in other]])
    micro = metric.report()["micro"]
    return micro.precision, micro.recall, micro.f1


def calibration_by_edges(confidence, is_right, bins):
    edges, total = np.linspace(0, 1, bins + 1), 0
    for k in range(bins):
        inside = (confidence >= edges[k]) & ((confidence < edges[k + 1]) | (k == bins - 1))
        if np.any(inside):
            total += abs(np.mean(confidence[inside]) - np.mean(is_right[inside])) * np.mean(inside)
    return total


def calibration_by_sums(confidence, is_right, bins):
    """The number of claims cancels out: what is left is the distance of two sums."""
    numbers = np.digitize(confidence, np.arange(1, bins) / bins)
    claimed, came = [np.bincount(numbers, weights, bins) for weights in (confidence, is_right)]
    return np.abs(claimed - came).sum() / len(numbers)


RIGHT = {
    "odd_one_out": [odd_by_pairs, odd_by_the_sum_of_all, odd_with_keras_ops],
    "draw_negatives": [negatives_by_walking, negatives_without_the_target, negatives_by_comparison],
    "negative_sampling_step": [
        sampling_by_differences,
        sampling_by_one_hot_products,
        sampling_with_one_list_of_rows,
        sampling_row_by_row,
        sampling_with_keras_ops,
    ],
    "best_with_delay": [delay_by_comparing_all, delay_by_unique_rows],
    "merge_runs": [runs_by_index, runs_step_by_step, runs_rolled, runs_in_lists, runs_with_keras_ops],
    "bidirectional_rows": [
        two_ways_by_the_layer,
        two_ways_by_turning_all,
        two_ways_by_moving_to_the_left,
        two_ways_by_selection,
        two_ways_by_recursion,
    ],
    "elman_backwards": [backwards_by_keras, backwards_by_recursion],
    "parcels": [parcels_by_products, parcels_by_columns],
    "keras_to_chung": [chung_by_loops],
    "damped": [damped_week_by_week],
    "in_pieces": [decode_loop],
    "lstm_step": [lstm_by_rows, lstm_cell_of_keras, lstm_with_keras_ops, lstm_gate_by_gate, lstm_in_lists],
    "run_masked": [
        masked_by_rows,
        masked_in_place,
        masked_by_a_product,
        masked_by_keras_ops,
        masked_by_selection,
    ],
    "elman_gradients": [
        gradients_by_differences,
        gradients_in_one_product,
        gradients_by_jacobians,
        gradients_by_recursion,
        gradients_in_loops_over_units,
    ],
    "truncated_gradient": [
        truncated_by_differences,
        truncated_by_jacobians,
        truncated_by_whole_windows,
        truncated_in_one_product,
        truncated_loss_by_loss,
    ],
    "keras_gru_step": [gru_cell_of_keras, gru_cell_of_pytorch, gru_gate_by_gate, gru_by_rows, gru_with_keras_ops],
    "one_step_at_a_time": [
        stack_layer_by_layer,
        stack_with_nested_states,
        stack_by_recursion,
        stack_by_rows,
        stack_projected_at_once,
    ],
    "resetting_adder": [
        adder(10, 12, 9, 20),
        adder(12, 14, 12, 30),
        adder(20, 20, 20, 60),
        adder(9, 12, 12, 18, empty=0.01),
        adder(15, 11, 8, 40),
    ],
    "attend": [
        attend_by_loops,
        attend_by_layer,
        attend_with_keras_ops,
        attend_with_logarithms,
        attend_by_rows_without_padding,
    ],
    "greedy_by_hand": [greedy_by_rows, greedy_cut_off_at_last, greedy_of_those_that_go_on],
    "beam_by_hand": [
        beam_with_a_heap,
        beam_in_arrays,
        beam_of_chosen_tokens,
        beam_that_reads_again,
        beam_that_stops_when_all_have_ended,
    ],
    "log_partition": [
        partition_by_all_paths,
        partition_by_layer,
        partition_from_the_end,
        partition_in_scaled_weights,
        partition_with_keras_ops,
    ],
    "best_path": [
        path_by_whole_paths,
        path_from_the_end,
        path_by_layer,
        path_by_recursion,
        path_with_a_bonus_for_staying,
    ],
    "entity_scores": [scores_by_spans, scores_by_pattern, scores_by_metric],
    "calibration_error": [calibration_by_edges, calibration_by_sums],
}


@pytest.mark.parametrize(
    ("name", "function"), [(name, function) for name, functions in RIGHT.items() for function in functions]
)
def test_other_right_solutions_pass(name, function):
    assert CHECKS[name].find_mistake(function) is None


def test_the_adder_is_measured_as_the_layer_computes():
    weights = checks.resetting_adder.reference()
    layer = rnnkit.layers.LSTM(1)
    layer.build((None, None, 3))
    layer.set_weights(weights)
    for sequence in SEQUENCES.values():
        expected = layer(np.array([sequence], "float32"))[0, 0]
        assert abs(last_h(sequence, *weights) - ops.convert_to_numpy(expected)) < 1e-5


# --------------------------------------------------------------------------------------------- wrong in other ways


def message(function, check=checks.lstm_step):
    return str(check.find_mistake(function))


def test_a_wrong_number_or_kind_of_values_is_reported():
    assert message(lambda *a: None) == "lstm_step returns None. Does it end in `return ...`?"
    assert "should return 2 values, h, C; it returns one (float)" in message(lambda *a: 1.0)
    assert "it returns 3 values" in message(lambda *a: (1.0, 2.0, 3.0))
    assert "lstm_step: C is None." in message(lambda x, h, C, *a: (h, None))
    assert "C should be an array of numbers, all rows equally long; received list" in message(
        lambda x, h, C, *a: (h, [[1.0], [1.0, 2.0]])
    )
    assert "h should be an array of numbers, all rows equally long; received str" in message(lambda *a: ("h", "C"))
    states = checks.one_step_at_a_time
    assert "states should be a list of arrays, received ndarray" in message(
        lambda cells, x, *a: (x, np.zeros((1, 3, 4))), states
    )
    assert "expected 2 arrays, received 3. Return outputs, states[0]." in message(
        lambda c, x, s, r: (x, [*s, *s]), states
    )


def test_wrong_shapes_and_dtypes_are_reported():
    right = function_in(SOLUTIONS["lstm_step"][0], "lstm_step")
    assert "h should have the shape (batch, units) = (3, 4), but has (12,)." in message(
        lambda *a: (right(*a)[0].ravel(), right(*a)[1])
    )
    assert "C is right." in message(lambda *a: (right(*a)[0].ravel(), right(*a)[1]))
    assert "C holds whole numbers (int64), so all decimals are cut off" in message(
        lambda *a: (right(*a)[0], right(*a)[1].astype("int64"))
    )
    assert "too coarse in float16" in message(lambda *a: tuple(array.astype("float16") for array in right(*a)))
    assert "h holds nan (such as 0 / 0) everywhere" in message(lambda *a: (np.nan * right(*a)[0], right(*a)[1]))
    assert message(lambda *a: tuple(array.astype("float32") for array in right(*a))) == "None"


def test_the_place_of_a_difference_is_reported():
    right = function_in(SOLUTIONS["run_masked"][0], "run_masked")

    def late(*arguments):
        outputs, h, C = right(*arguments)
        outputs[1, 3:, 2] += 1
        return outputs, h, C

    text = message(late, checks.run_masked)
    assert "Wrong: no padding; called with step (function), x (3, 6, 5), mask (3, 6), units = 4." in text
    assert "outputs is wrong in row 1, steps 3 to 5 and unit 2 (counted from 0)." in text
    assert "h and C are right." in text and "Why" not in text


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda h, C: (C, h), "the values are not returned in the order h, C"),
        (lambda h, C: (-h, C), "the sign of h is wrong"),
        (lambda h, C: (h.T, C.T), "the axes of h and C are swapped"),
        (lambda h, C: (h[:, ::-1], C), "h is turned around along its axis `units`"),
        (lambda h, C: (h, C / 3), "all of C is multiplied by a number"),
    ],
)
def test_what_the_numbers_alone_reveal(change, sentence):
    right = function_in(SOLUTIONS["lstm_step"][0], "lstm_step")
    assert f"This is what you get if {sentence}" in message(lambda *arguments: change(*right(*arguments)))


def broken(x, h, C, kernel, recurrent_kernel, bias):
    return helper_of_broken(x, kernel, h)


def helper_of_broken(x, kernel, h):
    return x @ kernel + h


def test_an_exception_is_reported_with_its_line():
    text = message(broken)
    number = helper_of_broken.__code__.co_firstlineno + 1
    assert text.startswith(f"lstm_step stops in line {number}, `return x @ kernel + h`, with\n  ValueError: ")
    assert "It was called with x (3, 5), h (3, 4), C (3, 4), kernel (5, 16)" in text
    assert "lstm_step stops before its first line, with\n  TypeError: " in message(lambda x, h: x)
    assert "adds a missing axis" in text


def test_sentences_are_counted_not_shown():
    text = message(lambda true, predicted: (1.0, 1.0, 1.0), checks.entity_scores)
    assert "Wrong: one name found, and one cut short; called with true (1,), predicted (1,)." in text


def test_an_exception_in_a_later_case_is_reported_with_what_was_right():
    solution = function_in(SOLUTIONS["run_masked"][0], "run_masked")

    def only_full(step, x, mask, units):
        if not mask.all():
            raise ValueError("padding")
        return solution(step, x, mask, units)

    assert message(only_full, checks.run_masked).endswith("Right until then: no padding.")


def test_what_is_not_a_function_is_reported():
    assert message(3) == "lstm_step: expected the function itself, checks.lstm_step(lstm_step), received int."


def test_arguments_must_stay_as_they_are():
    right = function_in(SOLUTIONS["lstm_step"][0], "lstm_step")

    def greedy(x, h, C, *weights):
        h_new, C[:] = right(x, h, C, *weights)
        return h_new, C

    assert "returns the right numbers, but changes its arguments: C." in message(greedy)
    solution = function_in(SOLUTIONS["one_step_at_a_time"][0], "one_step_at_a_time")

    def keeps_in_the_list(cells, x, states, residual):
        outputs, states[:] = solution(cells, x, states, residual)
        return outputs, states

    assert "changes its arguments: states." in message(keeps_in_the_list, checks.one_step_at_a_time)


def test_a_buffer_that_is_used_again_is_judged_as_it_was_returned():
    right, buffers = function_in(SOLUTIONS["elman_backwards"][0], "elman_backwards"), np.zeros((9, 9))

    def into_a_buffer(x, W_xh, W_hh):
        view = buffers[: len(x), : len(W_hh)]
        view[:] = right(x, W_xh, W_hh)
        return view

    assert message(into_a_buffer, checks.elman_backwards) == "None"


def test_a_second_call_must_give_the_same():
    right, calls = function_in(SOLUTIONS["lstm_step"][0], "lstm_step"), []

    def remembers(*arguments):
        calls.append(1)
        h, C = right(*arguments)
        return h + (len(calls) > 3), C

    assert "returns something else when it is called again with the same arguments" in message(remembers)


def test_a_mistake_is_an_assertion_error_shown_as_its_words():
    with pytest.raises(AssertionError) as caught:
        checks.lstm_step(lambda *arguments: None)
    assert caught.value._render_traceback_() == str(caught.value).splitlines()
    assert len(caught.traceback) == 2  # the call and the line that raises, nothing deeper


def test_a_check_says_what_it_is():
    assert repr(checks.lstm_step) == "rnnkit.course.checks.lstm_step"
    assert repr(checks.KnownMistake("too much", ("a", "b"))) == "KnownMistake('too much')"
    assert "exercise `lstm_step`" in checks.lstm_step.__doc__
