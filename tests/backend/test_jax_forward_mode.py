"""`jax.jvp`, `jax.jacfwd`, Hessian-vector products and what else differentiates a layer on JAX."""

import keras
import numpy as np
import pytest

from rnnkit import backend, layers
from rnnkit.backend.loop import run_plainly

if keras.backend.backend() != "jax":
    pytest.skip("of JAX alone", allow_module_level=True)

import jax
import jax.numpy as jnp

from tests.loop_cases import BATCH, FEATURES, LAYERS, MASKS, TIME, UNITS, run_and_inputs

OURS = "two loops that XLA compiles, forward and backward"
PLAIN = {"R and O"}  # has no recurrent product

RNG = np.random.default_rng(0)
X, V = (jnp.array(RNG.normal(size=(2, 4, FEATURES)), "float32") for _ in range(2))


def energy(f):
    return lambda x: jnp.sum(jnp.sin(f(x)))


def summed_over(f):
    return lambda x: jax.lax.scan(lambda total, t: (total + energy(f)(t * x), None), 0.0, jnp.arange(3.0))[0]


def either(f):
    return lambda x: jax.lax.cond(x[0, 0, 0] > 0, energy(f), lambda x: energy(f)(-x), x)


def row(f):
    return lambda x: f(x[None])


def product_with_hessian(f, x, v):
    return jax.jvp(jax.grad(f), [x], [v])


WAYS = {
    "jvp": lambda f: jax.jvp(f, [X], [V]),
    "jacfwd": lambda f: jax.jacfwd(f)(X),
    "forward over reverse": lambda f: product_with_hessian(energy(f), X, V),
    "reverse over forward": lambda f: jax.grad(lambda x: jax.jvp(energy(f), [x], [V])[1])(X),
    "forward over forward": lambda f: jax.jvp(lambda x: jax.jvp(energy(f), [x], [V])[1], [X], [V]),
    "reverse over reverse": lambda f: jax.grad(lambda x: jnp.vdot(jax.grad(energy(f))(x), V))(X),
    "third derivative": lambda f: jax.jvp(lambda x: product_with_hessian(energy(f), x, V), [X], [V]),
    "hessian": lambda f: jax.hessian(energy(row(f)))(X[0]),
    "jacrev": lambda f: jax.jacrev(f)(X),
    "linearize": lambda f: jax.linearize(f, X)[1](V),
    "vmap of jvp": lambda f: jax.vmap(lambda x, v: jax.jvp(row(f), [x], [v]))(X, V),
    "vmap of grad": lambda f: jax.vmap(jax.grad(energy(row(f))))(X),
    "jvp of vmap": lambda f: jax.jvp(jax.vmap(row(f)), [X], [V]),
    "many tangents": lambda f: jax.vmap(lambda v: jax.jvp(f, [X], [v])[1])(jnp.stack([V, 2 * V])),
    "checkpoint": lambda f: (jax.jvp(jax.checkpoint(f), [X], [V]), jax.grad(energy(jax.checkpoint(f)))(X)),
    "hessian of checkpoint": lambda f: product_with_hessian(energy(jax.checkpoint(f)), X, V),
    "scan": lambda f: product_with_hessian(summed_over(f), X, V),
    "cond": lambda f: product_with_hessian(either(f), X, V),
}
MAIN = ["jvp", "jacfwd", "forward over reverse"]


@pytest.mark.parametrize("way", [way if way in MAIN else pytest.param(way, marks=pytest.mark.slow) for way in WAYS])
def test_derivatives_are_those_of_keras(way):
    ours, theirs = layers.LSTM(UNITS), keras.layers.LSTM(UNITS)
    for layer in (ours, theirs):
        layer.build(X.shape)
    theirs.set_weights(ours.get_weights())
    found, expected = (jax.jit(lambda layer=layer: WAYS[way](layer))() for layer in (ours, theirs))
    assert OURS in ours.explain()
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), found, expected)


@pytest.mark.slow
@pytest.mark.parametrize("training, mask", [(True, "any"), (False, "none")])
@pytest.mark.parametrize("name", LAYERS)
def test_every_layer(name, mask, training, monkeypatch):
    layer = LAYERS[name](return_sequences=True, return_state=True)
    run, inputs = run_and_inputs(layer, mask, training)
    check(layer, run, inputs, monkeypatch, "no recurrent_product" if name in PLAIN else OURS)


@pytest.mark.slow
def test_both_directions_and_a_stack(monkeypatch):
    mask = np.array(MASKS["any"], bool)
    x = jnp.array(RNG.normal(size=(BATCH, TIME, FEATURES)), "float32")
    for layer in (
        layers.Bidirectional(layers.GRU(UNITS, return_sequences=True)),
        keras.layers.Bidirectional(layers.LSTM(UNITS, return_sequences=True)),
        layers.Stacked([layers.LSTM(UNITS, return_sequences=True), layers.Elman(UNITS, return_sequences=True)]),
    ):
        layer.build(x.shape)
        check(layer, lambda x, layer=layer: layer(x, mask=mask), [x], monkeypatch, None)


@pytest.mark.slow
def test_attention(monkeypatch):
    cell = layers.AttentionCell(layers.GRUCell(UNITS), layers.BahdanauAttention(UNITS), input_feeding=True)
    layer = layers.Recurrent(cell, return_sequences=True)
    memory = jnp.array(RNG.normal(size=(BATCH, 5, 2)), "float32")
    x = jnp.array(RNG.normal(size=(BATCH, TIME, FEATURES)), "float32")

    def run(x, memory):
        return layer(x, initial_state=cell.initial_state(memory), training=True)

    run(x, memory)  # makes the weights
    check(layer, run, [x, memory], monkeypatch, OURS)


def test_only_what_moves_has_to_be_differentiable():
    """Forward mode in one argument, where another one is an integer or is left out."""
    layer = layers.LSTM(UNITS, return_state=True)
    layer.build(X.shape)
    state = [jnp.ones((2, UNITS)), jnp.zeros((2, UNITS))]

    def run(state, mask):
        return layer(X, initial_state=state, mask=mask)

    mask = jnp.array([[1, 1, 0, 1], [0, 1, 1, 1]], bool)
    no_tangent = np.zeros(mask.shape, jax.dtypes.float0)
    _, with_mask = jax.jvp(run, [state, mask], [state, no_tangent])
    _, without = jax.jvp(lambda state: run(state, mask), [state], [state])
    assert OURS in layer.explain()
    jax.tree.map(np.testing.assert_array_equal, with_mask, without)
    assert np.abs(without[2]).max() > 0


def check(layer, run, inputs, monkeypatch, way):
    """Tangents and Hessian-vector products, for weights and inputs, in this loop and in the plain one."""
    variables = [*layer.trainable_variables, *layer.non_trainable_variables]
    fixed = [variable.value for variable in layer.non_trainable_variables]
    point = [variable.value for variable in layer.trainable_variables], inputs
    rng = np.random.default_rng(1)
    direction = jax.tree.map(lambda x: jnp.array(rng.normal(size=x.shape), x.dtype), point)

    def results(weights, inputs):
        with keras.StatelessScope(state_mapping=list(zip(variables, [*weights, *fixed], strict=True))):
            return keras.tree.flatten(run(*inputs))

    def value(weights, inputs):
        return sum(jnp.sum(jnp.cos(result)) for result in results(weights, inputs))

    def found():
        return jax.jit(
            lambda point, direction: (
                jax.jvp(results, point, direction),
                jax.jvp(jax.grad(value, argnums=(0, 1)), point, direction)[1],
            )
        )(point, direction)

    ours = found()
    assert way is None or way in layer.explain()
    with monkeypatch.context() as patch:
        patch.setattr(backend, "run", lambda loop: run_plainly(loop, backend.scan, "the plain loop"))
        expected = found()

    def close(a, b):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=2e-5 * max(1, np.abs(b).max()))

    jax.tree.map(close, ours, expected)
