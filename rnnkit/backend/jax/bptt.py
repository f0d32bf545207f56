"""Backpropagation through time on JAX: the loop forward and the loop backward, written down.

Left to itself, JAX takes the gradient of a weight apart into one product a step, and keeps whatever the derivative of a
step needs. Here the forward loop keeps the states and the recurrent products, and the backward loop differentiates one
step at a time from them. What no other step waits for, the gradient of the kernels, is one product after the loop.

Where nothing asks for gradients, nothing is kept. There, long inputs are projected some steps at a time: for all steps
at once, they would be new memory in every call, whose pages cost more than the product itself.
"""

import math

import jax
import jax.numpy as jnp
import numpy
from jax import lax
from jax.custom_derivatives import SymbolicZero
from jax.extend.core import Jaxpr
from keras import StatelessScope

from rnnkit.backend.jax.linear import linear
from rnnkit.backend.loop import COMPILED, NeedsPlainLoop
from rnnkit.ops.recurrent_product import computed_by, kernels_of, plain_product, with_kernels

BYTES_OF_A_BLOCK = 2**21  # by measurement


def run_compiled(loop, at_once):
    """Runs a `Loop` with a backward pass of its own, which can be differentiated again and forward, too (`jax.jvp`).

    Args:
        loop: the `Loop`.
        at_once: whether to project the inputs of all steps at once, and outside of what is differentiated by hand.

    Returns:
        A `Run`.

    Raises:
        NeedsPlainLoop: nothing was computed; the plain loop has to.
    """
    inputs, project = loop.inputs, loop.project
    if at_once:
        inputs, project = loop.project(inputs), lambda projected: projected
    sequences, structure = jax.tree.flatten(inputs)
    arguments = loop.carry, sequences, [*loop.constants, *(variable.value for variable in loop.variables)]
    passes = _Passes(project, loop.step, structure, loop.variables, arguments)
    run = jax.custom_jvp(passes.forward)
    run.defjvp(passes.forward_and_tangents, symbolic_zeros=True)
    outputs, carry = run(*arguments)
    return loop.ran(outputs, carry, COMPILED)


def is_pure(loop):
    """Whether projecting computes from inputs and variables alone, changes no variable, and has no other effect."""
    changed, losses, outside = None, None, _values_outside()

    def run(inputs, values):
        nonlocal changed, losses
        projected, changed, losses = _with_values(loop.variables, values, outside, lambda: loop.project(inputs))
        return projected

    traced = jax.make_jaxpr(run)(loop.inputs, [variable.value for variable in loop.variables])
    return not (changed or losses or _has_tracers(traced.consts) or _calls_the_host(traced.jaxpr))


class _Passes:
    """The passes, of the first carry, the sequences, and what every step reads: constants and weights."""

    def __init__(self, project, step, structure, variables, arguments):
        self.step, self.variables, self.outside = step, variables, _values_outside()
        self.project = lambda sequences: project(jax.tree.unflatten(structure, sequences))
        first, sequences, read = arguments
        bases = []

        def without_bases(carry, inputs, read):
            def compute(state, kernel, base, bias):
                sums = plain_product(state, kernel, None, bias)
                bases.append([k for k, x in enumerate(inputs) if x is base and _alike(x, sums)])
                return sums

            with computed_by(compute):
                return self._step(carry, inputs, read)

        projected = jax.eval_shape(self._projected, sequences, read)
        inputs = [jax.ShapeDtypeStruct(x.shape[1:], x.dtype) for x in projected]
        traced = jax.make_jaxpr(without_bases)(first, inputs, read)
        if _has_tracers(traced.consts):
            raise NeedsPlainLoop("its cell reads a tensor that is neither state, input nor weight")
        if _calls_the_host(traced.jaxpr):
            raise NeedsPlainLoop("its cell calls Python or prints, which the backward loop would do once more")
        if not bases:
            raise NeedsPlainLoop("its cell has no recurrent_product")
        # The sequences that are nothing but the base of one product, by number, and which product that is.
        reads = {id(x) for x in traced.jaxpr.outvars} | {id(x) for line in traced.jaxpr.eqns for x in line.invars}
        inputs = traced.jaxpr.invars[len(first) :]
        self.base_of = {
            found[0]: n
            for n, found in enumerate(bases)
            if found and bases.count(found) == 1 and id(inputs[found[0]]) not in reads
        }
        self.steps_of_a_block = self._steps_of_a_block(projected)

    def _steps_of_a_block(self, projected):
        """How many steps are projected at a time where nothing is kept: a divisor of their number.

        If not all, and more is read of the projected inputs than the base of a product, one: XLA then works on what it
        has just computed, instead of reading a part of one step of a sequence, as `_of_projected` says.
        """
        time = len(projected[0])
        size = math.prod(projected[0].shape)
        if not isinstance(size, int):  # the size of the batch is not known
            return time
        bytes_of_a_step = sum(math.prod(x.shape[1:]) * x.dtype.itemsize for x in projected)
        if time * bytes_of_a_step <= BYTES_OF_A_BLOCK:
            return time
        if any(_is_floating(x) for x in self._bases_and_rest(projected)[1]):
            return 1
        divisors = (steps for steps in range(1, time) if time % steps == 0)
        return max((steps for steps in divisors if steps * bytes_of_a_step <= BYTES_OF_A_BLOCK), default=1)

    def forward(self, first, sequences, read):
        """The outputs of all steps and the last carry."""
        time, steps = len(sequences[0]), self.steps_of_a_block
        if steps == time:
            return self._of_projected(first, self._projected(sequences, read), read)

        def block(carry, sequences):
            outputs, last = self._of_projected(carry, self._projected(sequences, read), read)
            return last, outputs

        blocks = [x.reshape(time // steps, steps, *x.shape[1:]) for x in sequences]
        last, outputs = lax.scan(block, first, blocks)
        return outputs.reshape(time, *outputs.shape[2:]), last

    def _of_projected(self, first, projected, read):
        """`forward`, of projected inputs.

        What is not a base is read one step ahead. So it is a tensor of its own to XLA, which would not vectorize what
        is done to a part of one step of a sequence, as to the sums of one gate: a GRU took twice as long.
        """
        bases, rest = self._bases_and_rest(projected)

        def step(carry, now):
            (before, inputs), (t, bases) = carry, now
            after, output = self._step(before, self._with_bases(inputs, bases), read)
            return (after, _at(t + 1, rest)), output

        (last, _), outputs = lax.scan(step, (first, _at(0, rest)), (_times(projected), bases))
        return outputs, last

    def forward_and_tangents(self, arguments, tangents):
        """What `forward` returns, and its tangents, linear in `tangents`: their transpose is `backward`."""
        first, sequences, read = arguments
        d_first, d_sequences, d_read = jax.tree.map(lambda d: d if _is_moving(d) else None, tangents)

        def project(moved):
            projected = self._projected(*_filled(moved, (sequences, read)))
            return _floating(projected), projected

        def kernels_and_biases(moved):
            return kernels_of(lambda: self._step(first, at_0, _filled(moved, read)))

        d_inputs = d_sequences, d_read
        _, d_projected, projected = jax.jvp(project, [_where(d_inputs, (sequences, read))], [d_inputs], has_aux=True)
        at_0 = _at(0, projected)
        kernels, d_kernels = jax.jvp(kernels_and_biases, [_where(d_read, read)], [d_read])
        results, kept = self._forward_and_keep(first, projected, read, kernels)
        moving = d_first, d_projected, d_read, d_kernels
        d_results = linear(self.tangents, self.backward, kept, moving, _floating(results))
        return results, _filled(d_results, jax.tree.map(_no_tangent, results))

    def _forward_and_keep(self, first, projected, read, kernels):
        """What `forward` returns, and what its derivatives need.

        Of all steps, these are the states before, the recurrent products and their factors.

        A product is written over its base where that is a sequence: what takes less memory takes less time.
        """
        times, at_0 = _times(projected), _at(0, projected)
        over, rest = self._bases_and_rest(projected)
        order = None

        def step(carry, t):
            before, over, inputs = carry
            multiplied, products, product = [], [], with_kernels(kernels)

            def compute(state, kernel, base, bias):
                multiplied.append(state)
                products.append(product(state, kernel, base, bias))
                return products[-1]

            with computed_by(compute):
                after, output = self._step(before, inputs, read)
            over = _written(t, over, [products[n] for n in self.base_of.values()])
            products = [None if n in self.base_of.values() else x for n, x in enumerate(products)]
            nonlocal order
            distinct, order = _distinct((before, multiplied, products))
            # The next bases are read once the products are written: in the other order, XLA would copy them all.
            inputs = self._with_bases(_at(t + 1, rest), _at(t + 1, over))
            return (after, over, inputs), (output, distinct)

        (last, over, _), (outputs, distinct) = lax.scan(step, (first, over, at_0), times)
        before, multiplied, products = jax.tree.map(lambda number: distinct[number], order)
        for n, x in zip(self.base_of.values(), over, strict=True):
            products[n] = x
        return (outputs, last), (rest, read, kernels, before, multiplied, products)

    def tangents(self, kept, moving):
        """The tangents of the results, from those of the first carry, projected inputs, what is read, and kernels."""
        rest, read, kernels, before, multiplied, products = kept
        d_first, d_projected, d_read, d_kernels = moving
        d_first, d_read = _filled(d_first, _zeros(_at(0, before))), _filled(d_read, _zeros(read))
        transposed = [kernel.T for kernel, _ in kernels]
        d_nudges = [
            plain_product(x, d_kernel, None, d_bias)
            for x, (d_kernel, d_bias) in zip(multiplied, d_kernels, strict=True)
        ]

        def step(d_before, now):
            before, rest, results, d_inputs, d_nudges = now
            inputs = self._with_bases(rest, [results[n] for n in self.base_of.values()])
            kept_step, everything = self._kept_step((before, inputs, read), results, transposed)
            _, (d_output, d_after) = jax.jvp(kept_step, everything, ((d_before, d_inputs, d_read), d_nudges))
            return d_after, d_output

        d_last, d_outputs = lax.scan(step, d_first, (before, rest, products, d_projected, d_nudges))
        return d_outputs, d_last

    def backward(self, kept, d_results):
        """The transpose of `tangents`.

        The gradient of what a step reads is written over it.
        """
        rest, read, kernels, before, multiplied, products = kept
        d_outputs, d_last = d_results
        transposed = [kernel.T for kernel, _ in kernels]
        times, others = _times(products), [None if _is_floating(x) else x for x in rest]

        def step(carry, now):
            (d_after, d_read, over), (t, before, others, d_output) = carry, now
            inputs, results = _at(t, over)
            inputs = self._with_bases(_filled(inputs, others), [results[n] for n in self.base_of.values()])
            kept_step, everything = self._kept_step((before, inputs, read), results, transposed)
            _, through_step = jax.vjp(kept_step, *everything)
            (d_before, d_inputs, d_step), d_products = through_step((d_output, d_after))
            d_inputs = [None if x is None else d for x, d in zip(over[0], d_inputs, strict=True)]
            return (d_before, jax.tree.map(jnp.add, d_read, d_step), _written(t, over, (d_inputs, d_products))), None

        # Of the kernels' gradients, the loop leaves the factors.
        nothing = jax.tree.map(lambda x: jnp.zeros(x.shape, jnp.promote_types(x.dtype, "float32")), _floating(read))
        start = d_last, nothing, (_floating(rest), products)
        now = times, before, others, d_outputs
        (d_first, d_read, (d_projected, d_products)), _ = lax.scan(step, start, now, reverse=True)
        d_projected = self._with_bases(d_projected, [d_products[n] for n in self.base_of.values()])
        d_read = jax.tree.map(lambda d, x: d.astype(x.dtype), d_read, _floating(read))
        d_kernels = [
            ((_rows(x).T @ _rows(d)).astype(kernel.dtype), None if bias is None else _rows(d).sum(0).astype(bias.dtype))
            for x, d, (kernel, bias) in zip(multiplied, d_products, kernels, strict=True)
        ]
        return d_first, d_projected, d_read, d_kernels

    def _kept_step(self, everything, results, transposed):
        """One step, to be differentiated, with these results of its products, and the point to do so at.

        If a product were greater by its nudge, its gradient is that of the nudge. A base is not read again: anything of
        its shape stands in for it.
        """

        def step(floating, nudges):
            before, inputs, read = _filled(floating, everything)
            numbers = iter(range(len(nudges)))

            def compute(state, kernel, base, bias):
                n = next(numbers)
                summand = nudges[n] if base is None else base + nudges[n]
                return _kept_product(state.astype(summand.dtype), summand, results[n], transposed[n])

            with computed_by(compute):
                after, output = self._step(before, inputs, read)
            return _floating((output, after))

        return step, (_floating(everything), _zeros(results))

    def _bases_and_rest(self, sequences):
        """The sequences that are nothing but a base, and the sequences with None in their places."""
        bases = [sequences[k] for k in self.base_of]
        return bases, [None if k in self.base_of else x for k, x in enumerate(sequences)]

    def _with_bases(self, inputs, bases):
        found = dict(zip(self.base_of, bases, strict=True))
        return [found.get(k, x) for k, x in enumerate(inputs)]

    def _projected(self, sequences, read):
        _, weights = self._constants_and_weights(read)
        projected, *_ = _with_values(self.variables, weights, self.outside, lambda: self.project(sequences))
        projected, self.structure = jax.tree.flatten(projected)
        return projected

    def _step(self, carry, inputs, read):
        constants, weights = self._constants_and_weights(read)
        inputs = jax.tree.unflatten(self.structure, inputs)
        (carry, output), changed, _ = _with_values(
            self.variables, weights, self.outside, lambda: self.step(carry, inputs, constants)
        )
        if changed:
            raise NeedsPlainLoop("its cell changes a variable in its step")
        return list(carry), output

    def _constants_and_weights(self, read):
        return read[: len(read) - len(self.variables)], read[len(read) - len(self.variables) :]


def _values_outside():
    """The values of variables, by id, in the scope of now: JAX traces a gradient when that scope has ended."""
    with StatelessScope() as scope:
        return {} if scope.original_scope is None else dict(scope.original_scope.state_mapping)


def _with_values(variables, values, outside, function):
    """The result of `function` where variables have these values, whether it changes some, and the losses it adds.

    `outside` has the values of variables that are not the cell's: see `_values_outside`.
    """
    with StatelessScope(collect_losses=True, initialize_variables=False) as scope:
        scope.state_mapping.update(outside)
        # The scope's constructor would cast them as Keras's autocast says, which is over when JAX traces a gradient.
        scope.state_mapping.update({id(variable): value for variable, value in zip(variables, values, strict=True)})
        before = dict(scope.state_mapping)
        result = function()
        changed = any(before.get(key) is not value for key, value in scope.state_mapping.items())
    return result, changed, scope.losses


@jax.custom_jvp
def _kept_product(state, summand, result, transposed):
    """A product that was computed before: `result`, with the derivatives of `state @ kernel + summand`."""
    return result


@_kept_product.defjvp
def _tangent_of_kept_product(arguments, tangents):
    _, _, result, transposed = arguments
    d_state, d_summand, _, _ = tangents
    return result, lax.dot_general(d_state, transposed.astype(d_state.dtype), (((1,), (1,)), ((), ()))) + d_summand


def _distinct(values):
    """The tensors in `values`, each once, and `values` with their numbers in the places of tensors."""
    tensors = {id(x): x for x in jax.tree.leaves(values)}
    numbers = {key: number for number, key in enumerate(tensors)}
    return list(tensors.values()), jax.tree.map(lambda x: numbers[id(x)], values)


def _times(sequences):
    return jnp.arange(len(jax.tree.leaves(sequences)[0]), dtype="uint32")


def _at(t, stacks):
    return jax.tree.map(lambda x: lax.dynamic_index_in_dim(x, t, keepdims=False), stacks)


def _written(t, stacks, values):
    # With an index that is unsigned, jax.vmap of JAX 0.6 writes nothing.
    return jax.tree.map(
        lambda x, value: lax.dynamic_update_index_in_dim(x, value, t.astype("int32"), 0), stacks, values
    )


def _calls_the_host(jaxpr):
    """Whether it does anything that is to be done once: a callback, a print, any other effect."""
    if jaxpr.effects or any("callback" in line.primitive.name for line in jaxpr.eqns):
        return True
    inner = [getattr(x, "jaxpr", x) for line in jaxpr.eqns for x in jax.tree.leaves(line.params)]
    return any(_calls_the_host(x) for x in inner if isinstance(x, Jaxpr))


def _has_tracers(values):
    return any(isinstance(x, jax.core.Tracer) for x in values)


def _alike(a, b):
    return (a.shape, a.dtype) == (b.shape, b.dtype)


def _is_floating(x):
    return x is not None and jnp.issubdtype(x.dtype, jnp.floating)


def _floating(values):
    """`values` with None in the places of what is not floating point, and has no derivative."""
    return jax.tree.map(lambda x: x if _is_floating(x) else None, values)


def _is_moving(tangent):
    return not isinstance(tangent, SymbolicZero) and _is_floating(tangent)


def _no_tangent(x):
    return numpy.zeros(x.shape, jax.dtypes.float0)


def _zeros(values):
    """Zeros like what is floating point in `values`, else None."""
    return jax.tree.map(jnp.zeros_like, _floating(values))


def _filled(some, values):
    """`some` with the tensors of `values` where it has none."""
    return jax.tree.map(lambda x, value: value if x is None else x, some, values, is_leaf=_is_none)


def _where(some, values):
    """`values` with None where `some` has none."""
    return jax.tree.map(lambda x, value: None if x is None else value, some, values, is_leaf=_is_none)


def _is_none(x):
    return x is None


def _rows(x):
    return x.reshape(-1, x.shape[-1])
