"""One copy of the step per time step: PyTorch's loop, and on every backend what `unroll=True` asks for."""

from keras import ops, tree


def unrolled_scan(step, carry, sequences, output):
    """Runs `carry, output = step(carry, x_t)` over the first axis of `sequences`, whose length must be known.

    Returns the outputs of all steps, stacked, and the last carry. `output` is a tensor like one step's output.
    """
    outputs = []
    for t in range(tree.flatten(sequences)[0].shape[0]):
        carry, output = step(carry, tree.map_structure(lambda sequence, t=t: sequence[t], sequences))
        outputs.append(output)
    return tree.map_structure(lambda *steps: ops.stack(steps), *outputs), carry


def unrolled_recurrence(step, carry, sequences, output, constants, variables, training, key):
    """What `unroll=True` asks for in the place of `rnnkit.backend.recurrence`."""
    outputs, carry = unrolled_scan(lambda carry, x: step(carry, x, constants), carry, sequences, output)
    return outputs, carry, "one copy of its step per time step: unroll=True asks for it"
