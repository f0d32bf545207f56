"""How sure a CRF is: its confidences against the sum over all paths, and all its results as outputs of models."""

import keras
import numpy as np
import pytest

from rnnkit import backend
from rnnkit.layers import CRF, CRFLoss
from rnnkit.text import legal_transitions, tags_to_spans
from tests import crf_oracle
from tests.layer_checks import EAGER, to_numpy

NAMES = ["O", "B-A", "I-A", "B-B", "I-B"]
WORDS = np.array([[5, 3, 8, 2, 1], [4, 4, 9, 0, 0], [7, 0, 6, 0, 3], [0, 0, 0, 0, 0]])
RESULTS = [
    "marginals",
    "entropy",
    "log_partition",
    "sequence_confidence",
    "token_confidence",
    "entity_confidence",
]
LISTS = {
    "BIO": NAMES,
    "IOB1": ["I-A", "O", "B-A", "I-B"],  # two ways to write one entity
    "BIOES": ["S-A", "O", "B-A", "E-A", "I-A"],
}


def randomized(layer, scale=1.0):
    layer.build((None, None, layer.num_tags))
    rng = np.random.default_rng(7)
    layer.set_weights([rng.normal(scale=scale, size=weight.shape) for weight in layer.get_weights()])
    return layer


def confidences_of(weights, row, names, scheme):
    """By their definitions: of the sequence, of each token, of each entity."""
    start, between, end = legal_transitions(names, scheme)

    def legal(s):
        return len(s) == 0 or start[s[0]] and end[s[-1]] and all(between[pair] for pair in zip(s, s[1:], strict=False))

    sequences, scores = crf_oracle.sequences_and_scores(weights, row, legal)
    p = np.exp(scores - crf_oracle.log_sum_exp(scores))
    best = p.argmax()
    spans = [set(tags_to_spans([names[tag] for tag in sequence])) for sequence in sequences]
    of_tokens, of_entities = np.zeros(len(row)), np.zeros(len(row))
    for t in range(len(row)):
        of_tokens[t] = p[sequences[:, t] == sequences[best, t]].sum()
        entity = [span for span in spans[best] if span[1] <= t < span[2]]
        for probability, found in zip(p, spans, strict=True):
            same = entity[0] in found if entity else not any(span[1] <= t < span[2] for span in found)
            of_entities[t] += probability * same
    return p[best], of_tokens, of_entities


@pytest.mark.parametrize("scheme", LISTS)
def test_confidences_equal_the_sum_over_all_paths(scheme):
    names = LISTS[scheme]
    layer, rng = randomized(CRF(len(names), names, scheme)), np.random.default_rng(0)
    mask = rng.random((12, 5)) < 0.7
    mask[0], mask[1] = True, False
    emissions = rng.normal(scale=2.0, size=(*mask.shape, len(names))).astype("float32")
    garbage = np.where(mask[..., None], emissions, np.nan)
    of_sequences = to_numpy(layer.sequence_confidence(garbage, mask))
    of_tokens, of_entities = (to_numpy(f(garbage, mask)) for f in (layer.token_confidence, layer.entity_confidence))
    for b, counts in enumerate(mask):
        wanted = confidences_of(layer.get_weights(), emissions[b][counts], names, scheme)
        np.testing.assert_allclose(of_sequences[b], wanted[0], atol=1e-6)
        np.testing.assert_allclose(of_tokens[b][counts], wanted[1], atol=1e-6)
        np.testing.assert_allclose(of_entities[b][counts], wanted[2], atol=1e-6)
    assert of_sequences[1] == 1.0  # the only sequence of an empty row
    assert (of_tokens[~mask] == 0).all() and (of_entities[~mask] == 0).all()
    np.testing.assert_allclose(
        to_numpy(layer.entity_confidence(emissions[:1])), of_entities[:1], atol=1e-6, err_msg="without a mask"
    )


def test_the_confidence_of_a_long_entity():
    """An entity that is the whole row has the probability of its only sequence, however many factors that has."""
    layer, time = randomized(CRF(5, NAMES), 0.1), 60
    emissions = np.zeros((1, time, 5), "float32")
    emissions[0, 0, 1], emissions[0, 1:, 2] = 7.0, 7.0
    sure = to_numpy(layer.entity_confidence(emissions))
    wanted = np.exp(to_numpy(layer.log_likelihood(emissions, [[1] + [2] * (time - 1)])))
    assert 0.5 < wanted[0] < 0.99
    np.testing.assert_allclose(sure, np.full((1, time), wanted), rtol=1e-5)


def outputs_of(layer, emissions, tags, **how):
    """All results of the layer."""
    found = {"decode": layer.decode(emissions, **how), "n_best": layer.n_best(emissions, 3, **how)}
    found["posterior_decode"] = layer.posterior_decode(emissions, **how)
    return {
        **{f"{name} tags": result.tags for name, result in found.items()},
        **{f"{name} score": result.score for name, result in found.items()},
        **{name: getattr(layer, name)(emissions, **how) for name in RESULTS},
        "log_likelihood": layer.log_likelihood(emissions, tags, **how),
    }


def emissions_and_inputs():
    keras.utils.set_random_seed(3)
    inputs = {name: keras.Input((None,), dtype="int32", name=name) for name in ("words", "labels")}
    vectors = keras.layers.Embedding(10, 6, mask_zero=True)(inputs["words"])
    return keras.layers.Dense(5, name="emissions")(vectors), inputs


def test_all_results_are_outputs_of_a_model_that_is_saved(tmp_path):
    emissions, inputs = emissions_and_inputs()
    layer = randomized(CRF(5, constraints=NAMES, name="crf"))
    outputs = {"tags": layer(emissions), **outputs_of(layer, emissions, inputs["labels"])}
    assert outputs["marginals"].shape == (None, None, 5) and outputs["n_best tags"].shape == (None, 3, None)
    assert outputs["entropy"].shape == outputs["sequence_confidence"].shape == outputs["decode score"].shape == (None,)
    model = keras.Model(inputs, outputs)
    numbers = keras.Model(inputs["words"], emissions)(WORDS)
    labels = np.zeros_like(WORDS)

    def results(x):
        return outputs_of(layer, x, labels, mask=WORDS != 0)

    results = results if EAGER else backend.compiled(results, layer.variables)
    wanted = {name: to_numpy(x) for name, x in results(numbers).items()}
    wanted["tags"] = wanted["decode tags"]
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert len(loaded.weights) == len(model.weights) == 6
    loaded.compile(run_eagerly=EAGER)
    found = loaded.predict({"words": WORDS, "labels": labels}, verbose=0)
    assert set(found) == set(wanted)
    for name, value in found.items():
        assert value.dtype == wanted[name].dtype, name
        np.testing.assert_allclose(value, wanted[name], rtol=1e-5, atol=1e-6, err_msg=name)


def test_a_model_of_tags_and_confidences_is_trained_and_has_the_mask_where_there_are_steps():
    emissions, inputs = emissions_and_inputs()
    layer = CRF(5, constraints=NAMES)
    outputs = {"tags": layer(emissions), "sure": layer.token_confidence(emissions), "all": layer.entropy(emissions)}
    model = keras.Model(inputs["words"], outputs)
    model.compile(keras.optimizers.Adam(0.1), {"tags": CRFLoss()}, run_eagerly=EAGER)
    labels = np.array([[0, 1, 2, 0, 1], [3, 4, 4, 0, 0], [1, 0, 2, 0, 0], [0, 0, 0, 0, 0]])
    first, before = model.train_on_batch(WORDS, {"tags": labels}), model(WORDS)
    for _ in range(12):
        last = model.train_on_batch(WORDS, {"tags": labels})
    after = model(WORDS)
    assert np.ravel(last)[0] < 0.3 * np.ravel(first)[0]
    assert (to_numpy(after["sure"]) - to_numpy(before["sure"]))[WORDS != 0].mean() > 0.1
    assert to_numpy(after["all"]).sum() < to_numpy(before["all"]).sum()
    masks = {name: getattr(value, "_keras_mask", None) for name, value in after.items()}
    assert masks["all"] is None
    for name in ("tags", "sure"):
        np.testing.assert_array_equal(to_numpy(masks[name]), WORDS != 0)


@pytest.mark.slow
@pytest.mark.skipif(keras.backend.backend() != "tensorflow", reason="a SavedModel is TensorFlow's")
@pytest.mark.filterwarnings("ignore")
def test_confidences_are_in_a_saved_model(tmp_path):
    import tensorflow as tf

    emissions, inputs = emissions_and_inputs()
    layer = randomized(CRF(5, constraints=NAMES))
    outputs = [
        layer(emissions),
        layer.entity_confidence(emissions),
        layer.marginals(emissions),
        *layer.n_best(emissions, 2),
    ]
    model = keras.Model(inputs["words"], outputs)
    model.export(tmp_path / "model", verbose=False)
    loaded = tf.saved_model.load(tmp_path / "model")
    for words in (WORDS.astype("int32"), WORDS[:1, :3].astype("int32")):
        for value, wanted in zip(loaded.serve(words), model(words), strict=True):
            np.testing.assert_allclose(value, wanted, rtol=1e-5, atol=1e-6)


def test_an_entity_needs_names():
    with pytest.raises(ValueError, match="expected the names of its tags for entity_confidence.*constraints=names"):
        CRF(3).entity_confidence(np.zeros((2, 4, 3), "float32"))
