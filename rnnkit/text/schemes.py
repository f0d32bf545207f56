"""The schemes of tags, and how files spell them.

A tag has a role and a type. The roles are those of BIOES: B begins an entity, I is inside, E ends it, S is an entity of
one token, O is outside. A scheme says which roles it has, with which letters, and which may follow which.
"""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

_LETTERS = {  # the letters of the roles
    "IOB1": {"B": "B", "I": "I"},
    "BIO": {"B": "B", "I": "I"},
    "BIOES": {"B": "B", "I": "I", "E": "E", "S": "S"},
    "IOE1": {"I": "I", "E": "E"},
    "IOE2": {"I": "I", "E": "E"},
    "IO": {"I": "I"},
    "BILOU": {"B": "B", "I": "I", "E": "L", "S": "U"},
    "BMES": {"B": "B", "I": "M", "E": "E", "S": "S"},
    "BMEWO": {"B": "B", "I": "M", "E": "E", "S": "W"},
}
_ALIASES = {"IOB2": "BIO", "IOE": "IOE2", "IOBES": "BIOES", "BIOUL": "BILOU", "BIOLU": "BILOU", "BMESO": "BMES"}
_STYLES = ("type first", "underscore", "types only", "lower case", "any case")
_ROLES = {letter: role for letters in _LETTERS.values() for role, letter in letters.items()}  # no letter has two
SPECIAL = ("[PAD]", "[CLS]", "[SEP]", "[UNK]", "[MASK]", "<pad>", "<PAD>", "<s>", "</s>", "X", "<start>", "<end>")


class Tag(NamedTuple):
    """What a tag says.

    Attributes:
        role: `"O"`, `"B"`, `"I"`, `"E"` or `"S"`.
        type: the type of the entity; the empty string for O, and for tags without types.
    """

    role: str
    type: str

    def goes_on_after(self, before: "Tag") -> bool:
        """Returns whether the tag continues the entity of the tag before it, whatever the scheme: conlleval's rule."""
        return before.role in "BI" and self.role in "IE" and before.type == self.type


class Scheme:
    """A scheme of tags and their spelling: see `rnnkit.text.find_scheme` for the names. Make it with `scheme_of`.

    Attributes:
        name: one of the schemes, or `None`, which reads the letters of all of them.
        roles: the roles of the scheme, O first.
    """

    def __init__(self, name: str | None, styles: frozenset[str] = frozenset()):
        self.name, self.styles = name, styles
        self.letters = {"O": "O", **(_LETTERS[name] if name else dict(zip("BIES", "BIES", strict=True)))}
        self.roles = "".join(self.letters)
        self.separator = "_" if "underscore" in styles else "-"
        known = {letter: role for role, letter in self.letters.items()} if name else {"O": "O", **_ROLES}
        if "lower case" in styles:
            known = {letter.lower(): role for letter, role in known.items()}
        if "any case" in styles:
            known |= {letter.lower(): role for letter, role in known.items()}
        self._role_of = known

    def __str__(self) -> str:
        return ", ".join([self.name or "any", *(style for style in _STYLES if style in self.styles)])

    def read(self, tag: str) -> Tag | None:
        """Returns the role and the type of a tag; `None` if it isn't one of the scheme."""
        if not isinstance(tag, str) or not tag:
            return None
        if self._role_of.get(tag) == "O":
            return Tag("O", "")
        if "types only" in self.styles:
            return Tag("I", tag)
        if "type first" in self.styles:
            type, separator, letter = tag.rpartition(self.separator)
        else:
            letter, separator, type = tag.partition(self.separator)
        role = self._role_of.get(letter)
        return None if role in (None, "O") or bool(separator) != bool(type) else Tag(role, type)

    def spell(self, role: str, type: str = "") -> str:
        """Returns the tag with a role, one of the scheme's, and a type."""
        letter = self.letters[role]
        if "lower case" in self.styles:
            letter = letter.lower()
        if role == "O" or not type:
            return letter
        if "types only" in self.styles:
            return type
        parts = [type, letter] if "type first" in self.styles else [letter, type]
        return self.separator.join(parts)

    def allows(self, before: Tag, after: Tag) -> bool:
        """Returns whether a tag may follow another one. The start and the end of a sentence count as O."""
        same = before.type == after.type
        if self.name == "BIO":
            return after.role != "I" or after.goes_on_after(before)
        if self.name == "IOB1":
            return after.role != "B" or before.role in "BI" and same
        if self.name == "IOE2":  # an entity goes on until its E
            return before.role != "I" or after.goes_on_after(before)
        if self.name == "IOE1":  # an E is there only if the next entity touches it and has its type
            return before.role != "E" or after.role in "IE" and same
        if self.name in (None, "IO"):
            return True
        return after.goes_on_after(before) if before.role in "BI" else after.role in "OBS"

    def reads(self, before: Tag, tag: Tag) -> bool:
        """Returns whether strict reading sees a tag at all: of IOB1 it leaves out a B that nothing explains."""
        return self.name != "IOB1" or tag.role != "B" or self.allows(before, tag)

    def begins(self, tag: Tag) -> bool:
        """Returns whether strict reading lets an entity begin at a tag that doesn't continue one."""
        return tag.role in "BS" or self.name in (None, "IO", "IOB1", "IOE1", "IOE2")

    def ends(self, tag: Tag, after: Tag) -> bool:
        """Returns whether strict reading lets an entity end at a tag that the next one doesn't continue."""
        if self.name == "IOB1":  # of two B of different types, seqeval takes neither
            return not (tag.role == after.role == "B" and tag.type != after.type)
        if self.name == "IOE1":
            return self.allows(tag, after)
        return tag.role in "ES" or self.name in (None, "IO", "BIO")

    def roles_of(self, size: int, after_same: bool, before_same: bool) -> str:
        """Returns the roles of an entity of some tokens, which may touch one of its own type before or after it."""
        if self.name in ("IO", "IOB1", "IOE1"):
            roles = "I" * size
            if self.name == "IOB1" and after_same:
                return "B" + roles[1:]
            return roles[1:] + "E" if self.name == "IOE1" and before_same else roles
        if self.name == "IOE2":
            return "I" * (size - 1) + "E"
        if self.name == "BIO":
            return "B" + "I" * (size - 1)
        return "S" if size == 1 else "B" + "I" * (size - 2) + "E"


@lru_cache(maxsize=256)
def scheme_of(scheme: str | None) -> Scheme:
    """Returns the scheme with a name such as `"BIO"` or `"BILOU, type first"`.

    >>> scheme_of("BMES, type first").read("PER-M")
    Tag(role='I', type='PER')
    """
    if scheme is None:
        return Scheme(None)
    name, *styles = [part.strip() for part in scheme.split(",")] if isinstance(scheme, str) else [None]
    name = _ALIASES.get(name, name)
    if name not in _LETTERS or not set(styles) <= set(_STYLES) or "types only" in styles and name != "IO":
        raise ValueError(
            f"Expected one of the schemes {', '.join(_LETTERS)}, with or without {', '.join(_STYLES)} after a comma "
            f"(types only: after IO), received {scheme!r}."
        )
    return Scheme(name, frozenset(styles))


def guess_scheme(tags: Iterable[str]) -> Scheme | None:
    """Returns the scheme that tags look like, by their letters alone; `None` if they look like none."""
    tags = list(dict.fromkeys(tags))
    for separator in ([], ["underscore"]):
        for order in ([], ["type first"]):
            for case in ([], ["lower case"], ["any case"]):
                styles = frozenset([*separator, *order, *case])
                if all(Scheme(None, styles).read(tag) for tag in tags):
                    return _by_letters(tags, styles)
    if {"O", "o"} & set(tags) and all(map(_like_a_type, tags)):
        return Scheme("IO", frozenset(["types only", *([] if "O" in tags else ["lower case"])]))
    return None


def not_a_tag(tag: object, scheme: Scheme, where: str = "") -> ValueError:
    """Returns the error for a tag that isn't one of a scheme. It says what the tag looks like."""
    example = ["O", *(scheme.spell(role, "PER") for role in scheme.roles[1:3])]
    if "types only" in scheme.styles:
        example = [scheme.spell("O"), "PER"]
    example[0] = scheme.spell("O")
    alike = guess_scheme([tag, scheme.spell("O")]) if isinstance(tag, str) else None
    advice = ""
    if tag in SPECIAL:
        advice = f" If it is no tag, but a special label, pass ignore=[{tag!r}]."
    elif alike is not None and str(alike) != str(scheme):
        advice = f" It looks like a tag of the scheme {str(alike)!r}."
    elif isinstance(tag, str) and tag and (alike := guess_scheme([tag, "O"])) is not None:
        advice = f" It looks like a tag of the scheme {str(alike)!r}."
    listed = f"{', '.join(map(repr, example[:-1]))} or {example[-1]!r}"
    return ValueError(f"{where}expected a tag such as {listed}, received {tag!r}.{advice}")


def _like_a_type(tag):
    """Whether a tag may be the name of a type: words, such as "creative-work", but not "A-LOC", "B:LOC" or "LOC/B"."""
    if not isinstance(tag, str) or tag in SPECIAL or not tag[:1].isalpha():
        return False
    first, *rest = re.split(r"[^\w ]|_", tag)
    return (not rest or len(first) > 1 and len(rest[-1]) > 1) and not re.match(r"[BIESLUMW] ", tag)


def _by_letters(tags, styles):
    """The scheme with the letters of some tags in a spelling; BIO and IOE2 where letters leave a choice."""
    used = set()
    for tag in tags:
        if Scheme(None, styles).read(tag).role != "O":
            letter = tag.rpartition("_" if "underscore" in styles else "-")[2] if "type first" in styles else tag[0]
            used.add(letter.upper())
    if not used:
        return Scheme("BIO", styles)
    for name in ("BIO", "IOE2", "BIOES", "BILOU", "BMES", "BMEWO"):
        if used == {"I"}:
            return Scheme("IO", styles)
        if used <= set(_LETTERS[name].values()):
            return Scheme(name, styles)
    return None
