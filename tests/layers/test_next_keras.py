"""Keras 3.16 will stop passing masks on from `RNN`, `Bidirectional` and `TimeDistributed`. Ours pass them on."""

import keras
import numpy as np
import pytest
from keras import ops

from rnnkit import backend
from rnnkit.layers import GRU, LSTM, Bidirectional, LearnedInitialState, Recurrent, Stacked
from tests.layer_checks import stateless, to_numpy

CLASSES = 3
IDS = np.array([[4, 2, 1, 3, 2], [3, 1, 4, 0, 0], [1, 2, 4, 0, 0], [0, 0, 2, 3, 1], [2, 0, 3, 0, 1]])
LABELS = np.array([[0, 1, 2, 1, 0], [2, 1, 1, 0, 0], [1, 0, 2, 0, 0], [0, 0, 1, 2, 0], [2, 0, 0, 0, 1]])
LENGTHS = (IDS > 0).sum(axis=1)
TAGGERS = {
    "LSTM on LSTM": lambda: [LSTM(4, return_sequences=True), LSTM(4, return_sequences=True)],
    "Recurrent": lambda: [Recurrent(keras.layers.GRUCell(4), return_sequences=True), GRU(4, return_sequences=True)],
    "Bidirectional": lambda: [
        Bidirectional(LSTM(3, return_sequences=True)),
        Bidirectional(GRU(3, return_sequences=True)),
    ],
    "Stacked": lambda: [
        Stacked([LSTM(4), Bidirectional(GRU(2)), LSTM(4)], residual=True, return_sequences=True),
        LSTM(4, return_sequences=True),
    ],
    "LearnedInitialState": lambda: [
        LearnedInitialState(LSTM(4, return_sequences=True), initializer="ones"),
        LearnedInitialState(Bidirectional(GRU(3, return_sequences=True)), initializer="ones"),
    ],
}
CLASSIFIERS = {
    "LSTM on LSTM": lambda: [LSTM(4, return_sequences=True), LSTM(4)],
    "Bidirectional": lambda: [Bidirectional(LSTM(3, return_sequences=True)), Bidirectional(GRU(3))],
    "Stacked": lambda: [Stacked([LSTM(4), GRU(4)], residual=True, return_sequences=True), Stacked([LSTM(4), GRU(4)])],
}
OF_KERAS = {
    "LSTM on LSTM": lambda: [keras.layers.LSTM(4, return_sequences=True) for _ in range(2)],
    "Bidirectional": lambda: [
        keras.layers.Bidirectional(keras.layers.LSTM(3, return_sequences=True)) for _ in range(2)
    ],
}


@pytest.fixture
def next_keras(monkeypatch):
    """Lets the constructors of Keras's three layers end as they do in its next version."""

    def patch():
        for kind in (keras.layers.RNN, keras.layers.Bidirectional, keras.layers.TimeDistributed):

            def __init__(self, *args, original=kind.__init__, **kwargs):
                original(self, *args, **kwargs)
                self.supports_masking = False

            monkeypatch.setattr(kind, "__init__", __init__)

    return patch


def model_of(layers):
    keras.utils.set_random_seed(3)
    model = keras.Sequential(
        [keras.layers.Embedding(5, 4, mask_zero=True), *layers(), keras.layers.Dense(CLASSES, activation="softmax")]
    )
    model.compile(keras.optimizers.SGD(0.5), loss="sparse_categorical_crossentropy", run_eagerly=True)
    model.build(IDS.shape)
    rng = np.random.default_rng(2)
    model.set_weights([rng.normal(scale=0.7, size=weight.shape) for weight in model.get_weights()])
    return model


def results(layers, labels):
    """Outputs, loss, and weights after a step of gradient descent."""
    model = model_of(layers)
    outputs = to_numpy(model(IDS))
    return [outputs, model.train_on_batch(IDS, labels), *model.get_weights()]


def without_padding(layers, labels):
    """The same from rows without their padding, those of one length as a batch, and without a mask."""
    model = model_of(layers)
    model.layers[0].mask_zero = False
    batches = []
    for length in np.unique(LENGTHS):
        rows = LENGTHS == length
        unmasked = IDS[rows] > 0
        targets = labels[rows][unmasked].reshape(-1, length) if labels.ndim == 2 else labels[rows]
        batches.append((rows, IDS[rows][unmasked].reshape(-1, length), targets))

    def loss(*weights):
        total = 0.0
        for _, ids, targets in batches:
            probabilities = stateless(model, weights, ids)[0]
            picked = ops.sum(probabilities * ops.one_hot(ops.convert_to_tensor(targets), CLASSES), axis=-1)
            total = total - ops.sum(ops.log(picked))
        return total / sum(targets.size for _, _, targets in batches)

    outputs = [None] * len(IDS)
    for rows, ids, _ in batches:
        for row, output in zip(np.flatnonzero(rows), to_numpy(model(ids)), strict=True):
            outputs[row] = output
    weights = model.get_weights()
    tensors = [ops.convert_to_tensor(weight) for weight in weights]
    gradients = [to_numpy(gradient) for gradient in backend.gradient(loss, tensors)]
    return outputs, float(loss(*tensors)), [w - 0.5 * g for w, g in zip(weights, gradients, strict=True)]


@pytest.mark.parametrize(
    "name",
    ["LSTM on LSTM", *(pytest.param(name, marks=pytest.mark.slow) for name in TAGGERS if name != "LSTM on LSTM")],
)
def test_a_tagger_sees_no_padding(name, next_keras):
    expected, loss, weights = without_padding(TAGGERS[name], LABELS)
    today = results(TAGGERS[name], LABELS)
    next_keras()
    tomorrow = results(TAGGERS[name], LABELS)
    for value, same in zip(tomorrow, today, strict=True):
        np.testing.assert_array_equal(value, same)
    for b, row in enumerate(expected):
        np.testing.assert_allclose(tomorrow[0][b][IDS[b] > 0], row, atol=1e-6)
    np.testing.assert_allclose(tomorrow[1], loss, atol=1e-6)
    for value, same in zip(tomorrow[2:], weights, strict=True):
        np.testing.assert_allclose(value, same, atol=2e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_sees_no_padding(name, next_keras):
    expected, loss, weights = without_padding(CLASSIFIERS[name], LABELS[:, 2])
    today = results(CLASSIFIERS[name], LABELS[:, 2])
    next_keras()
    tomorrow = results(CLASSIFIERS[name], LABELS[:, 2])
    for value, same in zip(tomorrow, today, strict=True):
        np.testing.assert_array_equal(value, same)
    np.testing.assert_allclose(tomorrow[0], np.stack(expected), atol=1e-6)
    np.testing.assert_allclose(tomorrow[1], loss, atol=1e-6)
    for value, same in zip(tomorrow[2:], weights, strict=True):
        np.testing.assert_allclose(value, same, atol=2e-6)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask")
@pytest.mark.parametrize("name", OF_KERAS)
def test_layers_of_the_next_keras_alone_read_the_padding(name, next_keras):
    """The control: if they did not, the tests above could not fail."""
    _, loss, _ = without_padding(OF_KERAS[name], LABELS)
    next_keras()
    assert abs(results(OF_KERAS[name], LABELS)[1] - loss) > 1e-3
