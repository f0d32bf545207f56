"""Labels of a CRF that have weights or are distributions, against the sum over all paths, and in the loss."""

import keras
import numpy as np
import pytest
from keras import ops

from rnnkit import backend
from rnnkit.layers import CRF, CRFLoss
from tests import crf_oracle, oracles
from tests.layer_checks import EAGER, to_numpy

NAMES = ["I-A", "O", "B-A"]
LEGAL = crf_oracle.obeys(NAMES, "BIO")
MASK = np.array([[1, 1, 1, 1], [1, 0, 1, 1], [0, 1, 0, 0], [0, 0, 0, 0]], bool)
RNG = np.random.default_rng(0)
EMISSIONS = RNG.normal(scale=2.0, size=(*MASK.shape, 3)).astype("float32")
TAGS = np.array([[2, 0, 0, 1], [2, -9, 0, 1], [-9, 1, -9, -9], [-9] * 4])
WEIGHTS = np.array([[0.5, 2.0, 1.0, 0.3], [1.5, np.nan, 0.0, 4.0], [-1.0, 0.7, 3.0, 3.0], [1.0] * 4], "float32")
SOFT = RNG.dirichlet([0.7] * 3, size=MASK.shape).astype("float32")
SOFT[0, 1] = [0.0, 1.0, 0.0]
SOFT[~MASK] = np.nan


def layer_of(**kwargs):
    layer = CRF(3, constraints=NAMES, **kwargs)
    layer.build((None, None, 3))
    rng = np.random.default_rng(7)
    layer.set_weights([rng.normal(size=weight.shape) for weight in layer.get_weights()])
    return layer


def weighted(weights, row, allowed, w):
    """By the chain rule, each probability being a sum over all sequences."""

    def log_p(sets):
        return crf_oracle.log_likelihood(weights, row, sets, LEGAL)

    everything, value = set(range(3)), 0.0
    known = [everything] * len(row)
    for t, weight in enumerate(w):
        if weight > 0:
            before, known = known, [*known[:t], allowed[t], *known[t + 1 :]]
            value += weight * (log_p(known) - log_p(before))
    return value


def negative_cross_entropy(weights, row, q):
    sequences, scores = crf_oracle.sequences_and_scores(weights, row, LEGAL)
    p_of_q = np.prod(np.asarray(q, "float64")[np.arange(len(row)), sequences], axis=1)
    return (p_of_q / p_of_q.sum() * (scores - crf_oracle.log_sum_exp(scores))).sum()


def of_each_row(function, weights, emissions, *others):
    rows = enumerate(MASK)
    return np.array([function(weights, emissions[b][m], *(x[b][m] for x in others)) for b, m in rows])


def of_tags(weights, row, tags, w):
    return weighted(weights, row, [{tag} for tag in tags], w)


def of_sets(weights, row, sets, w):
    return weighted(weights, row, [set(np.flatnonzero(tags)) for tags in sets], w)


SETS = np.eye(3, dtype=bool)[np.maximum(TAGS, 0)]
SETS[0, 2] = SETS[1, 0] = True
CASES = {
    "weighted tags": (of_tags, (TAGS, WEIGHTS), lambda crf, x: crf.log_likelihood(x, TAGS, MASK, WEIGHTS)),
    "weighted sets": (of_sets, (SETS, WEIGHTS), lambda crf, x: crf.log_likelihood(x, SETS, MASK, WEIGHTS)),
    "distributions": (negative_cross_entropy, (SOFT,), lambda crf, x: crf.log_likelihood(x, SOFT, MASK)),
}


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_equal_the_sum_over_all_paths(name):
    oracle, labels, ours = CASES[name]
    layer = layer_of()
    inputs = [*(weight.astype("float64") for weight in layer.get_weights()), EMISSIONS.astype("float64")]
    wanted = of_each_row(oracle, inputs[:3], EMISSIONS, *labels)
    garbage = np.where(MASK[..., None], EMISSIONS, np.nan)
    np.testing.assert_allclose(to_numpy(ours(layer, garbage)), wanted, rtol=2e-6, atol=4e-6)
    assert wanted[3] == 0 and (wanted[:3] < -0.1).all()
    by_row = np.array([1.0, -0.5, 2.0, 3.0])

    def loss(*tensors):
        mapping = list(zip(layer.trainable_variables, tensors[:3], strict=True))
        with keras.StatelessScope(state_mapping=mapping):
            return ops.sum(ours(layer, tensors[3]) * ops.convert_to_tensor(by_row, "float32"))

    def numbers(index, array):
        *weights, x = [*inputs[:index], array, *inputs[index + 1 :]]
        return (by_row * of_each_row(oracle, weights, x, *labels)).sum()

    tensors = [ops.convert_to_tensor(array, "float32") for array in [*inputs[:3], garbage]]
    for index, gradient in enumerate(backend.gradient(loss, tensors)):
        wanted = oracles.numerical_gradient(lambda array, index=index: numbers(index, array), inputs[index])
        np.testing.assert_allclose(to_numpy(gradient), wanted, atol=5e-5, err_msg=str(index))


def test_weights_and_distributions_that_say_no_more_than_labels():
    layer, ones = layer_of(), np.ones(MASK.shape)
    plain = to_numpy(layer.log_likelihood(EMISSIONS, TAGS, MASK))
    np.testing.assert_allclose(to_numpy(layer.log_likelihood(EMISSIONS, TAGS, MASK, ones)), plain, atol=1e-5)
    np.testing.assert_allclose(to_numpy(layer.log_likelihood(EMISSIONS, TAGS, MASK, 3 * ones)), 3 * plain, atol=1e-5)
    known = np.array([[1, 0, 0, 1], [0, 1, 1, 1], [1, 0, 1, 1], [1, 1, 1, 1]])
    sets = np.where(known[..., None], np.eye(3)[np.maximum(TAGS, 0)], 1.0)
    unknown = np.where(known, TAGS, -100)
    np.testing.assert_allclose(
        to_numpy(layer.log_likelihood(EMISSIONS, unknown, MASK, known)),
        to_numpy(layer.log_likelihood(EMISSIONS, sets, MASK)),
        atol=1e-5,
    )
    one_hot = np.eye(3, dtype="float32")[np.maximum(TAGS, 0)]
    one_hot[0, 0] = [1e-7, 1e-7, 1 - 2e-7]  # nearly: it is a distribution, not a set
    np.testing.assert_allclose(to_numpy(layer.log_likelihood(EMISSIONS, one_hot, MASK)), plain, atol=1e-4)


def test_many_weighted_tokens_lose_nothing():
    layer, time = layer_of(), 300
    rng = np.random.default_rng(1)
    emissions = rng.normal(scale=3.0, size=(1, time, 3)).astype("float32")
    tags = np.ones((1, time), "int32")

    def both(x):
        return layer.log_likelihood(x, tags), layer.log_likelihood(x, tags, None, np.ones((1, time)))

    compiled = both if keras.backend.backend() == "torch" else backend.compiled(both, layer.variables)
    plain, weighted = map(to_numpy, compiled(ops.convert_to_tensor(emissions)))
    assert -np.inf < plain[0] < -300.0
    np.testing.assert_allclose(weighted, plain, rtol=1e-5)


@pytest.mark.parametrize(
    "labels, weights, match",
    [
        (np.full((4, 4, 3), 0.5), None, "sets of tags, of zeros and ones, or distributions over the tags"),
        (np.full((4, 4, 3), 2), None, "sets of tags, of zeros and ones, or distributions over the tags"),
        (np.full((4, 4, 3), -1 / 3), None, "sets of tags, of zeros and ones, or distributions over the tags"),
        (np.full((4, 4, 3), np.nan), None, "sets of tags, of zeros and ones, or distributions over the tags"),
        (np.full((4, 4, 3), 1 / 3), np.ones((4, 4)), "sets of tags, of zeros and ones, along with weights"),
        (np.full((4, 4), 1.5), None, "tags from 0 to 2"),
        (np.full((4, 4), 7), np.ones((4, 4)), "tags from 0 to 2"),
        (np.ones((4, 4)), np.full((4, 4), -1.0), "weights of 0 or more"),
        (np.ones((4, 4)), np.full((4, 4), np.nan), "weights of 0 or more"),
        (np.ones((4, 4)), np.ones((4, 3)), r"weights \(batch, time\) = \(4, 4\), received shape \(4, 3\)"),
    ],
)
def test_labels_that_mean_nothing(labels, weights, match):
    with pytest.raises(ValueError, match=match):
        layer_of().log_likelihood(EMISSIONS, labels, None, weights)


@pytest.mark.skipif(keras.backend.backend() == "torch", reason="numbers are always known")
def test_labels_that_mean_nothing_where_numbers_are_unknown():
    layer = layer_of()
    compiled = backend.compiled(lambda *x: layer.log_likelihood(*x), layer.variables)
    third = np.full((4, 3), 1 / 3)
    labels = np.array([third, third + 0.1, -third, third * np.nan], "float32")
    value = to_numpy(compiled(ops.convert_to_tensor(EMISSIONS), ops.convert_to_tensor(labels)))
    np.testing.assert_array_equal(np.isnan(value), [False, True, True, True])
    compiled = backend.compiled(lambda x, y, w: layer.log_likelihood(x, y, None, w), layer.variables)
    labels, weights = np.ones((4, 4), "int32"), np.ones((4, 4), "float32")
    labels[1, 2], labels[2, 0], weights[2, 0], weights[3, 3] = 3, -100, 0.0, -1.0
    value = to_numpy(compiled(*map(ops.convert_to_tensor, (EMISSIONS, labels, weights))))
    assert np.isfinite(value[[0, 2]]).all() and value[1] == -np.inf and np.isnan(value[3])


X = np.array([[5, 3, 8, 2, 1], [4, 4, 9, 0, 0], [7, 0, 0, 0, 0]])
Y = np.array([[1, 2, 0, 1, 2], [2, 0, 0, 1, 1], [1, 1, 1, 1, 1]])
WEIGHTS_OF_TOKENS = np.array([[1.0, 0.5, 2.0, 0.0, 1.0], [3.0, 1.0, 1.0, 9.0, 9.0], [1.0, 9.0, 9.0, 9.0, 9.0]])


def tagger(**loss):
    keras.utils.set_random_seed(3)
    words = keras.Input((None,), dtype="int32")
    emissions = keras.layers.Dense(3, name="emissions")(keras.layers.Embedding(10, 6, mask_zero=True)(words))
    layer = CRF(3, constraints=NAMES, name="crf")
    model = keras.Model(words, layer(emissions))
    model.compile(keras.optimizers.SGD(0.1), loss=CRFLoss(**loss), run_eagerly=EAGER)
    return model, lambda *args: to_numpy(layer.log_likelihood(keras.Model(words, emissions)(X), *args))


def test_weights_of_tags_tokens_and_sequences_in_a_model():
    model, log_likelihood = tagger(tag_weights={1: 0.25, 0: 2.0})
    of_tags = np.array([2.0, 0.25, 1.0])[Y]
    sequences = np.array([0.5, 2.0, 0.0])
    wanted = -log_likelihood(Y, X != 0, of_tags)
    assert model.test_on_batch(X, Y) == pytest.approx(wanted.mean(), rel=1e-5)
    assert model.test_on_batch(X, Y, sample_weight=sequences) == pytest.approx((wanted * sequences).mean(), rel=1e-5)
    wanted = -log_likelihood(Y, X != 0, of_tags * WEIGHTS_OF_TOKENS)
    unknown = np.where(WEIGHTS_OF_TOKENS == 0, -100, Y)
    loss = model.test_on_batch(X, unknown, sample_weight=WEIGHTS_OF_TOKENS)
    assert loss == pytest.approx(wanted.mean(), rel=1e-5)
    other, _ = tagger(tag_weights=[2.0, 0.25, 1.0])
    assert other.test_on_batch(X, Y, sample_weight=WEIGHTS_OF_TOKENS) == pytest.approx(wanted.mean(), rel=1e-5)
    for how in ({"sample_weight": WEIGHTS_OF_TOKENS}, {}):
        losses = [float(model.fit(X, Y, verbose=0, **how).history["loss"][0]) for _ in range(3)]
        assert losses[2] < losses[1] < losses[0]


def test_smoothed_labels_and_distributions_in_a_model():
    model, log_likelihood = tagger(label_smoothing=0.1)
    q = 0.9 * np.eye(3, dtype="float32")[Y] + 0.1 / 3
    wanted = -log_likelihood(q, X != 0)
    assert model.test_on_batch(X, Y) == pytest.approx(wanted.mean(), rel=1e-5)
    assert model.test_on_batch(X, np.eye(3)[Y]) == pytest.approx(wanted.mean(), rel=1e-5)
    assert model.test_on_batch(X, Y, sample_weight=np.array([0.0, 1, 2])) == pytest.approx(
        (wanted * [0, 1, 2]).mean(), rel=1e-5
    )
    with pytest.raises(ValueError, match="no weights of tags or tokens along with label_smoothing"):
        model.test_on_batch(X, Y, sample_weight=WEIGHTS_OF_TOKENS)
    model, _ = tagger()
    loss = model.test_on_batch(X, q)
    assert loss == pytest.approx(wanted.mean(), rel=1e-5)
    for _ in range(3):
        model.train_on_batch(X, q)
    assert 0 < model.test_on_batch(X, q) < loss


def test_the_loss_keeps_its_settings():
    for settings in (
        {"tag_weights": {0: 0.5, 2: 3.0}, "label_smoothing": 0.0},
        {"tag_weights": [1.0, 2.0, 0.0], "label_smoothing": 0.2},
    ):
        loss = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(CRFLoss(**settings)))
        assert {name: getattr(loss, name) for name in settings} == settings


@pytest.mark.parametrize(
    "arguments, match",
    [
        ({"tag_weights": [1.0, -2.0]}, r"tag_weights to be a list .* received \[1.0, -2.0\]"),
        ({"tag_weights": {-1: 1.0}}, "from numbers of tags to weights, received {-1: 1.0}"),
        ({"tag_weights": {"O": 1.0}}, "received {'O': 1.0}"),
        ({"tag_weights": 3}, "received 3"),
        ({"label_smoothing": 1.5}, "label_smoothing to be .* received 1.5"),
    ],
)
def test_bad_settings(arguments, match):
    with pytest.raises(ValueError, match=match):
        CRFLoss(**arguments)


def test_bad_weights():
    layer = layer_of()
    tags, labels = layer(EMISSIONS), np.ones((4, 4), "int32")
    for given in ([1.0, 2.0], {3: 1.0}):
        with pytest.raises(ValueError, match="tag_weights for the 3 tags of the CRF, received"):
            CRFLoss(tag_weights=given)(labels, tags)
    with pytest.raises(ValueError, match="integer tags .* along with tag_weights"):
        CRFLoss(tag_weights={0: 2.0})(np.ones((4, 4, 3), bool), tags)
    with pytest.raises(ValueError, match=r"or \(batch, time\) = \(4, 4\), .* received shape \(4, 3\)"):
        CRFLoss()(labels, tags, np.ones((4, 3)))
