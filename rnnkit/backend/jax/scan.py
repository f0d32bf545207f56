"""A loop over time that JAX differentiates, in which a step may change variables."""

import jax
from keras import StatelessScope


def scan(step, carry, sequences, output):
    """Runs `carry, output = step(carry, x_t)` over the first axis of `sequences`.

    Returns the outputs of all steps, stacked, and the last carry. `output` is a tensor like one step's output.

    A variable that a step changes, such as the state of a seed generator, is carried from step to step, and has its
    last value after the loop.
    """
    variables = _changed_by(step, carry, sequences)
    if not variables:
        carry, outputs = jax.lax.scan(step, carry, sequences)
        return outputs, carry

    def step_of_all(carry, inputs):
        carry, values = carry
        with _Changes(zip(variables, values, strict=True)) as changes:
            carry, output = step(carry, inputs)
        return (carry, [changes.get_current_value(variable) for variable in variables]), output

    (carry, values), outputs = jax.lax.scan(step_of_all, (carry, [v.value for v in variables]), sequences)
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    return outputs, carry


def _changed_by(step, carry, sequences):
    """The variables that a step assigns to."""
    changes = _Changes()

    def trace(carry, inputs):
        with changes:
            return step(carry, inputs)

    inputs = jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape[1:], x.dtype), sequences)
    jax.eval_shape(trace, carry, inputs)
    return changes.variables


class _Changes(StatelessScope):
    """A scope within another one: it starts from the values there, and notes which variables are assigned to."""

    def __init__(self, values=()):
        super().__init__(initialize_variables=False)
        self.variables = []
        self.values = {id(variable): value for variable, value in values}

    def __enter__(self):
        super().__enter__()
        outer = self.original_scope
        self.state_mapping = {**({} if outer is None else outer.state_mapping), **self.values}
        return self

    def add_update(self, update):
        variable, _ = update
        if not any(variable is known for known in self.variables):
            self.variables.append(variable)
        super().add_update(update)
