"""Tiny Shakespeare: the text that character models are measured on."""

from typing import NamedTuple

from rnnkit.datasets.cache import TINY_SHAKESPEARE, cached


class Texts(NamedTuple):
    """A text in two parts: one to train on, one to validate on."""

    train: str
    validation: str


def tiny_shakespeare():
    """A million characters of Shakespeare's plays.

    1,115,394 characters, 65 of them distinct. The last tenth is held out, as published figures on this text have it.
    The file is downloaded at the first call; see `rnnkit.datasets` about the cache.

    Returns:
        Named tuple `(train, validation)` of two strings: 1,003,854 and 111,540 characters.

    Raises:
        DataError: when the file is changed, or missing and cannot be downloaded.

    Example (downloads a megabyte, so it is no doctest):

        train, validation = rnnkit.datasets.tiny_shakespeare()

    References:
        Karpathy 2015, "The unreasonable effectiveness of recurrent neural networks", and its repository char-rnn (MIT
        licence; the text is in the public domain).
    """
    text = cached(TINY_SHAKESPEARE).read_text(encoding="utf-8")
    start = int(0.9 * len(text))
    return Texts(text[:start], text[start:])
