import keras
import numpy as np
import pytest
from keras import ops

from rnnkit import backend
from rnnkit.layers import BahdanauAttention, LuongAttention
from tests import oracles
from tests.attention_cases import ATTENTIONS, MEMORY_TIME, UNITS, WIDTH, call_with, memory, memory_masks, randomized
from tests.layer_checks import BATCH, to_numpy

TIME = 3
VALUE = memory()
QUERY = np.random.default_rng(5).normal(size=(BATCH, TIME, WIDTH)).astype("float32")
QUERY_MASK = np.array([[1, 1, 1], [1, 1, 0], [0, 0, 0], [0, 1, 0], [0, 0, 1]], bool)
MASKS = [(name, query_mask, mask) for name, mask in memory_masks() for query_mask in (None, QUERY_MASK)]


def layer_of(name, /, **kwargs):
    layer = ATTENTIONS[name][0](**kwargs)
    layer.build((None, None, WIDTH), (None, None, WIDTH))
    return randomized(layer)


def expected(score, weights, query, value, query_mask=None, value_mask=None):
    """The oracle for each row and step alone: arrays of alpha, c and a, zeros where there is no query."""
    weights = [np.asarray(weight, "float64") for weight in weights]
    batch, time = query.shape[:2]
    query_mask = np.ones((batch, time), bool) if query_mask is None else query_mask
    value_mask = np.ones(value.shape[:2], bool) if value_mask is None else value_mask
    results = [np.zeros((batch, time, size)) for size in (value.shape[1], value.shape[2], weights[-1].shape[1])]
    for b, t in zip(*np.nonzero(query_mask), strict=True):
        steps = oracles.attend(score, weights, query[b, t], value[b].astype("float64"), value_mask[b])
        for result, step in zip(results, steps, strict=True):
            result[b, t] = step
    return results


def gradients_of_squares(layer, query, value, **masks):
    """Of the sum of all squared results, for each weight, query and value."""
    weights = layer.get_weights()

    def loss(*tensors):
        *weights, query, value = tensors
        results = call_with(weights, layer, query, value, **masks)
        return sum(ops.sum(ops.square(ops.cast(result, "float32"))) for result in results)

    tensors = [ops.convert_to_tensor(array) for array in [*weights, query, value]]
    return [to_numpy(gradient) for gradient in backend.gradient(loss, tensors)]


@pytest.mark.parametrize("name", ATTENTIONS)
def test_values_equal_the_oracle(name):
    layer, score = layer_of(name), ATTENTIONS[name][1]
    for mask_name, query_mask, value_mask in MASKS:
        results = layer(QUERY, VALUE, query_mask=query_mask, value_mask=value_mask)
        wanted = expected(score, layer.get_weights(), QUERY, VALUE, query_mask, value_mask)
        for result, want in zip(results, wanted, strict=True):
            assert tuple(result.shape) == want.shape
            np.testing.assert_allclose(to_numpy(result), want, atol=2e-6, err_msg=mask_name)
        rows = wanted[0].sum(axis=-1)
        assert np.logical_or(np.isclose(rows, 1.0), rows == 0.0).all()


@pytest.mark.parametrize("name", ATTENTIONS)
def test_gradients_equal_finite_differences_of_the_oracle(name):
    layer, score = layer_of(name), ATTENTIONS[name][1]
    inputs = [*layer.get_weights(), QUERY, VALUE]
    rng = np.random.default_rng(9)
    coefficients = [rng.normal(size=(BATCH, TIME, size)) for size in (MEMORY_TIME, WIDTH, UNITS)]
    for mask_name, query_mask, value_mask in (MASKS[0], MASKS[7], MASKS[8]):  # none; holes; empty rows

        def loss(*tensors, masks=(query_mask, value_mask)):
            *weights, query, value = tensors
            results = call_with(weights, layer, query, value, query_mask=masks[0], value_mask=masks[1])
            pairs = zip(results, coefficients, strict=True)
            return sum(ops.sum(result * ops.convert_to_tensor(c, "float32")) for result, c in pairs)

        gradients = backend.gradient(loss, [ops.convert_to_tensor(array) for array in inputs])
        for index, gradient in enumerate(gradients):

            def oracle_loss(array, index=index, masks=(query_mask, value_mask)):
                *weights, query, value = [*inputs[:index], array, *inputs[index + 1 :]]
                results = expected(score, weights, query, value, *masks)
                return sum((result * c).sum() for result, c in zip(results, coefficients, strict=True))

            want = oracles.numerical_gradient(oracle_loss, inputs[index])
            np.testing.assert_allclose(to_numpy(gradient), want, atol=2e-5, err_msg=f"{mask_name}, tensor {index}")


@pytest.mark.parametrize("name", ATTENTIONS)
def test_garbage_in_the_padding_changes_nothing(name):
    layer = layer_of(name)
    for mask_name, _, value_mask in MASKS[3::2]:
        masks = {"query_mask": QUERY_MASK, "value_mask": value_mask}
        clean = [np.where(mask[..., None], x, 0.0) for x, mask in ((QUERY, QUERY_MASK), (VALUE, value_mask))]
        garbage = [
            np.where(mask[..., None], x, np.resize([np.nan, 1e6, np.inf, -np.inf], x.shape)).astype("float32")
            for x, mask in ((QUERY, QUERY_MASK), (VALUE, value_mask))
        ]
        for result, want in zip(layer(*garbage, **masks), layer(*clean, **masks), strict=True):
            np.testing.assert_array_equal(to_numpy(result), to_numpy(want), err_msg=mask_name)
        *_, of_query, of_value = gradients = gradients_of_squares(layer, *garbage, **masks)
        assert all(np.isfinite(gradient).all() for gradient in gradients), mask_name
        assert not of_query[~QUERY_MASK].any() and not of_value[~value_mask].any(), mask_name
        assert of_query[QUERY_MASK].any() and of_value[value_mask].any(), mask_name


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("name", ATTENTIONS)
def test_a_row_with_nothing_is_zero_in_every_precision(name, policy):
    layer, score = layer_of(name, dtype=policy), ATTENTIONS[name][1]
    value_mask = dict(memory_masks())["empty rows"]
    nothing = ~value_mask.any(axis=1)
    attended = layer(QUERY, VALUE, value_mask=value_mask)
    wanted = expected(score, layer.get_weights(), QUERY, VALUE, value_mask=value_mask)
    tolerance = {"float32": 2e-6, "mixed_float16": 5e-3, "mixed_bfloat16": 4e-2}[policy]
    for result, want in zip(attended, wanted, strict=True):
        assert keras.backend.standardize_dtype(result.dtype) == policy.removeprefix("mixed_")
        np.testing.assert_allclose(to_numpy(ops.cast(result, "float32")), want, atol=tolerance)
    alignment, context, attention = [to_numpy(ops.cast(result, "float32")) for result in attended]
    assert not alignment[nothing].any() and not context[nothing].any() and attention[nothing].any()
    assert not alignment[np.broadcast_to(~value_mask[:, None], alignment.shape)].any()
    assert all(np.isfinite(g).all() for g in gradients_of_squares(layer, QUERY, VALUE, value_mask=value_mask))
    assert all(weight.dtype == "float32" for weight in layer.weights)


@pytest.mark.parametrize("policy", ["float32", "mixed_float16", "mixed_bfloat16"])
def test_scores_may_be_large(policy):
    """Products of 10,000 and -10,000: exp of them is beyond every format, their softmax is not."""
    query = np.full((1, 1, 1), 100.0, "float32")
    value = np.array([[[100.0], [-100.0], [100.0], [200.0]]], "float32")
    layer = LuongAttention(2, score="dot", dtype=policy)
    for mask, want in (([1, 1, 1, 0], [0.5, 0.0, 0.5, 0.0]), ([0, 1, 0, 0], [0.0, 1.0, 0.0, 0.0])):
        alignment = layer(query, value, value_mask=np.array([mask], bool)).alignment
        np.testing.assert_array_equal(to_numpy(ops.cast(alignment, "float32"))[0, 0], want)
    np.testing.assert_array_equal(to_numpy(ops.cast(layer(-query, value).alignment, "float32"))[0, 0], [0, 1, 0, 0])


def test_the_softmax_itself_is_in_single_precision():
    """Scores that bfloat16 holds, whose differences it does not: only the result is rounded."""
    scores = np.append(np.arange(-255, 0) / 32, 193 / 64)
    layer = LuongAttention(2, score="dot", dtype="mixed_bfloat16")
    for mask in (None, np.ones((1, len(scores)), bool)):
        attended = layer(np.ones((1, 1, 1), "float32"), scores[None, :, None].astype("float32"), value_mask=mask)
        want = oracles.masked_softmax(scores, np.ones(len(scores), bool))
        np.testing.assert_allclose(to_numpy(ops.cast(attended.alignment, "float32"))[0, 0], want, rtol=2.0**-8)


def test_dot_is_torchs_attention_without_its_scale():
    torch = pytest.importorskip("torch")
    mask = dict(memory_masks())["holes"]
    query, value = torch.tensor(QUERY), torch.tensor(VALUE)
    want = torch.nn.functional.scaled_dot_product_attention(
        query * WIDTH**0.5, value, value, attn_mask=torch.tensor(mask)[:, None, :]
    )
    context = layer_of("dot")(QUERY, VALUE, value_mask=mask).context
    np.testing.assert_allclose(to_numpy(context), want.numpy(), atol=1e-6)


@pytest.mark.parametrize("mask_name", ["none", "right", "left", "holes"])  # with an empty row, Keras attends to padding
def test_equals_keras_where_it_computes_the_same(mask_name):
    mask = dict(memory_masks())[mask_name]
    dot, additive = layer_of("dot"), layer_of("bahdanau", dtype="float32")
    scale = np.random.default_rng(2).normal(size=UNITS).astype("float32")
    _, _, _, W_c = additive.get_weights()
    W_q, W_v = (np.eye(WIDTH, UNITS, dtype="float32") for _ in range(2))  # Keras's has no projections
    additive.set_weights([W_q, W_v, scale, W_c])
    narrow = [QUERY[..., :UNITS], VALUE[..., :UNITS]]
    keras_dot, keras_additive = keras.layers.Attention(), keras.layers.AdditiveAttention()
    keras_additive.build([x.shape for x in narrow])
    keras_additive.set_weights([scale])
    for ours, theirs, inputs in ((dot, keras_dot, [QUERY, VALUE]), (additive, keras_additive, narrow)):
        masks = [None, None if mask is None else ops.convert_to_tensor(mask)]
        context, scores = theirs(inputs, mask=masks, return_attention_scores=True)
        attended = ours(QUERY, VALUE, value_mask=mask)
        np.testing.assert_allclose(to_numpy(attended.alignment), to_numpy(scores), atol=1e-6)
        found = to_numpy(attended.context)[..., : context.shape[-1]]
        np.testing.assert_allclose(found, to_numpy(context), atol=1e-6)


def test_concat_is_bahdanaus_with_kernels_on_top_of_each_other():
    concat, bahdanau = layer_of("concat"), layer_of("bahdanau")
    W_q, W_v, v, W_c = bahdanau.get_weights()
    concat.set_weights([np.concatenate([W_q, W_v]), v, W_c])
    for one, other in zip(concat(QUERY, VALUE), bahdanau(QUERY, VALUE), strict=True):
        np.testing.assert_allclose(to_numpy(one), to_numpy(other), atol=1e-6)


def test_query_and_memory_may_be_of_different_widths():
    for name in ("general", "concat", "bahdanau"):
        make, score = ATTENTIONS[name]
        layer, query = make(), QUERY[..., :2]
        layer(query, VALUE)
        randomized(layer)
        wanted = expected(score, layer.get_weights(), query, VALUE)
        for result, want in zip(layer(query, VALUE), wanted, strict=True):
            np.testing.assert_allclose(to_numpy(result), want, atol=2e-6)


def test_the_three_results_have_names():
    attended = layer_of("general")(QUERY, VALUE)
    alignment, context, attention = attended
    assert attended._fields == ("alignment", "context", "attention")
    assert attended.alignment is alignment and attended.context is context and attended.attention is attention
    assert tuple(alignment.shape) == (BATCH, TIME, MEMORY_TIME)
    assert tuple(context.shape) == (BATCH, TIME, WIDTH) and tuple(attention.shape) == (BATCH, TIME, UNITS)


@pytest.mark.parametrize("name", ATTENTIONS)
def test_weights_have_the_names_of_the_equations(name):
    names = {
        "dot": [],
        "general": ["score_kernel"],
        "concat": ["score_kernel", "score_vector"],
        "bahdanau": ["query_kernel", "value_kernel", "score_vector"],
    }
    assert [weight.name for weight in layer_of(name).weights] == [*names[name], "attention_kernel"]


def test_masks_of_embeddings_are_picked_up():
    queries, values = np.array([[3, 1, 0], [0, 2, 0]]), np.array([[1, 2, 0, 0], [0, 0, 0, 0]])
    embedding = keras.layers.Embedding(5, WIDTH, mask_zero=True)
    layer = layer_of("general")
    attended = layer(embedding(queries), embedding(values))
    query, value = to_numpy(embedding(queries)), to_numpy(embedding(values))
    explicit = layer(query, value, query_mask=queries > 0, value_mask=values > 0)
    inputs = [keras.Input((None,), dtype="int32") for _ in range(2)]
    model = keras.Model(inputs, list(layer(*(embedding(x) for x in inputs))))
    in_model = model.predict_on_batch([queries, values])
    for implicit, want, symbolic in zip(attended, explicit, in_model, strict=True):
        np.testing.assert_array_equal(to_numpy(implicit), to_numpy(want))
        np.testing.assert_allclose(symbolic, to_numpy(want), atol=1e-6)
    assert not to_numpy(attended.alignment)[1].any() and to_numpy(attended.attention)[1, 1].any()
    only_query = layer(embedding(queries), value)
    assert (to_numpy(only_query.alignment)[queries > 0] > 0).all()


def test_the_mask_of_the_query_goes_on():
    tokens = np.array([[3, 1, 0], [0, 2, 0]])
    embedding, layer = keras.layers.Embedding(5, WIDTH, mask_zero=True), layer_of("general")
    masks = layer.compute_mask(embedding(tokens), tokens > 0)
    for mask in (masks.alignment, masks.context, masks.attention):
        np.testing.assert_array_equal(mask, tokens > 0)
    # Keras passes it to the loss: what is in the padding does not count.
    inputs, value = keras.Input((None,), dtype="int32"), keras.Input((None, WIDTH))
    model = keras.Model([inputs, value], layer(embedding(inputs), value).attention)
    model.compile(loss="mse")
    wanted = to_numpy(layer(embedding(tokens), VALUE[:2]).attention)
    y = np.where((tokens > 0)[..., None], wanted + 1.0, 1e3)
    loss = model.evaluate([tokens, VALUE[:2]], y, verbose=0)
    np.testing.assert_allclose(loss, 1.0, rtol=1e-5)


@pytest.mark.parametrize("name", ATTENTIONS)
def test_a_functional_model_saves_and_loads(name, tmp_path):
    layer = layer_of(name)
    shapes = [(None, WIDTH), (None, WIDTH), (None,), (None,)]
    dtypes = ["float32", "float32", "bool", "bool"]
    inputs = [keras.Input(shape, dtype=dtype) for shape, dtype in zip(shapes, dtypes, strict=True)]
    symbolic = layer(*inputs[:2], query_mask=inputs[2], value_mask=inputs[3])
    arrays = [QUERY, VALUE, QUERY_MASK, dict(memory_masks())["empty rows"]]
    eager = layer(*arrays[:2], query_mask=arrays[2], value_mask=arrays[3])
    for one, other in zip(symbolic, eager, strict=True):
        assert len(one.shape) == 3 and one.dtype == keras.backend.standardize_dtype(other.dtype)
        assert all(a is None or a == b for a, b in zip(one.shape, other.shape, strict=True))
    assert symbolic.context.shape[-1] == WIDTH and symbolic.attention.shape[-1] == UNITS
    model = keras.Model(inputs, list(symbolic))
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")  # safe mode is the default
    for value, same, want in zip(*(m.predict_on_batch(arrays) for m in (model, loaded)), eager, strict=True):
        np.testing.assert_allclose(value, to_numpy(want), atol=1e-6)
        np.testing.assert_array_equal(same, value)


@pytest.mark.parametrize("name", ATTENTIONS)
def test_config_makes_the_same_layer(name):
    layer = layer_of(name, name="mine", dtype="mixed_bfloat16")
    twin = type(layer).from_config(layer.get_config())
    assert twin.get_config() == layer.get_config()
    assert twin.get_config()["units"] == UNITS and (name == "bahdanau" or twin.get_config()["score"] == name)
    twin.build(QUERY.shape, VALUE.shape)
    twin.set_weights(layer.get_weights())
    for value, same in zip(layer(QUERY, VALUE), twin(QUERY, VALUE), strict=True):
        np.testing.assert_array_equal(to_numpy(ops.cast(value, "float32")), to_numpy(ops.cast(same, "float32")))


@pytest.mark.slow
def test_a_step_of_training_is_the_same_however_it_is_compiled():
    arrays, mask = [QUERY, VALUE], dict(memory_masks())["empty rows"]

    def trained(time, **how):
        inputs = [keras.Input((time and TIME, WIDTH)), keras.Input((time, WIDTH)), keras.Input((time,), dtype="bool")]
        attended = layer_of("concat")(*inputs[:2], value_mask=inputs[2])
        model = keras.Model(inputs, [attended.attention, attended.context])
        model.compile(keras.optimizers.SGD(0.1), loss=["mse", "mse"], **how)
        loss = model.train_on_batch([*arrays, mask], [QUERY[..., :UNITS], QUERY])
        return [np.asarray(loss).ravel()[0], *model.get_weights()]

    want = trained(MEMORY_TIME, run_eagerly=True)
    xla = keras.backend.backend() != "torch"  # there, jit_compile means torch.compile, which Keras tests itself
    for how in ({"jit_compile": False}, {"jit_compile": xla}):
        for value, same in zip(trained(None, **how), want, strict=True):
            np.testing.assert_allclose(value, same, atol=1e-6)


@pytest.mark.parametrize("units", [0, -1, 2.5, "3", None, True])
def test_units_must_be_positive_integers(units):
    for kind in (LuongAttention, BahdanauAttention):
        with pytest.raises(ValueError, match=f"{kind.__name__} expected units to be a positive integer, received"):
            kind(units)


@pytest.mark.parametrize("score", ["Dot", "additive", None, 1])
def test_unknown_scores(score):
    with pytest.raises(ValueError, match=f"expected score to be 'dot', 'general' or 'concat', received {score!r}"):
        LuongAttention(3, score=score)


def test_dot_needs_equal_widths():
    with pytest.raises(ValueError, match="a query of 2 features and a value of 4: .* use score='general'"):
        LuongAttention(3, score="dot")(QUERY[..., :2], VALUE)


@pytest.mark.parametrize(
    ("query", "value", "masks", "message"),
    [
        (QUERY[:, 0], VALUE, {}, r"a query \(batch, time, features\), received shape \(5, 4\).* query\[:, None\]"),
        (QUERY, VALUE[0], {}, r"a value \(batch, time, features\), received shape \(5, 4\)"),
        (QUERY[:3], VALUE, {}, r"as many rows in the query as in the value, .* \(3, 3, 4\) and \(5, 5, 4\)"),
        (QUERY, VALUE[:, :0], {}, "one position or more to attend to, received an empty value"),
        (
            QUERY,
            VALUE,
            {"value_mask": QUERY_MASK},
            r"value_mask \(batch, time\) = \(5, 5\) for .*, received shape \(5, 3\)",
        ),
        (QUERY, VALUE, {"query_mask": np.ones(5, bool)}, r"query_mask \(batch, time\) = \(5, 3\) .* shape \(5,\)"),
    ],
)
@pytest.mark.parametrize("name", ["general", "bahdanau"])
def test_wrong_shapes(name, query, value, masks, message):
    for layer in (layer_of(name), ATTENTIONS[name][0]()):  # built, and by this call
        with pytest.raises(ValueError, match=message):
            layer(query, value, **masks)


@pytest.mark.parametrize("name", ATTENTIONS)
def test_no_matrix_product_has_four_axes(name, monkeypatch):
    """With Keras 3.13, TensorFlow 2.20 and 2.21 write outside their memory there; the process dies now or later."""
    layer, matmul, axes = layer_of(name), ops.matmul, []

    def seen(one, other):
        axes.append(len(one.shape))
        return matmul(one, other)

    monkeypatch.setattr(ops, "matmul", seen)
    layer(QUERY, VALUE)
    assert axes and max(axes) <= 3
