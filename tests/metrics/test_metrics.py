"""rnnkit.metrics: against float64 NumPy, brute force, and inside compile, fit and evaluate."""

import math
from functools import cache

import keras
import numpy as np
import pytest
from keras import ops

from rnnkit.metrics import (
    MaskedAccuracy,
    Perplexity,
    alignment_error_rate,
    closest_references,
    error_rate,
    extract_alignment,
    sequence_error_rate,
)

VOCABULARY = 7


def batches(lengths=(3, 11, 6), seed=0):
    """Batches of different lengths: ids, logits of both signs, and weights, some of them 0."""
    random = np.random.default_rng(seed)
    for rows, time in zip((4, 2, 5), lengths, strict=True):
        y_true = random.integers(0, VOCABULARY, (rows, time), dtype="int32")
        logits = random.normal(0, 3, (rows, time, VOCABULARY)).astype("float32")
        yield y_true, logits, random.integers(0, 3, (rows, time)).astype("float32")


def oracle(rows):
    """Perplexity and accuracy in float64, token by token, of (id, logits, weight)."""
    total, right, count = 0.0, 0.0, 0.0
    for y_true, logits, weights in rows:
        for index in np.ndindex(y_true.shape):
            x = logits[index].astype("float64")
            total -= weights[index] * (x[y_true[index]] - np.log(np.exp(x - x.max()).sum()) - x.max())
            right += weights[index] * (x.argmax() == y_true[index])
            count += weights[index]
    return math.exp(total / count), right / count


def result(metric, batches):
    for batch in batches:
        metric.update_state(*batch)
    return float(metric.result())


def softmax(x):
    x = np.exp(x - x.max(-1, keepdims=True))
    return x / x.sum(-1, keepdims=True)


def test_tokens_count_by_their_weight_in_batches_of_any_length():
    perplexity, accuracy = oracle(batches())
    assert result(Perplexity(from_logits=True), batches()) == pytest.approx(perplexity, rel=1e-5)
    assert result(MaskedAccuracy(), batches()) == pytest.approx(accuracy, rel=1e-6)
    probabilities = [(y_true, softmax(logits), weights) for y_true, logits, weights in batches()]
    assert result(Perplexity(), probabilities) == pytest.approx(perplexity, rel=1e-5)
    assert result(MaskedAccuracy(), probabilities) == pytest.approx(accuracy, rel=1e-6)


def test_without_weights_every_token_counts_once():
    rows = [(y_true, logits, np.ones(y_true.shape)) for y_true, logits, _ in batches()]
    perplexity, accuracy = oracle(rows)
    assert result(Perplexity(from_logits=True), [row[:2] for row in rows]) == pytest.approx(perplexity, rel=1e-5)
    assert result(MaskedAccuracy(), [row[:2] for row in rows]) == pytest.approx(accuracy, rel=1e-6)
    # Keras's own mean gives tokens of long batches less weight: the test distinguishes the two.
    keras_own = keras.metrics.SparseCategoricalAccuracy()
    assert abs(result(keras_own, [(y, x, np.ones(y.shape)) for y, x, _ in rows]) - accuracy) > 0.01


@pytest.mark.parametrize("shape", ["(batch,)", "(batch, 1)", "booleans", "ids (batch, time, 1)"])
def test_shapes_of_weights_and_targets(shape):
    def changed(y_true, logits, weights):
        if shape == "(batch,)":
            return y_true, logits, weights[:, 0]
        if shape == "(batch, 1)":
            return y_true, logits, weights[:, :1]
        if shape == "booleans":
            return y_true, logits, weights > 0
        return y_true[..., None], logits, weights

    def full(y_true, logits, weights):
        if shape.startswith("(batch"):
            return y_true, logits, np.broadcast_to(weights[:, :1], weights.shape)
        return y_true, logits, weights > 0 if shape == "booleans" else weights

    perplexity, accuracy = oracle(full(*batch) for batch in batches())
    assert result(Perplexity(from_logits=True), [changed(*batch) for batch in batches()]) == pytest.approx(
        perplexity, rel=1e-5
    )
    assert result(MaskedAccuracy(), [changed(*batch) for batch in batches()]) == pytest.approx(accuracy, rel=1e-6)


@pytest.mark.parametrize("ignored", [0, -1, 3])
def test_ignored_class(ignored):
    def padded(y_true, logits, weights):
        return np.where(y_true == 3, np.int32(ignored), y_true), logits, weights

    def kept(y_true, logits, weights):
        return np.maximum(y_true, 0), logits, np.where(y_true == ignored, 0, weights)

    perplexity, accuracy = oracle(kept(*padded(*batch)) for batch in batches())
    data = [padded(*batch) for batch in batches()]
    assert result(Perplexity(from_logits=True, ignore_class=ignored), data) == pytest.approx(perplexity, rel=1e-5)
    assert result(MaskedAccuracy(ignore_class=ignored), data) == pytest.approx(accuracy, rel=1e-6)


@pytest.mark.parametrize("metric", [Perplexity(from_logits=True), Perplexity(), MaskedAccuracy()])
@pytest.mark.parametrize("garbage", [np.nan, np.inf, -np.inf, 1e30])
def test_the_content_of_the_padding_does_not_matter(metric, garbage):
    (y_true, logits, _), *_ = batches()
    y_pred = logits if getattr(metric, "from_logits", True) else softmax(logits)
    mask = np.arange(3) < np.array([3, 1, 2, 3])[:, None]
    metric.reset_state()
    clean = result(metric, [(y_true, y_pred, mask)])
    metric.reset_state()
    assert result(metric, [(y_true, np.where(mask[..., None], y_pred, np.float32(garbage)), mask)]) == clean


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_only_that_of_the_predictions(dtype):
    data = [(y, ops.cast(ops.convert_to_tensor(x), dtype), w) for y, x, w in batches((40, 800, 100))]
    rows = [(y, ops.convert_to_numpy(ops.cast(x, "float32")), w) for y, x, w in data]
    assert result(Perplexity(from_logits=True), data) == pytest.approx(oracle(rows)[0], rel=1e-5)
    assert result(MaskedAccuracy(), data) == pytest.approx(oracle(rows)[1], rel=1e-5)


@pytest.mark.parametrize("floatx", ["float16", "bfloat16"])
def test_sums_stay_in_float32_whatever_the_type_of_the_session(floatx):
    """In float16 the count of 70,000 tokens would be infinity, in bfloat16 it would stop at 256."""
    before = keras.config.floatx()
    keras.config.set_floatx(floatx)
    try:
        metric = MaskedAccuracy()
        y_true = np.zeros((70, 1000), "int32")
        metric.update_state(y_true, np.eye(2, dtype="float32")[np.arange(1000) % 2][None].repeat(70, 0))
        assert [float(metric.result()), float(metric.count)] == pytest.approx([0.5, 70_000], rel=1e-6)
    finally:
        keras.config.set_floatx(before)


def test_a_probability_of_zero_is_finite_and_a_logit_of_minus_infinity_is_not():
    certain = [[[1.0, 0.0]]]
    assert result(Perplexity(), [([[1]], certain)]) == pytest.approx(1e7, rel=1e-4)
    assert result(Perplexity(from_logits=True), [([[1]], [[[0.0, -math.inf]]])]) == math.inf


def test_predictions_may_be_ids():
    """As a CRF returns them."""
    ids = [(y_true, logits.argmax(-1), weights) for y_true, logits, weights in batches()]
    assert result(MaskedAccuracy(), ids) == pytest.approx(result(MaskedAccuracy(), batches()), rel=1e-6)
    for y_pred in (np.zeros((2, 4), "int32"), np.zeros((2, 3), "float32")):
        with pytest.raises(ValueError, match=r"\(batch, time, vocabulary\) or ids \(batch, time\), received shapes"):
            MaskedAccuracy().update_state(np.zeros((2, 3), "int32"), y_pred)


def test_nothing_counted():
    nothing = [(y_true, logits, np.zeros(y_true.shape)) for y_true, logits, _ in batches()]
    for data in ([], nothing):
        assert math.isnan(result(Perplexity(from_logits=True), data))
        assert result(MaskedAccuracy(), data) == 0.0
    metric = Perplexity(from_logits=True)
    first = result(metric, batches())
    metric.reset_state()
    assert result(metric, batches()) == first


@pytest.mark.parametrize("metric", [Perplexity(from_logits=True), MaskedAccuracy()])
@pytest.mark.parametrize(
    ("y_true", "y_pred", "weights", "message"),
    [
        ((2, 3), (2, 4, 5), None, r"received shapes \(2, 3\) and \(2, 4, 5\)"),
        ((2, 3, 5), (2, 3, 5), None, "not one-hot rows"),
        ((2,), (2, 5), None, "expected targets"),
        ((2, 3), (2, 3, 5), (2, 4), r"sample_weight of shape .* received \(2, 4\)"),
        ((2, 3), (2, 3, 5), (3,), r"received \(3,\)"),
        ((2, 3), (2, 3, 5), (2, 3, 1), r"received \(2, 3, 1\)"),
    ],
)
def test_wrong_shapes_are_refused(metric, y_true, y_pred, weights, message):
    weights = None if weights is None else np.ones(weights, "float32")
    with pytest.raises(ValueError, match=message):
        metric.update_state(np.zeros(y_true, "int32"), np.zeros(y_pred, "float32"), weights)


def test_metrics_are_serialized():
    for metric in (Perplexity(from_logits=True, ignore_class=0, name="ppl"), MaskedAccuracy(ignore_class=-1)):
        copy = keras.metrics.deserialize(keras.metrics.serialize(metric))
        assert type(copy) is type(metric) and copy.get_config() == metric.get_config()
        assert copy.get_config()["dtype"] == "float32"


def tagger(masked, **weighted_metrics):
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            keras.layers.Embedding(VOCABULARY, 4, mask_zero=masked),
            keras.layers.Dense(VOCABULARY),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, **weighted_metrics)
    return model


def sentences(rows=10, time=9):
    random = np.random.default_rng(3)
    x = random.integers(1, VOCABULARY, (rows, time), dtype="int32")
    lengths = random.integers(1, time + 1, rows)
    x = np.where(np.arange(time) < lengths[:, None], x, 0)
    return x, np.roll(x, 1, axis=1)


def weighted():
    return [Perplexity(from_logits=True), MaskedAccuracy()]


@pytest.mark.parametrize(
    "way",
    [
        "mask of the model",
        pytest.param("sample_weight", marks=pytest.mark.slow),
        pytest.param("ignore_class", marks=pytest.mark.slow),
        pytest.param("mask and sample_weight", marks=pytest.mark.slow),
    ],
)
def test_masks_in_fit_and_evaluate(way, tmp_path):
    x, y = sentences()
    counts = x != 0
    metrics = weighted()
    if way == "ignore_class":
        y = np.where(counts, y, 0)
        counts = y != 0
        metrics = [Perplexity(from_logits=True, ignore_class=0), MaskedAccuracy(ignore_class=0)]
    model = tagger(masked=way.startswith("mask"), weighted_metrics=metrics)
    weights = {}
    if way.endswith("sample_weight"):
        counts = counts * (np.arange(10) + 1.0)[:, None]
        weights = {"sample_weight": counts.astype("float32")}
    # On PyTorch, Keras's loss writes total / valid of each batch into the sample_weight that it shares with the metrics
    # (apply_mask multiplies in place): there, only the tokens of one batch can be compared.
    size = 10 if keras.backend.backend() == "torch" and way == "mask and sample_weight" else 4
    history = model.fit(x, y, batch_size=size, epochs=1, verbose=0, **weights).history
    assert history["perplexity"][0] > 1 and 0 <= history["masked_accuracy"][0] <= 1
    logits = ops.convert_to_numpy(model(x))
    perplexity, accuracy = oracle([(y, logits, counts.astype("float64"))])

    model.save(tmp_path / "model.keras")
    for each in (model, keras.models.load_model(tmp_path / "model.keras")):
        found = each.evaluate(x, y, batch_size=size, return_dict=True, verbose=0, **weights)
        assert found["perplexity"] == pytest.approx(perplexity, rel=1e-5)
        assert found["masked_accuracy"] == pytest.approx(accuracy, rel=1e-5)


def test_early_stopping_knows_which_way_is_better():
    x, y = sentences()
    model = tagger(masked=True, weighted_metrics=weighted())
    model.run_eagerly = True  # compiles nothing
    stopping = [keras.callbacks.EarlyStopping(name) for name in ("val_perplexity", "val_masked_accuracy")]
    model.fit(x, y, validation_data=(x, y), verbose=0, callbacks=stopping)
    assert [callback.monitor_op(1, 2) for callback in stopping] == [True, False]


def test_alignment_error_rate_is_one_minus_f1_on_all_small_cases():
    """AER = 1 - 2 P R / (P + R) where sure and possible are the same, on every pair of sets of three links."""
    links = [(0, 0), (0, 1), (1, 0)]
    subsets = [{link for bit, link in enumerate(links) if number >> bit & 1} for number in range(1, 8)]
    for a in subsets:
        for s in subsets:
            precision, recall = len(a & s) / len(a), len(a & s) / len(s)
            f1 = 2 * precision * recall / (precision + recall) if a & s else 0.0
            assert alignment_error_rate([a], [s]) == pytest.approx(1 - f1)


def test_alignment_error_rate_of_a_corpus():
    predicted, sure = [{(0, 0)}, {(0, 0), (1, 1), (2, 2)}], [{(0, 0)}, {(0, 1), (1, 1), (2, 0)}]
    assert alignment_error_rate(predicted, sure) == pytest.approx(1 - 2 * 2 / 8)  # not the mean of 0 and 2/3
    # By hand: A and S share 2 links, A and P (with S) share 3, |A| + |S| = 8.
    assert alignment_error_rate(predicted, sure, possible=[set(), {(2, 2), (5, 5)}]) == pytest.approx(3 / 8)
    assert alignment_error_rate(predicted, sure, possible=[sure[0], sure[1] | {(2, 2)}]) == pytest.approx(3 / 8)
    assert alignment_error_rate([set()], [{(0, 0)}]) == 1.0
    assert alignment_error_rate([[[0, 0]], np.array([[1, 1]])], [[(0, 0)], [(np.int64(1), 1)]]) == 0.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([{(0, 0)}], []), "1 predicted, 0 sure and 0 possible"),
        (([{(0, 0)}], [{(0, 0)}], [set(), set()]), "1 predicted, 1 sure and 2 possible"),
        (([set()], [set()]), "at least one predicted or sure link"),
        (({(0, 0)}, [{(0, 0)}]), "Put the links of a single sentence into a list"),
        (([{(0, 0)}], [{(0, 0, 1)}]), "expected sure to hold a set of pairs"),
        (([{(0.5, 0)}], [{(0, 0)}]), "expected predicted to hold"),
        (([["01"]], [{(0, 1)}]), "expected predicted to hold"),
    ],
)
def test_alignment_error_rate_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        alignment_error_rate(*arguments)


def links_by_loops(weights, queries, values, threshold):
    found = []
    for row, query, value in zip(weights, queries, values, strict=True):
        links = set()
        for target in np.flatnonzero(query):
            sources = [source for source in np.flatnonzero(value) if row[target][source] > 0]
            if threshold is not None:
                links |= {(source, target) for source in sources if row[target][source] >= threshold}
            elif sources:
                links.add((max(sources, key=lambda source: row[target][source]), target))
        found.append(links)
    return found


@pytest.mark.parametrize("threshold", [None, 0.25])
@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_hard_links_respect_masks(threshold, dtype):
    random = np.random.default_rng(1)
    weights = random.integers(0, 5, (6, 7, 5)) / 8  # with ties, and zeros
    queries, values = random.random((6, 7)) < 0.7, random.random((6, 5)) < 0.7
    values[2] = False
    weights[0, 0] = np.where(values[0], 0, 0.9)
    found = extract_alignment(
        ops.cast(ops.convert_to_tensor(weights), dtype), queries, ops.convert_to_tensor(values), threshold
    )
    assert found == links_by_loops(weights, queries, values, threshold)
    assert found[2] == set()
    assert extract_alignment(weights, threshold=threshold) == links_by_loops(
        weights, np.ones((6, 7)), np.ones((6, 5)), threshold
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weights": np.zeros((2, 3))}, r"received shape \(2, 3\)"),
        ({"query_mask": np.ones((2, 4))}, r"query_mask of shape \(2, 3\), .* received \(2, 4\)"),
        ({"value_mask": np.ones((2, 3))}, r"value_mask of shape \(2, 4\), .* received \(2, 3\)"),
        ({"threshold": 0}, "above 0, received 0"),
        ({"threshold": math.nan}, "above 0, received nan"),
        ({"weights": np.full((2, 3, 4), -0.5)}, "Pass probabilities, not logits"),
        ({"weights": np.full((2, 3, 4), math.nan)}, "NaN"),
    ],
)
def test_hard_links_refuse(arguments, message):
    with pytest.raises(ValueError, match=message):
        extract_alignment(**{"weights": np.zeros((2, 3, 4)), **arguments})


@cache
def changes(left, right):
    """The fewest changes, by the recursion that tries everything."""
    if not left or not right:
        return len(left) + len(right)
    return min(
        changes(left[1:], right) + 1,
        changes(left, right[1:]) + 1,
        changes(left[1:], right[1:]) + (left[0] != right[0]),
    )


def random_words(count, seed):
    random = np.random.default_rng(seed)
    return ["".join(random.choice(list("abc"), random.integers(0, 9))) for _ in range(count)]


def test_error_rates_against_brute_force():
    predicted, references = random_words(200, 1), random_words(200, 2)
    expected = sum(map(changes, predicted, references)) / sum(map(len, references))
    assert error_rate(predicted, references) == expected
    assert error_rate(map(list, predicted), map(tuple, references)) == expected
    ids = [np.array([ord(letter) for letter in word], "int32") for word in predicted]
    assert error_rate(ids, [[ord(letter) for letter in word] for word in references]) == expected
    assert error_rate([word[:1] for word in predicted], predicted) < 1 < error_rate(["aaa"], ["b"])
    wrong = sum(left != right for left, right in zip(predicted, references, strict=True))
    assert sequence_error_rate(predicted, references) == wrong / 200
    assert error_rate(predicted, predicted) == sequence_error_rate(predicted, predicted) == 0


def test_closest_references_against_brute_force():
    predicted = random_words(50, 1)
    alternatives = [random_words(3, seed) for seed in range(50)]
    found = closest_references(predicted, alternatives)
    for word, candidates, chosen in zip(predicted, alternatives, found, strict=True):
        assert chosen in candidates
        assert changes(word, chosen) == min(changes(word, candidate) for candidate in candidates)


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (error_rate, (["a"], []), "received 0 for 1"),
        (error_rate, (["a"], [""]), "at least one token"),
        (error_rate, (["a b"], [["a", "b"]]), "two strings or two lists of tokens at index 0"),
        (error_rate, ([3], [4]), "received 3 and 4"),
        (sequence_error_rate, ([], []), "at least one sequence"),
        (sequence_error_rate, ([["a"]], ["a"]), "two strings or two lists"),
        (closest_references, (["a"], ["a"]), "list of at least one sequence at index 0"),
        (closest_references, (["a"], [[]]), "list of at least one sequence"),
        (closest_references, ([["K", "AE"]], [["K", "AE"]]), "two strings or two lists"),
        (closest_references, (["a"], []), "received 0 for 1"),
    ],
)
def test_error_rates_refuse(function, arguments, message):
    with pytest.raises(ValueError, match=message):
        function(*arguments)
