"""The loop with a backward pass of its own against the one that JAX differentiates."""

import keras
import numpy as np
import pytest
from keras import ops

from rnnkit import backend, layers
from rnnkit.backend.loop import run_plainly

if keras.backend.backend() != "jax":
    pytest.skip("of JAX alone", allow_module_level=True)

import jax
import jax.numpy as jnp

from rnnkit.backend.jax import bptt
from tests.loop_cases import BATCH, FEATURES, LAYERS, MASKS, TIME, UNITS, OwnCell, fit_a_model, run_and_inputs

pytestmark = pytest.mark.slow

OURS = "two loops that XLA compiles, forward and backward"


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("name", LAYERS)
def test_values_and_gradients_are_those_of_the_plain_loop(name, mask, monkeypatch):
    layer = LAYERS[name](return_sequences=True, return_state=True)
    check_equal(layer, mask, monkeypatch, "no recurrent_product" if name == "R and O" else OURS)


@pytest.mark.parametrize("arguments", [{"go_backwards": True}, {"zero_output_for_mask": True}])
@pytest.mark.parametrize("name", ["LSTM", "GRU", "GRU chung", "own cell"])
def test_with_the_arguments_of_the_layer(name, arguments, monkeypatch):
    check_equal(LAYERS[name](return_sequences=True, return_state=True, **arguments), "any", monkeypatch)


@pytest.mark.parametrize(
    "name, dtype",
    [
        ("LSTM", "float64"),
        ("GRU chung", "float64"),  # in cells with other weights, Keras on JAX computes in float32
        *((name, f"mixed_{half}") for name in ("LSTM", "GRU chung", "own cell") for half in ("float16", "bfloat16")),
    ],
)
def test_with_another_dtype(name, dtype, monkeypatch):
    with jax.enable_x64(dtype == "float64"):
        if name == "own cell":
            layer = layers.Recurrent(OwnCell(UNITS, dtype=dtype), return_sequences=True, return_state=True)
        else:
            layer = LAYERS[name](return_sequences=True, return_state=True, dtype=dtype)
        check_equal(layer, "any", monkeypatch)


@pytest.mark.parametrize("feeding", [False, True])
def test_with_a_memory(feeding, monkeypatch):
    cell = layers.AttentionCell(
        layers.GRUCell(UNITS), layers.BahdanauAttention(UNITS), input_feeding=feeding, coverage=feeding
    )
    layer = layers.Recurrent(cell, return_sequences=True)
    rng = np.random.default_rng(0)
    memory = jnp.array(rng.normal(size=(BATCH, 7, 2)), "float32")
    x = jnp.array(rng.normal(size=(BATCH, TIME, FEATURES)), "float32")

    def run(x, memory):
        return [layer(x, initial_state=cell.initial_state(memory), training=True)]

    run(x, memory)  # makes the weights
    compare(layer, run, [x, memory], monkeypatch)


def test_random_shapes(monkeypatch):
    monkeypatch.setattr(bptt, "BYTES_OF_A_BLOCK", 256)
    rng = np.random.default_rng(1)
    for _ in range(8):
        batch, time, features, units = rng.integers(1, 9, 4)
        layer = layers.LSTM(int(units), return_sequences=True, go_backwards=bool(rng.integers(2)))
        layer.build((batch, time, features))
        x = jnp.array(rng.normal(size=(batch, time, features)), "float32")
        mask = rng.integers(0, 2, (batch, time)).astype(bool)
        compare(layer, lambda x, layer=layer, mask=mask: [layer(x, mask=mask)], [x], monkeypatch)


@pytest.mark.parametrize("name", ["LSTM", "GRU", "own cell"])
def test_gradients_of_gradients(name, monkeypatch):
    layer = LAYERS[name](return_sequences=True)
    x = jnp.array(np.random.default_rng(0).normal(size=(BATCH, TIME, FEATURES)), "float32")
    layer.build(x.shape)

    def run(x):
        return [jax.grad(lambda x: jnp.sum(layer(x, training=True) ** 2))(x)]

    compare(layer, run, [x], monkeypatch)


def test_a_hessian_and_one_gradient_an_example(monkeypatch):
    layer = layers.LSTM(UNITS)
    x = jnp.array(np.random.default_rng(0).normal(size=(BATCH, TIME, FEATURES)), "float32")
    layer.build(x.shape)

    def results():
        hessian = jax.hessian(lambda x: jnp.sum(layer(x[None]) ** 2))(x[0])
        return hessian, jax.vmap(jax.grad(lambda x: jnp.sum(layer(x[None]) ** 2)))(x)

    ours = results()
    assert OURS in layer.explain()
    use_the_plain_loop(monkeypatch)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), ours, results())


@pytest.mark.parametrize("training", [False, True])
def test_a_model_that_is_fitted(training, monkeypatch):
    losses, way = fit_a_model(training)
    use_the_plain_loop(monkeypatch)
    plain_losses, plain_way = fit_a_model(training)
    assert OURS in way and "plain" in plain_way
    np.testing.assert_allclose(losses, plain_losses, rtol=1e-5)


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize(
    "name, arguments, bytes_of_a_block, steps",
    [
        ("LSTM", {}, 1600, 3),
        ("LSTM", {}, 0, 1),
        ("LSTM", {"dtype": "mixed_float16", "go_backwards": True}, 800, 3),
        ("Elman", {}, 1600, TIME),
        ("GRU", {}, 1600, 1),
        ("GRU", {}, 3200, TIME),
        ("GRU chung", {}, 0, 1),
        ("PeepholeLSTM", {}, 0, 1),
        ("LayerNormLSTM", {}, 1600, 1),
        ("own cell", {}, 0, 1),
    ],
)
def test_inference_projects_some_steps_at_a_time(name, arguments, bytes_of_a_block, steps, mask, monkeypatch):
    monkeypatch.setattr(bptt, "BYTES_OF_A_BLOCK", bytes_of_a_block)
    layer = LAYERS[name](return_sequences=True, return_state=True, **arguments)
    run, inputs = run_and_inputs(layer, mask, training=False)
    compare(layer, run, inputs, monkeypatch)

    project, projected = layer.cell.project, []
    monkeypatch.setattr(layer.cell, "project", lambda x, training: projected.append(len(x)) or project(x, training))
    jax.jit(run)(*inputs)
    assert projected == [TIME, TIME, steps]  # the first two are traced, and do not run


def test_an_empty_batch():
    layer = layers.LSTM(UNITS)
    layer.build((None, TIME, FEATURES))
    assert jax.jit(layer)(jnp.zeros((0, TIME, FEATURES))).shape == (0, UNITS)
    assert OURS in layer.explain()


def test_a_batch_whose_size_is_not_known():
    layer = layers.LSTM(UNITS)
    layer.build((None, TIME, FEATURES))
    (rows,) = jax.export.symbolic_shape("rows")
    exported = jax.export.export(jax.jit(layer))(jax.ShapeDtypeStruct((rows, TIME, FEATURES), "float32"))
    assert OURS in layer.explain()
    x = np.random.default_rng(0).normal(size=(BATCH, TIME, FEATURES)).astype("float32")
    np.testing.assert_allclose(exported.call(x), layer(x), rtol=1e-5, atol=1e-6)


def test_half_precision_outside_of_autocast():
    layer = layers.LSTM(UNITS, dtype="mixed_float16")
    run, (x, *states) = run_and_inputs(layer, "none")
    inside, outside = [
        jax.grad(lambda x, f=f: jnp.sum(f(x, *states).astype(float)))(x) for f in (run, jax.jit(run))
    ]  # JAX traces the second one when Keras has left the layer
    np.testing.assert_allclose(inside, outside, rtol=2e-2, atol=2e-2)


class Summing(layers.RecurrentCell):
    """s_t = s_{t-1} W + x_t + constant() for W = 1, and counts its steps."""

    def __init__(self, constant, counts, **kwargs):
        super().__init__(**kwargs)
        self.state_size, self.output_size = [FEATURES], FEATURES
        self.constant, self.counts = constant, counts

    def build(self, input_shape):
        self.kernel = self.add_weight((FEATURES, FEATURES), "identity", name="kernel")
        self.steps = self.add_weight((), "zeros", trainable=False, name="steps")

    def step(self, projected, states, training=False):
        if self.counts:
            self.steps.assign(0.0)
        state = layers.recurrent_product(states[0], self.kernel, base=projected) + self.constant()
        return state, [state]


def test_what_the_loop_cannot_know_runs_in_the_plain_one_and_says_why():
    x = jnp.ones((2, TIME, FEATURES))
    layer = layers.Recurrent(Summing(lambda: 0.0, counts=False))
    layer.build(x.shape)

    def with_a_tensor_from_outside(x, shift):
        layer.cell.constant = lambda: shift
        return jnp.sum(layer(x))

    gradients = jax.jit(jax.grad(with_a_tensor_from_outside, argnums=(0, 1)))(x, 1.0)
    np.testing.assert_allclose(gradients[0], np.ones(x.shape))
    assert float(gradients[1]) == x.size
    assert "neither state, input nor weight" in layer.explain()

    outside = keras.Variable(1.0)  # not one of the cell's weights

    def with_a_variable_from_outside(value, x):
        with keras.StatelessScope(state_mapping=[(outside, value)]):
            layer.cell.constant = lambda: outside.value
            return jnp.sum(layer(x))

    assert float(jax.jit(jax.grad(with_a_variable_from_outside))(1.0, x)) == x.size
    assert "neither state, input nor weight" in layer.explain()

    layer.cell.constant = lambda: 0.0
    layer(x)
    assert "outside of a compiled function" in layer.explain()
    jax.jit(layer)(x)
    assert OURS in layer.explain()


def test_a_variable_of_another_scope_keeps_its_value_in_the_gradient():
    factor = keras.Variable(1.0)  # not one of the cell's weights

    class Scaling(Summing):
        def step(self, projected, states, training=False):
            state = layers.recurrent_product(factor.value * states[0], self.kernel, base=projected)
            return state, [state]

    layer = layers.Recurrent(Scaling(None, counts=False))
    x = jnp.ones((2, TIME, FEATURES))
    layer.build(x.shape)

    def run(x):
        with keras.StatelessScope(state_mapping=[(factor, 2.0)]):
            return jnp.sum(layer(x))

    expected = np.broadcast_to(2.0 ** np.arange(TIME)[::-1, None], x.shape)
    np.testing.assert_allclose(jax.grad(run)(x), expected, rtol=1e-6)
    assert OURS in layer.explain()


def test_a_step_that_changes_a_variable(monkeypatch):
    layer = layers.Recurrent(Summing(lambda: 0.0, counts=True))
    x = jnp.ones((2, TIME, FEATURES))
    layer.build(x.shape)

    def run(weights, x):
        with keras.StatelessScope(state_mapping=list(zip(layer.weights, weights, strict=True))):
            return layer(x)

    result = jax.jit(run)([weight.value for weight in layer.weights], x)
    np.testing.assert_allclose(result, np.full((2, FEATURES), TIME))
    assert "changes a variable" in layer.explain()


class Impure(OwnCell):
    """Does in its projection one thing that can be done only once, named by `does`."""

    does, outside = None, 0.0

    def build(self, input_shape):
        super().build(input_shape)
        self.generator = keras.random.SeedGenerator(1)

    def project(self, inputs, training=False):
        if self.does == "draws":
            inputs = inputs + keras.random.normal(ops.shape(inputs), seed=self.generator)
        if self.does == "adds a loss":
            self.add_loss(ops.sum(ops.square(inputs)))
        if self.does == "reads from outside":
            inputs = inputs + self.outside
        return super().project(inputs, training)


@pytest.mark.parametrize("does", ["draws", "adds a loss", "reads from outside"])
@pytest.mark.parametrize("training", [False, True])
def test_a_projection_that_does_more_than_to_project(training, does, monkeypatch):
    monkeypatch.setattr(bptt, "BYTES_OF_A_BLOCK", 0)
    layer = layers.Recurrent(Impure(UNITS), return_sequences=True)
    x = jnp.array(np.random.default_rng(0).normal(size=(BATCH, TIME, FEATURES)), "float32")
    layer.build(x.shape)
    layer.cell.does = does
    trainable, others = [
        [v.value for v in found] for found in (layer.trainable_variables, layer.non_trainable_variables)
    ]

    def value(trainable, x, outside):
        layer.cell.outside = outside
        outputs, _, losses = layer.stateless_call(trainable, others, x, training=training, return_losses=True)
        return jnp.sum(jnp.cos(outputs)) + sum(losses), (outputs, losses)

    def results():
        with_gradients = jax.jit(jax.value_and_grad(value, argnums=(0, 1, 2), has_aux=True))(trainable, x, 0.5)
        return with_gradients, jax.jit(value)(trainable, x, 0.5)

    ours = results()
    assert OURS in layer.explain() and len(ours[1][1][1]) == (does == "adds a loss")
    use_the_plain_loop(monkeypatch)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5), ours, results())


def check_equal(layer, mask, monkeypatch, way=OURS):
    compare(layer, *run_and_inputs(layer, mask), monkeypatch, way)


def compare(layer, run, inputs, monkeypatch, way=OURS):
    """Values, and gradients for weights and inputs, of `run` in this loop and in the plain one."""

    def value(weights, inputs):
        variables = [*layer.trainable_variables, *layer.non_trainable_variables]
        values = [*weights, *(variable.value for variable in layer.non_trainable_variables)]
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            results = keras.tree.flatten(run(*inputs))
        return sum(jnp.sum(jnp.cos(result.astype(float)) * (n + 1)) for n, result in enumerate(results)), results

    def found():
        weights = [variable.value for variable in layer.trainable_variables]
        (_, results), gradients = jax.jit(jax.value_and_grad(value, argnums=(0, 1), has_aux=True))(weights, inputs)
        without_gradients = jax.jit(value)(weights, inputs)
        return results, gradients, without_gradients

    ours = found()
    assert way in layer.explain()
    with monkeypatch.context() as patch:
        use_the_plain_loop(patch)
        expected = found()
        assert "plain" in layer.explain()
    tolerance = {"float64": 1e-10, "float32": 2e-5, "float16": 2e-2, "bfloat16": 1e-1}[layer.compute_dtype]

    def close(a, b):
        a, b = np.array(a, "float64"), np.array(b, "float64")
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * max(1, np.abs(b).max()))

    jax.tree.map(close, ours, expected)


def use_the_plain_loop(monkeypatch):
    monkeypatch.setattr(backend, "run", lambda loop: run_plainly(loop, backend.scan, "the plain loop"))


def test_a_base_that_is_read_elsewhere_too(monkeypatch):
    class Cell(OwnCell):
        def step(self, projected, states, training=False):
            x = projected["x"]
            a = ops.tanh(layers.recurrent_product(states[0], self.wide[:, : self.units], base=x))
            b = layers.recurrent_product(a, self.wide, base=None) * ops.concatenate([x, x], -1)
            return a * x, [a, b]

    check_equal(layers.Recurrent(Cell(UNITS), return_sequences=True, return_state=True), "any", monkeypatch)


def test_two_products_of_one_base(monkeypatch):
    class Cell(OwnCell):
        def step(self, projected, states, training=False):
            a = layers.recurrent_product(ops.sin(states[0]), self.wide[:, : self.units], base=projected["x"])
            a = ops.tanh(a) + layers.recurrent_product(states[1], self.back, base=projected["x"])
            return a, [ops.tanh(a), ops.tanh(states[1])]

    check_equal(layers.Recurrent(Cell(UNITS), return_sequences=True, return_state=True), "any", monkeypatch)


def test_a_base_of_one_row_or_of_less_precision(monkeypatch):
    class Cell(OwnCell):
        def project(self, inputs, training=False):
            x = ops.matmul(inputs, self.kernel)
            return {"row": x[:, :1], "half": ops.cast(x, "bfloat16")}

        def step(self, projected, states, training=False):
            a = ops.sin(states[0]) + ops.matmul(states[1], self.back)
            a = ops.tanh(layers.recurrent_product(a, self.wide[:, : self.units], base=projected["half"]))
            b = layers.recurrent_product(a, self.wide[:, : self.units], base=projected["row"])
            return a, [a, ops.concatenate([b, a], -1)]

    check_equal(layers.Recurrent(Cell(UNITS), return_sequences=True, return_state=True), "none", monkeypatch)
