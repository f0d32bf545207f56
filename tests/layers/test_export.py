"""Models that leave Keras: to SavedModel, ONNX and LiteRT, each read by its own reader."""

import re
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import ops

from rnnkit import layers

if keras.backend.backend() != "tensorflow":
    pytest.skip("these exporters trace TensorFlow", allow_module_level=True)

import tensorflow as tf

from tests.loop_cases import FEATURES, LAYERS, TIME, UNITS
from tests.marks import slow_except

onnxruntime = pytest.importorskip("onnxruntime", reason="reads what was exported to ONNX")
pytest.importorskip("tf2onnx", reason="exports to ONNX")

BATCH = 9


def shared():
    layer = layers.LSTM(UNITS, return_sequences=True)
    back = keras.layers.Dense(FEATURES)
    return lambda x, mask=None: layer(back(layer(x, mask=mask)), mask=mask)


COMPOSED = {
    "bidirectional": lambda: layers.Bidirectional(layers.GRU(UNITS, return_sequences=True)),
    "bidirectional of Keras": lambda: keras.layers.Bidirectional(layers.LSTM(UNITS, return_sequences=True)),
    "stacked": lambda: layers.Stacked([layers.LSTM(UNITS, return_sequences=True) for _ in range(2)]),
    "shared": shared,
}
ALL = {**{name: lambda make=make: make(return_sequences=True) for name, make in LAYERS.items()}, **COMPOSED}
MAIN = ["LSTM", "own cell", "bidirectional", "stacked", "shared"]
OTHERS = [(name, True) for name in ALL if name not in MAIN]
CASES = [*((name, masked) for name in MAIN for masked in (False, True)), *OTHERS]


def model_of(name, batch, time, masked):
    keras.utils.set_random_seed(0)
    inputs = keras.Input((time, FEATURES), batch_size=batch)
    x, mask = (inputs, None) if not masked else (inputs, ops.any(ops.not_equal(inputs, 0.0), axis=-1))
    model = keras.Model(inputs, ALL[name]()(x, mask=mask))
    model(np.zeros((BATCH, TIME, FEATURES), "float32"))  # Keras exports to ONNX only what has been called
    return model


def inputs_for(masked, rows=BATCH, steps=TIME):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, steps, FEATURES)).astype("float32")
    return np.where(rng.random((rows, steps, 1)) < 0.7, x, 0) if masked else x


def of_saved_model(model, path):
    model.export(path, verbose=False)
    loaded = tf.saved_model.load(path)
    return lambda x: loaded.serve(x)


def of_onnx(model, path):
    model.export(f"{path}.onnx", format="onnx", verbose=False)
    session = onnxruntime.InferenceSession(f"{path}.onnx")
    return lambda x: session.run(None, {session.get_inputs()[0].name: x})[0]


def of_litert(model, path):
    signature = [
        keras.InputSpec(shape=model.inputs[0].shape, dtype=model.inputs[0].dtype)
    ]  # Keras would leave the batch unknown
    model.export(f"{path}.tflite", format="litert", input_signature=signature, verbose=False)
    own = tf.lite.experimental.OpResolverType.BUILTIN
    reader = tf.lite.Interpreter(f"{path}.tflite", experimental_op_resolver_type=own)
    reader.allocate_tensors()

    def run(x):
        reader.set_tensor(reader.get_input_details()[0]["index"], x)
        reader.invoke()
        return reader.get_tensor(reader.get_output_details()[0]["index"])

    return run


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name, masked", slow_except([("LSTM", True)], CASES))
@pytest.mark.parametrize("export", [of_saved_model, of_onnx, of_litert])
def test_values_of_what_is_exported(export, name, masked, tmp_path):
    batch = BATCH if export is of_litert else None
    model = model_of(name, batch, TIME, masked)
    run = export(model, str(tmp_path / "model"))
    for rows in [BATCH] if batch else [BATCH, 1]:
        x = inputs_for(masked, rows)
        np.testing.assert_allclose(run(x), model(x), rtol=1e-5, atol=1e-5)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("name", slow_except(["LSTM"], MAIN))
@pytest.mark.parametrize("export", [of_saved_model, of_onnx])
def test_sequences_of_any_length(export, name, masked, tmp_path):
    model = model_of(name, None, None, masked)
    run = export(model, str(tmp_path / "model"))
    for steps in (TIME, 2):
        x = inputs_for(masked, 3, steps)
        np.testing.assert_allclose(run(x), model(x), rtol=1e-5, atol=1e-5)


def tagger(words):
    x = keras.layers.Embedding(20, 4, mask_zero=True)(words)
    hidden = layers.Bidirectional(layers.LSTM(UNITS, return_sequences=True))(x)
    return layers.CRF(4)(keras.layers.Dense(4)(hidden))


def translator(words):
    cell = layers.AttentionCell(layers.GRUCell(UNITS), layers.BahdanauAttention(UNITS), input_feeding=True)
    decoder = layers.Decoder(keras.layers.Embedding(20, 4), cell, keras.layers.Dense(9))
    memory = layers.GRU(UNITS, return_sequences=True)(keras.layers.Embedding(20, 4, mask_zero=True)(words))
    return decoder(words, initial_state=cell.initial_state(memory))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("time", [TIME, None])
@pytest.mark.parametrize("make", [tagger, translator])
@pytest.mark.parametrize("export", slow_except([of_saved_model], [of_saved_model, of_onnx, of_litert]))
def test_tags_and_decoders(export, make, time, tmp_path):
    if export is of_litert and time is None:
        pytest.skip("LiteRT's own operations need known sizes")
    words = np.random.default_rng(0).integers(1, 20, (BATCH, TIME)).astype("int32")
    words[1, 4:] = 0
    inputs = keras.Input((time,), batch_size=BATCH if export is of_litert else None, dtype="int32")
    model = keras.Model(inputs, make(inputs))
    expected = model(words)
    np.testing.assert_allclose(export(model, str(tmp_path / "model"))(words), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_examples_of_the_guide(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", (Path(__file__).parents[2] / "docs/export.md").read_text(), re.DOTALL)
    assert len(blocks) == 5
    names = {}
    for block in blocks:
        exec(block, names)  # noqa: S102
