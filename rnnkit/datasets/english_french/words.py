"""Words, and which of them go together."""

from collections import defaultdict
from itertools import count
from zlib import crc32

from rnnkit.datasets.english_french.lexicon import Noun


class DeadEnd(Exception):
    """No word goes with those that were chosen: the sentence has to be started over."""


class Words:
    """Chooses words at random, in combinations that belong to a split.

    A token is `(text, marks)`. An English and a French token that share a mark are linked: that is the alignment.
    """

    def __init__(self, lexicon, split, rng):
        self.lexicon = lexicon
        self.split = split
        self._random = rng.random
        self._partners = _partners(lexicon, split)
        self.start()

    def start(self):
        """Forgets the sentence before."""
        self._marks = count()
        self._said = set()
        self._combinations = set()

    def chance(self, probability):
        return self._random() < probability

    def number(self, below):
        return int(self._random() * below)

    def pick(self, options):
        if not options:
            raise DeadEnd
        return options[int(self._random() * len(options))]

    def weighted(self, options):
        """A key of the dictionary, drawn with its values as weights."""
        rest = self._random() * sum(options.values())
        for option, weight in options.items():
            rest -= weight
            if rest < 0:
                return option
        return option

    def partner(self, relation, word, among=None):
        """A word of `among` that goes with `word`. Often it is one that only this split combines with it."""
        allowed, own = self._partners.get((relation, word), ([], []))
        if own and self.chance(0.3):
            allowed = own
        if among is not None:
            allowed = [partner for partner in allowed if partner in among]
        partner = self.pick(allowed)
        self.combine(relation, word, partner)
        return partner

    def combine(self, relation, one, other):
        """Remembers that two words are combined. A pair that is not in the split is a dead end."""
        allowed, _ = self._partners.get((relation, one), ([], []))
        if other not in allowed:
            raise DeadEnd
        self._combinations.add((relation, one, other) if isinstance(one, Noun) else (relation, other, one))

    def has_own_combination(self):
        """Whether two words of the sentence are combined in no training sentence."""
        return any(other in self._partners[relation, noun][1] for relation, noun, other in self._combinations)

    def say(self, word):
        """Uses a noun, a verb or an adjective, which may occur once in a sentence."""
        if word in self._said:
            raise DeadEnd
        self._said.add(word)

    def unsaid(self, words):
        return [word for word in words if word not in self._said]

    def mark(self):
        """A new mark."""
        return (next(self._marks),)

    def word(self, english, french):
        """English and French tokens that are translated as a whole: each is linked to each."""
        mark = self.mark()
        return tokens(english, mark), tokens(french, mark)

    def expression(self, entry):
        """English and French tokens of an entry of the lexicon, with its links."""
        marks = [self.mark() for _ in entry.english.split()]
        english = list(zip(entry.english.split(), marks, strict=True))
        french = [
            (text, tuple(mark for i, k in entry.links if k == j for mark in marks[i]))
            for j, text in enumerate(entry.french.split())
        ]
        return english, french


def tokens(text, marks):
    return [(word, marks) for word in text.split()]


def combinations(lexicon):
    """{(relation, noun, verb or adjective): the split that it belongs to}, for all words that make sense together.

    About one in ten belongs to the test split and one in ten to the validation split. If a word has fewer than 6
    partners, all its combinations belong to the training split.
    """
    acting = lexicon.transitive + lexicon.giving
    choices = [("subject", verb, verb.subjects) for verb in acting + lexicon.intransitive]
    choices += [("object", verb, verb.objects) for verb in acting]
    choices += [("adjective", adjective, adjective.nouns) for adjective in lexicon.adjectives]
    pairs = [
        (relation, noun, other) for noun in lexicon.nouns for relation, other, kinds in choices if kinds & noun.kinds
    ]
    partners = defaultdict(int)
    for relation, noun, other in pairs:
        partners[relation, noun] += 1
        partners[relation, other] += 1
    homes = {}
    for relation, noun, other in pairs:
        share = crc32(f"{relation} {noun.english} {other.english}".encode()) % 10
        few = min(partners[relation, noun], partners[relation, other]) < 6
        homes[relation, noun, other] = "train" if few else {0: "test", 1: "validation"}.get(share, "train")
    return homes


def _partners(lexicon, split):
    """{(relation, word): (words that go with it in the split, those among them that do not in training)}."""
    partners = defaultdict(lambda: ([], []))
    for (relation, noun, other), home in combinations(lexicon).items():
        for one, two in ((noun, other), (other, noun)):
            if home in ("train", split):
                partners[relation, one][0].append(two)
            if home == split != "train":
                partners[relation, one][1].append(two)
    return dict(partners)
