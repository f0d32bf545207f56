"""What attention looks at: the words of two sentences against each other."""

from collections.abc import Iterable

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from rnnkit.annotations import Tensor, Tokens
from rnnkit.plotting.fonts import families_for
from rnnkit.plotting.heat_map import heat_map
from rnnkit.plotting.right_to_left import readable
from rnnkit.plotting.style import ORANGE


def plot_alignment(
    weights: Tensor,
    source: Tokens,
    target: Tokens,
    links: Iterable[tuple[int, int]] | None = None,
    axes: Axes | None = None,
    label: str | None = "attention weight",
) -> Axes:
    """Draws attention weights between the words of a sentence and those of its translation.

    The source sentence runs along the top and the target sentence down the left side, as in Bahdanau's paper: a row
    shows what the decoder looked at for one target word. Words may be in any script, and Hebrew and Arabic ones are
    drawn from right to left; the order of the words is that of the weights, from left to right. If Matplotlib's font
    lacks a script, an installed font that has it is used.

    Args:
        weights: array `(target_time, source_time)`, the weights of one sentence pair, from 0 to 1.
        source: list of the `source_time` source words, or a string, whose words are its characters.
        target: list of the `target_time` target words, or a string.
        links: pairs `(source, target)` of positions that belong together, outlined as squares. Defaults to `None`, no
            links.
        axes: where to draw. Defaults to the current axes.
        label: label of the color bar; `None` draws no bar. Defaults to `"attention weight"`.

    Returns:
        The Matplotlib axes.

    Raises:
        ValueError: the weights are not of shape `(len(target), len(source))` or not from 0 to 1, a link is outside, or
            no installed font has a character.

    Example:

    >>> axes = plt.figure().gca()
    >>> weights = [[0.9, 0.1, 0.0], [0.0, 0.2, 0.8], [0.1, 0.9, 0.0]]
    >>> links = {(0, 0), (2, 1), (1, 2)}
    >>> _ = plot_alignment(weights, ["the", "white", "cat"], ["le", "chat", "blanc"], links, axes)
    >>> [tick.get_text() for tick in axes.get_yticklabels()]
    ['le', 'chat', 'blanc']

    References:
        Bahdanau, Cho and Bengio, "Neural machine translation by jointly learning to align and translate", 2015, figure
        3.
    """
    weights, source, target = np.asarray(weights, "float64"), list(source), list(target)
    if weights.shape != (len(target), len(source)) or not weights.size:
        raise ValueError(
            f"plot_alignment expected weights of one sentence pair, (target_time, source_time) = "
            f"{(len(target), len(source))} as there are words, received shape {weights.shape}."
        )
    if not ((weights >= 0) & (weights <= 1.01)).all():  # in half precision, 1 may be a little more
        raise ValueError(
            f"plot_alignment expected weights from 0 to 1, received {np.min(weights)} to {np.max(weights)}."
        )
    columns, rows = [readable(word) for word in source], [readable(word) for word in target]
    families = families_for(columns + rows)
    axes = heat_map(weights, rows, columns, axes or plt.gca(), label, limits=(0, 1))
    axes.tick_params(length=0, top=False, bottom=False, labeltop=True, labelbottom=False)
    axes.set_xlabel("source")
    axes.xaxis.set_label_position("top")
    axes.set_ylabel("target")
    if max(map(len, source)) > 2:  # longer words would overlap
        axes.set_xticks(range(len(columns)), columns, rotation=45, ha="left", rotation_mode="anchor")
    for word in [*axes.get_xticklabels(), *axes.get_yticklabels()]:
        word.set_fontfamily(families)
        word.set_parse_math(False)  # "$" is a word
    for i, j in sorted(links or ()):
        if not (0 <= i < len(source) and 0 <= j < len(target)):
            raise ValueError(
                f"plot_alignment expected links (source, target) of positions below {(len(source), len(target))}, "
                f"received {(i, j)}."
            )
        axes.add_patch(Rectangle((i - 0.45, j - 0.45), 0.9, 0.9, fill=False, edgecolor=ORANGE, linewidth=2))
    return axes
