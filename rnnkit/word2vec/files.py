"""Files of word vectors: the two formats of word2vec."""

import gzip
import os
import warnings
from collections.abc import Collection, Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from rnnkit.files import compressed, new_file

_CHUNK = 2**20  # bytes read at a time
_ROWS = 2**12  # rows that a table begins with


def save_word2vec_format(
    path: str | os.PathLike[str], words: Sequence[str], vectors: ArrayLike, binary: bool = False
) -> None:
    """Writes words and their vectors in word2vec's text or binary format, which gensim, spaCy and FastText read.

    Both begin with a line that has the number of words and of dimensions. In the text format, a line follows for each
    word: the word and its numbers, with blanks between them, in the fewest digits that give the same float32. In the
    binary format the numbers are float32, little-endian. Words are UTF-8. A path that ends in `.gz` is compressed. If
    writing fails, the path is left as it was.

    A blank or a newline in a word would end it there, so that no program could read the file: such words are refused.
    Replace them first: `[word.replace(" ", "_") for word in words]`.

    Args:
        path: where to write.
        words: the words, each once.
        vectors: their vectors, numbers `(words, dimensions)`.
        binary: whether to write the binary format. Defaults to `False`.

    Raises:
        ValueError: words and vectors do not fit together, a word occurs twice, or a word cannot be written.

    Example:

    >>> import tempfile, os
    >>> from rnnkit.word2vec import load_word2vec_format, save_word2vec_format
    >>> path = os.path.join(tempfile.mkdtemp(), "vectors.txt.gz")
    >>> save_word2vec_format(path, ["cat", "größer"], [[0.5, -1], [2, 0.1]])
    >>> words, vectors = load_word2vec_format(path)
    >>> words, vectors.shape
    (['cat', 'größer'], (2, 2))

    References:
        Mikolov et al., "Distributed representations of words and phrases and their compositionality", 2013.
    """
    words, vectors = check_words_and_vectors("save_word2vec_format", words, vectors)
    encoded = [_encoded(word) for word in words]
    with new_file(path) as opened, compressed(opened, path) as file:
        file.write(b"%d %d\n" % vectors.shape)
        for word, vector in zip(encoded, vectors, strict=True):
            vector = np.asarray(vector, "<f4")
            numbers = vector.tobytes() if binary else " ".join(vector.astype(str).tolist()).encode()
            file.write(b"%b %b\n" % (word, numbers))


def load_word2vec_format(
    path: str | os.PathLike[str],
    binary: bool = False,
    only: Collection[str] | None = None,
    no_header: bool = False,
    errors: str = "strict",
) -> tuple[list[str], np.ndarray]:
    """Reads words and their vectors from a file in word2vec's text or binary format.

    The file is read piece by piece: with `only`, no more than the vectors of these words is ever in memory. In the text
    format a word may have blanks, as in the files that gensim writes of such words and cannot read. If a word occurs
    twice, the first vector is kept, and a warning says so.

    Args:
        path: the file. One that ends in `.gz` is decompressed.
        binary: whether the file has the binary format. Defaults to `False`.
        only: the words to keep; the others are skipped. Defaults to `None`: all.
        no_header: whether a text file begins with its first word, as those of GloVe do. Defaults to `False`.
        errors: what to do with bytes that are not UTF-8, as in `bytes.decode`: word2vec.c may cut a word within a
            character. Defaults to `"strict"`: raise an error.

    Returns:
        The words, in the order of the file, and their vectors, float32 `(words, dimensions)`.

    Raises:
        ValueError: the file has another format, or ends too early or too late; the message names the line or word.

    Example:

    >>> import tempfile, os
    >>> from rnnkit.word2vec import load_word2vec_format
    >>> path = os.path.join(tempfile.mkdtemp(), "vectors.txt")
    >>> with open(path, "w") as file:
    ...     _ = file.write("2 3\\ncat 1 2 3\\nNew York 4 5 6\\n")
    >>> words, vectors = load_word2vec_format(path, only={"New York"})
    >>> words, vectors.tolist()
    (['New York'], [[4.0, 5.0, 6.0]])

    References:
        Mikolov et al., "Distributed representations of words and phrases and their compositionality", 2013.
    """
    if binary and no_header:
        raise ValueError("load_word2vec_format expected no_header=False with binary=True: a binary file has a header.")
    words: dict[str, None] = {}
    repeated: list[str] = []
    with _opened(path) as file:
        if no_header:
            count, dimensions = None, _fields_of_the_first_line(file, path) - 1
        else:
            count, dimensions = _header(file, path)
        read = _binary_rows(file, path, count, dimensions) if binary else _text_rows(file, path, count, dimensions)
        vectors = np.empty((_ROWS, dimensions), np.float32)
        for where, encoded, vector in read:
            try:
                word = encoded.decode("utf-8", errors)
            except UnicodeDecodeError:
                hint = "" if binary else "binary=True for a binary file, or "
                raise ValueError(
                    f"{where}: expected a word in UTF-8, received {encoded!r:.60}. Pass {hint}"
                    'errors="ignore" to leave out the wrong bytes.'
                ) from None
            if only is not None and word not in only:
                continue
            if word in words:
                repeated.append(word)
                continue
            if len(words) == len(vectors):
                vectors.resize((2 * len(vectors), dimensions), refcheck=False)
            vectors[len(words)] = vector
            words[word] = None
    if repeated:
        warnings.warn(
            f"{os.fspath(path)} has {len(repeated)} words again, such as {repeated[0]!r}: the first vector of each is "
            "kept.",
            stacklevel=2,
        )
    vectors.resize((len(words), dimensions), refcheck=False)
    return list(words), vectors


def check_words_and_vectors(owner: str, words: Iterable[str], vectors: ArrayLike) -> tuple[list[str], np.ndarray]:
    """Checks that words are different strings, and that each has a vector.

    Args:
        owner: the function that received them, for the message.
        words: the words.
        vectors: their vectors.

    Returns:
        The words as a list, and the vectors as an array `(words, dimensions)`.

    Raises:
        ValueError: they do not fit together.
    """
    words = [words] if isinstance(words, str) else list(words)
    vectors = np.asanyarray(vectors)
    if vectors.ndim != 2 or not vectors.shape[1] or len(vectors) != len(words) or vectors.dtype.kind not in "fiu":
        raise ValueError(
            f"{owner} expected vectors to be numbers of shape (words, dimensions) for {len(words)} words, received "
            f"{vectors.dtype} of shape {vectors.shape}."
        )
    seen = set()
    for word in words:
        if not isinstance(word, str):
            raise ValueError(
                f"{owner} expected words to be strings, received {word!r:.60} of type {type(word).__name__}."
            )
        if word in seen:
            raise ValueError(f"{owner} expected each word once, received {word!r:.60} twice.")
        seen.add(word)
    return words, vectors


def _encoded(word):
    if not word or " " in word or "\n" in word:
        raise ValueError(
            f"save_word2vec_format expected words without blanks and newlines, which end a word in the file, received "
            f'{word!r:.60}. Replace them: [word.replace(" ", "_") for word in words].'
        )
    try:
        return word.encode()
    except UnicodeEncodeError:
        raise ValueError(
            f"save_word2vec_format expected words that UTF-8 can write, received {word!r:.60}. Read the text with its "
            "right encoding."
        ) from None


def _opened(path):
    return (gzip.open if os.fspath(path).endswith(".gz") else open)(path, "rb")


def _header(file, path):
    line = file.readline(_CHUNK)
    try:
        count, dimensions = (int(number) for number in line.split())
        if count < 0 or dimensions < 1:
            raise ValueError
    except ValueError:
        raise ValueError(
            f"{os.fspath(path)}, line 1: expected the number of words and of dimensions, such as 10000 100, received "
            f"{line.rstrip()!r:.60}. Pass no_header=True for a text file without this line, such as those of GloVe."
        ) from None
    return count, dimensions


def _fields_of_the_first_line(file, path):
    fields = len(file.readline().rstrip().split(b" "))
    file.seek(0)
    if fields < 2:
        raise ValueError(f"{os.fspath(path)}, line 1: expected a word and its vector, received {fields - 1} numbers.")
    return fields


def _text_rows(file, path, count, dimensions):
    """Yields for each line where it is, the word, and its vector."""
    number = 0
    first = 1 if count is None else 2
    for number, line in enumerate(file, start=1):
        where = f"{os.fspath(path)}, line {number + first - 1}"
        if number - 1 == count:
            if line.strip():
                raise ValueError(f"{where}: expected the file to end after {count} words, as line 1 says.")
            number -= 1
            continue
        word, *numbers = line.rstrip().rsplit(b" ", dimensions)
        try:
            vector = np.array(numbers, np.float32)
            before, blank, last = word.rpartition(b" ")
            if not word or len(vector) != dimensions or (blank and _is_text(last)):  # one more number
                raise ValueError
        except ValueError:
            raise ValueError(
                f"{where}: expected a word and {dimensions} numbers, received {line.rstrip()!r:.80}. Pass binary=True "
                "for a binary file."
            ) from None
        yield where, word, vector
    if count is not None and number < count:
        raise _ends_early(path, number, count)


def _is_text(data):
    """Whether some bytes are numbers in a text."""
    try:
        return len([float(number) for number in data.split()]) > 0
    except ValueError:
        return False


def _binary_rows(file, path, count, dimensions):
    """As `_text_rows`."""
    size, buffer, start = 4 * dimensions, b"", 0
    for number in range(count):
        while (blank := buffer.find(b" ", start)) < 0 or len(buffer) - blank - 1 < size:
            more = file.read(max(_CHUNK, size))
            if not more:
                raise _ends_early(path, number, count)
            buffer, start = buffer[start:] + more, 0
        word = buffer[start:blank].lstrip(b"\n")  # word2vec.c writes a newline after each vector, gensim does not
        where = f"{os.fspath(path)}, word {number + 1}"
        vector = buffer[blank + 1 : blank + 1 + size]
        if not word or (number == 0 and _is_text(vector)):  # "1.0 " has as many bytes as a float32
            raise ValueError(
                f"{where}: expected a word and {dimensions} float32, received {word + b' ' + vector!r:.60}. Pass "
                "binary=False for a text file."
            )
        yield where, word, np.frombuffer(vector, "<f4")
        start = blank + 1 + size
    if (buffer[start:] + file.read(_CHUNK)).strip():
        raise ValueError(
            f"{os.fspath(path)}: expected the file to end after {count} words, as line 1 says. Pass binary=False for a "
            "text file."
        )


def _ends_early(path, number, count):
    return ValueError(f"{os.fspath(path)}: expected {count} words, as line 1 says, received {number}: the file is cut.")
