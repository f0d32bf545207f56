"""`Model.quantize("int8")` reaches the kernels of all cells, wherever they are; the oracle rounds them with NumPy."""

import keras
import numpy as np
import pytest
from keras import ops

from rnnkit import layers
from tests.layer_checks import BATCH, EAGER, FEATURES, TIME, masks, sequences, to_numpy

pytestmark = pytest.mark.filterwarnings("ignore:Layer .* does not have a `quantize` method")  # Keras, of most layers

ON = {"return_sequences": True}
LAYERS = {
    "Elman": lambda **on: layers.Elman(4, **on),
    "Elman with an output": lambda **on: layers.Elman(4, output_units=3, **on),
    "LSTM": lambda **on: layers.LSTM(4, **on),
    "GRU": lambda **on: layers.GRU(4, **on),
    "GRU of Chung": lambda **on: layers.GRU(4, convention="chung", **on),
    "GRU of PyTorch": lambda **on: layers.GRU(4, convention="torch", **on),
    "no bias": lambda **on: layers.LSTM(4, use_bias=False, **on),
    "PeepholeLSTM": lambda **on: layers.PeepholeLSTM(4, **on),
    "diagonal PeepholeLSTM": lambda **on: layers.PeepholeLSTM(4, peephole="diagonal", **on),
    "LayerNormLSTM": lambda **on: layers.LayerNormLSTM(4, **on),
    "LayerNormGRU": lambda **on: layers.LayerNormGRU(4, **on),
    "Recurrent": lambda **on: layers.Recurrent(layers.LSTMCell(4), **on),
    "Recurrent of LayerNormGRUCell": lambda **on: layers.Recurrent(layers.LayerNormGRUCell(4), **on),
    "keras.layers.RNN": lambda **on: keras.layers.RNN(layers.GRUCell(4), **on),
    "StackedRNNCells": lambda **on: layers.Recurrent([layers.LSTMCell(4), layers.ElmanCell(3)], **on),
    "ResidualCell": lambda **on: layers.Recurrent(layers.ResidualCell(layers.GRUCell(FEATURES)), **on),
    "ZoneoutCell": lambda **on: layers.Recurrent(layers.ZoneoutCell(layers.LSTMCell(4), 0.1), **on),
    "Bidirectional": lambda **on: layers.Bidirectional(layers.LSTM(4, **on)),
    "keras.layers.Bidirectional": lambda **on: keras.layers.Bidirectional(layers.GRU(4, **on)),
    "Stacked": lambda **on: layers.Stacked([layers.LSTM(4), layers.Bidirectional(layers.Elman(3))], **on),
    "LearnedInitialState": lambda **on: layers.LearnedInitialState(layers.GRU(4, **on)),
}
NAMES = [pytest.param(name, marks=[] if name == "LSTM" else pytest.mark.slow) for name in LAYERS]
KERNELS = ("kernel", "recurrent_kernel", "output_kernel", "peephole_kernel")


def model_of(name, **options):
    inputs = keras.Input((TIME, FEATURES), batch_size=BATCH if options.get("stateful") else None)
    mask = keras.Input((TIME,), dtype="bool", batch_size=inputs.shape[0])
    layer = LAYERS[name](**ON, **options)
    model = keras.Model([inputs, mask], layer(inputs, mask=mask))
    rng = np.random.default_rng(7)
    model.set_weights([rng.normal(scale=0.6, size=weight.shape) for weight in model.get_weights()])
    return model


def cells(model):
    return [layer for layer in model._flatten_layers() if isinstance(layer, layers.RecurrentCell)]


def kernels(model):
    """All matrices of all cells, by cell and name, as they are computed with."""
    found = {}
    for number, cell in enumerate(cells(model)):
        if not hasattr(cell, "cell"):
            names = [name for name in KERNELS if hasattr(cell, name) and len(getattr(cell, name).shape) == 2]
            found.update({(number, name): getattr(cell, name) for name in names})
    return found


def rounded(kernel):
    """To one of 255 multiples of a unit of its column."""
    unit = abs(kernel).max(axis=0) / 127
    return np.round(kernel / unit) * unit


def with_rounded_kernels(name, **options):
    """The same model in floating point, its kernels rounded with NumPy."""
    model = model_of(name, **options)
    for kernel in kernels(model).values():
        kernel.assign(rounded(to_numpy(kernel)))
    return model


def quantized(name, **options):
    model = model_of(name, **options)
    model.quantize("int8")
    return model


def trained(model, **how):
    """The weights that are trained and are no matrix of a cell, after a step."""
    model.compile(keras.optimizers.SGD(0.1), "mse", **how)
    model.train_on_batch(inputs(), np.ones((BATCH, *model.output.shape[1:])))
    return [to_numpy(w) for w in model.trainable_weights if w.name not in KERNELS or len(w.shape) == 1]


def inputs(mask="holes"):
    mask = dict(masks())[mask]
    return [sequences(), np.ones((BATCH, TIME), bool) if mask is None else mask]


@pytest.mark.parametrize("name", NAMES)
def test_it_computes_with_rounded_kernels(name, tmp_path):
    model, expected, original = quantized(name), with_rounded_kernels(name), model_of(name)
    assert kernels(model).keys() == kernels(expected).keys() != set()
    for key, kernel in kernels(expected).items():
        np.testing.assert_allclose(to_numpy(kernels(model)[key]), to_numpy(kernel), atol=1e-6)
    for mask in dict(masks()):
        values = to_numpy(model(inputs(mask)))
        np.testing.assert_allclose(values, to_numpy(expected(inputs(mask))), atol=2e-6, err_msg=mask)
        assert 0 < abs(values - to_numpy(original(inputs(mask)))).max() < 0.1
    compiled = model.predict(inputs(), verbose=0)
    np.testing.assert_allclose(compiled, to_numpy(expected(inputs())), atol=2e-6)
    model.save(tmp_path / "int8.keras")
    loaded = keras.saving.load_model(tmp_path / "int8.keras")
    np.testing.assert_array_equal(to_numpy(loaded(inputs())), to_numpy(model(inputs())))
    for weight, same in zip(loaded.weights, model.weights, strict=True):
        assert (weight.dtype, weight.trainable, weight.shape) == (same.dtype, same.trainable, same.shape)
        np.testing.assert_array_equal(to_numpy(weight), to_numpy(same))
    loaded.save_weights(tmp_path / "int8.weights.h5")
    model.load_weights(tmp_path / "int8.weights.h5")


@pytest.mark.parametrize("name", [name for name in NAMES if name.values[0] not in ("no bias", "ZoneoutCell")])
def test_what_is_not_a_kernel_is_trained_as_before(name):
    model, twin = quantized(name), with_rounded_kernels(name)
    before = {key: to_numpy(kernel) for key, kernel in kernels(model).items()}
    weights, expected = trained(model), trained(twin, run_eagerly=EAGER)
    assert len(weights) == len(expected) == len(model.trainable_weights)
    for value, same in zip(weights, expected, strict=True):
        np.testing.assert_allclose(value, same, atol=2e-6)
    for key, kernel in kernels(model).items():
        np.testing.assert_array_equal(to_numpy(kernel), before[key])


@pytest.mark.slow
def test_weights_are_integers_with_a_scale_for_each_channel():
    cell = cells(quantized("PeepholeLSTM"))[0]
    found = {weight.name: (weight.dtype, tuple(weight.shape), weight.trainable) for weight in cell.weights}
    assert found == {
        "bias": ("float32", (16,), True),
        "kernel": ("int8", (3, 16), False),
        "kernel_scale": ("float32", (16,), False),
        "recurrent_kernel": ("int8", (4, 16), False),
        "recurrent_kernel_scale": ("float32", (16,), False),
        "peephole_kernel": ("int8", (4, 12), False),
        "peephole_kernel_scale": ("float32", (12,), False),
    }


@pytest.mark.slow
def test_a_stream_goes_on():
    model, expected = quantized("LSTM", stateful=True), with_rounded_kernels("LSTM", stateful=True)
    for _ in range(2):
        value = model.predict(inputs(), batch_size=BATCH, verbose=0)
        np.testing.assert_allclose(value, to_numpy(expected(inputs())), atol=2e-6)


@pytest.mark.slow
def test_the_memory_of_an_attention():
    cell = layers.AttentionCell(layers.LSTMCell(3), layers.BahdanauAttention(4), input_feeding=True)
    x, memory = keras.Input((TIME, FEATURES)), keras.Input((5, 2))
    model = keras.Model([x, memory], layers.Recurrent(cell)(x, initial_state=cell.initial_state(memory)))
    arrays = [sequences(), np.random.default_rng(1).normal(size=(BATCH, 5, 2)).astype("float32")]
    before = to_numpy(model(arrays))
    model.quantize("int8")
    assert cell.cell.quantized_recurrent_kernel.dtype == "int8"
    np.testing.assert_allclose(model.predict(arrays, verbose=0), before, atol=0.02)


@pytest.mark.slow
def test_a_dense_layer_as_a_recurrence():
    layer = layers.Recurrent(layers.ROCell(keras.layers.Dense(3, "tanh")), **ON)
    model = keras.Sequential([keras.Input((TIME, FEATURES)), layer])
    before = to_numpy(model(sequences()))
    model.quantize("int8")
    np.testing.assert_allclose(model.predict(sequences(), verbose=0), before, atol=0.1)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["GRU", "LayerNormLSTM"])
def test_in_mixed_precision(name):
    model, expected = quantized(name, dtype="mixed_bfloat16"), with_rounded_kernels(name, dtype="mixed_bfloat16")
    outputs, same = (to_numpy(ops.cast(m(inputs()), "float32")) for m in (model, expected))
    np.testing.assert_allclose(outputs, same, atol=0.03)
    twin = keras.Model.from_config(model.get_config())
    twin.set_weights(model.get_weights())
    np.testing.assert_array_equal(to_numpy(twin(inputs())), to_numpy(model(inputs())))


@pytest.mark.slow
def test_layers_of_both_kinds_in_one_model():
    """They have the same shapes, so that only the quantization tells their programs apart."""
    x = keras.Input((TIME, 4))
    first, second = layers.LSTM(4, name="first", **ON), layers.LSTM(4, name="second", **ON)
    model = keras.Model(x, second(first(x)))
    array = np.random.default_rng(1).normal(size=(BATCH, TIME, 4)).astype("float32")
    before = model.predict(array, verbose=0)
    first.cell.quantize("int8")
    model.predict_function = None
    after = model.predict(array, verbose=0)
    np.testing.assert_allclose(after, to_numpy(model(array)), atol=2e-6)
    assert 0 < abs(after - before).max() < 0.05


@pytest.mark.parametrize("name", ["LSTM", "LayerNormGRU"])
def test_other_modes_are_left_alone_with_a_warning(name):
    model = model_of(name)
    before = to_numpy(model(inputs()))
    with pytest.warns(UserWarning, match="expected the quantization mode 'int8', received 'float8'"):
        model.quantize("float8")
    np.testing.assert_array_equal(to_numpy(model(inputs())), before)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["LSTM", "LayerNormGRU"])
def test_it_is_done_once(name):
    with pytest.raises(ValueError, match="already quantized"):
        quantized(name).quantize("int8")


def test_a_cell_that_is_not_built():
    with pytest.raises(ValueError, match="isn't yet built"):
        layers.LSTMCell(3).quantize("int8")
    assert not hasattr(layers.LSTMCell(3), "kernel")


def test_cells_of_keras_stay_as_they_are():
    model = keras.Sequential([keras.Input((TIME, FEATURES)), layers.Recurrent(keras.layers.LSTMCell(3))])
    before = to_numpy(model(sequences()))
    model.quantize("int8")
    np.testing.assert_array_equal(to_numpy(model(sequences())), before)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(keras.quantizers, "Int8QuantizationConfig"), reason="Keras 3.14 has no configurations")
def test_a_quantizer_of_your_own():
    model = model_of("GRU")
    config = keras.quantizers.Int8QuantizationConfig(keras.quantizers.AbsMaxQuantizer(axis=0, value_range=(-7, 7)))
    model.quantize(config=config)
    assert abs(to_numpy(cells(model)[0].quantized_kernel)).max() == 7
    config = keras.quantizers.Int8QuantizationConfig(keras.quantizers.AbsMaxQuantizer(axis=1))
    with pytest.raises(ValueError, match=r"expected one scale for each of the 12 output channels of its kernel"):
        model_of("GRU").quantize(config=config)


@pytest.mark.slow
def test_filters_choose_cells_by_name():
    model = model_of("Stacked")
    model.quantize("int8", filters="lstm")
    modes = {type(cell): cell.quantization_mode for cell in cells(model)}
    assert modes == {layers.LSTMCell: "int8", layers.ElmanCell: None}


@pytest.mark.slow
def test_a_file_is_smaller(tmp_path):
    model = keras.Sequential([keras.Input((TIME, 64)), layers.LSTM(128)])
    model.save_weights(tmp_path / "float.weights.h5")
    model.quantize("int8")
    model.save_weights(tmp_path / "int8.weights.h5")
    sizes = [(tmp_path / f"{name}.weights.h5").stat().st_size for name in ("float", "int8")]
    assert sizes[1] < 0.35 * sizes[0]
