"""One step of whatever can be decoded: a `Decoder`, a Keras model with states, or a function."""

from typing import Any

import keras
import numpy as np
from keras import ops, tree

from rnnkit import backend
from rnnkit.annotations import Mask, Tensor, Tensors
from rnnkit.arguments import agree
from rnnkit.layers.attention_cell import AttentionCell
from rnnkit.layers.decoder import Decoder
from rnnkit.layers.recurrent_cell import as_recurrent_cell
from rnnkit.layers.state_shapes import size_of, state_specs
from rnnkit.ops.scores import IMPOSSIBLE


class Steps:
    """Base class: `prepare` divides the first states, and `step` makes new ones.

    Attributes:
        vocabulary: how many tokens there are.
    """

    vocabulary: int

    @property
    def states_count(self) -> int:
        """How many states there are in all, those that no step changes included."""
        raise NotImplementedError

    def prepare(self, states: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Returns the states that change, and what does not change."""
        return states, []

    def step(
        self, tokens: Tensor, states: list[Tensor], constants: list[Tensor]
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Runs one step.

        Args:
            tokens: `(batch,)`, what is read.
            states: list of the states that change.
            constants: list of those that do not.

        Returns:
            Logits `(batch, vocabulary)`, the list of new states, and a list of no or one alignment.
        """
        raise NotImplementedError

    def source_mask(self, constants: list[Tensor]) -> Mask:
        """Returns which positions can be attended to, boolean `(batch, memory_time)`; None if that is not known."""
        return None


class DecoderSteps(Steps):
    """The steps of a `Decoder`."""

    def __init__(self, decoder: Decoder):
        self.decoder = decoder
        self.vocabulary = decoder.head.compute_output_shape((None, as_recurrent_cell(decoder.cell).output_size))[-1]

    @property
    def states_count(self):
        return len(tree.flatten(state_specs(self.decoder.cell)))

    def prepare(self, states):
        return self.decoder.prepare(states)

    def step(self, tokens, states, constants):
        logits, new, alignment = self.decoder.step(tokens, [*states, *constants])
        return logits, new[: len(states)], [] if alignment is None else [alignment]

    def source_mask(self, constants):
        return constants[1] if isinstance(self.decoder.cell, AttentionCell) else None


class ModelSteps(Steps):
    """The steps of a Keras model from `[tokens, *states]` to `[logits, *states]`, with or without an alignment."""

    def __init__(self, model: keras.Model):
        self.model = model
        self.vocabulary = tree.flatten(model.outputs)[0].shape[-1]

    @property
    def states_count(self):
        return len(tree.flatten(self.model.inputs)) - 1

    def step(self, tokens, states, constants):
        with_time = len(tree.flatten(self.model.inputs)[0].shape) == 2
        logits, *new = self.model([tokens[:, None] if with_time else tokens, *states], training=False)
        logits = logits[:, -1] if len(logits.shape) == 3 else logits
        return logits, new[: len(states)], [_one_step(alignment) for alignment in new[len(states) :]]


class FunctionSteps(Steps):
    """The steps of a function `step(tokens, states)`, which takes states nested as the user gave them."""

    def __init__(self, function: Any, states: Tensors, batch: Any):
        self.function, self.like = function, states
        tokens = ops.zeros((batch,), dtype="int32")
        self.vocabulary = self.step(tokens, tree.flatten(states), [])[0].shape[-1]

    def step(self, tokens, states, constants):
        logits, new, *alignment = self.function(tokens, tree.pack_sequence_as(self.like, states))
        return logits, tree.flatten(new), alignment


class Ensemble:
    """Several decoders that say one sequence together: the mean of their probabilities decides.

    A search takes it in place of a decoder, and a list of their states in place of states.

    Args:
        decoders: list of `rnnkit.layers.Decoder` and Keras models, all of one vocabulary; see `greedy_search`.

    Raises:
        ValueError: there is no decoder, or one of another kind.

    Example:

    >>> import keras, numpy as np, rnnkit.decoding, rnnkit.layers
    >>> cells = [rnnkit.layers.GRUCell(8), rnnkit.layers.LSTMCell(4)]
    >>> decoders = [rnnkit.layers.Decoder(keras.layers.Embedding(9, 4), c, keras.layers.Dense(9)) for c in cells]
    >>> for decoder in decoders:
    ...     _ = decoder(np.array([[1]]))  # builds it
    >>> states = [[np.zeros((3, 8), "float32")], [np.zeros((3, 4), "float32")] * 2]
    >>> ensemble = rnnkit.decoding.Ensemble(decoders)
    >>> rnnkit.decoding.beam_search(ensemble, states, start=1, end=2, max_length=6).tokens.shape
    (3, 1, 6)

    References:
        Sutskever, Vinyals and Le, "Sequence to sequence learning with neural networks", 2014, section 3.6.
    """

    def __init__(self, decoders: Any):
        self.decoders = list(decoders) if isinstance(decoders, list | tuple) else []
        if not self.decoders or not all(isinstance(one, Decoder | keras.Model) for one in self.decoders):
            raise ValueError(
                f"Ensemble expected a list of rnnkit.layers.Decoder and Keras models, received {decoders!r}."
            )

    @property
    def variables(self) -> list[Any]:
        """The variables of all decoders, each once."""
        return list({id(v): v for decoder in self.decoders for v in decoder.variables}.values())


class EnsembleSteps(Steps):
    """The steps of an `Ensemble`: the mean of the probabilities."""

    def __init__(self, ensemble: Ensemble):
        self.members = [_steps_of(decoder) for decoder in ensemble.decoders]
        self.vocabulary = self.members[0].vocabulary

    def prepare(self, states):
        self._counts, changing, constant = [], [], []
        for member in self.members:
            some, others = member.prepare(states[: member.states_count])
            states = states[member.states_count :]
            self._counts.append((len(some), len(others)))
            changing, constant = [*changing, *some], [*constant, *others]
        return changing, constant

    def step(self, tokens, states, constants):
        log_p, new = [], []
        for member, (count, constant) in zip(self.members, self._counts, strict=True):
            logits, following, _ = member.step(tokens, states[:count], constants[:constant])
            states, constants = states[count:], constants[constant:]
            log_p.append(ops.log_softmax(ops.maximum(ops.cast(logits, "float32"), IMPOSSIBLE), axis=-1))
            new += following
        return ops.logsumexp(ops.stack(log_p), axis=0) - float(np.log(len(log_p))), new, []


def _steps_of(decoder):
    return DecoderSteps(decoder) if isinstance(decoder, Decoder) else ModelSteps(decoder)


def as_steps(caller: str, decoder: Any, states: Tensors, batch: Any) -> Steps:
    """Returns the `Steps` of a decoder, a model or a function.

    Raises:
        ValueError: `decoder` is something else, or the states do not fit it.
    """
    flat = tree.flatten(states)
    if isinstance(decoder, Ensemble):
        if not isinstance(states, list | tuple) or len(states) != len(decoder.decoders):
            raise ValueError(f"{caller} expected a list of {len(decoder.decoders)} states, one for each decoder.")
        members = [as_steps(caller, *pair, batch) for pair in zip(decoder.decoders, states, strict=True)]
        sizes = [member.vocabulary for member in members]
        if len(set(sizes)) > 1:
            raise ValueError(f"{caller} expected an ensemble of one vocabulary, received decoders of {sizes} tokens.")
        return EnsembleSteps(decoder)
    if isinstance(decoder, Decoder):
        _check_head(caller, decoder.head)
        _check_states(caller, decoder, flat)
        return DecoderSteps(decoder)
    if isinstance(decoder, keras.Model):
        inputs, outputs = (len(tree.flatten(getattr(decoder, name, None) or [])) for name in ("inputs", "outputs"))
        if not flat or inputs != len(flat) + 1 or outputs not in (inputs, inputs + 1):
            raise ValueError(
                f"{caller} expected a model from [tokens, *states] to [logits, *states], with {len(flat) or 'some'} "
                f"states as given, received one with {inputs} inputs and {outputs} outputs. The layers of a model over "
                "sequences decode as rnnkit.layers.Decoder(embedding, layer.cell, head)."
            )
        return ModelSteps(decoder)
    if isinstance(decoder, keras.layers.Layer) or not callable(decoder):
        raise ValueError(
            f"{caller} expected a rnnkit.layers.Decoder, a Keras model from [tokens, *states] to [logits, *states], or "
            f"a function step(tokens, states), received {decoder!r}."
        )
    return FunctionSteps(decoder, states, batch)


def _check_head(caller, head):
    last = head.layers[-1] if isinstance(head, keras.Sequential) else head
    if isinstance(last, keras.layers.Softmax) or getattr(last, "activation", None) is keras.activations.softmax:
        raise ValueError(
            f"{caller} expected a head that returns logits, received one that ends with the softmax {last.name!r}: "
            "remove it, for example with layer.activation = keras.activations.linear."
        )


def _check_states(caller, decoder, states):
    if not decoder.built:
        raise ValueError(
            f"{caller} expected a decoder with weights, received one that is not built: call {decoder.name!r}, or its "
            "model, once."
        )
    sizes = [size_of(spec.shape) for spec in tree.flatten(state_specs(decoder.cell))]
    if len(states) != len(sizes):
        hint = "cell.initial_state(memory, mask, states) makes the list" if None in sizes else f"of sizes {sizes}"
        raise ValueError(f"{caller} expected {len(sizes)} states, received {len(states)}: {hint}.")
    for index, (state, size) in enumerate(zip(states, sizes, strict=True)):
        if size is not None and size_of(tuple(state.shape)) != size:
            shape = ", ".join(map(str, size if isinstance(size, tuple) else [size]))
            raise ValueError(
                f"{caller} expected state {index} of shape (batch, {shape}), received {tuple(state.shape)}."
            )
    if not isinstance(decoder.cell, AttentionCell):
        return
    memory, mask = states[-2:]
    features = decoder.cell.attention.attention_kernel.shape[0] - decoder.cell.query_size
    if tuple(memory.shape[2:]) != (features,) or not agree(mask.shape, memory.shape[:2]):
        raise ValueError(
            f"{caller} expected a memory (batch, memory_time, {features}) and its mask (batch, memory_time) as the "
            f"last two states, received shapes {tuple(memory.shape)} and {tuple(mask.shape)}: cell.initial_state makes "
            "them."
        )
    if memory.shape[1] == 0:
        raise ValueError(f"{caller} expected a source with one position or more, received an empty memory.")
    if not backend.is_concrete(mask):
        return
    nothing = ~ops.convert_to_numpy(ops.cast(mask, "bool")).any(axis=1)
    if nothing.any():
        raise ValueError(
            f"{caller} expected something to attend to in each row, received a mask that hides all of rows "
            f"{nothing.nonzero()[0].tolist()}: leave out empty sources."
        )


def _one_step(alignment):
    """An alignment of one step, with or without a time axis, as `(batch, memory_time)`."""
    return alignment[:, -1] if len(alignment.shape) == 3 else alignment
