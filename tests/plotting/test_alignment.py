"""rnnkit.plotting.plot_alignment: what is drawn where, in any script."""

import unicodedata

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font
from matplotlib.patches import Rectangle

from rnnkit import plotting
from rnnkit.plotting.fonts import families_for
from rnnkit.plotting.right_to_left import in_drawing_order, readable

CHINESE = ["你好", "世界"]
# As python-bidi 0.6 and arabic-reshaper 3.1 order and shape them.
HEBREW_AND_ARABIC = {
    "שלום": "םולש",
    "סֵפֶר": "רֶפֵס",
    "בשנת-2024": "2024-תנשב",
    "(טוב)": "(בוט)",
    "מה-ABC": "ABC-המ",
    "السلام": "\ufee1\ufefc\ufeb4\ufedf\ufe8d",
    "عليكم": "\ufee2\ufedc\ufef4\ufee0\ufecb",
    "لا": "\ufefb",
    "سؤال": "\ufedd\ufe8d\ufe86\ufeb3",
    "پنجره": "\ufee9\ufeae\ufea0\ufee8\ufb58",
    "چای": "\ufbfc\ufe8e\ufb7c",
    "کتاب": "\ufe8f\ufe8e\ufe98\ufb90",
    "كَتَبَ": "\u064e\ufe90\u064e\ufe98\u064e\ufedb",
    "مُحَمَّد": "\ufeaa\u0651\u064e\ufee4\u064e\ufea4\u064f\ufee3",
    "ـبـ": "\u0640\ufe92\u0640",
}


def test_source_on_top_target_on_the_left():
    weights = np.array([[0.7, 0.2, 0.1], [0.0, 0.1, 0.9]])
    axes = plotting.plot_alignment(weights, ["a", "b", "c"], ["x", "y"])
    axes.figure.canvas.draw()
    np.testing.assert_array_equal(axes.images[0].get_array(), weights)
    assert axes.images[0].get_clim() == (0, 1)
    assert (axes.get_xlabel(), axes.get_ylabel(), axes.xaxis.get_label_position()) == ("source", "target", "top")
    columns, rows = axes.get_xticklabels(), axes.get_yticklabels()
    assert [word.get_text() for word in columns] == ["a", "b", "c"] and [word.get_text() for word in rows] == ["x", "y"]
    frame = axes.get_window_extent()
    assert all(word.get_window_extent().y0 >= frame.y1 for word in columns)
    assert rows[0].get_window_extent().y0 > rows[1].get_window_extent().y1
    bar = axes.figure.axes[1]
    assert bar.get_ylabel() == "attention weight"


def test_links_are_outlined():
    axes = plotting.plot_alignment(np.zeros((2, 3)), "abc", "xy", links=[(2, 0), (1, 1)], label=None)
    squares = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    centers = {tuple(map(round, patch.get_center())) for patch in squares}
    assert centers == {(2, 0), (1, 1)} and not any(patch.get_fill() for patch in squares)
    assert len(axes.figure.axes) == 1


def test_long_words_do_not_cover_each_other():
    words = "the international organisation published an extraordinarily long report".split()
    axes = plotting.plot_alignment(np.zeros((2, 8)), words, "ab", axes=plt.subplots(figsize=(4, 3))[1])
    axes.figure.canvas.draw()
    labels = axes.get_xticklabels()
    assert {label.get_rotation() for label in labels} == {45.0}
    starts = [label.get_window_extent().x0 for label in labels]
    heights = [label.get_fontsize() * axes.figure.dpi / 72 for label in labels]
    assert np.diff(starts).min() / np.sqrt(2) > max(heights) * 0.9


@pytest.mark.parametrize(
    "words",
    ["הספר הזה יפה", "السلام عليكم ، كتاب", "αυτό το βιβλίο", "эта длинная книга", "$x$ $ _a^b", "ğ ł ø ß 'tis"],
)
def test_scripts_of_the_default_font_are_drawn_without_a_warning(words):
    words = words.split()
    axes = plotting.plot_alignment(np.eye(len(words)), words, words)
    axes.figure.canvas.draw()  # a missing glyph or invalid math would warn or raise here
    assert [label.get_text() for label in axes.get_yticklabels()] == [readable(word) for word in words]
    assert not any(label.get_parse_math() for label in [*axes.get_xticklabels(), *axes.get_yticklabels()])


@pytest.fixture
def own_fonts(monkeypatch):
    """As on a machine with only the fonts that Matplotlib ships."""
    fonts = [font for font in font_manager.fontManager.ttflist if "mpl-data" in font.fname]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", fonts)


@pytest.mark.parametrize(
    ("words", "script"), [(CHINESE, "CJK"), (["हिन्दी"], "DEVANAGARI"), (["한국어", "日本"], "CJK, HANGUL")]
)
def test_a_script_without_a_font_is_refused_with_advice(own_fonts, words, script):
    with pytest.raises(ValueError, match=rf"script {script}, found none: .*(.|\n)*fontManager\.addfont"):
        plotting.plot_alignment(np.eye(len(words)), words, words)


def test_an_installed_font_is_found_for_characters_that_the_chosen_one_lacks(own_fonts, monkeypatch):
    monkeypatch.setitem(plt.rcParams, "font.family", ["STIXSizeOneSym"])
    words = ["да", "שלום"]
    assert families_for(["("]) == ["STIXSizeOneSym"]
    chosen, *others = families_for(words)
    assert chosen == "STIXSizeOneSym" and others
    paths = [font_manager.findfont(font_manager.FontProperties(family=[name])) for name in others]
    assert all(any(FT2Font(path).get_char_index(ord(letter)) for path in paths) for letter in "".join(words))
    axes = plotting.plot_alignment(np.eye(2), words, words, label=None)
    axes.set(xlabel="", ylabel="")
    axes.figure.canvas.draw()  # a missing glyph would warn


def test_marks_without_a_picture_need_no_font(own_fonts):
    assert families_for(["a\u200fb", "\u200d\u00a0", ""]) == list(plt.rcParams["font.family"])


@pytest.mark.parametrize("word", HEBREW_AND_ARABIC)
def test_words_from_right_to_left_before_matplotlib_3_11(word):
    assert in_drawing_order(word) == HEBREW_AND_ARABIC[word]


@pytest.mark.skipif(matplotlib.__version_info__ < (3, 11), reason="Matplotlib draws from left to right only")
@pytest.mark.parametrize("word", [word for word in HEBREW_AND_ARABIC if not any(map(unicodedata.combining, word))])
def test_the_picture_is_that_of_a_later_matplotlib(word):
    """An override in front makes Matplotlib keep the order; the picture must then be that of the word alone."""

    def picture(text):
        figure = plt.figure(figsize=(3, 1))
        figure.text(0.1, 0.4, text, size=24)
        figure.canvas.draw()
        return np.asarray(figure.canvas.buffer_rgba())

    np.testing.assert_array_equal(picture("\N{LEFT-TO-RIGHT OVERRIDE}" + HEBREW_AND_ARABIC[word]), picture(word))
    assert (picture(word) != picture("")).any()


@pytest.mark.parametrize("word", ["hello", "don't", "(1)", "привет", "你好", "", "\u0301a", "12.5"])
def test_other_words_stay_as_they_are(word):
    assert in_drawing_order(word) == readable(word) == word


def test_readable_leaves_the_order_to_a_matplotlib_that_knows_it(monkeypatch):
    monkeypatch.setattr("matplotlib.__version_info__", (3, 10, 0, "final", 0))
    assert readable("שלום") == "םולש"
    monkeypatch.setattr("matplotlib.__version_info__", (3, 11, 0, "final", 0))
    assert readable("שלום") == "שלום"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weights": np.zeros((3, 2))}, r"\(target_time, source_time\) = \(2, 3\) .* received shape \(3, 2\)"),
        ({"weights": np.zeros((1, 2, 3))}, r"received shape \(1, 2, 3\)"),
        ({"weights": np.zeros((0, 3)), "target": ""}, r"received shape \(0, 3\)"),
        ({"weights": np.full((2, 3), -1.0)}, "from 0 to 1, received -1.0"),
        ({"weights": np.full((2, 3), np.nan)}, "from 0 to 1, received nan"),
        ({"links": [(0, 2)]}, r"below \(3, 2\), received \(0, 2\)"),
        ({"links": [(-1, 0)]}, r"received \(-1, 0\)"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        plotting.plot_alignment(**{"weights": np.zeros((2, 3)), "source": "abc", "target": "xy", **arguments})
