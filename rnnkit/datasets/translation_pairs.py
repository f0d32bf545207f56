"""English sentences, their French translations, and which word translates which."""

from typing import NamedTuple

import numpy as np

from rnnkit.arguments import check_integer
from rnnkit.datasets.english_french import Grammar, lexicon

_SPLITS = ("train", "validation", "test")
_SHORTEST, _LONGEST = 3, 25  # English words, without the punctuation at the end
_TRIES = 20  # sentences before another length is tried
_PATIENCE = 2_000  # sentences in a row that are not new


class TranslationPairs(NamedTuple):
    """Sentences as lists of tokens, and the links between the tokens of a pair.

    Attributes:
        english: list of lists of strings.
        french: list of lists of strings, the translations.
        alignments: list of frozensets of links `(English index, French index)`, both counted from 0.
    """

    english: list[list[str]]
    french: list[list[str]]
    alignments: list[frozenset[tuple[int, int]]]


def translation_pairs(
    samples: int, split: str = "train", seed: int = 0, words: tuple[int, int] = (_SHORTEST, _LONGEST)
) -> TranslationPairs:
    """Generates English sentences with their French translations and the true word alignments.

    The grammar is part of rnnkit. It writes both sentences at once and therefore knows which word comes from which.
    Adjectives and participles agree, most adjectives follow their noun, "not" becomes two words around the verb, object
    pronouns precede the verb, "le" is "l'" before a vowel, and "de le" is "du". The same English always has the same
    French: "i", "we" and a "they" that no noun precedes are masculine; "it" and "they" take the gender of the noun
    before them.

    Everything is in lower case. A token is a word or a punctuation mark; an elided word ("l'", "n'", "qu'") is a
    separate token. Every token has a link:

    | English | French | links |
    |---|---|---|
    | "does not eat" | "ne mange pas" | "not" to "ne" and "pas"; "does" and "eat" to the verb |
    | "did not eat" | "n' a pas mangé" | "did" to "a", "eat" to "mangé" |
    | "ate" | "a mangé" | to both |
    | "is going to eat", "wants to eat" | "va manger", "veut manger" | "is going to" to "va", "wants to" to "veut" |
    | "does he eat" | "est-ce qu' il mange" | "does" to "est-ce" and "qu'" |
    | "did he eat" | "est-ce qu' il a mangé" | "did" to "est-ce", "qu'" and "a" |
    | "is he sick" | "est-ce qu' il est malade" | "is" to "est-ce", "qu'" and "est" |
    | "he rests" | "il se repose" | "rests" to both |
    | "to the market" | "au marché" | "to" and "the" to "au" |
    | "some bread", "because" | "du pain", "parce que" | each word to each |

    The splits differ in how words are combined. Each pair of an adjective and its noun, of a verb and its object, and
    of a subject and its verb belongs to one split. A test sentence has at least one such pair that no training sentence
    has, although each of its words is in the training data. The same is true of a validation sentence, whose pairs
    occur neither in training nor in test sentences. No sentence is in two splits.

    Args:
        samples: number of pairs, all different.
        split: `"train"`, `"validation"` or `"test"`. Defaults to `"train"`.
        seed: integer; equal seeds give equal pairs. Defaults to `0`.
        words: `(shortest, longest)` number of English words, from 3 to 25, without the "." or "?" at the end.
            Defaults to `(3, 25)`.

    Returns:
        Named tuple `(english, french, alignments)`, see `TranslationPairs`.

    Raises:
        ValueError: an argument is out of range, or the grammar does not have that many sentences of these lengths.

    Example:

    >>> pairs = translation_pairs(20, words=(4, 8))
    >>> print(*pairs.english[2])
    she never opened the window .
    >>> print(*pairs.french[2])
    elle n' a jamais ouvert la fenêtre .
    >>> sorted(pairs.alignments[2])
    [(0, 0), (1, 1), (1, 3), (2, 2), (2, 4), (3, 5), (4, 6), (5, 7)]

    The vocabulary, and which words go together, are in the text file data/english_french.txt.
    """
    shortest, longest = _checked(samples, split, seed, words)
    rng = np.random.default_rng(seed)
    grammar = Grammar(lexicon(), split, rng)
    pairs = TranslationPairs([], [], [])
    known = set()
    in_vain = 0
    length = int(rng.integers(shortest, longest + 1))
    while len(known) < samples:
        if in_vain == _PATIENCE:
            raise ValueError(
                f"translation_pairs expected at most {len(known)} samples of {shortest} to {longest} words in the "
                f"split {split!r}, received {samples}: the grammar finds hardly any more. Ask for fewer samples or for "
                "more lengths."
            )
        in_vain += 1
        if in_vain % _TRIES == 0:
            length = int(rng.integers(shortest, longest + 1))
        sentence = grammar.sentence(length)
        if sentence is None or not sentence.of_split or tuple(sentence.english) in known:
            continue
        if not max(shortest, length - 3) <= len(sentence.english) - 1 <= min(longest, length + 2):
            continue
        known.add(tuple(sentence.english))
        in_vain = 0
        length = int(rng.integers(shortest, longest + 1))
        pairs.english.append(sentence.english)
        pairs.french.append(sentence.french)
        pairs.alignments.append(sentence.links)
    return pairs


def _checked(samples, split, seed, words):
    """The shortest and the longest number of words, if all arguments are valid."""
    check_integer("translation_pairs", "samples", samples)
    check_integer("translation_pairs", "seed", seed, at_least=0)
    if split not in _SPLITS:
        raise ValueError(f"translation_pairs expected split to be one of {', '.join(_SPLITS)}, received {split!r}.")
    lengths = list(words) if isinstance(words, tuple | list) else []
    whole = len(lengths) == 2 and all(type(length) is int or isinstance(length, np.integer) for length in lengths)
    if not whole or not _SHORTEST <= lengths[0] <= lengths[1] <= _LONGEST:
        raise ValueError(
            f"translation_pairs expected words to be a pair (shortest, longest) of integers from {_SHORTEST} to "
            f"{_LONGEST}, received {words!r}."
        )
    return lengths
