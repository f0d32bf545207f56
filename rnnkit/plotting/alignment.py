"""What attention looks at: words of two sentences against each other."""

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.patches import Rectangle

from rnnkit.plotting.fonts import families_for
from rnnkit.plotting.heat_map import heat_map
from rnnkit.plotting.right_to_left import readable
from rnnkit.plotting.style import ORANGE


def plot_alignment(weights, source, target, links=None, axes=None, label="attention weight"):
    """Draws attention weights between the words of a sentence and those of its translation.

    The source sentence stands on top, the target sentence down the left side, as in Bahdanau's paper: a row shows what
    the decoder looked at for one target word. Words of any script are drawn, Hebrew and Arabic ones from right to left;
    the order of the words is that of the weights, from left to right. A script that Matplotlib's font lacks is drawn
    with an installed font that has it.

    Args:
        weights: array `(target_time, source_time)`, the weights of one sentence pair, from 0 to 1.
        source: list of the `source_time` source words, or a string, whose words are its characters.
        target: list of the `target_time` target words, or a string.
        links: pairs `(source, target)` of positions that belong together, outlined as squares; none if left out.
        axes: where to draw; the current axes if left out.
        label: name of the weights, beside the colour bar; no bar if None.

    Returns:
        The Matplotlib axes.

    Raises:
        ValueError: the weights have another shape than `(len(target), len(source))` or are not from 0 to 1, a link lies
            outside, or no installed font has a character.

    Example:

    >>> axes = plt.figure().gca()
    >>> weights = [[0.9, 0.1, 0.0], [0.0, 0.2, 0.8], [0.1, 0.9, 0.0]]
    >>> links = {(0, 0), (2, 1), (1, 2)}
    >>> _ = plot_alignment(weights, ["the", "white", "cat"], ["le", "chat", "blanc"], links, axes)
    >>> [tick.get_text() for tick in axes.get_yticklabels()]
    ['le', 'chat', 'blanc']

    References:
        Bahdanau, Cho and Bengio, "Neural machine translation by jointly learning to align and translate", 2015,
        figure 3.
    """
    weights, source, target = np.asarray(weights, "float64"), list(source), list(target)
    if weights.shape != (len(target), len(source)) or not weights.size:
        raise ValueError(
            f"plot_alignment expected weights of one sentence pair, (target_time, source_time) = "
            f"{(len(target), len(source))} as there are words, received shape {weights.shape}."
        )
    if not ((weights >= 0) & (weights <= 1.01)).all():  # 1 in half precision may be a little more
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
    if max(map(len, source)) > 2:  # longer words would run into each other
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
