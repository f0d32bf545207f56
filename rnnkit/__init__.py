"""Recurrent networks for Keras 3: layers, decoding, diagnostics, and a course that runs.

A subpackage is imported when it is first used: `import rnnkit` alone imports neither Keras nor a backend, which leaves
`rnnkit.course.setup` the time to prepare them.
"""

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rnnkit import (
        convert,
        course,
        datasets,
        decoding,
        diagnostics,
        layers,
        losses,
        metrics,
        ops,
        plotting,
        text,
        training,
        word2vec,
    )

__version__ = "0.1.0"

__all__ = [
    "convert",
    "course",
    "datasets",
    "decoding",
    "diagnostics",
    "layers",
    "losses",
    "metrics",
    "ops",
    "plotting",
    "text",
    "training",
    "word2vec",
]


def __getattr__(name: str) -> ModuleType:
    if name in __all__:
        return importlib.import_module(f"rnnkit.{name}")
    raise AttributeError(f"module 'rnnkit' has no attribute {name!r}: expected one of {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
