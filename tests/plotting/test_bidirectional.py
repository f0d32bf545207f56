"""rnnkit.plotting.draw_bidirectional."""

import matplotlib.pyplot as plt

from rnnkit import plotting


def test_every_step_has_an_input_two_states_and_an_output():
    axes = plotting.draw_bidirectional("hell", "ello", axes=plt.figure().gca())
    texts = [text.get_text() for text in axes.texts]
    assert texts[::4] == list("hell") and texts[3::4] == list("ello")
    assert texts[1::4] == [rf"$\overrightarrow{{h}}_{{{step}}}$" for step in (1, 2, 3, 4)]
    plt.close("all")
