"""Forecasts: the values that a decoder says on its own."""

import weakref
from typing import Any, NamedTuple

import keras
import numpy as np
from keras import ops, tree

from rnnkit import backend
from rnnkit.annotations import Tensor
from rnnkit.arguments import agree, check_positive_integer
from rnnkit.layers.recurrent import holds_nan
from rnnkit.layers.state_shapes import state_specs
from rnnkit.layers.value_decoder import ValueDecoder

_programs = weakref.WeakKeyDictionary()  # of each decoder, one that draws and one that does not


class Forecast(NamedTuple):
    """Values that a decoder said: NumPy arrays, or tensors if it ran inside a compiled function.

    Attributes:
        values: `(batch, steps, features)`: those that it read itself, the mean or the median of what it said; of paths,
            their median.
        said: `(batch, steps, ...)`, what the decoder returned at each step. It knows of no uncertainty about the steps
            before. None if there are paths.
        paths: `(batch, samples, steps, features)`, if there are any; otherwise None.
        states: list of the states from which a forecast goes on, with the last value as `start`; None if there are
            paths.
    """

    values: Tensor
    said: Tensor | None
    paths: Tensor | None
    states: list[Tensor] | None


def forecast(
    decoder: ValueDecoder,
    states: Any,
    start: Tensor,
    steps: int | None = None,
    known: Tensor | None = None,
    samples: int | None = None,
    seed: int | None = None,
) -> Forecast:
    """Runs a decoder on its own values: at each step it reads what it said at the step before.

    All steps are one compiled loop.

    Args:
        decoder: the `rnnkit.layers.ValueDecoder`, with weights.
        states: list of the first states, such as an encoder's last ones; None means zeros.
        start: tensor `(batch, features)`, the last value of the past.
        steps: how many values. Defaults to `None`: as many as `known` has.
        known: tensor `(batch, steps, k)`, what is known ahead. Defaults to `None`.
        samples: how many paths to draw for each row; at each step, the value that is read next is drawn. It needs a
            decoder whose output is `"normal"` or `"quantiles"`. Defaults to `None`, which draws nothing.
        seed: integer, for the same paths in each call. Defaults to `None`, which follows
            `keras.utils.set_random_seed`.

    Returns:
        A `Forecast`.

    Raises:
        ValueError: the decoder is none, or has no weights; steps, samples or shapes do not fit; a value is NaN; the
            output of the decoder has nothing to draw from.

    Example:

    >>> import numpy as np, rnnkit.decoding, rnnkit.layers
    >>> decoder = rnnkit.layers.ValueDecoder(rnnkit.layers.GRUCell(8), output="normal")
    >>> _ = decoder(np.zeros((1, 1, 1), "float32"))  # builds it
    >>> found = rnnkit.decoding.forecast(decoder, None, start=np.zeros((3, 1)), steps=5, samples=100, seed=0)
    >>> found.values.shape, found.paths.shape
    ((3, 5, 1), (3, 100, 5, 1))

    References:
        Salinas, Flunkert, Gasthaus and Januschowski, "DeepAR: probabilistic forecasting with autoregressive recurrent
        networks", 2020 (paths).
    """
    if not isinstance(decoder, ValueDecoder) or not decoder.built:
        raise ValueError(f"forecast expected a rnnkit.layers.ValueDecoder with weights, received {decoder!r}.")
    start = ops.cast(ops.convert_to_tensor(start), decoder.compute_dtype)
    if len(start.shape) != 2 or start.shape[1] != decoder.features:
        raise ValueError(
            f"forecast expected start (batch, features={decoder.features}), received shape {tuple(start.shape)}."
        )
    if known is not None:
        known = ops.cast(ops.convert_to_tensor(known), decoder.compute_dtype)
        steps = known.shape[1] if steps is None and len(known.shape) == 3 else steps
    if known is None or len(known.shape) == 3:
        steps = check_positive_integer("forecast", "steps", steps)
    wanted = (start.shape[0], steps, decoder.known)
    if (known is None and decoder.known) or (known is not None and not agree(known.shape, wanted)):
        raise ValueError(
            f"forecast expected known of shape {wanted}: the batch of start, the steps, and the features that the "
            f"decoder was built for; received {None if known is None else tuple(known.shape)}."
        )
    batch = ops.shape(start)[0]
    states = decoder.recurrent.get_initial_state(batch) if states is None else states
    states = [ops.convert_to_tensor(state) for state in tree.flatten(states)]
    _check_states(decoder, states, start.shape[0])
    _check_numbers(start=start, states=states, known=known)
    tensors = {"start": start, "states": states, "known": known, "noise": None}
    if samples is not None:
        check_positive_integer("forecast", "samples", samples)
        if decoder.output_kind == "value":
            raise ValueError(
                "forecast expected output='normal' or 'quantiles' of a decoder for paths, received 'value'."
            )
        tensors = tree.map_structure(lambda x: None if x is None else ops.repeat(x, samples, axis=0), tensors)
        draw = keras.random.normal if decoder.output_kind == "normal" else keras.random.uniform
        shape = (batch * samples, steps, decoder.features)
        tensors["noise"] = draw(shape, dtype=decoder.compute_dtype, seed=seed)
    is_concrete = backend.is_concrete([start, *states])
    said, values, last = _program(decoder, steps, tensors, is_concrete)
    if samples is None:
        return Forecast(values, said, None, last)
    paths = (
        values.reshape(-1, samples, *values.shape[1:])
        if is_concrete
        else ops.reshape(values, (batch, samples, *values.shape[1:]))
    )
    return Forecast(np.median(paths, axis=1) if is_concrete else ops.median(paths, axis=1), None, paths, None)


def _check_states(decoder, states, batch):
    specs = tree.flatten(state_specs(decoder.cell))
    shapes = [tuple(state.shape) for state in states]
    wanted = [None if spec.shape is None else (batch, *spec.shape[1:]) for spec in specs]
    fit = len(specs) == len(shapes) and all(
        w is None or agree(shape, w) for shape, w in zip(shapes, wanted, strict=True)
    )
    if not fit:
        raise ValueError(
            f"forecast expected {len(specs)} states for the batch of start, of the shapes {wanted}, received {shapes}."
        )


def _check_numbers(**arguments):
    for name, value in arguments.items():
        numbers = [x for x in tree.flatten(value) if x is not None and keras.backend.is_float_dtype(x.dtype)]
        if any(map(holds_nan, numbers)):
            raise ValueError(f"forecast expected numbers, but {name} holds NaN: fill in what is missing.")


def _program(decoder, steps, tensors, is_concrete):
    if not is_concrete:
        return _run(decoder, steps, tensors)
    key = steps, tensors["noise"] is not None
    programs = _programs.setdefault(decoder, {})
    if key not in programs:
        reference = weakref.ref(decoder)  # a kept program must not keep its decoder
        programs[key] = backend.compiled(lambda tensors: _run(reference(), steps, tensors), decoder.variables)
    return tree.map_structure(ops.convert_to_numpy, programs[key](tensors))


def _run(decoder, steps, tensors):
    start, states, known, noise = (tensors[name] for name in ("start", "states", "known", "noise"))
    given = ops.repeat(ops.zeros_like(start)[:, None], steps, axis=1)
    said, last = decoder.run(given, given[..., :1] + 1.0, start, known, noise, states)
    return said, decoder.value_of(said, noise), last[1:]
