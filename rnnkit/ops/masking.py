"""Masks: a check, and zeros in the padding."""

from keras import ops

from rnnkit.annotations import Mask, Tensor
from rnnkit.arguments import agree


def check_mask(owner: str, mask: Mask, tensor: Tensor, name: str = "mask", of: str = "sequences") -> None:
    """Raises a `ValueError` if there is a mask and its shape is not that of the first two axes of the tensor."""
    if mask is not None and not agree(mask.shape, tensor.shape[:2]):
        raise ValueError(
            f"{owner} expected a {name} (batch, time) = {tuple(tensor.shape[:2])} for {of} of shape "
            f"{tuple(tensor.shape)}, received shape {tuple(mask.shape)}."
        )


def without_padding(tensor: Tensor, mask: Mask) -> Tensor:
    """Returns the tensor with zeros where the mask, of its first axes, is False; without a mask, the tensor itself.

    What is in the padding then reaches neither a sum nor a gradient, not even as NaN times zero.
    """
    if mask is None:
        return tensor
    while len(mask.shape) < len(tensor.shape):
        mask = mask[..., None]
    return ops.where(mask, tensor, ops.zeros_like(tensor))
