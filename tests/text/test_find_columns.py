"""rnnkit.text.find_columns: what it finds is what read_conll needs."""

import random
import re

import pytest

from rnnkit.text import find_columns, read_conll, spans_to_tags

OTHERS = {
    "part of speech": lambda rng, place: rng.choice(["NN", "VB", "DT"]),
    "confidence": lambda rng, place: f"{rng.random():.2f}",
    "empty": lambda rng, place: "_",
    "chunk": lambda rng, place: "I-NP",
}


@pytest.mark.parametrize(
    "scheme", ["BIO", "IOB1", "BILOU", "IO", "BIO, type first", "IO, types only", "BIO, lower case"]
)
def test_random_files(tmp_path, scheme):
    rng = random.Random(0)
    for _ in range(20):
        others = rng.sample(list(OTHERS), rng.randint(0, 3))
        names = ["token", *rng.sample(["tag", *others], len(others) + 1)]
        names = names if rng.random() < 0.7 else ["number", *names]
        if names[0] == "token" and rng.random() < 0.3:
            names.reverse()
        if "chunk" in names and names.index("chunk") > names.index("tag"):
            names.remove("chunk")
        if names.index("token") > min((names.index(name) for name in names if name in OTHERS), default=len(names)):
            names = [name for name in names if name not in OTHERS]
        separator, sentences = (
            rng.choice("\t "),
            [["left", "on", "Monday", "in", f"{k}", "O", "again"] for k in range(3)],
        )
        spans = [("per", 1, 2), ("loc", 3, 5)]
        tags = [spans_to_tags(spans, 7, scheme)] * 3
        lines = ["# text = a b"]
        for words, row in zip(sentences, tags, strict=True):
            for place, (word, tag) in enumerate(zip(words, row, strict=True)):
                cells = {"token": word, "tag": tag, "number": str(place + 1)}
                lines.append(separator.join(cells[n] if n in cells else OTHERS[n](rng, place) for n in names))
            lines.append("")
        path = tmp_path / "words.txt"
        path.write_text("\n".join(lines), encoding="utf-8")
        found = find_columns(path)
        assert found == (names.index("token"), names.index("tag") - len(names), len(names)), lines
        assert read_conll(path, found.token_column, found.tag_column) == (sentences, tags)


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ("O\nB\n", (0, None, 1)),  # words only
        ("Rain NN\nfell VB\n", (0, None, 2)),
        ("Rain O\nfell O\n", (0, None, 2)),  # a place for tags, but none there
        ("O the DT\nrato B-X NN\n", (0, None, 3)),
        ("O DET\nrato NOUN\n", (0, None, 2)),
        ("1\tRain\n2\tfell\n", (1, None, 2)),
    ],
)
def test_files_without_tags(tmp_path, content, columns):
    path = tmp_path / "words.txt"
    path.write_text(content, encoding="utf-8")
    assert find_columns(path) == columns


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ("", "expected sentences with one number of columns, received no sentence"),
        ("a O\n\nb X O\n", "expected sentences with one number of columns, received [2, 3]"),
        ("a O\nb X O\n", "line 2: expected 2 columns, as in the first line of the sentence, received 3"),
    ],
)
def test_files_without_columns(tmp_path, content, problem):
    path = tmp_path / "words.txt"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape(problem)):
        find_columns(path)
