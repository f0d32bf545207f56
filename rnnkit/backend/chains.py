"""TensorFlow's and JAX's recursions over a batch of linear chains: time times tags squared, and no more.

Scores are `(time, tags, batch)`: a sum over the tags then adds up whole batches, which are next to each other in
memory. `rnnkit.ops.linear_chain` puts the recursions together.
"""

from keras import ops

from rnnkit import backend
from rnnkit.annotations import Tensor
from rnnkit.ops.scores import first_of_best


def forward(emissions: Tensor, start: Tensor, transitions: Tensor) -> tuple[Tensor, Tensor]:
    """Sums over all beginnings up to each step, by their last tag, as logarithms: the forward algorithm.

    Args:
        emissions: `(time, tags, batch)`.
        start: `(tags,)`.
        transitions: `(tags, tags)`, row to column.

    Returns:
        The logarithms, less a shift that keeps them small, `(time, tags, batch)`; and how much larger the shift is than
        at the step before, `(time, 1, batch)`.
    """
    return _scan_forward(emissions, start, transitions, lambda scores: ops.logsumexp(scores, axis=0))


def viterbi(emissions: Tensor, start: Tensor, transitions: Tensor) -> tuple[Tensor, Tensor]:
    """Finds the score of the best beginning instead of the sum over all; see `forward`."""
    return _scan_forward(emissions, start, transitions, lambda scores: ops.max(scores, axis=0))


def backward(sums: Tensor, transitions: Tensor, ends: Tensor) -> tuple[Tensor, Tensor]:
    """Computes the share of each tag, and of each move from tag to tag, in the sum over whole chains.

    It goes back along p(y_t | y_t+1), the softmax over y_t of its sums and the moves from it to y_t+1. It is linear in
    `ends`, which may therefore be probabilities or a gradient.

    Args:
        sums: the first result of `forward`.
        transitions: `(tags, tags)`.
        ends: `(time, tags, batch)`: p(y_t) at the last step of each chain, and zeros at all others.

    Returns:
        p(y_t) at all steps, `(time, tags, batch)`, zeros after the last; and the expected number of moves from tag to
        tag, of all steps and chains together, `(tags, tags)`.
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


def backtrace(bests: Tensor, transitions: Tensor, goes_on: Tensor) -> Tensor:
    """Finds the best tags, int32 `(time, batch)`, from the last to the first, and returns them in the order of time.

    Args:
        bests: the first result of `viterbi`, with the score of the end at the last step of each chain.
        transitions: `(tags, tags)`.
        goes_on: `(time, 1, batch)`: 0 at the last step of each chain, 1 at all others.
    """

    def step(after, inputs):
        alpha, goes_on = inputs
        tags = first_of_best(alpha + goes_on * after, axis=0)
        return ops.take(transitions, tags, axis=1), tags

    nothing = ops.zeros_like(bests[0])
    backwards = [ops.flip(bests, axis=0), ops.flip(goes_on, axis=0)]
    tags, _ = backend.scan(step, nothing, backwards, ops.zeros_like(nothing[0], dtype="int32"))
    return ops.flip(tags, axis=0)


def _scan_forward(emissions, start, transitions, combine):
    def step(before, emission):
        alpha = before + emission
        shift = ops.stop_gradient(ops.max(alpha, axis=0, keepdims=True))
        alpha = alpha - shift
        return combine(alpha[:, None] + transitions[:, :, None]), [alpha, shift]

    nothing = ops.zeros_like(emissions[0])
    (alphas, shifts), _ = backend.scan(step, nothing + start[:, None], emissions, [nothing, nothing[:1]])
    return alphas, shifts
