"""A conditional random field: the best sequence of tags as a whole, not the best tag at each step."""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from rnnkit import backend
from rnnkit.annotations import Config, Mask, Shape, Tensor
from rnnkit.arguments import agree, check_positive_integer
from rnnkit.layers.crf_constraints import allowed_moves, entities, is_names
from rnnkit.layers.crf_origin import attach_origin
from rnnkit.ops import linear_chain
from rnnkit.ops.linear_chain import TagPath
from rnnkit.ops.masking import check_mask, without_padding
from rnnkit.ops.scores import IMPOSSIBLE, minus_infinity_if_impossible


def _also_symbolic(method: Callable) -> Callable:
    """Lets a method take symbolic tensors: it is then a call of the layer, with its result as the output.

    Keras takes it for granted that all calls of a layer return equally many tensors: for a `TagPath`, there are two.
    """
    signature = inspect.signature(method)

    @functools.wraps(method)
    def run(self, *args, **kwargs):
        if not any(isinstance(value, keras.KerasTensor) for value in (*args, *kwargs.values())):
            return method(self, *args, **kwargs)
        arguments = signature.bind(self, *args, **kwargs).arguments
        del arguments["self"]
        if f"{method.__name__}.tags" not in _AXES:
            return self(**arguments, output=method.__name__)
        return TagPath(*[self(**arguments, output=f"{method.__name__}.{part}") for part in TagPath._fields])

    return run


@keras.saving.register_keras_serializable(package="rnnkit")
class CRF(keras.layers.Layer):
    """A linear-chain conditional random field: scores whole sequences of tags.

    With the emissions e_t(y), one score for each step and tag, a sequence y_1 ... y_n has

        score(y) = start(y_1) + sum over t of e_t(y_t) + sum over t > 1 of transitions(y_{t-1}, y_t) + end(y_n)
        p(y) = exp(score(y)) / Z,    Z = sum over all sequences y' of exp(score(y'))

    The weights are `start` `(num_tags,)`, `transitions` `(num_tags, num_tags)`, row to column, and `end` `(num_tags,)`.
    They start as zeros: an untrained CRF is a softmax at each step.

    When called, the layer returns the best sequence of tags. That is why `predict` gives tags and metrics compare tags.
    Compile the model with `loss=CRFLoss()`, which is -ln p(y); there is no need for a custom train step. Tags have no
    gradient, and the loss needs more than them: the layer attaches the emissions and the mask to the tensor that it
    returns, as Keras attaches a mask to it, and the loss finds them there. The CRF must therefore be the output of the
    model itself. Where no metric reads the tags, TensorFlow and JAX leave decoding out of the compiled training step.

    A mask may have any shape. The chain consists of the unmasked steps: it skips a hole, and the steps around it are
    neighbors. Whatever is in the padding, NaN included, changes nothing. A row without an unmasked step has one
    sequence, the empty one: its log-likelihood, log partition, entropy and scores are 0.

    The other methods take emissions as well:

        sequence_confidence     the probability of the predicted sequence
        token_confidence        the probability of each predicted tag
        entity_confidence       the probability of each predicted entity, with its type, first and last token
        marginals               the probability of every tag at each step
        n_best                  the n best sequences
        posterior_decode        the sequence with the highest expected number of correct tags
        log_likelihood, log_partition, entropy

    Their results may be outputs of a functional model, next to the tags or without them: `keras.Model(inputs,
    [crf(emissions), crf.token_confidence(emissions)])`. There, the mask that the emissions carry counts, as it does for
    the tags. Everywhere else, pass the mask.

    With `constraints`, a sequence that breaks them has probability zero, in the loss and in every decoder. They are the
    names of the tags, whose scheme says what may follow what, or the moves themselves:

        ["O", "B-PER", "I-PER"]         the scheme BIO: "I-x" follows only "B-x" or "I-x"
        table                           (num_tags, num_tags): whether the tag of the column may follow that of the row
        (start, table, end)             in addition, (num_tags,): whether a tag may be the first one, or the last one
        [("start", 0), (0, 1), ...]     pairs of the numbers of tags, of which the second may follow the first

    Emissions of minus infinity rule out a tag at a step in the same way. A sequence that is impossible has
    log-likelihood minus infinity, with a gradient of zero: if `fit` shows a loss of infinity, a label is illegal. Check
    the data; the weights are not damaged. If all sequences of a row are impossible, its log-likelihood, log partition
    and scores are minus infinity; its tags, marginals, confidences and entropy are zeros.

    Under a mixed policy, everything is computed in float32, as sums over time need it. The work grows with time times
    num_tags squared, times n in `n_best`; the memory for likelihood, its gradient and decoding grows only with time
    times num_tags, and num_tags squared.

    Args:
        num_tags: how many tags there are.
        constraints: names of all tags in their order, such as `["O", "B-PER", "I-PER"]`. The empty string, the padding
            of a `rnnkit.text.Vocabulary`, is a tag that is never predicted. Or a table of zeros and ones, as an array,
            a tensor or lists; or start, table and end, which `rnnkit.text.legal_transitions` returns; or a list of
            tuples, the allowed moves. Without any move from "start" or to "end", a sequence may start or end with each
            tag. Defaults to `None`, which allows every sequence.
        scheme: the scheme of the names, one of those of `rnnkit.text.find_scheme`, such as `"BILOU"` or `"BMES, type
            first"`; or `"auto"`, which finds it. Defaults to `None`, which takes BIOES if any tag begins with E or S,
            and BIO otherwise.
        ignore: names that are no tags, but special labels, such as `["[CLS]", "X"]`. They are never predicted: mask
            their tokens. Defaults to `()`.
        **kwargs: `name`, `dtype`, `trainable`.

    Call arguments:
        emissions: tensor `(batch, time, num_tags)`, on any scale (logits: no softmax).
        mask: boolean tensor `(batch, time)`, True at unmasked steps. Defaults to `None`: all steps.
        output, tags, weights, n, emissions_mask: what the other methods pass on inside a functional model. Call the
            methods instead.

    Returns:
        The tags of `decode`, int32 `(batch, time)`, 0 where the mask is False.

    Raises:
        ValueError: num_tags is not a positive integer; constraints are not num_tags different tags of the scheme, or
            some tag or some length could never occur, or they are no table and no moves of num_tags tags; emissions,
            tags or mask have the wrong shape; tags are not from 0 to num_tags - 1 (detected only outside a compiled
            function; inside, such a row has log-likelihood minus infinity).

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
    >>> crf, emissions = model.layers[-1], model.layers[-2].output
    >>> sure = keras.Model(words, [model.output, crf.entity_confidence(emissions)])
    >>> [output.shape for output in sure.predict(x, verbose=0)]
    [(2, 3), (2, 3)]

    References:
        Lafferty, McCallum and Pereira, "Conditional random fields: probabilistic models for segmenting and labeling
        sequence data", 2001; Lample et al., "Neural architectures for named entity recognition", 2016; Tsuboi et al.,
        "Training conditional random fields using incomplete annotations", 2008.
    """

    def __init__(
        self,
        num_tags: int,
        constraints: Any = None,
        scheme: str | None = None,
        ignore: Sequence[str] = (),
        **kwargs: Any,
    ):
        kwargs.pop("autocast", None)
        super().__init__(autocast=False, **kwargs)  # half precision would round emissions of float32
        self.num_tags = check_positive_integer("CRF", "num_tags", num_tags)
        self.constraints, self.scheme, self.ignore = None, scheme, list(ignore)
        self.supports_masking = True
        self._output = "decode.tags"  # what the last call returned, for `compute_mask`
        self._legal = None
        if constraints is not None or scheme is not None or self.ignore:
            self._legal = allowed_moves(constraints, self.num_tags, scheme, self.ignore)
            named = is_names(constraints)
            self.constraints = [str(name) for name in constraints] if named else [x.tolist() for x in self._legal]

    def build(self, emissions_shape: Shape) -> None:
        shapes = {"start": (self.num_tags,), "transitions": (self.num_tags, self.num_tags), "end": (self.num_tags,)}
        for name, shape in shapes.items():
            setattr(self, name, self.add_weight(shape, initializer="zeros", autocast=False, name=name))

    def call(
        self,
        emissions: Tensor,
        mask: Mask = None,
        output: str = "decode.tags",
        tags: Tensor | None = None,
        weights: Tensor | None = None,
        n: int | None = None,
        emissions_mask: Mask = None,
    ) -> Tensor:
        mask = emissions_mask if mask is None else mask  # what Keras calls it where there are tags too
        method, _, part = output.partition(".")
        arguments = {"tags": tags, "weights": weights, "n": n}
        arguments = {name: value for name, value in arguments.items() if value is not None}
        result = getattr(self, method)(emissions, mask=mask, **arguments)
        result = getattr(result, part) if part else result
        if output == "decode.tags":
            attach_origin(result, self, emissions, mask)
        self._output = output
        return result

    def compute_output_spec(
        self,
        emissions: Tensor,
        mask: Mask = None,
        output: str = "decode.tags",
        tags: Tensor | None = None,
        weights: Tensor | None = None,
        n: int | None = None,
        emissions_mask: Mask = None,
    ) -> keras.KerasTensor:
        self._check(emissions, mask)
        self._output = output
        batch, time, num_tags = emissions.shape
        if output.startswith("n_best"):
            check_positive_integer("n_best", "n", n)
        sizes = {"batch": batch, "n": n, "time": time, "tags": num_tags}
        shape = tuple(sizes[axis] for axis in _AXES[output])
        return keras.KerasTensor(shape, dtype="int32" if output.endswith(".tags") else self._precision)

    def compute_mask(self, emissions: Tensor, mask: Mask = None) -> Mask:
        """Returns the mask if the result of the last call has steps."""
        return mask if _AXES[self._output][:2] == ("batch", "time") else None

    @_also_symbolic
    def log_likelihood(
        self, emissions: Tensor, tags: Tensor, mask: Mask = None, weights: Tensor | None = None
    ) -> Tensor:
        """Computes ln p(tags), or its counterpart for labels that are partial, weighted or uncertain.

        Partial labels are sets of tags. The result is ln of the probability of all sequences that they allow.

        Weights of tokens, w_t, weigh the terms of the chain rule:

            sum over t of w_t ln p(y_t | y_s of all s < t with w_s > 0)

        With weights of one, this is ln p(y). A weight of 0 makes a label unknown: with weights of 0 and 1, this is the
        log-likelihood of partial labels.

        Uncertain labels are distributions q_t over the tags, one for each step: labels that are smoothed, or that
        annotators disagree on. The result is the negative cross-entropy

            sum over y of q(y) ln p(y),    q(y) = q_1(y_1) ... q_n(y_n) / Q

        where Q makes q sum to one over the sequences that are possible. It is at most minus the entropy of q.

        Args:
            emissions: tensor `(batch, time, num_tags)`.
            tags: integer tensor `(batch, time)`. Or sets of tags `(batch, time, num_tags)`, True or 1 for each tag that
                may be the right one: one tag where it is known, all where nothing is known. Or distributions, floats
                `(batch, time, num_tags)` that sum to one at each step.
            mask: boolean tensor `(batch, time)`. Defaults to `None`: all steps.
            weights: tensor `(batch, time)`, 0 or more, along with tags or sets of tags. Defaults to `None`, which
                weighs all tokens with one.

        Returns:
            `(batch,)`; minus infinity where no legal sequence fits the labels.

        Raises:
            ValueError: emissions, tags, mask or weights have the wrong shape; tags are not from 0 to num_tags - 1, or
                neither sets nor distributions; weights are negative, or given along with distributions. Inside a
                compiled function, numbers are unknown: rows with wrong tags have minus infinity there, and rows with
                anything else of this NaN.

        References:
            Tsuboi et al., "Training conditional random fields using incomplete annotations", 2008; Szegedy et al.,
            "Rethinking the Inception architecture for computer vision", 2016, on smoothed labels.
        """
        emissions, mask = self._checked(emissions, mask)
        tags, chain = ops.convert_to_tensor(tags), self._chain(emissions, mask)
        weights = None if weights is None else self._weights(weights, emissions, mask)
        if len(tags.shape) == 2 and agree(tags.shape, emissions.shape[:2]):
            if weights is not None:
                return self._of_weighted_tags(chain, tags, weights)
            tags, known = self._known(tags, mask)
            return _log_likelihood(chain, linear_chain.path_scores(chain, tags), known)
        if len(tags.shape) != 3 or not agree(tags.shape, emissions.shape):
            raise ValueError(
                f"Layer {self.name!r} expected tags (batch, time) or sets of tags (batch, time, num_tags) for "
                f"emissions of shape {tuple(emissions.shape)}, received shape {tuple(tags.shape)}."
            )
        tags = without_padding(ops.cast(tags, self._precision), mask)
        is_set = ops.all(ops.logical_or(tags == 0, tags == 1), axis=(1, 2))
        if weights is not None:
            value = self._of_weighted_sets(chain, tags > 0, weights)
            return self._if(is_set, value, "sets of tags, of zeros and ones, along with weights")
        value = self._of_sets(chain, tags > 0, emissions, mask)
        if backend.is_concrete(is_set) and bool(ops.all(is_set)):
            return value
        one = ops.logical_and(ops.all(tags >= 0, axis=-1), abs(ops.sum(tags, axis=-1) - 1) < 0.01)
        one = ops.all(one if mask is None else ops.logical_or(one, ops.logical_not(mask)), axis=1)
        value = ops.where(is_set, value, self._of_distributions(chain, tags, emissions, mask))
        what = "sets of tags, of zeros and ones, or distributions over the tags, which sum to one at each unmasked step"
        return self._if(ops.logical_or(is_set, one), value, what)

    def _of_sets(self, chain, sets, emissions, mask):
        fits = linear_chain.log_sum(self._chain(ops.where(sets, emissions, IMPOSSIBLE), mask))
        value = ops.where(fits > IMPOSSIBLE / 2, fits - linear_chain.log_sum(chain), IMPOSSIBLE)
        return minus_infinity_if_impossible(value)

    def _of_distributions(self, chain, q, emissions, mask):
        possible = ops.logical_and(q > 0, emissions > IMPOSSIBLE / 2)
        scores = ops.where(possible, ops.log(ops.where(possible, q, 1.0)), IMPOSSIBLE)
        moves = self._possible(*map(ops.zeros_like, (chain.start, chain.transitions, chain.end)))
        q = linear_chain.make_chain(ops.stop_gradient(scores), mask, *moves)
        return _log_likelihood(chain, *linear_chain.expected_path_scores(chain, q))

    def _of_weighted_tags(self, chain, tags, weights):
        tags, known = self._known(tags, weights > 0)
        is_tag = tags[..., None] == ops.arange(self.num_tags, dtype="int32")
        return ops.where(known, self._of_weighted_sets(chain, is_tag, weights), -np.inf)

    def _of_weighted_sets(self, chain, sets, weights):
        sound = weights >= 0
        value = linear_chain.weighted_log_likelihood(chain, sets, ops.where(sound, weights, 0.0))
        return self._if(ops.all(sound, axis=1), minus_infinity_if_impossible(value), "weights of 0 or more")

    def _weights(self, weights, emissions, mask):
        weights = ops.convert_to_tensor(weights, dtype=self._precision)
        if not agree(tuple(weights.shape), tuple(emissions.shape)[:2]):
            raise ValueError(
                f"Layer {self.name!r} expected weights (batch, time) = {tuple(emissions.shape)[:2]}, received shape "
                f"{tuple(weights.shape)}."
            )
        return without_padding(weights, mask)

    def _if(self, sound, value, expected):
        """The value of sound rows; an error for others, or NaN where they are unknown."""
        if backend.is_concrete(sound) and not bool(ops.all(sound)):
            raise ValueError(f"Layer {self.name!r} expected {expected}, received others.")
        return ops.where(sound, value, np.nan)

    @_also_symbolic
    def log_partition(self, emissions: Tensor, mask: Mask = None) -> Tensor:
        """Computes ln Z, `(batch,)`: exp(score - ln Z) is the probability of a decoded sequence."""
        return minus_infinity_if_impossible(linear_chain.log_sum(self._chain(*self._checked(emissions, mask))))

    @_also_symbolic
    def marginals(self, emissions: Tensor, mask: Mask = None) -> Tensor:
        """Computes p(y_t = k), `(batch, time, num_tags)`: each row sums to one, or is zero where the mask is False."""
        chain = self._chain(*self._checked(emissions, mask))
        return chain.put_back(linear_chain.marginals(chain))

    @_also_symbolic
    def entropy(self, emissions: Tensor, mask: Mask = None) -> Tensor:
        """Computes - sum over all y of p(y) ln p(y), `(batch,)`, in nats: 0 where one sequence has probability one."""
        return linear_chain.entropy(self._chain(*self._checked(emissions, mask)))

    @_also_symbolic
    def sequence_confidence(self, emissions: Tensor, mask: Mask = None) -> Tensor:
        """Computes the probability of the sequence that `decode` finds, `(batch,)`. It has no gradient."""
        chain = self._chain_without_gradient(emissions, mask)
        found = linear_chain.best_path(chain)
        p = ops.exp(-linear_chain.log_sum(chain, linear_chain.path_scores(chain, found.tags)))
        return ops.where(found.score > -np.inf, p, 0.0)

    @_also_symbolic
    def token_confidence(self, emissions: Tensor, mask: Mask = None) -> Tensor:
        """Computes the marginal of each tag that `decode` finds, p(y_t = tag).

        Returns:
            `(batch, time)`, 0 where the mask is False. It has no gradient.
        """
        chain = self._chain_without_gradient(emissions, mask)
        p = chain.put_back(linear_chain.marginals(chain))
        is_tag = linear_chain.best_path(chain).tags[..., None] == ops.arange(self.num_tags, dtype="int32")
        return ops.sum(ops.where(is_tag, p, 0.0), axis=-1)

    @_also_symbolic
    def entity_confidence(self, emissions: Tensor, mask: Mask = None) -> Tensor:
        """Computes the probability of each entity that `decode` finds.

        It is the sum of p(y) over all sequences y that have this entity: of its type, from its first token to its last,
        no longer and no shorter. `rnnkit.text.tags_to_spans` says which entities a sequence has.

        Args:
            emissions: tensor `(batch, time, num_tags)`.
            mask: boolean tensor `(batch, time)`. Defaults to `None`: all steps.

        Returns:
            `(batch, time)`: at all tokens of an entity, the probability of the entity; at a token that is in none, the
            probability that it is in none; 0 where the mask is False. It has no gradient.

        Raises:
            ValueError: the layer doesn't know the names of its tags.

        References:
            Culotta and McCallum, "Confidence estimation for information extraction", 2004.
        """
        if self.constraints is None or not is_names(self.constraints):
            raise ValueError(
                f"Layer {self.name!r} expected the names of its tags for entity_confidence, as they say where an "
                "entity begins, received none: make it as CRF(num_tags, constraints=names). token_confidence needs no "
                "names."
            )
        chain = self._chain_without_gradient(emissions, mask)
        tags = linear_chain.in_order(chain, linear_chain.best_path(chain).tags)
        goes_on, alike = map(ops.convert_to_tensor, entities(self.constraints, self.scheme, self.ignore))
        return chain.put_back(linear_chain.run_probabilities(chain, tags, goes_on, alike))[..., 0]

    @_also_symbolic
    def decode(self, emissions: Tensor, mask: Mask = None) -> TagPath:
        """Finds the sequence with the highest score (Viterbi).

        Args:
            emissions: tensor `(batch, time, num_tags)`.
            mask: boolean tensor `(batch, time)`. Defaults to `None`: all steps.

        Returns:
            A `TagPath`: `tags`, int32 `(batch, time)`, 0 where the mask is False, and `score` `(batch,)`. It has no
            gradient.
        """
        return linear_chain.best_path(self._chain_without_gradient(emissions, mask))

    @_also_symbolic
    def n_best(self, emissions: Tensor, n: int, mask: Mask = None) -> TagPath:
        """Finds the n sequences with the highest scores, the best first.

        Args:
            emissions: tensor `(batch, time, num_tags)`.
            n: how many sequences.
            mask: boolean tensor `(batch, time)`. Defaults to `None`: all steps.

        Returns:
            A `TagPath`: `tags`, int32 `(batch, n, time)`, and `score` `(batch, n)`. If there are fewer than n
            sequences, the others have tags 0 and a score of minus infinity. It has no gradient.

        Raises:
            ValueError: n is not a positive integer.
        """
        n = check_positive_integer("n_best", "n", n)
        return linear_chain.best_paths(self._chain_without_gradient(emissions, mask), n)

    @_also_symbolic
    def posterior_decode(self, emissions: Tensor, mask: Mask = None) -> TagPath:
        """Finds the legal sequence with the highest expected number of correct tags.

        Without constraints, it is the tag with the largest marginal at each step.

        Args:
            emissions: tensor `(batch, time, num_tags)`.
            mask: boolean tensor `(batch, time)`. Defaults to `None`: all steps.

        Returns:
            A `TagPath`, its `score` that expected number. It has no gradient.
        """
        chain = self._chain_without_gradient(emissions, mask)
        start, transitions, end = self._possible(*map(ops.zeros_like, (chain.start, chain.transitions, chain.end)))
        p = ops.where(chain.emissions > IMPOSSIBLE / 2, linear_chain.marginals(chain), IMPOSSIBLE)
        return linear_chain.best_path(chain._replace(emissions=p, start=start, transitions=transitions, end=end))

    def get_config(self) -> Config:
        own = {"num_tags": self.num_tags, "constraints": self.constraints, "scheme": self.scheme, "ignore": self.ignore}
        return {**super().get_config(), **own}

    def _checked(self, emissions, mask):
        """Emissions in the precision of the recursion, and the boolean mask."""
        emissions = ops.convert_to_tensor(emissions)
        mask = None if mask is None else ops.cast(ops.convert_to_tensor(mask), "bool")
        self._check(emissions, mask)
        if not self.built:
            self.build(emissions.shape)
        return ops.maximum(ops.cast(emissions, self._precision), IMPOSSIBLE), mask

    def _chain_without_gradient(self, emissions, mask):
        emissions, mask = self._checked(emissions, mask)
        return self._chain(emissions, mask, gradient=False)

    def _chain(self, emissions, mask, gradient=True):
        scores = [emissions, *(ops.cast(w.value, self._precision) for w in (self.start, self.transitions, self.end))]
        emissions, *scores = scores if gradient else map(ops.stop_gradient, scores)
        return linear_chain.make_chain(emissions, mask, *self._possible(*scores))

    @property
    def _precision(self):
        return "float64" if self.compute_dtype == "float64" else "float32"

    def _possible(self, start, transitions, end):
        """The scores, with `IMPOSSIBLE` for what the constraints forbid."""
        if self._legal is None:
            return start, transitions, end
        legal, scores = map(ops.convert_to_tensor, self._legal), (start, transitions, end)
        return [ops.where(moves, score, IMPOSSIBLE) for moves, score in zip(legal, scores, strict=True)]

    def _known(self, tags, mask):
        """The tags, 0 for what is no tag's number; and which rows have a tag's number at all unmasked steps."""
        numbers = ops.cast(tags, "int32")
        is_tag = ops.logical_and(numbers >= 0, numbers < self.num_tags)
        if not keras.backend.is_int_dtype(tags.dtype):
            is_tag = ops.logical_and(is_tag, ops.cast(numbers, tags.dtype) == tags)
        known = ops.all(is_tag if mask is None else ops.logical_or(is_tag, ops.logical_not(mask)), axis=1)
        if backend.is_concrete(known) and not bool(ops.all(known)):
            raise ValueError(
                f"Layer {self.name!r} expected tags from 0 to {self.num_tags - 1} at all unmasked steps, received "
                "others. Mask the padding; where a tag is unknown, give sets of tags (batch, time, num_tags)."
            )
        return ops.where(is_tag, numbers, 0), known

    def _check(self, emissions, mask):
        if len(emissions.shape) != 3 or emissions.shape[1] == 0 or emissions.shape[2] != self.num_tags:
            raise ValueError(
                f"Layer {self.name!r} expected emissions (batch, time, num_tags={self.num_tags}) with at least one "
                f"time step, received shape {tuple(emissions.shape)}: a Dense({self.num_tags}) before it makes them."
            )
        check_mask(f"Layer {self.name!r}", mask, emissions, of="emissions")


def _log_likelihood(chain, path, known):
    """ln p of sequences, of which `path` is what each step adds to the score, `(time, 1, batch)`."""
    possible = ops.logical_and(known, ops.all(path > IMPOSSIBLE / 2, axis=(0, 1)))
    return minus_infinity_if_impossible(ops.where(possible, -linear_chain.log_sum(chain, path), IMPOSSIBLE))


_AXES = {  # of each result
    "decode.tags": ("batch", "time"),
    "decode.score": ("batch",),
    "posterior_decode.tags": ("batch", "time"),
    "posterior_decode.score": ("batch",),
    "n_best.tags": ("batch", "n", "time"),
    "n_best.score": ("batch", "n"),
    "marginals": ("batch", "time", "tags"),
    "token_confidence": ("batch", "time"),
    "entity_confidence": ("batch", "time"),
    "sequence_confidence": ("batch",),
    "log_likelihood": ("batch",),
    "log_partition": ("batch",),
    "entropy": ("batch",),
}
