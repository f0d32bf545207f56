"""How a word changes next to others: "an", elision, contraction."""

from rnnkit.datasets.english_french.lexicon import VOWELS

_ELIDED = {"le", "la", "je", "me", "se", "ne", "de", "que"}
_CONTRACTED = {("de", "le"): "du", ("de", "les"): "des", ("à", "le"): "au", ("à", "les"): "aux"}


def spell_english(tokens):
    """ "a" is "an" before a vowel."""
    following = [text for text, _ in tokens[1:]] + [""]
    return [
        ("an" if text == "a" and after.startswith(tuple("aeiou")) else text, marks)
        for (text, marks), after in zip(tokens, following, strict=True)
    ]


def spell_french(tokens):
    """ "le" is "l'" before a vowel; otherwise "de le" is "du". A contracted word has the marks of both."""
    following = [text for text, _ in tokens[1:]] + [""]
    spelled = []
    for (text, marks), after in zip(tokens, following, strict=True):
        if text in _ELIDED and (after.startswith(VOWELS) or after == "y"):
            text = text[:-1] + "'"
        if spelled and (spelled[-1][0], text) in _CONTRACTED:
            before, marks_before = spelled.pop()
            text, marks = _CONTRACTED[before, text], marks_before + marks
        spelled.append((text, marks))
    return spelled
