"""A decoder: tokens in, scores of the next token out."""

import keras
from keras import ops, random, tree

from rnnkit.layers.attention_cell import AttentionCell, refuse_draws_in_steps
from rnnkit.layers.recurrent import Recurrent
from rnnkit.layers.recurrent_cell import RecurrentCell, as_recurrent_cell


@keras.saving.register_keras_serializable(package="rnnkit")
class Decoder(keras.layers.Layer):
    """Embedding, cell and head: reads tokens and scores, for each of them, which token comes next.

    Called with the true tokens, it is teacher forcing: at each step the cell reads the right token before, whatever it
    would have said. `rnnkit.decoding` runs the same decoder on its own tokens.

    With `scheduled_sampling`, the cell reads in training at some of the steps the token that it finds most likely
    itself, with the probability in `sampling_rate`, a weight that is not trained: 0 at the start, which is teacher
    forcing, and changed by `rnnkit.training.ScheduledSampling`.

    Args:
        embedding: layer from token numbers to vectors, such as `keras.layers.Embedding`. With `mask_zero=True`, losses
            and metrics leave out padding.
        cell: any cell: `LSTMCell`, `AttentionCell`, `keras.layers.StackedRNNCells`, ...
        head: layer from the cell's output to one score for each token of the vocabulary (logits), such as
            `keras.layers.Dense`.
        scheduled_sampling: whether `sampling_rate` exists.
        seed: of the random choices of scheduled sampling.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        tokens: integer tensor `(batch, time)`: the start token, then the target but for its last token.
        initial_state: list of tensors `(batch, cell.state_size[i])`, such as an encoder's last states, zeros if left
            out; for an `AttentionCell`, what `cell.initial_state(memory, mask, states)` returns.
        training: whether this is a training run.

    Returns:
        Logits `(batch, time, vocabulary)`: at t of the token at t + 1.

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

    def __init__(self, embedding, cell, head, scheduled_sampling=False, seed=None, **kwargs):
        if kwargs.get("dtype") is None:
            kwargs["dtype"] = getattr(cell, "dtype_policy", None)
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
            self.seed_generator = random.SeedGenerator(seed)
            self.sampled = Recurrent(_OwnTokens(embedding, self.cell, head), return_sequences=True)
            self.sampling_rate = self.add_weight(
                (), initializer="zeros", trainable=False, autocast=False, name="sampling_rate"
            )

    @property
    def cell(self):
        return self.recurrent.cell

    def build(self, tokens_shape, initial_state_shape=None):
        if not self.embedding.built:
            self.embedding.build(tokens_shape)
        batch, time, features = self.embedding.compute_output_shape(tuple(tokens_shape))
        if not self.recurrent.built:
            self.recurrent.build((batch, time, features), initial_state_shape)
        if not self.head.built:
            self.head.build((batch, time, as_recurrent_cell(self.cell).output_size))

    def call(self, tokens, initial_state=None, training=False):
        if len(tokens.shape) != 2:
            raise ValueError(
                f"Layer {self.name!r} expected tokens (batch, time), received shape {tuple(tokens.shape)}."
            )
        vectors, mask = self.embedding(tokens), self.compute_mask(tokens)
        if not (training and self.scheduled_sampling):
            outputs = self.recurrent(vectors, initial_state=initial_state, mask=mask, training=training)
        else:
            batch, time = ops.shape(tokens)
            own = random.uniform((batch, time), dtype="float32", seed=self.seed_generator) < self.sampling_rate
            own = ops.logical_and(own, ops.arange(time) > 0)  # the first token is the start
            vectors = ops.concatenate([vectors, ops.cast(own, vectors.dtype)[..., None]], axis=-1)
            states = self.recurrent.get_initial_state(batch) if initial_state is None else initial_state
            first = ops.zeros((batch, as_recurrent_cell(self.cell).output_size), dtype=self.recurrent.compute_dtype)
            states = [first, *tree.flatten(states)]
            outputs = self.sampled(vectors, initial_state=states, mask=mask, training=training)
        return self.head(outputs)

    def compute_output_shape(self, tokens_shape, initial_state_shape=None):
        return self.head.compute_output_shape((*tokens_shape, as_recurrent_cell(self.cell).output_size))

    def compute_mask(self, tokens, mask=None):
        """Where a token is followed by one that counts: where the embedding's mask is."""
        return self.embedding.compute_mask(tokens, None) if mask is None else mask

    def prepare(self, states):
        """The states of a run of `step`: a list of those that change, and of what does not."""
        states = [ops.cast(state, self.compute_dtype) for state in states]
        return self.in_precision([states], function=as_recurrent_cell(self.cell).prepare)

    def step(self, tokens, states):
        """One step of decoding.

        Args:
            tokens: integer tensor `(batch,)`.
            states: both lists of `prepare`, one after the other.

        Returns:
            Logits `(batch, vocabulary)`, the list of new states, and the alignment `(batch, memory_time)`, None of a
            cell without attention.
        """
        vectors = ops.copy(_at_one_step(self.embedding, tokens))  # without a mask, at which Keras's cells warn
        return self.in_precision([vectors, states], function=self._step)

    def _step(self, vectors, states):
        projected = as_recurrent_cell(self.cell).project(vectors)
        if isinstance(self.cell, AttentionCell):
            attended, states = self.cell.look(projected, states)
            return _at_one_step(self.head, attended.attention), states, attended.alignment
        output, states = as_recurrent_cell(self.cell).step(projected, states)
        return _at_one_step(self.head, output), states, None

    def get_config(self):
        layers = {"embedding": self.embedding, "cell": self.cell, "head": self.head}
        layers = {name: keras.saving.serialize_keras_object(layer) for name, layer in layers.items()}
        own = {"scheduled_sampling": self.scheduled_sampling, "seed": self.seed}
        return {**super().get_config(), **layers, **own}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        layers = {
            name: keras.saving.deserialize_keras_object(config[name], custom_objects=custom_objects)
            for name in ("embedding", "cell", "head")
        }
        return cls(**{**config, **layers})


class _OwnTokens(RecurrentCell):
    """A cell around the decoder's: where the last feature of its input is 1, it reads its own token instead.

    Its first state is the cell's output one step before.
    """

    def __init__(self, embedding, cell, head, **kwargs):
        super().__init__(dtype=cell.dtype_policy, **kwargs)
        self.embedding, self.cell, self.head = embedding, cell, head
        self.output_size = as_recurrent_cell(cell).output_size
        self.state_size = [self.output_size, *tree.flatten(cell.state_size)]

    def build(self, inputs_shape):
        """What is inside is built already."""

    def prepare(self, states):
        changing, constants = as_recurrent_cell(self.cell).prepare(states[1:])
        return [states[0], *changing], constants

    def step(self, projected, states, training=False):
        before, *states = states
        given, own = projected[:, :-1], projected[:, -1:]
        likely = ops.argmax(_at_one_step(self.head, before), axis=-1)
        inputs = ops.where(own > 0, ops.cast(_at_one_step(self.embedding, likely), given.dtype), given)
        cell = as_recurrent_cell(self.cell)
        output, states = cell.step(cell.project(inputs, training), states, training)
        return output, [output, *states]

    def reads(self, features):
        return features - 1


def _at_one_step(layer, inputs):
    """A layer over sequences at one step, as in inference."""
    return layer(inputs[:, None], training=False)[:, 0]


class InPrecision(keras.layers.Layer):
    """Runs a function as a layer's call is run: in the layer's precision."""

    supports_masking = True

    def call(self, arguments, function):
        return function(*arguments)

    def compute_mask(self, arguments, mask=None):
        return None
