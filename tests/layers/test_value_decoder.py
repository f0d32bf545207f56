"""A decoder of real values against a loop over its cell, step by step in NumPy's hands."""

import keras
import numpy as np
import pytest
from keras import ops

from rnnkit import backend, decoding, layers, losses, training
from tests.layer_checks import to_numpy

BATCH, TIME, UNITS = 3, 5, 4
RNG = np.random.default_rng(0)
QUANTILES = [0.1, 0.4, 0.5, 0.9]
CASES = {
    "value": {},
    "two values": {"features": 2},
    "normal": {"output": "normal"},
    "two normal": {"output": "normal", "features": 2},
    "quantiles": {"output": "quantiles", "quantiles": QUANTILES},
}


def arrays(*shape):
    return RNG.normal(size=shape).astype("float32")


def make(name, known=0, cell=None, **options):
    keras.utils.set_random_seed(0)
    decoder = layers.ValueDecoder(cell or layers.GRUCell(UNITS), **CASES[name], **options)
    features = decoder.features
    decoder(arrays(1, 1, features), **({"known": arrays(1, 1, known)} if known else {}))
    decoder.set_weights([w if w.ndim == 0 else 0.7 * RNG.normal(size=w.shape) for w in decoder.get_weights()])
    return decoder


def says(decoder, output):
    """What the decoder says of a cell's output: mean and deviation, or quantiles."""
    kernel, bias = map(to_numpy, decoder.head.weights)
    raw = output @ kernel + bias
    if decoder.output_kind == "value":
        return raw, raw
    raw = raw.reshape(len(raw), decoder.features, -1)
    softplus = np.log1p(np.exp(raw[..., 1:]))
    if decoder.output_kind == "normal":
        return np.concatenate([raw[..., :1], softplus + 1e-4], axis=-1), raw[..., 0]
    said = np.cumsum(np.concatenate([raw[..., :1], softplus], axis=-1), axis=-1)
    return said, said[..., QUANTILES.index(0.5)]


def by_hand(decoder, state, given, known=None):
    """Reads `given` (batch, time, features), and its own value where that is NaN."""
    found, own = [], None
    for t in range(given.shape[1]):
        value = np.where(np.isnan(given[:, t]), own, given[:, t]).astype("float32")
        inputs = value if known is None else np.concatenate([value, known[:, t]], axis=-1)
        output, (state,) = decoder.cell(ops.convert_to_tensor(inputs), [ops.convert_to_tensor(state)])
        said, own = says(decoder, to_numpy(output))
        state = to_numpy(state)
        found.append(said)
    return np.stack(found, axis=1), state


@pytest.mark.parametrize("known", [0, 2])
@pytest.mark.parametrize("name", CASES)
def test_teacher_forcing_and_forecast(name, known):
    decoder, state = make(name, known), arrays(BATCH, UNITS)
    values, ahead = arrays(BATCH, TIME, decoder.features), arrays(BATCH, TIME, known) if known else None
    want, _ = by_hand(decoder, state, values, ahead)
    found = decoder(values, known=ahead, initial_state=[state])
    np.testing.assert_allclose(to_numpy(found), want, atol=1e-5)
    assert tuple(found.shape) == tuple(decoder.compute_output_shape(values.shape))
    values[:, 1:] = np.nan
    want, last = by_hand(decoder, state, values, ahead)
    run = decoding.forecast(decoder, [state], start=values[:, 0], steps=TIME, known=ahead)
    np.testing.assert_allclose(run.said, want, atol=1e-5)
    np.testing.assert_allclose(run.values, to_numpy(decoder.value_of(ops.convert_to_tensor(want))), atol=1e-5)
    np.testing.assert_allclose(run.states[0], last, atol=1e-5)
    first = decoding.forecast(decoder, [state], values[:, 0], 2, None if ahead is None else ahead[:, :2])
    rest = None if ahead is None else ahead[:, 2:]
    second = decoding.forecast(decoder, first.states, first.values[:, -1], TIME - 2, rest)
    np.testing.assert_allclose(np.concatenate([first.values, second.values], axis=1), run.values, atol=1e-5)


def test_paths_have_the_distribution_that_the_decoder_says():
    decoder, start = make("normal"), arrays(2, 1)
    run = decoding.forecast(decoder, None, start, 2, samples=4000, seed=1)
    first = decoding.forecast(decoder, None, start, 1).said[:, 0, 0]
    for row in range(2):
        drawn = run.paths[row, :, 0, 0]
        assert abs(drawn.mean() - first[row, 0]) < 4 * first[row, 1] / np.sqrt(4000)
        assert abs(drawn.std() / first[row, 1] - 1) < 0.06
    np.testing.assert_allclose(run.values, np.median(run.paths, axis=1))
    np.testing.assert_array_equal(decoding.forecast(decoder, None, start, 2, samples=4000, seed=1).paths, run.paths)
    # Each path goes on from its own value.
    state = to_numpy(decoder.cell(ops.convert_to_tensor(start), [ops.zeros((2, UNITS))])[1][0])
    for path in run.paths[0, :3]:
        output, _ = decoder.cell(ops.convert_to_tensor(path[None, 0]), [ops.convert_to_tensor(state[:1])])
        ((mean, deviation),) = says(decoder, to_numpy(output))[0][0]
        assert abs(path[1, 0] - mean) < 5 * deviation
    quantiles = make("quantiles")
    drawn = decoding.forecast(quantiles, None, start, 1, samples=4000, seed=2).paths[:, :, 0, 0]
    said = decoding.forecast(quantiles, None, start, 1).said[:, 0, 0]
    shares = (drawn[:, :, None] <= said[:, None] + 1e-6).mean(axis=1)  # what is above the last one is drawn there
    np.testing.assert_allclose(shares, np.tile([*QUANTILES[:-1], 1.0], (2, 1)), atol=0.03)
    assert abs((drawn < said[:, -1:] - 1e-6).mean() - QUANTILES[-1]) < 0.03


@pytest.mark.parametrize("name", ["value", "normal"])
def test_scheduled_sampling_reads_what_the_decoder_says(name):
    decoder = make(name, scheduled_sampling=True, seed=1)
    values, state = arrays(BATCH, TIME, 1), arrays(BATCH, UNITS)
    forced = to_numpy(decoder(values, initial_state=[state], training=True))
    np.testing.assert_allclose(forced, by_hand(decoder, state, values)[0], atol=1e-5)
    decoder.sampling_rate.assign(1.0)
    own = np.where(np.arange(TIME)[:, None] == 0, values, np.nan)
    want = by_hand(decoder, state, own)[0]
    np.testing.assert_allclose(to_numpy(decoder(values, initial_state=[state], training=True)), want, atol=1e-5)
    np.testing.assert_allclose(to_numpy(decoder(values, initial_state=[state])), forced, atol=1e-5)
    # The gradient goes through the values that were read.
    weight = next(w for w in decoder.trainable_weights if w.path.endswith("head/kernel"))
    values_of = [w.value for w in decoder.trainable_weights]
    place = [w is weight for w in decoder.trainable_weights].index(True)
    rest = [v.value for v in decoder.non_trainable_variables]

    def loss(*weights):
        found, _ = decoder.stateless_call(
            weights, rest, ops.convert_to_tensor(values), initial_state=[state], training=True
        )
        return ops.sum(ops.square(found))

    gradient = to_numpy(backend.gradient(loss, values_of)[place])
    kernel, numerical = to_numpy(weight), np.zeros_like(gradient)
    for index in np.ndindex(kernel.shape):
        sums = []
        for sign in (1, -1):
            changed = kernel.astype("float64").copy()
            changed[index] += sign * 1e-3
            weight.assign(changed)
            sums.append(np.square(by_hand(decoder, state, own)[0].astype("float64")).sum())
        numerical[index] = (sums[0] - sums[1]) / 2e-3
    np.testing.assert_allclose(gradient, numerical, rtol=0.02, atol=0.02)


def test_in_a_model_that_trains_is_saved_and_forecasts(tmp_path):
    wave = np.sin(np.arange(20 * 12) / 3).reshape(20, 12, 1).astype("float32")
    past, values, known = keras.Input((8, 1)), keras.Input((None, 1)), keras.Input((None, 1))
    memory, *states = layers.LSTM(UNITS, return_sequences=True, return_state=True)(past)
    cell = layers.AttentionCell(layers.LSTMCell(UNITS), layers.LuongAttention(UNITS))
    decoder = layers.ValueDecoder(cell, output="normal", scheduled_sampling=True, seed=3, name="decoder")
    outputs = decoder(values, known=known, initial_state=cell.initial_state(memory, None, states))
    model = keras.Model([past, values, known], outputs)
    model.compile(keras.optimizers.Adam(0.02), losses.NormalLoss())
    data, target = [wave[:, :8], wave[:, 7:-1], np.ones_like(wave[:, 8:])], wave[:, 8:]
    schedule = training.ScheduledSampling(decoder, lambda batch: max(0.5, 1 - batch / 10))
    history = model.fit(data, target, epochs=6, batch_size=10, callbacks=[schedule], verbose=0).history["loss"]
    assert history[-1] < history[0] and float(ops.convert_to_numpy(decoder.sampling_rate)) == 0.5
    path = tmp_path / "model.keras"
    model.save(path)
    loaded = keras.saving.load_model(path)
    np.testing.assert_allclose(loaded.predict(data, verbose=0), model.predict(data, verbose=0), atol=1e-6)
    first = keras.Model(past, cell.initial_state(memory, None, states)).predict(wave[:, :8], verbose=0)
    one, other = (
        decoding.forecast(part, first, start=wave[:, 7], known=data[2])
        for part in (decoder, loaded.get_layer("decoder"))
    )
    assert one.values.shape == (20, 4, 1)
    np.testing.assert_allclose(one.values, other.values, atol=1e-5)


def test_masked_steps_are_skipped():
    decoder, values = make("value"), arrays(2, 4, 1)
    mask = np.array([[True, True, True, True], [True, True, False, False]])
    found = to_numpy(decoder(np.where(mask[..., None], values, np.nan).astype("float32"), mask=mask))
    np.testing.assert_allclose(found[1, :2], to_numpy(decoder(values[1:, :2]))[0], atol=1e-6)
    assert np.isfinite(found).all()


@pytest.mark.parametrize("known", [0, 2])
def test_scheduled_sampling_begins_with_the_first_unmasked_value(known):
    decoder = make("value", known, scheduled_sampling=True, seed=1)
    decoder.sampling_rate.assign(1.0)
    values, ahead = arrays(3, 4, 1), arrays(3, 4, known) if known else None
    values[1, :2] = values[2] = np.nan  # what is masked
    mask = np.array([[True] * 4, [False, False, True, True], [False] * 4])

    def said(rows, steps, mask=None):
        options = {} if ahead is None else {"known": ahead[rows, steps]}
        return to_numpy(decoder(values[rows, steps], mask=mask, training=True, **options))

    found, all_rows, all_steps = said(slice(3), slice(4), mask), slice(1, 2), slice(2, 4)
    np.testing.assert_allclose(found[1, 2:], said(all_rows, all_steps)[0], atol=1e-6)
    np.testing.assert_allclose(found[0], said(slice(1), slice(4))[0], atol=1e-6)
    rest = [v.value for v in decoder.non_trainable_variables]

    def loss(*weights):
        options = {} if ahead is None else {"known": ops.convert_to_tensor(ahead)}
        outputs, _ = decoder.stateless_call(
            weights, rest, ops.convert_to_tensor(values), mask=ops.convert_to_tensor(mask), training=True, **options
        )
        return ops.sum(outputs[:2])

    gradients = backend.gradient(loss, [w.value for w in decoder.trainable_weights])
    assert all(np.isfinite(to_numpy(gradient)).all() for gradient in gradients)


@pytest.mark.parametrize("known", [0, 2])
@pytest.mark.parametrize("kind", [layers.GRUCell, layers.LSTMCell, keras.layers.GRUCell])
def test_scheduled_sampling_with_dropout_in_the_cell(kind, known):
    decoder = make("value", known, kind(UNITS, dropout=0.5, seed=1), scheduled_sampling=True, seed=1)
    values, ahead = arrays(BATCH, TIME, 1), {"known": arrays(BATCH, TIME, known)} if known else {}
    for rate in (0.0, 1.0):
        decoder.sampling_rate.assign(rate)
        one, other = (to_numpy(decoder(values, training=True, **ahead)) for _ in range(2))
        assert np.isfinite(one).all() and not np.allclose(one, other)
        still = to_numpy(decoder(values, **ahead))
        np.testing.assert_array_equal(still, to_numpy(decoder(values, **ahead)))


def test_what_does_not_fit_is_refused():
    decoder, known = make("value"), make("value", 2)
    gap = arrays(2, 1)
    gap[1] = np.nan

    def forecast(decoder, start=(2, 1), steps: object = 3, states=None, **options):
        start = arrays(*start) if isinstance(start, tuple) else start
        return decoding.forecast(decoder, states, start, steps, **options)

    for message, call in [
        ("output 'value', 'normal' or", lambda: layers.ValueDecoder(layers.GRUCell(2), output="mean")),
        ("with 0.5 among them", lambda: layers.ValueDecoder(layers.GRUCell(2), output="quantiles", quantiles=[0.1])),
        ("features to be a positive integer, received True", lambda: layers.ValueDecoder(layers.GRUCell(2), True)),
        ("features to be a positive integer, received None", lambda: layers.ValueDecoder(layers.GRUCell(2), None)),
        ("sampling_rate with scheduled_sampling=True", lambda: decoder.sampling_rate),
        (r"values \(batch, time, features=1\)", lambda: decoder(arrays(2, 3, 2))),
        (r"known of shape \(2, 3, 2\).*received None", lambda: known(arrays(2, 3, 1))),
        (r"known of shape \(2, 3, 0\).*received \(2, 3, 4\)", lambda: decoder(arrays(2, 3, 1), known=arrays(2, 3, 4))),
        (r"known of shape \(2, 3, 2\).*received \(2, 4, 2\)", lambda: known(arrays(2, 3, 1), known=arrays(2, 4, 2))),
        (r"known of shape \(2, 3, 2\).*received \(1, 3, 2\)", lambda: known(arrays(2, 3, 1), known=arrays(1, 3, 2))),
        (r"known of shape \(2, 3, 2\).*received \(2, 2\)", lambda: known(arrays(2, 3, 1), known=arrays(2, 2))),
        (r"a mask of shape \(2, 3\), received \(2, 4\)", lambda: decoder(arrays(2, 3, 1), mask=np.ones((2, 4), bool))),
        ("a rnnkit.layers.ValueDecoder with weights", lambda: forecast(layers.ValueDecoder(layers.GRUCell(2)))),
        (r"start \(batch, features=1\)", lambda: forecast(decoder, (2,))),
        ("steps to be a positive integer, received 0", lambda: forecast(decoder, steps=0)),
        ("steps to be a positive integer, received None", lambda: forecast(decoder, steps=None)),
        (r"known of shape \(2, 3, 2\).*received None", lambda: forecast(known)),
        (r"known of shape \(2, 3, 2\).*received \(2, 4, 2\)", lambda: forecast(known, known=arrays(2, 4, 2))),
        (r"known of shape \(2, 3, 2\).*received \(3, 3, 2\)", lambda: forecast(known, known=arrays(3, 3, 2))),
        (r"known of shape \(2, None, 2\).*received \(3, 2\)", lambda: forecast(known, steps=None, known=arrays(3, 2))),
        (r"known of shape \(2, 3, 0\).*received \(2, 3, 1\)", lambda: forecast(decoder, known=arrays(2, 3, 1))),
        (
            r"1 states for the batch of start.*\(2, 4\).*received \[\(3, 4\)\]",
            lambda: forecast(decoder, states=[arrays(3, 4)]),
        ),
        (
            r"1 states for the batch of start.*received \[\(2, 4\), \(2, 4\)\]",
            lambda: forecast(decoder, states=[arrays(2, 4)] * 2),
        ),
        ("but start holds NaN", lambda: forecast(decoder, gap)),
        ("but known holds NaN", lambda: forecast(known, known=np.full((2, 3, 2), np.nan))),
        ("but states holds NaN", lambda: forecast(decoder, states=[np.full((2, 4), np.nan)])),
        ("'normal' or 'quantiles' of a decoder for paths", lambda: forecast(decoder, samples=5)),
    ]:
        with pytest.raises(ValueError, match=message):
            call()
