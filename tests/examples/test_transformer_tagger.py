"""examples/transformer_tagger.py: sub-words are cut and aligned, and the tagger under the CRF trains and tags words."""

import re
import runpy
from pathlib import Path

import numpy as np
import pytest

from rnnkit.datasets import entities

EXAMPLE = runpy.run_path(str(Path(__file__).resolve().parents[2] / "examples" / "transformer_tagger.py"))


@pytest.mark.parametrize("all_tokens", [False, True])
def test_words_come_back_from_their_tokens(all_tokens):
    words, tags = entities().train
    subwords = EXAMPLE["Subwords"](words[:50])
    inputs, targets, lost = EXAMPLE["encode"](subwords, words, tags, all_tokens)
    whole = 0
    for row, (sentence, names) in enumerate(zip(words, tags, strict=True)):
        pieces, word_ids = subwords.tokenize(sentence)
        assert len(pieces) == len(word_ids) <= EXAMPLE["LENGTH"]
        found = [""] * len(sentence)
        for piece, word in zip(pieces, word_ids, strict=True):
            if word is not None:
                found[word] += piece.removeprefix("##") if found[word] else piece
        whole += sum(map(bool, found))
        assert all("[UNK]" in one or word.startswith(one) for one, word in zip(found, sentence, strict=True)), found
        tagged = inputs["tagged"][row]
        assert np.array_equal(tagged, targets[row] > 0)
        if not all_tokens:
            assert [EXAMPLE["TAGS"].tokens[k] for k in targets[row][tagged]] == names[: tagged.sum()]
    assert whole + lost == sum(map(len, words)) and lost > 0


@pytest.mark.slow
def test_it_trains_and_tags(capsys):
    EXAMPLE["main"](epochs=1, sentences=40)
    printed = capsys.readouterr().out
    assert re.findall(
        r"^(.+): F1 of the validation part [\d.]+%; \d+ training words were truncated", printed, re.M
    ) == [
        "first tokens",
        "all tokens",
    ]
