"""rnnkit.text's writers: what is written is read again, and a copy differs in nothing but its tags."""

import random
import re

import pytest

from rnnkit.text import read_conll, replace_tags, write_conll

LETTERS = "ab#\"' \t.-O\u00a0\u2028\x85\x0b\x1c\ufeff\u200b\u00e9\u5b57\U0001f600\\\x00_"


def random_sentences(rng):
    """Tokens of any characters, and tags of every kind or none."""
    sentences = [[random_token(rng) for _ in range(rng.randint(1, 4))] for _ in range(rng.randint(1, 4))]
    tags = ["O", "B-X", "NN", "#", "news", '"q']
    return sentences, [[rng.choice(tags) for _ in row] for row in sentences] if rng.random() < 0.8 else None


def random_token(rng):
    return (
        rng.choice(["-DOCSTART-", "3-4"]) if rng.random() < 0.02 else "".join(rng.choices(LETTERS, k=rng.randint(1, 3)))
    )


def test_what_is_written_is_read_again(tmp_path):
    """Random tokens in random layouts: they come back, or they are refused before there is a file."""
    rng, written = random.Random(0), 0
    for number in range(600):
        path = tmp_path / f"{number}.conll"
        tokens, tags = random_sentences(rng)
        separator = rng.choice("\t ")
        how = {"quotes": separator == "\t" and rng.random() < 0.6}
        try:
            write_conll(path, tokens, tags, separator, **how)
        except ValueError as error:
            assert "write_conll" in str(error) and "expected" in str(error)
            assert not any(tmp_path.glob(f"*{number}.conll*"))
            continue
        written += 1
        how["tag_column"] = None if tags is None else -1
        assert read_conll(path, **how) == (tokens, tags or [])
        content = path.read_bytes().decode().replace("\n", rng.choice(["\n", "\r\n", "\r"]))
        path.write_bytes((rng.choice(["", "\ufeff"]) + content).encode())
        assert read_conll(path, **how) == (tokens, tags or [])
        if tags is not None:
            assert_only_tags_change(path, tokens, tags, how)
    assert written > 200


def assert_only_tags_change(path, tokens, tags, how):
    before = path.read_bytes()
    replace_tags(path, path, tags, **how)
    assert path.read_bytes() == before
    replace_tags(path, path, None, append=[tags], **how)
    assert (
        read_conll(path, **{**how, "tag_column": 1}) == read_conll(path, **{**how, "tag_column": 2}) == (tokens, tags)
    )
    replace_tags(path, path, [["O"] * len(row) for row in tokens], **how)
    assert read_conll(path, **{**how, "tag_column": 1}) == (tokens, tags)
    assert read_conll(path, **how) == (tokens, [["O"] * len(row) for row in tokens])


def test_a_copy_keeps_everything_else(tmp_path):
    source, target = tmp_path / "dev.conll", tmp_path / "found.conll"
    content = (
        "\ufeff# a file\r\n\r\n-DOCSTART- -X- O\r\n\r\n"
        "Ana   NNP  O \r\n#left VBD O\n# a remark, not a token\n\n\n \t\r"
        "New York\tNNP \t O \t\r\nis\t\tO\t\n\nend O"
    )
    source.write_bytes(content.encode())
    new = [["B-PER", "I-PER"], ["B-LOC", "E-LOC"], ["X"]]
    replace_tags(source, target, new)
    expected = (
        content.replace("NNP  O ", "NNP  B-PER ").replace("VBD O", "VBD I-PER").replace("NNP \t O ", "NNP \t B-LOC ")
    )
    expected = expected.replace("is\t\tO", "is\t\tE-LOC").replace("end O", "end X")
    assert target.read_bytes().decode() == expected
    assert read_conll(target).tags == new
    replace_tags(source, target, None, append=[new, [["1", "2"], ["3", "4"], ["5"]]])
    added = target.read_bytes().decode()
    assert "Ana   NNP  O B-PER 1 \r\n" in added and "#left VBD O I-PER 2\n" in added and added.endswith("end O X 5")
    assert read_conll(target).tags == [["1", "2"], ["3", "4"], ["5"]]


def test_conll_u_keeps_its_comments(tmp_path):
    path = tmp_path / "pt.conllu"
    rest = "\t_" * 6
    path.write_text(f"# text = no\n1-2\tno\t_\t_{rest}\n1\tem\tem\tADP{rest}\n2\to\to\tDET{rest}\n\n", encoding="utf-8")
    before = path.read_text(encoding="utf-8")
    replace_tags(path, path, [["X", "Y"]], token_column=1, tag_column=3)
    assert path.read_text(encoding="utf-8") == before.replace("ADP", "X").replace("DET", "Y")


def test_what_is_read_without_tags_is_written_without(tmp_path):
    path = tmp_path / "words.txt"
    path.write_text("a\nb\n\nc\n", encoding="utf-8")
    sentences = read_conll(path, tag_column=None)
    write_conll(path, *sentences)
    assert read_conll(path, tag_column=None) == sentences == ([["a", "b"], ["c"]], [])


def test_documents_and_compression(tmp_path):
    path = tmp_path / "words.conll.gz"
    write_conll(path, [["a"], ["b"], ["c"]], [["O"], ["O"], ["O"]], documents=[0, 2])
    sentences = read_conll(path)
    assert (sentences, sentences.documents) == (([["a"], ["b"], ["c"]], [["O"], ["O"], ["O"]]), [0, 2])
    replace_tags(path, path, [["X"], ["Y"], ["Z"]])
    assert read_conll(path).tags == [["X"], ["Y"], ["Z"]]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (
            ([["a b"]], [["O"]], " "),
            "sentence 0, token 0: expected a token or tag with no space inside, received 'a b'",
        ),
        (
            ([["a"], ["b", "c\td"]], [["O"], ["O", "O"]]),
            "sentence 1, token 1: expected a token or tag with no tab inside",
        ),
        (([[""]], [["O"]]), "with at least one character, received ''"),
        (([["a\n"]], [["O"]]), "with no line end"),
        (([["a"]], [[" O"]]), "with no space or tab at its beginning or end, received ' O'"),
        (([["a"]], [[3]]), "expected a string, received 3"),
        (([[]], [[]]), "at least one token, received sentence 0"),
        (([["a", "b"]], [["O"]]), "a tag for each token, received 1 sentences with 2 tokens and 1 with 1 tags"),
        (([["-DOCSTART-"]], [["O"]]), "that are read as they were written, received ['-DOCSTART-'], sentence 0"),
        (([["#"], ["a"]], [["news"], ["O"]], " "), "looks like a comment or a mark"),
        (([], []), "at least one sentence, received none"),
        ((["Ana left"], ["OO"]), "lists of tokens, received the string 'Ana left'. Split it"),
        (([["\ud800"]],), "characters that UTF-8 has, no surrogates, received '\\ud800'"),
        (([["a"]], None, " ", False, [1]), "documents, indices from 0 to 0, received [1]"),
        (([["a"]], [["O"]], ","), "a tab or a space, received ','"),
        (([["a"]], [["O"]], " ", True), "a tab as the separator along with quotes=True"),
    ],
)
def test_what_is_refused_leaves_no_file(tmp_path, arguments, problem):
    with pytest.raises(ValueError, match=re.escape(problem)):
        write_conll(tmp_path / "words.conll", *arguments)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("tags", "problem"),
    [
        ([["O"], ["O"]], "line 1: replace_tags expected 2 tags for the sentence that begins there, received 1"),
        ([["O", "O"]], "line 4: replace_tags expected 1 tags for the sentence that begins there, received none"),
        ([["O", "O"], ["O"], ["O"]], "expected as many sentences as the file has, received more"),
        ([["O", "B PER"], ["O"]], "line 2: expected a token or tag with no space inside, received 'B PER'"),
        (["O", "O"], "received 'O'"),
    ],
)
def test_tags_that_do_not_fit(tmp_path, tags, problem):
    path = tmp_path / "words.conll"
    path.write_text("a O\nb O\n\nc O\n", encoding="utf-8")
    with pytest.raises(ValueError, match=re.escape(problem)):
        replace_tags(path, path, tags)
    assert path.read_text(encoding="utf-8") == "a O\nb O\n\nc O\n" and list(tmp_path.iterdir()) == [path]
    with pytest.raises(ValueError, match="a column to replace, received None"):
        replace_tags(path, path, [["O", "O"], ["O"]], tag_column=None)
