"""The types that signatures share. They tell a reader what goes in; at run time they check nothing."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

Tensor: TypeAlias = Any  # a tensor of TensorFlow, JAX or PyTorch, a NumPy array, or a symbolic KerasTensor
Tensors: TypeAlias = Any  # one tensor, or a nested structure of tensors
Shape: TypeAlias = Any  # a tuple of sizes; None is a size that is not known yet
Mask: TypeAlias = Any  # a boolean tensor, True at unmasked steps, or None
Dtype: TypeAlias = Any  # a name such as "float32", or a keras.DTypePolicy
Config: TypeAlias = dict[str, Any]  # what get_config returns

Activation: TypeAlias = str | Callable[[Any], Any] | None
Initializer: TypeAlias = str | dict[str, Any] | Callable[..., Any] | None
Regularizer: TypeAlias = str | dict[str, Any] | Callable[..., Any] | None
Constraint: TypeAlias = str | dict[str, Any] | Callable[..., Any] | None

Tokens: TypeAlias = Sequence[str]  # the words or characters of one text
