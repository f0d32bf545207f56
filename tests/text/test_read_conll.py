"""rnnkit.text.read_conll and wikigold: the files that it reads, and the messages for those that it refuses."""

import gzip
import os
import random
import re
from collections import Counter
from pathlib import Path

import pytest

from rnnkit.datasets import cache, wikigold
from rnnkit.text import check_tags, iter_conll, lines, read_conll, read_conllu, tags_to_spans

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


def random_file(rng):
    """The text of a file in a random layout, what it says, and how to read it."""
    width, tabs = rng.randint(2, 4), rng.random() < 0.5
    token, tag = rng.sample(range(width), 2)
    tokens, tags, documents, numbers, lines = [], [], [0], [], []

    def noise():
        choices = ["", " \t ", "# of more words than columns"] + ["-DOCSTART- -X- O"] * (not lines or lines[-1] == "")
        for line in rng.choices(choices, k=rng.randint(0, 2)):
            lines.append(line)
            if line.startswith("-") and tokens and documents[-1] < len(tokens):
                documents.append(len(tokens))
            elif line.startswith("#"):
                comments[0] += 1

    comments = [0]
    for _ in range(rng.randint(1, 4)):
        noise()
        rows = rng.randint(1, 4)
        tokens.append(["".join(rng.choices('ab#\u00a0\u2028\x85\u200b\ufe0f\u5b57"', k=3)) for _ in range(rows)])
        tokens[-1][0] = "c" + tokens[-1][0]  # a mark at the beginning may be a token or a comment
        tags.append(rng.choices(["O", "B-X", "NN", "_"], k=rows))
        numbers.append([])
        for word, name in zip(tokens[-1], tags[-1], strict=True):
            if rng.random() < 0.1:
                lines.append("# a remark of several words")
                comments[0] += 1
            cells = ["" if tabs and rng.random() < 0.3 else "x" for _ in range(width)]
            cells[token], cells[tag] = word, name
            lines.append(("\t" if tabs else " " * rng.randint(1, 2)).join(cells))
            numbers[-1].append(len(lines))
        lines.append("")
    if documents[-1] == len(tokens):
        documents.pop()
    text = "".join(rng.choice(["", "", "\ufeff", "\ufeff\ufeff"]) + line + rng.choice(["\n", "\r\n"]) for line in lines)
    return text, (tokens, tags), documents, numbers, comments[0], {"token_column": token, "tag_column": tag - width}


def test_random_layouts(write):
    """Every token and tag is read, whatever else is in the file, and nothing else is."""
    rng = random.Random(0)
    for _ in range(300):
        text, expected, documents, numbers, comments, how = random_file(rng)
        path = write(text)
        sentences = read_conll(path, **how)
        assert sentences == expected, (text, how)
        assert (sentences.documents, sentences.skipped.get("comments", 0)) == (documents, comments), text
        assert [sentence.lines for sentence in iter_conll(path, **how)] == numbers


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
        (
            "a O\nb\n",
            2,
            ": expected a token and a tag in two columns, received a single one of ['b']. If the file has no",
        ),
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


PT = """# text = O rato no ar
1\tO\to\tDET\t_\t_\t2\tdet\t_\t_
2\trato\trato\tNOUN\t_\t_\t0\troot\t_\t_
3-4\tno\t_\t_\t_\t_\t_\t_\t_\t_
3\tem\tem\tADP\t_\t_\t5\tcase\t_\t_
4\to\to\tDET\t_\t_\t5\tdet\t_\t_
4.1\tgrande\tgrande\tADJ\t_\t_\t_\t_\t5:amod\t_
5\tar\tar\tNOUN\t_\t_\t2\tnmod\t_\t_
"""
WORDS = ([["O", "rato", "em", "o", "ar"]], [["DET", "NOUN", "ADP", "DET", "NOUN"]])


@pytest.mark.parametrize(
    ("content", "tokens", "tags", "comments"),
    [
        ("We VB\n#fb HT\nat IN\n\n#Rome B\nis O\n", [["We", "#fb", "at"], ["#Rome", "is"]], "VB HT IN B O", 0),
        ("#a\tO\n\n# x\tO\n#\tB\n", [["#a"], ["# x", "#"]], "O O B", 0),  # nothing else in the file
        ("#a O\n", [["#a"]], "O", 0),
        ("# header of a file\n\na O\n\n#b O\n", [["a"], ["#b"]], "O O", 1),
        ("# sent_id = 1\nEU NNP B-NP B-ORG\nis V O O\n", [["EU", "is"]], "B-ORG O", 1),
        ("# NN\nhit VB\n\na NN\n", [["#", "hit"], ["a"]], "NN VB NN", 0),  # NN is a tag of the file
        ("# news\nhit VB\n\na NN\n", [["hit"], ["a"]], "VB NN", 1),
        ("hit VB\n# #\n5 CD\n", [["hit", "#", "5"]], "VB # CD", 0),
        ("a O\n# two more words\nb O\n", [["a", "b"]], "O O", 1),
        ("New York\tB-LOC\n#is it\tO\n# a remark\n", [["New York", "#is it"]], "B-LOC O", 1),
        ("\" O\n'' O\n", [['"', "''"]], "O O", 0),
        ("# source\tof it\na\tO\n", [["a"]], "O", 1),
        ("# 1\tB-X\na\tO\n", [["# 1", "a"]], "B-X O", 0),
    ],
)
def test_no_token_is_taken_for_a_comment(write, content, tokens, tags, comments):
    sentences = read_conll(write(content))
    assert sentences.tokens == tokens and sum(sentences.tags, []) == tags.split()
    assert sentences.skipped.get("comments", 0) == comments


def test_what_a_comment_is_can_be_said(write):
    path = write("% O\n// O\na O\n% b c\n# O\n")
    assert read_conll(path, comments="%").tokens == [["%", "//", "a", "#"]]
    assert read_conll(path, comments=lambda line: line[0] in "%/#").tokens == [["a"]]
    assert read_conll(write("# a\n#b c\n"), comments=None) == ([["#", "#b"]], [["a", "c"]])


def test_conll_u(write):
    for sentences in (read_conll(write(PT), token_column=1, tag_column=3), read_conllu(write(PT))):
        assert sentences == WORDS
        assert sentences.skipped == {"comments": 1, "ranges of words": 1, "empty nodes": 1}
    assert read_conllu(write(PT), "DEPREL").tags == [["det", "root", "case", "det", "nmod"]]
    plus = "# global.columns = ID FORM NER\n# newdoc\n1\tAna\tB\n\n# newdoc id = 2\n1\t#x\tO\n"
    sentences = read_conllu(write(plus), "NER")
    assert (sentences, sentences.documents) == (([["Ana"], ["#x"]], [["B"], ["O"]]), [0, 1])
    with pytest.raises(ValueError, match="expected a column 'POS', received a file with the columns ID, FORM, LEMMA"):
        read_conllu(write(PT), "POS")
    with pytest.raises(ValueError, match="line 2: expected 10 columns, received 9"):
        read_conllu(write(PT.replace("\tdet\t_\t_\n", "\tdet\t_\n", 1)))


def test_empty_cells_are_cells(write):
    assert read_conll(write("Rome\tQ220\tB-LOC\nis\t\tO\n")) == ([["Rome", "is"]], [["B-LOC", "O"]])
    assert read_conll(write("a\t\tO\nb\tx\tO\n"), tag_column=2) == ([["a", "b"]], [["O", "O"]])
    # a column that is empty in the whole file is none: two tabs, or one at the end, separate
    assert read_conll(write("a\t\tO\nb\t\tB\n"), tag_column=1) == ([["a", "b"]], [["O", "B"]])
    assert read_conll(write("a\tO\t\nb\tB\t\n\nc\tO\t\n")) == ([["a", "b"], ["c"]], [["O", "B"], ["O"]])


@pytest.mark.parametrize("line", ["\tO", " O"])
def test_empty_tokens(write, line):
    path = write(f"a{line[0]}O\n{line}\nb{line[0]}B\n\nc{line[0]}O\n")
    problem = f"{path}, line 2, column 1: expected a token in token_column=0, received an empty cell in the line"
    for how in (None, "refuse"):
        with pytest.raises(ValueError, match=re.escape(problem)):
            read_conll(path, blank_tokens=how)
    read, skipped = read_conll(path, blank_tokens="read"), read_conll(path, blank_tokens="skip")
    assert read == ([["a", "", "b"], ["c"]], [["O", "O", "B"], ["O"]]) and read.skipped == {}
    assert skipped == ([["a", "b"], ["c"]], [["O", "B"], ["O"]]) and skipped.skipped == {"blank tokens": 1}


@pytest.mark.parametrize("token", ["\u200b", "\ufe0f", "\u3164", "\x1f", "\u2028", "\U000e0020"])
def test_a_token_that_nobody_sees(write, token):
    path = write(f"a\tO\n{token}\tO\n")
    assert read_conll(path).tokens == [["a", token]]
    assert read_conll(path, blank_tokens="skip").skipped == {"blank tokens": 1}
    with pytest.raises(
        ValueError, match=re.escape(f"line 2, column 1: expected a token in token_column=0, received {token!a}")
    ):
        read_conll(path, blank_tokens="refuse")


def test_blank_tokens(write):
    path = write("a O\n\u00a0 O\n\u3000 B\n")
    assert read_conll(path).tokens == read_conll(path, blank_tokens="read").tokens == [["a", "\u00a0", "\u3000"]]
    assert read_conll(path, blank_tokens="skip") == ([["a"]], [["O"]])
    with pytest.raises(ValueError, match=r"line 2, column 1: expected a token .* received '\\xa0'"):
        read_conll(path, blank_tokens="refuse")


def test_an_empty_tag_is_refused(write):
    path = write("a\tX\tO\n\nb\tX\t\n")
    problem = f"{path}, line 3, column 5: expected a tag in tag_column=-1, received an empty cell in the line"
    with pytest.raises(ValueError, match=re.escape(problem)):
        read_conll(path)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\r\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_ends_of_lines(write, end, last):
    lines = ["\ufeffRome B-LOC", "is O", "", "\ufeffHe O", ""]
    path = write(end.join(lines if last else lines[:-1]))
    assert read_conll(path) == ([["Rome", "is"], ["He"]], [["B-LOC", "O"], ["O"]])


def test_lines_are_whole_wherever_the_file_is_cut(write, monkeypatch):
    content = "Zo\u00e9\tB-PER\r\n\ufeffa\tO\r\n\r\n\u5b57\tO\r\n"
    path, old = write(content), write(content.replace("\r\n", "\r"), "old.conll")
    for size in range(1, 12):
        monkeypatch.setattr(lines, "_CHUNK", size)
        assert read_conll(path) == read_conll(old) == ([["Zo\u00e9", "a"], ["\u5b57"]], [["B-PER", "O"], ["O"]])
        assert "".join(sum(lines.lines_with_ends(path), ())) == content
        with pytest.raises(ValueError, match="line 3, column 2: expected UTF-8, received the byte 0xff"):
            read_conll(write(b"a O\r\n\r\nb\xff O\n", "bad.conll"))


def test_files_without_tags(write):
    path = write("Ana\n#left\n# a remark\n\nRain\n")
    sentences = read_conll(path, tag_column=None)
    assert sentences == ([["Ana", "#left"], ["Rain"]], []) and sentences.skipped == {"comments": 1}
    with pytest.raises(ValueError, match="If the file has no tags, pass tag_column=None"):
        read_conll(path)


def test_documents(write):
    content = "-DOCSTART- -X- O\n\na x O\n\nb x O\n-DOCSTART- O\n-DOCSTART- O\nc x O\n\n# newdoc id = 7\nd x O\n"
    assert read_conll(write(content)).documents == [0, 2, 3]
    assert [sentence.document for sentence in iter_conll(write(content))] == [0, 0, 1, 2]
    assert read_conll(write("a O\n\n-DOCSTART- O\n\nb O\n")).documents == [0, 1]
    assert read_conll(write("a O\n")).documents == [0]
    assert read_conll(write("1 -DOCSTART- O\n\n1 a O\n"), token_column=1).tokens == [["a"]]


def test_quotes(write):
    path = write('"a\tb"\tO\n""""\tO\n"#c"\tO\nd"e\tO\n"\tO\n')
    assert read_conll(path, quotes=True).tokens == [["a\tb", '"', "#c", 'd"e', '"']]


def test_one_sentence_at_a_time(write):
    path = write("a O\nb O\n\n# remark\nc B\n\nd O X\ne O\n")
    sentences = iter_conll(path)
    assert next(sentences) == (["a", "b"], ["O", "O"], 0, [1, 2])
    assert next(sentences) == (["c"], ["B"], 0, [5])
    with pytest.raises(ValueError, match="line 8: expected 3 columns"):
        next(sentences)
    packed = write(gzip.compress(b"a O\n"), "words.conll.gz")
    assert read_conll(packed) == ([["a"]], [["O"]])
    with pytest.raises(ValueError, match="cut.conll.gz: expected a complete gzip file, received a damaged one"):
        read_conll(write(gzip.compress(b"a O\n")[:-5], "cut.conll.gz"))


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (
            {"token_column": "0"},
            "expected token_column, a whole number, and tag_column, another one or None; received '0'",
        ),
        ({"tag_column": True}, "received 0 and True"),
        ({"blank_tokens": "drop"}, "blank_tokens 'read', 'skip', 'refuse' or None, received 'drop'"),
        ({"comments": ""}, "a string, a function or None, received ''"),
    ],
)
def test_wrong_arguments(write, arguments, problem):
    with pytest.raises(ValueError, match=re.escape(problem)):
        read_conll(write("a O\n"), **arguments)


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
