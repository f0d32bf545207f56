"""What the tags of a `CRF` were computed from: attached to the tags, and read by `CRFLoss`.

Tags have no gradient, so the loss needs the emissions, the mask and the layer. Keras hands a loss nothing but y_true
and y_pred. They are therefore attached to the tags themselves, as Keras attaches a mask to a tensor. The model then has
one output, and neither loss nor model needs a special way to be compiled or saved.

An attachment lives as long as its tags, and never keeps the layer alive.
"""

import weakref
from collections.abc import Callable
from typing import Any, NamedTuple

from rnnkit.annotations import Mask, Tensor

_origins = {}  # by id, of tags that take no attributes: those of JAX inside a compiled function


class Origin(NamedTuple):
    """What the tags of a CRF were computed from."""

    crf: Callable[[], Any]  # a weak reference
    emissions: Tensor
    mask: Mask


def attach_origin(tags: Tensor, crf: Any, emissions: Tensor, mask: Mask) -> None:
    """Attaches to tags what they were computed from."""
    origin = Origin(weakref.ref(crf), emissions, mask)
    try:
        tags._rnnkit_origin = origin
    except AttributeError:
        _origins[id(tags)] = origin
        weakref.finalize(tags, _origins.pop, id(tags), None)


def origin_of(tags: Tensor) -> Origin | None:
    """Returns what is attached to tags, or None."""
    return getattr(tags, "_rnnkit_origin", None) or _origins.get(id(tags))
