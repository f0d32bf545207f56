import matplotlib.pyplot as plt
import pytest

from rnnkit import plotting


@pytest.fixture(autouse=True)
def close_figures():
    yield
    plt.close("all")


@pytest.mark.parametrize(("depth", "steps"), [(1, 1), (2, 4), (3, 2)])
@pytest.mark.parametrize("residual", [False, True])
def test_stack_has_its_boxes_arrows_and_sums(depth, steps, residual):
    axes = plotting.draw_stack(depth, steps, residual, axes=plt.figure().gca())
    names = [text.get_text() for text in axes.texts]
    around = steps * (depth - 1) if residual else 0  # every layer except the lowest
    assert names.count("+") == around
    assert len(names) - around == steps * (depth + 2)  # x, the layers, y
    boxes = [patch for patch in axes.patches if type(patch).__name__ == "FancyBboxPatch"]
    arrows = [patch for patch in axes.patches if type(patch).__name__ == "FancyArrowPatch"]
    assert len(boxes) == steps * (depth + 2)
    assert len(arrows) == steps * (depth + 1) + (steps - 1) * depth + around  # up, to the right, around


def test_stack_stays_inside_its_frame():
    axes = plotting.draw_stack(3, 4, residual=True, axes=plt.figure().gca())
    axes.figure.canvas.draw()
    frame = axes.get_window_extent()
    for patch in axes.patches:
        box = patch.get_window_extent()
        assert frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
