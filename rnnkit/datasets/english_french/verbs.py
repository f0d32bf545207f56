"""A verb with its auxiliaries, its negation, its adverb and the pronouns before it."""

from typing import NamedTuple

from rnnkit.datasets.english_french.lexicon import Verb
from rnnkit.datasets.english_french.phrases import Nominal, Phrases
from rnnkit.datasets.english_french.words import DeadEnd, tokens

OFTEN = {"often": "souvent", "always": "toujours", "sometimes": "parfois"}
BE = Verb(
    *("be", "is", "was", "être", ("suis", "est", "sommes", "sont"), "été"),
    imperfect=("étais", "était", "étions", "étaient"),
)
HAVE = Verb(  # "is hungry" is "a faim", "there is" is "il y a"
    *("be", "is", "was", "avoir", ("ai", "a", "avons", "ont"), "eu"),
    imperfect=("avais", "avait", "avions", "avaient"),
)
# May have its object before it in the past: few verbs, so that each form of their participles occurs often
AGREEING = frozenset(["buy", "see", "look for"])

_GO = Verb("go", "goes", "went", "aller", ("vais", "va", "allons", "vont"), "allé")
_MUST = Verb("must", "must", None, "devoir", ("dois", "doit", "devons", "doivent"), "dû")
_WANT = Verb("want", "wants", None, "vouloir", ("veux", "veut", "voulons", "veulent"), "voulu")
_REFLEXIVE = ("me", "se", "nous", "se")


class Clause(NamedTuple):
    subject: Nominal
    opening: list  # the English words at the beginning of a question: "does", "did", "is", "must"
    english: list  # without the subject and the opening
    french: list  # without the subject
    verb: Verb
    object: Nominal | None = None

    def add(self, words):
        return self._replace(english=self.english + words[0], french=self.french + words[1])

    def statement(self):
        return self.subject.english + self.opening + self.english, self.subject.french + self.french

    def question(self):
        """ "does he eat", "est-ce qu'il mange": "does" is linked to "est-ce que"."""
        marks = self.opening[0][1]
        asking = [("est-ce", marks), ("que", marks)]
        return self.opening + self.subject.english + self.english, asking + self.subject.french + self.french


class Verbs(Phrases):
    def verb_group(
        self, verb, subject, tense, negation=None, adverb=None, asked=False, pronoun=None, ahead=None, there=()
    ):
        """A clause that ends with its verb.

        Args:
            verb: one from the lexicon, or `BE` or `HAVE`.
            subject: what the verb agrees with.
            tense: "present", "past", "future" (is going to), "want" or "must".
            negation: None, "not" or "never".
            adverb: None or a key of `OFTEN`.
            asked: whether the English begins with the auxiliary.
            pronoun: an object that precedes the verb in French.
            ahead: an object before the verb, with which the participle agrees: `pronoun`, or "the apple that".
            there: French tokens of "there", after "ne".
        """
        if verb not in (BE, HAVE):
            self.say(verb)
        own, helping, no, often, does, opens = (self.mark() for _ in range(6))
        person, singular = subject.person, subject.person == 1
        modal = tense in ("future", "want", "must")
        main = tokens(verb.english, own)
        supported = verb not in (BE, HAVE) and tense not in ("future", "must") and (asked or negation == "not")

        if supported:
            opening = [("did" if tense == "past" else "does" if singular else "do", does)]
            english = [("want", helping), ("to", helping), *main] if tense == "want" else main
        elif tense == "future":
            opening = [(_be(person, "present"), opens)]
            english = tokens("going to", helping) + main
        elif tense == "must":
            opening, english = [("must", helping)], main
        elif verb in (BE, HAVE):
            opening, english = [(_be(person, tense), own)], []
        elif tense == "want":
            opening, english = [], [("wants" if singular else "want", helping), ("to", helping), *main]
        else:
            form = verb.past if tense == "past" else verb.third if singular else verb.english
            opening, english = [], tokens(form, own)
        if negation == "never":
            english = [("never", no), *english]
        if adverb:
            english = [(adverb, often), *english]
        if negation == "not":
            english = [("not", no), *english]

        before, after = ([] if pronoun is None else list(pronoun.french)), []
        if verb.reflexive:
            before = [(_REFLEXIVE[person], own)]
        in_statement = does if supported and not asked else ()  # else "does" is linked to "est-ce que"
        if modal:
            after = [*before, (verb.infinitive, own)]
            finite = (
                {"future": _GO, "want": _WANT, "must": _MUST}[tense].present[person],
                opens + helping + in_statement,
            )
            before = []
        elif tense == "past" and verb.imperfect is None:
            if ahead is not None and verb.english not in AGREEING:
                raise DeadEnd
            finite = (BE if verb.with_be else HAVE).present[person], does if supported else own
            after = [(_agree(verb.participle, subject if verb.with_be else ahead), own)]
        else:
            forms = verb.imperfect if tense == "past" else verb.present
            finite = forms[1 if there else person], own + in_statement
        french = [*before, *there, finite]
        if negation:
            french = [("ne", no), *french, ("jamais" if negation == "never" else "pas", no)]
        if adverb:
            french.append((OFTEN[adverb], often))
        return Clause(subject, opening, english, french + after, verb)


def _be(person, tense):
    return ("was", "was", "were", "were")[person] if tense == "past" else ("am", "is", "are", "are")[person]


def _agree(participle, nominal):
    if nominal is None:
        return participle
    form = participle + "e" * nominal.feminine
    return form + "s" if nominal.plural and not form.endswith("s") else form
