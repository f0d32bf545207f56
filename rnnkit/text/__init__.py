"""Text as numbers, and the entities that tags mark in it.

| name | what it does |
|---|---|
| `Vocabulary` | turns tokens into integers |
| `encode_characters` | turns words into the integers of their letters |
| `NGram` | language model without a network, the baseline |
| `tags_to_spans`, `spans_to_tags` | converts the tags of a sentence to entities, and back |
| `check_tags`, `convert_tags` | checks that tags follow a scheme (IOB1, BIO, BIOES), and converts them to another one |
| `legal_transitions` | finds which tag may follow which |
| `read_conll` | reads sentences with a tag for each word from a file in columns |
| `read_pairs` | reads sentences and their translations from a file with one pair per line |

`Vocabulary` and `NGram` work on sequences of tokens: a string is the sequence of its characters, a list of strings a
sequence of words.
"""

from rnnkit.text.characters import encode_characters
from rnnkit.text.ngram import NGram
from rnnkit.text.read_conll import read_conll
from rnnkit.text.read_pairs import read_pairs
from rnnkit.text.tags import check_tags, convert_tags, legal_transitions, spans_to_tags, tags_to_spans
from rnnkit.text.vocabulary import Vocabulary

__all__ = [
    "NGram",
    "Vocabulary",
    "check_tags",
    "convert_tags",
    "encode_characters",
    "legal_transitions",
    "read_conll",
    "read_pairs",
    "tags_to_spans",
    "spans_to_tags",
]
