import keras
import numpy as np
import pytest

from rnnkit.layers import GRU, LSTM, Bidirectional, Stacked
from rnnkit.training import truncated_bptt

BATCH, TIME, FEATURES = 2, 12, 3
RNG = np.random.default_rng(0)
X = RNG.normal(size=(BATCH, TIME, FEATURES)).astype("float32")
Y = RNG.normal(size=(BATCH, TIME, 1)).astype("float32")
EAGERLY = keras.backend.backend() == "tensorflow"  # many short runs: building graphs would take longer
LAYERS = {
    "LSTM": lambda **kwargs: LSTM(4, return_sequences=True, **kwargs),
    "GRU": lambda **kwargs: GRU(4, return_sequences=True, **kwargs),
    "Stacked": lambda **kwargs: Stacked([LSTM(4, **kwargs), GRU(4, **kwargs)], return_sequences=True),
}


def model_with(layer, batch=BATCH, updates=1):
    """A model that changes its weights once, after so many updates, by the mean of their gradients."""
    model = keras.Sequential([keras.Input(batch_shape=(batch, None, FEATURES)), layer, keras.layers.Dense(1)])
    rng = np.random.default_rng(3)
    for weight in model.trainable_variables:
        weight.assign(rng.normal(scale=0.5, size=weight.shape))
    steps = updates if updates > 1 else None
    model.compile(keras.optimizers.SGD(0.5, gradient_accumulation_steps=steps), loss="mse", run_eagerly=EAGERLY)
    return model


def after_full_bptt(name, sample_weight=None):
    model = model_with(LAYERS[name](), batch=None)
    loss = model.train_on_batch(X, Y, sample_weight)
    return weights_of(model), float(np.ravel(loss)[0])


def weights_of(model):
    return [keras.ops.convert_to_numpy(weight) for weight in model.trainable_variables]


def states_of(model):
    layer = model.layers[0]
    layers = layer.layers if isinstance(layer, Stacked) else [layer]
    states = [state for part in layers for state in part.states]
    return np.concatenate([keras.ops.convert_to_numpy(state) for state in states], axis=1)


def assert_weights_equal(model, expected, differ=False):
    gaps = [np.abs(weight - other).max() for weight, other in zip(weights_of(model), expected, strict=True)]
    assert (max(gaps) > 1e-5) if differ else (max(gaps) < 1e-6), gaps


@pytest.mark.parametrize(("name", "k1"), [("LSTM", 12), ("LSTM", 3), ("LSTM", 1), ("GRU", 4), ("Stacked", 4)])
def test_equals_full_bptt_if_k2_covers_the_sequence(name, k1):
    expected, loss = after_full_bptt(name)
    model = model_with(LAYERS[name](stateful=True), updates=TIME // k1)
    losses = truncated_bptt(model, X, Y, k1=k1, k2=TIME)
    assert len(losses) == TIME // k1
    assert np.mean(losses) == pytest.approx(loss, rel=1e-5)
    assert_weights_equal(model, expected)


@pytest.mark.parametrize("k2", [4, 6, 11])
def test_a_shorter_window_is_another_gradient(k2):
    expected, loss = after_full_bptt("LSTM")
    model = model_with(LAYERS["LSTM"](stateful=True), updates=TIME // 4)
    losses = truncated_bptt(model, X, Y, k1=4, k2=k2)
    assert np.mean(losses) == pytest.approx(loss, rel=1e-5)  # in the forward direction nothing is cut off
    assert_weights_equal(model, expected, differ=True)


@pytest.mark.slow
@pytest.mark.parametrize(("k1", "k2"), [(4, 4), (4, 7), (5, 5), (5, 9)])
def test_the_gradient_of_each_window(k1, k2):
    """Each update by itself: the loss of k1 steps, back through k2 steps to states that are constants."""
    layer = LAYERS["LSTM"](return_state=True)
    start, inputs = [keras.Input((4,)), keras.Input((4,))], keras.Input((None, FEATURES))
    outputs, *states = layer(inputs, initial_state=start)
    window_model = keras.Model([inputs, *start], keras.layers.Dense(1)(outputs))
    model = model_with(LAYERS["LSTM"](stateful=True))
    for ours, weight in zip(window_model.trainable_variables, model.trainable_variables, strict=True):
        ours.assign(keras.ops.convert_to_numpy(weight))
    window_model.compile(keras.optimizers.SGD(0.5), loss="mse", run_eagerly=EAGERLY)
    state_model = keras.Model([inputs, *start], states)
    reached, held = 0, [np.zeros((BATCH, 4), "float32")] * 2
    for begin in range(0, TIME, k1):
        end = min(begin + k1, TIME)
        window = max(0, begin - (k2 - k1))
        if window > reached:
            held = state_model.predict_on_batch([X[:, reached:window], *held])
        weight = np.zeros((BATCH, end - window), "float32")
        weight[:, begin - window :] = (end - window) / (end - begin)
        after = state_model.predict_on_batch([X[:, window:end], *held])
        window_model.train_on_batch([X[:, window:end], *held], Y[:, window:end], weight)
        reached, held = (end, after) if k1 == k2 else (window, held)
    truncated_bptt(model, X, Y, k1=k1, k2=k2)
    assert_weights_equal(model, weights_of(window_model))


@pytest.mark.parametrize("name", ["LSTM", *(pytest.param(name, marks=pytest.mark.slow) for name in ("GRU", "Stacked"))])
@pytest.mark.parametrize(("k1", "k2"), [(4, 8), (5, 5), (5, 20)])
def test_the_states_at_the_end_are_those_after_the_stream(name, k1, k2):
    model = model_with(LAYERS[name](stateful=True))
    model.optimizer.learning_rate = 0.0
    truncated_bptt(model, X, Y, k1=k1, k2=k2)
    twin = model_with(LAYERS[name](stateful=True))
    twin.predict_on_batch(X)
    np.testing.assert_allclose(states_of(model), states_of(twin), atol=1e-6)


def test_a_stream_may_come_in_several_calls():
    whole, parts = (model_with(LAYERS["LSTM"](stateful=True)) for _ in range(2))
    losses = truncated_bptt(whole, X, Y, k1=3)
    halves = [truncated_bptt(parts, X[:, part], Y[:, part], k1=3) for part in (slice(0, 6), slice(6, 12))]
    np.testing.assert_allclose(losses, np.concatenate(halves), rtol=1e-5)
    assert_weights_equal(parts, weights_of(whole))


def test_sample_weights():
    weight = RNG.uniform(size=(BATCH, TIME)).astype("float32")
    expected, _ = after_full_bptt("LSTM", weight)
    model = model_with(LAYERS["LSTM"](stateful=True), updates=3)
    truncated_bptt(model, X, Y, k1=4, k2=TIME, sample_weight=weight)
    assert_weights_equal(model, expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"k1": 0}, "k1 to be a positive integer, received 0"),
        ({"k1": 4, "k2": 2.0}, "k2 to be a positive integer, received 2.0"),
        ({"k1": 4, "k2": 3}, "expected k2 >= k1, received k1=4 and k2=3"),
    ],
)
def test_bad_lengths(arguments, message):
    with pytest.raises(ValueError, match=message):
        truncated_bptt(model_with(LAYERS["LSTM"](stateful=True)), X, Y, **arguments)


@pytest.mark.parametrize("layer", [LSTM(4, return_sequences=True), Bidirectional(LSTM(4, return_sequences=True))])
def test_layers_that_pass_nothing_on(layer):
    with pytest.raises(ValueError, match="needs stateful=True"):
        truncated_bptt(model_with(layer), X, Y, k1=4)


def test_models_and_arrays_that_do_not_fit():
    model = model_with(LAYERS["LSTM"](stateful=True))
    with pytest.raises(ValueError, match=r"the same axes .* received shapes \[\(2, 12, 3\)\] and \(2, 11, 1\)"):
        truncated_bptt(model, X, Y[:, 1:], k1=4)
    with pytest.raises(ValueError, match=r"received shapes .* and \(2, 12, 1\), and sample weights \(2,\)"):
        truncated_bptt(model, X, Y, k1=4, sample_weight=np.ones(2))
    with pytest.raises(ValueError, match=r"expected arrays as inputs, received lists of float: np.array\(inputs\)"):
        truncated_bptt(model, X.tolist(), Y, k1=4)
    with pytest.raises(ValueError, match="found no recurrent layer"):
        truncated_bptt(model_with(keras.layers.Dense(2)), X, Y, k1=4)
    with pytest.raises(ValueError, match="call 'bare'.compile"):
        truncated_bptt(keras.Sequential(model.layers, name="bare"), X, Y, k1=4)
    with pytest.raises(ValueError, match="needs return_sequences=True"):
        truncated_bptt(model_with(LSTM(4, stateful=True)), X, Y, k1=4)


def test_models_without_states_or_with_several_outputs():
    layer = LAYERS["LSTM"](stateful=True)
    model = keras.Sequential([layer, keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"start it with keras.Input\(batch_shape="):
        truncated_bptt(model, X, Y, k1=4)
    x = keras.Input(batch_shape=(BATCH, None, FEATURES))
    h = layer(x)
    model = keras.Model(x, [keras.layers.Dense(1)(h), keras.layers.Dense(1)(h)])
    model.compile("sgd", ["mse", "mse"])
    with pytest.raises(ValueError, match="expected a model with one output, but .* has 2"):
        truncated_bptt(model, X, [Y, Y], k1=4)


def test_lengths_may_be_numbers_of_numpy():
    model = model_with(LAYERS["LSTM"](stateful=True))
    assert len(truncated_bptt(model, X, Y, k1=np.int64(4), k2=np.int64(6))) == 3


@pytest.mark.skipif(keras.backend.backend() != "jax", reason="elsewhere, Keras's own layers keep their states")
def test_states_that_the_model_does_not_know_are_refused():
    model = model_with(keras.layers.LSTM(4, return_sequences=True, stateful=True))
    with pytest.raises(ValueError, match=r"use rnnkit\.layers"):
        truncated_bptt(model, X, Y, k1=4)
