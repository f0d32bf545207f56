"""Text as numbers, and what is marked in it.

| name | what it does |
|---|---|
| `Vocabulary` | tokens become integers |
| `encode_characters` | words become the integers of their letters |
| `NGram` | the language model without a network |
| `tags_to_spans`, `spans_to_tags` | entities from the tags of a sentence, and back |
| `check_tags`, `convert_tags` | whether tags keep to a scheme (IOB1, BIO, BIOES), and the same in another one |
| `legal_transitions` | which tag may follow which |
| `read_conll` | sentences with a tag for each word, from a file in columns |
| `read_pairs` | sentences and their translations, from a file with one pair per line |

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
