"""PyTorch's part of `rnnkit.backend`."""

import torch
from keras import tree


def scan(step, carry, sequences):
    """Runs `carry = step(carry, x_t)` over the first axis of `sequences`.

    Returns `carry[0]` of every step, stacked, and the last carry.
    """
    outputs = []
    for t in range(tree.flatten(sequences)[0].shape[0]):
        carry = step(carry, tree.map_structure(lambda sequence, t=t: sequence[t], sequences))
        outputs.append(carry[0])
    return torch.stack(outputs), carry


def gradient(function, tensors):
    """d function(*tensors) / d tensor for each of `tensors`; `function` returns a scalar."""
    tensors = [tensor.detach().requires_grad_() for tensor in tensors]
    return list(torch.autograd.grad(function(*tensors), tensors, materialize_grads=True))


def is_concrete(tensor):
    return all(leaf.device.type != "meta" for leaf in tree.flatten(tensor))
