"""PyTorch's part of `rnnkit.backend`."""

import torch
from keras import tree

from rnnkit.backend.loop import Loop, Run, run_plainly
from rnnkit.backend.loop import unrolled_scan as scan
from rnnkit.backend.torch import chains as chains
from rnnkit.backend.torch.kernels import against_kernels, run_kernel


def run(loop: Loop) -> Run:
    """Runs a loop by PyTorch's own kernel where there is one for its equation."""
    reason = loop.only_plainly or against_kernels(loop)
    if reason is None:
        return run_kernel(loop)
    return run_plainly(loop, scan, f"a loop in Python: PyTorch has no other; no kernel ran: {reason}")


def gradient(function, tensors):
    """d function(*tensors) / d tensor for each of `tensors`; `function` returns a scalar."""
    tensors = [tensor.detach().requires_grad_() for tensor in tensors]
    return list(torch.autograd.grad(function(*tensors), tensors, materialize_grads=True))


def from_ragged(tensor):
    """As they are: there are no ragged tensors."""
    return tensor, None


def is_concrete(tensor):
    return all(leaf.device.type != "meta" for leaf in tree.flatten(tensor))


def compiled(function, variables):
    """`function` of tensors as it is, without what gradients need."""
    return torch.no_grad()(function)
