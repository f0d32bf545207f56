import pytest

from rnnkit import plotting


def texts(axes):
    return [text.get_text() for text in axes.texts]


SENTENCES = [["Ana", "Ruiz", "left", "Lima"], ["no", "names"]]
TAGS = [["B-PER", "I-PER", "O", "B-LOC"], ["O", "O"]]


def test_words_and_types_are_drawn_as_text():
    axes = plotting.draw_entities(SENTENCES, TAGS)
    assert texts(axes) == ["Ana", "Ruiz", "left", "Lima", "no", "names", "PER", "LOC"]
    assert len(axes.patches) == 2 * 2 and not axes.lines  # two boxes, each with an edge


def test_true_entities_are_lines_and_are_named_if_they_were_missed():
    predicted = [["B-PER", "O", "O", "B-LOC"], ["O", "O"]]
    axes = plotting.draw_entities(SENTENCES, predicted, true=TAGS)
    assert texts(axes)[6:] == ["PER", "LOC", "PER"]  # two boxes, and the person that was not found whole
    assert len(axes.patches) == 2 * 2 and len(axes.lines) == 2


def test_box_is_as_wide_as_the_words():
    axes = plotting.draw_entities(SENTENCES, TAGS)
    box = axes.patches[0]
    assert box.get_x() < 1 and box.get_x() + box.get_width() > 1 + len("Ana Ruiz")
    drawn = axes.texts[3].get_window_extent()  # Lima: a letter is as wide as a column
    left, right = axes.transAxes.inverted().transform(drawn)[:, 0] * 96
    begin = 1 + len("Ana Ruiz left ")
    assert abs(left - begin) < 0.4 and abs(right - (begin + 4)) < 0.4


def test_long_sentences_and_their_entities_continue_on_the_next_line():
    words = ["word"] * 10
    axes = plotting.draw_entities([words], [["O"] * 3 + ["B-ORG"] + ["I-ORG"] * 6], columns=30)
    assert sorted({text.get_position()[1] for text in axes.texts[:10]}) == [0, 1]
    assert texts(axes).count("ORG") == 2
    assert max(text.get_position()[0] + 4 for text in axes.texts[:10]) <= 30


@pytest.mark.parametrize("tags", [[["O"], ["O", "O"]], [["O"] * 4]])
def test_each_word_must_have_a_tag(tags):
    with pytest.raises(ValueError, match="one tag per word"):
        plotting.draw_entities(SENTENCES, tags)


def test_there_must_be_a_sentence():
    with pytest.raises(ValueError, match="expected sentences"):
        plotting.draw_entities([], [])
