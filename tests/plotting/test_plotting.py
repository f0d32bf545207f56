import matplotlib.pyplot as plt
import numpy as np
import pytest

from rnnkit import plotting


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


def test_show_closes_the_figure(monkeypatch):
    monkeypatch.setattr(plt, "show", lambda: None)
    figure = plt.figure()
    plotting.show("nothing", figure)
    assert not plt.fignum_exists(figure.number)


def test_heat_map_refuses_labels_that_do_not_fit():
    with pytest.raises(ValueError, match=r"expected values of shape \(rows, columns\) = \(1, 2\), received \(2, 2\)"):
        plotting.heat_map(np.zeros((2, 2)), rows=["a"], columns=["x", "y"])


def test_heat_map_numbers_are_readable_on_light_and_dark_cells():
    axes = plotting.heat_map([[0.0, 1.0]], rows=["a"], columns=["x", "y"], numbers="{:.0f}")
    assert [text.get_color() for text in axes.texts] == ["black", "white"]


def test_diverging_colors_have_zero_in_the_middle():
    axes = plotting.heat_map([[-1.0, 3.0]], rows=["a"], columns=["x", "y"], diverging=True)
    assert axes.images[0].get_clim() == (-3.0, 3.0)


def test_labels_do_not_cover_each_other():
    _, axes = plt.subplots(figsize=(6, 4))
    points = np.stack(np.meshgrid(np.arange(4.0), np.arange(5.0)), -1).reshape(-1, 2)
    plotting.labeled_points(points, [f"word {index}" for index in range(20)], axes=axes)
    boxes = [text.get_window_extent() for text in axes.texts]
    assert len(boxes) == 20
    assert not any(a.overlaps(b) for index, a in enumerate(boxes) for b in boxes[:index])


def test_an_unrolled_network_has_a_box_for_each_step():
    axes = plotting.draw_unrolled("hell", outputs="ello")
    texts = [text.get_text() for text in axes.texts]
    boxes = [text for text in texts[3:] if text not in ("R", "O")]
    assert boxes == ["h", "$h_1$", "e", "e", "$h_2$", "l", "l", "$h_3$", "l", "l", "$h_4$", "o", "$h_0$"]
    assert texts.count("R") == texts.count("O") == 5  # the loop and four steps
