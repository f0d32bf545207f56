"""A class_weight and metrics that take tags for scores are refused where a model is trained with a CRFLoss."""

import keras
import numpy as np
import pytest
from keras import ops

from rnnkit.layers import CRF, CRFLoss
from rnnkit.metrics import EntityF1, MaskedAccuracy
from tests.layer_checks import EAGER, to_numpy

NAMES = ["O", "B-A", "I-A"]
X = np.array([[5, 3, 8, 2, 1], [4, 4, 9, 0, 0], [7, 0, 0, 0, 0]])
Y = np.array([[0, 1, 2, 0, 1], [1, 2, 2, 0, 0], [0, 0, 0, 0, 0]])


def tagger(mask=True, **compile_arguments):
    words = keras.Input((None,), dtype="int32")
    vectors = keras.layers.Embedding(10, 6, mask_zero=mask)(words)
    model = keras.Model(words, CRF(3, constraints=NAMES, name="crf")(keras.layers.Dense(3)(vectors)))
    model.compile("sgd", CRFLoss(), run_eagerly=EAGER, **compile_arguments)
    return model


@pytest.mark.parametrize("method", ["fit", "train_on_batch"])
def test_a_class_weight(method):
    run = getattr(tagger(), method)
    run(X, Y)
    with pytest.raises(ValueError, match=r"no class_weight, .*as CRFLoss\(tag_weights={0: 0.5, 2: 3.0}\)"):
        run(X, Y, class_weight={0: 0.5, 2: 3.0})


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize(
    "metrics",
    [
        {"metrics": ["accuracy"]},
        {"weighted_metrics": ["acc"]},
        {"metrics": {"crf": [MaskedAccuracy(), "accuracy"]}},
    ],
    ids=str,
)
def test_accuracy_as_a_word(metrics, mask):
    for method in ("fit", "evaluate", "train_on_batch"):
        with pytest.raises(ValueError, match="metrics of tags, .* received 'acc.*use rnnkit.metrics.MaskedAccuracy"):
            getattr(tagger(mask, **metrics), method)(X, Y)


@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="elsewhere, Keras tries metrics before the loss")
@pytest.mark.parametrize(
    "metric",
    [
        "sparse_categorical_accuracy",
        keras.metrics.CategoricalAccuracy(),
        keras.metrics.F1Score(),
        keras.metrics.sparse_categorical_crossentropy,
    ],
    ids=["name", "metric", "F1", "function"],
)
def test_metrics_of_scores(metric):
    with pytest.raises(ValueError, match="metrics of tags, which is what a CRF returns, received"):
        tagger(metrics=[metric]).evaluate(X, Y)


def equal(y_true, y_pred):
    return ops.cast(ops.equal(ops.cast(y_true, "int32"), y_pred), "float32")


def test_metrics_of_tags_fit():
    metrics = [keras.metrics.Accuracy(name="keras"), MaskedAccuracy(), EntityF1(NAMES), equal]
    model = tagger(metrics=metrics)
    found = model.evaluate(X, Y, verbose=0, return_dict=True)
    wanted = (to_numpy(model(X)) == Y)[X != 0].mean()
    for name in ("keras", "masked_accuracy", "equal"):
        assert found[name] == pytest.approx(wanted), name
    assert set(found) == {"loss", "keras", "masked_accuracy", "equal", "entity_f1"}


@pytest.mark.parametrize("kind", [dict, list])
def test_another_output_has_its_own_metrics(kind):
    words = keras.Input((5,), dtype="int32")
    vectors = keras.layers.Embedding(10, 6)(words)
    tags = CRF(3, name="tags")(keras.layers.Dense(3)(vectors))
    topic = keras.layers.Dense(2, "softmax", name="topic")(keras.layers.Flatten()(vectors))
    labels, losses = [Y, np.array([0, 1, 1])], [CRFLoss(), "sparse_categorical_crossentropy"]

    def model_with(of_tags, of_topic):
        def structure(values):
            return dict(zip(("tags", "topic"), values, strict=True)) if kind is dict else list(values)

        model = keras.Model(words, structure([tags, topic]))
        metrics = structure([of_tags, of_topic])
        model.compile("sgd", structure(losses), metrics=metrics, run_eagerly=EAGER)
        return model.evaluate(X, structure(labels), verbose=0, return_dict=True)

    assert "topic_accuracy" in model_with([MaskedAccuracy()], ["accuracy"])
    with pytest.raises(ValueError, match="received 'accuracy', which takes them for scores"):
        model_with(["accuracy"], ["accuracy"])
