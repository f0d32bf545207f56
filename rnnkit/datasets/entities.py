"""Sentences with their people, organizations and places: the corpus that lesson 08 learns on."""

import re
from typing import NamedTuple

from rnnkit.datasets.data_file import data_file
from rnnkit.datasets.split import split
from rnnkit.text.read_conll import Sentences
from rnnkit.text.tags import spans_to_tags

_WORD = r"[^\[\]|\s]+"
_PIECE = re.compile(rf"\[(?P<name>{_WORD}(?: {_WORD})*)\|(?P<type>PER|ORG|LOC|MISC)\]|(?P<word>{_WORD})")


class Entities(NamedTuple):
    """Sentences to train on, to validate on, and to test with."""

    train: Sentences
    validation: Sentences
    test: Sentences


def entities():
    """1,726 English sentences with the people, organizations, places and other names in them.

    Written for this course sentence by sentence: news, sport, science, history, travel, everyday prose and headlines.
    Every fifth sentence has no entity. Many names are several things: "Washington" is a city, a state, a government and
    a person, "May" a name and a month. Types are those of CoNLL-2003: PER for people, ORG for companies, clubs and
    bodies, LOC for places, and MISC for nationalities, events and works. No network and no other package is needed.

    The split depends on the words of the sentence alone (their SHA-256): about 80 % train, 10 % validation, 10 % test.
    Most names stand in one sentence only: three in four entities of the test are in no training sentence.

    Returns:
        Named tuple `(train, validation, test)` of named tuples `(tokens, tags)` with 1,384, 180 and 162
        sentences: for each its list of tokens, and its list of tags in BIO.

    Raises:
        ValueError: a line of the file is not in its notation. The message names the line and the column.

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


def parse(line):
    """The tokens and the BIO tags of a sentence in the notation of the file.

    Args:
        line: words with one space between them, each entity in brackets with its type: PER, ORG, LOC or MISC.

    Returns:
        Two lists of equal length.

    Raises:
        ValueError: the line is not in this notation. The message names the column, counted from 1.

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
                f"space behind it, got {line[column:]!r:.60}"
            )
        words = (piece["word"] or piece["name"]).split(" ")
        if piece["type"]:
            spans.append((piece["type"], len(tokens), len(tokens) + len(words)))
        tokens += words
        column = piece.end() + 1
    return tokens, spans_to_tags(spans, len(tokens))
