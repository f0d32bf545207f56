"""What every recurrent layer of rnnkit is held to. A test module makes a `Case` and runs all of `CHECKS` on it."""

import inspect
import pathlib
import tempfile
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
import pytest
from keras import ops

from rnnkit import backend
from rnnkit.layers import Bidirectional
from tests import oracles

BATCH, TIME, FEATURES = 5, 6, 3

EAGER = keras.backend.backend() != "jax"  # for a few steps of training: what takes less time

MASKS = {
    "none": None,
    "right": np.array(
        [[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0], [1, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0], [1, 1, 1, 1, 1, 0]]
    ),
    "left": np.array(
        [[1, 1, 1, 1, 1, 1], [0, 0, 1, 1, 1, 1], [0, 0, 0, 0, 0, 1], [0, 0, 0, 0, 1, 1], [0, 1, 1, 1, 1, 1]]
    ),
    "holes": np.array(
        [[1, 0, 1, 1, 0, 1], [0, 1, 0, 1, 0, 1], [1, 1, 0, 0, 1, 1], [0, 0, 1, 1, 0, 0], [1, 1, 1, 0, 1, 1]]
    ),
    "empty rows": np.array([[1, 1, 1, 0, 0, 0], [0, 0, 0, 0, 0, 0], [1] * 6, [0, 0, 0, 0, 0, 0], [0, 1, 1, 0, 1, 0]]),
}

KERAS_ARGUMENTS = {  # what all recurrent layers of Keras take, none at its default
    "activation": "relu",
    "use_bias": False,
    "kernel_initializer": "he_normal",
    "recurrent_initializer": "glorot_normal",
    "bias_initializer": "ones",
    "kernel_regularizer": "l1",
    "recurrent_regularizer": "l2",
    "bias_regularizer": "l1",
    "activity_regularizer": "l2",
    "kernel_constraint": "max_norm",
    "recurrent_constraint": "non_neg",
    "bias_constraint": "max_norm",
    "dropout": 0.1,
    "recurrent_dropout": 0.2,
    "seed": 3,
    "return_sequences": True,
    "return_state": True,
    "go_backwards": True,
    "stateful": True,
    "unroll": True,
}


@dataclass
class Case:
    """A layer and its oracle: `make(**kwargs)` builds the layer, `step` is its equation in `tests/oracles.py`."""

    make: Callable
    step: Callable
    state_sizes: list
    draws_in_training: bool = False  # two training runs are not the same

    def layer(self, **kwargs):
        return filled(self.make(**kwargs))

    def states(self, seed=3):
        rng = np.random.default_rng(seed)
        return [rng.normal(size=(BATCH, size)).astype("float32") for size in self.state_sizes]


def filled(layer, batch=None):
    """The layer, built, with random weights."""
    layer.build((batch, None, FEATURES))
    rng = np.random.default_rng(7)
    layer.set_weights([rng.normal(scale=0.6, size=weight.shape) for weight in layer.get_weights()])
    return layer


def sequences(seed=1):
    return np.random.default_rng(seed).normal(size=(BATCH, TIME, FEATURES)).astype("float32")


def masks():
    return [(name, None if mask is None else mask.astype(bool)) for name, mask in MASKS.items()]


def values_equal_the_oracle(case):
    x, states = sequences(), case.states()
    for name, mask in masks():
        for options in ({}, {"go_backwards": True, "zero_output_for_mask": True}, {"unroll": True}):
            if "unroll" in options and name not in ("none", "empty rows"):
                continue  # another loop, but the same step
            layer = case.layer(return_sequences=True, return_state=True, **options)
            options.pop("unroll", None)
            expected, expected_states = oracles.run(case.step, layer.get_weights(), x, states, mask, **options)
            outputs, *last = layer(x, initial_state=states, mask=mask)
            assert tuple(outputs.shape) == expected.shape
            np.testing.assert_allclose(to_numpy(outputs), expected, atol=2e-6, err_msg=f"mask: {name}, {options}")
            for state, expected_state in zip(last, expected_states, strict=True):
                np.testing.assert_allclose(to_numpy(state), expected_state, atol=2e-6, err_msg=f"mask: {name}")
            alone = case.layer(return_sequences=False, **options)(x, initial_state=states, mask=mask)
            np.testing.assert_allclose(to_numpy(alone), expected[:, -1], atol=2e-6, err_msg=f"mask: {name}, {options}")


def gradients_equal_finite_differences_of_the_oracle(case):
    x, states = sequences()[:3, :4], [state[:3] for state in case.states()]
    coefficients = np.random.default_rng(5).normal(size=(3, 4, oracle_output(case, x, states).shape[-1]))
    layer = case.layer(return_sequences=True)
    weights = layer.get_weights()
    for name, mask in masks():
        mask = None if mask is None else mask[:3, :4]

        def loss(*tensors, mask=mask):
            *weights, x, state = tensors
            rest = [ops.convert_to_tensor(s) for s in states[1:]]
            outputs, _ = stateless(layer, weights, x, initial_state=[state, *rest], mask=mask)
            return ops.sum(outputs * ops.convert_to_tensor(coefficients, "float32"))

        inputs = [*weights, x, states[0]]
        gradients = backend.gradient(loss, [ops.convert_to_tensor(array) for array in inputs])
        for index, gradient in enumerate(gradients):

            def oracle_loss(array, index=index, inputs=inputs, mask=mask):
                *weights, x, state = [*inputs[:index], array, *inputs[index + 1 :]]
                outputs, _ = oracles.run(case.step, weights, x, [state, *states[1:]], mask)
                return float((outputs * coefficients).sum())

            expected = oracles.numerical_gradient(oracle_loss, inputs[index])
            np.testing.assert_allclose(to_numpy(gradient), expected, atol=2e-5, err_msg=f"mask: {name}, tensor {index}")


def garbage_in_the_padding_changes_nothing(case):
    x = sequences()
    layer = case.layer(return_sequences=True, return_state=True, zero_output_for_mask=True)
    for name, mask in masks()[1:]:
        clean = layer(np.where(mask[..., None], x, 0.0).astype("float32"), mask=mask)
        garbage = np.resize([1e6, -np.inf, np.nan, np.inf], x.shape)
        dirty = np.where(mask[..., None], x, garbage).astype("float32")
        for expected, value in zip(clean, layer(dirty, mask=mask), strict=True):
            np.testing.assert_array_equal(to_numpy(value), to_numpy(expected), err_msg=name)

        def loss(*weights, dirty=dirty, mask=mask):
            return ops.sum(ops.square(stateless(layer, weights, dirty, mask=mask)[0][0]))

        weights = [ops.convert_to_tensor(weight) for weight in layer.get_weights()]
        assert all(np.isfinite(to_numpy(g)).all() for g in backend.gradient(loss, weights)), name


def symbolic_shapes_equal_eager_ones(case):
    for time in (TIME, None):
        for options in ({}, {"return_sequences": True}, {"return_sequences": True, "return_state": True}):
            layer = case.layer(**options)
            inputs = keras.Input((time, FEATURES))
            model = keras.Model(inputs, layer(inputs))
            x = sequences()
            for symbolic, eager in zip(_list(model.output), _list(layer(x)), strict=True):
                assert [a for a in symbolic.shape if a] == [
                    b for a, b in zip(symbolic.shape, eager.shape, strict=True) if a
                ]
        for in_graph, eager in zip(model.predict_on_batch(x), layer(x), strict=True):
            np.testing.assert_allclose(in_graph, to_numpy(eager), atol=1e-6)


def config_makes_the_same_layer(case):
    layer = case.layer(return_sequences=True, go_backwards=True, name="mine")
    twin = type(layer).from_config(layer.get_config())
    assert twin.get_config() == layer.get_config()
    twin.build((None, None, FEATURES))
    twin.set_weights(layer.get_weights())
    np.testing.assert_array_equal(to_numpy(twin(sequences())), to_numpy(layer(sequences())))


def saved_model_is_the_same_model(case):
    inputs = keras.Input((None, FEATURES))
    outputs, *states = case.layer(return_sequences=True, return_state=True)(inputs)
    model = keras.Model(inputs, [keras.layers.Dense(2)(outputs), *states])
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.keras"
        model.save(path)
        loaded = keras.saving.load_model(path)  # safe mode is the default
    for expected, value in zip(
        model.predict(sequences(), verbose=0), loaded.predict(sequences(), verbose=0), strict=True
    ):
        np.testing.assert_array_equal(value, expected)


def trains_with_fit(case):
    x = np.concatenate([sequences(seed) for seed in range(8)])
    y = x[:, :, :1].cumsum(axis=1) / 3
    keras.utils.set_random_seed(0)
    model = keras.Sequential([case.layer(return_sequences=True), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.02), loss="mse")
    losses = model.fit(x, y, epochs=8, batch_size=8, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0], losses


def works_in_mixed_precision(case):
    mask = MASKS["holes"].astype(bool)
    expected = to_numpy(case.layer(return_sequences=True)(sequences(), mask=mask))
    for policy, tolerance in (("mixed_float16", 0.01), ("mixed_bfloat16", 0.08)):
        layer = case.layer(return_sequences=True, return_state=True, dtype=policy)
        outputs, *states = layer(sequences(), mask=mask)
        compute_dtype = policy.removeprefix("mixed_")
        assert keras.backend.standardize_dtype(outputs.dtype) == compute_dtype
        assert all(keras.backend.standardize_dtype(state.dtype) == compute_dtype for state in states)
        assert all(weight.dtype == "float32" for weight in layer.weights)
        np.testing.assert_allclose(to_numpy(ops.cast(outputs, "float32")), expected, atol=tolerance)


def works_inside_bidirectional(case):
    x, layer = sequences(), case.layer(return_sequences=True)
    for name, mask in masks():
        both = keras.layers.Bidirectional(case.make(return_sequences=True))
        both.build(x.shape)
        forward, backward = layer.get_weights(), [0.5 * weight for weight in layer.get_weights()]
        both.set_weights(forward + backward)
        states = [np.zeros((BATCH, size)) for size in case.state_sizes]
        there, _ = oracles.run(case.step, forward, x, states, mask, zero_output_for_mask=True)
        back, _ = oracles.run(case.step, backward, x, states, mask, go_backwards=True, zero_output_for_mask=True)
        expected = np.concatenate([there, back[:, ::-1]], axis=-1)
        np.testing.assert_allclose(to_numpy(both(x, mask=mask)), expected, atol=2e-6, err_msg=f"mask: {name}")


def works_in_a_stack(case):
    x = sequences()
    first = case.layer(return_sequences=True)
    second = case.make(return_sequences=True)
    for name, mask in masks():
        outputs = second(first(x, mask=mask), mask=mask)
        states = [np.zeros((BATCH, size)) for size in case.state_sizes]
        lower, _ = oracles.run(case.step, first.get_weights(), x, states, mask)
        expected, _ = oracles.run(case.step, second.get_weights(), lower, states, mask)
        np.testing.assert_allclose(to_numpy(outputs), expected, atol=4e-6, err_msg=f"mask: {name}")


def the_cell_works_in_keras_rnn(case):
    layer = case.layer(return_sequences=True)
    keras_layer = keras.layers.RNN(layer.cell, return_sequences=True)
    one_size = layer.cell.state_size == [layer.cell.output_size]
    for name, mask in masks():
        if mask is not None and not one_size and keras.backend.backend() == "jax":
            continue  # Keras's own loop on JAX masks states and outputs with one shape
        expected = to_numpy(keras_layer(sequences(), mask=mask))
        np.testing.assert_allclose(
            to_numpy(layer(sequences(), mask=mask)), expected, atol=1e-6, err_msg=f"mask: {name}"
        )
    stack = keras.layers.RNN([layer.cell, case.make().cell])
    assert to_numpy(stack(sequences())).shape == (BATCH, layer.cell.output_size)


def stateful_runs_go_on(case):
    x, whole = sequences(), case.layer(return_sequences=True)
    parts = case.make(return_sequences=True, stateful=True)
    parts.build((BATCH, TIME // 2, FEATURES))
    parts.set_weights(whole.get_weights()[: len(parts.get_weights())])
    expected = to_numpy(whole(x))
    for _ in range(2):
        halves = [to_numpy(parts(x[:, : TIME // 2])), to_numpy(parts(x[:, TIME // 2 :]))]
        np.testing.assert_allclose(np.concatenate(halves, axis=1), expected, atol=1e-6)
        parts.reset_state()


def one_step_and_one_row_work(case):
    layer = case.layer(return_sequences=True)
    states = [np.zeros((1, size)) for size in case.state_sizes]
    x = sequences()[:1, :1]
    expected, _ = oracles.run(case.step, layer.get_weights(), x, states)
    np.testing.assert_allclose(to_numpy(layer(x)), expected, atol=2e-6)


def one_row_is_the_same_alone(case):
    layer = case.layer(return_sequences=True)
    np.testing.assert_allclose(to_numpy(layer(sequences()[1:2])), to_numpy(layer(sequences()))[1:2], atol=1e-6)


def states_come_in_as_a_tensor_a_list_or_a_tuple(case):
    layer, states = case.layer(return_state=True), case.states()
    expected = to_numpy(layer(sequences(), initial_state=states)[0])
    given = [tuple(states), [ops.convert_to_tensor(state) for state in states]]
    if len(states) == 1:
        given += [states[0], ops.convert_to_tensor(states[0])]
    for same in given:
        np.testing.assert_array_equal(to_numpy(layer(sequences(), initial_state=same)[0]), expected)
    zeros = [np.zeros_like(state) for state in states]
    assert abs(to_numpy(layer(sequences(), initial_state=zeros)[0]) - expected).max() > 1e-4


def a_step_of_training_is_the_same_however_it_is_compiled(case):
    if case.draws_in_training:
        return

    def trained(time, **how):
        keras.utils.set_random_seed(0)
        layer = case.layer(return_sequences=True)
        if hasattr(layer, "use_cudnn"):
            layer.use_cudnn, layer.supports_jit = False, True
        model = keras.Sequential([keras.Input((time, FEATURES)), layer, keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(0.1), loss="mse", **how)
        loss = model.train_on_batch(sequences(), sequences()[:, :, :1])
        return [loss, *model.get_weights()]

    xla = keras.backend.backend() != "torch"  # there, jit_compile means torch.compile, which Keras tests itself
    expected = trained(TIME, jit_compile=False)
    for value, same in zip(trained(None, jit_compile=xla), expected, strict=True):
        np.testing.assert_allclose(value, same, atol=1e-6)


def training_goes_on_after_a_reload(case):
    if case.draws_in_training:
        return
    x, y = sequences(), sequences()[:, :, :1]
    model = keras.Sequential([keras.Input((None, FEATURES)), case.layer(return_sequences=True), keras.layers.Dense(1)])
    model.compile("adam", loss="mse", run_eagerly=EAGER)
    model.train_on_batch(x, y)
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "model.keras"
        model.save(path)
        loaded = keras.saving.load_model(path)
    losses = [model.train_on_batch(x, y) for _ in range(2)]
    assert losses[1] < losses[0]
    np.testing.assert_allclose([loaded.train_on_batch(x, y) for _ in range(2)], losses, rtol=1e-6)


def trains_in_half_precision(case):
    for policy in ("mixed_float16", "mixed_bfloat16"):
        layer = case.layer(return_sequences=True, dtype=policy)
        model = keras.Sequential([keras.Input((TIME, FEATURES)), layer, keras.layers.Dense(1, dtype="float32")])
        model.compile(keras.optimizers.SGD(0.1), loss="mse", run_eagerly=EAGER, auto_scale_loss=False)
        before = model.get_weights()
        losses = [model.test_on_batch(sequences(), sequences()[:, :, :1])]  # without what is drawn at random
        for _ in range(3):
            model.train_on_batch(sequences(), sequences()[:, :, :1])
        losses.append(model.test_on_batch(sequences(), sequences()[:, :, :1]))
        assert np.isfinite(losses).all() and losses[-1] < losses[0], (policy, losses)
        changed = [abs(a - b).max() for a, b in zip(model.get_weights(), before, strict=True)]
        assert np.isfinite(changed).all() and min(changed) > 0, policy


QUICK_CHECKS = [
    values_equal_the_oracle,
    config_makes_the_same_layer,
    saved_model_is_the_same_model,
    trains_with_fit,
    stateful_runs_go_on,
    one_step_and_one_row_work,
    one_row_is_the_same_alone,
    states_come_in_as_a_tensor_a_list_or_a_tuple,
]

SLOW_CHECKS = [
    gradients_equal_finite_differences_of_the_oracle,
    garbage_in_the_padding_changes_nothing,
    symbolic_shapes_equal_eager_ones,
    works_in_mixed_precision,
    works_inside_bidirectional,
    works_in_a_stack,
    the_cell_works_in_keras_rnn,
    a_step_of_training_is_the_same_however_it_is_compiled,
    training_goes_on_after_a_reload,
    trains_in_half_precision,
]

CHECKS = [*QUICK_CHECKS, *(pytest.param(check, marks=pytest.mark.slow) for check in SLOW_CHECKS)]


def equals_keras(ours_class, theirs_class, units, options):
    """Values, last states and gradients, under every mask, with weights copied back and forth."""
    x = sequences()
    for zeros in (False, True):
        options = {"return_sequences": True, "return_state": True, "zero_output_for_mask": zeros, **options}
        ours, theirs = ours_class(units, **options), theirs_class(units, **options)
        ours.build(x.shape), theirs.build(x.shape)
        theirs.set_weights(ours.get_weights())
        rng = np.random.default_rng(7)
        theirs.set_weights([rng.normal(scale=0.6, size=weight.shape) for weight in theirs.get_weights()])
        ours.set_weights(theirs.get_weights())
        for name, mask in masks():
            mask = None if mask is None else ops.convert_to_tensor(mask)
            for value, expected in zip(ours(x, mask=mask), theirs(x, mask=mask), strict=True):
                np.testing.assert_allclose(to_numpy(value), to_numpy(expected), atol=1e-6, err_msg=f"mask: {name}")

            def gradients(layer, mask=mask):
                def loss(*weights):
                    return sum(ops.sum(ops.square(value)) for value in stateless(layer, weights, x, mask=mask)[0])

                return backend.gradient(loss, [ops.convert_to_tensor(weight) for weight in layer.get_weights()])

            if not zeros:
                for value, expected in zip(gradients(ours), gradients(theirs), strict=True):
                    np.testing.assert_allclose(to_numpy(value), to_numpy(expected), rtol=1e-4, atol=1e-5)


def takes_the_arguments_of_keras(ours, theirs, units, arguments, own):
    """By name and by position; the configuration holds them all, and makes the same again."""
    names = [
        name
        for name, parameter in inspect.signature(theirs).parameters.items()
        if name != "units" and parameter.kind is parameter.POSITIONAL_OR_KEYWORD
    ]
    assert set(names) <= set(arguments), "an argument of Keras's is not in the test"
    arguments = {name: arguments[name] for name in names}
    expected = theirs(units, **arguments, name="same").get_config()
    by_name, by_position = ours(units, **arguments, name="same"), ours(units, *arguments.values(), name="same")
    own = {**own, "use_cudnn": arguments["use_cudnn"]} if "use_cudnn" in arguments else own
    assert by_name.get_config() == by_position.get_config() == {**expected, **own}
    assert ours.from_config(by_name.get_config()).get_config() == {**expected, **own}
    assert ours.from_config(expected).get_config().keys() == {**expected, **own}.keys()
    for name in ("kernel_initializer", "kernel_regularizer", "recurrent_constraint"):
        assert type(getattr(by_name, name)) is type(getattr(theirs(units, **arguments), name))


def equals_torch(case, torch_class, bidirectional):
    """The layer and PyTorch's own with the same weights: transposed, and with two biases in any case."""
    import torch

    layer, x = case.layer(return_sequences=True), sequences()
    directions = [layer.get_weights()]
    if bidirectional:
        layer = Bidirectional(case.make(return_sequences=True))
        layer.build(x.shape)
        directions.append([0.5 * weight for weight in directions[0]])
        layer.set_weights([weight for weights in directions for weight in weights])
    theirs = torch_class(FEATURES, case.state_sizes[0], batch_first=True, bidirectional=bidirectional)
    parameters = iter(theirs.parameters())
    for kernel, recurrent_kernel, bias in directions:
        biases = bias if bias.ndim == 2 else [bias, np.zeros_like(bias)]
        for array in (kernel.T, recurrent_kernel.T, *biases):
            next(parameters).data = torch.tensor(array)
    with torch.no_grad():
        expected, _ = theirs(torch.tensor(x))
    np.testing.assert_allclose(to_numpy(layer(x)), expected.numpy(), atol=1e-6)


def stateless(layer, weights, x, **kwargs):
    """The layer with these weights: what it returns, and the new values of its other variables."""
    others = [variable.value for variable in layer.non_trainable_variables]
    return layer.stateless_call(weights, others, ops.convert_to_tensor(x), **kwargs)


def oracle_output(case, x, states):
    return oracles.run(case.step, case.layer().get_weights(), x, states)[0]


def to_numpy(tensor):
    return ops.convert_to_numpy(tensor)


def _list(value):
    return list(value) if isinstance(value, (list, tuple)) else [value]
