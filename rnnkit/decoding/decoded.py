"""What decoding returns."""

from typing import NamedTuple

import numpy as np


class Decoded(NamedTuple):
    """Decoded sequences, as NumPy arrays. Those of a beam search have an axis `n_best` after the batch, the best first.

    Attributes:
        tokens: integers `(batch, max_length)`, without the start token and with the end token; behind it, `padding`.
        scores: `(batch,)`, the sum of ln p(token | tokens before) over each sequence, its end token included, under the
            decoder's own probabilities; of a beam search, with its penalties.
        alignments: `(batch, max_length, memory_time)`, alpha_ts of each step, zeros behind the end; None of a decoder
            that returns none.
    """

    tokens: np.ndarray
    scores: np.ndarray
    alignments: np.ndarray | None

    @classmethod
    def of(cls, results):
        """From what `decode_loop` returns, with the time axis first."""
        scores, (tokens, alignments) = results
        return cls(tokens.T, scores, *([a.swapaxes(0, 1) for a in alignments] or [None]))
