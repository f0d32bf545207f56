"""The next Keras (3.16) stops `RNN`, `Bidirectional` and `TimeDistributed` from passing masks on. Ours go on."""

import keras
import numpy as np
import pytest
from keras import ops

from rnnkit import backend
from rnnkit.layers import GRU, LSTM, Bidirectional, LearnedInitialState, Recurrent, Stacked
from tests.layer_checks import stateless, to_numpy

CLASSES = 3
IDS = np.array([[4, 2, 1, 3, 2], [3, 1, 0, 0, 0], [1, 2, 4, 0, 0], [0, 0, 2, 3, 1], [2, 0, 3, 0, 1]])
LABELS = np.array([[0, 1, 2, 1, 0], [2, 1, 0, 0, 0], [1, 0, 2, 0, 0], [0, 0, 1, 2, 0], [2, 0, 0, 0, 1]])
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
    """The constructors of Keras's three layers end as they do in its next version."""

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
    loss = model.evaluate(IDS, labels, verbose=0)
    model.train_on_batch(IDS, labels)
    return [outputs, loss, *model.get_weights()]


def alone(layers, labels):
    """The same, from each row alone without its padding and without a mask."""
    model = model_of(layers)
    model.layers[0].mask_zero = False
    rows = [ids[ids > 0][None] for ids in IDS]
    outputs = [to_numpy(model(row))[0] for row in rows]
    targets = [labels[b][ids > 0] if labels.ndim == 2 else labels[b : b + 1] for b, ids in enumerate(IDS)]

    def loss(*weights):
        total = 0.0
        for row, target in zip(rows, targets, strict=True):
            probabilities = ops.reshape(stateless(model, weights, row)[0], (-1, CLASSES))
            picked = ops.sum(probabilities * ops.one_hot(ops.convert_to_tensor(target), CLASSES), axis=-1)
            total = total - ops.sum(ops.log(picked))
        return total / sum(len(target) for target in targets)

    weights = model.get_weights()
    tensors = [ops.convert_to_tensor(weight) for weight in weights]
    gradients = [to_numpy(gradient) for gradient in backend.gradient(loss, tensors)]
    return outputs, float(loss(*tensors)), [w - 0.5 * g for w, g in zip(weights, gradients, strict=True)]


@pytest.mark.parametrize("name", TAGGERS)
def test_a_tagger_sees_no_padding(name, next_keras):
    expected, loss, weights = alone(TAGGERS[name], LABELS)
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


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_sees_no_padding(name, next_keras):
    expected, loss, weights = alone(CLASSIFIERS[name], LABELS[:, 2])
    today = results(CLASSIFIERS[name], LABELS[:, 2])
    next_keras()
    tomorrow = results(CLASSIFIERS[name], LABELS[:, 2])
    for value, same in zip(tomorrow, today, strict=True):
        np.testing.assert_array_equal(value, same)
    np.testing.assert_allclose(tomorrow[0], np.stack(expected), atol=1e-6)
    np.testing.assert_allclose(tomorrow[1], loss, atol=1e-6)
    for value, same in zip(tomorrow[2:], weights, strict=True):
        np.testing.assert_allclose(value, same, atol=2e-6)


@pytest.mark.filterwarnings("ignore:Layer .* was passed an input with a mask")
@pytest.mark.parametrize("name", OF_KERAS)
def test_of_keras_alone_the_next_version_reads_the_padding(name, next_keras):
    """The control: were it not so, the tests above could not fail."""
    _, loss, _ = alone(OF_KERAS[name], LABELS)
    next_keras()
    assert abs(results(OF_KERAS[name], LABELS)[1] - loss) > 1e-3
