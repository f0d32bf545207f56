"""Reads the cells of a notebook file, which may contain anything."""

import dataclasses
import json
import os
import stat
from typing import Any

MOST_BYTES = 20 << 20


@dataclasses.dataclass(frozen=True)
class Cell:
    """A cell of code or text: its id (or `None`), kind, source, tags, and the metadata under `rnnkit`."""

    id: str | None
    kind: str
    source: str
    tags: tuple[str, ...] = ()
    settings: dict[str, Any] = dataclasses.field(default_factory=dict)


def read(path: str | os.PathLike[str]) -> bytes:
    """Reads a file.

    Args:
        path: the file.

    Returns:
        Its bytes.

    Raises:
        ValueError: it is a link, not a file, or too large.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0))
    except OSError as problem:
        raise ValueError(
            "expected a file, received a link" if os.path.islink(path) else f"cannot be read: {problem}"
        ) from None
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise ValueError("expected a file, received something else")
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(f"expected at most {MOST_BYTES >> 20} MB, received more")
    return content


def cells(content: bytes) -> list[Cell]:
    """Reads the cells of a notebook.

    Args:
        content: bytes of the file.

    Returns:
        List of `Cell`.

    Raises:
        ValueError: the bytes are not a notebook; the message says what is wrong.

    Example:

    >>> from rnnkit.course.grading.notebook import cells
    >>> cells(b'{"cells": [{"id": "a", "cell_type": "code", "source": ["x = 1"]}]}')
    [Cell(id='a', kind='code', source='x = 1', tags=(), settings={})]
    >>> cells(b"[]")
    Traceback (most recent call last):
        ...
    ValueError: expected a notebook, a JSON object with a list of cells
    """
    try:
        notebook = json.loads(content.decode("utf-8"))
    except UnicodeDecodeError:
        raise ValueError("expected a notebook, received a file that is not UTF-8 text") from None
    except RecursionError:
        raise ValueError("expected a notebook, received JSON that is nested too deeply") from None
    except ValueError as problem:
        raise ValueError(f"expected a notebook, received a file that is not JSON: {problem}") from None
    found = notebook.get("cells") if isinstance(notebook, dict) else None
    if not isinstance(found, list):
        raise ValueError("expected a notebook, a JSON object with a list of cells")
    return [cell for cell in map(_cell, found) if cell]


def _cell(cell):
    if not isinstance(cell, dict):
        return None
    source = cell.get("source")
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str):
        return None
    metadata = cell.get("metadata") if isinstance(cell.get("metadata"), dict) else {}
    tags = metadata.get("tags") if isinstance(metadata.get("tags"), list) else []
    settings = metadata.get("rnnkit") if isinstance(metadata.get("rnnkit"), dict) else {}
    ids = [one for one in (cell.get("id"), metadata.get("id")) if isinstance(one, str)]
    return Cell(
        ids[0] if ids else None,
        cell.get("cell_type") if isinstance(cell.get("cell_type"), str) else "",
        source,
        tuple(tag for tag in tags if isinstance(tag, str)),
        settings,
    )
