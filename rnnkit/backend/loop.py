"""What a recurrent layer asks of a backend, a `Loop`, and what it gets back, a `Run`."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, NamedTuple

from keras import StatelessScope, ops, tree

from rnnkit.annotations import Dtype, Mask, Tensor, Tensors

COMPILED = "two loops that XLA compiles, forward and backward"  # what TensorFlow and JAX say of their `bptt`


class NeedsPlainLoop(Exception):
    """A step does something that only the plain loop can do; the message says what."""


class Run(NamedTuple):
    """What came out of a `Loop`.

    Attributes:
        outputs: tensor `(batch, time, ...)`, in the order of the run.
        states: list of the last states `(batch, ...)`.
        how: in words, how the loop ran, and why.
    """

    outputs: Tensor
    states: list[Tensor]
    how: str


@dataclass(frozen=True)
class Equation:
    """A cell that computes what a well-known kernel computes.

    Attributes:
        name: `"lstm"`, `"gru"` (the reset after the product), `"rnn_tanh"` or `"rnn_relu"`.
        weights: function that returns the kernel `(features, gates * units)`, the recurrent kernel `(units, gates *
            units)`, and the bias `(gates * units,)` or `(2, gates * units)`, or None.
        gates: the order of the gates, such as `"ifco"`.
        drop: function that applies dropout to the inputs `(time, batch, features)`.
        drops_states: whether there is dropout between the steps, of which no kernel is capable.
        readout: function from all states h `(batch, time, units)` to all outputs.
    """

    name: str
    weights: Callable[[], list[Tensor]]
    gates: str
    drop: Callable[[Tensor], Tensor]
    drops_states: bool
    readout: Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Loop:
    """A cell, and one batch that it runs over.

    A backend runs `carry, output = step(carry, inputs_t, constants)` over time. The carry is the list of states, and
    with a mask the output before, in front of them: what a masked step leaves as it is.

    Attributes:
        cell: the cell. Programs that outlive the call must not keep it alive.
        bind: `bind(cell)` is the step of a cell. It holds no cell itself: a program that is shared takes any cell that
            is alive.
        project_sequences: function of any number of steps of `sequences`, time first, which returns as many of what the
            step takes.
        sequences: tensor `(batch, time, ...)`, in the order of the run.
        mask: boolean tensor `(batch, time)`, or None.
        states: list of the tensors `(batch, ...)` that a step changes.
        constants: list of the tensors `(batch, ...)` that it only reads.
        output_size: the shape of the step's output after the batch axis.
        dtype: of that output.
        training: whether this is a training run.
        key: two loops of one key compute the same from the same tensors, each row from that row alone; None if that is
            not known. It says nothing of shapes.
        draws: whether projecting draws random numbers.
        equation: the `Equation` of the cell, or None.
        no_kernel: why no kernel may run even so, or None.
        only_plainly: why nothing but the plain loop may run, or None.
        not_for_xla: why XLA had better not compile the step on a processor, or None.
    """

    cell: Any
    bind: Callable[[Any], Callable[..., tuple[list[Tensor], Tensor]]]
    project_sequences: Callable[[Tensor], Tensors]
    sequences: Tensor
    mask: Mask
    states: list[Tensor]
    constants: list[Tensor]
    output_size: tuple[int, ...]
    dtype: Dtype
    training: bool
    key: Hashable | None = None
    draws: bool = False
    equation: Equation | None = None
    no_kernel: str | None = None
    only_plainly: str | None = None
    not_for_xla: str | None = None

    @property
    def step(self) -> Callable[..., tuple[list[Tensor], Tensor]]:
        return self.bind(self.cell)

    @property
    def variables(self) -> list[Any]:
        """The Keras variables that projecting and the step may read."""
        return getattr(self.cell, "variables", [])

    @property
    def no_output(self) -> Tensor:
        """Zeros `(batch, *output_size)`: the output of a row before its first unmasked step."""
        return ops.zeros((ops.shape(self.sequences)[0], *self.output_size), dtype=self.dtype)

    @property
    def carry(self) -> list[Tensor]:
        return list(self.states) if self.mask is None else [self.no_output, *self.states]

    @property
    def inputs(self) -> Tensors:
        """What `project` takes, time first: the sequences, and with a mask the pair of both."""
        sequences = ops.swapaxes(self.sequences, 0, 1)
        return sequences if self.mask is None else (sequences, ops.swapaxes(self.mask, 0, 1)[..., None])

    def project(self, inputs: Tensors) -> Tensors:
        """What the step takes, of any number of steps of `inputs`."""
        if self.mask is None:
            return self.project_sequences(inputs)
        sequences, unmasked = inputs
        return self.project_sequences(sequences), unmasked

    def ran(self, outputs: Tensor, carry: list[Tensor], how: str) -> Run:
        """The `Run`, from the outputs of all steps, time first, and the last carry."""
        return Run(ops.swapaxes(outputs, 0, 1), list(carry if self.mask is None else carry[1:]), how)


def masked(step: Callable[..., tuple[list[Tensor], Tensor]]) -> Callable[..., tuple[list[Tensor], Tensor]]:
    """A step that takes pairs of inputs and mask: where the mask is False, states and output stay as they were."""

    def masked_step(carry, inputs, constants):
        (before, *old), (projected, unmasked) = carry, inputs
        new, output = step(old, projected, constants)
        states = [_where(unmasked, a, b) for a, b in zip(new, old, strict=True)]
        # Where y_t is a state, it is the same tensor after the mask, too, and is kept once.
        same = [state for state, a in zip(states, new, strict=True) if a is output]
        output = same[0] if same else _where(unmasked, output, before)
        return [output, *states], output

    return masked_step


def _where(unmasked, new, old):
    """The rows of `new` where `unmasked`, `(batch, 1)`, is True, and those of `old` elsewhere: tensors of any rank."""
    rank = len(new.shape)
    return ops.where(unmasked if rank == 2 else ops.reshape(unmasked, (-1, *[1] * (rank - 1))), new, old)


def run_plainly(loop: Loop, scan: Callable[..., Any], how: str) -> Run:
    """Runs a loop by `scan(step, carry, inputs, output)`, which returns all outputs and the last carry."""
    step, inputs = loop.step, loop.project(loop.inputs)
    outputs, carry = scan(lambda carry, x: step(carry, x, loop.constants), loop.carry, inputs, loop.no_output)
    return loop.ran(outputs, carry, how)


def with_losses(loop: Loop, function: Callable[[], Any]) -> tuple[Any, list[Tensor]]:
    """What `function` returns, and the losses that are added meanwhile, which then count nowhere else."""
    with StatelessScope(collect_losses=True, initialize_variables=False) as scope:
        if scope.original_scope is not None:
            scope.state_mapping.update(scope.original_scope.state_mapping)
        before = dict(scope.state_mapping)
        result = function()
    for variable in loop.variables:
        value = scope.state_mapping.get(id(variable))
        if value is not before.get(id(variable)):
            variable.assign(value)
    return result, scope.losses


def run_with_losses(loop: Loop, scan: Callable[..., Any], how: str) -> Run:
    """`run_plainly` of a loop whose step adds losses: its cell adds the sum of all steps'.

    A tensor that belongs to one step is of no use outside of the loop.
    """
    step, inputs = loop.step, loop.project(loop.inputs)

    def step_with_losses(carry, x):
        (carry, output), losses = with_losses(loop, lambda: step(carry, x, loop.constants))
        return carry, [output, ops.cast(sum(ops.sum(loss) for loss in losses), "float32")]

    (outputs, losses), carry = scan(step_with_losses, loop.carry, inputs, [loop.no_output, ops.zeros(())])
    loop.cell.add_loss(ops.sum(losses))
    return loop.ran(outputs, carry, how)


def unrolled_scan(step, carry, sequences, output):
    """Runs `carry, output = step(carry, x_t)` over the first axis of `sequences`, one copy of the step per time step.

    The length must be known. Returns the outputs of all steps, stacked, and the last carry. `output` is a tensor like
    one step's output.
    """
    outputs = []
    for t in range(tree.flatten(sequences)[0].shape[0]):
        carry, output = step(carry, tree.map_structure(lambda sequence, t=t: sequence[t], sequences))
        outputs.append(output)
    return tree.map_structure(lambda *steps: ops.stack(steps), *outputs), carry


def run_unrolled(loop: Loop) -> Run:
    """Runs a loop with one copy of the step per time step."""
    return run_plainly(loop, unrolled_scan, "one copy of its step per time step: unroll=True asks for it")
