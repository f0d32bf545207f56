"""Reads pairs of sentences from a user's own file."""

from os import PathLike
from pathlib import Path
from typing import NamedTuple

from rnnkit.text.lines import utf8_lines


class Pairs(NamedTuple):
    """Sentences and their translations.

    Attributes:
        sources: list of sentences.
        targets: list of their translations, at the same index.
    """

    sources: list[str]
    targets: list[str]


def read_pairs(path: str | PathLike[str]) -> Pairs:
    """Reads pairs of sentences from a text file, one pair per line: source, tab, target.

    This is the format of the files that ManyThings makes from Tatoeba. Anything after a second tab (there, the
    license) is ignored. The file is in UTF-8, with or without a byte order mark. Lines end as on Unix, Windows or old
    Macs, and blank ones are skipped. Spaces around a sentence are dropped.

    Args:
        path: the file. If its name ends in `.gz`, it is decompressed.

    Returns:
        Named tuple `(sources, targets)` of two lists of strings, in the order of the file.

    Raises:
        ValueError: a line is not UTF-8, has no tab, or has an empty side, or there is no pair at all. The message names
            the file, the line and the column, both counted from 1.
        OSError: the file cannot be read or decompressed.

    Example:

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "deu.txt")
    ...     _ = path.write_text("Go.\\tGeh.\\tCC-BY 2.0\\nHi.\\tHallo!\\n", encoding="utf-8")
    ...     pairs = read_pairs(path)
    >>> pairs.sources, pairs.targets
    (['Go.', 'Hi.'], ['Geh.', 'Hallo!'])

    References:
        ManyThings, "Tab-delimited bilingual sentence pairs from the Tatoeba project", CC BY 2.0 France.
    """
    path = Path(path)
    pairs = Pairs([], [])
    for number, text in enumerate(utf8_lines(path), 1):
        if not text.strip() and "\t" not in text:
            continue
        source, tab, rest = text.partition("\t")
        target = rest.partition("\t")[0]
        if not tab:
            raise ValueError(
                f"{path}, line {number}, column {len(text) + 1}: expected a tab between source and target, received "
                f"the end of the line {text!r:.80}. Spaces are not a tab."
            )
        for side, column, sentence in (("source", 1, source), ("target", len(source) + 2, target)):
            if not sentence.strip():
                raise ValueError(
                    f"{path}, line {number}, column {column}: expected a {side}, received nothing in the line "
                    f"{text!r:.80}. Fill it in or delete the line."
                )
        pairs.sources.append(source.strip())
        pairs.targets.append(target.strip())
    if not pairs.sources:
        raise ValueError(f"{path}: expected lines with source, tab and target, received a file without any.")
    return pairs
