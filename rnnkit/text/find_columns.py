"""Finds out which columns of a file are the tokens and the tags."""

from collections import Counter
from collections.abc import Callable
from itertools import islice
from os import PathLike
from typing import NamedTuple

from rnnkit.text.read_conll import column_file
from rnnkit.text.tags import find_scheme


class Columns(NamedTuple):
    """What the columns of a file are.

    Attributes:
        token_column: the column of the tokens, counted from 0.
        tag_column: the column of the tags, counted back from -1, the last one; `None` if none has tags of entities.
        width: how many columns there are.
    """

    token_column: int
    tag_column: int | None
    width: int


def find_columns(
    path: str | PathLike[str],
    comments: str | Callable[[str], bool] | None = "#",
    quotes: bool = False,
    sentences: int = 1000,
) -> Columns:
    """Finds out which column of a file has the tokens, and which one the tags of entities.

    The tags are in the last column that follows a scheme of `find_scheme`, with O and at least one entity. Types
    without a scheme ("PER", "O") are tags only if no other column has any, and if most of them are O. The tokens are in
    the first other column that does not number them.

    Args:
        path: the file. If its name ends in `.gz`, it is decompressed.
        comments: see `read_conll`. Defaults to `"#"`.
        quotes: see `read_conll`. Defaults to `False`.
        sentences: how many sentences to look at. Defaults to `1000`.

    Returns:
        Named tuple `(token_column, tag_column, width)`: the arguments of `read_conll`, and the number of columns.

    Raises:
        ValueError: there is no sentence, two of them have different numbers of columns, or a line is malformed as in
            `read_conll`.
        OSError: the file cannot be read.

    Example:

    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "dev.tsv")
    ...     _ = path.write_text("1\\tAna\\tB-PER\\t0.98\\n2\\tleft\\tO\\t0.99\\n")
    ...     find_columns(path)
    Columns(token_column=1, tag_column=-2, width=4)
    """
    file = column_file("find_columns", path, 0, None, comments, None, quotes)
    rows = list(islice(file.rows(), sentences))
    widths = {len(row) for sentence in rows for row in sentence}
    if len(widths) != 1:
        raise ValueError(
            f"{path}: expected sentences with one number of columns, received {sorted(widths) or 'no sentence'}."
        )
    [width] = widths
    columns = [[[row[place].strip(" ") for row in sentence] for sentence in rows] for place in range(width)]
    last_first = range(width - 1, -1, -1) if width > 1 else []
    schemes = {place: _scheme(columns[place]) for place in last_first}
    tagged = [place for place, scheme in schemes.items() if scheme is not None]
    tagged.sort(key=lambda place: "types only" in schemes[place])
    tag = tagged[0] if tagged else None
    others = [place for place in range(width) if place != tag]
    words = [place for place in others if not all(map(_are_numbers, columns[place]))]
    return Columns((words or others)[0], None if tag is None else tag - width, width)


def _scheme(column):
    """The scheme of a column; `None` if it isn't one of tags."""
    counts = Counter(cell for sentence in column for cell in sentence)
    if not counts.keys() & {"O", "o"} or len(counts) == 1:
        return None
    try:
        scheme = find_scheme(column)
    except ValueError:
        return None
    outside = counts["O"] + counts["o"]
    return scheme if "types only" not in scheme or outside > counts.total() / 2 else None


def _are_numbers(cells):
    """Whether the cells of a sentence number its tokens, as in CoNLL-U: `1`, `2-3`, `3.1`."""
    return all(cell.replace("-", "").replace(".", "").isdecimal() for cell in cells)
