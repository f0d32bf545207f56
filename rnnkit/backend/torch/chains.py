"""PyTorch's recursions over a batch of linear chains: those of `rnnkit.backend.chains`, which describes them.

They take as few operations per step as possible: the calls of `keras.ops` would take longer than the little work of one
step.
"""

import torch
from torch import Tensor


def forward(emissions: Tensor, start: Tensor, transitions: Tensor) -> tuple[Tensor, Tensor]:
    return _loop_forward(emissions, start, transitions, lambda scores: torch.logsumexp(scores, 0), every=1)


def viterbi(emissions: Tensor, start: Tensor, transitions: Tensor) -> tuple[Tensor, Tensor]:
    return _loop_forward(emissions, start, transitions, lambda scores: torch.amax(scores, 0), every=8)


def backward(sums: Tensor, transitions: Tensor, ends: Tensor) -> tuple[Tensor, Tensor]:
    after, steps, transitions = torch.zeros_like(ends[0]), [], transitions.unsqueeze(-1)
    moves = torch.zeros_like(transitions)
    for alpha, end in zip(reversed(sums.unbind()), reversed(ends.unbind()), strict=True):
        moved = torch.softmax(alpha.unsqueeze(1) + transitions, 0) * after
        moves = moves + moved
        after = moved.sum(1) + end
        steps.append(after)
    return torch.stack(steps[::-1]), moves.sum(-1)


def backtrace(bests: Tensor, transitions: Tensor, goes_on: Tensor) -> Tensor:
    into, steps = transitions.T.contiguous(), []
    bests, goes_on = bests.mT.contiguous(), goes_on.mT.contiguous()
    after = torch.zeros_like(bests[0])
    for alpha, goes_on_here in zip(reversed(bests.unbind()), reversed(goes_on.unbind()), strict=True):
        tags = torch.addcmul(alpha, goes_on_here, after).argmax(-1)
        after = into.index_select(0, tags)
        steps.append(tags)
    return torch.stack(steps[::-1]).int()


def _loop_forward(emissions, start, transitions, combine, every):
    """The largest score is subtracted every so many steps: sums need small numbers, comparisons only bounded ones."""
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
