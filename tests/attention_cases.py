"""The four scores with their oracles, and memories to attend to: what the tests of attention share."""

import keras
import numpy as np

from rnnkit.layers import BahdanauAttention, LuongAttention
from tests import oracles
from tests.layer_checks import BATCH

UNITS, WIDTH, MEMORY_TIME = 3, 4, 5  # of a_t; of queries and memories; positions of a memory

ATTENTIONS = {
    "dot": (lambda **kwargs: LuongAttention(UNITS, score="dot", **kwargs), oracles.dot_score),
    "general": (lambda **kwargs: LuongAttention(UNITS, score="general", **kwargs), oracles.general_score),
    "concat": (lambda **kwargs: LuongAttention(UNITS, score="concat", **kwargs), oracles.concat_score),
    "bahdanau": (lambda **kwargs: BahdanauAttention(UNITS, **kwargs), oracles.additive_score),
}

MEMORY_MASKS = {
    "none": None,
    "right": np.array([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 0, 0, 0, 0], [1, 1, 1, 0, 0], [1, 1, 1, 1, 0]]),
    "left": np.array([[1, 1, 1, 1, 1], [0, 0, 0, 1, 1], [0, 0, 0, 0, 1], [0, 0, 1, 1, 1], [0, 1, 1, 1, 1]]),
    "holes": np.array([[1, 0, 1, 0, 1], [0, 1, 0, 1, 1], [1, 0, 0, 0, 1], [0, 1, 1, 0, 0], [1, 1, 0, 1, 1]]),
    "empty rows": np.array([[0, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0], [0, 1, 0, 1, 0]]),
}


def memory_masks():
    return [(name, None if mask is None else mask.astype(bool)) for name, mask in MEMORY_MASKS.items()]


def memory(seed=11):
    return np.random.default_rng(seed).normal(size=(BATCH, MEMORY_TIME, WIDTH)).astype("float32")


def call_with(weights, layer, *args, **kwargs):
    """Calls the layer with these trainable weights, in its precision."""
    with keras.StatelessScope(state_mapping=list(zip(layer.trainable_variables, weights, strict=True))):
        return layer(*args, **kwargs)


def randomized(layer, seed=7):
    """A built layer with random weights."""
    rng = np.random.default_rng(seed)
    layer.set_weights([rng.normal(scale=0.6, size=weight.shape) for weight in layer.get_weights()])
    return layer
