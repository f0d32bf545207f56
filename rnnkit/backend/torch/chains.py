"""PyTorch's `rnnkit.backend.chains`: the functions of `chains_keras`, with as few operations a step as can be.

There, the calls of `keras.ops` would take longer than the little work of one step.
"""

import torch


def sums(emissions, start, transitions):
    return _forward(emissions, start, transitions, lambda scores: torch.logsumexp(scores, 0), every=1)


def bests(emissions, start, transitions):
    return _forward(emissions, start, transitions, lambda scores: torch.amax(scores, 0), every=8)


def smoothed(sums, transitions, ends):
    after, steps, transitions = torch.zeros_like(ends[0]), [], transitions.unsqueeze(-1)
    moves = torch.zeros_like(transitions)
    for alpha, end in zip(reversed(sums.unbind()), reversed(ends.unbind()), strict=True):
        moved = torch.softmax(alpha.unsqueeze(1) + transitions, 0) * after
        moves = moves + moved
        after = moved.sum(1) + end
        steps.append(after)
    return torch.stack(steps[::-1]), moves.sum(-1)


def traced(bests, transitions, goes_on):
    into, steps = transitions.T.contiguous(), []
    bests, goes_on = bests.mT.contiguous(), goes_on.mT.contiguous()
    after = torch.zeros_like(bests[0])
    for alpha, goes_on_here in zip(reversed(bests.unbind()), reversed(goes_on.unbind()), strict=True):
        tags = torch.addcmul(alpha, goes_on_here, after).argmax(-1)
        after = into.index_select(0, tags)
        steps.append(tags)
    return torch.stack(steps[::-1]).int()


def _forward(emissions, start, transitions, combine, every):
    """Every so many steps, the largest is taken off: sums want small numbers, comparisons none that grow for ever."""
    before, transitions, alphas, shifts = start.unsqueeze(-1), transitions.unsqueeze(-1), [], []
    none = torch.zeros_like(emissions[0, :1])
    for t, emission in enumerate(emissions.contiguous().unbind()):
        alpha, shift = before + emission, none
        if t % every == 0:
            shift = alpha.amax(0, keepdim=True)
            alpha = alpha - shift
        before = combine(alpha.unsqueeze(1) + transitions)
        alphas.append(alpha)
        shifts.append(shift)
    return torch.stack(alphas), torch.stack(shifts)
