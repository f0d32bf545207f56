"""rnnkit.datasets.entities: the notation of its file, and the facts that lesson 08 builds on."""

import re
import sys
from collections import Counter, defaultdict

import numpy as np
import pytest
from scipy.sparse import csr_array

from rnnkit import datasets
from rnnkit.datasets.data_file import data_file
from rnnkit.datasets.entities import parse
from rnnkit.text import check_tags, tags_to_spans

PARTS = datasets.entities()
SENTENCES = [sentence for part in PARTS for sentence in zip(*part, strict=True)]
TYPES = ("LOC", "MISC", "ORG", "PER")


def lines():
    text = data_file("entities.txt").read_text(encoding="utf-8")
    return [line for line in text.splitlines() if not line.startswith("# ")]


def names(tokens, tags):
    """Entities as (words in lower case, type): headlines are in lower case or in capitals."""
    return [(" ".join(tokens[begin:end]).casefold(), type) for type, begin, end in tags_to_spans(tags)]


def skeleton(tokens, tags):
    """The words of a sentence with each name replaced by its type."""
    words = list(tokens)
    for type, begin, end in reversed(tags_to_spans(tags)):
        words[begin:end] = [f"[{type}]"]
    return [word.casefold() for word in words]


def test_sizes():
    assert len(SENTENCES) >= 1_500
    shares = [len(part.tokens) / len(SENTENCES) for part in PARTS]
    assert shares == pytest.approx([0.8, 0.1, 0.1], abs=0.025)
    counts = Counter(type for tokens, tags in SENTENCES for _, type in names(tokens, tags))
    assert set(counts) == set(TYPES)
    assert min(counts.values()) >= 200
    for part in PARTS:  # each part can measure each type
        assert {type for tags in part.tags for type, _, _ in tags_to_spans(tags)} == set(TYPES)


def test_every_line_is_a_sentence_and_no_sentence_occurs_twice():
    assert len(lines()) == len(SENTENCES)
    assert max(Counter(" ".join(tokens).casefold() for tokens, _ in SENTENCES).values()) == 1


def test_tags():
    for tokens, tags in SENTENCES:
        assert len(tokens) == len(tags)
        check_tags(tags, "BIO")
    assert max(end - begin for _, tags in SENTENCES for _, begin, end in tags_to_spans(tags)) <= 8


def test_brackets_are_balanced_and_hold_a_name_and_a_type():
    for line in lines():
        pieces = re.findall(r"\[[^\[\]|]+\|(?:LOC|MISC|ORG|PER)\]", line)
        rest = re.sub(r"\[[^\[\]|]+\|(?:LOC|MISC|ORG|PER)\]", "", line)
        assert not set("[]|") & set(rest), line
        assert len(pieces) == len(tags_to_spans(parse(line)[1]))


def test_lengths():
    lengths = np.array([len(tokens) for tokens, _ in SENTENCES])
    assert 4 <= lengths.min() and lengths.max() <= 40
    counts = np.histogram(lengths, [4, 9, 14, 19, 24, 41])[0]
    assert counts.min() >= 0.04 * len(SENTENCES)  # spread over the whole range


def test_punctuation_marks_are_separate_tokens():
    marks = ',;:?!"()'
    for tokens, _ in SENTENCES:
        for token in tokens:
            assert token in {"...", "--"} or len(token) == 1 or not set(token[0] + token[-1]) & set(marks), tokens
            assert not re.search(r"(.'s|.n't)$", token.casefold()) or token.casefold() in ("'s", "n't"), tokens


def test_sentences_without_entities():
    assert 0.12 <= np.mean([not names(*sentence) for sentence in SENTENCES]) <= 0.3


def test_headlines():
    """All lower case or all capitals, and tagged."""
    headlines = [
        sentence
        for sentence in SENTENCES
        if "".join(sentence[0]).islower() or "".join(sentence[0]).isupper()
        if names(*sentence)
    ]
    assert len(headlines) >= 0.05 * len(SENTENCES)


def test_most_entities_of_the_test_are_unseen_in_training():
    train, *others = ([name for sentence in zip(*part, strict=True) for name in names(*sentence)] for part in PARTS)
    known = {words for words, _ in train}
    for part in others:
        assert np.mean([words not in known for words, _ in part]) >= 0.6


def test_many_names_are_ambiguous():
    types = defaultdict(set)
    for sentence in SENTENCES:
        for words, type in names(*sentence):
            types[words].add(type)
        outside = {token.casefold() for token, tag in zip(*sentence, strict=True) if tag == "O"}
        for words in outside & {"may", "apple", "turkey", "orange", "mercury"}:
            types[words].add("O")
    assert sum(len(found) > 1 for found in types.values()) >= 30
    for words in ("washington", "jordan", "may", "apple"):
        assert len(types[words]) >= 2, words


def test_no_two_sentences_are_the_same_except_for_their_names():
    """Counts the words that two sentences share, with each name replaced by its type, against the longer sentence."""
    skeletons = [skeleton(*sentence) for sentence in SENTENCES]
    rows, columns, numbers = [], [], {}
    for row, words in enumerate(skeletons):
        counts = Counter(words)
        for word, count in counts.items():
            for time in range(count):  # the second "the" is a different word
                rows.append(row)
                columns.append(numbers.setdefault((word, time), len(numbers)))
    words = csr_array((np.ones(len(rows), "float32"), (rows, columns)))
    shared = (words @ words.T).toarray()
    sizes = np.array(list(map(len, skeletons)))
    overlap = np.triu(shared / np.maximum.outer(sizes, sizes), 1)
    worst = np.unravel_index(overlap.argmax(), overlap.shape)
    assert overlap.max() < 0.75, [" ".join(SENTENCES[row][0]) for row in worst]


def test_parse():
    tokens, tags = parse("[Bo|PER] , [New York|LOC] 's [Mets|ORG]")
    assert tokens == ["Bo", ",", "New", "York", "'s", "Mets"]
    assert tags == ["B-PER", "O", "B-LOC", "I-LOC", "O", "B-ORG"]


@pytest.mark.parametrize(
    ("line", "column"),
    [
        ("", 1),
        ("[Bo|PER] left . ", 17),
        ("[Bo|PER] left  .", 15),
        ("Then [Bo|PER left .", 6),
        ("Then Bo|PER] left .", 6),
        ("[Bo|PRE] left .", 1),
        ("[Bo|per] left .", 1),
        ("[Bo] left .", 1),
        ("[|PER] left .", 1),
        ("[Bo |PER] left .", 1),
        ("[Bo|PER], he left .", 1),
        ("In[Bo|LOC] .", 1),
        ("The [University of [Oslo|LOC]|ORG] .", 5),
    ],
)
def test_a_malformed_line(line, column, tmp_path, monkeypatch):
    with pytest.raises(ValueError, match=rf"^column {column}: expected a word or \[a name\|PER\]"):
        parse(line)
    (tmp_path / "entities.txt").write_text(f"# news\n[Ana|PER] left .\n{line}\n", encoding="utf-8")
    monkeypatch.setattr(sys.modules[parse.__module__], "data_file", lambda name: tmp_path / name)
    with pytest.raises(ValueError, match=rf"^entities.txt, line 3, column {column}: expected"):
        datasets.entities()
