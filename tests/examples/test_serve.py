"""examples/serve.py: hardly trained, but saved, loaded, exported, and read by another process that says the same."""

import runpy
from pathlib import Path

import pytest

EXAMPLE = runpy.run_path(str(Path(__file__).resolve().parents[2] / "examples" / "serve.py"))


def test_words_are_numbers_and_back():
    sources, targets = EXAMPLE["make_data"](20)
    for source, target in zip(sources, targets, strict=True):
        assert EXAMPLE["spell"](source) == EXAMPLE["spell"](target)[::-1] != ""


@pytest.mark.slow
def test_another_process_says_the_same(capsys):
    EXAMPLE["main"](epochs=1, words=128)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 7 and lines[-1] == "the other process says the same: True"
