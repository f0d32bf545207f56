"""What a CRF allows: names in all schemes, tables, moves; and rows for which nothing is left."""

import itertools

import keras
import numpy as np
import pytest
from keras import ops

from rnnkit import backend
from rnnkit.layers import CRF, CRFLoss
from rnnkit.text import check_tags, legal_transitions
from rnnkit.text.schemes import scheme_of
from tests import crf_oracle
from tests.layer_checks import EAGER, to_numpy

SCHEMES = ["IOB1", "BIO", "IOE1", "IOE2", "IO", "BIOES", "BILOU", "BMES", "BMEWO"]
STYLES = ["BMES, type first", "BIO, underscore, lower case", "BILOU, any case", "IO, types only", "IOB2", "BIOUL"]


def names_of(scheme):
    scheme = scheme_of(scheme)
    roles = [(role, type) for type in ("PER", "LOC") for role in scheme.roles[1:]]
    return [*dict.fromkeys(scheme.spell(role, type) for role, type in roles), scheme.spell("O")]


def follows(tags, scheme):
    try:
        check_tags(tags, scheme)
    except ValueError:
        return False
    return True


@pytest.mark.parametrize("scheme", [*SCHEMES, *STYLES])
def test_the_sequences_of_a_scheme(scheme):
    names, time = names_of(scheme), 3
    layer = CRF(len(names), names, scheme)
    paths = np.array(list(itertools.product(range(len(names)), repeat=time)))
    wanted = np.array([follows([names[tag] for tag in path], scheme) for path in paths])
    emissions = np.zeros((len(paths), time, len(names)), "float32")
    np.testing.assert_array_equal(to_numpy(layer.log_likelihood(emissions, paths)) > -np.inf, wanted)
    assert wanted.any()


def test_the_scheme_is_found_and_special_labels_are_never_predicted():
    names = ["[CLS]", "PER-B", "PER-L", "PER-U", "O", "PER-I", ""]
    layer = CRF(7, names, "auto", ignore=["[CLS]"])
    same = CRF(7, names, "BILOU, type first", ignore=["[CLS]"])
    emissions = np.random.default_rng(0).normal(scale=5.0, size=(20, 4, 7))
    tags = to_numpy(layer.decode(emissions).tags)
    assert not np.isin(tags, [0, 6]).any() and len(set(tags.ravel())) == 5
    np.testing.assert_array_equal(to_numpy(same.decode(emissions).tags), tags)
    again = CRF.from_config(layer.get_config())
    assert again.get_config() == layer.get_config() and again.ignore == ["[CLS]"]
    sure = to_numpy(layer.entity_confidence(emissions))
    assert (sure > 0).all() and (sure <= 1 + 1e-6).all()


START, TABLE, END = legal_transitions(["O", "B-A", "I-A", "B-B"])
PAIRS = [(int(i), int(j)) for i, j in np.argwhere(TABLE)]
BORDERS = [*(("start", int(j)) for j in np.flatnonzero(START)), (0, "end"), (2, "end")]
ANY = np.ones(4, bool)
FORMS = {
    "array": (TABLE, (ANY, TABLE, ANY)),
    "numbers": (TABLE.astype("float32"), (ANY, TABLE, ANY)),
    "lists": (TABLE.tolist(), (ANY, TABLE, ANY)),
    "tensor": (ops.convert_to_tensor(TABLE), (ANY, TABLE, ANY)),
    "pairs": (PAIRS, (ANY, TABLE, ANY)),
    "set of pairs": (set(PAIRS), (ANY, TABLE, ANY)),
    "array of pairs": (np.argwhere(TABLE), (ANY, TABLE, ANY)),
    "named tuple": (legal_transitions(["O", "B-A", "I-A", "B-B"]), (START, TABLE, END)),
    "tuple of lists": ((START.tolist(), TABLE.tolist(), [1, 0, 0, 1]), (START, TABLE, np.array([1, 0, 0, 1], bool))),
    "pairs with borders": ([*PAIRS, *BORDERS], (START, TABLE, np.array([1, 0, 1, 0], bool))),
}


@pytest.mark.parametrize("name", FORMS)
def test_tables_and_moves(name):
    """Equal to the sum over all paths that they allow; and again from the configuration."""
    constraints, (start, table, end) = FORMS[name]
    layer = CRF(4, constraints)
    emissions = np.random.default_rng(0).normal(scale=2.0, size=(2, 3, 4)).astype("float32")

    def legal(s):
        return start[s[0]] and table[s[0], s[1]] and table[s[1], s[2]] and end[s[2]]

    weights = [np.zeros(4), np.zeros((4, 4)), np.zeros(4)]
    wanted = [crf_oracle.log_partition(weights, row, legal) for row in emissions]
    np.testing.assert_allclose(to_numpy(layer.log_partition(emissions)), wanted, rtol=1e-6)
    again = CRF.from_config(layer.get_config())
    np.testing.assert_allclose(to_numpy(again.log_partition(emissions)), wanted, rtol=1e-6)
    assert again.get_config() == layer.get_config()


def test_a_table_is_saved_with_the_model(tmp_path):
    inputs = keras.Input((None, 4))
    model = keras.Model(inputs, CRF(4, constraints=(START, TABLE, END))(inputs))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    x = np.random.default_rng(0).normal(scale=5.0, size=(20, 5, 4)).astype("float32")
    tags = to_numpy(loaded(x))
    np.testing.assert_array_equal(tags, to_numpy(model(x)))
    assert TABLE[tags[:, :-1], tags[:, 1:]].all() and not TABLE[x.argmax(-1)[:, :-1], x.argmax(-1)[:, 1:]].all()


def test_a_table_of_ones_allows_everything():
    emissions = np.random.default_rng(0).normal(size=(2, 3, 4)).astype("float32")
    layer = CRF(4, constraints=np.ones((4, 4), bool))
    np.testing.assert_allclose(to_numpy(layer.log_partition(emissions)), to_numpy(CRF(4).log_partition(emissions)))


@pytest.mark.parametrize(
    "arguments, match",
    [
        ((4, np.ones((3, 3))), r"a table of zeros and ones \(4, 4\).*Received a table of shape \(3, 3\)"),
        ((4, np.ones((4, 4, 2))), r"Received a table of shape \(4, 4, 2\)"),
        ((4, np.ones(4)), r"Received a table of shape \(4,\)"),
        ((4, np.full((4, 4), 0.5)), "Received other values than 0 and 1"),
        ((4, np.where(TABLE, 0.0, -np.inf)), "Received other values than 0 and 1"),
        ((4, (START, TABLE[:2], END)), r"arrays of the shapes \[\(4,\), \(2, 4\), \(4,\)\]"),
        ((4, (START, TABLE, np.zeros(4))), "no sequence can start, or none can end"),
        ((4, [(0, 1), (1, 4)]), r"pairs \(i, j\) of tags from 0 to 3.*Received \(1, 4\)"),
        ((4, [(0, 1), ("end", 1)]), r"Received \('end', 1\)"),
        ((4, [(0, 1), (1, 2, 3)]), r"Received \(1, 2, 3\)"),
        ((4, [(0, 1), (0, True)]), r"Received \(0, True\)"),
        ((4, [[0, 1], [-1, 0]]), r"Received \(.*-1.*\)"),
        ((4, []), "Received an empty list"),
        ((4, 3), "Received 3"),
        ((4, {0: [1, 2]}), "Received"),
        ((3, "BIO"), "the names of its 3 tags, received 3: 'BIO'"),
        ((4, TABLE, "BIO"), "the names of all tags, along with scheme='BIO'"),
        ((4, TABLE, None, ["X"]), r"the names of all tags, along with scheme=None and ignore=\['X'\]"),
        ((3, ["O", "PER-B", "PER-I"]), "CRF.*looks like the scheme 'BIO, type first'"),
        ((3, ["O", "B-PER", "L-PER"]), "CRF.*looks like the scheme 'BILOU'"),
        ((3, ["O", "B_PER", "I_PER"]), "CRF.*looks like the scheme 'BIO, underscore'"),
        ((3, ["o", "b-per", "i-per"]), "CRF.*looks like the scheme 'BIO, lower case'"),
        ((2, ["O", "PER"]), "CRF.*looks like the scheme 'IO, types only'"),
        ((3, ["O", "B-PER", "[CLS]"]), r"CRF.*pass ignore=\['\[CLS\]'\]"),
        ((3, ["O", "B-PER", "I-PER"], "BIOLA"), "Expected one of the schemes IOB1, BIO"),
    ],
)
def test_what_is_no_constraint(arguments, match):
    with pytest.raises(ValueError, match=match):
        CRF(*arguments)


def test_a_row_without_a_legal_sequence():
    """One behavior for all results: scores of minus infinity, everything else zeros, and no gradient."""
    table = np.zeros((3, 3), bool)
    table[0, 1] = table[1, 1] = True
    layer = CRF(3, constraints=([1, 0, 0], table, [1, 1, 0]))
    emissions = np.random.default_rng(0).normal(size=(4, 3, 3)).astype("float32")
    emissions[1, 1] = -np.inf  # nothing is possible at this step
    emissions[2, 2, 1] = -np.inf  # the only tag that can be the last one
    mask = np.array([[1, 1, 1], [1, 1, 1], [1, 1, 1], [0, 0, 0]], bool)
    impossible = [1, 2]
    tags, ones = np.array([[0, 1, 1]] * 4), np.ones((4, 3))
    third = np.full((4, 3, 3), 1 / 3, "float32")
    several = layer.n_best(emissions, 2, mask)
    best, right = layer.decode(emissions, mask), layer.posterior_decode(emissions, mask)
    likelihoods = {
        "tags": (tags,),
        "sets": (np.ones((4, 3, 3), bool),),
        "weights": (tags, ones),
        "distributions": (third,),
    }
    minus_infinity = {
        "log_partition": layer.log_partition(emissions, mask),
        "decode": best.score,
        "posterior_decode": right.score,
        "n_best": several.score[:, 0],
        **{name: layer.log_likelihood(emissions, x[0], mask, *x[1:]) for name, x in likelihoods.items()},
    }
    for name, value in minus_infinity.items():
        np.testing.assert_array_equal(to_numpy(value) == -np.inf, [False, True, True, False], err_msg=name)
        assert not np.isnan(to_numpy(value)).any()
    for name in ("marginals", "entropy", "sequence_confidence", "token_confidence"):
        value = to_numpy(getattr(layer, name)(emissions, mask))
        assert (value[impossible] == 0).all() and np.isfinite(value).all(), name
    for found in (best, right, several):
        assert (to_numpy(found.tags)[impossible] == 0).all()
    names = CRF(3, constraints=["O", "B-A", "I-A"])
    assert (to_numpy(names.entity_confidence(emissions, mask))[1] == 0).all()

    def loss(x):
        values = [layer.log_likelihood(x, labels[0], mask, *labels[1:]) for labels in likelihoods.values()]
        values += [ops.sum(layer.marginals(x, mask) ** 2, axis=(1, 2)), layer.entropy(x, mask)]
        values.append(layer.log_partition(x, mask))
        return sum(ops.sum(value) for value in values)

    (gradient,) = backend.gradient(loss, [ops.convert_to_tensor(emissions)])
    gradient = to_numpy(gradient)
    assert np.isfinite(gradient).all() and (gradient[impossible] == 0).all() and abs(gradient[0]).max() > 0


def test_the_loss_of_a_row_without_a_legal_sequence():
    inputs = keras.Input((None, 2))
    model = keras.Model(inputs, CRF(2, constraints=[(0, 1)])(inputs))  # nothing follows a 1
    model.compile("sgd", CRFLoss(), run_eagerly=EAGER)
    x, labels = np.ones((2, 3, 2), "float32"), np.array([[0, 1, 1], [0, 1, 0]])
    assert model.train_on_batch(x, labels) == np.inf
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
    assert (model.predict_on_batch(x) == 0).all()
