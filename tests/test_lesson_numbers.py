"""The lint of numbers finds what no output shows, and lets pass what one does, rounded as the prose rounds it."""

import nbformat
import pytest

from tests import lesson_numbers


def notebook(text, output="", source="print(x)", picture=False, following=""):
    """A lesson with one section: a code cell with an output, a text, and a cell after it."""
    v4 = nbformat.v4
    outputs = [v4.new_output("stream", text=output)] if output else []
    if picture:
        description = {"image/png": {"alt": "A picture."}}
        outputs.append(v4.new_output("display_data", {"image/png": "aGVsbG8="}, metadata=description))
    after = [v4.new_output("stream", text=following)] if following else []
    cells = [
        v4.new_markdown_cell("## Train"),
        v4.new_code_cell(source, outputs=outputs),
        v4.new_markdown_cell(text),
        v4.new_code_cell("print(y)", outputs=after),
    ]
    return v4.new_notebook(cells=cells)


def quotes(*arguments, **options):
    return [quote for _, quote, _ in lesson_numbers.unsupported(notebook(*arguments, **options))]


@pytest.mark.parametrize(
    "text, output",
    [
        ("It reaches 0.83.", "f1 0.8312"),
        ("It reaches 83 %.", "f1 0.8312"),
        ("It reaches 83%.", "right 83.4 %"),
        ("Between 62 and 83 % are right.", "62% 83%"),
        ("The loss falls by 15 points.", "15.2 points lower"),
        ("The bag has about 1,400 words.", "1412 words"),
        ("It has 12,288 sentences.", "(12288, 20)"),
        ("It has 1.5 million weights.", "1,512,333 weights"),
        ("The slope is -0.5.", "slope -0.512"),
        ("It is 5,012 times smaller.", "smaller by a factor of 5012"),
        ("In 22 of the 38 questions it fails.", "22 of 38"),
        ("One in five is lost.", "lost: 21 %"),
        ("About one in eight comes back.", "0.12"),
        ("Nine times out of ten it is right.", "right: 0.90"),
        ("A third of them is lost.", "lost 0.33"),
        ("Two thirds of them are lost.", "lost 200 of 300"),
        ("More than 80 % are right.", "right 84 %"),
        ("Fewer than one in ten are right.", "right 9 %"),
        ("It takes about seven times the share.", "6.8 times the share"),
        ("It is twice as fast.", "a ratio of 2.1"),
        ("Two points lie between them.", "a gap of 2 points"),
        ("It looks back about eight characters.", "8 characters"),
    ],
)
def test_what_is_printed_may_be_said(text, output):
    assert quotes(text, output) == []


@pytest.mark.parametrize(
    "text, output, quote",
    [
        ("It reaches 0.84.", "f1 0.8312", "0.84"),
        ("It reaches 0.831.", "f1 0.83", "0.831"),
        ("It reaches 84 %.", "f1 0.8312", "84 %"),
        ("Between 61 and 83 % are right.", "62% 83%", "61 %"),
        ("The bag has 1,400 words.", "1412 words", "1,400"),
        ("The bag has about 1,400 words.", "991 words", "about 1,400"),
        ("More than 80 % are right.", "right 97 %", "More than 80 %"),  # a bound, and not what is on the screen
        ("It is 100 times larger.", "5012 times", "100"),
        ("The slope is 0.5.", "slope -0.5", "0.5"),
        ("It is worth more than 8 points.", "depth 1: 0.46, depth 2: 0.61, in 8.4 s", "more than 8"),
        ("It is 5,000 times smaller.", "5000 sequences", "5,000"),
        ("Two points lie between them.", "2 networks", "Two points"),
        ("It is seven times the share.", "7 networks", "seven times"),
        # the kinds of contradiction that a review found in a lesson that was run again
        ("About one in eight of the shortest is right.", "right 0.09", "About one in eight"),
        ("It gets about seven times the share.", "21% of the old, 7 of 307 new ones, 9.2 times", "about seven times"),
        ("The two points between them are chance.", "concat 62 %, Bahdanau 62 %: 0 points", "two points"),
        ("It is the largest in 22 of the 38 questions.", "38 questions, ?: 24", "22"),
        ("It has lost one in five.", "98 % to 83 %: 15 % lost", "one in five"),
        ("It has lost almost one in three.", "49 % to 31 %: 37 % lost", "almost one in three"),
        ("Only two in three are right.", "right 0.62", "two in three"),
    ],
)
def test_what_is_not_printed_is_found(text, output, quote):
    assert quotes(text, output) == [quote]


def test_a_quantity_is_not_read_off_a_picture():
    text = "All words have nearly all of their weight in the links. Only one looks back a little."
    assert quotes(text, picture=True) == ["nearly all", "a little"]
    assert quotes(text, "dot 0.75", picture=True) == []


@pytest.mark.parametrize(
    "text",
    [
        "## Loss after 12 steps",
        "`units=17`, $2^{18} = 262144$, and ```19```",
        "Lesson 03 and lessons 05 to 07, exercise 4, step 12, Python 3.13.",
        "Chung et al. 2014, Cho (2014), since 1997.",
        "[a page](https://example.org/33/44)",
        "5-grams, 2-D, word2vec, WordSim-353, F1.",
        "1. First\n2. Second",
        "Weights from 0 to 1, labels 0 and 1, scores from 0 to 100.",
        "| Rao et al., 2015: CTC | 25.8 % |",
        "Two networks read it three times, one in each direction, the first half first.",
        "## Exercises\n\nTrain it for 77 epochs.",
        "## References\n\nPages 123 to 456.",
    ],
)
def test_what_is_no_result_is_left_alone(text):
    assert quotes(text) == []


def test_literals_that_set_something_count_and_the_bounds_of_asserts_do_not():
    assert quotes("We train 24 units.", source="layer = layers.GRU(24)") == []
    assert quotes("It is 0.25.", source="assert abs(x - 0.25) < 1e-6") == []
    assert quotes("It is 0.25.", source="assert x == 0.25 and y") == []
    assert quotes("It is 0.25.", source="assert x > 0.25") == ["0.25"]
    assert quotes("It loses 8 points.", source="model.fit(x, epochs=8)") == ["8"]
    assert quotes("It is a factor of 100.", source="model.fit(x, epochs=100)") == ["100"]
    assert quotes("It is 0.25.", source="plt.plot(x, alpha=0.25)") == ["0.25"]


def test_a_prediction_may_come_before_its_output_and_a_share_in_words_may_not():
    assert quotes("The loss should be 0.69.", following="loss 0.6931") == []
    assert quotes("It has lost one in five.", following="21 %") == ["one in five"]


def test_other_sections_count_for_long_numbers_and_for_the_summary():
    def elsewhere(text):
        lesson = notebook("", "12,345 words, 62 % right")
        lesson.cells.append(nbformat.v4.new_markdown_cell(text))
        return [quote for _, quote, _ in lesson_numbers.unsupported(lesson)]

    assert elsewhere("## Look inside\n\nOf 12,345 words 62 % are right.") == ["62 %"]
    assert elsewhere("## Summary\n\nOf 12,345 words 62 % are right.") == []


def test_exceptions_are_reported_when_they_are_not_needed():
    lesson = notebook("Their network reached\n0.77 there.")
    exception = {"lesson": "x.ipynb", "text": "reached 0.77 there", "reason": "their table 2"}
    assert len(list(lesson_numbers.problems("x.ipynb", lesson, []))) == 1
    assert list(lesson_numbers.problems("x.ipynb", lesson, [exception])) == []
    [problem] = lesson_numbers.problems("x.ipynb", notebook("Nothing."), [exception])
    assert "not needed" in problem and "reached 0.77 there" in problem
