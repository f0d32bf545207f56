"""The files of word vectors: written and read, by rnnkit and by gensim, with any words."""

import gzip

import numpy as np
import pytest

from rnnkit.word2vec import load_word2vec_format, save_word2vec_format

FORMATS = [("vectors.txt", False), ("vectors.txt.gz", False), ("vectors.bin", True), ("vectors.bin.gz", True)]


def any_words(number, seed=0):
    """Different words of any characters but blanks, newlines and lone surrogates."""
    rng = np.random.default_rng(seed)
    spans = [(0, 0x80), (0x80, 0x800), (0x2000, 0x3100), (0xE000, 0x10000), (0x10000, 0x110000)]
    words = {"1", "0.5", "nan", "<", "\ufeff", "\x00", "\r", "\t", "\x85\u2028", "a\u00a0b", "-1e5\t2"}
    while len(words) < number:
        low, high = spans[rng.integers(len(spans))]
        word = "".join(map(chr, rng.integers(low, high, rng.integers(1, 5))))
        words.add(word.replace(" ", "_").replace("\n", "_"))
    return sorted(words)


def any_vectors(number, dimensions, seed=0):
    """Any finite float32, subnormal ones and the largest among them."""
    bits = np.random.default_rng(seed).integers(0, 2**32, (number, dimensions), dtype=np.uint32)
    vectors = bits.view(np.float32)
    return np.where(np.isfinite(vectors), vectors, np.float32(-0.0))


@pytest.mark.parametrize("name, binary", FORMATS)
@pytest.mark.parametrize("dimensions", [1, 7])
def test_files_keep_every_bit_here_and_in_gensim(name, binary, dimensions, tmp_path):
    gensim = pytest.importorskip("gensim.models")
    words, vectors = any_words(300), any_vectors(300, dimensions)
    save_word2vec_format(tmp_path / name, words, vectors, binary=binary)
    assert (tmp_path / name).read_bytes().startswith(b"\x1f\x8b") == name.endswith(".gz")
    read, table = load_word2vec_format(tmp_path / name, binary=binary)
    assert read == words and table.dtype == np.float32
    assert table.tobytes() == vectors.tobytes()
    keyed = gensim.KeyedVectors.load_word2vec_format(str(tmp_path / name), binary=binary)
    assert keyed.index_to_key == words and keyed.vectors.tobytes() == vectors.tobytes()
    theirs = str(tmp_path / f"theirs-{name}")
    keyed.save_word2vec_format(theirs, binary=binary)
    read, table = load_word2vec_format(theirs, binary=binary)
    assert dict(zip(read, map(bytes, table), strict=True)) == dict(zip(words, map(bytes, vectors), strict=True))
    some = set(words[::7]) | {"not there"}
    read, few = load_word2vec_format(theirs, binary=binary, only=some)
    assert set(read) == some - {"not there"} and len(few) == len(read)


def test_words_with_blanks_that_gensim_writes_are_read(tmp_path):
    gensim = pytest.importorskip("gensim.models")
    keyed = gensim.KeyedVectors(2)
    keyed.add_vectors(["New York", ". . .", "a"], np.arange(6, dtype="float32").reshape(3, 2))
    keyed.save_word2vec_format(str(tmp_path / "text.txt"))
    words, vectors = load_word2vec_format(tmp_path / "text.txt")
    assert words == ["New York", ". . .", "a"] and vectors.tolist() == [[0, 1], [2, 3], [4, 5]]


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("word", ["New York", "", " ", "a\n", "\nb", "\ud800"])
def test_words_that_no_program_could_read_are_refused(word, binary, tmp_path):
    with pytest.raises(ValueError, match="save_word2vec_format expected words .*, received .* (Replace|Read)"):
        save_word2vec_format(tmp_path / "vectors", ["a", word], np.zeros((2, 3)), binary=binary)
    assert not list(tmp_path.iterdir())


def test_other_arguments_that_are_refused(tmp_path):
    for words, vectors, message in (
        (["a"], np.zeros((2, 3)), r"shape \(words, dimensions\) for 1 words, received float64 of shape \(2, 3\)"),
        (["a"], np.zeros(3), r"received float64 of shape \(3,\)"),
        (["a"], np.zeros((1, 0)), r"received float64 of shape \(1, 0\)"),
        (["a"], [["x"]], "received <U1"),
        (["a", 5], np.zeros((2, 3)), "words to be strings, received 5 of type int"),
        (["a", "a"], np.zeros((2, 3)), "each word once, received 'a' twice"),
    ):
        with pytest.raises(ValueError, match=message):
            save_word2vec_format(tmp_path / "vectors", words, vectors)
    with pytest.raises(ValueError, match="no_header=False with binary=True"):
        load_word2vec_format(tmp_path / "vectors", binary=True, no_header=True)


def test_what_fails_leaves_the_file_as_it_was(tmp_path):
    path = tmp_path / "vectors.txt"
    save_word2vec_format(path, ["a"], [[1, 2]])
    before = path.read_bytes()
    with pytest.raises(ValueError, match="Replace them"):
        save_word2vec_format(path, ["a", "b c"], [[1, 2], [3, 4]])
    assert path.read_bytes() == before and [file.name for file in tmp_path.iterdir()] == ["vectors.txt"]


def test_files_of_glove(tmp_path):
    (tmp_path / "glove.txt").write_text("the 0.5 1\n, 2 -3\n. . . 1e-3 4\n")
    words, vectors = load_word2vec_format(tmp_path / "glove.txt", no_header=True)
    assert words == ["the", ",", ". . ."]
    np.testing.assert_array_equal(vectors, np.float32([[0.5, 1], [2, -3], [1e-3, 4]]))


@pytest.mark.parametrize(
    "text, message",
    [
        (b"", "line 1: expected the number of words and of dimensions, such as 10000 100, received b''"),
        (b"the 1 2\n", "line 1: expected .* no_header=True"),
        (b"2 0\n", "line 1: expected"),
        (b"-2 3\n", "line 1: expected"),
        (b"2 1.5\n", "line 1: expected"),
        (b"1 2\na 1\n", "line 2: expected a word and 2 numbers, received b'a 1'"),
        (b"1 2\na 1 2 3\n", "line 2: expected a word and 2 numbers, received b'a 1 2 3'"),
        (b"2 2\na 1 2\nb 1 x\n", "line 3: expected a word and 2 numbers, received b'b 1 x'"),
        (b"2 2\na 1 2\n\nb 1 2\n", "line 3: expected a word and 2 numbers, received b''"),
        (b"2 2\na 1 2\n", "expected 2 words, as line 1 says, received 1"),
        (b"1 2\na 1 2\nb 1 2\n", "line 3: expected the file to end after 1 words"),
        (b"1 2\n\xff\xfe 1 2\n", r"line 2: expected a word in UTF-8, .*errors=\"ignore\""),
    ],
)
def test_text_files_that_are_refused(text, message, tmp_path):
    for name, opened in (("vectors.txt", open), ("vectors.gz", gzip.open)):
        with opened(tmp_path / name, "wb") as file:
            file.write(text)
        with pytest.raises(ValueError, match=message):
            load_word2vec_format(tmp_path / name)


@pytest.mark.parametrize(
    "data, message",
    [
        (b"x\n", "line 1: expected the number of words"),
        (b"2 1\na \0\0\0\0b \0\0", "expected 2 words, as line 1 says, received 1"),
        (b"2 1\nabcdefgh", "expected 2 words, as line 1 says, received 0"),
        (b"1 1\na \0\0\0\0\nb", "expected the file to end after 1 words"),
        (b"1 1\n \0\0\0\0", "word 1: expected a word and 1 float32, received b' "),
        (b"1 1\n\xff \0\0\0\0", "word 1: expected a word in UTF-8"),
    ],
)
def test_binary_files_that_are_refused(data, message, tmp_path):
    (tmp_path / "vectors.bin").write_bytes(data)
    with pytest.raises(ValueError, match=message):
        load_word2vec_format(tmp_path / "vectors.bin", binary=True)


def test_a_text_file_read_as_binary_and_a_binary_one_as_text(tmp_path):
    save_word2vec_format(tmp_path / "text", ["a", "b"], np.ones((2, 3)))
    save_word2vec_format(tmp_path / "binary", ["a", "b"], np.ones((2, 3)), binary=True)
    with pytest.raises(ValueError, match="Pass binary=False"):
        load_word2vec_format(tmp_path / "text", binary=True)
    with pytest.raises(ValueError, match="Pass binary=True"):
        load_word2vec_format(tmp_path / "binary")


def test_wrong_bytes_and_words_that_repeat(tmp_path):
    (tmp_path / "cut").write_bytes(b"3 1\nd\xc3 1\nd 2\ne 3 \n\n")
    with pytest.warns(UserWarning, match="has 1 words again, such as 'd': the first vector"):
        words, vectors = load_word2vec_format(tmp_path / "cut", errors="ignore")
    assert words == ["d", "e"] and vectors.tolist() == [[1], [3]]
