"""Tiny Shakespeare: the text on which character models are compared."""

from typing import NamedTuple

from rnnkit.datasets.cache import TINY_SHAKESPEARE, cached


class Texts(NamedTuple):
    """A text in two parts.

    Attributes:
        train: the text to train on.
        validation: the text to validate on.
    """

    train: str
    validation: str


def tiny_shakespeare() -> Texts:
    """Loads a million characters from Shakespeare's plays.

    There are 1,115,394 characters, 65 of them distinct. The last tenth is the validation part, as in published results
    on this text. The first call downloads the file; see `rnnkit.datasets` for where it is stored.

    Returns:
        Named tuple `(train, validation)` of two strings with 1,003,854 and 111,540 characters.

    Raises:
        DataError: the file is changed, or it is missing and cannot be downloaded.

    Example (not run as a test, as it downloads a megabyte):

        train, validation = rnnkit.datasets.tiny_shakespeare()

    References:
        Karpathy, "The unreasonable effectiveness of recurrent neural networks", 2015, and its repository char-rnn (MIT
        license; the text is in the public domain).
    """
    text = cached(TINY_SHAKESPEARE).read_text(encoding="utf-8")
    start = int(0.9 * len(text))
    return Texts(text[:start], text[start:])
