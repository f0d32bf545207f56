"""Writes sentences and their tags to files in columns, and predictions into copies of such files."""

import io
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from os import PathLike
from pathlib import Path

from rnnkit.annotations import Tokens
from rnnkit.files import compressed, new_file
from rnnkit.text.columns import DOCUMENT, ColumnFile, Layout, spans
from rnnkit.text.lines import lines_with_ends
from rnnkit.text.read_conll import column_file


def write_conll(
    path: str | PathLike[str],
    tokens: Iterable[Tokens],
    tags: Iterable[Tokens] | None = None,
    separator: str = "\t",
    quotes: bool = False,
    documents: Sequence[int] = (),
) -> None:
    """Writes a file with one token and its tag per line, and a blank line after each sentence.

    `read_conll` returns the same sentences. If it would not, because a token looks like a comment or has a separator
    inside, an error says so, and no file is written.

    Args:
        path: the file. If its name ends in `.gz`, it is compressed.
        tokens: for each sentence the list of its tokens.
        tags: for each sentence the list of as many tags. Defaults to `None`: a file without tags, as with the empty
            list that `read_conll` returns for one.
        separator: what is between the columns, a tab or a space. Defaults to a tab.
        quotes: whether to write cells in double quotes where that is needed, such as those with a tab inside; read
            them with `quotes=True`. Defaults to `False`.
        documents: the indices of the sentences before which to write `-DOCSTART-`. Defaults to `()`.

    Raises:
        ValueError: there is no sentence, one has no token or not as many tags as tokens, `documents` has an index of
            none, or a token or tag would not be read again.
        OSError: the file cannot be written.

    Example:

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "found.conll")
    ...     write_conll(path, [["Ana", "left"], ["Rain"]], [["B-PER", "O"], ["O"]], separator=" ")
    ...     print(path.read_text(encoding="utf-8"), end="")
    Ana B-PER
    left O
    <BLANKLINE>
    Rain O
    <BLANKLINE>
    """
    if separator not in ("\t", " "):
        raise ValueError(f"write_conll expected separator to be a tab or a space, received {separator!r}.")
    if quotes and separator != "\t":
        raise ValueError("write_conll expected a tab as the separator along with quotes=True, received a space.")
    path, documents = Path(path), set(documents)
    tokens = _rows("token", tokens)
    tags = _rows("tag", () if tags is None else tags) or None
    if not tokens:
        raise ValueError("write_conll expected at least one sentence, received none.")
    if not documents <= set(range(len(tokens))):
        raise ValueError(
            f"write_conll expected documents, indices from 0 to {len(tokens) - 1}, received {sorted(documents)}."
        )
    if tags is not None and list(map(len, tokens)) != list(map(len, tags)):
        raise ValueError(
            f"write_conll expected a tag for each token, received {len(tokens)} sentences with {sum(map(len, tokens))} "
            f"tokens and {len(tags)} with {sum(map(len, tags))} tags. Compare the lengths of the sentences."
        )
    columns = [tokens] if tags is None else [tokens, tags]
    with new_file(path) as opened:
        with _text(opened, path) as file:
            for index, rows in enumerate(zip(*columns, strict=True)):
                if not rows[0]:
                    raise ValueError(
                        f"write_conll expected sentences with at least one token, received sentence {index}."
                    )
                if index in documents:
                    file.write(separator.join([DOCUMENT, *["O"] * (len(columns) - 1)]) + "\n\n")
                for place, cells in enumerate(zip(*rows, strict=True)):
                    where = f"write_conll, sentence {index}, token {place}"
                    written = [_cell(cell, separator, quotes, where, tags is None) for cell in cells]
                    file.write(separator.join(written) + "\n")
                file.write("\n")
        if any(token.startswith(("#", "\ufeff", DOCUMENT)) for row in tokens for token in row):
            _check(Path(opened.name), tokens, tags, quotes)


def replace_tags(
    source: str | PathLike[str],
    path: str | PathLike[str],
    tags: Iterable[Tokens] | None,
    token_column: int = 0,
    tag_column: int | None = -1,
    comments: str | Callable[[str], bool] | None = "#",
    blank_tokens: str | None = None,
    quotes: bool = False,
    append: Sequence[Iterable[Tokens]] = (),
) -> None:
    """Writes a copy of a file in columns with other tags; everything else stays as it is, byte for byte.

    Comments, blank lines, other columns, line ends and marks are copied. The arguments that say how to read the file
    are those of `read_conll`, and so are its sentences.

    Args:
        source: the file to copy.
        path: the file to write; it may be the same one. If its name ends in `.gz`, it is compressed.
        tags: for each sentence the list of its tags, which replace those of `tag_column`; `None` leaves them.
        token_column: the column of the tokens, counted from 0; -1 is the last column. Defaults to `0`.
        tag_column: the column of the tags; `None` for a file without tags. Defaults to `-1`.
        comments: see `read_conll`. Defaults to `"#"`.
        blank_tokens: see `read_conll`. Defaults to `None`.
        quotes: see `read_conll`. Defaults to `False`.
        append: columns to add after the last one, such as predicted tags and their confidences: each has for each
            sentence a list with a string for each token. Defaults to `()`.

    Raises:
        ValueError: there are more or fewer sentences or tags than in the file, or a tag would not be read again.
        OSError: a file cannot be read or written.

    Example:

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "dev.conll")
    ...     _ = path.write_text("# news\\nAna  NNP O\\nleft VBD O\\n", encoding="utf-8")
    ...     replace_tags(path, path, [["B-PER", "O"]], append=[[["0.98", "0.99"]]])
    ...     print(path.read_text(encoding="utf-8"), end="")
    # news
    Ana  NNP B-PER 0.98
    left VBD O 0.99
    """
    source, path = Path(source), Path(path)
    if tags is not None and tag_column is None:
        raise ValueError("replace_tags expected tag_column, a column to replace, received None. Use append instead.")
    file = column_file("replace_tags", source, token_column, tag_column, comments, blank_tokens, quotes)
    columns = [iter(column) for column in ([] if tags is None else [tags]) + list(append)]
    edits = _edits(file, columns)
    with new_file(path) as opened, _text(opened, path) as target:
        edit = next(edits, None)
        for number, (mark, line, end) in enumerate(lines_with_ends(source), 1):
            if edit is not None and edit[0] == number:
                line = _edited(line, edit[1], edit[2], quotes, tags is not None, f"{source}, line {number}")
                edit = next(edits, None)
            target.write(mark + line + end)


def _rows(what, rows):
    """The sentences as lists; a string instead of one would be read as a list of its letters."""
    rows = list(rows)
    for row in rows:
        if isinstance(row, str):
            raise ValueError(f"write_conll expected lists of {what}s, received the string {row!r:.40}. Split it.")
    return [list(row) for row in rows]


def _edits(file, columns):
    """Yields for each token the number of its line, its block, and its new cells."""
    for block in file.sentences():
        rows = [next(column, None) for column in columns]
        for row in rows:
            if row is None or isinstance(row, str) or len(row) != len(block.tokens):
                received = "none" if row is None else repr(row)[:60] if isinstance(row, str) else len(row)
                raise ValueError(
                    f"{file.path}, line {block.numbers[0]}: replace_tags expected {len(block.tokens)} tags for the "
                    f"sentence that begins there, received {received}."
                )
        for place, number in enumerate(block.numbers):
            yield number, block, [row[place] for row in rows]
    if any(next(column, None) is not None for column in columns):
        raise ValueError(f"{file.path}: replace_tags expected as many sentences as the file has, received more.")


def _edited(line, block, cells, quotes, replaces, where):
    separator = "\t" if "\t" in line else " "
    quotes = quotes and block.split == "cells"
    cells = [_cell(cell, separator, quotes, where) for cell in cells]
    if replaces:
        tag, *cells = cells
        begin, end = spans(line, block.split, quotes)[block.tag_cell]
        line = line[:begin] + tag + line[end:]
    if block.split == "cells" and not line.endswith(" "):
        return separator.join([line, *cells])
    text = line.rstrip("\t ")
    return separator.join([text, *cells]) + line[len(text) :]


def _cell(cell, separator, quotes, where, alone=False):
    """A token or tag as it is written; `alone` in a line without other columns."""
    if not isinstance(cell, str):
        raise ValueError(f"{where}: expected a string, received {cell!r}.")
    if quotes and ("\t" in cell or '"' in cell or cell.startswith(("#", "\ufeff", DOCUMENT))):
        written = '"' + cell.replace('"', '""') + '"'
    else:
        written = cell
    problem = None
    if not cell:
        problem = "at least one character"
    elif "\n" in cell or "\r" in cell:
        problem = "no line end"
    elif not cell.isascii() and any(unicodedata.category(character) == "Cs" for character in cell):
        problem = "characters that UTF-8 has, no surrogates"
    elif cell.strip(" \t") != cell and not (quotes and cell.strip(" ") == cell):
        problem = "no space or tab at its beginning or end"
    elif written == cell and ("\t" in cell or separator in cell or alone and " " in cell and not quotes):
        problem = f"no {'tab' if chr(9) in cell else 'space'} inside"
    if problem:
        more = " Pass quotes=True." if "tab" in problem and "inside" in problem and not quotes else ""
        raise ValueError(f"{where}: expected a token or tag with {problem}, received {cell!r}.{more}")
    return written


def _check(path, tokens, tags, quotes):
    """Raises a `ValueError` if a reader would not find what was written."""
    layout = Layout(tag_column=None if tags is None else -1, quotes=quotes)
    written = list(zip(tokens, tokens if tags is None else tags, strict=True))
    index = 0
    try:
        for block in ColumnFile(path, layout).sentences():
            if index == len(written) or (block.tokens, block.tags or block.tokens) != written[index]:
                break
            index += 1
        else:
            if index == len(written):
                return
    except ValueError:  # what it looks like makes no sense at all
        pass
    raise ValueError(
        f"write_conll expected sentences that are read as they were written, received {tokens[index]!r:.80}, sentence "
        f"{index}, in which a token looks like a comment or a mark. Write with a tab as the separator, or with "
        "quotes=True."
    )


def _text(file, path):
    """A file of bytes as one of text, compressed if its name says so."""
    return io.TextIOWrapper(compressed(file, path), encoding="utf-8", newline="")
