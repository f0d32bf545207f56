"""RaggedTensors of TensorFlow as input."""

from keras import ops

from rnnkit import backend
from rnnkit.annotations import Mask, Tensor


def padded(sequences: Tensor, mask: Mask) -> tuple[Tensor, Mask]:
    """A RaggedTensor as a tensor with zeros after each row's end, and the mask of what was there; others as they are.

    Its own mask may be ragged like it, or padded.
    """
    sequences, present = backend.from_ragged(sequences)
    if present is None and not getattr(sequences, "ragged", False):  # the attribute is that of a KerasTensor
        return sequences, mask
    if mask is None:
        return sequences, present
    mask = ops.convert_to_tensor(mask, dtype="bool", ragged=False)
    if present is None:
        return sequences, mask
    missing = len(present.shape) - len(mask.shape)
    return sequences, ops.logical_and(present, ops.reshape(mask, (*ops.shape(mask), *[1] * missing)))
