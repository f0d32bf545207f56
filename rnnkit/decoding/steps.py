"""One step of whatever can be decoded: a `Decoder`, a Keras model with states, or a function."""

import keras
from keras import ops, tree

from rnnkit.layers.attention_cell import AttentionCell
from rnnkit.layers.decoder import Decoder
from rnnkit.layers.recurrent_cell import as_recurrent_cell


class Steps:
    """Base: `prepare` divides the first states into what changes and what does not, `step` makes the next ones."""

    vocabulary = None  # how many tokens there are

    def prepare(self, states):
        return states, []

    def step(self, tokens, changing, constants):
        """From tokens `(batch,)` to logits `(batch, vocabulary)`, what changed, and a list of no or one alignment."""
        raise NotImplementedError

    def source_mask(self, constants):
        """Boolean `(batch, memory_time)`, where there is something to look at; None where that is not known."""
        return None


class DecoderSteps(Steps):
    def __init__(self, decoder):
        self.decoder = decoder
        self.vocabulary = decoder.head.compute_output_shape((None, as_recurrent_cell(decoder.cell).output_size))[-1]

    def prepare(self, states):
        return self.decoder.prepare(states)

    def step(self, tokens, changing, constants):
        logits, states, alignment = self.decoder.step(tokens, [*changing, *constants])
        return logits, states[: len(changing)], [] if alignment is None else [alignment]

    def source_mask(self, constants):
        return constants[1] if isinstance(self.decoder.cell, AttentionCell) else None


class ModelSteps(Steps):
    def __init__(self, model):
        self.model = model
        self.vocabulary = tree.flatten(model.outputs)[0].shape[-1]

    def step(self, tokens, changing, constants):
        with_time = len(tree.flatten(self.model.inputs)[0].shape) == 2
        logits, *states = self.model([tokens[:, None] if with_time else tokens, *changing], training=False)
        logits = logits[:, -1] if len(logits.shape) == 3 else logits
        return logits, states[: len(changing)], [_one_step(x) for x in states[len(changing) :]]


class FunctionSteps(Steps):
    def __init__(self, function, states, batch):
        self.function, self.like = function, states
        tokens = ops.zeros(batch, dtype="int32")
        self.vocabulary = self.step(tokens, tree.flatten(states), [])[0].shape[-1]

    def step(self, tokens, changing, constants):
        logits, states, *alignment = self.function(tokens, tree.pack_sequence_as(self.like, changing))
        return logits, tree.flatten(states), alignment


def steps_of(caller, decoder, states, batch):
    """The `Steps` of a decoder, a model or a function; a `ValueError` for anything else and for wrong states."""
    flat = tree.flatten(states)
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
            f"{caller} expected a head that returns logits, but {last.name!r} is a softmax: leave that out, as with "
            "layer.activation = keras.activations.linear."
        )


def _check_states(caller, decoder, states):
    if not decoder.built:
        raise ValueError(f"{caller} expected a decoder with weights: call {decoder.name!r}, or its model, once.")
    sizes = tree.flatten(decoder.cell.state_size)
    if len(states) != len(sizes):
        hint = "cell.initial_state(memory, mask, states) makes the list" if None in sizes else f"of sizes {sizes}"
        raise ValueError(f"{caller} expected {len(sizes)} states, received {len(states)}: {hint}.")
    for index, (state, size) in enumerate(zip(states, sizes, strict=True)):
        if size is not None and tuple(state.shape[1:]) != (size,):
            raise ValueError(
                f"{caller} expected state {index} of shape (batch, {size}), received {tuple(state.shape)}."
            )
    if not isinstance(decoder.cell, AttentionCell):
        return
    memory, mask = states[-2:]
    features = decoder.cell.attention.attention_kernel.shape[0] - decoder.cell.query_size
    if tuple(memory.shape[2:]) != (features,) or tuple(mask.shape) != tuple(memory.shape[:2]):
        raise ValueError(
            f"{caller} expected a memory (batch, memory_time, {features}) and its mask (batch, memory_time) as the "
            f"last two states, received shapes {tuple(memory.shape)} and {tuple(mask.shape)}: cell.initial_state makes "
            "them."
        )
    if memory.shape[1] == 0:
        raise ValueError(f"{caller} expected a source with one position or more, received an empty memory.")
    nothing = ~ops.convert_to_numpy(ops.cast(mask, "bool")).any(axis=1)
    if nothing.any():
        raise ValueError(
            f"{caller} expected something to look at in each row, but the mask covers all of rows "
            f"{nothing.nonzero()[0].tolist()}: leave out empty sources."
        )


def _one_step(alignment):
    """An alignment of one step, with or without a time axis, as `(batch, memory_time)`."""
    return alignment[:, -1] if len(alignment.shape) == 3 else alignment
