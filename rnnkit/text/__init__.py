"""Text as numbers, and the entities that tags mark in it.

| name | what it does |
|---|---|
| `Vocabulary` | turns tokens into integers |
| `encode_characters` | turns words into the integers of their letters |
| `NGram` | language model without a network, the baseline |
| `tags_to_spans`, `spans_to_tags` | converts the tags of a sentence to entities, and back |
| `find_scheme` | finds out which scheme (BIO, IOB1, BIOES, BILOU, ...) the tags of a corpus have |
| `check_tags`, `convert_tags` | checks that tags follow a scheme, and converts them to another one |
| `legal_transitions` | finds which tag may follow which |
| `tags_to_subwords`, `tags_to_words` | aligns the tags of words with the sub-words of a tokenizer, and back |
| `lengths_to_word_ids` | says which word each sub-word belongs to |
| `read_conll`, `iter_conll` | reads sentences with a tag for each word from a file in columns, all or one at a time |
| `find_columns` | finds out which columns of such a file are the tokens and the tags |
| `read_conllu` | reads the words of a CoNLL-U file, and one of their columns |
| `write_conll`, `replace_tags` | writes such a file, or predictions into a copy of one |
| `read_pairs` | reads sentences and their translations from a file with one pair per line |

`Vocabulary` and `NGram` work on sequences of tokens: a string is the sequence of its characters, a list of strings a
sequence of words.
"""

from rnnkit.text.characters import encode_characters
from rnnkit.text.find_columns import find_columns
from rnnkit.text.ngram import NGram
from rnnkit.text.read_conll import iter_conll, read_conll, read_conllu
from rnnkit.text.read_pairs import read_pairs
from rnnkit.text.subwords import lengths_to_word_ids, tags_to_subwords, tags_to_words
from rnnkit.text.tags import (
    check_tags,
    convert_tags,
    find_scheme,
    legal_transitions,
    spans_to_tags,
    tags_to_spans,
)
from rnnkit.text.vocabulary import Vocabulary
from rnnkit.text.write_conll import replace_tags, write_conll

__all__ = [
    "NGram",
    "Vocabulary",
    "check_tags",
    "convert_tags",
    "encode_characters",
    "find_columns",
    "find_scheme",
    "iter_conll",
    "legal_transitions",
    "lengths_to_word_ids",
    "read_conll",
    "read_conllu",
    "read_pairs",
    "replace_tags",
    "spans_to_tags",
    "tags_to_spans",
    "tags_to_subwords",
    "tags_to_words",
    "write_conll",
]
