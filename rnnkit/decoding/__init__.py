"""Decoding: the tokens that a decoder says on its own. There is one file per way of choosing them.

`greedy_search` takes the most likely token at each step, `sample` draws one, and `beam_search` keeps the best few
beginnings. Each takes a `rnnkit.layers.Decoder`, any Keras model with states, a function, or an `Ensemble`; each is one
compiled loop. `forecast` runs a decoder of real values. `Trie` and `Moves` are constraints on what may be said.
"""

from rnnkit.decoding.beam import beam_search
from rnnkit.decoding.constraints import Moves, Trie
from rnnkit.decoding.forecasting import Forecast, forecast
from rnnkit.decoding.greedy import greedy_search
from rnnkit.decoding.sampling import sample
from rnnkit.decoding.search import Decoded
from rnnkit.decoding.serving import export_search
from rnnkit.decoding.steps import Ensemble

__all__ = [
    "Decoded",
    "Ensemble",
    "Forecast",
    "Moves",
    "Trie",
    "beam_search",
    "export_search",
    "forecast",
    "greedy_search",
    "sample",
]
