"""Reads sentences with a tag for each word, from files with a column for each."""

import re
from os import PathLike
from pathlib import Path
from typing import NamedTuple

from rnnkit.text.lines import utf8_lines
from rnnkit.text.tags import split_tag


class Sentences(NamedTuple):
    """Sentences and their tags.

    Attributes:
        tokens: for each sentence the list of its tokens.
        tags: for each sentence, at the same index, the list of as many tags.
    """

    tokens: list[list[str]]
    tags: list[list[str]]


def read_conll(path: str | PathLike[str], token_column: int = 0, tag_column: int = -1) -> Sentences:
    """Reads a file with one token per line, in columns, and a blank line after each sentence.

    This is the format of CoNLL-2003, Wikigold and WNUT 17. Columns are separated by tabs, or by spaces in lines without
    a tab. The file is in UTF-8, with or without a byte order mark, and its lines end as on Unix or as on Windows. Lines
    without a token are skipped: blank lines, the line `-DOCSTART-` that begins a document, and comments. A comment
    begins with `#` and has no entity tag in its tag column: in `#NBA O` the mark is part of the token.

    The tags are returned as they are in the file. Copies of the same corpus differ in their tagging scheme:
    `rnnkit.text.check_tags` checks it, and `rnnkit.text.convert_tags` converts it.

    Args:
        path: the file.
        token_column: the column of the tokens, counted from 0; -1 is the last column. Defaults to `0`.
        tag_column: the column of the tags. Defaults to `-1`.

    Returns:
        Named tuple `(tokens, tags)` of two lists: for each sentence its list of tokens, and its list of tags.

    Raises:
        ValueError: a line is not UTF-8, has no such columns, or does not have as many columns as the first line of
            its sentence, or there is no sentence at all. The message names the file and the line, counted from 1, and
            for bytes that are not UTF-8 also the column.
        OSError: the file cannot be read.

    Example:

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "eng.testb")
    ...     _ = path.write_text("-DOCSTART- O\\n\\nJapan NNP I-NP I-LOC\\nwon VBD I-VP O\\n\\nLadki NNP I-NP I-PER\\n")
    ...     sentences = read_conll(path)
    >>> sentences.tokens
    [['Japan', 'won'], ['Ladki']]
    >>> sentences.tags
    [['I-LOC', 'O'], ['I-PER']]

    References:
        Tjong Kim Sang and De Meulder, "Introduction to the CoNLL-2003 shared task: language-independent named entity
        recognition", 2003.
        Derczynski, Nichols, van Erp and Limsopatham, "Results of the WNUT2017 shared task on novel and emerging
        entity recognition", 2017.
    """
    path = Path(path)
    sentences = Sentences([], [])
    width = None  # the number of columns of the sentence that is being read; None between sentences
    for number, line in utf8_lines(path, path.read_bytes()):
        columns = _columns(line)
        if not columns or columns[0] == "-DOCSTART-":
            width = None
            continue
        if columns[0].startswith("#") and not _has_tag(columns, tag_column):
            continue
        token, tag = _cells(columns, token_column, tag_column, f"{path}, line {number}")
        if width is None:
            sentences.tokens.append([])
            sentences.tags.append([])
        elif len(columns) != width:
            raise ValueError(
                f"{path}, line {number}: expected {width} columns, as in the first line of the sentence, received "
                f"{len(columns)} in {line.strip()!r:.80}."
            )
        width = len(columns)
        sentences.tokens[-1].append(token)
        sentences.tags[-1].append(tag)
    if not sentences.tokens:
        raise ValueError(f"{path}: expected lines with a token and a tag, received a file without any.")
    return sentences


def _columns(line):
    """The columns of a line; none if it is blank. Tokens may contain any other Unicode space."""
    line = line.strip(" \t\r")
    return [column.strip(" ") for column in re.split("\t+" if "\t" in line else " +", line)] if line else []


def _has_tag(columns, tag_column):
    try:
        split_tag(columns[tag_column])
    except (IndexError, ValueError):
        return False
    return len(columns) > 1


def _cells(columns, token_column, tag_column, where):
    """The token and the tag of one line."""
    places = []
    for name, column in (("token_column", token_column), ("tag_column", tag_column)):
        if not -len(columns) <= column < len(columns):
            raise ValueError(f"{where}: expected a column {name}={column}, received {len(columns)} columns: {columns}.")
        places.append(column % len(columns))
    if places[0] == places[1]:
        raise ValueError(
            f"{where}: expected a token and a tag in two columns, received the same column for "
            f"token_column={token_column} and tag_column={tag_column} of {columns}."
        )
    return [columns[place] for place in places]
