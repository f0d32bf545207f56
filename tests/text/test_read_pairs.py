"""rnnkit.text.read_pairs: the files that it reads, and the messages for those that it refuses."""

import gzip
import re

import pytest

from rnnkit.text import read_pairs


@pytest.fixture
def write(tmp_path):
    def write(content, name="pairs.txt"):
        (tmp_path / name).write_bytes(content.encode() if isinstance(content, str) else content)
        return tmp_path / name

    return write


def test_two_columns_or_more(write):
    pairs = read_pairs(write("Go.\tVa !\nHi.\tSalut.\tCC-BY 2.0\tmore\nRun!\tCours\u202f!\t\n"))
    assert pairs == (["Go.", "Hi.", "Run!"], ["Va !", "Salut.", "Cours\u202f!"])


@pytest.mark.parametrize(
    "content",
    [
        "a b\tc\nd\te\n",
        "a b\tc\nd\te",
        "a b\tc\r\nd\te\r\n",
        "\ufeffa b\tc\nd\te\n",
        "\ufeffa b\tc\r\n\r\n\n   \nd\te\r\n\r\n",
        " a b \t c \tby\n  d\te\n",
    ],
)
def test_reads_every_form_of_text_file(write, content):
    assert read_pairs(write(content)) == (["a b", "d"], ["c", "e"])
    assert read_pairs(str(write(gzip.compress(content.encode()), "pairs.tsv.gz"))) == (["a b", "d"], ["c", "e"])


def test_only_line_feeds_end_a_line(write):
    """str.splitlines would cut at each of these."""
    text = "a\u2028b\x0bc\x85d"
    assert read_pairs(write(f"{text}\t{text}\n")) == ([text], [text])


def test_any_script(write):
    rows = [("Guten Tag.", "שלום"), ("你好", "Привет"), ("नमस्ते", "مرحبا"), ("👋", "γειά")]
    assert read_pairs(write("\n".join(map("\t".join, rows)))) == tuple(map(list, zip(*rows, strict=True)))


@pytest.mark.parametrize(
    ("content", "line", "column", "problem"),
    [
        ("a\tb\nno tab here\n", 2, 12, "expected a tab"),
        ("\ufeffé  b\n", 1, 5, "expected a tab"),
        ("a\tb\n\n\tc\n", 3, 1, "expected a source"),
        ("a\tb\r\n \tc\r\n", 2, 1, "expected a source"),
        ("\t\n", 1, 1, "expected a source"),
        ("añb\t\n", 1, 5, "expected a target"),
        ("a b\t \tCC-BY\n", 1, 5, "expected a target"),
        ("é\t".encode() + b"caf\xe9\n", 1, 6, "expected UTF-8, received the byte 0xe9"),
        (b"a\tb\na\tb\xc3", 2, 4, "expected UTF-8, received the byte 0xc3"),
        ("a\tb\n".encode("utf-16"), 1, 1, "expected UTF-8, received the byte 0xff"),
    ],
)
def test_errors_name_file_line_and_column(write, content, line, column, problem):
    path = write(content)
    with pytest.raises(ValueError, match=re.escape(f"{path}, line {line}, column {column}: {problem}")):
        read_pairs(path)


@pytest.mark.parametrize("content", ["", "\n \n\r\n", "\ufeff"])
def test_a_file_without_pairs(write, content):
    with pytest.raises(ValueError, match="received a file without any"):
        read_pairs(write(content))


def test_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.txt"):
        read_pairs(tmp_path / "none.txt")
