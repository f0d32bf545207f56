"""TensorFlow's and JAX's `rnnkit.backend.chains`: what a `CRF` is made of, time times tags squared, and no more.

Scores stand as `(time, tags, batch)`: a sum over the tags then adds up whole batches, which lie side by side in memory.
"""

from keras import ops

from rnnkit import backend


def sums(emissions, start, transitions):
    """Of each step the sum over all beginnings up to it, by their last tag, as logarithms: the forward algorithm.

    Args:
        emissions: `(time, tags, batch)`.
        start: `(tags,)`.
        transitions: `(tags, tags)`, row to column.

    Returns:
        The logarithms, less what keeps them small, `(time, tags, batch)`, and how much that is more than at the step
        before, `(time, 1, batch)`.
    """
    return _forward(emissions, start, transitions, lambda scores: ops.logsumexp(scores, axis=0))


def bests(emissions, start, transitions):
    """Of each step the score of the best beginning instead of the sum over all: see `sums`."""
    return _forward(emissions, start, transitions, lambda scores: ops.max(scores, axis=0))


def smoothed(sums, transitions, ends):
    """What each tag has in the sum over whole chains, and each move from tag to tag: the backward algorithm.

    Goes back along p(y_t | y_t+1), the softmax over y_t of its sums and the moves from it to y_t+1. It is linear in
    `ends`, so these may be probabilities or a gradient.

    Args:
        sums: of `sums`.
        transitions: `(tags, tags)`.
        ends: `(time, tags, batch)`: p(y_t) at the last step of each chain, and zeros at all others.

    Returns:
        p(y_t) at all steps, `(time, tags, batch)`, zeros behind the last, and the number of moves from tag to tag to be
        expected, of all steps and chains together, `(tags, tags)`.
    """

    def step(carry, inputs):
        (after, moves), (alpha, end) = carry, inputs
        scores = alpha[:, None] + transitions[:, :, None]
        scores = ops.exp(scores - ops.stop_gradient(ops.max(scores, axis=0)))
        moved = scores * (after / ops.sum(scores, axis=0))
        p = ops.sum(moved, axis=1) + end
        return [p, moves + ops.sum(moved, axis=-1)], p

    nothing = ops.zeros_like(ends[0])
    backwards = [ops.flip(sums, axis=0), ops.flip(ends, axis=0)]
    p, (_, moves) = backend.scan(step, [nothing, ops.zeros_like(transitions)], backwards, nothing)
    return ops.flip(p, axis=0), moves


def traced(bests, transitions, goes_on):
    """The best tags, int32 `(time, batch)`, from the last to the first, in the order of time.

    Args:
        bests: of `bests`, with the score of the end at the last step of each chain.
        transitions: `(tags, tags)`.
        goes_on: `(time, 1, batch)`: 0 at the last step of each chain, 1 at all others.
    """

    def step(after, inputs):
        alpha, goes_on = inputs
        tags = ops.cast(ops.argmax(alpha + goes_on * after, axis=0), "int32")
        return ops.take(transitions, tags, axis=1), tags

    nothing = ops.zeros_like(bests[0])
    backwards = [ops.flip(bests, axis=0), ops.flip(goes_on, axis=0)]
    tags, _ = backend.scan(step, nothing, backwards, ops.zeros_like(nothing[0], dtype="int32"))
    return ops.flip(tags, axis=0)


def _forward(emissions, start, transitions, combine):
    def step(before, emission):
        alpha = before + emission
        shift = ops.stop_gradient(ops.max(alpha, axis=0, keepdims=True))
        alpha = alpha - shift
        return combine(alpha[:, None] + transitions[:, :, None]), [alpha, shift]

    nothing = ops.zeros_like(emissions[0])
    (alphas, shifts), _ = backend.scan(step, nothing + start[:, None], emissions, [nothing, nothing[:1]])
    return alphas, shifts
