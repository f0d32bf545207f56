"""The lines of a user's own text file."""

from collections.abc import Iterator
from pathlib import Path


def utf8_lines(path: Path, content: bytes) -> Iterator[tuple[int, str]]:
    """Yields the number, counted from 1, and the text of each line of a file.

    Args:
        path: the file, for error messages.
        content: its bytes, in UTF-8, with or without a byte order mark; lines end as on Unix or as on Windows.

    Yields:
        Pairs of a number and a text without its line end.

    Raises:
        ValueError: a line is not UTF-8. The message names the file, the line and the column.
    """
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
        try:
            text = line.decode("utf-8")
        except UnicodeDecodeError as error:
            column = len(line[: error.start].decode("utf-8")) + 1
            raise ValueError(
                f"{path}, line {number}, column {column}: expected UTF-8, received the byte {line[error.start]:#04x}. "
                "Save the file as UTF-8."
            ) from None
        yield number, text.removesuffix("\r")
