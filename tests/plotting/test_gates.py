import matplotlib.pyplot as plt
import numpy as np
import pytest

from rnnkit import plotting
from rnnkit.diagnostics import GradientFlow


def test_gates_are_above_their_characters():
    gates = np.arange(12).reshape(3, 4) / 12  # three characters, four units
    axes = plotting.gates_over_text(gates, "a b", units=[3, 0], names=["last", "first"])
    np.testing.assert_allclose(axes.images[0].get_array(), [gates[:, 3], gates[:, 0]])
    assert axes.images[0].get_clim() == (0, 1)
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["a", "␣", "b"]
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["last", "first"]


def test_negative_values_have_white_at_zero():
    axes = plotting.gates_over_text(np.array([[-2.0], [1.0]]), ["two", "words"], label="C")
    assert axes.images[0].get_clim() == (-2.0, 2.0)
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["two", "words"]


@pytest.mark.parametrize("shape", [(2, 4), (3,), (1, 3, 4)])
def test_gates_of_another_length_are_refused(shape):
    with pytest.raises(ValueError, match=r"\(time, units\) with time = 3 as in the text, received shape"):
        plotting.gates_over_text(np.zeros(shape), "abc")


@pytest.mark.parametrize("units", [[4], [-1]])
def test_missing_units_are_refused(units):
    with pytest.raises(ValueError, match="expected units from 0 to 3, received"):
        plotting.gates_over_text(np.zeros((3, 4)), "abc", units=units)


def test_histograms_hold_every_value_of_every_gate():
    rng = np.random.default_rng(1)
    gates = {name: rng.random((2, 5, 3)) for name in ("i", "f", "o")} | {"C": rng.normal(size=(2, 5, 3))}
    axes = plotting.gate_histograms(gates)
    assert [ax.get_title() for ax in axes] == ["input gate i", "forget gate f", "output gate o"]
    for ax, name in zip(axes, "ifo", strict=True):
        heights = [bar.get_height() for bar in ax.patches]
        counts, _ = np.histogram(gates[name], bins=20, range=(0, 1))
        np.testing.assert_allclose(heights, 100 * counts / 30)


def test_histograms_leave_out_the_padding():
    (axes,) = plotting.gate_histograms({"f": np.array([[0.1, 0.9, np.nan, np.nan]])})
    assert sorted(bar.get_height() for bar in axes.patches)[-3:] == [0, 50, 50]


def test_histograms_of_a_gru_on_given_axes():
    _, given = plt.subplots(2, 1)
    axes = plotting.gate_histograms({"z": np.ones(3), "r": np.zeros(3), "h": np.ones(3)}, axes=given)
    assert list(axes) == list(given)
    assert [ax.patches[-1].get_height() for ax in axes] == [pytest.approx(100), 0]


@pytest.mark.parametrize(
    "gates, axes, message",
    [
        ({"C": np.zeros(3)}, None, "at least one gate of i, f, o, z, r"),
        ({"f": np.array([0.5, 1.5])}, None, "values of f from 0 to 1, received 0.5 to 1.5"),
        ({"f": np.array([np.nan, np.nan])}, None, "at least one gate"),
        ({"f": np.zeros(3), "i": np.zeros(3)}, 1, "expected 2 axes, one per gate, received 1"),
    ],
)
def test_histograms_refuse(gates, axes, message):
    with pytest.raises(ValueError, match=message):
        plotting.gate_histograms(gates, axes=axes and plt.figure().gca())


def test_flows_are_drawn_over_the_steps_back():
    products = np.array([[0.1, 0.2, 1.0], [0.3, 0.4, 1.0], [0.2, 0.9, 1.0]])
    gradients = np.array([[0.0, 2.0, 4.0], [1.0, 2.0, 0.0], [1.0, 2.0, 4.0]])  # zeros: padding
    flow = GradientFlow(gradients, products, None, 0.5)
    axes = plotting.gradient_flow({"one": flow, "two": flow})
    assert axes.get_yscale() == "log"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["one", "two"]
    assert axes.lines[0].get_linestyle() != axes.lines[1].get_linestyle()
    for line in axes.lines:
        np.testing.assert_array_equal(line.get_xdata(), [2, 1, 0])
        np.testing.assert_allclose(line.get_ydata(), [0.2, 0.4, 1.0])
    axes = plotting.gradient_flow(flow, quantity="state_gradients", axes=plt.figure().gca())
    np.testing.assert_allclose(axes.lines[0].get_ydata(), [1.0, 2.0, 4.0])
    assert axes.get_legend() is None


def test_flows_refuse():
    flow = GradientFlow(np.ones((1, 3)), np.ones((1, 3)), None, 1.0)
    with pytest.raises(ValueError, match="quantity to be one of jacobian_products, state_gradients, received 'f'"):
        plotting.gradient_flow(flow, quantity="f")
    with pytest.raises(ValueError, match="at least one result"):
        plotting.gradient_flow({})


def test_the_parcels_on_the_belt_add_up_to_the_cell_state():
    rng = np.random.default_rng(2)
    forget, added = rng.random(6), rng.normal(size=6)
    axes = plotting.conveyor_belt(forget, added, names=list("abcdef"))
    C, states = 0.0, []
    for f, parcel in zip(forget, added, strict=True):
        C = f * C + parcel
        states.append(C)
    sums, tops, bottoms = np.zeros(6), np.zeros(6), np.zeros(6)
    for bar in axes.patches:
        step = round(bar.get_x() + bar.get_width() / 2)
        sums[step] += bar.get_height()
        tops[step] = max(tops[step], bar.get_y() + bar.get_height())
        bottoms[step] = min(bottoms[step], bar.get_y() + bar.get_height())
    np.testing.assert_allclose(sums, states)
    np.testing.assert_allclose(tops + bottoms, states)  # stacked without gaps, upward and downward
    assert [tick.get_text() for tick in axes.get_xticklabels()] == list("abcdef")


@pytest.mark.parametrize("forget, added, names", [([1, 1], [1], None), ([1], [1], ["a", "b"]), ([[1]], [[1]], None)])
def test_the_belt_refuses_other_lengths(forget, added, names):
    with pytest.raises(ValueError, match="forget gates, added values and names of one length"):
        plotting.conveyor_belt(forget, added, names)
