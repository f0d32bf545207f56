"""examples/tag_your_file.py: from files to a saved tagger, and from there, in a new process, into a copy of a file."""

import os
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from rnnkit.datasets import entities
from rnnkit.text import convert_tags, read_conll, write_conll

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "tag_your_file.py"


def run(*arguments):
    environment = {**os.environ, "PYTHONPATH": str(EXAMPLE.parents[1]), "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.run([sys.executable, EXAMPLE, *arguments], capture_output=True, text=True, env=environment)


def cells(path):
    return [line.split() for line in path.read_text(encoding="utf-8").split("\n")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Files in BIOES, and one with other columns."""
    folder, corpus = tmp_path_factory.mktemp("tagging"), entities()
    for name, part, count in (("train", corpus.train, 48), ("dev", corpus.validation, 16)):
        bioes = [convert_tags(row, "BIO", "BIOES") for row in part.tags[:count]]
        write_conll(folder / f"{name}.conll", part.tokens[:count], bioes)
    content = "# a file\r\n\r\n1  Ana   NNP S-PER \r\n2\tleft\tVBD\tO\n# a remark of five words\n\n1 \u00d6lsnitz NNP O"
    (folder / "other.txt").write_bytes(content.encode())
    return folder


@pytest.fixture(scope="module")
def trained(folder):
    """The folder with a tagger that has learned from the files, and with what it has found in one of them."""
    main = runpy.run_path(str(EXAMPLE))["main"]
    files, out = [folder / "train.conll", folder / "dev.conll"], folder / "tagger.keras"
    main(files, out, None, folder / "dev.conll", folder / "found.conll", epochs=2, patience=1)
    return folder


@pytest.mark.slow
def test_predictions_are_in_a_copy_of_the_file(trained):
    tokens, tags = read_conll(trained / "dev.conll")
    assert read_conll(trained / "found.conll", tag_column=1).tokens == tokens
    confidences = sum(read_conll(trained / "found.conll").tags, [])
    assert all(re.fullmatch(r"[01]\.\d{3}", confidence) for confidence in confidences)
    assert 0 < min(map(float, confidences)) <= max(map(float, confidences)) <= 1


@pytest.mark.slow
def test_a_saved_tagger_tags_in_a_new_process(trained):
    done = run("--model", trained / "tagger.keras", "--predict", trained / "dev.conll", "--to", trained / "again.conll")
    assert done.returncode == 0, done.stderr
    assert (trained / "again.conll").read_bytes() == (trained / "found.conll").read_bytes()
    assert "in the scheme BIOES" in done.stdout and re.search(r"^micro +[\d.]+%", done.stdout, re.MULTILINE)


@pytest.mark.slow
def test_other_columns_stay_as_they_are(trained):
    example = runpy.run_path(str(EXAMPLE))
    source, target = trained / "other.txt", trained / "tagged_other.txt"
    example["main"]([], None, trained / "tagger.keras", source, None, epochs=1, patience=1)
    before, after = source.read_bytes().decode(), target.read_bytes().decode()
    tag = r"(O|[BIES]-[A-Z]+)"
    pattern = re.escape(before)
    for old in (r"S\-PER", "VBD\\\tO", r"NNP\ O"):
        assert pattern.count(old) == 1
        pattern = pattern.replace(old, re.sub(r"(S\\-PER|O)$", lambda _: tag, old) + r"[ \t][01]\.\d{3}")
    assert re.fullmatch(pattern, after), after


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["none.conll", "dev.conll"], "No such file or directory: 'none.conll'"),
        (["words.txt"], "words.txt: expected columns of tokens and of tags such as O, B-PER and I-PER, received one"),
        (["mixed.txt"], "mixed.txt: found no column of tags. The last one: find_scheme: expected a tag such as"),
        (["none.txt"], "none.txt: expected tags that mark entities, such as B-PER, received nothing but O"),
        (["one.txt"], "expected at least two sentences, to train and to validate, received one"),
        (
            ["train.conll", "--out", "none/tagger.keras"],
            "expected to write none/tagger.keras into a folder that exists",
        ),
        (["train.conll", "--out", "tagger.h5"], "expected --out to be a name that ends in .keras, received tagger.h5"),
        (["train.conll", "--predict", "none.conll"], "No such file or directory: 'none.conll'"),
        (
            ["--model", "words.txt", "--predict", "dev.conll"],
            "words.txt: expected a file that this program has written",
        ),
    ],
)
def test_errors_are_one_line(folder, monkeypatch, capsys, arguments, problem):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), *arguments])
    for name, content in {
        "words": "Rain\nfell\n",
        "mixed": "a B-X\nb B_X\nc O\n",
        "none": "a O\n",
        "one": "Ana B-PER\nleft O\n",
    }.items():
        Path(f"{name}.txt").write_text(content, encoding="utf-8")
    with pytest.raises(SystemExit) as error:
        runpy.run_path(str(EXAMPLE), run_name="__main__")
    assert re.fullmatch(rf"tag_your_file.py: .*{re.escape(problem)}.*", str(error.value))
