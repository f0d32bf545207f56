"""Text as numbers, and what is marked in it.

| name | what it does |
|---|---|
| `Vocabulary` | tokens become integers |
| `encode_characters` | words become the integers of their letters |
| `NGram` | the language model without a network |
| `spans`, `tags_of` | entities from the tags of a sentence, and back |
| `check_tags`, `convert` | whether tags keep to a scheme (IOB1, BIO, BIOES), and the same in another one |
| `legal_transitions` | which tag may follow which |

`Vocabulary` and `NGram` work on sequences of tokens: a string is the sequence of its characters, a list of strings a
sequence of words.
"""

from rnnkit.text.characters import encode_characters
from rnnkit.text.ngram import NGram
from rnnkit.text.tags import check_tags, convert, legal_transitions, spans, tags_of
from rnnkit.text.vocabulary import Vocabulary

__all__ = [
    "NGram",
    "Vocabulary",
    "check_tags",
    "convert",
    "encode_characters",
    "legal_transitions",
    "spans",
    "tags_of",
]
