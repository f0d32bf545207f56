"""The lines of a user's own text file, one at a time: a file may be larger than the memory."""

import gzip
import re
import zlib
from collections.abc import Iterator
from pathlib import Path

_END = re.compile("(\r*\n|\r)")  # Unix, Windows (also with a \r too many), old Mac
_CHUNK = 1 << 20


def utf8_lines(path: Path) -> Iterator[str]:
    """Yields the text of each line of a file, without its end and without byte order marks at its beginning.

    Lines end as on Unix, Windows or old Macs, and nowhere else. Byte order marks may be at the beginning of any line:
    they are there where files were put together.

    Args:
        path: the file, in UTF-8. If its name ends in `.gz`, it is decompressed.

    Yields:
        The text of each line.

    Raises:
        ValueError: a line is not UTF-8, and the message names the file, the line and the column; or a compressed file
            is damaged.
    """
    for text in _pieces(path):
        lines = _END.split(text)[::2] if "\r" in text else text.split("\n")
        if not lines[-1]:
            lines.pop()  # what follows the last line end
        if "\ufeff" in text:
            lines = [line.lstrip("\ufeff") for line in lines]
        yield from lines


def lines_with_ends(path: Path) -> Iterator[tuple[str, str, str]]:
    """Yields for each line its byte order marks, its text and its end: together, they are the file.

    See `utf8_lines` for the argument and the exceptions. Marks and end may be empty.
    """
    for text in _pieces(path):
        parts = _END.split(text)
        for line, end in zip(parts[::2], [*parts[1::2], ""], strict=True):
            if line or end:
                text = line.lstrip("\ufeff")
                yield line[: len(line) - len(text)], text, end


def _pieces(path):
    """The text of a file in pieces of whole lines."""
    rest, place = b"", 0
    with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
        while chunk := _read(path, file):
            chunk = rest + chunk
            cut = chunk.rfind(b"\n") + 1 or chunk.rstrip(b"\r").rfind(b"\r") + 1
            rest = chunk[cut:]
            if cut:
                yield _decoded(path, chunk[:cut], place)
            place += cut
    if rest:
        yield _decoded(path, rest, place)


def _read(path, file):
    try:
        return file.read(_CHUNK)
    except (EOFError, zlib.error) as error:  # the other errors of gzip are an OSError
        raise ValueError(f"{path}: expected a complete gzip file, received a damaged one: {error}.") from None


def _decoded(path, content, place):
    """The text of bytes that begin at a place of the file."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        with gzip.open(path) if path.suffix == ".gz" else open(path, "rb") as file:
            before = _END.split(file.read(place + error.start).decode("utf-8"))[::2]
        column = len(before[-1].lstrip("\ufeff")) + 1
        raise ValueError(
            f"{path}, line {len(before)}, column {column}: expected UTF-8, received the byte "
            f"{content[error.start]:#04x}. Save the file as UTF-8."
        ) from None
