"""Files in columns: which lines are tokens, and where their columns are. Readers and writers share it."""

import csv
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from sys import intern
from typing import NamedTuple

from rnnkit.text.lines import utf8_lines
from rnnkit.text.schemes import scheme_of

DOCUMENT = "-DOCSTART-"
_NO_WORD = re.compile(r"\d+-\d+|\d+\.\d+")  # CoNLL-U: the line of a range of words, and that of an empty node
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)
_QUOTED = re.compile(r'(?:^|\t)("(?:[^"]|"")*"(?=\t|$)|[^\t]*)')


class Layout(NamedTuple):
    """How to read a file in columns; see `rnnkit.text.read_conll` for the arguments.

    Attributes:
        token_column: the column of the tokens.
        tag_column: the column of the tags, or None.
        comments: what begins a comment, a function of a line, or None.
        blank_tokens: `"read"`, `"skip"` or `"refuse"`, or None.
        quotes: whether cells may be in quotes.
        width: how many columns there have to be, or None.
    """

    token_column: int = 0
    tag_column: int | None = -1
    comments: str | Callable[[str], bool] | None = "#"
    blank_tokens: str | None = None
    quotes: bool = False
    width: int | None = None


class Block(NamedTuple):
    """A sentence of a file.

    Attributes:
        numbers: the number of the line of each token, counted from 1.
        tag_cell: which cell of these lines is the tag, counted back from the last one, -1; None without tags.
        split: how these lines were cut: at each tab ("cells"), at tabs ("tabs"), or at spaces ("spaces").
        tokens: the tokens.
        tags: their tags; empty if there is no column of tags.
        document: whether a mark before it says that a document begins.
    """

    numbers: list[int]
    tag_cell: int | None
    split: str
    tokens: list[str]
    tags: list[str]
    document: bool


class ColumnFile:
    """A file with one token per line.

    Args:
        path: the file.
        layout: how to read it.

    Attributes:
        skipped: how many lines were left out, by the reason.
    """

    def __init__(self, path: Path, layout: Layout):
        self.path, self.layout = path, layout
        self.skipped: Counter[str] = Counter()
        self._survey: _Survey | None = None

    def sentences(self) -> Iterator[Block]:
        """Yields the sentences, in one pass over the file."""
        document = False
        for first, lines, begins_document in self._blocks():
            document = document or begins_document
            numbers, kept, marked = self._without_comments(first, lines)
            document = document or marked
            if not kept:
                continue
            block = self._sentence(numbers, kept, document)
            if block.tokens:
                yield block
                document = False

    def rows(self) -> Iterator[list[list[str]]]:
        """Yields the cells of the lines of each sentence, whatever the columns are."""
        for first, lines, _ in self._blocks():
            numbers, kept, _ = self._without_comments(first, lines)
            if kept:
                rows, _, problem = self._cut(kept)
                if problem:
                    raise self._width_error(numbers[problem], kept[problem], len(rows[problem]), len(rows[0]))
                yield rows

    def _blocks(self):
        """The lines between blank lines, the number of the first, and whether a mark of a document is before it."""
        document = False
        for first, lines in self._paragraphs():
            if DOCUMENT not in "".join(lines):
                yield first, lines, document
                document = False
                continue
            begin = 0
            for place, line in enumerate([*lines, None]):
                is_mark = line is not None and DOCUMENT in line and _is_document(line, self.layout.token_column)
                if is_mark or line is None:
                    if begin < place:
                        yield first + begin, lines[begin:place], document
                        document = False
                    begin, document = place + 1, document or is_mark

    def _paragraphs(self):
        """The lines between blank lines, and the number of the first."""
        block, number = [], 0
        for number, line in enumerate(utf8_lines(self.path), 1):  # noqa: B007
            if line and (line[0] > " " or line.strip(" \t")):
                block.append(line)
            elif block:
                yield number - len(block), block
                block = []
        if block:
            yield number + 1 - len(block), block

    def _without_comments(self, first, lines):
        """The numbers and texts of the lines with tokens, and whether a comment says that a document begins."""
        comments = self.layout.comments
        if comments is None or isinstance(comments, str) and comments not in "".join(lines):
            places = []
        elif callable(comments):
            places = [place for place, line in enumerate(lines) if comments(line)]
        else:
            places = [place for place, line in enumerate(lines) if line.lstrip(" ").startswith(comments)]
            if places:
                places = self._really_comments(lines, places)
        if not places:
            return range(first, first + len(lines)), lines, False
        self.skipped["comments"] += len(places)
        out = set(places)
        kept = [place for place in range(len(lines)) if place not in out]
        marked = any(re.match(r"\W*newdoc\b", lines[place]) for place in places)
        return [first + place for place in kept], [lines[place] for place in kept], marked

    def _really_comments(self, lines, places):
        """Of the lines that begin like a comment, those that cannot be tokens of the sentence around them."""
        out = set(places)
        others = [place for place in range(len(lines)) if place not in out]
        rows, split, _ = self._cut([lines[place] for place in others]) if others else ([], "", 0)
        width, begin = (len(rows[0]), others[0]) if others else (None, len(lines))
        return [place for place in places if not self._may_be_token(lines[place], split, width, place < begin)]

    def _may_be_token(self, line, split, width, at_begin):
        """Whether a line that begins like a comment has the columns of its sentence, and of the file a tag."""
        if width is None:
            width = self._whole_file().width
            if width is None:  # no line of the file is anything else
                row = _cells(line)
                if len(row) == 1:
                    return self.layout.tag_column is None
                return "\t" in line or self._has_tag(row, set())
        row = line.split("\t") if split == "cells" else _cells(line)
        if len(row) != width:
            return False
        text = row[0].strip(" ").removeprefix(self.layout.comments)
        if not at_begin or width == 1 or text and text[0] != " " or not text and "\t" in line:
            return True
        return self._has_tag(row, self._whole_file().tags)  # "# O", or a comment of as many columns

    def _has_tag(self, row, known):
        column = self.layout.tag_column
        if column is None or not -len(row) <= column < len(row):
            return False
        return row[column].strip(" ") in known or scheme_of(None).read(row[column].strip(" ")) is not None

    def _whole_file(self):
        """What the lines of the file that are no comments have in common. Read at most once, and rarely."""
        if self._survey is None:
            self._survey = _Survey()
            for _, lines, _ in self._blocks():
                prefix = self.layout.comments if isinstance(self.layout.comments, str) else None
                lines = [line for line in lines if not prefix or not line.lstrip(" ").startswith(prefix)]
                if lines:
                    self._survey.add(self._cut(lines)[0], self.layout.tag_column)
        return self._survey

    def _cut(self, lines):
        """The columns of lines, how they were cut, and the first line that has not as many as the first one, or 0."""
        text = "\n".join(lines)
        tabs = sum("\t" in line for line in lines) if "\t" in text else 0
        if tabs == len(lines) or self.layout.quotes:
            rows = [line.split("\t") for line in lines]
            if self.layout.quotes:
                rows = [_unquoted(line) if '"' in line else row for line, row in zip(lines, rows, strict=True)]
            problem = _irregular(rows)
            if not problem:
                return rows, "cells", 0
            runs = [_cells(line) for line in lines]
            return (rows, "cells", problem) if _irregular(runs) else (runs, "tabs", 0)
        is_plain = not tabs and not any(spaces in f"\n{text}\n" for spaces in ("  ", "\n ", " \n"))
        rows = [line.split(" ") for line in lines] if is_plain else [_cells(line) for line in lines]
        problem = _irregular(rows)
        if problem and not tabs:  # a space at the beginning may be there instead of a token
            width = max(map(len, rows))
            padded = [
                ["", *row] if line[0] == " " and len(row) == width - 1 else row
                for row, line in zip(rows, lines, strict=True)
            ]
            if not _irregular(padded):
                return padded, "spaces", 0
        return rows, "spaces", problem

    def _sentence(self, numbers, lines, document):
        layout = self.layout
        rows, split, problem = self._cut(lines)
        expected = layout.width or len(rows[0])
        self._places(rows[problem], numbers[problem])
        if problem or len(rows[0]) != expected:
            place = problem if len(rows[0]) == expected else 0
            raise self._width_error(numbers[place], lines[place], len(rows[place]), expected)
        token, tag = self._places(rows[0], numbers[0])
        width = len(rows[0])
        cells = range(width)  # where the columns are among all cells
        if split == "cells" and self._is_no_column(rows, token, tag):
            cells = sorted(self._whole_file().filled[width])
            rows = [[row[place] for place in cells] for row in rows]
            token, tag = self._places(rows[0], numbers[0])
        from_end = None if tag is None else cells[tag] - width
        if token and rows[0][0][:1].isdigit():
            numbers, rows, lines = self._words(numbers, rows, lines)
        tokens = [row[token] for row in rows]
        tags = [] if tag is None else [row[tag] for row in rows]
        if split == "cells":  # all others are without spaces already
            tokens, tags = [token.strip(" ") for token in tokens], [tag.strip(" ") for tag in tags]
        if layout.blank_tokens or "" in tokens:
            kept = self._not_blank(numbers, lines, tokens, token)
            columns = (numbers, lines, tokens, tags)
            numbers, lines, tokens, tags = [[column[place] for place in kept] if column else [] for column in columns]
        if "" in tags:
            place = tags.index("")
            raise self._error(
                numbers[place],
                f"expected a tag in tag_column={layout.tag_column}, received an empty cell in the line "
                f"{lines[place]!r:.80}. Write the tag there, such as 'O', or choose another column.",
                _column(lines[place], cells[tag]),
            )
        return Block(list(numbers), from_end, split, list(map(intern, tokens)), list(map(intern, tags)), document)

    def _places(self, row, number):
        """The places of the token and of the tag in a row."""
        places = []
        columns = {"token_column": self.layout.token_column, "tag_column": self.layout.tag_column}
        for name, column in columns.items():
            if column is not None and not -len(row) <= column < len(row):
                raise self._error(number, f"expected a column {name}={column}, received {len(row)} columns: {row}.")
            places.append(None if column is None else column % len(row))
        if places[0] == places[1]:
            received = "a single one" if len(row) == 1 else "the same one for token_column and tag_column"
            raise self._error(
                number,
                f"expected a token and a tag in two columns, received {received} of {row}. If the file has no tags, "
                "pass tag_column=None.",
            )
        return places

    def _is_no_column(self, rows, *places):
        """Whether one of the columns is empty in the whole file: then two tabs, or one at the end, separate."""
        for place in places if self.layout.width is None else []:
            if place is not None and not any(row[place].strip(" ") for row in rows):
                if place not in self._whole_file().filled.get(len(rows[0]), {place}):
                    return True
        return False

    def _words(self, numbers, rows, lines):
        """Without the lines of CoNLL-U that are no words, if the first column numbers the words."""
        words = [place for place, row in enumerate(rows) if not _NO_WORD.fullmatch(row[0])]
        if len(words) == len(rows) or [rows[place][0] for place in words] != list(map(str, range(1, len(words) + 1))):
            return numbers, rows, lines
        for row in rows:
            if "-" in row[0]:
                self.skipped["ranges of words"] += 1
            elif "." in row[0]:
                self.skipped["empty nodes"] += 1
        return [[column[place] for place in words] for column in (numbers, rows, lines)]

    def _not_blank(self, numbers, lines, tokens, column):
        """The places of the tokens to keep: of all, of those that are not blank, or an error."""
        how = self.layout.blank_tokens
        blank = [place for place, token in enumerate(tokens) if not token or how and _is_blank(token)]
        if how in (None, "refuse") and blank:
            place = blank[0]
            raise self._error(
                numbers[place],
                f"expected a token in token_column={self.layout.token_column}, received "
                f"{ascii(tokens[place]) if tokens[place] else 'an empty cell'} in the line {lines[place]!r:.80}. "
                "Pass blank_tokens='skip' to leave such lines out, or 'read' to read them.",
                _column(lines[place], column),
            )
        if how == "skip" and blank:
            self.skipped["blank tokens"] += len(blank)
            return [place for place in range(len(tokens)) if place not in set(blank)]
        return range(len(tokens))

    def _width_error(self, number, line, received, expected):
        as_in = "" if self.layout.width else ", as in the first line of the sentence"
        return self._error(number, f"expected {expected} columns{as_in}, received {received} in {line.strip()!r:.80}.")

    def _error(self, number, problem, column=None):
        place = f"{self.path}, line {number}" + (f", column {column}" if column else "")
        return ValueError(f"{place}: {problem}")


class _Survey:
    """What is known of a file after one look at all of it: widths, tags, and which cells are ever filled."""

    def __init__(self):
        self.widths, self.tags, self.filled = Counter(), set(), {}

    def add(self, rows, tag_column):
        for row in rows:
            self.widths[len(row)] += 1
            if tag_column is not None and -len(row) <= tag_column < len(row):
                self.tags.add(row[tag_column].strip(" "))
            filled = self.filled.setdefault(len(row), set())
            if len(filled) < len(row):
                filled.update(place for place, cell in enumerate(row) if cell.strip(" "))

    @property
    def width(self):
        """How many columns most lines have; None if there is no line."""
        return self.widths.most_common(1)[0][0] if self.widths else None


def spans(line: str, split: str, quotes: bool) -> list[tuple[int, int]]:
    """Returns where the columns of a line begin and end, without spaces around them; see `Block.split`."""
    if split == "cells":
        pattern = _QUOTED if quotes else re.compile(r"(?:^|\t)([^\t]*)")
        found = [match.span(1) for match in pattern.finditer(line)]
    else:
        found = [match.span() for match in re.finditer("[^\t]+" if "\t" in line else "[^ ]+", line)]
    return [
        (begin + len(line[begin:end]) - len(line[begin:end].lstrip(" ")), begin + len(line[begin:end].rstrip(" ")))
        if line[begin:end].strip(" ")
        else (begin, begin)
        for begin, end in found
        if split == "cells" or line[begin:end].strip(" ")
    ]


def _cells(line):
    """The columns of a line that may be cut at several tabs or spaces. Tokens may contain any other Unicode space."""
    if "\t" in line:
        return [cell.strip(" ") for cell in re.split("\t+", line.strip(" \t"))]
    row = line.split(" ")
    return [cell for cell in row if cell] if "" in row else row


def _unquoted(line):
    """The cells of a line in which those with tabs, or with quotes, are in quotes."""
    try:
        return next(csv.reader([line], delimiter="\t", strict=True))
    except csv.Error:
        return line.split("\t")


def _is_blank(token):
    """Whether a token has no visible character: spaces, controls, and what Unicode has fonts leave out."""
    return all(unicodedata.category(c) in ("Zs", "Zl", "Zp", "Cc", "Cf") or _INVISIBLE.match(c) for c in token)


def _irregular(rows):
    """The first row that has not as many columns as the first one, or 0."""
    if len(set(map(len, rows))) == 1:
        return 0
    width = len(rows[0])
    return next((place for place, row in enumerate(rows) if len(row) != width), 0)


def _is_document(line, token_column):
    row = _cells(line)
    return row[0] == DOCUMENT or -len(row) <= token_column < len(row) and row[token_column] == DOCUMENT


def _column(line, place):
    """The number of the character at which a cell begins, counted from 1."""
    return sum(len(cell) + 1 for cell in line.split("\t")[:place]) + 1 if "\t" in line else 1
