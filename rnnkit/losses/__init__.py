"""Losses that Keras lacks, for what `rnnkit.layers.ValueDecoder` says."""

from rnnkit.losses.normal import NormalLoss
from rnnkit.losses.pinball import PinballLoss

__all__ = ["NormalLoss", "PinballLoss"]
