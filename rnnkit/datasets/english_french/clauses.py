"""Clauses: somebody does something somewhere, something is so, something is somewhere."""

from rnnkit.datasets.english_french.phrases import PERSON, PRONOUNS, Nominal
from rnnkit.datasets.english_french.verbs import AGREEING, BE, HAVE, OFTEN, Verbs
from rnnkit.datasets.english_french.words import DeadEnd

_BESIDE_THE_VERB = {"present": 0, "past": 0, "future": 3, "want": 2, "must": 1}  # English words
_NEEDED = frozenset(["to", "from", "at", "swimming"])  # places without which their verbs are incomplete
_FEELINGS = frozenset(["happy", "sad", "tired", "sick"])  # they come and go
_LOCATED = {  # what can be there, by the kind of place
    "where": frozenset(["person", "animal", "vehicle"]),
    "on": frozenset(["thing", "cat", "mouse"]),
    "inside": frozenset(["thing", "mouse"]),
}
_DEFINITE = frozenset(["love", "know"])  # French loves "the bread", not "some bread"


class Clauses(Verbs):
    def start(self):
        super().start()
        self.pronouns = PRONOUNS  # subjects that need no noun before them
        self.orders = None  # of adjectives that may follow "is"; None: all; empty: only feelings
        self.tense = None  # of the clause around
        self.timed = False  # whether there already is a "yesterday"
        self.inside_relative = False

    def clause(self, room, tense=None, subject=None, asked=False, negative=True, timed=True):
        """A clause of about `room` English words, not counting those of a given `subject`."""
        kinds = {"action": 0.74, "adjective": 0.14, "having": 0.05}
        if subject is None and room >= 6:
            kinds |= {"place": 0.05, "there": 0.05}
        if tense == "future":
            kinds = {"action": 0.9, "adjective": 0.1}
        kind = self.weighted(kinds)
        if kind == "action":
            return self.action(room, tense, subject, asked=asked, negative=negative, timed=timed)
        tense = tense or self.weighted({"present": 0.6, "past": 0.4})
        negation = "not" if negative and not asked and self.chance(0.15) else None
        self.tense = tense
        make = {"adjective": self._is_so, "having": self._has, "place": self._is_there, "there": self._there_is}[kind]
        return make(room - (negation is not None), subject, tense, negation, asked)

    # Somebody does something

    def action(
        self, room, tense=None, subject=None, verb=None, object=None, verbs=None,
        asked=False, negative=True, timed=True, placed=True,
    ):  # fmt: skip
        """A clause with a verb from the lexicon. Verb, subject, object, place and time are chosen unless given."""
        verb = verb or self._verb(room, tense, subject, verbs)
        rest = room - len(verb.english.split()) - 2 * (subject is None) - 2 * bool(verb.objects and object is None)
        tense = tense or self._tense(verb, rest)
        self.tense = tense
        negation = self._negation(tense) if negative and not asked else None
        adverb = None
        if tense == "present" and verb.past and negation is None and (negative or asked) and self.chance(0.15):
            adverb = self.pick(list(OFTEN))
        rest -= _BESIDE_THE_VERB[tense] + (negation is not None) + (adverb is not None)
        rest -= negation == "not" and tense in ("present", "past", "want")

        needed = bool(verb.places & _NEEDED)
        placed = needed or bool(placed and verb.places and rest >= 3 and self.chance(0.5))
        rest -= 3 * placed
        time = None
        if (
            timed
            and not self.timed
            and verb.past
            and adverb is None
            and negation != "never"
            and rest >= 1
            and self.chance(0.4)
        ):
            time = self.pick([entry for entry in self.lexicon.times if tense in entry.use] or [None])
            rest -= len(time.english.split()) if time else 0
            self.timed = time is not None
        rooms = self._shares(rest, 3)

        if subject is None:
            subject = self._subject(verb, rooms[0], definite=negation is not None)
        before = object  # what precedes the verb in French
        if verb.objects and object is None:
            object = self._object(verb, subject, rooms[1], negation is not None)
            before = None if object.nouns else object
        pronoun = None if before is None or before.nouns or before.is_asked else before
        clause = self.verb_group(verb, subject, tense, negation, adverb, asked, pronoun, ahead=before)
        if pronoun is not None:
            clause = clause.add((pronoun.english, []))
        elif object is not None and before is None:
            clause = clause.add((object.english, object.french))
        clause = clause._replace(object=object)
        if verb in self.lexicon.giving:
            receivers = [noun for noun in self.lexicon.nouns if "person" in noun.kinds]
            receiver = self.noun_phrase(self.pick(receivers), definite=True)
            clause = clause.add(self.word("to", "à")).add((receiver.english, receiver.french))
        if placed:
            clause = clause.add(self._place(self.pick(sorted(verb.places)), rooms[2]))
        if time:
            clause = clause.add(self.expression(time))
        return clause

    def _verb(self, room, tense, subject, verbs):
        if verbs is None:
            short = room + 2 * (subject is not None) <= 3
            kinds = {"intransitive": 0.6, "transitive": 0.4} if short else {"intransitive": 0.3, "transitive": 0.7}
            kinds["giving"] = 0.1 * (room >= 8)
            verbs = getattr(self.lexicon, self.weighted(kinds))
        if tense not in (None, "present") or self.orders is not None:
            verbs = [verb for verb in verbs if verb.past]
        verbs = self.unsaid(verbs)
        if subject is None:
            return self.pick(verbs)
        if not subject.nouns:
            return self.pick([verb for verb in verbs if verb.subjects & subject.kinds])
        verb = self.partner("subject", subject.nouns[0], among=verbs)
        for noun in subject.nouns[1:]:
            self.combine("subject", noun, verb)
        return verb

    def _tense(self, verb, room):
        if not verb.past:
            return "present"
        tenses = {"present": 0.35, "past": 0.35}
        if room >= 3:
            tenses |= {"future": 0.15, "want": 0.1, "must": 0.08 * bool(verb.subjects & PERSON)}
        return self.weighted(tenses)

    def _negation(self, tense):
        return self.weighted({None: 0.8, "not": 0.14, "never": 0.06 * (tense != "must")})

    def _shares(self, room, parts):
        """`room` divided into a number of parts; often one part gets most of it."""
        shares = [0] * parts
        favourite = self.number(parts) if self.chance(0.5) else None
        for _ in range(max(0, room)):
            shares[self.number(parts) if favourite is None or self.chance(0.3) else favourite] += 1
        return shares

    def _subject(self, verb, room, definite=False):
        if verb.subjects & PERSON and self.chance(0.6 if room <= 1 else 0.15):
            return self.subject_pronoun(self.pronouns)
        noun = self.partner("subject", verb)
        if room < 3 or not noun.kinds & PERSON or self.chance(0.6):
            return self.noun_phrase(noun, room, definite=definite)
        other = self.partner("subject", verb)
        if not other.kinds & PERSON:
            raise DeadEnd
        one = self.noun_phrase(noun, self.number(room - 1), definite=definite, relative=False)
        return self.both(one, self.noun_phrase(other, room - len(one.english) - 1, definite=definite))

    def _object(self, verb, subject, room, negated):
        agreeing = self.tense != "past" or verb.english in AGREEING
        if "person" in verb.objects and agreeing and room <= 1 and self.chance(0.35):
            choice = ["him", "her"] + ["them"] * (self.pronouns is PRONOUNS)
            choice += ["me", "us"] * (subject.person in (1, 3))
            return self.object_pronoun(choice)
        room = min(room, 2) if verb in self.lexicon.giving else room
        definite = verb.english in _DEFINITE
        return self.noun_phrase(self.partner("object", verb), room, definite=definite, negated=negated)

    def _place(self, use, room):
        """ "in the garden", "in front of the old church"."""
        preposition = self.pick([entry for entry in self.lexicon.prepositions if use in entry.use])
        noun = self.pick([noun for noun in self.lexicon.nouns if noun.kinds & preposition.kinds])
        several = 0.0 if preposition.french in ("à", "de") else 0.15
        phrase = self.noun_phrase(noun, room, plural=several, definite=True)
        english, french = self.expression(preposition)
        return english + phrase.english, french + phrase.french

    def relative_clause(self, phrase, room):
        """ "who sells the bread", "that the boy found"; none inside another."""
        if self.inside_relative:
            raise DeadEnd
        around = self.tense
        self.inside_relative = True
        tense = self.weighted({"present": 0.25 if around == "past" else 0.65, "past": 0.6})
        (noun,) = phrase.nouns
        if noun.kinds & {"person", "animal"} and self.chance(0.7):
            words = self.word("who" if "person" in noun.kinds else "that", "qui")
            clause = self.action(room - 1, tense, phrase.silent(), timed=False)
        else:
            words = self.word("that", "que")
            verb = self.partner("object", noun, among=self.lexicon.transitive)
            tense = tense if verb.english in AGREEING else "present"
            clause = self.verb_group(verb, self._subject(verb, min(1, room - 3)), tense, ahead=phrase)
        self.inside_relative = False
        self.tense = around
        english, french = clause.statement()
        return words[0] + english, words[1] + french

    # Something is so

    def _is_so(self, room, subject, tense, negation, asked):
        suited = [one for one in self.unsaid(self.lexicon.adjectives) if self._can_be_told(one, tense)]
        if subject is None:
            adjective = self.pick(suited)
            noun = self.partner("adjective", adjective)
            subject = self.noun_phrase(noun, max(0, room - 4), definite=True, adjectives=False)
        elif subject.nouns:
            adjective = self.partner("adjective", subject.nouns[0], among=suited)
            for noun in subject.nouns[1:]:
                self.combine("adjective", noun, adjective)
        else:
            adjective = self.pick([one for one in suited if one.order == "state" and one.nouns & subject.kinds])
        self.say(adjective)
        feeling = adjective.english in _FEELINGS
        often = feeling and tense == "present" and negation is None and self.chance(0.2)
        clause = self.verb_group(BE, subject, tense, negation, self.pick(list(OFTEN)) if often else None, asked)
        return clause.add(self.word(adjective.english, adjective.form(subject.feminine, subject.plural)))

    def _can_be_told(self, adjective, tense):
        """Whether "it is ..." makes sense here."""
        if adjective.english == "new":  # after "est" it is "neuf", not "nouveau"
            return False
        if adjective.english in _FEELINGS:
            return True
        return tense != "future" and (self.orders is None or adjective.order in self.orders)

    def _has(self, room, subject, tense, negation, asked):
        """ "he is hungry", "il a faim"."""
        state = self.pick([one for one in self.lexicon.having if subject is None or one.kinds & subject.kinds])
        if subject is None and room <= 4 and self.chance(0.6):
            subject = self.subject_pronoun(self.pronouns)
        if subject is None:
            nouns = [noun for noun in self.lexicon.nouns if noun.kinds & state.kinds]
            subject = self.noun_phrase(self.pick(nouns), max(0, room - 4), definite=negation is not None)
        clause = self.verb_group(HAVE, subject, tense, negation, asked=asked)
        return clause.add(self.word(state.english, state.french))

    # Something is somewhere

    def _is_there(self, room, subject, tense, negation, asked):
        located, place = self._located(room - 6, definite=True)
        return self.verb_group(BE, located, tense, negation, asked=asked).add(place)

    def _there_is(self, room, subject, tense, negation, asked):
        """ "there are two cats under the table", "il y a deux chats sous la table"."""
        located, place = self._located(room - 7, indefinite=True, negated=negation is not None)
        english, french = self.word("there", "il y")
        there = Nominal(english, french[:1], person=located.person)
        clause = self.verb_group(HAVE, there, tense, negation, asked=asked, there=french[1:])
        return clause.add((located.english, located.french)).add(place)

    def _located(self, room, **kind):
        use = self.pick(list(_LOCATED))
        nouns = [noun for noun in self.lexicon.nouns if noun.kinds & _LOCATED[use] and "single" not in noun.kinds]
        rooms = self._shares(room, 2)
        located = self.noun_phrase(self.pick(nouns), min(2, rooms[0]), **kind)
        return located, self._place(use, sum(rooms) - min(2, rooms[0]))

    def where_is(self, room):
        """ "is the book", "est le livre": without "est-ce que"."""
        nouns = [noun for noun in self.lexicon.nouns if noun.kinds & _LOCATED["where"]]
        subject = self.noun_phrase(self.pick(nouns), room - 3, definite=True)
        clause = self.verb_group(BE, subject, self.pick(["present", "past"]), asked=True)
        return clause.opening + subject.english, clause.french + subject.french

    def weather(self, tense):
        return self.verb_group(self.pick(self.lexicon.weather), Nominal(*self.word("it", "il")), tense)
