"""Lesson 07: attention with the general score, for a batch with padding."""

import numpy as np

from rnnkit.course.checks.engine.check import Check
from rnnkit.course.checks.engine.known_mistake import KnownMistake


def reference(queries, memories, mask, W_a):
    counts = mask[:, None, :]
    scores = np.where(counts, queries @ W_a @ memories.swapaxes(1, 2), -np.inf)
    exponentials = np.exp(scores - np.maximum(scores.max(axis=2, keepdims=True), -1e9))
    total = exponentials.sum(axis=2, keepdims=True)
    alpha = exponentials / np.where(total > 0, total, 1)
    return alpha, alpha @ memories


NO_MASK = ("counts = mask[:, None, :]", "counts = np.ones_like(mask)[:, None, :]")
QUIET = ("def reference", "@np.errstate(all='ignore')\ndef reference")
MISTAKES = [
    KnownMistake(
        "the softmax runs over the wrong axis: the weights of each position sum to one over the queries",
        ("scores.max(axis=2", "scores.max(axis=1"),
        ("exponentials.sum(axis=2", "exponentials.sum(axis=1"),
    ),
    KnownMistake(
        "the softmax runs over queries and positions together: each query should have its own sum",
        ("scores.max(axis=2", "scores.max(axis=(1, 2)"),
        ("exponentials.sum(axis=2", "exponentials.sum(axis=(1, 2)"),
    ),
    KnownMistake("W_a is transposed", ("W_a @", "W_a.T @")),
    KnownMistake("W_a is left out: that is the dot score", (" @ W_a", "")),
    KnownMistake(
        "the scores are divided by the root of the number of features: that is another score",
        ("queries @ W_a", "queries / np.sqrt(queries.shape[2]) @ W_a"),
    ),
    KnownMistake("padding gets weight: the mask is not used", NO_MASK),
    KnownMistake(
        "the weights of padding are set to zero after the softmax, where it has already taken its share of the sum",
        NO_MASK,
        ("    return", "    alpha = alpha * mask[:, None, :]\n    return"),
    ),
    KnownMistake("padding has the score 0, which is a score like any other", ("-np.inf", "0.0")),
    KnownMistake(
        "the memory is set to zero where there is padding, and these zeros get weight",
        NO_MASK,
        ("    scores", "    memories = memories * mask[:, :, None]\n    scores"),
    ),
    KnownMistake(
        "the mask is read the wrong way round: True is an unmasked position", ("mask[:, None", "~mask[:, None")
    ),
    KnownMistake("the mask of the first row is used for all rows", ("mask[:, None", "mask[:1, None")),
    KnownMistake("a row that is all padding spreads its weight evenly over it", ("-np.inf", "-1e9")),
    KnownMistake("a row that is all padding divides 0 by 0", QUIET, ("np.where(total > 0, total, 1)", "total")),
    KnownMistake(
        "large scores overflow: subtract the largest score of the row before the exponential",
        QUIET,
        (" - np.maximum(scores.max(axis=2, keepdims=True), -1e9)", ""),
    ),
    KnownMistake(
        "the context is the sum over the unmasked positions, without the weights", ("alpha @", "(0 * alpha + counts) @")
    ),
]


def cases(random):
    def batch(mask, query_time=3, query_features=4, features=4, size=1.0):
        mask = np.array(mask, "bool")
        memories = random.normal(size=(*mask.shape, features))
        return {
            "queries": size * random.normal(size=(len(mask), query_time, query_features)),
            "memories": np.where(mask[..., None], memories, 3 + memories),
            "mask": mask,
            "W_a": random.normal(size=(query_features, features)) / 2,
        }

    padding = [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0], [1, 0, 0, 0, 0]]
    return [
        ("no padding", batch(np.ones((2, 5)))),
        ("padding on the right", batch(padding)),
        ("queries of another size than the memory", batch(padding, query_features=6)),
        ("padding anywhere, and a row of nothing else", batch([[0, 1, 0, 1, 1], [0, 0, 0, 0, 0], [1, 1, 0, 0, 1]])),
        ("scores in the thousands", batch(padding, size=2000.0)),
    ]


attend = Check(
    "attend",
    reference,
    cases,
    returns={"alpha": ["batch", "queries", "positions"], "context": ["batch", "queries", "features"]},
    mistakes=MISTAKES,
)
