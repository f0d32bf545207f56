"""Keras layers: cells, the loop over time, and what stands around them. One concept a file."""

from rnnkit.layers.cell import RecurrentCell
from rnnkit.layers.elman import Elman, ElmanCell
from rnnkit.layers.initial_state import LearnedInitialState
from rnnkit.layers.recurrent import Recurrent
from rnnkit.layers.word2vec import CBOW, SkipGram

__all__ = ["CBOW", "Elman", "ElmanCell", "LearnedInitialState", "Recurrent", "RecurrentCell", "SkipGram"]
