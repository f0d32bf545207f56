"""Lesson 01: the negatives of word2vec, drawn in proportion to the counts to the power of 3/4."""

import numpy as np

from rnnkit.course.checks.engine.check import Check
from rnnkit.course.checks.engine.known_mistake import KnownMistake


def reference(counts, targets, uniform):
    weights = counts**0.75
    negatives = []
    for pair, target in enumerate(targets):
        allowed = weights.copy()
        allowed[target] = 0
        edges = np.cumsum(allowed / allowed.sum())
        negatives.append(np.searchsorted(edges, uniform[pair], side="right"))
    return np.array(negatives)


MISTAKES = [
    KnownMistake("the counts are not raised to the power of 3/4", ("counts**0.75", "counts * 1.0")),
    KnownMistake("the power is 4/3 instead of 3/4", ("counts**0.75", "counts ** (4 / 3)")),
    KnownMistake("the power is 1/2, a square root", ("counts**0.75", "counts**0.5")),
    KnownMistake("all words are equally likely", ("counts**0.75", "counts**0.0")),
    KnownMistake("the rare words are likely, and not the frequent ones", ("counts**0.75", "counts**-0.75")),
    KnownMistake("the target of a pair can be drawn as its negative", ("        allowed[target] = 0\n", "")),
    KnownMistake(
        "where the target is drawn, the word after it is taken: all others should gain in proportion",
        ("        allowed[target] = 0\n", ""),
        (
            'np.searchsorted(edges, uniform[pair], side="right"))',
            '(drawn := np.searchsorted(edges, uniform[pair], side="right")) + (drawn == target))',
        ),
    ),
    KnownMistake(
        "the targets of the earlier pairs stay forbidden: each pair needs a fresh copy", ("weights.copy()", "weights")
    ),
    KnownMistake("all pairs leave out the target of the first", ("allowed[target]", "allowed[targets[0]]")),
    KnownMistake("every pair leaves out the targets of all", ("allowed[target]", "allowed[targets]")),
    KnownMistake(
        "the probabilities without the target no longer add up to one: divide by the sum of what is left",
        ("/ allowed.sum()", "/ weights.sum()"),
    ),
    KnownMistake(
        "the target is deleted from the table, and all words after it get a number that is one too small",
        ("        allowed[target] = 0\n", "        allowed = np.delete(allowed, target)\n"),
    ),
    KnownMistake("the words are counted from 1", ('side="right"))', 'side="right") + 1)')),
    KnownMistake(
        "each number selects the word before the one whose part of the sum it falls in",
        ('side="right"))', 'side="right") - 1)'),
    ),
    KnownMistake("all pairs use the random numbers of the first", ("uniform[pair]", "uniform[0]")),
    KnownMistake(
        "the random numbers are read as 1 - u: the sums begin at the last word", ("uniform[pair]", "1 - uniform[pair]")
    ),
    KnownMistake("the words are drawn in order of their counts", ("cumsum(allowed /", "cumsum(np.sort(allowed) /")),
]


def cases(random):
    def batch(counts, targets, negatives):
        uniform = random.uniform(0.01, 0.99, size=(len(targets), negatives))
        return {"counts": np.array(counts), "targets": np.array(targets), "uniform": uniform}

    return [
        ("one pair", batch([60, 5, 1, 25, 9, 40], [3], 12)),
        ("three pairs with other targets", batch([60, 5, 1, 25, 9, 40], [0, 5, 3], 12)),
        ("targets at both ends of the vocabulary", batch([3, 900, 20, 150, 45, 8, 300, 60], [7, 0, 1, 1], 15)),
        ("twenty pairs", batch(random.integers(1, 200, size=15), random.integers(15, size=20), 5)),
    ]


draw_negatives = Check("draw_negatives", reference, cases, returns={"drawn": ["pairs", "draws"]}, mistakes=MISTAKES)
