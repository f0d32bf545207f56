"""A `recurrence` of `rnnkit.backend` that is nothing but a `scan`, and an `split_batch` that is in one piece."""


class NeedsPlainLoop(Exception):
    """A step does something that only the plain loop can do; the message says what."""


def plain_recurrence(scan, way):
    """The function `recurrence`, as `rnnkit.backend.tensorflow` documents it, that runs `scan` and calls it `way`."""

    def recurrence(project, step, carry, sequences, output, constants, variables, training, key):
        outputs, carry = scan(lambda carry, x: step(carry, x, constants), carry, project(sequences), output)
        return outputs, carry, way

    return recurrence


def in_one_piece(function, sequences, states, mask, may_be_halved):
    """`split_batch`, as `rnnkit.backend.tensorflow` documents it, that does not halve."""
    return function(sequences, states, mask), ""
