"""Functions of tensors that layers share, for layers and cells of your own.

| name | what it does |
|---|---|
| `check_mask` | checks that the shape of a mask fits its sequences |
| `without_padding` | replaces the padding of a tensor with zeros |
| `recurrent_product` | multiplies a state by a weight, and makes a compiled custom cell train faster |
"""

from rnnkit.ops.masking import check_mask, without_padding
from rnnkit.ops.recurrent_product import recurrent_product

__all__ = ["check_mask", "recurrent_product", "without_padding"]
