"""The words of `rnnkit.datasets.translation_pairs`, read from data/english_french.txt."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from rnnkit.datasets.data_file import data_file

VOWELS = tuple("aeiouhâàéèêîôûœ")  # an h is silent in every word of the lexicon


@dataclass(frozen=True, eq=False)
class Noun:
    english: str
    plural: str | None  # None: cannot be counted
    french: str
    french_plural: str | None
    feminine: bool
    kinds: frozenset  # what it is, and its own English name


@dataclass(frozen=True, eq=False)
class Adjective:
    english: str
    masculine: str
    feminine: str
    plural: str  # masculine; the feminine takes s
    before_vowel: str  # masculine singular
    precedes: bool
    order: str  # "opinion", "size", "state", "age", "colour": the order of English adjectives
    nouns: frozenset

    def form(self, feminine, plural, following=""):
        """The French form that agrees with a noun; `following` is the next word."""
        if feminine:
            return self.feminine + "s" * plural
        if plural:
            return self.plural
        return self.before_vowel if following.startswith(VOWELS) else self.masculine


@dataclass(frozen=True, eq=False)
class Verb:
    english: str
    third: str
    past: str | None  # None: a state, which is used in the present only
    infinitive: str
    present: tuple  # je, il, nous, ils
    participle: str
    with_be: bool = False  # the past is formed with "être"
    reflexive: bool = False
    imperfect: tuple | None = None  # instead of the participle, where the past is a state
    subjects: frozenset = frozenset()
    objects: frozenset = frozenset()
    places: frozenset = frozenset()


@dataclass(frozen=True, eq=False)
class Expression:
    """Words that are translated as a whole."""

    english: str
    french: str
    links: tuple  # pairs (English index, French index)
    kinds: frozenset = frozenset()  # of the nouns after a preposition
    use: frozenset = frozenset()  # kinds of place, or tenses


@dataclass(frozen=True, eq=False)
class Lexicon:
    nouns: list
    adjectives: list
    transitive: list
    giving: list
    intransitive: list
    weather: list
    having: list
    prepositions: list
    times: list


@cache
def lexicon() -> Lexicon:
    """The `Lexicon` that rnnkit ships."""
    text = data_file("english_french.txt").read_text(encoding="utf-8")
    return read_lexicon(text)


def read_lexicon(text: str) -> Lexicon:
    """Reads a `Lexicon` from a text in the format of english_french.txt; a `ValueError` if it is malformed."""
    readers: dict[str, Any] = {  # in the order of the fields of `Lexicon`
        "nouns": _noun,
        "adjectives": _adjective,
        "verbs with an object": _transitive,
        "verbs with an object and a receiver": _transitive,
        "verbs without an object": _intransitive,
        "weather": _weather,
        "states that French has": _having,
        "prepositions": _expression,
        "times": _expression,
    }
    entries = {section: [] for section in readers}
    section = None
    for number, line in enumerate(text.splitlines(), start=1):
        line = line.strip()
        if line.startswith("["):
            section = line.strip("[]")
            if section not in readers:
                raise ValueError(
                    f"Line {number}: expected one of the sections {', '.join(readers)}, received {section!r}."
                )
        elif line and not line.startswith("#"):
            if section is None:
                raise ValueError(
                    f"Line {number}: expected a section, such as [nouns], before the first word, received {line!r}."
                )
            try:
                entries[section].append(readers[section](*[field.strip() for field in line.split("|")]))
            except (KeyError, TypeError, ValueError, IndexError) as error:
                raise ValueError(
                    f"Line {number}: expected the fields that the comment below [{section}] names, received {line!r}. "
                    "Compare it with the lines around it."
                ) from error
    lexicon = Lexicon(*entries.values())
    _check_kinds(lexicon)
    return lexicon


def _forms(field):
    return [form.strip() for form in field.split(",")]


def _plural(word):
    return word if word.endswith(("s", "x", "z")) else word + "s"


def _noun(english, french, gender, kinds):
    singular, *plural = _forms(english)
    french, *french_plural = _forms(french)
    counted = plural != ["-"]
    return Noun(
        english=singular,
        plural=(plural or [singular + "s"])[0] if counted else None,
        french=french,
        french_plural=(french_plural or [_plural(french)])[0] if counted else None,
        feminine={"m": False, "f": True}[gender],
        kinds=frozenset([singular, *kinds.split()]),
    )


def _adjective(english, french, place, order, nouns):
    masculine, *others = _forms(french)
    feminine, plural, before_vowel = [*others, None, None, None][:3]
    return Adjective(
        english=english,
        masculine=masculine,
        feminine=feminine or masculine.removesuffix("e") + "e",
        plural=plural or _plural(masculine),
        before_vowel=before_vowel or masculine,
        precedes={"before": True, "after": False}[place],
        order=_one_of(order, ("opinion", "size", "state", "age", "colour")),
        nouns=frozenset(nouns.split()),
    )


def _verb(english, french, **fields):
    base, third, past = _forms(english)
    infinitive, *forms = _forms(french)
    with_be = infinitive.endswith(" (être)")
    infinitive = infinitive.removesuffix(" (être)")
    reflexive = infinitive.startswith(("se ", "s'"))
    infinitive = infinitive.removeprefix("se ").removeprefix("s'")
    if not forms:
        stem = infinitive.removesuffix("er")
        forms = [stem + "e", stem + "e", stem + ("eons" if stem.endswith("g") else "ons"), stem + "ent", stem + "é"]
    *present, participle = forms
    if len(present) != 4:
        raise ValueError("four forms of the present")
    return Verb(
        english=base,
        third=third,
        past=None if past == "-" else past,
        infinitive=infinitive,
        present=tuple(present),
        participle=participle,
        with_be=with_be or reflexive,
        reflexive=reflexive,
        **fields,
    )


def _transitive(english, french, subjects, objects, places=""):
    return _verb(english, french, subjects=_kinds(subjects), objects=_kinds(objects), places=_kinds(places))


def _intransitive(english, french, subjects, places):
    return _verb(english, french, subjects=_kinds(subjects), places=_kinds(places))


def _weather(english, french):
    infinitive, il, participle = _forms(french)
    return _verb(english, f"{infinitive}, -, {il}, -, -, {participle}")


def _having(english, french, subjects):
    return Expression(english, french, ((0, 0),), kinds=_kinds(subjects))


def _expression(english, french, *fields):
    """A preposition (with the nouns that can follow it) or a time."""
    links = ""
    if fields and fields[-1][:1].isdigit():
        *fields, links = fields
    pairs = [tuple(map(int, pair.split("-"))) for pair in links.split()]
    pairs = pairs or [(i, j) for i, _ in enumerate(english.split()) for j, _ in enumerate(french.split())]
    *kinds, use = fields
    return Expression(english, french, tuple(pairs), kinds=_kinds(" ".join(kinds)), use=_kinds(use))


def _kinds(field):
    return frozenset(field.split()) - {"-"}


def _check_kinds(lexicon):
    """Refuses a word that goes with a kind of noun of which there is no noun."""
    known = frozenset().union(*(noun.kinds for noun in lexicon.nouns))
    asked = [(adjective, adjective.nouns) for adjective in lexicon.adjectives]
    asked += [(verb, verb.subjects | verb.objects) for verb in lexicon.transitive + lexicon.giving]
    asked += [(verb, verb.subjects) for verb in lexicon.intransitive]
    asked += [(entry, entry.kinds) for entry in lexicon.prepositions + lexicon.having]
    for entry, kinds in asked:
        if not kinds <= known:
            raise ValueError(
                f"{entry.english!r} goes with {', '.join(sorted(kinds - known))}, but there is no noun of that kind. "
                f"The kinds of nouns are: {', '.join(sorted(known))}."
            )


def _one_of(word, words):
    if word not in words:
        raise ValueError(word)
    return word
