"""`linear` on JAX: its transpose is the given one, whatever is done to it."""

import keras
import numpy as np
import pytest

if keras.backend.backend() != "jax":
    pytest.skip("of JAX alone", allow_module_level=True)

import jax
import jax.numpy as jnp

from rnnkit.backend.jax.linear import linear

RNG = np.random.default_rng(0)
A, X, D, DA = (jnp.array(RNG.normal(size=shape), "float32") for shape in [(4, 3), (3,), (3,), (4, 3)])
STACK, STACK_A = jnp.array(RNG.normal(size=(5, 3)), "float32"), jnp.array(RNG.normal(size=(5, 4, 3)), "float32")


def product(a, x, factor=1.0):
    """`sin(a) @ x`; its transpose is `factor` times the true one."""
    return linear(
        lambda a, x: {"y": jnp.sin(a) @ x["x"]},
        lambda a, d: {"x": factor * d["y"] @ jnp.sin(a), "unused": None},
        a,
        {"x": x, "unused": None},
        {"y": jax.ShapeDtypeStruct(a.shape[:1], a.dtype)},
    )["y"]


def the_same(a, x):
    return jnp.sin(a) @ x


def energy(function):
    return lambda a, x: jnp.sum(jnp.cos(function(a, x)))


def over_time(function):
    return lambda a, x: jax.lax.scan(lambda x, _: (function(a, x)[:3], None), x, None, length=3)[0]


WAYS = {
    "value": lambda f: f(A, X),
    "jvp of x": lambda f: jax.jvp(lambda x: f(A, x), [X], [D]),
    "jvp of a": lambda f: jax.jvp(lambda a: f(a, X), [A], [DA]),
    "jvp of both": lambda f: jax.jvp(f, [A, X], [DA, D]),
    "grad of both": lambda f: jax.grad(energy(f), argnums=(0, 1))(A, X),
    "transpose": lambda f: jax.linear_transpose(lambda x: f(A, x), X)(f(A, X)),
    "forward over reverse": lambda f: jax.jvp(jax.grad(energy(f), argnums=(0, 1)), [A, X], [DA, D]),
    "reverse over forward": lambda f: jax.grad(lambda a: jax.jvp(energy(f), [a, X], [DA, D])[1])(A),
    "hessian": lambda f: jax.hessian(energy(f), argnums=(0, 1))(A, X),
    "vmap of x": lambda f: jax.vmap(f, (None, 0))(A, STACK),
    "vmap of a": lambda f: jax.vmap(f, (0, None))(STACK_A, X),
    "grad of vmap": lambda f: jax.grad(
        lambda a, x: jnp.sum(jnp.cos(jax.vmap(f, (2, 1))(a, x))), argnums=(0, 1)
    )(jnp.moveaxis(STACK_A, 0, 2), STACK.T),
    "vmap of grad": lambda f: jax.vmap(jax.grad(energy(f), argnums=(0, 1)), (None, 0))(A, STACK),
    "jit": lambda f: jax.jit(jax.grad(energy(f), argnums=(0, 1)))(A, X),
    "scan": lambda f: jax.grad(energy(over_time(f)), argnums=(0, 1))(A, X),
    "scan forward": lambda f: jax.jvp(over_time(f), [A, X], [DA, D]),
    "checkpoint": lambda f: jax.grad(energy(jax.checkpoint(f)), argnums=(0, 1))(A, X),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_derivatives_are_those_of_the_plain_function(way):
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), WAYS[way](product), WAYS[way](the_same)
    )


@pytest.mark.parametrize("wrapped", [lambda f: f, jax.jit, jax.checkpoint, jax.vmap])
def test_the_transpose_is_the_given_one(wrapped):
    def run(factor, x):
        return wrapped(lambda x: product(A, x, factor))(x)

    x = STACK if wrapped is jax.vmap else X
    found, tripled = (jax.vjp(lambda x, f=factor: run(f, x), x)[1](run(1.0, x))[0] for factor in (1.0, 3.0))
    np.testing.assert_allclose(tripled, 3 * found, rtol=1e-5)


def test_differentiating_backward_never_traces_the_function():
    def refuse(residuals, arguments):
        raise AssertionError("traced")

    def value(x):
        return linear(refuse, lambda _, d: 2 * d, (), x, x)

    assert jax.eval_shape(value, X).shape == X.shape
    np.testing.assert_allclose(jax.jit(jax.linear_transpose(value, X))(D)[0], 2 * D)
