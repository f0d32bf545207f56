"""Masks: a check, and zeros in the padding."""

from keras import ops

from rnnkit.annotations import Mask, Tensor
from rnnkit.arguments import agree


def check_mask(owner: str, mask: Mask, tensor: Tensor, name: str = "mask", of: str = "sequences") -> None:
    """Checks that the shape of a mask is that of the first two axes of a tensor.

    Args:
        owner: the layer or function that received the mask, for the message.
        mask: booleans `(batch, time)`, or `None`, which is always accepted.
        tensor: tensor `(batch, time, ...)`.
        name: the argument that holds the mask, for the message. Defaults to `"mask"`.
        of: what the tensor holds, for the message. Defaults to `"sequences"`.

    Raises:
        ValueError: the mask has another shape.

    Example:

    >>> import numpy as np
    >>> from rnnkit.ops import check_mask
    >>> check_mask("LSTM", np.ones((2, 5), "bool"), np.zeros((2, 3, 4)))
    Traceback (most recent call last):
    ...
    ValueError: LSTM expected a mask (batch, time) = (2, 3) for sequences of shape (2, 3, 4), received shape (2, 5).
    """
    if mask is not None and not agree(mask.shape, tensor.shape[:2]):
        raise ValueError(
            f"{owner} expected a {name} (batch, time) = {tuple(tensor.shape[:2])} for {of} of shape "
            f"{tuple(tensor.shape)}, received shape {tuple(mask.shape)}."
        )


def without_padding(tensor: Tensor, mask: Mask) -> Tensor:
    """Replaces the padding of a tensor with zeros.

    The content of the padding then reaches neither a sum nor a gradient, not even as NaN times zero.

    Args:
        tensor: tensor whose first axes are those of the mask.
        mask: booleans, False in the padding, or `None`: there is no padding.

    Returns:
        Tensor of the same shape; without a mask, the tensor itself.

    Example:

    >>> import numpy as np
    >>> from rnnkit.ops import without_padding
    >>> np.array(without_padding(np.array([[1.0, 2.0, 3.0]]), np.array([[True, True, False]]))).tolist()
    [[1.0, 2.0, 0.0]]
    """
    if mask is None:
        return tensor
    while len(mask.shape) < len(tensor.shape):
        mask = mask[..., None]
    return ops.where(mask, tensor, ops.zeros_like(tensor))
