"""One copy of the step per time step: PyTorch's loop, and on every backend what `unroll=True` asks for."""

from keras import ops, tree

from rnnkit.backend.plain_recurrence import plain_recurrence


def unrolled_scan(step, carry, sequences, output):
    """Runs `carry, output = step(carry, x_t)` over the first axis of `sequences`, whose length must be known.

    Returns the outputs of all steps, stacked, and the last carry. `output` is a tensor like one step's output.
    """
    outputs = []
    for t in range(tree.flatten(sequences)[0].shape[0]):
        carry, output = step(carry, tree.map_structure(lambda sequence, t=t: sequence[t], sequences))
        outputs.append(output)
    return tree.map_structure(lambda *steps: ops.stack(steps), *outputs), carry


unrolled_recurrence = plain_recurrence(unrolled_scan, "one copy of its step per time step: unroll=True asks for it")
