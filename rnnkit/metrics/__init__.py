"""Measures of how good predictions are.

| name | measures | how |
|---|---|---|
| `Perplexity`, `MaskedAccuracy` | next tokens | Keras metrics: every token counts the same, and padding never does |
| `EntityF1` | tagged entities | Keras metric: an entity is right if its beginning, its end and its type are |
| `alignment_error_rate`, `extract_alignment` | attention | the words it links, against the true alignment |
| `error_rate`, `sequence_error_rate` | decoded sequences | counts insertions, deletions and substitutions of tokens |
| `closest_references` | decoded sequences | chooses the reference to compare with where several are right |
"""

from rnnkit.metrics.alignment import alignment_error_rate, extract_alignment
from rnnkit.metrics.entity_f1 import EntityF1
from rnnkit.metrics.error_rate import closest_references, error_rate, sequence_error_rate
from rnnkit.metrics.masked_accuracy import MaskedAccuracy
from rnnkit.metrics.perplexity import Perplexity

__all__ = [
    "EntityF1",
    "MaskedAccuracy",
    "Perplexity",
    "alignment_error_rate",
    "closest_references",
    "error_rate",
    "extract_alignment",
    "sequence_error_rate",
]
