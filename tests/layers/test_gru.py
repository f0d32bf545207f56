import keras
import numpy as np
import pytest

from rnnkit.layers import GRU, GRUCell
from tests import layer_checks, oracles
from tests.marks import slow_except

UNITS = 4


def case(step, **arguments):
    return layer_checks.Case(lambda **kwargs: GRU(UNITS, **arguments, **kwargs), step, [UNITS])


CASES = {
    "chung": case(oracles.gru_chung_step, convention="chung"),
    "keras": case(oracles.gru_keras_step),
    "keras, reset before": case(oracles.gru_keras_before_step, reset_after=False),
    "torch": case(oracles.gru_torch_step, convention="torch"),
}
ARGUMENTS = {
    **layer_checks.KERAS_ARGUMENTS,
    "recurrent_activation": "hard_sigmoid",
    "reset_after": False,
    "use_cudnn": False,
}


@pytest.mark.parametrize("name", slow_except(["chung"], CASES))
@pytest.mark.parametrize("check", layer_checks.CHECKS, ids=lambda check: check.__name__)
def test_gru(name, check):
    check(CASES[name])


@pytest.mark.parametrize(
    "options", [{}, {"reset_after": False}, {"go_backwards": True}, {"activation": "relu", "use_bias": False}], ids=str
)
def test_gru_is_keras_gru_with_the_same_weights(options):
    layer_checks.equals_keras(GRU, keras.layers.GRU, UNITS, {"return_sequences": True, **options})


@pytest.mark.parametrize("ours, theirs", [(GRU, keras.layers.GRU), (GRUCell, keras.layers.GRUCell)])
def test_every_argument_of_keras_is_taken_and_kept(ours, theirs):
    own = {"dropout_each_step": False, "convention": "keras"}
    layer_checks.takes_the_arguments_of_keras(ours, theirs, UNITS, ARGUMENTS, own)


@pytest.mark.parametrize("bidirectional", [False, True])
def test_equals_torch(bidirectional):
    torch = pytest.importorskip("torch")
    layer_checks.equals_torch(CASES["torch"], torch.nn.GRU, bidirectional)


@pytest.mark.parametrize("convention, shape", [("chung", (12,)), ("keras", (2, 12)), ("torch", (2, 12))])
def test_shape_of_the_bias(convention, shape):
    layer = GRU(UNITS, convention=convention)
    layer.build((None, None, 3))
    assert [weight.shape for weight in layer.get_weights()] == [(3, 12), (4, 12), shape]


@pytest.mark.parametrize("convention", ["chung", "keras", "torch"])
def test_without_bias_is_with_a_bias_of_zeros(convention):
    x = layer_checks.sequences()
    bare, zero = GRU(UNITS, convention=convention, use_bias=False), GRU(UNITS, convention=convention)
    bare.build(x.shape), zero.build(x.shape)
    assert len(bare.weights) == 2
    zero.set_weights([*bare.get_weights(), np.zeros(zero.cell.bias.shape)])
    np.testing.assert_allclose(layer_checks.to_numpy(bare(x)), layer_checks.to_numpy(zero(x)), atol=1e-6)


@pytest.mark.parametrize("convention", ["chung", "keras", "torch"])
def test_convention_survives_the_config(convention):
    layer = GRU(UNITS, convention=convention)
    twin = GRU.from_config(layer.get_config())
    assert (twin.cell.convention, twin.reset_after) == (convention, layer.reset_after)
    cell = GRUCell.from_config(layer.cell.get_config())
    assert cell.get_config() == layer.cell.get_config()


@pytest.mark.parametrize("make", [GRU, GRUCell])
@pytest.mark.parametrize("convention", ["olah", None, "Keras", 1])
def test_convention_must_be_known(make, convention):
    with pytest.raises(ValueError, match=r"expected convention to be in \('chung', 'keras', 'torch'\), received"):
        make(UNITS, convention=convention)


@pytest.mark.parametrize("make", [GRU, GRUCell])
def test_torch_resets_after_the_product(make):
    with pytest.raises(ValueError, match="resets after the product"):
        make(UNITS, convention="torch", reset_after=False)


@pytest.mark.parametrize("make", [GRU, GRUCell])
@pytest.mark.parametrize("units", [0, -1, 2.5, True, None, "4"])
def test_units_must_be_a_positive_integer(make, units):
    with pytest.raises(ValueError, match="units to be a positive integer, received"):
        make(units)


@pytest.mark.parametrize("convention", ["chung", "torch"])
def test_cudnn_does_not_know_the_other_conventions(convention):
    with pytest.raises(ValueError, match="cannot run on cuDNN, which does not know its cell's equation"):
        GRU(UNITS, convention=convention, use_cudnn=True)
    assert GRU(UNITS, convention=convention).use_cudnn is False


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="of JAX alone")
def test_the_loop_that_keras_has_on_jax_is_not_taken_for_a_kernel():
    layer = GRU(UNITS)
    layer(layer_checks.sequences())
    assert "a loop that XLA compiles" in layer.explain()


def test_state_of_the_wrong_shape():
    with pytest.raises(ValueError, match=r"expected initial state 0 of shape \(5, 4\), received \(5, 3\)"):
        GRU(UNITS)(layer_checks.sequences(), initial_state=np.zeros((5, 3), "float32"))
