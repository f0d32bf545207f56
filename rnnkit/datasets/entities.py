"""Sentences with their people, organizations and places: the corpus of lesson 08."""

import re
from typing import NamedTuple

from rnnkit.datasets.data_file import data_file
from rnnkit.datasets.split import split
from rnnkit.text.read_conll import Sentences
from rnnkit.text.tags import spans_to_tags

_WORD = r"[^\[\]|\s]+"
_PIECE = re.compile(rf"\[(?P<name>{_WORD}(?: {_WORD})*)\|(?P<type>PER|ORG|LOC|MISC)\]|(?P<word>{_WORD})")


class Entities(NamedTuple):
    """The sentences in three parts.

    Attributes:
        train: `Sentences` to train on.
        validation: `Sentences` to validate on.
        test: `Sentences` to test on.
    """

    train: Sentences
    validation: Sentences
    test: Sentences


def entities() -> Entities:
    """Loads 1,726 English sentences with the people, organizations, places and other names in them.

    They were written for this course, one by one: news, sports, science, history, travel, everyday prose and headlines.
    Every fifth sentence has no entity. Many names are ambiguous: "Washington" is a city, a state, a government and a
    person, and "May" is a name and a month. The types are those of CoNLL-2003: PER for people, ORG for companies, clubs
    and institutions, LOC for places, and MISC for nationalities, events and works. No network and no other package is
    needed.

    The split depends only on the words of the sentence (their SHA-256): about 80 % train, 10 % validation, 10 % test.
    Most names occur in one sentence only: three out of four entities of the test part are in no training sentence.

    Returns:
        Named tuple `(train, validation, test)` of named tuples `(tokens, tags)` with 1,384, 180 and 162 sentences: the
        list of tokens of each sentence, and its list of tags in BIO.

    Raises:
        ValueError: a line of the file is malformed. The message names the line and the column.

    Example:

    >>> tokens, tags = entities().train
    >>> tokens[1]
    ['berlin', 'philharmonic', 'plays', 'for', 'commuters']
    >>> tags[1]
    ['B-ORG', 'I-ORG', 'O', 'O', 'O']
    """
    sentences = {}
    text = data_file("entities.txt").read_text(encoding="utf-8")
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("# "):  # the name of a section
            continue
        try:
            tokens, tags = parse(line)
        except ValueError as error:
            raise ValueError(f"entities.txt, line {number}, {error}.") from None
        sentences[" ".join(tokens)] = tokens, tags
    parts = [[sentences[sentence] for sentence in part] for part in split(sentences)]
    return Entities(*(Sentences([row[0] for row in part], [row[1] for row in part]) for part in parts))


def parse(line: str) -> tuple[list[str], list[str]]:
    """Parses a sentence in the notation of the file.

    Args:
        line: words separated by single spaces, each entity in brackets with its type: PER, ORG, LOC or MISC.

    Returns:
        The list of tokens and the list of their BIO tags.

    Raises:
        ValueError: the line is malformed. The message names the column, counted from 1.

    Example:

    >>> parse("[Ana Ruiz|PER] left .")
    (['Ana', 'Ruiz', 'left', '.'], ['B-PER', 'I-PER', 'O', 'O'])
    """
    tokens, spans, column = [], [], 0
    while column <= len(line):
        piece = _PIECE.match(line, column)
        if not piece or piece.end() < len(line) and line[piece.end()] != " ":
            raise ValueError(
                f"column {column + 1}: expected a word or [a name|PER], with ORG, LOC, MISC or PER as its type and one "
                f"space after it, received {line[column:]!r:.60}"
            )
        words = (piece["word"] or piece["name"]).split(" ")
        if piece["type"]:
            spans.append((piece["type"], len(tokens), len(tokens) + len(words)))
        tokens += words
        column = piece.end() + 1
    return tokens, spans_to_tags(spans, len(tokens))
