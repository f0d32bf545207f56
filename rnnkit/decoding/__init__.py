"""Decoding: the tokens that a decoder says on its own. One way of choosing them a file.

`greedy_search` takes the most likely token at each step, `sample` draws one, `beam_search` keeps the best few
beginnings. Each takes a `rnnkit.layers.Decoder`, any Keras model with states, or a function; each is one compiled loop.
"""

from rnnkit.decoding.beam import beam_search
from rnnkit.decoding.decoded import Decoded
from rnnkit.decoding.greedy import greedy_search
from rnnkit.decoding.sampling import sample

__all__ = ["Decoded", "beam_search", "greedy_search", "sample"]
