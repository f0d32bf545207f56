"""What layers do with a mask."""

from keras import ops

from rnnkit.arguments import agree


def check_mask(owner, mask, tensor, name="mask", of="sequences"):
    """A `ValueError` if there is a mask and it is not `(batch, time)`, as the tensor `(batch, time, ...)` has them."""
    if mask is not None and not agree(mask.shape, tensor.shape[:2]):
        raise ValueError(
            f"{owner} expected a {name} (batch, time) = {tuple(tensor.shape[:2])} for {of} of shape "
            f"{tuple(tensor.shape)}, received shape {tuple(mask.shape)}."
        )


def without_padding(tensor, mask):
    """The tensor with zeros where the mask, of its first axes, is False; the tensor itself without a mask.

    So what stands in the padding reaches neither a sum nor a gradient, not even as NaN times zero.
    """
    if mask is None:
        return tensor
    while len(mask.shape) < len(tensor.shape):
        mask = mask[..., None]
    return ops.where(mask, tensor, ops.zeros_like(tensor))
