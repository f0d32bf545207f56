"""Sentences: a statement, a question, or clauses joined by a conjunction."""

from collections import defaultdict
from typing import NamedTuple

from rnnkit.datasets.english_french.clauses import Clauses
from rnnkit.datasets.english_french.phrases import PERSON, Nominal
from rnnkit.datasets.english_french.spelling import spell_english, spell_french
from rnnkit.datasets.english_french.words import DeadEnd

_CONJUNCTIONS = {"and": 0.3, "but": 0.2, "because": 0.3, "when": 0.2}
_FRENCH = {"and": "et", "but": "mais", "because": "parce que", "when": "quand"}
_GONE = frozenset(["eat", "drink", "sell", "lose", "send", "give", "forget", "break"])  # afterwards it is gone
_AT_FIRST = frozenset(["buy", "find", "look for", "see", "visit"])  # nobody washes it before that
_BEFORE_THAT = frozenset(["see", "look at", "look for", "hear", "know", "love"])


class Sentence(NamedTuple):
    english: list
    french: list
    links: frozenset
    combinations: frozenset  # (relation, noun, verb or adjective): the words that are combined, in English
    of_split: bool  # whether it is for training, or has a combination that no training sentence has


class Grammar(Clauses):
    def sentence(self, length):
        """A `Sentence` of about `length` English words, or None if the choice of words led nowhere."""
        self.start()
        try:
            if length >= 7 and self.chance(0.25 if length < 12 else 0.65 if length < 17 else 0.85):
                words, end = self._joined(length), "."
            elif self.chance(0.2):
                words, end = self._question(length), "?"
            else:
                words, end = self.clause(length).statement(), "."
        except DeadEnd:
            return None
        end = self.word(end, end)
        english, french = spell_english(words[0] + end[0]), spell_french(words[1] + end[1])
        return Sentence(
            [text for text, _ in english],
            [text for text, _ in french],
            _links(english, french),
            frozenset((relation, one.english, other.english) for relation, one, other in self._combinations),
            self.split == "train" or self.has_own_combination(),
        )

    # Questions

    def _question(self, length):
        kind = self.weighted(
            {"yes or no": 0.35, "where": 0.1, "why": 0.1, "who": 0.15, "what": 0.1, "which": 0.1, "is": 0.1}
        )
        if kind == "yes or no":
            return self.clause(length, asked=True).question()
        if kind == "who":
            subject = Nominal(*self.word("who", "qui"), kinds=PERSON)
            return self.clause(length - 1, subject=subject, negative=False).statement()
        if kind == "is":
            return _one_after_other(self.word("where", "où"), self.where_is(length - 1))
        if kind == "where":
            verbs = [verb for verb in self.lexicon.transitive + self.lexicon.intransitive if "where" in verb.places]
            clause = self.action(length - 2, verbs=verbs, placed=False, asked=True)
            return _one_after_other(self.word("where", "où"), clause.question())
        if kind == "why":
            return _one_after_other(self.word("why", "pourquoi"), self.clause(length - 2, asked=True).question())
        if kind == "which":
            noun = self.pick(self.lexicon.nouns)
            verb = self.partner("object", noun, among=self.lexicon.transitive)
            asked = self.which(noun)
        else:
            verb = self.pick(
                [verb for verb in self.lexicon.transitive if verb.objects - PERSON and verb.english != "know"]
            )
            asked = Nominal(*self.word("what", "que"))
        clause = self.action(length - 3, verb=verb, object=asked, asked=True)
        return _one_after_other((asked.english, asked.french), clause.question())

    # Clauses with a conjunction

    def _joined(self, length):
        conjunction = self.weighted(_CONJUNCTIONS)
        third = length >= 15 and self.chance(0.6)
        tense = "present" if conjunction == "when" else self.weighted({"present": 0.4, "past": 0.4, "future": 0.2})
        if conjunction in ("because", "when"):
            self.orders = ()
        room = length // 3 if third else 3 + self.number(length - 6)
        first = self.clause(room, tense, timed=conjunction == "because")
        words = first.statement()

        self.pronouns = ("i", "we")
        room = length - len(words[0]) - 1
        in_front = conjunction == "when" and not third and self.chance(0.4)
        second = self._second(first, conjunction, _after(conjunction, tense), room // 2 if third else room, in_front)
        if in_front:
            second = _one_after_other(self.word("when", "quand"), second)
            return _one_after_other(second, _one_after_other(self.word(",", ","), words))
        words = _one_after_other(words, _one_after_other(self._conjunction(conjunction), second))
        if third:
            conjunction = self.pick(["because", "when"] if conjunction in ("and", "but") else ["and", "but"])
            if conjunction == "when" and tense != "present":
                conjunction = "because"
            self.orders = () if conjunction == "when" else ("opinion", "state")
            if conjunction in ("because", "when") and self.chance(0.15):
                clause = self.weather(_after(conjunction, tense))
            else:
                room = length - len(words[0]) - 1
                clause = self.clause(room, _after(conjunction, tense), negative=conjunction != "when", timed=False)
            words = _one_after_other(words, _one_after_other(self._conjunction(conjunction), clause.statement()))
        return words

    def _second(self, first, conjunction, tense, room, in_front=False):
        """The clause after the conjunction. It may refer to the subject or the object of the first."""
        self.orders = {"because": ("opinion", "state"), "when": ()}.get(conjunction)
        again = conjunction in ("and", "but")
        if again and self._can_be_taken_up(first) and self.chance(0.6):
            return self._object_again(first, tense, room)
        if conjunction == "and" and self.chance(0.35):
            self.orders = ()
            return self.clause(room, tense, subject=first.subject.silent()).statement()
        if not again and self.chance(0.15):
            return self.weather(tense).statement()
        said = first.subject.kinds and not (in_front and first.subject.nouns)
        if said and _is_clear(first) and self.chance(0.6):
            pronoun = self.subject_again(first.subject)
            return self.clause(room - 1, tense, subject=pronoun, negative=conjunction != "when").statement()
        return self.clause(room, tense, negative=conjunction != "when", timed=conjunction != "when").statement()

    def _can_be_taken_up(self, first):
        taken = first.object
        return taken and taken.nouns and "person" not in taken.kinds and first.verb.english not in _GONE

    def _object_again(self, first, tense, room):
        """ "... and buys it"."""
        (noun,) = first.object.nouns
        verbs = [verb for verb in self.lexicon.transitive if verb.past]
        if first.verb.english not in _BEFORE_THAT:
            verbs = [verb for verb in verbs if verb.english not in _AT_FIRST]
        verb = self.partner("object", noun, among=verbs)
        taken = self.object_again(first.object)
        if self.chance(0.5):
            subject = first.subject.silent()
            if not verb.subjects & subject.kinds:
                raise DeadEnd
            for noun in subject.nouns:
                self.combine("subject", noun, verb)
        else:
            subject = None
        return self.action(room, tense, subject, verb, taken).statement()

    def _conjunction(self, conjunction):
        words = self.word(conjunction, _FRENCH[conjunction])
        return _one_after_other(self.word(",", ","), words) if conjunction == "but" else words


def _after(conjunction, tense):
    """The tense after the conjunction: "is going to stay because it rains"."""
    return "present" if conjunction == "because" and tense == "future" else tense


def _is_clear(clause):
    """Whether a pronoun can only mean the subject."""
    subject, other = clause.subject, clause.object
    if other is None or other.plural != subject.plural:
        return True
    return "person" in subject.kinds and "person" not in other.kinds and not subject.plural


def _one_after_other(one, other):
    return one[0] + other[0], one[1] + other[1]


def _links(english, french):
    places = defaultdict(list)
    for place, (_, marks) in enumerate(english):
        for mark in marks:
            places[mark].append(place)
    return frozenset((i, j) for j, (_, marks) in enumerate(french) for mark in marks for i in places[mark])
