"""A batch of linear chains: sums over all sequences of tags, and the best of them.

A sequence y_1 ... y_n of one chain has the score

    start(y_1) + sum over t of e_t(y_t) + sum over t > 1 of transitions(y_{t-1}, y_t) + end(y_n)

What runs over time is in `rnnkit.backend.chains`; each of its functions takes time times tags squared, and no more.
"""

from typing import NamedTuple

from keras import ops

from rnnkit import backend
from rnnkit.annotations import Mask, Tensor
from rnnkit.ops.masking import without_padding
from rnnkit.ops.scores import IMPOSSIBLE, minus_infinity_if_impossible


class TagPath(NamedTuple):
    """The best sequences of tags, and their scores.

    Attributes:
        tags: int32, `(batch, time)`, of the n best `(batch, n, time)`; 0 where the mask is False.
        score: `(batch,)`, of the n best `(batch, n)`; minus infinity where there is no such path.
    """

    tags: Tensor
    score: Tensor


class Chain(NamedTuple):
    """A batch of chains: of each the unmasked steps first, in their order. All functions of this file read it.

    Attributes:
        emissions: `(time, tags, batch)`, zeros after the last step of a chain.
        lengths: int32, `(batch,)`.
        start: `(tags,)`.
        transitions: `(tags, tags)`, row to column.
        end: `(tags,)`.
        mask: boolean, `(batch, time)`, as it was given, or None.
        order: int32, `(batch, time)`: where the steps of the chain were, or None without a mask.
    """

    emissions: Tensor
    lengths: Tensor
    start: Tensor
    transitions: Tensor
    end: Tensor
    mask: Mask
    order: Tensor | None

    @property
    def is_step(self) -> Tensor:
        """Which steps there are, `(time, 1, batch)`."""
        return self._steps < self.lengths

    @property
    def is_last(self) -> Tensor:
        """Which step is a chain's last, `(time, 1, batch)`."""
        return self._steps == self.lengths - 1

    @property
    def _steps(self):
        return ops.arange(ops.shape(self.emissions)[0], dtype="int32")[:, None, None]

    def at_last(self, values: Tensor) -> Tensor:
        """Returns what `(time, n, batch)` holds at the last step of each chain, `(n, batch)`; 0 for empty rows."""
        if self.order is None:
            return values[-1]
        last = ops.take_along_axis(values, ops.maximum(self.lengths - 1, 0)[None, None], axis=0)[0]
        return ops.where(self.lengths > 0, last, 0.0)

    def total(self, shifts: Tensor, last: Tensor) -> Tensor:
        """Returns scores of whole sequences, `(n, batch)`: all shifts, and the scores after the last; 0 for empty rows.

        Args:
            shifts: `(time, n, batch)`, what was subtracted at each step.
            last: `(n, batch)`, the scores after the last step.
        """
        return ops.where(self.lengths > 0, ops.sum(ops.where(self.is_step, shifts, 0.0), axis=0) + last, 0.0)

    def is_possible(self, shifts: Tensor, last: Tensor) -> Tensor:
        """Returns whether a chain has a sequence at all, `(1, batch)`. The arguments are those of `total`."""
        return self.total(shifts, ops.max(last, axis=0, keepdims=True)) > IMPOSSIBLE / 2

    def put_back(self, values: Tensor) -> Tensor:
        """Returns `(time, n, batch)` as `(batch, time, n)`: each step where it was, and zeros at masked steps."""
        values = ops.transpose(values, (2, 0, 1))
        if self.mask is None:
            return values
        step = ops.maximum(ops.cumsum(ops.cast(self.mask, "int32"), axis=1) - 1, 0)
        return without_padding(_rows(values, step), self.mask)


def make_chain(emissions: Tensor, mask: Mask, start: Tensor, transitions: Tensor, end: Tensor) -> Chain:
    """Makes a `Chain` of emissions `(batch, time, tags)` and a boolean mask `(batch, time)` or None."""
    batch, time, _ = ops.shape(emissions)
    if mask is None:
        lengths = ops.full((batch,), time, dtype="int32")
        return Chain(ops.transpose(emissions, (1, 2, 0)), lengths, start, transitions, end, None, None)
    steps = ops.arange(time, dtype="int32")
    order = ops.cast(ops.argsort(ops.where(mask, steps, steps + time), axis=1), "int32")
    lengths = ops.sum(ops.cast(mask, "int32"), axis=1)
    emissions = ops.transpose(_rows(emissions, order), (1, 2, 0))
    chain = Chain(emissions, lengths, start, transitions, end, mask, order)
    # What is in the padding must not reach a gradient, not even as NaN times zero.
    return chain._replace(emissions=ops.where(chain.is_step, emissions, 0.0))


def _rows(values, steps):
    """Of `(batch, time, n)` the given steps of each row, int32 `(batch, time)`."""
    batch, time, width = ops.shape(values)
    first = ops.arange(batch, dtype="int32")[:, None] * time
    return ops.take(ops.reshape(values, (-1, width)), first + steps, axis=0)


def in_order(chain: Chain, tags: Tensor) -> Tensor:
    """Returns tags `(batch, time)` as the chains have their steps, `(time, batch)`."""
    return ops.transpose(tags if chain.order is None else ops.take_along_axis(tags, chain.order, axis=1))


def path_scores(chain: Chain, tags: Tensor) -> Tensor:
    """Returns what each step adds to the score of tags, int32 `(batch, time)`, all valid: `(time, 1, batch)`."""
    num_tags, tags = chain.start.shape[0], in_order(chain, tags)
    is_tag = tags[:, None] == ops.arange(num_tags, dtype="int32")[:, None]
    emitted = ops.sum(ops.where(is_tag, chain.emissions, 0.0), axis=1, keepdims=True)
    moved = ops.take(ops.reshape(chain.transitions, (-1,)), tags[:-1] * num_tags + tags[1:], axis=0)
    moved = ops.concatenate([ops.take(chain.start, tags[:1], axis=0), moved], axis=0)
    ended = ops.where(chain.is_last, ops.take(chain.end, tags, axis=0)[:, None], 0.0)
    return ops.where(chain.is_step, emitted + moved[:, None] + ended, 0.0)


def log_sum(chain: Chain, path: Tensor | None = None) -> Tensor:
    """Returns ln of the sum over all sequences of exp(score), `(batch,)`: the forward algorithm.

    The gradient is known: the marginals, and the expected number of moves from tag to tag. They take one run backward
    over the steps, which keeps less and takes less time than differentiating the run forward.

    Args:
        chain: the chains.
        path: what `path_scores` returned for one sequence, whose score is then subtracted: the small difference of each
            step is added up, not the large scores, so float32 is exact enough for a thousand steps and more. Defaults
            to `None`, which subtracts nothing.
    """

    def run(emissions, start, transitions, end, path):
        sums, shifts = backend.chains.forward(emissions, start, transitions)
        scores = chain.at_last(sums) + end[:, None]

        def gradient(*received, upstream=None):  # Keras gives (upstream,) or (*scores, upstream=upstream)
            weight = received[0] if upstream is None else upstream
            of_run = chain._replace(transitions=transitions)  # not the outer ones: JAX holds them for others
            p, moves = _backward(of_run, sums, scores, weight)
            of_end = ops.sum(ops.where(chain.is_last, p, 0.0), axis=(0, 2))
            return p, ops.sum(p[0], axis=-1), moves, of_end, ops.where(chain.is_step, -weight, 0.0)

        return chain.total(shifts - path, ops.logsumexp(scores, axis=0, keepdims=True))[0], gradient

    path = ops.zeros_like(chain.emissions[:, :1]) if path is None else path
    return ops.custom_gradient(run)(chain.emissions, chain.start, chain.transitions, chain.end, path)


def marginals(chain: Chain) -> Tensor:
    """Returns p(y_t = k), `(time, tags, batch)`, zeros if no sequence is possible: the forward-backward algorithm."""
    sums, shifts = backend.chains.forward(chain.emissions, chain.start, chain.transitions)
    scores = chain.at_last(sums) + chain.end[:, None]
    return _backward(chain, sums, scores, ops.cast(chain.is_possible(shifts, scores)[0], sums.dtype))[0]


def entropy(chain: Chain) -> Tensor:
    """Returns - sum of p ln p over all sequences, `(batch,)`, 0 where none is possible.

    It is computed along with the forward algorithm: the entropy of a beginning that ends in tag k is that of the tag
    before, given k, and the expected entropy of the beginning up to there.
    """

    def step(before, emission):
        scores, entropies = before
        alpha = scores + emission
        shift = ops.stop_gradient(ops.max(alpha, axis=0, keepdims=True))
        alpha = alpha - shift
        into = alpha[:, None] + chain.transitions[:, :, None]
        return [ops.logsumexp(into, axis=0), _expected(into, entropies[:, None])], [alpha, entropies, shift]

    zeros = ops.zeros_like(chain.emissions[0])
    like = [zeros, zeros, zeros[:1]]
    (alphas, entropies, shifts), _ = backend.scan(step, [zeros + chain.start[:, None], zeros], chain.emissions, like)
    scores = chain.at_last(alphas) + chain.end[:, None]
    counts = ops.logical_and(chain.lengths > 0, chain.is_possible(shifts, scores)[0])
    return ops.where(counts, _expected(scores, chain.at_last(entropies)), 0.0)


def weighted_log_likelihood(chain: Chain, allowed: Tensor, weights: Tensor) -> Tensor:
    """Computes the sum over t of w_t ln p(label of t | labels of all s < t with w_s > 0), `(batch,)`.

    Args:
        chain: the chains.
        allowed: booleans `(batch, time, tags)`: which tags the label of a step allows.
        weights: `(batch, time)`, 0 or more: w_t. A step with the weight 0 has no label.

    Returns:
        `(batch,)`, `IMPOSSIBLE` where no sequence fits the labels.
    """
    if chain.order is not None:
        allowed = _rows(ops.cast(allowed, "int32"), chain.order) > 0
    weights = in_order(chain, weights)[:, None]
    allowed = ops.logical_or(ops.transpose(allowed, (1, 2, 0)), weights == 0)
    allowed = ops.logical_or(allowed, ops.logical_not(chain.is_step))

    def step(before, inputs):
        emission, ahead, allowed = inputs
        scores = before + emission
        fits = ops.where(allowed, scores, IMPOSSIBLE)
        value = ops.logsumexp(fits + ahead, axis=0) - ops.logsumexp(scores + ahead, axis=0)
        fits = fits - ops.stop_gradient(ops.max(fits, axis=0, keepdims=True))
        return ops.logsumexp(fits[:, None] + chain.transitions[:, :, None], axis=0), value[None]

    zeros = ops.zeros_like(chain.emissions[0])
    sequences = [chain.emissions, _sums_ahead(chain), allowed]
    values, _ = backend.scan(step, zeros + chain.start[:, None], sequences, zeros[:1])
    possible = ops.logical_and(log_sum(chain) > IMPOSSIBLE / 2, ops.all(values > IMPOSSIBLE / 2, axis=(0, 1)))
    counts = ops.logical_and(chain.is_step, weights > 0)
    return ops.where(possible, ops.sum(ops.where(counts, weights * values, 0.0), axis=(0, 1)), IMPOSSIBLE)


def expected_path_scores(chain: Chain, q: Chain) -> tuple[Tensor, Tensor]:
    """Computes the expected score of a sequence if other chains have the probabilities.

    Args:
        chain: the chains whose scores are meant.
        q: chains with the probabilities. They get no gradient.

    Returns:
        What each step adds, `(time, 1, batch)`, and which of the chains `q` have a sequence at all, `(batch,)`.
    """
    sums, shifts = backend.chains.forward(q.emissions, q.start, q.transitions)
    ends = q.at_last(sums) + q.end[:, None]
    possible = q.is_possible(shifts, ends)[0]
    p = ops.stop_gradient(_backward(q, sums, ends, ops.cast(possible, sums.dtype))[0])
    before = ops.softmax(sums[:-1, :, None] + q.transitions[:, :, None], axis=1)  # (time - 1, tags, tags, batch)
    moved = ops.sum(ops.stop_gradient(before * p[1:, None]) * chain.transitions[:, :, None], axis=(1, 2))
    moved = ops.concatenate([ops.sum(p[:1] * chain.start[:, None], axis=1), moved], axis=0)[:, None]
    emitted = ops.sum(p * chain.emissions, axis=1, keepdims=True)
    ended = ops.where(chain.is_last, ops.sum(p * chain.end[:, None], axis=1, keepdims=True), 0.0)
    return ops.where(chain.is_step, emitted + moved + ended, 0.0), possible


def run_probabilities(chain: Chain, tags: Tensor, goes_on: Tensor, alike: Tensor) -> Tensor:
    """Computes for each step the probability of the run of tags that it is in, no longer and no shorter.

    Given the tag before it, a tag depends on nothing earlier. So a run is followed from step to step, as in the forward
    algorithm, by probabilities: that it begins with a tag and no run was going on before, that the next tag continues
    it, and that the one after its last does not.

    Args:
        chain: the chains.
        tags: int32 `(time, batch)`: the sequences whose runs are meant.
        goes_on: booleans `(tags, tags)`: whether the tag of the column continues a run with the tag of the row.
        alike: booleans `(tags, tags)`: whether a run that begins with the tag of the column is one of the row's kind.

    Returns:
        `(time, 1, batch)`; 0 after the last step, and where no sequence is possible.
    """
    sums, shifts = backend.chains.forward(chain.emissions, chain.start, chain.transitions)
    ahead = _sums_ahead(chain)
    p = ops.softmax(sums + ahead, axis=1)
    previous = ops.concatenate([tags[:1], tags[:-1]], axis=0)
    first = ops.arange(ops.shape(tags)[0], dtype="int32")[:, None] == 0
    size = chain.start.shape[0]
    continued = ops.take(ops.reshape(goes_on, (-1,)), previous * size + tags, axis=0)
    begins = ops.logical_or(first, ops.logical_not(continued))[:, None]
    of_kind = ops.transpose(ops.take(alike, tags, axis=0), (0, 2, 1))
    transitions, goes_on = chain.transitions[:, :, None], goes_on[:, :, None]

    def follow(carry, inputs):
        (run, before), (here, emission, ahead, p, begins, of_kind, first) = carry, inputs
        next_tag = ops.softmax(transitions + (emission + ahead)[None], axis=1)  # given the tag before: the row
        ended = ops.sum(run[:, None] * ops.where(goes_on, 0.0, next_tag), axis=(0, 1))
        on = ops.sum(run[:, None] * ops.where(goes_on, next_tag, 0.0), axis=0)
        from_none = ops.sum(ops.where(goes_on, 0.0, ops.softmax(before[:, None] + transitions, axis=0)), axis=0)
        begun = ops.where(of_kind, p * ops.where(first, 1.0, from_none), 0.0)
        run = ops.where(begins, begun, on)
        return [run, here], [ops.sum(run, axis=0, keepdims=True), ended[None]]

    nothing = ops.zeros_like(p[0])
    inputs = [sums, chain.emissions, ahead, p, begins, of_kind, first[:, None]]
    (runs, ended), _ = backend.scan(follow, [nothing, nothing], inputs, [nothing[:1], nothing[:1]])
    # Whether a run has ended shows at the step after it.
    runs = ops.where(chain.is_last, runs, ops.concatenate([ended[1:], ended[:1]], axis=0))
    is_end = ops.logical_or(chain.is_last, ops.concatenate([begins[1:], begins[:1]], axis=0))

    def spread(after, inputs):
        run, is_end = inputs
        run = ops.where(is_end, run, after)
        return run, run

    backwards = [ops.flip(runs, axis=0), ops.flip(is_end, axis=0)]
    runs, _ = backend.scan(spread, nothing[:1], backwards, nothing[:1])
    possible = chain.is_possible(shifts, chain.at_last(sums) + chain.end[:, None])
    return ops.where(ops.logical_and(chain.is_step, possible), ops.flip(runs, axis=0), 0.0)


def _sums_ahead(chain):
    """Sums over all continuations after each step, by its tag, as logarithms less a shift, `(time, tags, batch)`."""

    def step(after, inputs):
        emission, is_last = inputs
        ahead = ops.where(is_last, chain.end[:, None], after)
        into = (ahead + emission)[None] + chain.transitions[:, :, None]
        into = into - ops.stop_gradient(ops.max(into, axis=(0, 1)))
        return ops.logsumexp(into, axis=1), ahead

    nothing = ops.zeros_like(chain.emissions[0])
    backwards = [ops.flip(chain.emissions, axis=0), ops.flip(chain.is_last, axis=0)]
    ahead, _ = backend.scan(step, nothing, backwards, nothing)
    return ops.flip(ahead, axis=0)


def best_path(chain: Chain) -> TagPath:
    """Finds the best sequence and its score: forward with the best instead of the sum, and back along it."""
    bests, shifts = backend.chains.viterbi(chain.emissions, chain.start, chain.transitions)
    last = ops.cast(chain.is_last, bests.dtype)
    with_end = bests + last * chain.end[:, None]
    tags = backend.chains.backtrace(with_end, chain.transitions, 1.0 - last)
    score = chain.total(shifts, ops.max(chain.at_last(with_end), axis=0, keepdims=True))[0]
    tags = ops.where(score > IMPOSSIBLE / 2, tags, 0)
    return TagPath(chain.put_back(tags[:, None])[..., 0], minus_infinity_if_impossible(score))


def best_paths(chain: Chain, n: int) -> TagPath:
    """Finds the n best sequences and their scores: as `best_path`, with the n best beginnings of each tag."""
    num_tags = chain.start.shape[0]
    into = ops.repeat(ops.transpose(chain.transitions), n, axis=1)
    alone = ops.where(ops.arange(n) == 0, 0.0, IMPOSSIBLE)  # at first, there is one beginning of each tag

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
    last = ops.swapaxes(chain.is_last, 1, 2)
    tags, _ = backend.scan(back, end, [ops.flip(before, axis=0), ops.flip(last, axis=0)], end)
    tags = ops.swapaxes(chain.put_back(ops.swapaxes(ops.flip(tags, axis=0), 1, 2)), 1, 2)
    tags = ops.where((score > IMPOSSIBLE / 2)[..., None], tags, 0)
    return TagPath(tags, minus_infinity_if_impossible(score))


def _backward(chain, sums, scores, weight):
    """The marginals and the expected moves, times the weight `(batch,)` of each chain: see `chains.backward`."""
    ends = ops.where(chain.is_last, ops.softmax(scores, axis=0) * weight, 0.0)
    p, moves = backend.chains.backward(sums, chain.transitions, ends)
    whole = ops.sum(p, axis=1, keepdims=True)  # the weight, but for what is rounded off in a thousand steps
    return p * (weight / ops.where(whole == 0, 1.0, whole)), moves


def _expected(scores, values):
    """The expectation of values - ln p under p = softmax(scores), over the first axis."""
    log_p = scores - ops.logsumexp(scores, axis=0)
    return ops.sum(ops.exp(log_p) * (values - log_p), axis=0)
