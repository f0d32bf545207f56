"""PyTorch's part of `rnnkit.backend`."""

import torch
from keras import tree

from rnnkit.backend.plain_recurrence import in_one_piece, plain_recurrence
from rnnkit.backend.unrolled import unrolled_scan as scan

recurrence = plain_recurrence(scan, "a loop in Python: PyTorch has no other")
split_batch = in_one_piece


def gradient(function, tensors):
    """d function(*tensors) / d tensor for each of `tensors`; `function` returns a scalar."""
    tensors = [tensor.detach().requires_grad_() for tensor in tensors]
    return list(torch.autograd.grad(function(*tensors), tensors, materialize_grads=True))


def is_concrete(tensor):
    return all(leaf.device.type != "meta" for leaf in tree.flatten(tensor))


def compiled(function, variables):
    """`function` of tensors as it is, without what gradients need."""
    return torch.no_grad()(function)
