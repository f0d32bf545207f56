"""The CRF against the sum over all paths, in values and gradients, and inside ordinary Keras models."""

import gc
import itertools
import weakref

import keras
import numpy as np
import pytest
from keras import ops

from rnnkit import backend
from rnnkit.layers import CRF, LSTM, CRFLoss, crf_origin
from rnnkit.text import legal_transitions
from tests import crf_oracle, oracles
from tests.layer_checks import EAGER, MASKS, stateless, to_numpy

TIME = 6
SCHEMES = {  # names of tags and the scheme that they are in
    "free": (3, None, None),
    "BIO": (4, ["I-A", "O", "B-B", "B-A"], "BIO"),
    "BIOES": (4, ["E-A", "O", "B-A", "S-A"], "BIOES"),
}
# A graph of TensorFlow is made in half the time without XLA; that both train equally is a test of its own.
QUICK = {"jit_compile": False} if keras.backend.backend() == "tensorflow" else {}
PRECISIONS = ["float32"] if keras.backend.backend() == "jax" else ["float32", "float64"]  # JAX: no float64 as it comes


def layer_of(scheme, scale=1.5, **kwargs):
    num_tags, names, given = SCHEMES[scheme]
    return randomized(CRF(num_tags, names, given, **kwargs), scale)


def randomized(layer, scale=1.5):
    layer.build((None, None, layer.num_tags))
    rng = np.random.default_rng(7)
    layer.set_weights([rng.normal(scale=scale, size=weight.shape) for weight in layer.get_weights()])
    return layer


def oracle_of(scheme):
    """A function that says which sequences are legal."""
    _, names, given = SCHEMES[scheme]
    return None if names is None else crf_oracle.obeys(names, given)


def batch_of(num_tags, time=TIME, seed=1):
    """Emissions and masks: five rows under each mask, none, right, left, holes and empty rows."""
    masks = [np.ones((5, TIME), bool) if mask is None else mask.astype(bool) for mask in MASKS.values()]
    mask = np.concatenate(masks)[:, :time]
    emissions = np.random.default_rng(seed).normal(scale=2.0, size=(*mask.shape, num_tags)).astype("float32")
    return emissions, mask


def rows_of(emissions, mask):
    return [row[counts] for row, counts in zip(emissions, mask, strict=True)]


def spread(values, counts):
    """Each step where it was, and zeros elsewhere."""
    spread = np.zeros((len(counts), *values.shape[1:]), values.dtype)
    spread[counts] = values
    return spread


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("scheme", SCHEMES)
def test_values_equal_the_sum_over_all_paths(scheme, precision):
    layer, legal = layer_of(scheme, dtype=precision), oracle_of(scheme)
    emissions, mask = batch_of(layer.num_tags)
    rows, weights = rows_of(emissions, mask), layer.get_weights()
    garbage = np.where(mask[..., None], emissions, np.nan)
    exact = 1e-6 if precision == "float64" else 1.0
    one_tag = np.argmax(emissions + np.random.default_rng(2).normal(scale=4, size=emissions.shape), axis=-1)
    some_tags = np.random.default_rng(3).random(emissions.shape) < 0.6
    likelihoods = {
        "tags": (one_tag, [[{tag} for tag in row[counts]] for row, counts in zip(one_tag, mask, strict=True)]),
        "sets": (some_tags, [[set(np.flatnonzero(t)) for t in r[c]] for r, c in zip(some_tags, mask, strict=True)]),
    }
    for name, (tags, allowed) in likelihoods.items():
        pairs = zip(rows, allowed, strict=True)
        wanted = [crf_oracle.log_likelihood(weights, row, tags, legal) for row, tags in pairs]
        value = to_numpy(layer.log_likelihood(garbage, tags, mask))
        np.testing.assert_allclose(value, wanted, rtol=2e-6 * exact, atol=1e-5 * exact, err_msg=name)
    for name in ("log_partition", "entropy"):
        wanted = [getattr(crf_oracle, name)(weights, row, legal) for row in rows]
        value = to_numpy(getattr(layer, name)(garbage, mask))
        assert value.dtype == precision
        np.testing.assert_allclose(value, wanted, rtol=2e-6 * exact, atol=4e-6 * exact, err_msg=name)
    wanted = [spread(crf_oracle.marginals(weights, row, legal), c) for row, c in zip(rows, mask, strict=True)]
    np.testing.assert_allclose(to_numpy(layer.marginals(garbage, mask)), wanted, atol=1e-6 * exact)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_decoders_equal_the_best_of_all_paths(scheme):
    layer, legal = layer_of(scheme), oracle_of(scheme)
    emissions, mask = batch_of(layer.num_tags)
    weights, garbage = layer.get_weights(), np.where(mask[..., None], emissions, np.nan)
    decoded, right, n = layer.decode(garbage, mask), layer.posterior_decode(garbage, mask), 9
    several = layer.n_best(garbage, n, mask)
    assert several.tags.shape == (len(mask), n, TIME)
    for b, row in enumerate(rows_of(emissions, mask)):
        paths, scores = crf_oracle.n_best(weights, row, n, legal)
        wanted = np.array([spread(path, mask[b]) for path in paths])
        np.testing.assert_array_equal(to_numpy(decoded.tags)[b], wanted[0])
        np.testing.assert_allclose(to_numpy(decoded.score)[b], scores[0], rtol=2e-6, atol=2e-6)
        np.testing.assert_array_equal(to_numpy(several.tags)[b, : len(paths)], wanted)
        np.testing.assert_allclose(to_numpy(several.score)[b, : len(paths)], scores, rtol=2e-6, atol=4e-6)
        assert (to_numpy(several.tags)[b, len(paths) :] == 0).all()
        assert (to_numpy(several.score)[b, len(paths) :] == -np.inf).all()
        path, expected = crf_oracle.posterior_decode(weights, row, legal)
        np.testing.assert_array_equal(to_numpy(right.tags)[b], spread(path, mask[b]))
        np.testing.assert_allclose(to_numpy(right.score)[b], expected, rtol=2e-6, atol=2e-6)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_gradients_equal_finite_differences_of_the_sum_over_all_paths(scheme):
    time = 4
    layer, legal = layer_of(scheme), oracle_of(scheme)
    emissions, mask = batch_of(layer.num_tags, time)
    some = [1, 6, 11, 15, 17, 20, 21]  # of each mask; 17 and 21 have few steps or none
    emissions, mask = emissions[some], mask[some]
    rng = np.random.default_rng(4)
    tags = to_numpy(layer.n_best(emissions, 3, mask).tags)[:, 2] if legal else rng.integers(0, 3, mask.shape)
    tags = np.where(mask, tags, 0)
    sets = np.logical_or(rng.random(emissions.shape) < 0.4, np.eye(layer.num_tags, dtype=bool)[tags])
    coefficients = rng.normal(size=emissions.shape)
    by_row = coefficients[:, 0, 0]

    def allowed(b):
        return [set(np.flatnonzero(step)) for step in sets[b][mask[b]]]

    def known(b):
        return [{tag} for tag in tags[b][mask[b]]]

    def of_sets(layer, x):
        return layer.log_likelihood(x, sets, mask) * ops.convert_to_tensor(by_row, "float32")

    def of_tags(layer, x):
        return layer.log_likelihood(x, tags, mask) * ops.convert_to_tensor(by_row, "float32")

    def of_marginals(layer, x):
        return layer.marginals(x, mask) * ops.convert_to_tensor(coefficients, "float32")

    def of_entropy(layer, x):
        return layer.entropy(x, mask) * ops.convert_to_tensor(by_row, "float32")

    cases = [
        (of_tags, lambda w, x, b: by_row[b] * crf_oracle.log_likelihood(w, x, known(b), legal)),
        (of_sets, lambda w, x, b: by_row[b] * crf_oracle.log_likelihood(w, x, allowed(b), legal)),
        (of_marginals, lambda w, x, b: (coefficients[b][mask[b]] * crf_oracle.marginals(w, x, legal)).sum()),
        (of_entropy, lambda w, x, b: by_row[b] * crf_oracle.entropy(w, x, legal)),
    ]
    inputs = [*(weight.astype("float64") for weight in layer.get_weights()), emissions.astype("float64")]
    for ours, theirs in cases:

        def loss(*tensors, ours=ours):
            *weights, x = tensors
            return with_weights(layer, weights, lambda: ops.sum(ours(layer, x)))

        def oracle(index, array, theirs=theirs):
            *weights, x = [*inputs[:index], array, *inputs[index + 1 :]]
            return sum(theirs(weights, row, b) for b, row in enumerate(rows_of(x, mask)))

        tensors = [ops.convert_to_tensor(array, "float32") for array in inputs]
        for index, gradient in enumerate(backend.gradient(loss, tensors)):
            wanted = oracles.numerical_gradient(lambda a, index=index, oracle=oracle: oracle(index, a), inputs[index])
            np.testing.assert_allclose(to_numpy(gradient), wanted, atol=3e-5, err_msg=f"{ours.__name__}, {index}")


def with_weights(layer, weights, function):
    mapping = list(zip(layer.trainable_variables, weights, strict=True))
    with keras.StatelessScope(state_mapping=mapping):
        return function()


def test_garbage_in_the_padding_reaches_no_gradient_and_an_empty_row_has_none():
    layer = layer_of("BIO")
    emissions, mask = batch_of(4)
    tags = to_numpy(layer.decode(emissions, mask).tags)

    def gradients(emissions, tags):
        def loss(*tensors):
            *weights, x = tensors

            def all_of():
                values = [layer.log_likelihood(x, tags, mask), layer.entropy(x, mask), layer.marginals(x, mask) ** 2]
                return sum(ops.sum(value) for value in values)

            return with_weights(layer, weights, all_of)

        tensors = [*layer.get_weights(), emissions.astype("float32")]
        return [to_numpy(g) for g in backend.gradient(loss, [ops.convert_to_tensor(t) for t in tensors])]

    clean = gradients(np.where(mask[..., None], emissions, 0.0), tags)
    for value, same in zip(gradients(np.where(mask[..., None], emissions, np.nan), tags), clean, strict=True):
        np.testing.assert_array_equal(value, same)
    np.testing.assert_array_equal(
        to_numpy(layer.log_likelihood(emissions, np.where(mask, tags, -9), mask)),
        to_numpy(layer.log_likelihood(emissions, tags, mask)),
    )
    assert (clean[-1][~mask] == 0).all() and (abs(clean[-1][mask]).max(axis=-1) > 0).mean() > 0.9
    empty = ~mask.any(axis=1)
    assert empty.sum() == 2
    for value in (layer.log_likelihood(emissions, tags, mask), layer.entropy(emissions, mask)):
        assert (to_numpy(value)[empty] == 0).all()
    only_empty = np.zeros((2, 3), bool)
    assert (to_numpy(layer.log_partition(emissions[:2, :3], only_empty)) == 0).all()
    assert (to_numpy(layer.decode(emissions[:2, :3], only_empty).score) == 0).all()


def test_no_mask_is_a_mask_of_ones_and_a_row_is_the_same_alone():
    layer = layer_of("free")
    emissions, _ = batch_of(3)
    ones = np.ones(emissions.shape[:2], bool)
    for name in ("log_partition", "entropy", "marginals"):
        method = getattr(layer, name)
        whole = to_numpy(method(emissions))
        np.testing.assert_array_equal(whole, to_numpy(method(emissions, ones)), err_msg=name)
        np.testing.assert_allclose(to_numpy(method(emissions[3:4])), whole[3:4], rtol=1e-6, err_msg=name)
    for name, value in zip(("tags", "score"), layer.decode(emissions), strict=True):
        np.testing.assert_array_equal(
            to_numpy(value), to_numpy(getattr(layer.decode(emissions, ones.astype("int32")), name))
        )
    tags = to_numpy(layer.decode(emissions).tags)
    np.testing.assert_array_equal(
        to_numpy(layer.log_likelihood(emissions, tags)), to_numpy(layer.log_likelihood(emissions, tags, ones))
    )


def test_one_step():
    layer = layer_of("free")
    emissions = batch_of(3)[0][:, :1]
    start, _, end = layer.get_weights()
    scores = emissions[:, 0] + start + end
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(to_numpy(layer.marginals(emissions))[:, 0], p, atol=1e-6)
    np.testing.assert_array_equal(to_numpy(layer.decode(emissions).tags)[:, 0], scores.argmax(axis=1))
    tags = np.zeros((len(emissions), 1), "int32")
    np.testing.assert_allclose(to_numpy(layer.log_likelihood(emissions, tags)), np.log(p[:, 0]), atol=1e-5)
    everything = layer.n_best(emissions, 5)
    assert (np.isfinite(to_numpy(everything.score)) == [True] * 3 + [False] * 2).all()


def test_the_loss_at_the_start_is_that_of_a_softmax_at_each_step():
    emissions, mask = batch_of(5)
    tags = np.random.default_rng(0).integers(0, 5, mask.shape)
    log_p = emissions - np.log(np.exp(emissions).sum(axis=-1, keepdims=True))
    wanted = (np.take_along_axis(log_p, tags[..., None], axis=-1)[..., 0] * mask).sum(axis=1)
    np.testing.assert_allclose(to_numpy(CRF(5).log_likelihood(emissions, tags, mask)), wanted, atol=1e-5)


LISTS = {
    "BIO": (["O", "B-X", "I-X", "B-Y", "I-Y"], None, "BIO"),
    "BIO in any order": (["I-geo-loc", "B-geo-loc", "B-Z", "O"], None, "BIO"),
    "BIOES": (["O", "B-X", "I-X", "E-X", "S-X", "S-Y"], None, "BIOES"),
    "BIOES without O": (["S-X", "B-X", "E-X", "I-X"], None, "BIOES"),
    "a padding that is a tag": (["", "O", "B-X", "I-X"], None, "BIO"),
    "IOB1": (["O", "I-X", "B-X", "I-Y"], "IOB1", "IOB1"),
    "a type that is never one word": (["B-X", "I-X", "E-X", "O"], "BIOES", "BIOES"),
}


@pytest.mark.parametrize("names, given, scheme", LISTS.values(), ids=LISTS)
def test_only_sequences_of_the_scheme_are_possible(names, given, scheme):
    layer, time, legal = CRF(len(names), names, given), 3, crf_oracle.obeys(names, scheme)
    paths = np.array(list(itertools.product(range(len(names)), repeat=time)))
    wanted = np.array([legal(path) for path in paths])
    assert 0 < wanted.sum() < len(paths)
    emissions = np.zeros((len(paths), time, len(names)), "float32")
    np.testing.assert_array_equal(to_numpy(layer.log_likelihood(emissions, paths)) > -np.inf, wanted)
    np.testing.assert_allclose(to_numpy(layer.log_partition(emissions)), np.log(wanted.sum()), rtol=1e-6)
    pushed = 50.0 * np.eye(len(names), dtype="float32")[paths]  # towards each sequence, also the illegal ones
    ours = [layer.decode(pushed).tags, layer.posterior_decode(pushed).tags]
    several = layer.n_best(pushed[:40], 6)
    ours.append(to_numpy(several.tags)[to_numpy(several.score) > -np.inf])
    for found in map(to_numpy, ours):
        assert all(map(legal, found.tolist()))
    np.testing.assert_array_equal(to_numpy(ours[0])[wanted], paths[wanted])


def test_far_apart_scores_lose_nothing():
    """The best beginning is e^200 times likelier than the one that turns out to be right."""
    layer = CRF(3, ["O", "B-X", "I-X"])
    emissions = np.array([[[200.0, 0.0, 0.0], [0.0, 0.0, 600.0], [0.0, 0.0, 0.0]]], "float32")
    np.testing.assert_allclose(to_numpy(layer.log_partition(emissions)), [600.0 + np.log(3)], rtol=1e-6)
    np.testing.assert_allclose(to_numpy(layer.log_likelihood(emissions, [[1, 2, 2]])), [-np.log(3)], atol=1e-3)
    np.testing.assert_allclose(to_numpy(layer.marginals(emissions))[0, :, 1], [1.0, 0.0, 1 / 3], atol=1e-3)
    np.testing.assert_array_equal(to_numpy(layer.decode(emissions).tags)[0, :2], [1, 2])


def test_emissions_of_minus_infinity_rule_a_tag_out():
    layer = layer_of("free")
    emissions, mask = batch_of(3)
    out = np.random.default_rng(5).random(emissions.shape) < 0.3
    out[out.all(axis=-1)] = False
    ruled, sets = np.where(out, -np.inf, emissions), layer.log_likelihood(emissions, ~out, mask)
    np.testing.assert_allclose(
        to_numpy(layer.log_partition(ruled, mask)), to_numpy(layer.log_partition(emissions, mask) + sets), rtol=1e-5
    )
    tags = to_numpy(layer.decode(ruled, mask).tags)
    assert not np.take_along_axis(out, tags[..., None], axis=-1)[..., 0][mask].any()
    assert (to_numpy(layer.marginals(ruled, mask))[out] == 0).all()


def test_labels_in_part():
    layer = layer_of("BIO")
    emissions, mask = batch_of(4)
    tags = to_numpy(layer.n_best(emissions, 2, mask).tags)[:, 1]
    one_hot = np.eye(4)[tags]
    exact = to_numpy(layer.log_likelihood(emissions, tags, mask))
    for sets in (one_hot, one_hot.astype(bool)):
        np.testing.assert_allclose(to_numpy(layer.log_likelihood(emissions, sets, mask)), exact, atol=1e-5)
    everything = np.ones_like(one_hot, bool)
    np.testing.assert_allclose(to_numpy(layer.log_likelihood(emissions, everything, mask)), 0.0, atol=1e-6)
    nothing = everything.copy()
    nothing[0, 2] = False
    value = to_numpy(layer.log_likelihood(emissions, nothing, mask))
    assert value[0] == -np.inf and (abs(value[1:]) < 1e-6).all()


def test_an_illegal_label_has_probability_zero_and_no_gradient():
    layer, names = layer_of("BIO"), SCHEMES["BIO"][1]
    emissions = batch_of(4)[0][:3]
    tags = np.full((3, TIME), names.index("O"))
    tags[1, 2] = names.index("I-A")  # after O

    def loss(x):
        return -ops.sum(layer.log_likelihood(x, tags))

    value = to_numpy(layer.log_likelihood(emissions, tags))
    assert value[1] == -np.inf and np.isfinite(value[[0, 2]]).all()
    (gradient,) = backend.gradient(loss, [ops.convert_to_tensor(emissions)])
    gradient = to_numpy(gradient)
    assert np.isfinite(gradient).all() and (gradient[1] == 0).all() and (gradient[[0, 2]] != 0).any(axis=(1, 2)).all()


@pytest.mark.parametrize("time, num_tags", [(2000, 2), (2000, 9), (50, 64)])
def test_long_and_wide(time, num_tags):
    layer = randomized(CRF(num_tags))
    rng = np.random.default_rng(0)
    emissions = rng.normal(scale=3.0, size=(2, time, num_tags)).astype("float32")
    mask = np.arange(time) < np.array([[time], [time - 7]])
    start, transitions, end = (weight.astype("float64") for weight in layer.get_weights())
    total = best = start + emissions[:, 0].astype("float64")
    wanted, wanted_score = np.zeros(2), np.zeros(2)
    for t in range(1, time + 1):
        ends = mask.sum(axis=1) == t
        wanted = np.where(ends, np.logaddexp.reduce(total + end, axis=1), wanted)
        wanted_score = np.where(ends, np.max(best + end, axis=1), wanted_score)
        if t < time:
            total = np.logaddexp.reduce(total[:, :, None] + transitions, axis=1) + emissions[:, t]
            best = np.max(best[:, :, None] + transitions, axis=1) + emissions[:, t]

    def results(x):
        (gradient,) = backend.gradient(lambda x: ops.sum(layer.log_partition(x, mask)), [x])
        decoded = layer.decode(x, mask)
        likelihood = layer.log_likelihood(x, decoded.tags, mask)
        return layer.log_partition(x, mask), gradient, layer.marginals(x, mask), decoded.score, likelihood

    compiled = results if keras.backend.backend() == "torch" else backend.compiled(results, layer.variables)
    results = map(to_numpy, compiled(ops.convert_to_tensor(emissions)))
    log_partition, gradient, marginals, score, likelihood = results
    np.testing.assert_allclose(log_partition, wanted, rtol=3e-6)
    np.testing.assert_allclose(gradient.sum(axis=-1), mask, atol=1e-5)
    np.testing.assert_allclose(gradient, marginals, atol=1e-5)
    np.testing.assert_allclose(score, wanted_score, rtol=3e-6)
    np.testing.assert_allclose(likelihood, wanted_score - wanted, rtol=2e-6)


def test_a_thousand_steps_lose_nothing():
    """With constraints, tags that are ruled out and a mask with holes: marginals, gradients and the best sequence."""
    names, time = ["O", "B-X", "I-X", "B-Y", "I-Y"], 1000
    layer, legal = randomized(CRF(5, names)), legal_transitions(names)
    rng = np.random.default_rng(0)
    emissions = rng.normal(scale=3.0, size=(3, time, 5)).astype("float32")
    emissions[rng.random(emissions.shape) < 0.2 * (np.arange(5) > 0)] = -np.inf  # O is always possible
    mask = rng.random((3, time)) < np.array([[1.0], [0.9], [0.4]])
    coefficients = ops.convert_to_tensor(np.array([0.5, -2.0, 1.0], "float32"))
    weights = [np.where(moves, weight, -np.inf) for weight, moves in zip(layer.get_weights(), legal, strict=True)]
    wanted = [crf_oracle.forward_backward(weights, row) for row in rows_of(emissions, mask)]
    p = np.array([spread(row[0], counts) for row, counts in zip(wanted, mask, strict=True)])
    moves = sum(c * row[1] for c, row in zip([0.5, -2.0, 1.0], wanted, strict=True))

    def results(x, transitions):
        def loss(x, transitions):
            weights = [layer.start.value, transitions, layer.end.value]
            return with_weights(layer, weights, lambda: ops.sum(layer.log_partition(x, mask) * coefficients))

        return *backend.gradient(loss, [x, transitions]), layer.marginals(x, mask), layer.decode(x, mask).tags

    compiled = results if keras.backend.backend() == "torch" else backend.compiled(results, layer.variables)
    inputs = [ops.convert_to_tensor(emissions), layer.transitions.value]
    of_emissions, of_transitions, marginals, tags = map(to_numpy, compiled(*inputs))
    np.testing.assert_allclose(marginals, p, atol=2e-6)
    np.testing.assert_allclose(of_emissions, np.array([0.5, -2.0, 1.0])[:, None, None] * p, atol=4e-6)
    np.testing.assert_allclose(of_transitions, moves, rtol=2e-6, atol=5e-4)
    for row, (_, _, path), counts in zip(tags, wanted, mask, strict=True):
        np.testing.assert_array_equal(row[counts], path)


X = np.array([[5, 3, 8, 2, 1], [4, 4, 9, 0, 0], [7, 0, 0, 0, 0], [2, 6, 3, 5, 0], [0, 0, 0, 0, 0], [1, 2, 3, 4, 5]])
Y = np.array([[0, 1, 2, 0, 1], [1, 2, 2, 0, 0], [0, 0, 0, 0, 0], [1, 1, 2, 0, 0], [0, 0, 0, 0, 0], [0, 0, 1, 2, 2]])
NAMES = ["O", "B-P", "I-P"]


def tagger(time=None, dtype=None, how=None, recurrent=False, **compile_arguments):
    keras.utils.set_random_seed(3)
    words = keras.Input((time,), dtype="int32")
    vectors = keras.layers.Embedding(10, 6, mask_zero=True, dtype=dtype)(words)
    if recurrent:
        vectors = LSTM(6, return_sequences=True, dtype=dtype)(vectors)
    emissions = keras.layers.Dense(3, dtype=dtype, name="emissions")(vectors)
    model = keras.Model(words, CRF(3, constraints=NAMES, dtype=dtype, name="crf")(emissions))
    arguments = {"optimizer": keras.optimizers.SGD(0.1), "loss": CRFLoss(), **compile_arguments}
    model.compile(**arguments, **(how or {}))
    return model


def emissions_of(model, x=X):
    return keras.Model(model.input, model.get_layer("emissions").output)(x)


def losses_of(model):
    layer = model.get_layer("crf")
    return -to_numpy(layer.log_likelihood(emissions_of(model), Y, X != 0))


def test_fit_predict_and_evaluate_in_an_ordinary_model():
    accuracy = keras.metrics.MeanMetricWrapper(equal, name="accuracy")
    model = tagger(recurrent=True, optimizer=keras.optimizers.Adam(0.1), weighted_metrics=[accuracy])
    assert model.output_shape == (None, None)
    loss, accuracy = model.evaluate(X, Y, batch_size=6, verbose=0)
    assert loss == pytest.approx(losses_of(model).mean(), rel=1e-5)
    tags = model.predict(X, verbose=0)
    assert tags.shape == X.shape and tags.dtype == "int32" and (tags[X == 0] == 0).all()
    assert accuracy == pytest.approx((tags == Y)[X != 0].mean())
    decoded = model.get_layer("crf").decode(emissions_of(model), X != 0)
    np.testing.assert_array_equal(tags, to_numpy(decoded.tags))
    history = model.fit(X, Y, validation_data=(X, Y), validation_freq=40, epochs=40, batch_size=6, verbose=0).history
    assert history["val_loss"][-1] < 0.1 * loss and history["val_accuracy"][-1] == 1.0
    np.testing.assert_array_equal(model.predict(X, verbose=0), Y)
    assert not crf_origin._origins


@keras.saving.register_keras_serializable(package="tests")
def equal(y_true, y_pred):
    return ops.cast(ops.equal(ops.cast(y_true, "int32"), ops.cast(y_pred, "int32")), "float32")


def test_a_step_of_training_is_the_gradient_of_the_log_likelihood():
    model = tagger(how={"run_eagerly": EAGER})
    layer, emissions = model.get_layer("crf"), emissions_of(model)

    def loss(*weights):
        return with_weights(layer, weights, lambda: -ops.mean(layer.log_likelihood(emissions, Y, X != 0)))

    before = layer.get_weights()
    gradients = backend.gradient(loss, [ops.convert_to_tensor(weight) for weight in before])
    model.train_on_batch(X, Y)
    for old, new, gradient in zip(before, layer.get_weights(), gradients, strict=True):
        assert abs(to_numpy(gradient)).max() > 0.01
        np.testing.assert_allclose(new, old - 0.1 * to_numpy(gradient), atol=1e-6)


@pytest.mark.slow
def test_training_is_the_same_however_it_is_compiled():
    xla = keras.backend.backend() != "torch"  # there, jit_compile means torch.compile, which Keras tests itself

    def trained(time, **how):
        model = tagger(time, how=how)
        return [*(model.train_on_batch(X, Y) for _ in range(2)), *model.get_weights(), model.predict_on_batch(X)]

    expected = trained(5, jit_compile=False)
    for how in ({"jit_compile": xla}, {"run_eagerly": True}):
        for value, same in zip(trained(None, **how), expected, strict=True):
            np.testing.assert_allclose(value, same, atol=2e-6, err_msg=f"{how}")


def test_one_file_holds_the_model_and_how_it_is_trained(tmp_path):
    accuracy = keras.metrics.MeanMetricWrapper(equal, name="accuracy")
    model = tagger(optimizer="adam", weighted_metrics=[accuracy], how={"run_eagerly": EAGER})
    model.fit(X, Y, verbose=0, epochs=2)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded.predict(X, verbose=0), model.predict(X, verbose=0))
    assert loaded.evaluate(X, Y, verbose=0) == model.evaluate(X, Y, verbose=0)
    for one, other in zip(loaded.train_on_batch(X, Y), model.train_on_batch(X, Y), strict=True):
        assert one == pytest.approx(other, rel=1e-6)
    np.testing.assert_allclose(loaded.evaluate(X, Y, verbose=0), model.evaluate(X, Y, verbose=0), rtol=1e-6)
    again = CRF.from_config(model.get_layer("crf").get_config())
    assert again.get_config() == model.get_layer("crf").get_config()
    assert (again.num_tags, again.constraints, again.scheme) == (3, NAMES, None)
    assert CRFLoss.from_config(CRFLoss("sum", name="nll").get_config()).get_config() == {
        "name": "nll",
        "reduction": "sum",
        "tag_weights": None,
        "label_smoothing": 0.0,
    }


def test_sample_weight_weighs_whole_sequences():
    model, weights = tagger(how={"run_eagerly": EAGER}), np.array([0.5, 2.0, 0.0, 1.0, 3.0, 0.25])
    losses = losses_of(model)
    for given in (weights, weights[:, None]):
        loss = model.test_on_batch(X, Y, sample_weight=given)
        assert loss == pytest.approx((losses * weights).sum() / 6, rel=1e-5)
    total = model(X)
    assert to_numpy(CRFLoss("sum")(Y, total, weights)) == pytest.approx((losses * weights).sum(), rel=1e-5)
    np.testing.assert_allclose(to_numpy(CRFLoss(None)(Y, total)), losses, rtol=1e-5)
    illegal = Y.copy()
    illegal[2, 0] = 2  # begins with I-P: of weight 0
    assert to_numpy(CRFLoss("sum")(illegal, total, weights)) == pytest.approx((losses * weights).sum(), rel=1e-5)
    assert to_numpy(CRFLoss()(illegal, total)) == np.inf
    with pytest.raises(ValueError, match=r"one for each token, received shape \(6, 4\)"):
        CRFLoss()(Y, total, np.ones((6, 4)))


def test_an_illegal_label_shows_in_the_loss_and_leaves_the_weights_sound():
    model, illegal = tagger(how={"run_eagerly": EAGER}), Y.copy()
    illegal[0, 0] = 2
    assert model.train_on_batch(X, illegal) == np.inf
    without = tagger(how={"run_eagerly": EAGER})
    without.train_on_batch(X, Y, sample_weight=np.array([0.0, 1, 1, 1, 1, 1]))
    for value, same in zip(model.get_weights(), without.get_weights(), strict=True):
        np.testing.assert_allclose(value, same, atol=1e-6)


def test_labels_in_part_train_a_model():
    model, sets = tagger(how=QUICK), np.eye(3, dtype=bool)[Y]
    assert model.evaluate(X, sets, batch_size=6, verbose=0) == pytest.approx(losses_of(model).mean(), rel=1e-5)
    sets[:, 1] = True  # the second tags are unknown
    loss = model.evaluate(X, sets, batch_size=6, verbose=0)
    assert 0 < loss < losses_of(model).mean() - 0.1
    model.fit(X, sets, epochs=5, batch_size=6, verbose=0)
    assert model.evaluate(X, sets, batch_size=6, verbose=0) < loss


@pytest.mark.parametrize("policy", ["mixed_float16", pytest.param("mixed_bfloat16", marks=pytest.mark.slow)])
def test_half_precision_stops_at_the_emissions(policy):
    model = tagger(dtype=policy, how={"run_eagerly": EAGER})
    layer = model.get_layer("crf")
    assert all(weight.dtype == "float32" for weight in layer.weights)
    losses = [float(model.train_on_batch(X, Y)) for _ in range(4)]
    assert np.isfinite(losses).all() and losses[-1] < losses[0]
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
    emissions = np.random.default_rng(0).normal(scale=90, size=(2, 100, 3)).astype("float32")
    same = CRF(3, constraints=NAMES)
    same.build(emissions.shape)
    same.set_weights(layer.get_weights())
    tags = same(emissions)
    np.testing.assert_array_equal(to_numpy(layer(emissions)), to_numpy(tags))
    values = [to_numpy(CRFLoss()(np.zeros((2, 100), "int32"), crf(emissions))) for crf in (layer, same)]
    assert values[0] == values[1] and np.isfinite(values[0])
    low = ops.cast(emissions, policy.removeprefix("mixed_"))
    np.testing.assert_array_equal(
        to_numpy(layer.log_partition(low)), to_numpy(layer.log_partition(ops.cast(low, "float32")))
    )


def test_a_mask_that_is_given_counts_as_one_that_is_carried():
    """The next Keras passes fewer masks on: a model may have its mask as an input."""
    keras.utils.set_random_seed(3)
    x, mask = np.random.default_rng(1).normal(size=(6, 5, 4)).astype("float32"), X != 0
    inputs = [keras.Input((None, 4)), keras.Input((None,), dtype="bool")]
    layer = CRF(3, constraints=NAMES)
    emissions = keras.layers.Dense(3)(inputs[0])
    model = keras.Model(inputs, layer(emissions, mask=inputs[1]))
    accuracy = keras.metrics.MeanMetricWrapper(equal, name="accuracy")
    model.compile("adam", loss=CRFLoss(), weighted_metrics=[accuracy], **QUICK)
    loss, accuracy = model.test_on_batch([x, mask], Y)
    emissions = keras.Model(inputs[0], emissions)(x)
    assert loss == pytest.approx(-to_numpy(layer.log_likelihood(emissions, Y, mask)).mean(), rel=1e-5)
    tags = to_numpy(layer.decode(emissions, mask).tags)
    np.testing.assert_array_equal(model.predict_on_batch([x, mask]), tags)
    assert accuracy == pytest.approx((tags == Y)[mask].mean())


def test_next_to_another_output():
    words = keras.Input((5,), dtype="int32")
    vectors = keras.layers.Embedding(10, 6, mask_zero=True)(words)
    emissions = keras.layers.Dense(3)(vectors)
    tags = CRF(3, name="tags")(emissions)
    topic = keras.layers.Dense(1, name="topic")(keras.layers.GlobalAveragePooling1D()(vectors))
    model = keras.Model(words, {"tags": tags, "topic": topic})
    losses, weights = {"tags": CRFLoss(), "topic": "mse"}, {"tags": 2.0, "topic": 1.0}
    model.compile("sgd", loss=losses, loss_weights=weights, run_eagerly=EAGER)
    x, y = X[:4], {"tags": Y[:4], "topic": np.ones((4, 1))}
    total, of_tags, of_topic = model.test_on_batch(x, y)
    assert total == pytest.approx(2 * of_tags + of_topic, rel=1e-5)
    emissions = keras.Model(words, emissions)(x)
    wanted = model.get_layer("tags").log_likelihood(emissions, Y[:4], x != 0)
    assert of_tags == pytest.approx(-to_numpy(wanted).mean(), rel=1e-5)
    model.train_on_batch(x, y)
    assert set(model.predict_on_batch(x)) == {"tags", "topic"}


@pytest.mark.slow
@pytest.mark.parametrize("run", ["compiled", "eager"])
def test_nothing_is_left_of_a_model(run):
    model = tagger(how=QUICK)
    if run == "eager":
        tags = model(X)  # does not keep the layer that made it
        CRFLoss()(Y, tags)
    else:
        model.fit(X, Y, verbose=0)
        model.predict(X, verbose=0)
    references = [weakref.ref(one) for one in [*model._flatten_layers(), *model.variables]]
    del model
    keras.backend.clear_session()
    gc.collect()
    assert [reference() for reference in references if reference() is not None] == []
    assert not crf_origin._origins


def test_a_layer_that_is_gone_has_no_loss():
    tags = CRF(3)(np.zeros((2, 4, 3), "float32"))
    gc.collect()
    with pytest.raises(ValueError, match="received those of a layer that no longer exists: keep the layer"):
        CRFLoss()(np.zeros((2, 4), "int32"), tags)


def test_only_the_output_of_a_crf_has_a_loss():
    inputs = keras.Input((9, 3))
    model = keras.Model(inputs, CRF(3)(inputs) + 1)
    model.compile("sgd", loss=CRFLoss())
    with pytest.raises(ValueError, match="CRFLoss expected as y_pred what a CRF layer returned, itself"):
        model.train_on_batch(np.zeros((2, 9, 3)), np.zeros((2, 9), "int32"))


def test_moves_between_tags_are_learned():
    """Emissions say nothing at every other step; only the order of the tags helps."""
    y = np.array([[0, 1, 2] * 3, [1, 2, 0] * 3, [2, 0, 1] * 3])
    x = np.eye(3)[y] * (np.arange(9) % 2 == 0)[:, None]
    inputs = keras.Input((9, 3))
    model = keras.Model(inputs, CRF(3)(inputs))
    model.compile(keras.optimizers.Adam(0.3), loss=CRFLoss(), **QUICK)
    assert (model.predict(x, verbose=0) == y).mean() < 0.8
    model.fit(x, y, epochs=15, verbose=0)
    np.testing.assert_array_equal(model.predict(x, verbose=0), y)


def test_equals_pytorch_crf():
    torch, torchcrf = pytest.importorskip("torch"), pytest.importorskip("torchcrf")
    layer = layer_of("free")
    theirs = torchcrf.CRF(3, batch_first=True)
    for name in ("start", "transitions", "end"):
        parameter = getattr(theirs, name if name == "transitions" else f"{name}_transitions")
        parameter.data = torch.tensor(to_numpy(getattr(layer, name)))
    emissions, _ = batch_of(3)
    mask = np.arange(TIME) < np.random.default_rng(0).integers(1, TIME + 1, (len(emissions), 1))
    tags = np.random.default_rng(1).integers(0, 3, mask.shape)
    x = torch.tensor(emissions)
    with torch.no_grad():
        wanted = theirs(x, torch.tensor(tags), torch.tensor(mask), reduction="none").numpy()
        paths = theirs.decode(x, torch.tensor(mask))
    np.testing.assert_allclose(to_numpy(layer.log_likelihood(emissions, tags, mask)), wanted, atol=1e-5)
    for path, row, counts in zip(paths, to_numpy(layer.decode(emissions, mask).tags), mask, strict=True):
        assert path == row[counts].tolist()


def test_symbolic_shapes_equal_eager_ones():
    layer = CRF(3)
    symbolic = layer(keras.KerasTensor((2, None, 3)))
    assert symbolic.shape == (2, None) and symbolic.dtype == "int32"
    assert tuple(layer(np.zeros((2, 4, 3), "float32")).shape) == (2, 4)
    weights = [weight.value for weight in layer.trainable_variables]
    assert tuple(stateless(layer, weights, np.zeros((2, 4, 3), "float32"))[0].shape) == (2, 4)


@pytest.mark.parametrize(
    "arguments, match",
    [
        ((0,), "num_tags to be a positive integer, received 0"),
        ((3, ["O", "B-X"]), "the names of its 3 tags, received 2: .* Padding needs no tag, only a mask"),
        ((2, ["O", "O"]), "each tag once, received 'O' twice"),
        ((3, ["O", "B-X", "<pad>"]), "a tag such as 'O', 'B-PER' or 'I-PER', received '<pad>'"),
        ((3, ["O", "B-X", 7]), "received 7"),
        ((3, ["O", "B-X", "E-X"], "BIO"), "scheme 'BIO', received 'E-X' .* pass scheme='BIOES'"),
        ((3, ["O", "I-X", "B-Y"]), r"no BIO sequence contains \['I-X'\]: give the scheme"),
        ((3, ["O", "B-X", "S-Y"]), r"no BIOES sequence contains \['B-X'\]"),
        ((2, ["B-X", "E-X"]), "a sequence of any length is possible, .* 'O' is missing"),
        ((2, ["O", "B-X"], "IO"), "scheme 'IO', received 'B-X' .* pass scheme='BIO'"),
        ((2, None, "BIO"), "expected constraints, the names of all tags, along with scheme='BIO'"),
    ],
)
def test_bad_arguments(arguments, match):
    with pytest.raises(ValueError, match=match):
        CRF(*arguments)


def test_bad_calls():
    layer, emissions = CRF(3, name="crf"), np.zeros((2, 4, 3), "float32")
    tags = np.zeros((2, 4), "int32")
    for bad in (emissions[0], emissions[..., :2], emissions[:, :0]):
        with pytest.raises(ValueError, match=r"'crf' expected emissions \(batch, time, num_tags=3\)"):
            layer.decode(bad)
    with pytest.raises(ValueError, match=r"expected emissions .* received shape \(None, 4, 2\)"):
        layer(keras.KerasTensor((None, 4, 2)))
    with pytest.raises(ValueError, match=r"expected a mask \(batch, time\) = \(2, 4\)"):
        layer.marginals(emissions, np.ones((2, 3), bool))
    for bad in (tags[:, :3], tags[0], np.zeros((2, 4, 2), bool)):
        with pytest.raises(ValueError, match="expected tags"):
            layer.log_likelihood(emissions, bad)
    for wrong in (-1, 3):
        with pytest.raises(ValueError, match="expected tags from 0 to 2"):
            layer.log_likelihood(emissions, np.full((2, 4), wrong))
    with pytest.raises(ValueError, match="n to be a positive integer, received 0"):
        layer.n_best(emissions, 0)
    with pytest.raises(ValueError, match="CRFLoss expected as y_pred what a CRF layer returned"):
        CRFLoss()(tags, layer(emissions) + 0)
    if keras.backend.backend() != "torch":  # in a compiled function, wrong tags are impossible ones
        compiled = backend.compiled(lambda x, y: layer.log_likelihood(x, y), layer.variables)
        wrong = ops.convert_to_tensor(np.array([[0, 1, 2, 0], [0, 3, 0, 0]]))
        assert np.isfinite(to_numpy(compiled(ops.convert_to_tensor(emissions), wrong))).tolist() == [True, False]
