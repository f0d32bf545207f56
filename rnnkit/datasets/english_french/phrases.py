"""Noun phrases and pronouns."""

from typing import NamedTuple

from rnnkit.datasets.english_french.lexicon import VOWELS
from rnnkit.datasets.english_french.words import Words

PERSON = frozenset(["person", "adult", "child"])
PRONOUNS = ("i", "we", "he", "she", "they")

_SUBJECTS = {"i": "je", "we": "nous", "he": "il", "she": "elle", "they": "ils"}
_OBJECTS = {"me": "me", "us": "nous", "him": "le", "her": "la", "them": "les"}
_PERSONS = {"i": 0, "he": 1, "she": 1, "we": 2, "they": 3, "me": 0, "him": 1, "her": 1, "us": 2, "them": 3}
_OWNERS = {
    "my": ("mon", "ma", "mes"),
    "our": ("notre", "notre", "nos"),
    "his": ("son", "sa", "ses"),
    "her": ("son", "sa", "ses"),
    "their": ("leur", "leur", "leurs"),
}
_NUMBERS = {"two": "deux", "three": "trois", "four": "quatre", "five": "cinq"}


class Nominal(NamedTuple):
    """A noun phrase or a pronoun. "i" and "we" are masculine."""

    english: list
    french: list
    person: int = 1  # index of the verb form: I, he, we, they
    feminine: bool = False
    nouns: tuple = ()  # one, or two with "and"; empty for a pronoun
    kinds: frozenset = frozenset()

    @property
    def is_asked(self):
        """Whether it is "what"."""
        return not self.kinds

    @property
    def plural(self):
        return self.person >= 2

    def silent(self):
        """The same without words: "the boy sings and (the boy) dances"."""
        return self._replace(english=[], french=[])


class Phrases(Words):
    def subject_pronoun(self, choice=PRONOUNS):
        english = self.pick(choice)
        words = self.word(english, _SUBJECTS[english])
        return Nominal(*words, _PERSONS[english], feminine=english == "she", kinds=PERSON)

    def object_pronoun(self, choice):
        english = self.pick(choice)
        words = self.word(english, _OBJECTS[english])
        return Nominal(*words, _PERSONS[english], feminine=english == "her", kinds=PERSON)

    def subject_again(self, subject):
        """The pronoun for a subject that was mentioned before: in French it has the gender of the noun."""
        if not subject.nouns:
            words = self.word(subject.english[0][0], subject.french[0][0])
        elif subject.plural:
            words = self.word("they", "elles" if subject.feminine else "ils")
        elif subject.feminine:
            words = self.word("she" if "person" in subject.kinds else "it", "elle")
        else:
            words = self.word("he" if "person" in subject.kinds else "it", "il")
        return subject._replace(english=words[0], french=words[1], nouns=())

    def object_again(self, phrase):
        """ "it" or "them" for something that was mentioned before."""
        if phrase.plural:
            words = self.word("them", "les")
        else:
            words = self.word("it", "la" if phrase.feminine else "le")
        return phrase._replace(english=words[0], french=words[1], nouns=())

    def noun_phrase(
        self, noun, room=0, plural=0.35, definite=False, indefinite=False, negated=False, adjectives=True, relative=True
    ):
        """A determiner, adjectives, the noun, and perhaps a relative clause.

        `room` is the number of English words besides determiner and noun, `plural` is a probability. `negated` is for
        the object of a verb with "not" or "never".
        """
        self.say(noun)
        plural = noun.plural is not None and "single" not in noun.kinds and self.chance(plural)
        plural = plural or (negated and indefinite and noun.plural is not None)
        relative = relative and room >= 3 and "inside" not in noun.kinds and self.chance(0.6)
        adjectives = self._adjectives(noun, room - 3 * relative) if adjectives else []
        marks = [self.mark() for _ in adjectives]
        words = self.word(noun.plural if plural else noun.english, noun.french_plural if plural else noun.french)
        english = [(one.english, mark) for one, mark in zip(adjectives, marks, strict=True)] + words[0]
        french = words[1]
        for one, mark in zip(adjectives, marks, strict=True):
            if one.precedes:
                french = [(one.form(noun.feminine, plural, following=french[0][0]), mark), *french]
            else:
                french = [*french, (one.form(noun.feminine, plural), mark)]
        determiner = self._determiner(noun, plural, french, definite, indefinite, negated, owned=not relative)
        phrase = Nominal(
            determiner[0] + english,
            determiner[1] + french,
            person=3 if plural else 1,
            feminine=noun.feminine,
            nouns=(noun,),
            kinds=noun.kinds,
        )
        if relative:
            clause = self.relative_clause(phrase, room - len(adjectives))
            phrase = phrase._replace(english=phrase.english + clause[0], french=phrase.french + clause[1])
        return phrase

    def both(self, one, other):
        """ "the boy and the girl": feminine if both are."""
        words = self.word("and", "et")
        return Nominal(
            one.english + words[0] + other.english,
            one.french + words[1] + other.french,
            person=3,
            feminine=one.feminine and other.feminine,
            nouns=one.nouns + other.nouns,
            kinds=one.kinds & other.kinds,
        )

    def which(self, noun):
        """ "which apples"."""
        self.say(noun)
        plural = noun.plural is not None and "single" not in noun.kinds and self.chance(0.4)
        english, french = self.word("which", ("quelle" if noun.feminine else "quel") + "s" * plural)
        words = self.word(noun.plural if plural else noun.english, noun.french_plural if plural else noun.french)
        return Nominal(english + words[0], french + words[1], 3 if plural else 1, noun.feminine, (noun,), noun.kinds)

    def _adjectives(self, noun, room):
        """In English order: at most one that precedes the noun in French, at most one that follows."""
        if room < 1 or self.chance(0.2):
            return []
        suited = self.unsaid([one for one in self.lexicon.adjectives if one.nouns & noun.kinds])
        if not suited:
            return []
        first = self.partner("adjective", noun, among=suited)
        self.say(first)
        if room == 1 or self.chance(0.4):
            return [first]
        others = [one for one in self.unsaid(suited) if one.precedes != first.precedes]
        others = [one for one in others if {one.order, first.order} != {"opinion", "state"}]
        if not others:
            return [first]
        second = self.partner("adjective", noun, among=others)
        self.say(second)
        return sorted([first, second], key=lambda one: ("opinion", "size", "state", "age", "colour").index(one.order))

    def _determiner(self, noun, plural, french, definite, indefinite, negated, owned):
        """An article, or a word in its place. It agrees with the noun, and depends on the next word of the French."""
        feminine, vowel = noun.feminine, french[0][0].startswith(VOWELS)
        noun_first = french[0][0] in (noun.french, noun.french_plural)
        single = "single" in noun.kinds
        owned = owned and "own" in noun.kinds
        options = {} if indefinite else {"the": 0.45, "this": 0.06 * (not single), "own": 0.2 * owned}
        if not definite and not single:
            if negated:
                options |= {"any": 0.3 * (plural or noun.plural is None)}
            elif noun.plural is None:
                options |= {"some": 0.5}
            elif plural:
                options |= {"some": 0.2, "number": 0.12, "many": 0.06, "several": 0.05, "all": 0.06 * (not indefinite)}
            else:
                options |= {"a": 0.25, "every": 0.05 * ("person" in noun.kinds and not indefinite)}
        choice = self.weighted(options)
        if choice == "the":
            return self.word("the", "les" if plural else "la" if feminine else "le")
        if choice == "this":
            singular = "cette" if feminine else "cet" if vowel else "ce"
            return self.word("these" if plural else "this", "ces" if plural else singular)
        if choice == "own":
            owner = self.pick(list(_OWNERS))
            masculine, before_consonant, several = _OWNERS[owner]
            return self.word(owner, several if plural else before_consonant if feminine and not vowel else masculine)
        if choice == "some" and plural:
            return self.word("some", "des" if noun_first else "de")
        if choice == "some":
            return self.word("some", "de la" if feminine else "de le")
        if choice == "number":
            number = self.pick(list(_NUMBERS))
            return self.word(number, _NUMBERS[number])
        if choice == "all":
            every, the = self.word("all", "toutes" if feminine else "tous"), self.word("the", "les")
            return every[0] + the[0], every[1] + the[1]
        if choice == "a":
            return self.word("a", "une" if feminine else "un")
        return self.word(
            choice, {"any": "de", "many": "beaucoup de", "several": "plusieurs", "every": "chaque"}[choice]
        )
