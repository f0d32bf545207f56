"""One copy of the step per time step: PyTorch's loop, and on every backend what `unroll=True` asks for."""

from keras import ops, tree


def unrolled_scan(step, carry, sequences):
    """Runs `carry = step(carry, x_t)` over the first axis of `sequences`, whose length must be known.

    Returns `carry[0]` of every step, stacked, and the last carry.
    """
    outputs = []
    for t in range(tree.flatten(sequences)[0].shape[0]):
        carry = step(carry, tree.map_structure(lambda sequence, t=t: sequence[t], sequences))
        outputs.append(carry[0])
    return ops.stack(outputs), carry
