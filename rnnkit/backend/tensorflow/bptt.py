"""Backpropagation through time on TensorFlow: the loop forward and the loop backward, each compiled by XLA.

Left to itself, TensorFlow keeps every tensor of every step of a loop, and takes the gradient of a weight apart into one
product a step. Here the backward pass is written down: it takes the steps in reverse, and differentiates one at a time
from its states and its recurrent products, which the forward pass has kept. What no other step waits for, the gradient
of the kernels, is one product after the loop.
"""

import tensorflow as tf
from keras import StatelessScope, tree

from rnnkit.backend.plain_recurrence import NeedsPlainLoop
from rnnkit.ops.recurrent_product import computed_by, kernels_of, with_kernels


def compiled_scan(step, carry, sequences, constants, variables, keep, plain_scan, key):
    """`scan`, compiled forward and backward.

    Args:
        step: `carry, output = step(carry, x_t, constants)`.
        carry, constants: lists of tensors.
        sequences: nested structure of tensors `(time, batch, ...)`, with a known time.
        variables: list of the Keras variables that the step may read.
        keep: whether to keep what the backward pass needs; it computes it again otherwise.
        plain_scan: `scan` of `rnnkit.backend`, for gradients of gradients.
        key: function that returns what two steps have in common that compute the same from the same tensors,
            hashable: they share programs, so that each is compiled once for all layers and models. None if that cannot
            be told.

    Returns:
        The outputs of all steps, stacked, and the last carry.

    Raises:
        NeedsPlainLoop: nothing was computed; the plain loop has to.
    """
    shared = key()
    numbers = _READ.get(shared) or _numbers_of_read(step, carry, sequences, constants, variables)
    variables = [variables[number] for number in numbers]
    weights = [tf.convert_to_tensor(variable.value) for variable in variables]
    loop = _Loop(step, sequences, variables, len(carry))
    if shared is not None:
        _READ[shared] = numbers
        shapes = tuple(variable.shape for variable in variables)
        loop = _LOOPS.setdefault((shared, shapes, repr(loop.structure)), loop)
    arguments = [*carry, *tree.flatten(sequences), *constants, *weights]

    @tf.custom_gradient
    def run(*arguments):
        last, outputs, *kept = loop.compiled("forward_and_keep" if keep else "forward", arguments)

        def gradient(*d_results):
            d_results = [d for d, x in zip(d_results, [outputs, *last], strict=True) if x.dtype.is_floating]

            @tf.custom_gradient
            def backward(*inputs):
                values = kept if keep else loop.compiled("forward_and_keep", arguments)[2:]
                found = loop.compiled("backward", loop.needed_backward(arguments), outputs, *values, d_results)
                return found, lambda *d: loop.gradients_of_backward(plain_scan, arguments, inputs, d)

            found = iter(backward(*_floating(arguments), *d_results))
            return [next(found) if x.dtype.is_floating else None for x in arguments]

        return (outputs, *last), gradient

    outputs, *last = run(*arguments)
    return outputs, last


_LOOPS, _READ = {}, {}


def _numbers_of_read(step, carry, sequences, constants, variables):
    """Which of `variables` the step reads: a kernel that only projects would be one reason more to compile anew."""
    read = set()

    class Noting(StatelessScope):
        def get_current_value(self, variable):
            read.add(id(variable))
            return super().get_current_value(variable)

    @tf.function(autograph=False)
    def one_step():
        with Noting():
            step(carry, tree.map_structure(lambda x: x[0], sequences), constants)

    one_step.get_concrete_function()
    return [number for number, variable in enumerate(variables) if id(variable) in read]


class _Loop:
    """The three programs, of a flat list of tensors: the first carry, the sequences, and what every step reads."""

    def __init__(self, step, sequences, variables, first_sequence):
        self.step, self.variables, self.first_sequence = step, variables, first_sequence
        self.structure = tree.map_structure(lambda x: 0, sequences)
        self.first_read = first_sequence + len(tree.flatten(sequences))
        self.programs = {
            function.__name__: tf.function(function, jit_compile=True, autograph=False)
            for function in (self.forward, self.forward_and_keep, self.backward)
        }

    def compiled(self, name, *arguments):
        """Runs a program, compiled by XLA, and not differentiated by any tape."""
        arguments = tree.map_structure(tf.stop_gradient, arguments)
        if self.programs[name].get_concrete_function(*arguments).captured_inputs:
            raise NeedsPlainLoop("its cell reads a tensor that is neither state, input nor weight")
        return self.programs[name](*arguments)

    def forward(self, arguments):
        """The last carry and the outputs of all steps."""
        first, sequences, read = self._parts(arguments)
        kernels = self._kernels(first, sequences, read)

        def step(carry, inputs):
            with computed_by(with_kernels(kernels)):
                return self._step(carry, inputs, read)

        carry, (outputs,), _ = _run(step, first, sequences)
        return carry, outputs

    def forward_and_keep(self, arguments):
        """The same, and what `backward` needs of all steps: the states before them and their recurrent products."""
        first, sequences, read = self._parts(arguments)
        kernels = self._kernels(first, sequences, read)

        def step(before, inputs):
            products, bases, product = [], {}, with_kernels(kernels)

            def compute(state, kernel, base, bias):
                bases[id(base)] = len(products)
                products.append(product(state, kernel, base, bias))
                return products[-1]

            with computed_by(compute):
                carry, output = self._step(before, inputs, read)
            self.base_of = {k: bases[id(x)] for k, x in enumerate(inputs) if id(x) in bases and len(x.consumers()) == 1}
            return carry, [output, [x if x.consumers() else None for x in before], products]

        carry, (outputs, *kept), self.order = _run(step, first, sequences)
        return carry, outputs, kept

    def needed_backward(self, arguments):
        """The arguments without the sequences that are nothing but the base of a product, which was kept."""
        first, sequences, read = self._parts(arguments)
        sequences = [tf.zeros((), x.dtype) if k in self.base_of else x for k, x in enumerate(sequences)]
        return [*first, *sequences, *read]

    def backward(self, arguments, outputs, kept, d_results):
        """The gradients of those arguments that are floating point."""
        first, sequences, read = self._parts(arguments)
        _, states, products = _ordered([outputs, *kept], self.order)
        # A base is not read again: anything of its shape stands in for it.
        sequences = [products[self.base_of[k]] if k in self.base_of else x for k, x in enumerate(sequences)]
        d_outputs, *d_last = d_results

        with tf.GradientTape(watch_accessed_variables=False) as weights_tape:
            weights_tape.watch(_floating(read))
            kernels = self._kernels(first, sequences, read)
        transposed = [tf.transpose(kernel) for kernel, _ in kernels]

        states_as_factors = {}

        def step(carry, inputs):
            """Differentiates one step. Of the kernels' gradients it leaves the factors, for after the loop."""
            d_after, d_read = carry
            before, inputs, results, d_output = inputs
            before = [x_0 if x is None else x for x_0, x in zip(first, before, strict=True)]  # None is not read
            factors, d_products = [], []

            def compute(state, kernel, base, bias):
                n = len(factors)
                same = [k for k, x in enumerate(before) if x is state]
                states_as_factors[n] = same
                factors.append(None if same else state)
                d_products.append(tf.zeros_like(results[n]))

                @tf.custom_gradient
                def product(*summands):
                    def gradient(d):
                        d_products[n] = d
                        return (tf.matmul(d, transposed[n]), d)[: len(summands)]

                    return tf.identity(results[n]), gradient

                return product(state) if base is None else product(state, base)

            sources = [_floating(part) for part in (before, inputs, read)]
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(sources)
                with computed_by(compute):
                    after, output = self._step(before, inputs, read)
            d_before, d_inputs, d_step = tape.gradient(
                _floating([output, *after]), sources, output_gradients=[d_output, *d_after]
            )
            d_before = [tf.zeros_like(x) if d is None else d for x, d in zip(sources[0], d_before, strict=True)]
            d_read = [total if d is None else total + d for total, d in zip(d_read, d_step, strict=True)]
            return [d_before, d_read], [d_inputs, factors, d_products]

        nothing = [tf.zeros_like(x) for x in _floating(read)]
        (d_first, d_read), distinct, order = _run(
            step, [d_last, nothing], [states, sequences, products, d_outputs], backwards=True
        )
        d_inputs, factors, d_products = _ordered(distinct, order)
        d_inputs = [tf.zeros_like(x) if d is None else d for x, d in zip(_floating(sequences), d_inputs, strict=True)]
        weights, d_weights = [kernel for kernel, _ in kernels], []
        for n, (x, d) in enumerate(zip(factors, d_products, strict=True)):
            x = states[states_as_factors[n][0]] if x is None else x
            d_weights.append(tf.matmul(_rows(x), _rows(d), transpose_a=True))
        for (_, bias), d in zip(kernels, d_products, strict=True):
            if bias is not None:
                weights.append(bias)
                d_weights.append(tf.reduce_sum(_rows(d), 0))
        through_products = weights_tape.gradient(weights, _floating(read), output_gradients=d_weights)
        d_read = [total if d is None else total + d for total, d in zip(d_read, through_products, strict=True)]
        return [*d_first, *d_inputs, *d_read]

    def gradients_of_backward(self, plain_scan, arguments, inputs, given):
        """Differentiates `backward`, as a function of the floating arguments and `d_results`, by the plain loop."""
        floating = inputs[: len(_floating(arguments))]
        with tf.GradientTape() as outer:
            outer.watch(inputs)
            with tf.GradientTape() as inner:
                inner.watch(floating)
                values = iter(floating)
                arguments = [next(values) if x.dtype.is_floating else x for x in arguments]
                first, sequences, read = self._parts(arguments)
                _, like = self._step(first, _at(0, sequences), read)
                outputs, last = plain_scan(lambda carry, x: self._step(carry, x, read), first, sequences, like)
            gradients = inner.gradient(
                _floating([outputs, *last]),
                floating,
                output_gradients=inputs[len(floating) :],
                unconnected_gradients=tf.UnconnectedGradients.ZERO,
            )
        return outer.gradient(
            gradients, inputs, output_gradients=given, unconnected_gradients=tf.UnconnectedGradients.ZERO
        )

    def _kernels(self, first, sequences, read):
        """Kernel and bias of each product of a step, in their order."""
        found = kernels_of(lambda: self._step(first, _at(0, sequences), read))
        graph = tf.compat.v1.get_default_graph()
        if any(x is not None and x.graph is not graph for x in tree.flatten(found)):
            raise NeedsPlainLoop("a recurrent_product of its cell stands in a loop or branch of its own")
        return found

    def _parts(self, arguments):
        first, last = self.first_sequence, self.first_read
        return arguments[:first], arguments[first:last], arguments[last:]

    def _step(self, carry, inputs, read):
        constants, weights = read[: len(read) - len(self.variables)], read[len(read) - len(self.variables) :]
        mapping = list(zip(self.variables, weights, strict=True))
        with StatelessScope(state_mapping=mapping, initialize_variables=False) as scope:
            before = dict(scope.state_mapping)
            carry, output = self.step(carry, tree.pack_sequence_as(self.structure, inputs), constants)
            if any(before.get(key) is not value for key, value in scope.state_mapping.items()):
                raise NeedsPlainLoop("its cell changes a variable in its step")
        return list(carry), output


def _run(step, carry, sequences, backwards=False):
    """Runs `carry, values = step(carry, inputs)` over time; `inputs` has one step of all tensors in `sequences`.

    Returns the last carry, the stacks of all tensors in `values`, each once, and the order that `_ordered` takes.

    On the way forward, what is wider than the states, such as the sums of several gates, is read one step ahead. So it
    is a tensor of its own to XLA, which would not vectorize what is done to a part of one step of a sequence: a GRU
    took 2.5 times as long. On the way backwards that gains nothing.
    """

    def flat(values):
        """The tensors in `values`, each once."""
        return {id(x): x for x in tree.flatten(values) if x is not None}

    distinct = flat(sequences)
    length = next(iter(distinct.values())).shape[0]
    wide = {}
    if not backwards:
        widest = max(state.shape[-1] or 0 for state in carry)
        wide = {key: x for key, x in distinct.items() if (x.shape[-1] or 0) > widest}

    def inputs_at(t, read_ahead):
        inputs = dict(zip(wide, read_ahead, strict=True))
        inputs.update((key, x[t]) for key, x in distinct.items() if key not in wide)
        return tree.map_structure(lambda x: None if x is None else inputs[id(x)], sequences)

    def body(count, carry, read_ahead, arrays):
        t = length - 1 - count if backwards else count
        carry, values = step(carry, inputs_at(t, read_ahead))
        arrays = [array.write(t, x) for array, x in zip(arrays, flat(values).values(), strict=True)]
        return count + 1, carry, _at(tf.minimum(count + 1, length - 1), wide.values()), arrays

    read_ahead = _at(0, wide.values())
    example = step(carry, inputs_at(0, read_ahead))[1]  # for its structure; XLA drops it
    numbers = {key: number for number, key in enumerate(flat(example))}
    order = tree.map_structure(lambda x: numbers.get(id(x), -1), example)
    arrays = [tf.TensorArray(x.dtype, length, element_shape=x.shape) for x in flat(example).values()]
    _, carry, _, arrays = tf.while_loop(
        lambda count, *_: count < length, body, (0, carry, read_ahead, arrays), maximum_iterations=length
    )
    return carry, [array.stack() for array in arrays], order


def _ordered(distinct, order):
    return tree.map_structure(lambda number: None if number < 0 else distinct[number], order)


def _at(t, sequences):
    return [x[t] for x in sequences]


def _floating(tensors):
    return [x for x in tensors if x.dtype.is_floating]


def _rows(x):
    return tf.reshape(x, (-1, x.shape[-1]))
