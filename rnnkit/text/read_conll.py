"""Reads sentences with a tag for each word, from files with a column for each."""

from collections import Counter
from collections.abc import Callable, Iterator
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import NamedTuple

from rnnkit.text.columns import ColumnFile, Layout
from rnnkit.text.lines import utf8_lines

_CONLLU = ("ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC")


class Sentences(NamedTuple):
    """Sentences and their tags.

    Attributes:
        tokens: for each sentence the list of its tokens.
        tags: for each sentence, at the same index, the list of as many tags.
    """

    tokens: list[list[str]]
    tags: list[list[str]]


class FileSentences(Sentences):
    """Sentences and their tags, with what else a file says. It is the pair `(tokens, tags)`, and has two attributes.

    Attributes:
        documents: the index of the first sentence of each document. Without marks in the file, there is one document.
        skipped: how many lines were left out, by the reason: `"comments"`, `"blank tokens"`, `"ranges of words"`,
            `"empty nodes"`.
    """

    documents: list[int]
    skipped: dict[str, int]


class Sentence(NamedTuple):
    """A sentence of a file.

    Attributes:
        tokens: list of its tokens.
        tags: list of as many tags; empty for a file without tags.
        document: the index of its document, counted from 0.
        lines: the number of the line of each token, counted from 1.
    """

    tokens: list[str]
    tags: list[str]
    document: int
    lines: list[int]


def read_conll(
    path: str | PathLike[str],
    token_column: int = 0,
    tag_column: int | None = -1,
    comments: str | Callable[[str], bool] | None = "#",
    blank_tokens: str | None = None,
    quotes: bool = False,
) -> Sentences:
    """Reads a file with one token per line, in columns, and a blank line after each sentence.

    This is the format of CoNLL-2003, Wikigold and WNUT 17. The file is in UTF-8; byte order marks at the beginning of
    lines are dropped, and lines end as on Unix, Windows or old Macs. Columns are separated by tabs, or by spaces in
    lines without a tab. Two tabs with nothing between them are an empty cell where all lines of the sentence then have
    as many cells, and one separator elsewhere. No line with a token is lost:

    - A blank line has nothing but tabs and spaces. It ends a sentence.
    - `-DOCSTART-` in the first column or in that of the tokens begins a document; so does the comment `# newdoc`.
    - A line that begins with `#` is a comment only where it cannot be a token: a token has as many columns as the other
      lines of its sentence (a sentence without any: as most lines of the file). A `#` with spaces after it at the
      beginning of a sentence is a token only if its tag is one of the file or of a scheme of entities: `# news` before
      `Rain O` is a comment, and `# O` a token.
    - Where the first column numbers the words from 1, as in CoNLL-U, and is not the column of the tokens, lines
      numbered `3-4` (ranges) and `8.1` (empty nodes) are no words. `read_conllu` reads such files by the names of their
      columns.

    The tags are returned as they are in the file. Copies of the same corpus differ in their tagging scheme:
    `rnnkit.text.find_scheme` finds it, and `rnnkit.text.convert_tags` converts it.

    Args:
        path: the file. If its name ends in `.gz`, it is decompressed.
        token_column: the column of the tokens, counted from 0; -1 is the last column. Defaults to `0`.
        tag_column: the column of the tags; `None` for a file without tags. Defaults to `-1`.
        comments: how a line begins that is a comment if it cannot be a token; or a function that receives a line and
            says whether it is a comment; or `None`, there are no comments. Defaults to `"#"`.
        blank_tokens: what to do with a token that has no visible character, such as a no-break or zero-width space:
            `"refuse"`, `"skip"` (the line is left out, and counted) or `"read"`. Defaults to `None`: an empty token is
            refused, and any other is read.
        quotes: whether cells of tab-separated lines may be in double quotes, as in CSV files: the quotes are dropped,
            two of them inside are one, and a tab inside is part of the cell. Defaults to `False`: a quote is a
            character as any other.

    Returns:
        Named tuple `(tokens, tags)` of two lists: for each sentence its list of tokens, and its list of tags. Without a
        column of tags, `tags` is an empty list. Its attribute `documents` is the list of the indices at which documents
        begin, and `skipped` says how many lines of which kind were left out.

    Raises:
        ValueError: a line is not UTF-8, has no such columns, has an empty token or tag, or does not have as many
            columns as the first line of its sentence, or there is no sentence at all. The message names the file, the
            line and, where it is one cell or byte, the column, both counted from 1.
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
    >>> sentences.documents, sentences.skipped
    ([0], {})

    References:
        Tjong Kim Sang and De Meulder, "Introduction to the CoNLL-2003 shared task: language-independent named entity
        recognition", 2003.
        Derczynski, Nichols, van Erp and Limsopatham, "Results of the WNUT2017 shared task on novel and emerging
        entity recognition", 2017.
    """
    return _read(column_file("read_conll", path, token_column, tag_column, comments, blank_tokens, quotes))


def iter_conll(
    path: str | PathLike[str],
    token_column: int = 0,
    tag_column: int | None = -1,
    comments: str | Callable[[str], bool] | None = "#",
    blank_tokens: str | None = None,
    quotes: bool = False,
) -> Iterator[Sentence]:
    """Reads the sentences of a file in columns one at a time: the file may be larger than the memory.

    Args:
        path: the file. If its name ends in `.gz`, it is decompressed.
        token_column: the column of the tokens, counted from 0; -1 is the last column. Defaults to `0`.
        tag_column: the column of the tags; `None` for a file without tags. Defaults to `-1`.
        comments: see `read_conll`. Defaults to `"#"`.
        blank_tokens: see `read_conll`. Defaults to `None`.
        quotes: see `read_conll`. Defaults to `False`.

    Returns:
        Iterator over named tuples `(tokens, tags, document, lines)`, one for each sentence.

    Raises:
        ValueError: as in `read_conll`, once the iterator reaches the line.
        OSError: the file cannot be read.

    Example:

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "words.conll")
    ...     _ = path.write_text("Ana B-PER\\nleft O\\n\\nRain O\\n")
    ...     for sentence in iter_conll(path):
    ...         print(sentence)
    Sentence(tokens=['Ana', 'left'], tags=['B-PER', 'O'], document=0, lines=[1, 2])
    Sentence(tokens=['Rain'], tags=['O'], document=0, lines=[4])
    """
    return _iterate(column_file("iter_conll", path, token_column, tag_column, comments, blank_tokens, quotes))


def read_conllu(path: str | PathLike[str], column: str = "UPOS") -> Sentences:
    """Reads the words of a CoNLL-U file, and one of their columns.

    Ranges of words (`3-4`) and empty nodes (`8.1`) are left out, and counted in `skipped`. A first line
    `# global.columns = ID FORM ...`, that of CoNLL-U Plus, names other columns.

    Args:
        path: the file. If its name ends in `.gz`, it is decompressed.
        column: ID, LEMMA, UPOS, XPOS, FEATS, HEAD, DEPREL, DEPS or MISC, or what a CoNLL-U Plus file has. Defaults to
            `"UPOS"`.

    Returns:
        Named tuple `(tokens, tags)` with the attributes `documents` and `skipped`, as that of `read_conll`.

    Raises:
        ValueError: there is no such column, or a line is malformed. The message names the file and the line.
        OSError: the file cannot be read.

    Example:

    >>> import tempfile
    >>> word = "{}\\t{}\\t_\\t{}\\t_\\t_\\t_\\t_\\t_\\t_\\n".format
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "pt.conllu")
    ...     _ = path.write_text("# text = no rato\\n" + word("1-2", "no", "_") + word(1, "em", "ADP")
    ...                         + word(2, "o", "DET") + word(3, "rato", "NOUN"))
    ...     sentences = read_conllu(path)
    >>> sentences.tokens, sentences.tags
    ([['em', 'o', 'rato']], [['ADP', 'DET', 'NOUN']])
    >>> sentences.skipped
    {'comments': 1, 'ranges of words': 1}

    References:
        Universal Dependencies, "CoNLL-U format", CC BY-SA 4.0.
    """
    path = Path(path)
    first = next(utf8_lines(path), "")
    mark, _, named = first.partition("=")
    names = named.split() if mark.split() == ["#", "global.columns"] else list(_CONLLU)
    for name in (column, "ID", "FORM"):
        if name not in names:
            raise ValueError(
                f"{path}: expected a column {name!r}, received a file with the columns {', '.join(names)}."
            )
    if names[0] != "ID" or column == "FORM":
        raise ValueError(f"{path}: expected ID as the first column and another one than FORM, received {names}.")

    def is_comment(line):
        return line.startswith("#")

    layout = Layout(names.index("FORM"), names.index(column), is_comment, width=len(names))
    return _read(ColumnFile(path, layout))


def column_file(
    owner: str,
    path: str | PathLike[str],
    token_column: int,
    tag_column: int | None,
    comments: str | Callable[[str], bool] | None,
    blank_tokens: str | None,
    quotes: bool,
) -> ColumnFile:
    """Returns the file with the arguments of `read_conll`, or raises a `ValueError` that begins with `owner`."""
    if blank_tokens not in (None, "read", "skip", "refuse"):
        raise ValueError(f"{owner} expected blank_tokens 'read', 'skip', 'refuse' or None, received {blank_tokens!r}.")
    if comments is not None and not callable(comments) and not (isinstance(comments, str) and comments.strip()):
        raise ValueError(f"{owner} expected comments to be a string, a function or None, received {comments!r}.")
    numbers = [token_column, 0 if tag_column is None else tag_column]
    if any(isinstance(number, bool) or not isinstance(number, Integral) for number in numbers):
        raise ValueError(
            f"{owner} expected token_column, a whole number, and tag_column, another one or None; received "
            f"{token_column!r} and {tag_column!r}. The first column is 0, the last one -1."
        )
    return ColumnFile(Path(path), Layout(token_column, tag_column, comments, blank_tokens, quotes))


def _iterate(file):
    document = 0
    for index, block in enumerate(file.sentences()):
        document += block.document and index > 0
        yield Sentence(block.tokens, block.tags, document, block.numbers)


def _read(file):
    tokens, tags, documents = [], [], [0]
    for block in file.sentences():
        if block.document and tokens:
            documents.append(len(tokens))
        tokens.append(block.tokens)
        if file.layout.tag_column is not None:
            tags.append(block.tags)
    if not tokens:
        what = "a token" if file.layout.tag_column is None else "a token and a tag"
        raise ValueError(f"{file.path}: expected lines with {what}, received a file without any.")
    sentences = FileSentences(tokens, tags)
    sentences.documents, sentences.skipped = documents, dict(Counter(file.skipped))
    return sentences
