"""The n-grams of words, and the buckets that they are hashed into, as in FastText.

These are pure functions: what is learned for a bucket is in `model`, and how it is learned in `trainer`.
"""

from collections.abc import Sequence

import numpy as np

from rnnkit.arguments import check_positive_integer


def subwords(word: str, shortest: int = 3, longest: int = 6) -> list[str]:
    """Lists the n-grams of a word between the marks `<` and `>`.

    The marks tell the start and the end of a word from its middle: "her" has the n-gram "<he", and "where" has not. As
    in FastText, a mark alone is no n-gram.

    Args:
        word: any word.
        shortest: characters of the shortest n-grams, with the marks. Defaults to `3`.
        longest: characters of the longest. Defaults to `6`.

    Returns:
        The n-grams, by where they start, then by length. A repeated one is listed each time.

    Raises:
        ValueError: shortest or longest is not a positive integer, or shortest is greater than longest.

    Example:

    >>> from rnnkit.word2vec import subwords
    >>> subwords("her", 3, 4)
    ['<he', '<her', 'her', 'her>', 'er>']

    References:
        Bojanowski et al., "Enriching word vectors with subword information", 2017.
    """
    check_subwords("subwords", (shortest, longest), 1)
    marked = f"<{word}>"
    return [
        marked[start : start + size]
        for start in range(len(marked))
        for size in range(shortest, min(longest, len(marked) - start) + 1)
        if size > 1 or marked[start] not in "<>" or 0 < start < len(marked) - 1
    ]


def fnv1a(data: bytes) -> int:
    """Computes the 32-bit FNV-1a hash of some bytes.

    Args:
        data: the bytes.

    Returns:
        An integer of 0 to 2**32 - 1.

    Example:

    >>> from rnnkit.word2vec import fnv1a
    >>> hex(fnv1a(b"a"))
    '0xe40c292c'

    References:
        Fowler, Noll, Vo and Eastlake, "The FNV non-cryptographic hash algorithm", 2012.
    """
    value = int(_BASIS)
    for byte in data:
        value = (value ^ byte) * int(_PRIME) % 2**32
    return value


def subword_buckets(
    words: Sequence[str], shortest: int = 3, longest: int = 6, buckets: int = 2_000_000
) -> tuple[np.ndarray, np.ndarray]:
    """Hashes the n-grams of words into buckets: FNV-1a of their UTF-8 bytes, modulo the number of buckets.

    The buckets are those of FastText where all characters are ASCII. FastText extends the sign of each byte before it
    hashes it; here the hash of other characters is FNV-1a as published.

    Args:
        words: the words.
        shortest: as in `subwords`. Defaults to `3`.
        longest: as in `subwords`. Defaults to `6`.
        buckets: how many there are, at most 2**31 - 1. Defaults to `2_000_000`.

    Returns:
        The buckets of all `subwords` of the first word, then those of the second, and so on, int32 `(subwords,)`; and
        how many each word has, int64 `(words,)`.

    Raises:
        ValueError: a size is not a positive integer, shortest is greater than longest, or there are too many buckets.

    Example:

    >>> from rnnkit.word2vec import subword_buckets
    >>> buckets, lengths = subword_buckets(["a", "her"], 3, 4, buckets=1000)
    >>> lengths.tolist()
    [1, 5]
    >>> buckets.tolist() == [fnv1a(n_gram) % 1000 for n_gram in (b"<a>", b"<he", b"<her", b"her", b"her>", b"er>")]
    True

    References:
        Bojanowski et al., "Enriching word vectors with subword information", 2017.
    """
    check_subwords("subword_buckets", (shortest, longest), buckets)
    pieces = [_hashes(words[first : first + _WORDS], shortest, longest) for first in range(0, len(words), _WORDS)]
    found, lengths = zip(*pieces, strict=True) if pieces else ((), ())
    hashes = np.concatenate([np.empty(0, np.uint32), *found])
    return (hashes % np.uint32(buckets)).astype(np.int32), np.concatenate([np.empty(0, np.int64), *lengths])


def _hashes(words, shortest, longest):
    """The hashes of the n-grams of words, all letters at once."""
    letters = np.array([len(word) + 2 for word in words], np.int64)
    text = np.frombuffer("".join(f"<{word}>" for word in words).encode("utf-8", "surrogatepass"), np.uint8)
    first_bytes = np.flatnonzero((text & 0xC0) != 0x80)  # of each letter
    widths = np.diff(first_bytes, append=len(text))
    ends = np.repeat(np.cumsum(letters), letters)  # of the word that a letter belongs to
    start = np.arange(len(ends))
    exists = start[:, None] + np.arange(shortest, longest + 1) <= ends[:, None]
    found = np.zeros(exists.shape, np.uint32)
    hashes = np.full(len(ends), _BASIS, np.uint32)
    for size in range(1, longest + 1):  # the hash of all n-grams with one more letter
        letter = np.minimum(start + size, len(ends)) - 1
        for number in range(widths.max(initial=0)):
            there = np.flatnonzero(widths[letter] > number)
            hashes[there] = (hashes[there] ^ text[first_bytes[letter[there]] + number]) * _PRIME
        if size >= shortest:
            found[:, size - shortest] = hashes
    if shortest == 1:  # a mark alone is no n-gram
        exists[ends - 1, 0] = exists[ends - np.repeat(letters, letters), 0] = False
    of_words = np.repeat(np.arange(len(letters)), letters)
    lengths = np.bincount(of_words, exists.sum(axis=1), minlength=len(letters)).astype(np.int64)
    return found[exists], lengths


def check_subwords(owner: str, sizes: object, buckets: object) -> tuple[int, int]:
    """Checks the sizes of n-grams and the number of buckets.

    Args:
        owner: the class or function that received them, for the message.
        sizes: the shortest and the longest n-gram.
        buckets: the number of buckets.

    Returns:
        The sizes as integers.

    Raises:
        ValueError: they cannot be used.
    """
    if not isinstance(sizes, tuple | list) or len(sizes) != 2:
        raise ValueError(
            f"{owner} expected subwords to be the sizes of the shortest and the longest n-gram, such as (3, 6), "
            f"received {sizes!r}."
        )
    shortest = check_positive_integer(owner, "the shortest n-gram", sizes[0])
    longest = check_positive_integer(owner, "the longest n-gram", sizes[1])
    if shortest > longest:
        raise ValueError(
            f"{owner} expected the shortest n-gram to be no longer than the longest, received {shortest} and {longest}."
        )
    if check_positive_integer(owner, "buckets", buckets) >= 2**31:
        raise ValueError(f"{owner} expected buckets to be less than 2**31, received {buckets}.")
    return shortest, longest


_WORDS = 2**14  # that are hashed together: the arrays hold all of their letters
_BASIS, _PRIME = np.uint32(0x811C9DC5), np.uint32(0x01000193)  # of FNV-1a for 32 bits
