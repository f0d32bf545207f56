"""A linear function with a transpose of its own, for both directions of differentiation.

JAX has `jax.custom_vjp`, which cannot be differentiated forward, and `jax.custom_derivatives.linear_call`, which cannot
be vectorized by `jax.vmap`, nor differentiated for what it is not linear in. This is a primitive that can do all that.
"""

import jax
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir


def linear(function, transpose, residuals, arguments, results):
    """`function(residuals, arguments)`, whose transpose is `transpose(residuals, d_results)`.

    Neither is traced before it is needed: differentiating backward never traces `function`.

    Args:
        function: function of two pytrees, linear in the second.
        transpose: function of two pytrees, the second one like `results`; it returns one like `arguments`, with
            anything in the places of None.
        residuals: pytree of tensors, over which both are differentiated by JAX.
        arguments: pytree of floating-point tensors.
        results: a pytree of tensors like those of the result; their values are not read.

    Returns:
        A pytree like `results`.
    """
    residuals, of_residuals = jax.tree.flatten(residuals)
    results, of_results = jax.tree.flatten(results)
    given = jax.tree.map(lambda x: x is not None, arguments, is_leaf=_is_none)
    arguments, of_arguments = jax.tree.flatten(arguments)

    def flat(function, of_inputs):
        def run(*tensors):
            before, after = tensors[: len(residuals)], tensors[len(residuals) :]
            return function(of_residuals.unflatten(before), of_inputs.unflatten(after))

        return run

    def only_given(residuals, d_results):
        found = transpose(residuals, d_results)
        return jax.tree.map(lambda given, d: d if given else None, given, found)

    forward, backward = flat(function, of_arguments), flat(only_given, of_results)
    found = _linear.bind(
        *residuals,
        *arguments,
        function=lambda *tensors: jax.tree.leaves(forward(*tensors)),
        transpose=lambda *tensors: jax.tree.leaves(backward(*tensors)),
        residuals=len(residuals),
        results=_shapes(results),
    )
    return of_results.unflatten(found)


def _shapes(tensors):
    return tuple(ShapedArray(x.shape, x.dtype) for x in tensors)


def _is_none(x):
    return x is None


_linear = Primitive("linear_with_transpose")
_linear.multiple_results = True


@_linear.def_impl
def _run(*tensors, function, **_):
    return function(*tensors)


@_linear.def_abstract_eval
def _results(*_, results, **__):
    return results


def _differentiated(tensors, tangents, *, function, residuals, **others):
    moving = [n for n, d in enumerate(tangents) if not isinstance(d, ad.Zero)]
    if all(n >= residuals for n in moving):
        now = [*tensors[:residuals], *(ad.instantiate_zeros(d) for d in tangents[residuals:])]
        both = [_linear.bind(*x, function=function, residuals=residuals, **others) for x in (tensors, now)]
        return tuple(both)

    def of_moving(*moved):
        everything = dict(enumerate(tensors)) | dict(zip(moving, moved, strict=True))
        return function(*everything.values())

    return jax.jvp(of_moving, [tensors[n] for n in moving], [tangents[n] for n in moving])


def _transposed(d_results, *tensors, function, transpose, residuals, **_):
    arguments = [x.aval if ad.is_undefined_primal(x) else x for x in tensors[residuals:]]
    found = _linear.bind(
        *tensors[:residuals],
        *(ad.instantiate_zeros(d) for d in d_results),
        function=transpose,
        transpose=function,
        residuals=residuals,
        results=_shapes(arguments),
    )
    wanted = [ad.is_undefined_primal(x) for x in tensors[residuals:]]
    return [None] * residuals + [d if w else None for d, w in zip(found, wanted, strict=True)]


def _batched(tensors, axes, *, function, transpose, residuals, results):
    (size,) = {x.shape[axis] for x, axis in zip(tensors, axes, strict=True) if axis is not None}
    arguments = [
        jax.numpy.broadcast_to(x, (size, *x.shape)) if axis is None else jax.numpy.moveaxis(x, axis, 0)
        for x, axis in zip(tensors[residuals:], axes[residuals:], strict=True)
    ]
    ran_over = axes[:residuals]
    found = _linear.bind(
        *tensors[:residuals],
        *arguments,
        function=jax.vmap(function, (*ran_over, *[0] * len(arguments))),
        transpose=jax.vmap(transpose, (*ran_over, *[0] * len(results))),
        residuals=residuals,
        results=tuple(ShapedArray((size, *x.shape), x.dtype) for x in results),
    )
    return found, [0] * len(results)


ad.primitive_jvps[_linear] = _differentiated
ad.primitive_transposes[_linear] = _transposed
batching.primitive_batchers[_linear] = _batched
mlir.register_lowering(_linear, mlir.lower_fun(_run, multiple_results=True))
