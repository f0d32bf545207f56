"""How good predictions are, one measure a file.

| measure | of | what it is |
|---|---|---|
| `Perplexity`, `MaskedAccuracy` | next tokens | Keras metrics: every token counts the same, padding never |
| `EntityF1` | tagged entities | Keras metric: one is right if its beginning, its end and its type are |
| `alignment_error_rate`, `extract_alignment` | attention | which words it joins, against the true alignment |
| `error_rate`, `sequence_error_rate` | decoded sequences | insertions, deletions, substitutions of tokens |
| `closest_references` | decoded sequences | the reference to compare with, where several are right |
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
