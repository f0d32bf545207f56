"""The English-French grammar behind `rnnkit.datasets.translation_pairs`.

Read it in this order: `lexicon` (words from a text file), `words` (which of them go together), `phrases`, `verbs`,
`clauses`, `sentences`, and finally `spelling`.
"""

from rnnkit.datasets.english_french.lexicon import lexicon, read_lexicon
from rnnkit.datasets.english_french.sentences import Grammar, Sentence
from rnnkit.datasets.english_french.words import combinations

__all__ = ["Grammar", "Sentence", "combinations", "lexicon", "read_lexicon"]
