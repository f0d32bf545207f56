"""Backpropagation through time on TensorFlow: the loop forward and the loop backward, each compiled by XLA.

Left to itself, TensorFlow keeps every tensor of every step of a loop, and takes the gradient of a weight apart into one
product per step. Here the backward pass is written down: it takes the steps in reverse, and differentiates one at a
time from its states and its recurrent products, which the forward pass has kept. What no other step waits for, the
gradient of the kernels, is one product after the loop.

Programs are shared by all loops of one key, and live as long as a cell that has run them: TensorFlow keeps what is
registered as a gradient for ever, so that nothing here may hold a cell, a weight, or the graph of a model. That is why
gradients are registered by name (`tf.RegisterGradient`) and not as closures (`tf.custom_gradient`).
"""

import itertools
import weakref
from typing import NamedTuple

import tensorflow as tf
from keras import StatelessScope, tree

from rnnkit.backend.loop import COMPILED, NeedsPlainLoop
from rnnkit.backend.tensorflow.compilable import check_compilable
from rnnkit.backend.tensorflow.padding import LENGTHS, ROWS, padded
from rnnkit.backend.tensorflow.scan import scan
from rnnkit.ops.recurrent_product import computed_by, kernels_of, plain_product, with_kernels


def run_compiled(loop):
    """Runs a `Loop`, compiled forward and backward.

    XLA compiles a program for each shape. Where a shape is not known beforehand, as where each batch is as long as its
    longest row, all batches share the few programs of `padding.py`: the loop takes as many steps as there are, in
    tensors that may have room for more.

    Returns:
        A `Run`.

    Raises:
        NeedsPlainLoop: nothing was computed; the plain loop has to.
    """
    inputs = loop.project(loop.inputs)
    programs = _programs_of(loop, inputs)
    carry, inputs, constants = loop.carry, tree.flatten(inputs), loop.constants
    (length, batch), (known_length, known_batch) = tf.unstack(tf.shape(inputs[0])[:2]), inputs[0].shape[:2]
    how = COMPILED
    if known_length is None:
        how += f", once for all batches padded to one of the lengths {', '.join(map(str, LENGTHS[:6]))}, ..."
        inputs = [padded(x, 0, LENGTHS) for x in inputs]
    if known_batch is None and loop.key is not None:  # each row is by itself
        carry, constants = ([padded(x, 0, ROWS) for x in part] for part in (carry, constants))
        inputs = [padded(x, 1, ROWS) for x in inputs]
    outputs, *carry = programs.run(*carry, *inputs, *constants, *_weights(loop, programs.plan), length)
    if known_length is None:
        outputs = outputs[:length]
    if known_batch is None and loop.key is not None:
        outputs, carry = outputs[:, :batch], [x[:batch] for x in carry]
    return loop.ran(outputs, carry, how)


def _weights(loop, plan):
    return [tf.convert_to_tensor(loop.variables[number].value) for number in plan.reads]


_shared = weakref.WeakValueDictionary()  # by key
_plans = {}  # by key: a few numbers each
_held = weakref.WeakKeyDictionary()  # by cell, the programs that live as long as it does
_numbers = itertools.count()


def _programs_of(loop, inputs):
    if loop.key is None:  # nothing is known of the cell, not even that it does the same when it is asked again
        programs = Programs(loop, inputs, _plan_of(loop, inputs))
    else:
        structure = repr(tree.map_structure(lambda x: 0, inputs))
        key = (loop.key, loop.training, loop.mask is None, structure, len(loop.constants))
        if key not in _plans:
            _plans[key] = _plan_of(loop, inputs)
        plan = _plans[key]
        key = (*key, tuple(tuple(loop.variables[number].shape) for number in plan.reads))
        programs = _shared.get(key)
        if programs is None:
            programs = _shared[key] = Programs(loop, inputs, plan)
    programs.cells.add(loop.cell)
    _held.setdefault(loop.cell, set()).add(programs)
    return programs


class Plan(NamedTuple):
    """What one step does with its tensors.

    Attributes:
        reads: numbers of the cell's variables that the step reads: a kernel that only projects would be one more reason
            to compile anew.
        base_of: from the number of an input that is nothing but the base of a product, to the number of that product.
        order: of `[output, states, products]`, each once, the numbers; -1 for a state that the step does not read.
    """

    reads: list[int]
    base_of: dict[int, int]
    order: list


def _plan_of(loop, inputs):
    """Traces one step, which is then thrown away, to see what it does.

    Raises:
        NeedsPlainLoop: it does what a compiled loop cannot do.
    """
    now = [x[0] for x in tree.flatten(inputs)]
    _check_compilable(loop, inputs, now)
    read, plan = set(), None

    class Noting(StatelessScope):
        def get_current_value(self, variable):
            read.add(id(variable))
            return super().get_current_value(variable)

    @tf.function(autograph=False)
    def one_step():
        nonlocal plan
        before = [tf.identity(x) for x in loop.carry]
        own = [tf.identity(x) for x in now]
        products, bases = [], {}

        def compute(state, kernel, base, bias):
            bases[id(base)] = len(products)
            products.append(plain_product(state, kernel, base, bias))
            return products[-1]

        with Noting(collect_losses=True) as scope, computed_by(compute):
            _, output = loop.step(before, tree.pack_sequence_as(inputs, own), loop.constants)
        if scope.losses:
            raise NeedsPlainLoop("its cell adds a loss in its step")
        reads = [number for number, variable in enumerate(loop.variables) if id(variable) in read]
        base_of = {k: bases[id(x)] for k, x in enumerate(own) if id(x) in bases and len(x.consumers()) == 1}
        plan = Plan(reads, base_of, _order([output, [x if x.consumers() else None for x in before], products]))

    one_step.get_concrete_function()
    return plan


def _check_compilable(loop, inputs, now):
    """Checks a step, of tensors like these, by `check_compilable`."""
    variables = list(loop.variables)
    values = [tf.convert_to_tensor(variable.value) for variable in variables]
    carry, constants = loop.carry, loop.constants

    def step(*arguments):
        parts = iter(arguments)
        before, own, read, weights = ([next(parts) for _ in part] for part in (carry, now, constants, values))
        with StatelessScope(list(zip(variables, weights, strict=True)), initialize_variables=False):
            return loop.step(before, tree.pack_sequence_as(inputs, own), read)

    check_compilable(step, [*carry, *now, *constants, *values], is_known=loop.key is not None)


class Programs:
    """The compiled programs of a step.

    They take flat lists of tensors: the first carry, the inputs, what each step reads, and the number of steps. What
    each step reads are the constants, and the weights that the plan names.
    """

    def __init__(self, loop, inputs, plan):
        self.cells, self.bind, self.plan, self.keep = weakref.WeakSet(), loop.bind, plan, loop.training
        self.structure = tree.map_structure(lambda x: 0, inputs)
        arguments = [*loop.carry, *tree.flatten(inputs), *loop.constants, *_weights(loop, plan)]
        self.is_floating = [*(x.dtype.is_floating for x in arguments), False]  # of all, and of the length
        self.first_input = len(loop.carry)
        self.first_read = self.first_input + len(tree.flatten(inputs))
        self.first_weight = self.first_read + len(loop.constants)
        self.run = tf.function(self._run, autograph=False)
        self.compiled = {
            function.__name__: tf.function(function, jit_compile=True, autograph=False)
            for function in (self.forward, self.forward_and_keep, self.backward)
        }
        name, this = f"rnnkit_loop_{next(_numbers)}", weakref.ref(self)
        self.gradient_names = [name, f"{name}_backward"]
        tf.RegisterGradient(self.gradient_names[0])(lambda op, *d: this()._gradient(op, d))
        tf.RegisterGradient(self.gradient_names[1])(lambda op, *d: this()._gradient_of_gradient(op, d))

    def _run(self, *arguments):
        """The outputs of all steps, and the last carry."""
        carry, outputs, kept = self.compiled["forward_and_keep" if self.keep else "forward"](arguments)
        return _with_gradient(self.gradient_names[0], [outputs, *carry], [*kept, *arguments])

    def _gradient(self, op, d):
        """The gradient of `_run`: `op` has what it returned, what it kept, and its arguments."""
        count = len(self.is_floating)
        # The outputs of `op`, not its inputs: whatever differentiates once more shall not look behind it.
        arguments, count_of_results = list(op.inputs[-count:]), 1 + self.first_input
        results, kept = op.outputs[:count_of_results], op.outputs[count_of_results:-count]
        if not self.keep:
            kept = self.compiled["forward_and_keep"](arguments)[2]
        d = [d for d, x in zip(d, results, strict=False) if x.dtype.is_floating]
        found = self.compiled["backward"](self._needed_backward(arguments), results[0], kept, d)
        found = iter(_with_gradient(self.gradient_names[1], found, [*arguments, *d]))
        return [None] * (len(op.inputs) - count) + [next(found) if floating else None for floating in self.is_floating]

    def _gradient_of_gradient(self, op, d):
        """The gradient of `_gradient`, by the plain loop: `op` has what it found, the arguments, and d.

        `tf.gradients` and no tape: in forward mode (`tf.autodiff.ForwardAccumulator`), which transposes the gradient by
        this function, TensorFlow lets no tape record.
        """
        found, count = sum(self.is_floating), len(self.is_floating)
        inputs = [tf.identity(x) for x in op.inputs[found:]]  # of which none is computed from another
        arguments, d_results = inputs[:count], inputs[count:]
        first, sequences, read, length = self._parts(arguments)
        _, like = self._step(first, _at(0, sequences), read)
        steps = [x[:length] for x in sequences]
        outputs, last = scan(lambda carry, x: self._step(carry, x, read), first, steps, like)
        d_results = [d_results[0][:length], *d_results[1:]] if outputs.dtype.is_floating else d_results
        gradients = _gradients(_floating([outputs, *last]), _floating(arguments), d_results)
        gradients = iter(_gradients(gradients, [*_floating(arguments), *d_results], d[:found]))
        d_arguments = [next(gradients) if floating else None for floating in self.is_floating]
        return [*[None] * found, *d_arguments, *gradients]

    def forward(self, arguments):
        """The last carry, the outputs of all steps, and nothing."""
        first, sequences, read, length = self._parts(arguments)
        kernels = self._kernels(first, sequences, read)

        def step(carry, inputs):
            with computed_by(with_kernels(kernels)):
                return self._step(carry, inputs, read)

        carry, (outputs,) = _loop(step, first, sequences, length)
        return carry, outputs, []

    def forward_and_keep(self, arguments):
        """The same, and what `backward` needs of all steps: the states before them and their recurrent products."""
        first, sequences, read, length = self._parts(arguments)
        kernels = self._kernels(first, sequences, read)

        def step(before, inputs):
            products, product = [], with_kernels(kernels)

            def compute(state, kernel, base, bias):
                products.append(product(state, kernel, base, bias))
                return products[-1]

            with computed_by(compute):
                carry, output = self._step(before, inputs, read)
            _, states, _ = self.plan.order
            return carry, [output, [None if n < 0 else x for n, x in zip(states, before, strict=True)], products]

        carry, (outputs, *kept) = _loop(step, first, sequences, length)
        return carry, outputs, kept

    def _needed_backward(self, arguments):
        """The arguments without the inputs that are nothing but the base of a product, which was kept."""
        first, sequences, read, length = self._parts(arguments)
        sequences = [tf.zeros((), x.dtype) if k in self.plan.base_of else x for k, x in enumerate(sequences)]
        return [*first, *sequences, *read, length]

    def backward(self, arguments, outputs, kept, d_results):
        """The gradients of those arguments that are floating point."""
        base_of = self.plan.base_of
        first, sequences, read, length = self._parts(arguments)
        _, states, products = _ordered([outputs, *kept], self.plan.order)
        # A base is not read again: anything of its shape stands in for it.
        sequences = [products[base_of[k]] if k in base_of else x for k, x in enumerate(sequences)]
        d_outputs, *d_last = d_results
        kernels = self._kernels(first, sequences, read)
        transposed = [tf.transpose(kernel) for kernel, _ in kernels]
        states_as_factors, order = {}, None

        def step(carry, inputs):
            """Differentiates one step. Of the kernels' gradients it leaves the factors, for after the loop."""
            nonlocal order
            d_after, d_read = carry
            before, inputs, results, d_output = inputs
            before = [x_0 if x is None else x for x_0, x in zip(first, before, strict=True)]  # None is not read
            before, inputs, own_read = ([tf.identity(x) for x in part] for part in (before, inputs, read))
            factors, computed = [], []

            def compute(state, kernel, base, bias):
                n = len(factors)
                same = [k for k, x in enumerate(before) if x is state]
                states_as_factors[n] = same
                factors.append(None if same else state)
                summands = [state] if base is None else [state, base]
                computed.append(_with_gradient(PRODUCT, [results[n]], [transposed[n], *summands])[0])
                return computed[-1]

            with computed_by(compute):
                after, output = self._step(before, inputs, own_read)
            sources = [_floating(part) for part in (before, inputs, own_read)]
            targets = _floating([output, *after])
            found = iter(tf.gradients(targets, [*tree.flatten(sources), *computed], [d_output, *d_after]))
            d_before, d_inputs, d_step = ([next(found) for _ in part] for part in sources)
            d_products = [tf.zeros_like(x) if d is None else d for x, d in zip(computed, found, strict=True)]
            d_before = [tf.zeros_like(x) if d is None else d for x, d in zip(sources[0], d_before, strict=True)]
            d_read = [total if d is None else total + d for total, d in zip(d_read, d_step, strict=True)]
            values = [d_inputs, factors, d_products]
            order = _order(values)
            return [d_before, d_read], values

        nothing = [tf.zeros_like(x) for x in _floating(read)]
        (d_first, d_read), distinct = _loop(
            step, [d_last, nothing], [states, sequences, products, d_outputs], length, backwards=True
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
        if weights and _floating(read):
            through_products = tf.gradients(weights, _floating(read), d_weights)
            d_read = [total if d is None else total + d for total, d in zip(d_read, through_products, strict=True)]
        return [*d_first, *d_inputs, *d_read]

    def _kernels(self, first, sequences, read):
        """Kernel and bias of each product of a step, in their order."""
        found = kernels_of(lambda: self._step(first, _at(0, sequences), read))
        graph = tf.compat.v1.get_default_graph()
        if any(x is not None and x.graph is not graph for x in tree.flatten(found)):
            raise NeedsPlainLoop("a recurrent_product of its cell is in a loop or branch of its own")
        return found

    def _parts(self, arguments):
        return (
            arguments[: self.first_input],
            arguments[self.first_input : self.first_read],
            arguments[self.first_read : -1],
            arguments[-1],
        )

    def _step(self, carry, inputs, read):
        cell = next(iter(self.cells))  # any that is alive: the caller's is
        constants = read[: self.first_weight - self.first_read]
        variables = [cell.variables[number] for number in self.plan.reads]
        mapping = list(zip(variables, read[len(constants) :], strict=True))
        with StatelessScope(state_mapping=mapping, initialize_variables=False) as scope:
            before = dict(scope.state_mapping)
            carry, output = self.bind(cell)(carry, tree.pack_sequence_as(self.structure, inputs), constants)
            if any(before.get(key) is not value for key, value in scope.state_mapping.items()):
                raise NeedsPlainLoop("its cell changes a variable in its step")
        return list(carry), output


PRODUCT = "rnnkit_recurrent_product"


@tf.RegisterGradient(PRODUCT)
def _gradient_of_product(op, d, *_):
    """Of a product that was computed before: `op` has its result, the transposed kernel, the state, and the base."""
    _, transposed, *summands = op.inputs
    return [None, None, *(tf.matmul(d, transposed), d)[: len(summands)]]


def _with_gradient(name, results, inputs):
    """`results`, whose gradient is the function registered under this name; it sees them, and `inputs`."""
    graph = tf.compat.v1.get_default_graph()
    with graph.gradient_override_map({"IdentityN": name}):
        return tf.identity_n([*results, *inputs])[: len(results)]


def _loop(step, carry, sequences, length, backwards=False):
    """Runs `carry, values = step(carry, inputs)` over time; `inputs` has one step of all tensors in `sequences`.

    Returns the last carry, and the stacks of all tensors in `values`, each once, in their order. They are as long as
    the sequences, with zeros after the `length` steps that there are.

    On the way forward, what is wider than the states, such as the sums of several gates, is read one step ahead. That
    makes it a tensor of its own to XLA, which would not vectorize what is done to a part of one step of a sequence: a
    GRU took 2.5 times as long. On the way backward that gains nothing.
    """
    distinct = _distinct(sequences)
    room = next(iter(distinct.values())).shape[0]
    if room is None:
        room = tf.shape(next(iter(distinct.values())))[0]
    else:
        length = room
    wide = {}
    if not backwards:
        widest = max(state.shape[-1] or 0 for state in carry)
        wide = {key: x for key, x in distinct.items() if (x.shape[-1] or 0) > widest}

    def inputs_at(t, read_ahead):
        inputs = dict(zip(wide, read_ahead, strict=True))
        inputs.update((key, tf.gather(x, t)) for key, x in distinct.items() if key not in wide)
        return tree.map_structure(lambda x: None if x is None else inputs[id(x)], sequences)

    def body(count, carry, read_ahead, arrays):
        t = length - 1 - count if backwards else count
        carry, values = step(carry, inputs_at(t, read_ahead))
        arrays = [array.write(t, x) for array, x in zip(arrays, _distinct(values).values(), strict=True)]
        return count + 1, carry, _at(tf.minimum(count + 1, length - 1), wide.values()), arrays

    read_ahead = _at(0, wide.values())
    example = _distinct(step(carry, inputs_at(0, read_ahead))[1])  # for their shapes; XLA drops it
    arrays = [tf.TensorArray(x.dtype, room, element_shape=x.shape) for x in example.values()]
    _, carry, _, arrays = tf.while_loop(lambda count, *_: count < length, body, (0, carry, read_ahead, arrays))
    return carry, [array.stack() for array in arrays]


def _distinct(values):
    """The tensors in `values` by id, each once."""
    return {id(x): x for x in tree.flatten(values) if x is not None}


def _order(values):
    """For each tensor in `values` its number among the `_distinct` ones; -1 for None."""
    numbers = {key: number for number, key in enumerate(_distinct(values))}
    return tree.map_structure(lambda x: numbers.get(id(x), -1), values)


def _ordered(distinct, order):
    return tree.map_structure(lambda number: None if number < 0 else distinct[number], order)


def _at(t, sequences):
    return [tf.gather(x, t) for x in sequences]  # x[t] would be compiled anew for each number of steps


def _gradients(ys, xs, d):
    return tf.gradients(ys, xs, d, unconnected_gradients=tf.UnconnectedGradients.ZERO)


def _floating(tensors):
    return [x for x in tensors if x.dtype.is_floating]


def _rows(x):
    return tf.reshape(x, (-1, x.shape[-1]))
