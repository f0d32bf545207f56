"""What layers made of layers must do (`Bidirectional`, `Stacked`, and `LearnedInitialState` around them).

The oracle runs each row alone, over its unmasked steps and nothing else, without any mask. A test module has functions
`make(**options)` that make a layer with these `return_sequences` and `return_state`, and runs all of `CHECKS` on them.
"""

import keras
import numpy as np
from keras import ops, tree

from rnnkit import backend
from rnnkit.layers import GRU, LSTM, Elman, LearnedInitialState, Stacked
from tests import oracles
from tests.layer_checks import BATCH, FEATURES, TIME, filled, masks, sequences, stateless, to_numpy

STEPS = {LSTM: oracles.lstm_step, GRU: oracles.gru_keras_step, Elman: oracles.elman_step}
CELL_STEPS = {"LSTMCell": oracles.lstm_step, "GRUCell": oracles.gru_keras_step, "ElmanCell": oracles.elman_step}
MERGE = {
    "concat": lambda a, b: np.concatenate([a, b], axis=-1),
    "sum": np.add,
    "mul": np.multiply,
    "ave": lambda a, b: (a + b) / 2,
    None: lambda a, b: np.stack([a, b]),
}


def batches():
    """Sequences without a mask, and in one batch those under all masks, as every layer runs each row by itself."""
    x, (_, *under_masks) = sequences(), [mask for _, mask in masks()]
    return [(x, None), (np.concatenate([x] * len(under_masks)), np.concatenate(under_masks))]


def sizes(layer):
    """Features of each state."""
    if isinstance(layer, keras.layers.Wrapper):
        return sizes(layer.layer)
    if isinstance(layer, keras.layers.Bidirectional):
        return sizes(layer.forward_layer) + sizes(layer.backward_layer)
    if isinstance(layer, Stacked):
        return [size for inner in layer.layers for size in sizes(inner)]
    return tree.flatten(layer.cell.state_size)


def random_states(layer, batch=BATCH, seed=3):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(batch, size)).astype("float32") for size in sizes(layer)]


def run(layer, weights, x, states):
    """Outputs of all steps in the order of the run, and last states, without a mask; takes the weights from a list."""
    if isinstance(layer, LearnedInitialState):
        del weights[: len(layer.initial_states)]  # not used if states are given
        return run(layer.layer, weights, x, states)
    if isinstance(layer, keras.layers.Bidirectional):
        there, last = run(layer.forward_layer, weights, x, states)
        back, last_back = run(layer.backward_layer, weights, x, states)
        return MERGE[layer.merge_mode](there, back[:, ::-1]), last + last_back
    if isinstance(layer, Stacked):
        last = []
        x = x[:, ::-1] if layer.go_backwards else x
        for index, inner in enumerate(layer.layers):
            y, inner_last = run(inner, weights, x, states)
            x = x + y if layer.residual and index > 0 else y
            last += inner_last
        return x, last
    last = []
    for cell in getattr(layer.cell, "cells", [layer.cell]):
        weights_here = [weights.pop(0) for _ in cell.weights]
        states_here = [states.pop(0) for _ in tree.flatten(cell.state_size)]
        step = CELL_STEPS[type(cell).__name__]
        x, cell_last = oracles.run(step, weights_here, x, states_here, go_backwards=layer.go_backwards)
        last += cell_last
    return x, last


def rows_alone(layer, weights, x, states, mask):
    """`run` for each row over its unmasked steps: outputs in the order of the run, zeros elsewhere; last states."""
    rows = []
    for b in range(len(x)):
        unmasked = np.ones(TIME, bool) if mask is None else mask[b]
        row_states = [np.asarray(state[b : b + 1], "float64") for state in states]
        if not unmasked.any():
            rows.append((None, row_states))
            continue
        y, last = run(layer, list(weights), x[b : b + 1, unmasked], list(row_states))
        outputs = np.zeros((*y.shape[:-2], TIME, y.shape[-1]))
        outputs[..., in_order_of_run(layer, unmasked), :] = y
        rows.append((outputs, last))
    zeros = np.zeros_like(next(outputs for outputs, _ in rows if outputs is not None))
    outputs = np.concatenate([zeros if outputs is None else outputs for outputs, _ in rows], axis=-3)
    return outputs, [np.concatenate(column) for column in zip(*(last for _, last in rows), strict=True)]


def in_order_of_run(layer, mask):
    return mask[..., ::-1] if getattr(layer, "go_backwards", False) else mask


def masked_to_zero(outputs, mask, layer):
    return outputs if mask is None else np.where(in_order_of_run(layer, mask)[..., None], outputs, 0.0)


def outputs_and_states(layer, *args, **kwargs):
    """As NumPy arrays; the outputs of the two directions of `merge_mode=None` stacked."""
    values = [to_numpy(value) for value in layer(*args, **kwargs)]
    count = len(sizes(layer))
    outputs = values[:-count]
    return (np.stack(outputs) if len(outputs) > 1 else outputs[0]), values[-count:]


def values_equal_the_oracle(make):
    layer = filled(make(return_sequences=True, return_state=True))
    for x, mask in batches():
        states = random_states(layer, len(x))
        expected, expected_states = rows_alone(layer, layer.get_weights(), x, states, mask)
        outputs, last = outputs_and_states(layer, x, initial_state=states, mask=mask)
        assert outputs.shape == expected.shape
        np.testing.assert_allclose(masked_to_zero(outputs, mask, layer), expected, atol=4e-6)
        for state, expected_state in zip(last, expected_states, strict=True):
            np.testing.assert_allclose(state, expected_state, atol=4e-6)


def last_outputs(layer, weights, x, states, mask):
    """The output of each row at its last unmasked step in the order of the run, or in the order of each direction."""
    if isinstance(layer, keras.layers.Bidirectional):
        of_weights, of_states = len(layer.forward_layer.get_weights()), len(sizes(layer.forward_layer))
        there = last_outputs(layer.forward_layer, weights[:of_weights], x, states[:of_states], mask)
        back = last_outputs(layer.backward_layer, weights[of_weights:], x, states[of_states:], mask)
        return MERGE[layer.merge_mode](there, back)
    outputs, _ = rows_alone(layer, weights, x, states, mask)
    mask = np.ones(x.shape[:2], bool) if mask is None else in_order_of_run(layer, mask)
    return np.stack([y[steps][-1] if steps.any() else 0 * y[0] for y, steps in zip(outputs, mask, strict=True)])


def last_outputs_equal_the_oracle(make):
    layer = filled(make(return_state=True))
    for x, mask in batches():
        states = random_states(layer, len(x))
        expected = last_outputs(layer, layer.get_weights(), x, states, mask)
        _, expected_states = rows_alone(layer, layer.get_weights(), x, states, mask)
        outputs, last = outputs_and_states(layer, x, initial_state=states, mask=mask)
        np.testing.assert_allclose(outputs, expected, atol=4e-6)
        for state, expected_state in zip(last, expected_states, strict=True):
            np.testing.assert_allclose(state, expected_state, atol=4e-6)


def masked_steps_return_zeros_or_the_output_before(make):
    layer = filled(make(return_sequences=True))
    x, mask = batches()[1]
    outputs = np.stack([to_numpy(value) for value in tree.flatten(layer(x, mask=mask))])
    for b, t in zip(*np.nonzero(~in_order_of_run(layer, mask)), strict=True):
        here, before = outputs[:, b, t], outputs[:, b, t - 1] if t else 0.0
        assert not here.any() or (here == before).all(), (b, t)


def gradients_equal_finite_differences_of_the_oracle(make):
    layer, rng = filled(make(return_sequences=True, return_state=True)), np.random.default_rng(5)
    weights = layer.get_weights()
    for x, mask in batches():
        states = random_states(layer, len(x))
        outputs, _ = rows_alone(layer, weights, x, states, mask)
        coefficients = [masked_to_zero(rng.normal(size=outputs.shape), mask, layer)]
        coefficients += [rng.normal(size=state.shape) for state in states]

        def loss(*tensors, x=x, mask=mask, coefficients=coefficients):
            values, _ = stateless(
                layer, tensors[: len(weights)], x, initial_state=list(tensors[len(weights) :]), mask=mask
            )
            count = len(values) - len(sizes(layer))
            values = [values[0] if count == 1 else ops.stack(values[:count]), *values[count:]]
            return sum(
                ops.sum(v * ops.convert_to_tensor(c, "float32")) for v, c in zip(values, coefficients, strict=True)
            )

        tensors = [*weights, *states]
        gradients = backend.gradient(loss, [ops.convert_to_tensor(array) for array in tensors])
        for index, gradient in enumerate(gradients):
            direction = rng.normal(size=tensors[index].shape)

            def oracle_loss(distance, index=index, direction=direction, x=x, mask=mask, states=states, c=coefficients):
                moved = [np.asarray(array, "float64") for array in [*weights, *states]]
                moved[index] = moved[index] + distance * direction
                outputs, last = rows_alone(layer, moved[: len(weights)], x, moved[len(weights) :], mask)
                return sum((value * factor).sum() for value, factor in zip([outputs, *last], c, strict=True))

            expected = (oracle_loss(1e-5) - oracle_loss(-1e-5)) / 2e-5
            found = float((to_numpy(gradient) * direction).sum())
            np.testing.assert_allclose(found, expected, rtol=2e-5, atol=5e-5, err_msg=f"tensor {index}")


def garbage_in_the_padding_changes_nothing(make):
    layer = filled(make(return_sequences=True, return_state=True))
    x, mask = batches()[1]
    clean = [to_numpy(value) for value in layer(x, mask=mask)]
    for garbage in (1e6, np.nan):
        dirty = np.where(mask[..., None], x, garbage).astype("float32")
        for expected, value in zip(clean, layer(dirty, mask=mask), strict=True):
            np.testing.assert_array_equal(to_numpy(value), expected, err_msg=str(garbage))

    def loss(*weights):
        return sum(ops.sum(ops.square(value)) for value in stateless(layer, weights, dirty, mask=mask)[0])

    weights = [ops.convert_to_tensor(weight) for weight in layer.get_weights()]
    assert all(np.isfinite(to_numpy(gradient)).all() for gradient in backend.gradient(loss, weights))


def symbolic_equals_eager_on_an_unknown_time_axis(make):
    holes = masks()[3][1]
    for options, time in (
        ({}, 2),
        ({"return_sequences": True}, 2),
        ({"return_sequences": True, "return_state": True}, TIME),
    ):
        layer = filled(make(**options))
        inputs, mask = keras.Input((None, FEATURES)), keras.Input((None,), dtype="bool")
        outputs = tree.flatten(layer(inputs, mask=mask))
        eager = tree.flatten(layer(sequences()[:, :time], mask=holes[:, :time]))
        computed = tree.flatten(tree.map_shape_structure(tuple, layer.compute_output_shape((BATCH, time, FEATURES))))
        shapes = [tuple(value.shape) for value in eager]
        assert computed == [size for shape in shapes for size in shape]
        for symbolic, shape in zip(outputs, shapes, strict=True):
            assert all(a is None or a == b for a, b in zip(symbolic.shape, shape, strict=True))
            assert symbolic.shape[-1] == shape[-1]
    model = keras.Model([inputs, mask], outputs)
    for in_graph, value in zip(model.predict_on_batch([sequences(), holes]), eager, strict=True):
        np.testing.assert_allclose(in_graph, to_numpy(value), atol=2e-6)


def config_makes_the_same_layer(make):
    layer = filled(make(return_sequences=True, name="mine"))
    twin = filled(type(layer).from_config(layer.get_config()))
    assert twin.get_config() == layer.get_config()
    twin.set_weights(layer.get_weights())
    x = sequences()[:, :3]
    for value, same in zip(tree.flatten(twin(x)), tree.flatten(layer(x)), strict=True):
        np.testing.assert_array_equal(to_numpy(value), to_numpy(same))


def training_goes_on_after_a_reload(make, folder):
    x, y = sequences(), sequences()[:, :, :1]
    inputs, mask = keras.Input((None, FEATURES)), keras.Input((None,), dtype="bool")
    outputs = tree.flatten(filled(make(return_sequences=True))(inputs, mask=mask))
    model = keras.Model([inputs, mask], keras.layers.Dense(1)(keras.layers.concatenate(outputs)))
    model.compile(keras.optimizers.Adam(0.01), loss="mse", run_eagerly=True)
    data = [x, masks()[3][1]], y
    first = model.train_on_batch(*data)
    model.save(folder / "model.keras")
    loaded = keras.saving.load_model(folder / "model.keras")  # safe mode is the default
    losses = [model.train_on_batch(*data) for _ in range(2)]
    np.testing.assert_allclose([loaded.train_on_batch(*data) for _ in range(2)], losses, rtol=1e-6)
    assert losses[-1] < losses[0] < first


def works_in_mixed_precision(make):
    mask = masks()[3][1]
    expected = [
        to_numpy(value) for value in filled(make(return_sequences=True, return_state=True))(sequences(), mask=mask)
    ]
    for policy, tolerance in (("mixed_float16", 0.02), ("mixed_bfloat16", 0.15)):
        previous = keras.config.dtype_policy()
        keras.config.set_dtype_policy(policy)
        try:
            layer = filled(make(return_sequences=True, return_state=True))
        finally:
            keras.config.set_dtype_policy(previous)
        assert all(weight.dtype == "float32" for weight in layer.weights)
        for value, same in zip(layer(sequences(), mask=mask), expected, strict=True):
            assert keras.backend.standardize_dtype(value.dtype) == policy.removeprefix("mixed_")
            np.testing.assert_allclose(to_numpy(ops.cast(value, "float32")), same, atol=tolerance)


CHECKS = [
    values_equal_the_oracle,
    last_outputs_equal_the_oracle,
    masked_steps_return_zeros_or_the_output_before,
    gradients_equal_finite_differences_of_the_oracle,
    garbage_in_the_padding_changes_nothing,
    symbolic_equals_eager_on_an_unknown_time_axis,
    config_makes_the_same_layer,
    works_in_mixed_precision,
]
