"""Lesson 08: the forward recursion of a CRF, in logarithms and for a batch with padding."""

import numpy as np

from rnnkit.course.checks.engine.check import Check
from rnnkit.course.checks.engine.known_mistake import KnownMistake
from rnnkit.course.checks.exercises.crf_scores import crf_scores


def reference(emissions, mask, start, transitions, end):
    alpha = start + emissions[:, 0]
    for t in range(1, emissions.shape[1]):
        ways = alpha[:, :, None] + transitions
        following = emissions[:, t] + np.logaddexp.reduce(ways, axis=1)
        alpha = np.where(mask[:, t, None], following, alpha)
    return np.logaddexp.reduce(alpha + end, axis=1)


QUIET = ("def reference", "@np.errstate(all='ignore')\ndef reference")
MISTAKES = [
    KnownMistake("the transitions are transposed: they go from row to column", ("+ transitions", "+ transitions.T")),
    KnownMistake("the transitions are left out", (" + transitions", "")),
    KnownMistake(
        "the sum runs over the tag that follows, not over the tag before", ("(ways, axis=1)", "(ways, axis=2)")
    ),
    KnownMistake("there is a maximum instead of the sum: that is Viterbi", ("np.logaddexp.reduce(ways", "np.max(ways")),
    KnownMistake("the last line takes a maximum, not the sum", ("np.logaddexp.reduce(alpha", "np.max(alpha")),
    KnownMistake("the scores of the first tag, `start`, are left out", ("start + ", "")),
    KnownMistake("the scores of the last tag, `end`, are left out", ("alpha + end", "alpha")),
    KnownMistake("`end` is added at every word, not only at the last one", ("following = ", "following = end + ")),
    KnownMistake("the emissions of the first word are left out", ("emissions[:, 0]", "0 * emissions[:, 0]")),
    KnownMistake("the emissions come one word late", ("emissions[:, t]", "emissions[:, t - 1]")),
    KnownMistake(
        "padding leaks in: the mask is not used", ("np.where(mask[:, t, None], following, alpha)", "following")
    ),
    KnownMistake("alpha becomes 0 at padding: it should stay as it is", ("following, alpha)", "following, 0)")),
    KnownMistake(
        "the emissions of padding are treated as zeros, but its transitions are added",
        ("emissions[:, t] +", "emissions[:, t] * mask[:, t, None] +"),
        ("np.where(mask[:, t, None], following, alpha)", "following"),
    ),
    KnownMistake("the mask of the first row is used for all rows", ("mask[:, t", "mask[:1, t")),
    KnownMistake("the mask is read the wrong way round: True is a word", ("mask[:, t", "~mask[:, t")),
    KnownMistake(
        "large scores overflow: the largest should be taken out of each sum",
        QUIET,
        ("np.logaddexp.reduce(ways, axis=1)", "np.log(np.exp(ways).sum(axis=1))"),
        ("np.logaddexp.reduce(alpha + end, axis=1)", "np.log(np.exp(alpha + end).sum(axis=1))"),
    ),
]


def cases(random):
    return [
        ("one word", crf_scores(random, np.ones((3, 1)))),
        ("two words", crf_scores(random, np.ones((3, 2)))),
        ("five words", crf_scores(random, np.ones((2, 5)))),
        ("padding", crf_scores(random, [[1, 1, 1, 0, 0], [1, 1, 1, 1, 1], [1, 0, 0, 0, 0], [1, 1, 1, 1, 0]])),
        ("scores in the thousands", crf_scores(random, np.ones((3, 4)), shift=5000.0)),
        ("scores far below zero", crf_scores(random, np.ones((3, 4)), shift=-5000.0)),
    ]


log_partition = Check("log_partition", reference, cases, returns={"ln Z": ["batch"]}, mistakes=MISTAKES)
