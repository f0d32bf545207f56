"""rnnkit.text.read_conll and wikigold: the files that it reads, and the messages for those that it refuses."""

import os
import re
from collections import Counter
from pathlib import Path

import pytest

from rnnkit.datasets import cache, wikigold
from rnnkit.text import check_tags, read_conll, tags_to_spans

BOTH = ([["Ana", "Ruiz", "left"], ["Rain"]], [["B-PER", "I-PER", "O"], ["O"]])


@pytest.fixture
def write(tmp_path):
    def write(content, name="words.conll"):
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return tmp_path / name

    return write


@pytest.mark.parametrize(
    "content",
    [
        "Ana B-PER\nRuiz I-PER\nleft O\n\nRain O\n",
        "Ana B-PER\nRuiz I-PER\nleft O\n\nRain O",
        "\ufeffAna\tB-PER\r\nRuiz\tI-PER\r\nleft\tO\r\n\r\nRain\tO\r\n\r\n",
        "\n\n  \nAna  B-PER \nRuiz\tI-PER\t\n left   O\n\t\n \t\nRain \t O\n\n\n",
        "-DOCSTART- O\n\nAna B-PER\nRuiz I-PER\nleft O\n-DOCSTART- -X- -X- O\nRain O\n",
        "# sent_id = 1\n# text = Ana Ruiz left\nAna B-PER\n#\nRuiz I-PER\n#left\nleft O\n\n# news\nRain O\n#\n",
        "Ana NNP I-NP B-PER\nRuiz NNP I-NP I-PER\nleft VBD I-VP O\n\nRain NN O\n",
    ],
)
def test_reads_every_form_of_file(write, content):
    assert read_conll(write(content)) == BOTH
    assert read_conll(str(write(content))) == BOTH


def test_a_mark_that_begins_a_token_is_not_a_comment(write):
    """As in Wikigold ("# 1 hit") and in WNUT 17 (hashtags, also at the beginning of a sentence)."""
    tokens, tags = read_conll(write("#NFL\tB-group\nWeek\tO\n#\tO\n1\tO\n\t\n# O\nhit O\n# a remark\n#another\n"))
    assert tokens == [["#NFL", "Week", "#", "1"], ["#", "hit"]]
    assert tags == [["B-group", "O", "O", "O"], ["O", "O"]]


def test_any_column(write):
    path = write("1\tAna Maria\tNNP\tB-PER\tnsubj\n2\tleft\tVBD\tO\troot\n")
    assert read_conll(path, token_column=1, tag_column=3) == ([["Ana Maria", "left"]], [["B-PER", "O"]])
    assert read_conll(path, token_column=-4, tag_column=-3) == ([["Ana Maria", "left"]], [["NNP", "VBD"]])


def test_only_tabs_and_spaces_separate_columns_and_only_line_feeds_end_lines(write):
    """str.split and str.splitlines would cut at each of these."""
    token = "a\u00a0b\u2028c\x0bd\x85e\u3000f"
    assert read_conll(write(f"{token} O\n")) == ([[token]], [["O"]])


@pytest.mark.parametrize(
    ("content", "line", "problem"),
    [
        ("a O\nb\n", 2, ": expected a token and a tag in two columns, received the same column for token_column=0 and"),
        ("a x O\nb O\n", 2, ": expected 3 columns, as in the first line of the sentence, received 2 in 'b O'"),
        ("a O\n\nNew York B-LOC\ncity O\n", 4, ": expected 3 columns"),
        ("a O\n\ncaf\u00e9 O\n".encode("latin-1"), 3, ", column 4: expected UTF-8, received the byte 0xe9"),
        ("a O\n".encode("utf-16"), 1, ", column 1: expected UTF-8, received the byte 0xff"),
    ],
)
def test_errors_name_file_and_line(write, content, line, problem):
    path = write(content)
    with pytest.raises(ValueError, match=re.escape(f"{path}, line {line}{problem}")):
        read_conll(path)


@pytest.mark.parametrize("columns", [{"tag_column": 3}, {"token_column": -4}])
def test_a_missing_column(write, columns):
    [(name, column)] = columns.items()
    path = write("# ok\na x O\n")
    with pytest.raises(ValueError, match=re.escape(f"{path}, line 2: expected a column {name}={column}, received 3")):
        read_conll(path, **columns)


@pytest.mark.parametrize("content", ["", "\n \n\r\n", "\ufeff", "-DOCSTART- O\n\n# only a comment\n"])
def test_a_file_without_tokens(write, content):
    with pytest.raises(ValueError, match="received a file without any"):
        read_conll(write(content))


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.conll"):
        read_conll(tmp_path / "none.conll")


def test_wikigold():
    if not Path(os.environ.get("RNNKIT_DATA") or "absent", cache.WIKIGOLD.name).is_file():
        pytest.skip(f"RNNKIT_DATA names no folder with {cache.WIKIGOLD.name}")
    tokens, tags = wikigold()
    assert (len(tokens), sum(map(len, tokens))) == (1_696, 39_007)
    assert list(map(len, tokens)) == list(map(len, tags))
    assert Counter(type for row in tags for type, _, _ in tags_to_spans(row)) == dict(
        LOC=1_014, PER=934, ORG=898, MISC=712
    )
    for row in tags:
        check_tags(row, "BIO")
    assert (tokens[0][6], tags[0][6]) == ("Japanese", "B-MISC")
    assert sum(row.count("#") for row in tokens) == 39


def test_wikigold_checks_its_file(tmp_path, monkeypatch):
    monkeypatch.setenv("RNNKIT_DATA", str(tmp_path))
    (tmp_path / cache.WIKIGOLD.name).write_text("Japan I-LOC\n")
    with pytest.raises(cache.DataError, match="is truncated or changed"):
        wikigold()
