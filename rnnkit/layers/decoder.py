"""A decoder: tokens in, scores of the next token out."""

from collections.abc import Callable
from typing import Any

import keras
from keras import ops, random, tree

from rnnkit.annotations import Config, Mask, Shape, Tensor, Tensors
from rnnkit.layers.attention_cell import AttentionCell, refuse_draws_in_steps
from rnnkit.layers.plain_loop import PlainLoopOfAll
from rnnkit.layers.quantization import without_quantization
from rnnkit.layers.recurrent import Recurrent
from rnnkit.layers.recurrent_cell import RecurrentCell, as_recurrent_cell
from rnnkit.layers.state_shapes import size_of, state_specs


@keras.saving.register_keras_serializable(package="rnnkit")
class Decoder(PlainLoopOfAll, keras.layers.Layer):
    """Embedding, cell and head: reads tokens and scores, for each of them, which token comes next.

    Called with the true tokens, it is teacher forcing: at each step the cell reads the correct previous token, whatever
    it would have said itself. `rnnkit.decoding` runs the same decoder on its own tokens.

    With `scheduled_sampling`, the cell sometimes reads, in training, the token that it finds most likely itself. The
    probability at each step is `sampling_rate`, a weight that is not trained: 0 at the start, which is teacher forcing,
    and changed by `rnnkit.training.ScheduledSampling`. The first token of a sequence is always read as given.

    Args:
        embedding: layer from token numbers to vectors, such as `keras.layers.Embedding`. With `mask_zero=True`, losses
            and metrics leave out padding.
        cell: any cell: `LSTMCell`, `AttentionCell`, `keras.layers.StackedRNNCells`, ...
        head: layer from the cell's output to one score for each token of the vocabulary (logits), such as
            `keras.layers.Dense`.
        scheduled_sampling: whether there is a `sampling_rate`. Defaults to `False`.
        seed: integer, for the random choices of scheduled sampling. Defaults to `None`.
        **kwargs: `name`, `dtype` (by default the cell's), `trainable`.

    Call arguments:
        tokens: integer tensor `(batch, time)`: the start token, then the target without its last token.
        initial_state: list of tensors `(batch, cell.state_size[i])`, such as an encoder's last states; for an
            `AttentionCell`, what `cell.initial_state(memory, mask, states)` returns. Defaults to `None`, which means
            zeros.
        training: whether this is a training run. Defaults to `False`.

    Returns:
        Logits `(batch, time, vocabulary)`: those at t are for the token at t + 1.

    Raises:
        ValueError: tokens are not `(batch, time)`; with scheduled sampling, the cell draws for each step
            (`dropout_each_step`, `ZoneoutCell`); see `Recurrent` for states.

    Example:

    >>> import keras, numpy as np, rnnkit.layers
    >>> cell = rnnkit.layers.AttentionCell(rnnkit.layers.GRUCell(8), rnnkit.layers.LuongAttention(8))
    >>> decoder = rnnkit.layers.Decoder(keras.layers.Embedding(20, 4), cell, keras.layers.Dense(20))
    >>> memory, tokens = np.zeros((2, 7, 5), "float32"), np.ones((2, 6), "int32")
    >>> tuple(decoder(tokens, initial_state=cell.initial_state(memory)).shape)
    (2, 6, 20)

    References:
        Sutskever, Vinyals and Le, "Sequence to sequence learning with neural networks", 2014; Bengio et al., "Scheduled
        sampling for sequence prediction with recurrent neural networks", 2015.
    """

    def __init__(
        self,
        embedding: keras.layers.Layer,
        cell: Any,
        head: keras.layers.Layer,
        scheduled_sampling: bool = False,
        seed: int | None = None,
        **kwargs: Any,
    ):
        if kwargs.get("dtype") is None:
            kwargs["dtype"] = without_quantization(getattr(cell, "dtype_policy", None))
        super().__init__(**kwargs)
        self.embedding = embedding
        self.in_precision = InPrecision(dtype=self.dtype_policy)
        self.recurrent = Recurrent(cell, return_sequences=True)
        self.head = head
        self.scheduled_sampling = bool(scheduled_sampling)
        self.seed = seed
        self.supports_masking = True
        if self.scheduled_sampling:
            refuse_draws_in_steps("Decoder(scheduled_sampling=True)", self.cell)
            self.sampled = Recurrent(_OwnTokensCell(embedding, cell, head, seed), return_sequences=True)

    @property
    def cell(self) -> Any:
        return self.recurrent.cell

    @property
    def sampling_rate(self) -> keras.Variable:
        """The probability that the cell reads its own token; only with scheduled sampling."""
        if not self.scheduled_sampling:
            raise ValueError(f"Layer {self.name!r} has a sampling_rate only with scheduled_sampling=True.")
        return self.sampled.cell.rate

    def build(self, tokens_shape: Shape, initial_state_shape: Any = None) -> None:
        if not self.embedding.built:
            self.embedding.build(tokens_shape)
        batch, time, features = self.embedding.compute_output_shape(tuple(tokens_shape))
        if not self.recurrent.built:
            self.recurrent.build((batch, time, features), initial_state_shape)
        if not self.head.built:
            self.head.build((batch, time, as_recurrent_cell(self.cell).output_size))

    def call(self, tokens: Tensor, initial_state: Any = None, training: bool = False) -> Tensor:
        if len(tokens.shape) != 2:
            raise ValueError(
                f"Layer {self.name!r} expected tokens (batch, time), received shape {tuple(tokens.shape)}."
            )
        vectors, mask = self.embedding(tokens), self.compute_mask(tokens)
        layer = self.recurrent
        if training and self.scheduled_sampling:
            layer = self.sampled
            if initial_state is None:
                initial_state = self.recurrent.get_initial_state(ops.shape(tokens)[0])
            initial_state = [first_unmasked(vectors, mask), *tree.flatten(initial_state)]
        return self.head(layer(vectors, initial_state=initial_state, mask=mask, training=training))

    def compute_output_shape(self, tokens_shape: Shape, initial_state_shape: Any = None) -> Shape:
        return self.head.compute_output_shape((*tokens_shape, as_recurrent_cell(self.cell).output_size))

    def compute_mask(self, tokens: Tensor, mask: Mask = None) -> Mask:
        """Returns the embedding's mask: True where there is a token, and hence logits of the next one."""
        return self.embedding.compute_mask(tokens, None) if mask is None else mask

    def prepare(self, states: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        """Makes the states for `step`.

        Args:
            states: flat list of the first states.

        Returns:
            The list of the states that change, and the list of what does not.
        """
        states = [ops.cast(state, self.compute_dtype) for state in states]
        return self.in_precision([states], function=as_recurrent_cell(self.cell).prepare)

    def step(self, tokens: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor], Tensor | None]:
        """Runs one step of decoding.

        Args:
            tokens: integer tensor `(batch,)`.
            states: both lists of `prepare`, one after the other.

        Returns:
            Logits `(batch, vocabulary)`, the list of new states, and the alignment `(batch, memory_time)`, or None for
            a cell without attention.
        """
        vectors = ops.copy(_at_one_step(self.embedding, tokens))  # without its mask: Keras's cells warn of one
        return self.in_precision([vectors, states], function=self._step)

    def _step(self, vectors, states):
        projected = as_recurrent_cell(self.cell).project(vectors)
        if isinstance(self.cell, AttentionCell):
            attended, states = self.cell.attend(projected, states)
            return _at_one_step(self.head, attended.attention), states, attended.alignment
        output, states = as_recurrent_cell(self.cell).step(projected, states)
        return _at_one_step(self.head, output), states, None

    def switched(self) -> list:
        return [self.recurrent]

    def get_config(self) -> Config:
        layers = {"embedding": self.embedding, "cell": self.cell, "head": self.head}
        layers = {name: keras.saving.serialize_keras_object(layer) for name, layer in layers.items()}
        own = {"scheduled_sampling": self.scheduled_sampling, "seed": self.seed}
        return {**super().get_config(), **layers, **own}

    @classmethod
    def from_config(cls, config: Config, custom_objects: Any = None) -> "Decoder":
        layers = {
            name: keras.saving.deserialize_keras_object(config[name], custom_objects=custom_objects)
            for name in ("embedding", "cell", "head")
        }
        return cls(**{**config, **layers})


class _OwnTokensCell(RecurrentCell):
    """A cell around the decoder's that reads, at random steps, the token that it finds most likely itself.

    Its first state is the vector of that token. Before the first step, it is the vector of the token that is given.

    Args:
        embedding: the decoder's.
        cell: the decoder's.
        head: the decoder's.
        seed: integer, of the random choices, or None.
        **kwargs: `name`, `trainable`.
    """

    def __init__(
        self, embedding: keras.layers.Layer, cell: Any, head: keras.layers.Layer, seed: int | None, **kwargs: Any
    ):
        super().__init__(dtype=without_quantization(cell.dtype_policy), **kwargs)
        self.embedding, self.cell, self.head = embedding, cell, head
        self.output_size = as_recurrent_cell(cell).output_size
        self.state_size = [None, *(size_of(spec.shape) for spec in tree.flatten(state_specs(cell)))]
        self.seed_generator = random.SeedGenerator(seed)
        self.rate = self.add_weight((), initializer="zeros", trainable=False, autocast=False, name="sampling_rate")

    def build(self, inputs_shape: Shape) -> None:
        """What is inside is built already."""

    def prepare(self, states: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
        changing, constants = as_recurrent_cell(self.cell).prepare(states[1:])
        return [states[0], *changing], constants

    def project(self, inputs: Tensor, training: bool = False) -> Tensors:
        draws = random.uniform((*ops.shape(inputs)[:-1], 1), dtype="float32", seed=self.seed_generator)
        return {"given": inputs, "is_own": ops.cast(draws < self.rate, inputs.dtype)}

    def step(self, projected: Tensors, states: list[Tensor], training: bool = False) -> tuple[Tensor, list[Tensor]]:
        own, *states = states
        cell, inputs = as_recurrent_cell(self.cell), ops.where(projected["is_own"] > 0, own, projected["given"])
        output, states = cell.step(cell.project(inputs, training), states, training)
        likely = ops.argmax(_at_one_step(self.head, output), axis=-1)
        return output, [_at_one_step(self.embedding, likely), *states]


def first_unmasked(vectors: Tensor, mask: Mask) -> Tensor:
    """Returns, of vectors `(batch, time, features)`, the first unmasked one of each row, `(batch, features)`."""
    if mask is None:
        return vectors[:, 0]
    first = ops.argmax(ops.cast(mask, "int32"), axis=1)
    return ops.squeeze(ops.take_along_axis(vectors, first[:, None, None], axis=1), axis=1)


def _at_one_step(layer, inputs):
    """Runs a layer over sequences at one step, as in inference."""
    return layer(inputs[:, None], training=False)[:, 0]


class InPrecision(keras.layers.Layer):
    """Runs a function in the layer's precision, as a layer's call is run."""

    supports_masking = True

    def call(self, arguments: list, function: Callable[..., Any]) -> Any:
        return function(*arguments)

    def compute_mask(self, arguments: list, mask: Mask = None) -> None:
        return None
