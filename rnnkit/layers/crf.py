"""A conditional random field: the best sequence of tags as a whole, not the best tag at each step."""

import weakref
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from rnnkit import backend
from rnnkit.arguments import agree, check_positive_integer
from rnnkit.backend import chains
from rnnkit.ops.masking import check_mask, without_padding
from rnnkit.text import legal_transitions

NEVER = -1e30  # the score of what is impossible: finite, so that no sum of scores and no gradient becomes NaN


class TagPath(NamedTuple):
    """What the decoders of a `CRF` return.

    Attributes:
        tags: int32, `(batch, time)`, of `n_best` `(batch, n, time)`; 0 where the mask is False.
        score: `(batch,)`, of `n_best` `(batch, n)`; minus infinity where there is no such path.
    """

    tags: object
    score: object


@keras.saving.register_keras_serializable(package="rnnkit")
class CRF(keras.layers.Layer):
    """A linear-chain conditional random field: scores whole sequences of tags.

    With the emissions e_t(y), one score for each step and tag, a sequence y_1 ... y_n has

        score(y) = start(y_1) + sum over t of e_t(y_t) + sum over t > 1 of transitions(y_{t-1}, y_t) + end(y_n)
        p(y) = exp(score(y)) / Z,    Z = sum over all sequences y' of exp(score(y'))

    The weights are `start` `(num_tags,)`, `transitions` `(num_tags, num_tags)`, row to column, and `end` `(num_tags,)`.
    They start as zeros: an untrained CRF is a softmax at each step.

    Called, the layer returns the best sequence of tags, so `predict` gives tags and metrics compare tags. Compile the
    model with `loss=CRFLoss()`, which is -ln p(y); no train step has to be written. Tags have no gradient, so the loss
    needs more than them: the layer hangs emissions, mask and itself on the tensor that it returns, as Keras hangs a
    mask on it, and the loss takes them from there. It is so that the model has one output, `predict` and `evaluate` run
    the same call, and neither loss nor model needs a special way to be saved. The CRF must therefore be the model's
    output itself. Where no metric reads the tags, TensorFlow and JAX leave decoding out of the compiled training step.

    A mask may have any shape. The chain consists of the steps that count: it skips a hole, so the steps around it are
    neighbours. Whatever stands in the padding, NaN included, changes nothing. A row with nothing in it has one
    sequence, the empty one: log-likelihood, log partition, entropy and scores are 0.

    The other methods take emissions: `keras.Model(model.input, emissions)` gives those of a trained model, and
    `marginals` of them is how sure it is of each tag.

    With `constraints`, a sequence that breaks the scheme has probability zero, in the loss and in every decoder:

        BIO     "I-x" follows only "B-x" or "I-x"
        BIOES   besides, "B-x" and "I-x" go on with "I-x" or "E-x", and "S-x" is an entity of one token
        IOB1    "B-x" follows only "B-x" or "I-x"

    Emissions of minus infinity rule out a tag at a step in the same way. A sequence that is impossible has
    log-likelihood minus infinity, with a gradient of zero: a loss of infinity in `fit` says that a label is illegal
    (check the data), and the weights stay sound.

    All is computed in float32 under a mixed policy, as sums over time need it. The work grows with time times num_tags
    squared, times n in `n_best`; likelihood, its gradient and decoding keep no more than time times num_tags, and
    num_tags squared.

    Args:
        num_tags: how many tags there are.
        constraints: names of all tags in their order, such as `["O", "B-PER", "I-PER"]`; None allows every sequence.
            The empty string, the padding of a `rnnkit.text.Vocabulary`, is a tag that never comes out.
        scheme: `"BIO"`, `"BIOES"` or `"IOB1"`; None takes BIOES if any tag begins with E or S, else BIO.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        emissions: tensor `(batch, time, num_tags)`, on any scale (logits: no softmax).
        mask: boolean tensor `(batch, time)`, True where a step counts.

    Returns:
        The tags of `decode`, int32 `(batch, time)`, 0 where the mask is False.

    Raises:
        ValueError: num_tags is not a positive integer; constraints are not num_tags different tags of the scheme, or
            some tag or some length could never come out; emissions, tags or mask have the wrong shape; tags are not
            from 0 to num_tags - 1 (seen only outside of a compiled function; inside, such a row has log-likelihood
            minus infinity).

    Example:

    >>> import keras, numpy as np, rnnkit.layers
    >>> tags = ["O", "B-PER", "I-PER"]
    >>> words = keras.Input((None,), dtype="int32")
    >>> vectors = keras.layers.Embedding(50, 8, mask_zero=True)(words)
    >>> outputs = rnnkit.layers.CRF(3, constraints=tags)(keras.layers.Dense(3)(vectors))
    >>> model = keras.Model(words, outputs)
    >>> model.compile("adam", loss=rnnkit.layers.CRFLoss())
    >>> x, y = np.array([[4, 7, 9], [5, 3, 0]]), np.array([[1, 2, 0], [0, 1, 0]])
    >>> _ = model.fit(x, y, sample_weight=np.array([1.0, 0.5]), verbose=0)
    >>> model.predict(x, verbose=0).shape
    (2, 3)

    References:
        Lafferty, McCallum and Pereira, "Conditional random fields: probabilistic models for segmenting and labeling
        sequence data", 2001; Lample et al., "Neural architectures for named entity recognition", 2016; Tsuboi et al.,
        "Training conditional random fields using incomplete annotations", 2008.
    """

    def __init__(self, num_tags, constraints=None, scheme=None, **kwargs):
        kwargs.pop("autocast", None)
        super().__init__(autocast=False, **kwargs)  # half precision would round emissions of float32
        self.num_tags = check_positive_integer("CRF", "num_tags", num_tags)
        self.constraints = None if constraints is None else list(constraints)
        self.scheme = scheme
        self.supports_masking = True
        self._legal = None if constraints is None else legal_moves(self.constraints, self.num_tags, scheme)
        if constraints is None and scheme is not None:
            raise ValueError(f"CRF expected constraints, the names of all tags, beside scheme={scheme!r}.")

    def build(self, emissions_shape):
        shapes = {"start": (self.num_tags,), "transitions": (self.num_tags, self.num_tags), "end": (self.num_tags,)}
        for name, shape in shapes.items():
            setattr(self, name, self.add_weight(shape, initializer="zeros", autocast=False, name=name))

    def call(self, emissions, mask=None):
        tags = self.decode(emissions, mask).tags
        _hang(tags, _Origin(self, emissions, mask))
        return tags

    def compute_output_spec(self, emissions, mask=None):
        self._check(emissions, mask)
        return keras.KerasTensor(emissions.shape[:2], dtype="int32")

    def compute_mask(self, emissions, mask=None):
        return mask

    def log_likelihood(self, emissions, tags, mask=None):
        """ln p(tags), or ln of the probability of all sequences that the labels allow.

        Args:
            emissions: tensor `(batch, time, num_tags)`.
            tags: integer tensor `(batch, time)`; or, where labels are partial, `(batch, time, num_tags)`, True (or not
                zero) for each tag that may be the right one: one tag where it is known, all where nothing is.
            mask: boolean tensor `(batch, time)`.

        Returns:
            `(batch,)`; minus infinity where no legal sequence fits the labels.
        """
        emissions, mask = self._checked(emissions, mask)
        tags, chain = ops.convert_to_tensor(tags), self._chain(emissions, mask)
        if len(tags.shape) == 3 and agree(tags.shape, emissions.shape):
            allowed = ops.where(ops.cast(tags, "bool"), emissions, NEVER)
            value = log_sum(self._chain(allowed, mask)) - log_sum(chain)
        elif len(tags.shape) == 2 and agree(tags.shape, emissions.shape[:2]):
            tags, known = self._known(tags, mask)
            value = ops.where(known, -log_sum(chain, path_steps(chain, tags)), NEVER)
        else:
            raise ValueError(
                f"Layer {self.name!r} expected tags (batch, time) or sets of tags (batch, time, num_tags) for "
                f"emissions of shape {tuple(emissions.shape)}, received shape {tuple(tags.shape)}."
            )
        return _minus_infinity_if_never(value)

    def log_partition(self, emissions, mask=None):
        """ln Z, `(batch,)`: exp(score - ln Z) is the probability of a decoded sequence."""
        return _minus_infinity_if_never(log_sum(self._chain(*self._checked(emissions, mask))))

    def marginals(self, emissions, mask=None):
        """p(y_t = k), `(batch, time, num_tags)`: each row sums to one, or is zero where the mask is False."""
        chain = self._chain(*self._checked(emissions, mask))
        return chain.put_back(marginals(chain))

    def entropy(self, emissions, mask=None):
        """- sum over all sequences y of p(y) ln p(y), `(batch,)`, in nats: 0 where one sequence has it all."""
        return entropy(self._chain(*self._checked(emissions, mask)))

    def decode(self, emissions, mask=None):
        """The sequence of the highest score and that score (Viterbi), a `TagPath`. It has no gradient."""
        return best_path(self._chain(*self._checked(emissions, mask), gradient=False))

    def n_best(self, emissions, n, mask=None):
        """The n sequences of the highest scores, the best first: a `TagPath`. It has no gradient.

        Where there are fewer than n, the rest has tags 0 and a score of minus infinity.
        """
        n = check_positive_integer("n_best", "n", n)
        return best_paths(self._chain(*self._checked(emissions, mask), gradient=False), n)

    def posterior_decode(self, emissions, mask=None):
        """The legal sequence with the most right tags to be expected: a `TagPath`, its score that expected number.

        Without constraints, it is the tag of the largest marginal at each step. It has no gradient.
        """
        chain = self._chain(*self._checked(emissions, mask), gradient=False)
        start, transitions, end = self._possible(*map(ops.zeros_like, chain[2:5]))
        return best_path(chain._replace(emissions=marginals(chain), start=start, transitions=transitions, end=end))

    def get_config(self):
        own = {"num_tags": self.num_tags, "constraints": self.constraints, "scheme": self.scheme}
        return {**super().get_config(), **own}

    def _checked(self, emissions, mask):
        """Emissions in the precision of the recursion, and the boolean mask."""
        emissions = ops.convert_to_tensor(emissions)
        mask = None if mask is None else ops.cast(ops.convert_to_tensor(mask), "bool")
        self._check(emissions, mask)
        if not self.built:
            self.build(emissions.shape)
        return ops.maximum(ops.cast(emissions, self._precision), NEVER), mask

    def _chain(self, emissions, mask, gradient=True):
        scores = [emissions, *(ops.cast(w.value, self._precision) for w in (self.start, self.transitions, self.end))]
        emissions, *scores = scores if gradient else map(ops.stop_gradient, scores)
        return chain_of(emissions, mask, *self._possible(*scores))

    @property
    def _precision(self):
        return "float64" if self.compute_dtype == "float64" else "float32"

    def _possible(self, start, transitions, end):
        if self._legal is None:
            return start, transitions, end
        legal = map(ops.convert_to_tensor, self._legal)
        return [ops.where(moves, scores, NEVER) for moves, scores in zip(legal, (start, transitions, end), strict=True)]

    def _known(self, tags, mask):
        """Tags that are numbers of tags, 0 for others, and which rows have none of these where it counts."""
        tags = ops.cast(tags, "int32")
        is_tag = ops.logical_and(tags >= 0, tags < self.num_tags)
        known = ops.all(is_tag if mask is None else ops.logical_or(is_tag, ops.logical_not(mask)), axis=1)
        if backend.is_concrete(known) and not bool(ops.all(known)):
            raise ValueError(
                f"Layer {self.name!r} expected tags from 0 to {self.num_tags - 1} at all steps that count, received "
                "others. Mask the padding; where a tag is unknown, give sets of tags (batch, time, num_tags)."
            )
        return ops.where(is_tag, tags, 0), known

    def _check(self, emissions, mask):
        if len(emissions.shape) != 3 or emissions.shape[1] == 0 or emissions.shape[2] != self.num_tags:
            raise ValueError(
                f"Layer {self.name!r} expected emissions (batch, time, num_tags={self.num_tags}) with at least one "
                f"time step, received shape {tuple(emissions.shape)}: a Dense({self.num_tags}) before it makes them."
            )
        check_mask(f"Layer {self.name!r}", mask, emissions, of="emissions")


@keras.saving.register_keras_serializable(package="rnnkit")
class CRFLoss(keras.losses.Loss):
    """-ln p(y) of a model whose output is a `CRF`, one value for each sequence.

    Args:
        reduction, name, dtype: as in every Keras loss; the default is the mean over the batch.

    Call arguments:
        y_true: integer tags `(batch, time)`, or sets of tags `(batch, time, num_tags)`: see `CRF.log_likelihood`. What
            stands at masked steps does not matter.
        y_pred: what the CRF returned, itself.
        sample_weight: `(batch,)`: weights of whole sequences. A sequence of weight 0 does not count, whatever its tags.

    Raises:
        ValueError: y_pred does not come right from a CRF; sample_weight is not one number for each sequence.

    Example:

    >>> import keras, numpy as np, rnnkit.layers
    >>> tags = rnnkit.layers.CRF(4)(np.zeros((2, 3, 4), "float32"))
    >>> loss = keras.ops.convert_to_numpy(rnnkit.layers.CRFLoss()(np.zeros((2, 3), "int32"), tags))
    >>> print(f"{loss:.4f}, 3 ln 4 = {3 * np.log(4):.4f}")
    4.1589, 3 ln 4 = 4.1589
    """

    def __init__(self, reduction="sum_over_batch_size", name="crf_loss", dtype=None):
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def __call__(self, y_true, y_pred, sample_weight=None):
        origin = _origin_of(y_pred)
        if origin is None and _only_shapes_matter():
            return super().__call__(*[ops.zeros_like(y_pred[:, 0], dtype="float32")] * 2)
        if origin is None:
            raise ValueError(
                "CRFLoss expected as y_pred what a CRF layer returned, itself: make the CRF's output the model's "
                "output, with no layer or function between them."
            )
        values = -origin.crf.log_likelihood(origin.emissions, y_true, origin.mask)
        if sample_weight is not None:
            sample_weight = ops.convert_to_tensor(sample_weight, dtype=values.dtype)
            shape = tuple(sample_weight.shape)
            if len(shape) > 2 or len(shape) == 2 and shape[1] != 1 or not agree(shape[:1], values.shape[: len(shape)]):
                raise ValueError(
                    f"CRFLoss expected sample_weight (batch,), one weight for each sequence, received shape {shape}. "
                    "Steps that do not count are left out by the mask."
                )
            sample_weight = ops.reshape(sample_weight, (-1,)) if len(shape) == 2 else sample_weight
            values = ops.where(sample_weight == 0, 0.0, values)  # zero times infinity is NaN
        return super().__call__(values, values, sample_weight)

    def call(self, y_true, y_pred):
        """Keras's part of the loss, weights and reduction, gets the values as they are."""
        return y_pred


class _Origin(NamedTuple):
    """What the tags of a CRF were made from."""

    crf: CRF
    emissions: object
    mask: object


_origins = {}  # by id, of tensors that take no attributes: those of JAX inside a compiled function


def _hang(tags, origin):
    try:
        tags._rnnkit_crf = origin
    except AttributeError:
        _origins[id(tags)] = origin
        weakref.finalize(tags, _origins.pop, id(tags), None)


def _origin_of(tags):
    return getattr(tags, "_rnnkit_crf", None) or _origins.get(id(tags))


def _only_shapes_matter():
    """Whether Keras builds a model (JAX, PyTorch): it calls the loss on stand-ins of what the model returns."""
    with keras.SymbolicScope() as scope:
        return scope.original_scope is not None


def legal_moves(names, num_tags, scheme=None):
    """Which tags may be first `(num_tags,)`, follow a tag `(num_tags, num_tags)`, and be last: boolean arrays."""
    names = list(names)
    if len(names) != num_tags:
        raise ValueError(
            f"CRF expected constraints to be the names of its {num_tags} tags, received {len(names)}: {names!r}. "
            "Padding needs no tag, only a mask."
        )
    if scheme is None:
        scheme = "BIOES" if any(str(name).startswith(("E-", "S-")) for name in names) else "BIO"
    first, moves, last = legal_transitions(names, scheme)
    reached, leading = first, last
    for _ in names:
        reached, leading = reached | (reached @ moves), leading | (moves @ leading)
    lost = [name for name, used in zip(names, reached & leading, strict=True) if name and not used]
    if lost:
        raise ValueError(
            f"CRF expected constraints in which every tag can occur, but no {scheme} sequence of {names!r} holds "
            f"{lost!r}. Give the scheme, or convert the tags of another one first."
        )
    if not (first & last & np.diag(moves)).any():
        raise ValueError(
            f"CRF expected constraints under which a sequence of any length is possible, received {names!r}: 'O' is "
            "missing, or a tag of one token."
        )
    return first, moves, last


class Chain(NamedTuple):
    """A batch of chains, each with the steps that count first and in their order: what sums and decoders read."""

    emissions: object  # (time, tags, batch), zeros behind the last step of a chain
    lengths: object  # int32, (batch,)
    start: object  # (tags,)
    transitions: object  # (tags, tags)
    end: object  # (tags,)
    mask: object  # boolean, (batch, time), as it was given, or None
    order: object  # int32, (batch, time): where the steps of the chain stood, or None without a mask

    @property
    def counts(self):
        """Which steps there are, `(time, 1, batch)`."""
        return self._steps < self.lengths

    @property
    def last(self):
        """Which step is a chain's last, `(time, 1, batch)`."""
        return self._steps == self.lengths - 1

    @property
    def _steps(self):
        return ops.arange(ops.shape(self.emissions)[0], dtype="int32")[:, None, None]

    def at_last(self, values):
        """Of `(time, n, batch)` what belongs to the last step of each chain, `(n, batch)`; 0 of empty rows."""
        return ops.sum(ops.where(self.last, values, 0.0), axis=0)

    def total(self, shifts, last):
        """The score of whole sequences, `(n, batch)`: all shifts, and the scores after the last; 0 of empty rows."""
        return ops.where(self.lengths > 0, ops.sum(ops.where(self.counts, shifts, 0.0), axis=0) + last, 0.0)

    def put_back(self, values):
        """Of `(time, n, batch)` each step where it stood, `(batch, time, n)`, and zeros where nothing counts."""
        values = ops.transpose(values, (2, 0, 1))
        if self.mask is None:
            return values
        step = ops.maximum(ops.cumsum(ops.cast(self.mask, "int32"), axis=1) - 1, 0)
        return without_padding(_rows(values, step), self.mask)


def chain_of(emissions, mask, start, transitions, end):
    """A `Chain` from emissions `(batch, time, tags)`."""
    batch, time, _ = ops.shape(emissions)
    if mask is None:
        lengths = ops.full((batch,), time, dtype="int32")
        return Chain(ops.transpose(emissions, (1, 2, 0)), lengths, start, transitions, end, None, None)
    steps = ops.arange(time, dtype="int32")
    order = ops.cast(ops.argsort(ops.where(mask, steps, steps + time), axis=1), "int32")
    lengths = ops.sum(ops.cast(mask, "int32"), axis=1)
    emissions = ops.transpose(_rows(emissions, order), (1, 2, 0))
    chain = Chain(emissions, lengths, start, transitions, end, mask, order)
    # What stands in the padding must not reach a gradient, not even as NaN times zero.
    return chain._replace(emissions=ops.where(chain.counts, emissions, 0.0))


def _rows(values, steps):
    """Of `(batch, time, n)` the given steps of each row, int32 `(batch, time)`."""
    batch, time, width = ops.shape(values)
    first = ops.arange(batch, dtype="int32")[:, None] * time
    return ops.take(ops.reshape(values, (-1, width)), first + steps, axis=0)


def path_steps(chain, tags):
    """What each step adds to the score of tags, int32 `(batch, time)`, all valid numbers: `(time, 1, batch)`."""
    num_tags = chain.start.shape[0]
    tags = ops.transpose(tags if chain.order is None else ops.take_along_axis(tags, chain.order, axis=1))
    is_tag = tags[:, None] == ops.arange(num_tags, dtype="int32")[:, None]
    emitted = ops.sum(ops.where(is_tag, chain.emissions, 0.0), axis=1, keepdims=True)
    moved = ops.take(ops.reshape(chain.transitions, (-1,)), tags[:-1] * num_tags + tags[1:], axis=0)
    moved = ops.concatenate([ops.take(chain.start, tags[:1], axis=0), moved], axis=0)
    ended = ops.where(chain.last, ops.take(chain.end, tags, axis=0)[:, None], 0.0)
    return ops.where(chain.counts, emitted + moved[:, None] + ended, 0.0)


def log_sum(chain, path=None):
    """ln of the sum over all sequences of exp(score), `(batch,)`: the forward algorithm.

    With `path`, from `path_steps`, less the score of that path: the small difference of each step is added up, not the
    large scores, so float32 is exact enough for a thousand steps and more.

    The gradient is known: the marginals, and the expected number of moves from tag to tag. They take one run backward
    over the steps, which keeps less and takes less time than to differentiate the run forward.
    """

    def run(emissions, start, transitions, end, path):
        sums, shifts = chains.sums(emissions, start, transitions)
        scores = chain.at_last(sums) + end[:, None]

        def gradient(*received, upstream=None):  # Keras gives (upstream,) or (*scores, upstream=upstream)
            weight = received[0] if upstream is None else upstream
            of_run = chain._replace(transitions=transitions)  # not the outer ones: JAX holds them for others
            p, moves = _backward(of_run, sums, scores, weight)
            of_end = ops.sum(ops.where(chain.last, p, 0.0), axis=(0, 2))
            return p, ops.sum(p[0], axis=-1), moves, of_end, ops.where(chain.counts, -weight, 0.0)

        return chain.total(shifts - path, ops.logsumexp(scores, axis=0, keepdims=True))[0], gradient

    path = ops.zeros_like(chain.emissions[:, :1]) if path is None else path
    return ops.custom_gradient(run)(chain.emissions, chain.start, chain.transitions, chain.end, path)


def marginals(chain):
    """p(y_t = k), `(time, tags, batch)`: the forward-backward algorithm."""
    sums, _ = chains.sums(chain.emissions, chain.start, chain.transitions)
    return _backward(chain, sums, chain.at_last(sums) + chain.end[:, None], ops.ones_like(sums[0, 0]))[0]


def entropy(chain):
    """- sum of p ln p over all sequences, `(batch,)`.

    Goes with the forward algorithm: the entropy of a beginning that ends in tag k is that of the tag before, given k,
    and the expected entropy of the beginning up to there.
    """

    def step(before, emission):
        scores, entropies = before
        alpha = scores + emission
        alpha = alpha - ops.stop_gradient(ops.max(alpha, axis=0, keepdims=True))
        into = alpha[:, None] + chain.transitions[:, :, None]
        return [ops.logsumexp(into, axis=0), _expected(into, entropies[:, None])], [alpha, entropies]

    zeros = ops.zeros_like(chain.emissions[0])
    (alphas, entropies), _ = backend.scan(step, [zeros + chain.start[:, None], zeros], chain.emissions, [zeros, zeros])
    total = _expected(chain.at_last(alphas) + chain.end[:, None], chain.at_last(entropies))
    return ops.where(chain.lengths > 0, total, 0.0)


def best_path(chain):
    """The best sequence and its score: forward with the best instead of the sum, and back along it."""
    bests, shifts = chains.bests(chain.emissions, chain.start, chain.transitions)
    last = ops.cast(chain.last, bests.dtype)
    with_end = bests + last * chain.end[:, None]
    tags = chains.traced(with_end, chain.transitions, 1.0 - last)
    score = chain.total(shifts, ops.max(chain.at_last(with_end), axis=0, keepdims=True))[0]
    return TagPath(chain.put_back(tags[:, None])[..., 0], _minus_infinity_if_never(score))


def best_paths(chain, n):
    """The n best sequences and their scores: as `best_path`, with the n best beginnings of each tag."""
    num_tags = chain.start.shape[0]
    into = ops.repeat(ops.transpose(chain.transitions), n, axis=1)
    alone = ops.where(ops.arange(n) == 0, 0.0, NEVER)  # to begin with, there is one beginning of each tag

    def top(scores):
        values, places = ops.top_k(scores, n)
        return values, ops.cast(places, "int32")

    def step(before, emission):
        alpha = before + emission[..., None]
        shift = ops.max(alpha, axis=(1, 2), keepdims=True)
        alpha = ops.reshape(alpha - shift, (-1, num_tags * n))
        before, places = top(alpha[:, None] + into)
        return before, [alpha, ops.reshape(places, (-1, num_tags * n)), shift[:, 0]]

    emissions = ops.swapaxes(chain.emissions, 1, 2)
    zeros = ops.zeros_like(ops.repeat(emissions[0], n, axis=-1))
    like = [zeros, ops.zeros_like(zeros, dtype="int32"), zeros[:, :1]]
    before = ops.reshape(zeros, (-1, num_tags, n)) + chain.start[:, None] + alone
    (alphas, places, shifts), _ = backend.scan(step, before, emissions, like)
    at_last = chain.at_last(ops.swapaxes(alphas, 1, 2))
    score, end = top(ops.transpose(at_last) + ops.repeat(chain.end, n))
    score = ops.transpose(chain.total(ops.swapaxes(shifts, 1, 2), ops.transpose(score)))
    score = ops.where(chain.lengths[:, None] > 0, score, alone)

    def back(place, inputs):
        places, last = inputs
        place = ops.where(last, end, place)
        return ops.take_along_axis(places, place, axis=1), place // n

    # A place is a tag and a rank. The places of step t lead from t + 1 to t.
    before = ops.concatenate([ops.zeros_like(places[:1]), places[:-1]], axis=0)
    last = ops.swapaxes(chain.last, 1, 2)
    tags, _ = backend.scan(back, end, [ops.flip(before, axis=0), ops.flip(last, axis=0)], end)
    tags = ops.swapaxes(chain.put_back(ops.swapaxes(ops.flip(tags, axis=0), 1, 2)), 1, 2)
    return TagPath(ops.where((score > NEVER / 2)[..., None], tags, 0), _minus_infinity_if_never(score))


def _backward(chain, sums, scores, weight):
    """The marginals and the expected moves, times the weight `(batch,)` of each chain: see `chains.smoothed`."""
    ends = ops.where(chain.last, ops.softmax(scores, axis=0) * weight, 0.0)
    p, moves = chains.smoothed(sums, chain.transitions, ends)
    whole = ops.sum(p, axis=1, keepdims=True)  # the weight, but for what is rounded off in a thousand steps
    return p * (weight / ops.where(whole == 0, 1.0, whole)), moves


def _expected(scores, values):
    """The expectation of values - ln p under p = softmax(scores), over the first axis."""
    log_p = scores - ops.logsumexp(scores, axis=0)
    return ops.sum(ops.exp(log_p) * (values - log_p), axis=0)


def _minus_infinity_if_never(score):
    return ops.where(score > NEVER / 2, score, -np.inf)
