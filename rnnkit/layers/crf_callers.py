"""What Keras makes of `class_weight` and `metrics` before a loss hears of it: the frames of the callers show it.

Keras takes a row of tags for the scores of classes, or for a single class. Both would go wrong without a word.
"""

import sys
from collections.abc import Iterator
from typing import Any

import keras

from rnnkit.annotations import Tensor

OF_IDS = ("Accuracy", "IoU", "MeanIoU", "Mean", "Sum", "MeanMetricWrapper")  # Keras's metrics that fit predicted ids


def check_training(tags: Tensor) -> None:
    """Checks what a model that is being trained or evaluated was given along with the tags of a `CRF`.

    Raises:
        ValueError: a `class_weight`; or metrics of Keras that take the tags for scores, such as "accuracy".
    """
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code.co_name in ("compute_loss", "fit", "train_on_batch"):
            names = frame.f_locals
            if isinstance(names.get("self"), keras.Model):
                _check_class_weight(names.get("class_weight"))
                _check_metrics(names["self"], names.get("y_pred"), tags)
        frame = frame.f_back


def _check_class_weight(class_weight):
    if class_weight is not None:
        raise ValueError(
            "CRFLoss expected no class_weight, received one: Keras takes the tags of a sentence for a single class. "
            f"Pass it to the loss, as CRFLoss(tag_weights={class_weight!r})."
        )


def _check_metrics(model, outputs, tags):
    for metrics in model.metrics:
        for given in (getattr(metrics, "_user_metrics", None), getattr(metrics, "_user_weighted_metrics", None)):
            for metric in _all(_of_output(given, outputs, tags, getattr(model, "output_names", None))):
                if not _takes_ids(metric):
                    raise ValueError(
                        "CRFLoss expected metrics of tags, which is what a CRF returns, received "
                        f"{metric if isinstance(metric, str) else getattr(metric, 'name', metric)!r}, which takes "
                        "them for scores: use rnnkit.metrics.MaskedAccuracy() or EntityF1 instead."
                    )


def _of_output(metrics, outputs, tags, names):
    """The metrics of that output which is the tags."""
    if outputs is tags:
        return metrics
    if isinstance(outputs, dict):
        names, outputs = list(outputs), list(outputs.values())
    if not isinstance(outputs, list | tuple) or not metrics:
        return None
    place = next((i for i, output in enumerate(outputs) if output is tags), None)
    if place is None or len(outputs) == 1:
        return None if place is None else metrics
    if isinstance(metrics, dict):
        return metrics.get(names[place]) if names else None
    return metrics[place] if len(metrics) == len(outputs) else None


def _all(metrics: Any) -> Iterator[Any]:
    if isinstance(metrics, dict):
        metrics = list(metrics.values())
    if isinstance(metrics, list | tuple):
        for metric in metrics:
            yield from _all(metric)
    elif metrics is not None:
        yield metrics


def _takes_ids(metric):
    if isinstance(metric, str):
        if metric.lower() in ("accuracy", "acc"):  # Keras chooses one by the shapes
            return False
        try:
            metric = keras.metrics.get(metric)
        except ValueError:
            return True  # Keras says what is wrong with it
    kind = type(metric) if isinstance(metric, keras.metrics.Metric) else metric
    is_kerass = getattr(kind, "__module__", "").startswith("keras.")
    return not is_kerass or getattr(kind, "__name__", "") in OF_IDS
