"""Whole models there and back: the same outputs, weights and configuration, and the original as it was."""

import json

import keras
import numpy as np
import pytest
from keras import layers as K

from rnnkit import layers as R
from rnnkit.convert import from_keras, to_keras
from rnnkit.convert.building import layers_inside
from tests.layer_checks import to_numpy
from tests.marks import slow_except

FEATURES, UNITS, TIME = 3, 4, 5
RNG = np.random.default_rng(0)
X = RNG.normal(size=(2, TIME, FEATURES)).astype("float32")
TOKENS = np.array([[3, 1, 2, 0, 0], [1, 0, 0, 0, 0]])


@keras.saving.register_keras_serializable(package="tests")
class Decay(K.Layer):
    """A Keras cell that is nobody's."""

    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = self.state_size = self.output_size = units

    def build(self, input_shape):
        self.kernel = self.add_weight((input_shape[-1], self.units), name="kernel")

    def call(self, inputs, states, training=False):
        state = 0.5 * states[0] + keras.ops.matmul(inputs, self.kernel)
        return state, [state]

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def sequential():
    return keras.Sequential(
        [
            keras.Input((None, FEATURES)),
            K.Masking(),
            K.LSTM(UNITS, return_sequences=True, name="lower"),
            K.BatchNormalization(),
            K.SimpleRNN(UNITS, go_backwards=True, return_sequences=True),
            K.RNN([K.GRUCell(3), K.LSTMCell(UNITS), Decay(2)], name="cells"),
            K.Dense(2),
        ],
        name="sequential",
    )


def tagger():
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    x = K.Embedding(6, 3, mask_zero=True)(tokens)
    x = K.Bidirectional(K.GRU(UNITS, return_sequences=True), name="both", merge_mode="sum")(x)
    outputs, *states = K.Bidirectional(K.LSTM(UNITS, return_sequences=True, return_state=True))(x)
    x = K.RNN(Decay(UNITS), return_sequences=True)(x + outputs[..., :UNITS])
    decoded = K.LSTM(UNITS, name="decoder")(x, initial_state=states[:2])
    return keras.Model({"tokens": tokens}, {"tags": K.TimeDistributed(K.Dense(2))(x), "last": decoded})


def shared():
    """One LSTM in two places of a model, and in a model inside of it."""
    lstm = K.LSTM(UNITS, name="shared")
    inner_input = keras.Input((TIME, FEATURES))
    inner = keras.Model(inner_input, K.Dense(2)(lstm(inner_input)), name="inner")
    a, b = keras.Input((TIME, FEATURES), name="a"), keras.Input((TIME, FEATURES), name="b")
    documents = keras.Input((3, TIME, FEATURES), name="documents")
    sentences = K.TimeDistributed(K.GRU(UNITS, reset_after=False))(documents)
    outputs = [lstm(a) - lstm(b), inner(a), K.SimpleRNN(2)(sentences), K.TimeDistributed(inner)(documents)]
    return keras.Model([a, b, documents], outputs)


def stateful():
    inputs = keras.Input(batch_shape=(2, TIME, FEATURES))
    x = K.GRU(UNITS, stateful=True, return_sequences=True)(inputs)
    x = K.Bidirectional(K.LSTM(UNITS, stateful=True, return_sequences=True))(x)
    return keras.Model(inputs, K.SimpleRNN(UNITS, stateful=True, unroll=True)(x))


MODELS = {
    "sequential": (sequential, X),
    "tagger": (tagger, {"tokens": TOKENS}),
    "shared": (shared, [X, 2 * X, np.stack([X, -X, 3 * X], axis=1)]),
    "stateful": (stateful, X),
}


def written(model):
    return json.dumps(model.get_config(), sort_keys=True)


def random_weights(model, seed=1):
    rng = np.random.default_rng(seed)
    model.set_weights([rng.uniform(0.1, 0.6, size=weight.shape) for weight in model.get_weights()])
    return model


def outputs_of(model, x):
    return [to_numpy(output) for output in keras.tree.flatten(model(x))]


def assert_same(values, others, atol=0.0):
    for value, other in zip(values, others, strict=True):
        np.testing.assert_allclose(value, other, atol=atol, rtol=0)


def recurrent_inside(model, package):
    found = [layer for layer in layers_inside(model) if isinstance(layer, K.RNN | K.Bidirectional)]
    return [layer for layer in found if type(layer).__module__.split(".")[0] == package]


@pytest.mark.parametrize("name", MODELS)
def test_a_model_there_and_back(name):
    make, x = MODELS[name]
    model = random_weights(make())
    config, weights = written(model), model.get_weights()
    ours = from_keras(model)
    back = to_keras(ours)
    expected = outputs_of(model, x)
    assert_same(outputs_of(ours, x), expected, atol=1e-6)
    assert_same(outputs_of(back, x), expected)
    assert written(model) == config == written(back)
    for other in (model, ours, back):
        assert type(other) is type(model) and other.name == model.name
        assert_same(other.get_weights(), weights)
    assert not recurrent_inside(ours, "keras") and not recurrent_inside(back, "rnnkit")
    assert len(recurrent_inside(ours, "rnnkit")) == len(recurrent_inside(model, "keras"))
    again = [outputs_of(other, x) for other in (model, ours, back)]  # a stateful model continues
    assert_same(again[1], again[0], atol=1e-6)
    assert_same(again[2], again[0])
    if name == "stateful":
        assert np.abs(again[0][0] - expected[0]).max() > 1e-3
        continued = from_keras(model)
        assert_same(outputs_of(continued, x), outputs_of(model, x), atol=1e-6)


def test_a_shared_layer_stays_shared():
    ours = from_keras(shared())
    assert ours.get_layer("shared") is ours.get_layer("inner").get_layer("shared")
    assert type(ours.get_layer("shared")) is R.LSTM


def random_layer(rng, sequences, package, depth=0):
    """A recurrent layer of Keras or rnnkit with random arguments, that the other package has, too."""

    def pick(*choices):
        return choices[rng.integers(len(choices))]

    lstm, gru, simple, rnn, both = (
        (K.LSTM, K.GRU, K.SimpleRNN, K.RNN, K.Bidirectional)
        if package == "keras"
        else (R.LSTM, R.GRU, R.Elman, R.Recurrent, R.Bidirectional)
    )
    cells = (K.LSTMCell, K.GRUCell, K.SimpleRNNCell) if package == "keras" else (R.LSTMCell, R.GRUCell, R.ElmanCell)
    cell = {
        "use_bias": pick(True, False),
        "activation": pick("tanh", "relu", "softsign"),
        "kernel_regularizer": pick(None, "l2"),
        "dropout": pick(0.0, 0.2),
        "recurrent_dropout": pick(0.0, 0.1),
        "seed": 1,
    }
    around = {
        "return_sequences": sequences,
        "go_backwards": depth == 0 and pick(True, False),
        "unroll": pick(True, False),
        "zero_output_for_mask": pick(True, False),
        "trainable": pick(True, False),
    }
    if keras.backend.backend() == "torch" and (around["go_backwards"] or depth == 1):
        around["unroll"] = False  # Keras cannot run both backwards and unrolled there, with a mask
    of_gru = {"reset_after": pick(True, False)}
    if package == "rnnkit":
        of_gru = pick(of_gru, {"convention": "chung"}, {"convention": "torch"})
    kind = pick("lstm", "gru", "simple", "rnn", *(["both"] if depth == 0 else []))
    if kind == "lstm":
        return lstm(UNITS, **cell, **around, recurrent_activation=pick("sigmoid", "hard_sigmoid"))
    if kind == "gru":
        return gru(UNITS, **cell, **around, **of_gru)
    if kind == "simple":
        return simple(UNITS, **cell, **around, activity_regularizer=pick(None, "l1") if package == "keras" else None)
    if kind == "rnn":
        made = [cells[0](3, **cell), cells[1](UNITS, **cell, **of_gru), cells[2](UNITS, **cell), Decay(UNITS)]
        return rnn(
            [made[index] for index in rng.permutation(4)[: rng.integers(2 if package == "keras" else 1, 4)]], **around
        )
    forward = random_layer(rng, sequences, package, depth=1)
    return both(forward, merge_mode=pick("concat", "sum", "mul", "ave"))


def random_model(seed, package):
    """Layers one after another, with skips, some of them for each part of a longer sequence."""
    rng = np.random.default_rng(seed)
    inputs = keras.Input((2, TIME, FEATURES), name="documents")
    masked = K.TimeDistributed(K.Masking())(inputs)
    sentences = K.TimeDistributed(random_layer(rng, False, package))(masked)
    x = K.Masking()(sentences)
    for _ in range(2):
        layer = random_layer(rng, True, package)
        x = K.Concatenate()([layer(x), x])
    return random_weights(keras.Model(inputs, random_layer(rng, False, package)(x)), seed)


@pytest.mark.parametrize("package", ["keras", "rnnkit"])
@pytest.mark.parametrize("seed", slow_except([0], range(6)))
def test_random_models(seed, package):
    model = random_model(seed, package)
    there, back = (from_keras, to_keras) if package == "keras" else (to_keras, from_keras)
    x = np.random.default_rng(seed).normal(size=(2, 2, TIME, FEATURES)).astype("float32")
    x[0, 1, 3:] = 0
    twin = there(model)
    again = back(twin)
    assert not recurrent_inside(twin, package), twin.summary()
    expected = outputs_of(model, x)
    for other in (twin, again):
        for value, right in zip(outputs_of(other, x), expected, strict=True):
            np.testing.assert_allclose(value, right, rtol=1e-6 * TIME, atol=1e-6)
    np.testing.assert_allclose(*[sum(to_numpy(loss) for loss in one.losses) for one in (twin, model)], rtol=1e-5)
    assert [tuple(weight.shape) for weight in twin.trainable_weights] == [
        tuple(weight.shape) for weight in model.trainable_weights
    ]
    if package == "keras":
        assert written(again) == written(model)
        assert_same(twin.get_weights(), model.get_weights())
        assert_same(again.get_weights(), model.get_weights())


def test_stacks_in_a_model():
    """An encoder's states, lowest layer first, start a decoder: in Keras, both are one loop over all cells."""
    source, target = keras.Input((TIME, FEATURES)), keras.Input((None, FEATURES))
    layers = [R.LSTM(UNITS, dropout=0.1), R.GRU(UNITS, convention="torch")]
    _, *states = R.Stacked(layers, return_state=True, go_backwards=True, name="encoder")(source)
    layers = [R.LSTM(UNITS), R.GRU(UNITS, convention="chung")]
    decoder = R.Stacked(layers, return_sequences=True, name="decoder", zero_output_for_mask=True)
    x = decoder(target, initial_state=states)
    model = random_weights(keras.Model([source, target], [x, *states]))
    theirs = to_keras(model)
    assert_same(outputs_of(theirs, [X, X[:, :3]]), outputs_of(model, [X, X[:, :3]]), atol=1e-6)
    assert not recurrent_inside(theirs, "rnnkit")
    ours = from_keras(theirs)
    assert_same(outputs_of(ours, [X, X[:, :3]]), outputs_of(model, [X, X[:, :3]]), atol=1e-6)
    assert_same(ours.get_weights(), theirs.get_weights())


def test_masks_in_stacks():
    tokens = keras.Input((TIME,), dtype="int32")
    x = K.Embedding(6, FEATURES, mask_zero=True)(tokens)
    options = [{"return_sequences": True}, {"return_sequences": True, "zero_output_for_mask": True}, {}]
    outputs = [R.Stacked([R.LSTM(2), R.Elman(3)], **one)(x) for one in options] + [R.Stacked([R.LSTM(2)])(x)]
    model = random_weights(keras.Model(tokens, outputs))
    assert_same(outputs_of(to_keras(model), TOKENS), outputs_of(model, TOKENS), atol=1e-6)


def test_a_compiled_model_goes_on_training():
    def loss(y, prediction):  # of nobody, not registered
        return keras.ops.mean((y - prediction) ** 2)

    model = random_weights(keras.Sequential([keras.Input((TIME, FEATURES)), K.SimpleRNN(2, unroll=True)]))
    model.compile(keras.optimizers.Adam(0.25), loss, metrics=["mae"])
    y = np.ones((2, 2), "float32")
    weights = model.get_weights()
    ours = from_keras(model)
    histories = [one.fit(X, y, epochs=2, verbose=0, shuffle=False).history for one in (ours, model)]
    for name, values in histories[1].items():
        np.testing.assert_allclose(histories[0][name], values, rtol=1e-4)
    assert_same(ours.get_weights(), model.get_weights(), atol=1e-4)
    assert any(np.abs(a - b).max() > 0.1 for a, b in zip(weights, model.get_weights(), strict=True))
    theirs = to_keras(ours)
    assert theirs.compiled and float(theirs.optimizer.learning_rate) == 0.25 and int(theirs.optimizer.iterations) == 0


def test_what_is_not_recurrent_is_copied_with_all_it_holds():
    class Shift(K.Layer):  # not registered
        def call(self, x):
            return x + self.amount

        def build(self, shape):
            self.amount = self.add_weight((1,), name="amount")

    normalization = K.Normalization()
    normalization.adapt(5 * X + 2)
    inputs = keras.Input((TIME, FEATURES))
    x = keras.ops.multiply(Shift()(normalization(inputs)), 2.0)
    x = K.Lambda(lambda x: -x, output_shape=lambda shape: shape)(x)
    model = keras.Model(inputs, K.GRU(UNITS)(K.Attention()([x, x])))
    model.get_layer("shift").amount.assign([0.7])
    ours = from_keras(model)
    assert_same(outputs_of(ours, X), outputs_of(model, X), atol=1e-6)
    ours.get_layer("shift").amount.assign([0.1])
    assert float(model.get_layer("shift").amount[0]) == np.float32(0.7)


def test_a_subclass_of_a_functional_model_keeps_its_methods():
    class Doubled(keras.Model):
        def predict(self, x):
            return 2 * super().predict(x, verbose=0)

    inputs = keras.Input((TIME, FEATURES))
    model = Doubled(inputs, K.LSTM(UNITS)(inputs))
    assert_same([from_keras(model).predict(X)], [model.predict(X)], atol=1e-6)


class MakesItsLayers(keras.Model):
    def __init__(self):
        inputs = keras.Input((TIME, FEATURES))
        super().__init__(inputs, K.LSTM(UNITS)(inputs))


class Subclassed(keras.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.encoder = R.LSTM(UNITS, name="encoder")

    def call(self, x):
        return self.encoder(x)


def model_of(layer):
    inputs = keras.Input((TIME, FEATURES))
    return keras.Model(inputs, layer(inputs))


@pytest.mark.parametrize(
    ("convert", "make", "message"),
    [
        (from_keras, Subclassed, "whose layers are made by its own code.*new.set_weights"),
        (from_keras, MakesItsLayers, "is a MakesItsLayers, which makes its layers itself"),
        (to_keras, lambda: model_of(R.PeepholeLSTM(3, name="gated")), "no PeepholeLSTM: 'gated' cannot"),
        (to_keras, lambda: model_of(R.Recurrent(R.PeepholeLSTMCell(3))), "no PeepholeLSTMCell"),
        (to_keras, lambda: model_of(R.Recurrent(R.ResidualCell(R.LSTMCell(3)))), "no ResidualCell"),
        (to_keras, lambda: model_of(R.Bidirectional(R.LayerNormLSTM(3))), "no LayerNormLSTM: 'forward_layer_norm"),
        (to_keras, lambda: model_of(R.LearnedInitialState(R.LSTM(3))), "no LearnedInitialState"),
        (to_keras, lambda: model_of(R.CRF(3, name="tags")), "no CRF: 'tags'"),
        (
            to_keras,
            lambda: model_of(Subclassed(name="mine")),
            "'encoder', which is made by the code of 'mine'",
        ),
        (to_keras, lambda: model_of(R.Stacked([R.LSTM(3), R.LSTM(3)], residual=True)), "no stack with residuals"),
        (
            to_keras,
            lambda: model_of(R.Stacked([R.Bidirectional(R.GRU(3))], name="stack")),
            "of 'stack' one by one",
        ),
        (to_keras, lambda: model_of(R.Elman(3, output_units=2, name="mapped")), "'mapped' has output_units"),
        (to_keras, lambda: model_of(R.Elman(3, activity_regularizer="l2")), "SimpleRNN ignores"),
        (to_keras, lambda: model_of(R.LSTM(3, dropout=0.1, dropout_each_step=True)), "has dropout_each_step=True"),
    ],
)
def test_what_cannot_be_expressed(convert, make, message):
    with pytest.raises(ValueError, match=message):
        convert(make())


def test_convolutional_layers_there_and_back():
    x = np.random.default_rng(0).normal(size=(2, 3, 6, 6, 2)).astype("float32")
    stack = [keras.layers.ConvLSTM2D(3, 3, return_sequences=True), keras.layers.ConvLSTM2D(2, 2)]
    model = keras.Sequential([keras.Input((3, 6, 6, 2)), *stack])
    ours = from_keras(model)
    assert all(type(layer) is R.ConvLSTM2D for layer in ours.layers)
    back = to_keras(ours)
    assert all(type(layer) is keras.layers.ConvLSTM2D for layer in back.layers)
    expected = model.predict(x, verbose=0)
    np.testing.assert_allclose(ours.predict(x, verbose=0), expected, atol=1e-6)
    np.testing.assert_allclose(back.predict(x, verbose=0), expected, atol=1e-6)
