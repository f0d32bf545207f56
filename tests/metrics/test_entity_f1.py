"""rnnkit.metrics.EntityF1: against seqeval, in each scheme, with masks and weights, and inside fit and evaluate."""

import re
from functools import partial

import keras
import numpy as np
import pytest
from keras import ops
from seqeval.metrics import sequence_labeling
from seqeval.metrics.v1 import precision_recall_fscore_support as strict_seqeval
from seqeval.scheme import BILOU, IOB1, IOB2, IOBES, IOE2

from rnnkit.metrics import EntityF1
from rnnkit.text import Vocabulary, convert_tags

seqeval = partial(sequence_labeling.precision_recall_fscore_support, zero_division=0)
TYPES = ("LOC", "ORG", "PER")
PREFIXES = {
    "IOB1": "BI",
    "BIO": "BI",
    "BIOES": "BIES",
    "IOE1": "IE",
    "IOE2": "IE",
    "IO": "I",
    "BILOU": "BILU",
    "BMES": "BMES",
    "BMEWO": "BMEW",
}
STRICT = {"IOB1": IOB1, "BIO": IOB2, "IOE2": IOE2, "BIOES": IOBES, "BILOU": BILOU}
TO_BIOES = str.maketrans("LUMW", "ESIS")  # seqeval's lenient reading knows the letters of BIOES alone


def tags_of_scheme(scheme):
    return ["O", *(f"{prefix}-{type}" for type in TYPES for prefix in PREFIXES[scheme])]


TAGS = tags_of_scheme("BIO")


def sentences(scheme="BIO", rows=1000, time=14, seed=0):
    """Tags that follow their scheme, similar predictions that may break it, and lengths from 0."""
    random = np.random.default_rng(seed)
    tags = tags_of_scheme(scheme)
    lengths = random.integers(0, time + 1, rows)
    lengths[:2] = 0, time
    y_true = np.zeros((rows, time), "int32")
    for row, length in enumerate(lengths):
        spelled = []
        while len(spelled) < length:
            type, size = random.choice(TYPES), random.integers(1, 4)
            is_name = random.random() > 0.3 and not (scheme == "IO" and spelled[-1:] == [f"I-{type}"])
            is_name = is_name and not (scheme == "IO" and spelled[-1:] == [f"B-{type}"])
            spelled += [f"B-{type}", *[f"I-{type}"] * (size - 1)] if is_name else ["O"] * size
        y_true[row, :length] = [tags.index(tag) for tag in convert_tags(spelled[:length], "BIO", scheme)]
    random_tags = random.integers(0, len(tags), (rows, time), dtype="int32")
    y_pred = np.where(random.random((rows, time)) < 0.8, y_true, random_tags)
    return y_true, y_pred, lengths


def spelled(ids, keep, tags=TAGS):
    """Lists of tags for seqeval, without the masked tokens."""
    return [[tags[index] for index in row[kept]] for row, kept in zip(ids, keep, strict=True)]


def in_letters_of_bioes(tags):
    return [tag[:1].translate(TO_BIOES) + tag[1:] for tag in tags]


def assert_equals_seqeval(metric, y_true, y_pred, keep, tags=TAGS):
    y_true, y_pred = spelled(y_true, keep, tags), spelled(y_pred, keep, tags)
    *micro, total = seqeval(y_true, y_pred, average="micro")
    report = metric.report()
    assert list(report) == [*TYPES, "micro"]
    assert report["micro"][:3] == pytest.approx(micro, rel=1e-12) and report["micro"].true == total
    assert float(metric.result()) == pytest.approx(micro[2], rel=1e-6)
    each = zip(*seqeval(y_true, y_pred), strict=True)
    for type, (precision, recall, f1, count) in zip(TYPES, each, strict=True):
        assert report[type][:3] == pytest.approx((precision, recall, f1), rel=1e-12)
        assert report[type].true == count


def one_hot(y_pred, seed=0):
    """Scores whose largest ones are the predictions."""
    noise = np.random.default_rng(seed).normal(size=(*y_pred.shape, len(TAGS)))
    return (noise + 20 * np.eye(len(TAGS))[y_pred]).astype("float32")


@pytest.mark.parametrize("scheme", PREFIXES)
@pytest.mark.parametrize("truth", ["legal", "random"])
def test_equals_seqeval_on_a_thousand_sentences(scheme, truth):
    y_true, y_pred, lengths = sentences(scheme)
    if truth == "random":
        y_true = np.where(np.random.default_rng(1).random(y_true.shape) < 0.7, y_pred, y_true)
    tags = tags_of_scheme(scheme)
    keep = np.arange(y_true.shape[1]) < lengths[:, None]
    metric = EntityF1(tags)
    for start in range(0, 1000, 250):  # in batches
        batch = slice(start, start + 250)
        metric.update_state(y_true[batch], y_pred[batch], sample_weight=keep[batch])
    assert 0.1 < float(metric.result()) < 0.9
    assert_equals_seqeval(metric, y_true, y_pred, keep, in_letters_of_bioes(tags))
    assert_equals_conlleval(metric, spelled(y_true, keep, tags), spelled(y_pred, keep, tags))


def assert_equals_conlleval(metric, y_true, y_pred):
    """By the definition of conlleval: a chunk ends at O, at a B, after an E or S, and where the type changes."""

    def chunks(rows):
        for number, row in enumerate(rows):
            begin, before = 0, "O"
            for place, tag in enumerate([*in_letters_of_bioes(row), "O"]):
                if before != "O" and (tag[0] in "OBS" or before[0] in "ES" or tag[2:] != before[2:]):
                    yield number, begin, place, before[2:]
                if before == "O" or tag[0] in "BS" or before[0] in "ES" or tag[2:] != before[2:]:
                    begin = place
                before = tag

    true, predicted = set(chunks(y_true)), set(chunks(y_pred))
    assert metric.report()["micro"][3:] == (len(predicted), len(true), len(true & predicted))


@pytest.mark.parametrize("scheme", STRICT)
def test_strict_equals_seqeval_on_a_thousand_sentences(scheme):
    y_true, y_pred, lengths = sentences(scheme)
    tags, keep = tags_of_scheme(scheme), np.arange(y_true.shape[1]) < lengths[:, None]
    metric, lenient = EntityF1(tags, scheme=scheme, strict=True), EntityF1(tags)
    for each in (metric, lenient):
        each.update_state(y_true, y_pred, sample_weight=keep)
    texts = spelled(y_true, keep, tags), spelled(y_pred, keep, tags)
    report = metric.report(["micro", "macro", "weighted"])
    for average in ("micro", "macro", "weighted"):
        wanted = strict_seqeval(*texts, average=average, scheme=STRICT[scheme], zero_division=0)
        assert report[average][:3] == pytest.approx(wanted[:3], rel=1e-12), average
    for type, *wanted in zip(TYPES, *strict_seqeval(*texts, scheme=STRICT[scheme], zero_division=0), strict=True):
        assert (*report[type][:3], report[type].true) == pytest.approx(wanted, rel=1e-12)
    assert report["micro"] != lenient.report()["micro"]


@pytest.mark.slow
@pytest.mark.parametrize("strict", [False, True])
@pytest.mark.parametrize("scheme", STRICT)
def test_equals_seqeval_on_many_corpora(scheme, strict):
    tags = tags_of_scheme(scheme)
    metric = EntityF1(tags, scheme=scheme, strict=strict)
    y_true, y_pred, lengths = sentences(scheme, rows=400, time=9, seed=5)
    for corpus in np.split(np.arange(400), 100):
        keep = np.arange(9) < lengths[corpus, None]
        metric.reset_state()
        metric.update_state(y_true[corpus], y_pred[corpus], sample_weight=keep)
        texts = [spelled(ids[corpus], keep, tags if strict else in_letters_of_bioes(tags)) for ids in (y_true, y_pred)]
        report = metric.report(["micro", "macro", "weighted"])
        for average in ("micro", "macro", "weighted"):
            how = {"scheme": STRICT[scheme]} if strict else {}
            *wanted, _ = (strict_seqeval if strict else sequence_labeling.precision_recall_fscore_support)(
                *texts, average=average, zero_division=0, **how
            )
            assert report[average][:3] == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("average", ["macro", "weighted"])
def test_averages_over_types(average):
    y_true, y_pred, lengths = sentences(rows=60)
    y_true, y_pred = (
        np.where(ids >= TAGS.index("B-PER"), 0, ids) for ids in (y_true, y_pred)
    )  # a type that never occurs
    keep = np.arange(y_true.shape[1]) < lengths[:, None]
    metric = EntityF1(TAGS, average=average)
    assert float(metric.result()) == 0.0 and metric.report([average])[average] == (0, 0, 0, 0, 0, 0)
    metric.update_state(y_true, y_pred, sample_weight=keep)
    wanted = seqeval(spelled(y_true, keep), spelled(y_pred, keep), average=average)
    report = metric.report([average])
    assert report[average][:3] == pytest.approx(wanted[:3], rel=1e-12)
    assert float(metric.result()) == pytest.approx(wanted[2], rel=1e-6)
    assert keras.metrics.deserialize(keras.metrics.serialize(metric)).average == average


def test_spellings_and_special_labels():
    y_true, y_pred, _ = sentences("BIOES", rows=50)
    tags = tags_of_scheme("BIOES")
    first = ["O", *("-".join(reversed(tag.split("-"))) for tag in tags[1:])]
    plain, other = EntityF1(tags), EntityF1([*first, "X", "[SEP]"], scheme="auto", ignore=["X", "[SEP]"])
    assert (other.scheme, plain.scheme) == ("BIOES, type first", None)
    keep = np.random.default_rng(0).random(y_true.shape) < 0.8
    plain.update_state(y_true, y_pred, sample_weight=keep)
    other.update_state(np.where(keep, y_true, len(tags)), y_pred)
    assert plain.report() == other.report()
    other.reset_state()
    other.update_state([[1, 0]], [[len(tags), len(tags) + 1]])  # special labels as predictions are O
    assert other.report()["micro"][3:] == (0, 1, 0)
    copy = keras.metrics.deserialize(keras.metrics.serialize(other))
    assert copy.get_config() == other.get_config() and copy.scheme == other.scheme
    untyped = EntityF1(["O", "B", "I"])
    untyped.update_state([[1, 2, 1]], [[1, 2, 2]])
    assert untyped.report()["micro"][3:] == (1, 2, 0) and list(untyped.report()) == ["", "micro"]
    types = EntityF1(["O", "PER", "LOC"], scheme="auto")
    types.update_state([[1, 1, 2, 0]], [[1, 1, 2, 2]])
    assert types.scheme == "IO, types only" and types.report()["micro"][3:] == (2, 2, 1)


def test_every_pair_of_short_sentences():
    """All 5 x 5 x 5 tag sequences of length 3 against all others, in one batch."""
    tags = ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]
    short = np.stack(np.meshgrid(*[np.arange(5, dtype="int32")] * 3), -1).reshape(-1, 3)
    y_true, y_pred = np.repeat(short, len(short), 0), np.tile(short, (len(short), 1))
    metric = EntityF1(tags)
    metric.update_state(y_true, y_pred)
    found = [set(sequence_labeling.get_entities([tags[index] for index in row])) for row in short]
    right = sum(len(one & other) for one in found for other in found)
    total = len(short) * sum(map(len, found))
    assert metric.report()["micro"][3:] == (total, total, right)


def test_scores_and_shapes():
    y_true, y_pred, _ = sentences(rows=50)
    keep = np.ones(y_true.shape, bool)
    for predictions in (y_pred, one_hot(y_pred), y_pred.astype("float32")):
        for targets in (y_true, y_true[..., None], y_true.astype("float32")):
            metric = EntityF1(TAGS)
            metric.update_state(targets, predictions)
            assert_equals_seqeval(metric, y_true, y_pred, keep)


@pytest.mark.parametrize("where", ["right", "left", "anywhere", "whole rows"])
def test_masked_tokens_are_left_out(where):
    y_true, y_pred, lengths = sentences(rows=300)
    random = np.random.default_rng(2)
    places = np.arange(y_true.shape[1])
    if where == "left":
        y_true, y_pred = (np.stack(list(map(np.roll, ids, -lengths))) for ids in (y_true, y_pred))
    keep = {
        "right": places < lengths[:, None],
        "left": places >= len(places) - lengths[:, None],
        "anywhere": random.random(y_true.shape) < 0.7,
        "whole rows": np.broadcast_to(lengths[:, None] > 5, y_true.shape),
    }[where]
    weights = keep[:, 0] if where == "whole rows" else keep.astype("float32")
    by_weight, by_class = EntityF1(TAGS), EntityF1(TAGS, ignore_class=-100)
    by_weight.update_state(y_true, y_pred, sample_weight=weights)
    by_class.update_state(np.where(keep, y_true, -100), y_pred)
    for metric in (by_weight, by_class):
        assert_equals_seqeval(metric, y_true, y_pred, keep)


def test_an_entity_has_the_weight_of_its_first_token():
    metric = EntityF1(["O", "B-LOC", "I-LOC"])
    ids, weights = [[1, 2, 0, 1, 1]], [[2.0, 5.0, 1.0, 0.5, 0.25]]
    metric.update_state(ids, ids, sample_weight=weights)
    assert metric.report()["LOC"][3:] == (2.75, 2.75, 2.75)
    metric.update_state([[0, 1]] * 2, [[1, 0], [0, 1]], sample_weight=[3.0, 4.0])
    assert metric.report()["LOC"][3:] == (9.75, 9.75, 6.75)


def test_the_padding_of_a_vocabulary():
    """Its numbers begin with 1, so a tag list from it begins with the empty string."""
    y_true, y_pred, lengths = sentences(rows=100)
    keep = np.arange(y_true.shape[1]) < lengths[:, None]
    tags = Vocabulary([TAGS])
    metric = EntityF1(tags, ignore_class=0)
    metric.update_state(np.where(keep, y_true + 1, 0), y_pred + 1)
    assert_equals_seqeval(metric, y_true, y_pred, keep)
    metric.update_state([[2]], [[0]])  # predicted padding is not an entity
    assert metric.report()["micro"].right == metric.report()["LOC"].right + sum(
        metric.report()[type].right for type in ("ORG", "PER")
    )


def test_nothing_to_find_and_nothing_found():
    metric = EntityF1(["O", "B-LOC"])
    assert float(metric.result()) == 0.0
    metric.update_state([[0, 0]], [[0, 0]])
    metric.update_state(np.zeros((0, 3), "int32"), np.zeros((0, 3), "int32"))
    metric.update_state(np.zeros((2, 0), "int32"), np.zeros((2, 0), "int32"))
    assert float(metric.result()) == 0.0 and metric.report()["LOC"] == (0, 0, 0, 0, 0, 0)
    metric.update_state([[1, 1]], [[1, 0]])
    assert metric.report()["LOC"][:2] == (1.0, 0.5)
    metric.reset_state()
    assert metric.report()["LOC"] == (0, 0, 0, 0, 0, 0)


def test_rows_do_not_touch():
    metric = EntityF1(["O", "B-LOC", "I-LOC"])
    metric.update_state([[0, 1], [2, 0]], [[0, 1], [1, 0]])
    assert metric.report()["LOC"] == (1.0, 1.0, 1.0, 2.0, 2.0, 2.0)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: EntityF1(["O", "B-LOC", "O"]), "EntityF1 expected each tag once, received 'O' twice"),
        (lambda: EntityF1(["O", "LOC"]), "EntityF1: expected a tag such as 'O', 'B-PER' or 'I-PER', received 'LOC'"),
        (lambda: EntityF1(["O"]), "at least one tag of an entity, such as 'B-PER', received ['O']"),
        (lambda: EntityF1([]), "at least one tag, received []"),
        (lambda: EntityF1("O"), "received one string"),
        (
            lambda: EntityF1(["O", "E-X"], scheme="BIO"),
            "EntityF1 expected tags with the prefixes O, B, I, received 'E-X'",
        ),
        (lambda: EntityF1(["O", "B-X"], scheme="B"), "received 'B'"),
        (lambda: EntityF1(["O", "B-X"], average="mean"), "one of micro, macro, weighted, received 'mean'"),
        (lambda: EntityF1(["O", "B-X"]).report("macro"), "received 'macro'"),
        (lambda: EntityF1(["O", "X-B"]), "It looks like a tag of the scheme 'BIO, type first'"),
    ],
)
def test_wrong_tags_are_refused(build, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        build()


@pytest.mark.parametrize(
    ("y_true", "y_pred", "weights", "message"),
    [
        ((2, 3), (2, 4), None, "received shapes (2, 3) and (2, 4)"),
        ((2, 3), (2, 3, 5), None, "or (batch, time, 7), received shapes (2, 3) and (2, 3, 5)"),
        ((2, 3, 7), (2, 3, 7), None, "not one-hot rows"),
        ((3,), (3,), None, "expected targets"),
        ((2, 1), (2, 3), None, "received shapes"),
        ((2, 3), (2, 3), (2, 4), "sample_weight of shape (batch, time) or (batch,), received (2, 4)"),
        ((2, 3), (2, 3), (3,), "received (3,)"),
        ((2, 3), (2, 3), (2, 3, 1), "received (2, 3, 1)"),
    ],
)
def test_wrong_shapes_are_refused(y_true, y_pred, weights, message):
    weights = None if weights is None else np.ones(weights, "float32")
    with pytest.raises(ValueError, match=re.escape(message)):
        EntityF1(TAGS).update_state(np.zeros(y_true, "int32"), np.zeros(y_pred, "int32"), weights)


def test_the_metric_is_serialized():
    metric = EntityF1(TAGS, ignore_class=-1, name="f1")
    copy = keras.metrics.deserialize(keras.metrics.serialize(metric))
    assert type(copy) is EntityF1 and copy.get_config() == metric.get_config()
    assert copy.get_config() == {"tags": TAGS, "ignore_class": -1, "name": "f1", "dtype": "float32"}


@pytest.mark.parametrize("floatx", ["float16", "bfloat16"])
def test_counts_stay_in_float32_whatever_the_type_of_the_session(floatx):
    before = keras.config.floatx()
    keras.config.set_floatx(floatx)
    try:
        metric = EntityF1(["O", "B-LOC"])
        metric.update_state(np.ones((70, 1001), "int32"), np.ones((70, 1001), "int32"))
        assert metric.report()["LOC"] == (1.0, 1.0, 1.0, 70_070, 70_070, 70_070)
    finally:
        keras.config.set_floatx(before)


def tagger(masked, jit_compile, **metrics):
    model = keras.Sequential(
        [
            keras.Input((None,), dtype="int32"),
            keras.layers.Embedding(9, 4, mask_zero=masked),
            keras.layers.Dense(len(TAGS)),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("sgd", loss, jit_compile=jit_compile, **metrics)
    return model


@pytest.mark.parametrize(
    ("way", "jit_compile"),
    [
        ("mask of the model", False),
        pytest.param("mask of the model", True, marks=pytest.mark.slow),
        pytest.param("sample_weight", False, marks=pytest.mark.slow),
        pytest.param("ignore_class", False, marks=pytest.mark.slow),
    ],
)
def test_masks_in_fit_and_evaluate(way, jit_compile, tmp_path):
    if jit_compile and keras.backend.backend() == "torch":
        pytest.skip("PyTorch compiles only with a C++ compiler")
    y, _, lengths = sentences(rows=16)
    keep = np.arange(y.shape[1]) < lengths[:, None]
    x = np.where(keep, np.random.default_rng(4).integers(1, 9, y.shape, dtype="int32"), 0)
    weights = {"sample_weight": keep.astype("float32")} if way == "sample_weight" else {}
    metric = EntityF1(TAGS, ignore_class=0 if way == "ignore_class" else None)
    if way == "ignore_class":
        keep = y != 0
    kind = "weighted_metrics" if weights else "metrics"
    model = tagger(way == "mask of the model", jit_compile, **{kind: [metric]})
    history = model.fit(x, y, batch_size=8, verbose=0, validation_data=(x, y, *weights.values())).history
    assert 0 <= history["entity_f1"][0] <= 1 and "val_entity_f1" in history
    predicted = ops.convert_to_numpy(model(x)).argmax(-1)

    model.save(tmp_path / "model.keras")
    for each in (model, keras.models.load_model(tmp_path / "model.keras")):
        found = each.evaluate(x, y, batch_size=8, return_dict=True, verbose=0, **weights)
        *_, f1, _ = seqeval(spelled(y, keep), spelled(predicted, keep), average="micro")
        assert found["entity_f1"] == pytest.approx(f1, rel=1e-6)
        assert f1 > 0
    assert_equals_seqeval(metric, y, predicted, keep)


def test_eager_models_pass_on_their_mask_too():
    y, _, lengths = sentences(rows=6)
    x = np.where(np.arange(y.shape[1]) < lengths[:, None], 1, 0)
    model = tagger(True, False, metrics=[EntityF1(TAGS)])
    model.run_eagerly = True
    metric = EntityF1(TAGS)
    scores = model(x)
    metric.update_state(y, scores)
    predicted = ops.convert_to_numpy(scores).argmax(-1)
    assert_equals_seqeval(metric, y, predicted, x > 0)
    other = model.evaluate(x, y, return_dict=True, verbose=0)["entity_f1"]
    assert other == pytest.approx(float(metric.result()), rel=1e-6)


def test_early_stopping_knows_which_way_is_better():
    y, _, _ = sentences(rows=4)
    model = tagger(True, False, metrics=[EntityF1(TAGS)])
    model.run_eagerly = True  # compiles nothing
    stopping = keras.callbacks.EarlyStopping("val_entity_f1")
    model.fit(y, y, validation_data=(y, y), verbose=0, callbacks=[stopping])
    assert stopping.monitor_op(1, 2) == np.False_
