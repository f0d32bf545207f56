"""Hebrew and Arabic words for Matplotlib before 3.11, which draws letters from left to right and does not join them."""

import unicodedata

import matplotlib

_FORMS = ("isolated", "final", "initial", "medial")
_MIRRORED = str.maketrans("()[]{}<>«»", ")(][}{><»«")


def readable(word: str) -> str:
    """Returns a word in the form in which Matplotlib draws it correctly.

    From Matplotlib 3.11 on, this is the word itself. For older versions, the letters of a word that is written from
    right to left are reversed, numbers and Latin letters in it stay as they are, and Arabic letters take the shape that
    joins them to their neighbors.

    Args:
        word: a string, one word.

    Returns:
        A string to draw.
    """
    return word if matplotlib.__version_info__ >= (3, 11) else in_drawing_order(word)


def in_drawing_order(word: str) -> str:
    """Returns a word with its letters in the order and the shapes in which they are drawn from left to right."""
    if not any(unicodedata.bidirectional(character) in ("R", "AL") for character in word):
        return word
    runs = []  # from the left of the picture to its right
    for letter in _joined(_letters(word)):
        straight = unicodedata.bidirectional(letter[0]) in ("L", "EN", "AN")
        if straight and runs and runs[0][0]:
            runs[0] = (True, runs[0][1] + letter)
        else:
            runs.insert(0, (straight, letter if straight else letter[::-1].translate(_MIRRORED)))  # marks come first
    return "".join(letters for _, letters in runs)


def _letters(word):
    """The letters, each with its marks; the letters lam and alef become one."""
    letters = []
    for character in word:
        letter, marks = letters[-1] if letters else ("", "")
        if letters and unicodedata.combining(character):
            letters[-1] = letter, marks + character
        elif letters and not marks and (letter + character, "isolated") in _SHAPES:
            letters[-1] = letter + character, ""
        else:
            letters.append((character, ""))
    return letters


def _joined(letters):
    """Each Arabic letter, with its marks, in the shape that its neighbors require."""
    joined, before = [], False  # whether the letter before joins this one
    for (letter, marks), (following, _) in zip(letters, [*letters[1:], ("", "")], strict=True):
        from_before = before and (letter, "final") in _SHAPES
        before = (letter, "initial") in _SHAPES and (following, "final") in _SHAPES
        form = _FORMS[from_before + 2 * before]
        joined.append(_SHAPES.get((letter, form), letter) + marks)
    return joined


def _shapes():
    """The shapes of Arabic letters as Unicode lists them: from (letter, form) to the character of the shape."""
    shapes = {}
    for code in (*range(0xFB50, 0xFBEA), *range(0xFBFC, 0xFC00), *range(0xFE80, 0xFEFD)):
        form, *letters = unicodedata.decomposition(chr(code)).split() or [""]
        shapes["".join(chr(int(letter, 16)) for letter in letters), form.strip("<>")] = chr(code)
    return shapes | {("\u0640", form): "\u0640" for form in _FORMS}  # the stroke that lengthens a word


_SHAPES = _shapes()
