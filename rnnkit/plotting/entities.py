"""Sentences with their entities in color."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from rnnkit.annotations import Tokens
from rnnkit.plotting.style import BLUE, GREEN, ORANGE, PURPLE
from rnnkit.text.tags import tags_to_spans

ENTITY_COLORS = {"PER": BLUE, "ORG": PURPLE, "LOC": GREEN, "MISC": ORANGE}
_WORDS, _TYPES = 9.5, 7.5  # sizes of the letters, in points
_LETTER = 0.602 * _WORDS / 72  # width of a letter of DejaVu Sans Mono, in inches
_LINE = 0.64  # height of a line with a type above and a type below, in inches


def draw_entities(
    sentences: Sequence[Tokens], tags: Sequence[Tokens], true: Sequence[Tokens] | None = None, columns: int = 96
) -> Axes:
    """Draws sentences in a new figure: each entity in a colored box, with its type below it.

    If the true tags are given as well, a thick line above the words marks each true entity, with its type if the
    prediction does not have the same entity. A box without a line is a false alarm; a line without a box is an entity
    that was missed.

    Args:
        sentences: list of sentences, each a list of words.
        tags: for each sentence, the list of its tags, one per word (IOB1, BIO or BIOES).
        true: the true tags, in the same form. Defaults to `None`, no lines.
        columns: number of characters on a line of the picture. Defaults to `96`.

    Returns:
        The Matplotlib axes.

    Raises:
        ValueError: there is no sentence, or a sentence does not have one tag per word.

    Example:

    >>> axes = draw_entities([["Ana", "Ruiz", "left", "Lima"]], [["B-PER", "I-PER", "O", "B-LOC"]])
    >>> [text.get_text() for text in axes.texts]
    ['Ana', 'Ruiz', 'left', 'Lima', 'PER', 'LOC']
    """
    true = tags if true is None else true
    sizes = [list(map(len, rows)) for rows in (sentences, tags, true)]
    if not sentences or not sizes[0] == sizes[1] == sizes[2]:
        raise ValueError(
            f"draw_entities expected sentences with one tag per word, received {sizes[0]} words and {sizes[1]} tags"
            + (f", true: {sizes[2]}." if true is not tags else ".")
        )
    places, lines = _places(sentences, columns)
    axes = plt.figure(figsize=(columns * _LETTER, _LINE * lines), layout="none").add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, columns), ylim=(lines - 0.45, -0.55))
    axes.axis("off")
    for words, place in zip(sentences, places, strict=True):
        for word, (x, y) in zip(words, place, strict=True):
            axes.text(x, y, word, va="center", family="DejaVu Sans Mono", fontsize=_WORDS)
    for words, row, right, place in zip(sentences, tags, true, places, strict=True):
        found, expected = tags_to_spans(row), tags_to_spans(right)
        for type, begin, end in found:
            _draw(axes, words, place, begin, end, type, boxed=True)
        for type, begin, end in expected if true is not tags else []:
            _draw(axes, words, place, begin, end, type, boxed=False, named=(type, begin, end) not in found)
    return axes


def _places(sentences, columns):
    """The column and the line where each word begins, for each sentence; and the number of lines."""
    places, y = [], 0
    for words in sentences:
        place, x = [], 1
        for word in words:
            if x > 1 and x + len(word) > columns - 1:
                x, y = 3, y + 1  # the rest of a sentence is indented
            place.append((x, y))
            x += len(word) + 1
        places.append(place)
        y += 1
    return places, y


def _draw(axes, words, place, begin, end, type, boxed, named=True):
    """Draws one entity, in one piece for each line that it is on."""
    color = ENTITY_COLORS.get(type, "black")
    for line in dict.fromkeys(y for _, y in place[begin:end]):
        inside = [k for k in range(begin, end) if place[k][1] == line]
        left, right = place[inside[0]][0] - 0.2, place[inside[-1]][0] + len(words[inside[-1]]) + 0.2
        if boxed:
            box = plt.Rectangle((left, line - 0.2), right - left, 0.4, fc=color, alpha=0.22, ec="none")
            axes.add_patch(box)
            axes.add_patch(plt.Rectangle((left, line - 0.2), right - left, 0.4, fc="none", ec=color))
        else:
            axes.plot([left, right], [line - 0.24] * 2, color=color, linewidth=2.5, solid_capstyle="butt")
        if named:
            y, side = (line + 0.23, "top") if boxed else (line - 0.27, "bottom")
            axes.text((left + right) / 2, y, type, ha="center", va=side, fontsize=_TYPES, color=color)
