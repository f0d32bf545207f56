"""Fonts for words in any script: Matplotlib's own font has no Chinese, no Hindi and no emoji."""

import unicodedata
from collections.abc import Sequence

from matplotlib import font_manager
from matplotlib.ft2font import FT2Font


def families_for(words: Sequence[str]) -> list[str]:
    """Finds font families that together have every character of the words.

    These are the ones that Matplotlib is set to (`rcParams["font.family"]`) and, for the characters that they lack, the
    installed one that has most of them, and so on.

    Args:
        words: list of strings.

    Returns:
        A list of names for `set_fontfamily`.

    Raises:
        ValueError: no installed font has one of the characters. The message names the script and says how to add a
            font.
    """
    families = list(font_manager.FontProperties().get_family())
    missing = {character for word in words for character in word if _is_drawn(character)}
    for family in families:
        missing -= _covered(font_manager.findfont(font_manager.FontProperties(family=[family])), missing)
    if missing:
        fonts = {font.name: font.fname for font in font_manager.fontManager.ttflist if "Last Resort" not in font.name}
        covered = {name: _covered(path, missing) for name, path in sorted(fonts.items())}
    while missing:
        best = max(covered, key=lambda name: len(covered[name] & missing), default=None)
        if best is None or not covered[best] & missing:
            raise ValueError(_advice(missing))
        families.append(best)
        missing -= covered[best]
    return families


def _is_drawn(character):
    """Whether a character needs a glyph: spaces, joiners and direction marks do not."""
    return unicodedata.category(character) not in ("Cc", "Cf", "Zs", "Zl", "Zp")


def _covered(path, characters):
    font = FT2Font(path)
    return {character for character in characters if font.get_char_index(ord(character))}


def _advice(missing):
    scripts = sorted({unicodedata.name(character, "UNKNOWN").split()[0] for character in missing})
    shown = " ".join(sorted(missing)[:10])
    return (
        f"Expected an installed font with these characters of the script {', '.join(scripts)}, found none: {shown}. "
        "Install one, such as the Noto font for this script, and restart Python; or add a font file: "
        "matplotlib.font_manager.fontManager.addfont(path)."
    )
