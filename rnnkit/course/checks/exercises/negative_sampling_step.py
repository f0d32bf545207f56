"""Lesson 01: a step of gradient descent for skip-gram with negative sampling, for a batch of pairs."""

import numpy as np

from rnnkit.course.checks.engine.check import Check
from rnnkit.course.checks.engine.known_mistake import KnownMistake


def reference(W, U, words, targets, negatives, rate):
    h = W[words]
    chosen = np.column_stack([targets, negatives])
    wanted = np.zeros(chosen.shape)
    wanted[:, 0] = 1
    answer = 1 / (1 + np.exp(-np.einsum("pd,pcd->pc", h, U[chosen])))
    error = answer - wanted
    loss = -np.log(np.where(wanted == 1, answer, 1 - answer)).sum()
    new_W, new_U = W.copy(), U.copy()
    np.subtract.at(new_U, chosen, rate * error[:, :, None] * h[:, None])
    np.subtract.at(new_W, words, rate * np.einsum("pc,pcd->pd", error, U[chosen]))
    return new_W, new_U, loss


MISTAKES = [
    KnownMistake(
        "a row of W that is in the batch twice changes once: `W[rows] -= ...` keeps only the last change",
        ("np.subtract.at(new_W, words, rate", "new_W[words] -= (rate"),
    ),
    KnownMistake(
        "a row of U that is in the batch twice changes once: `U[rows] -= ...` keeps only the last change",
        ("np.subtract.at(new_U, chosen, rate", "new_U[chosen] -= (rate"),
    ),
    KnownMistake(
        "a row that is in the batch twice changes once, in both tables: `W[rows] -= ...` keeps only the last change",
        ("np.subtract.at(new_W, words, rate", "new_W[words] -= (rate"),
        ("np.subtract.at(new_U, chosen, rate", "new_U[chosen] -= (rate"),
    ),
    KnownMistake(
        "a row of U that one pair has twice, because a negative was drawn twice, changes once: `U[rows] -= ...` keeps "
        "only the last change",
        (
            "    np.subtract.at(new_U, chosen, rate * error[:, :, None] * h[:, None])\n",
            "    for pair, rows in enumerate(chosen):\n        new_U[rows] -= rate * np.outer(error[pair], h[pair])\n",
        ),
    ),
    KnownMistake(
        "U changes first, and the gradient of W is computed with the changed rows",
        ("error, U[chosen]))", "error, new_U[chosen]))"),
    ),
    KnownMistake(
        "W changes first, and the gradient of U is computed with the changed rows",
        (
            "    np.subtract.at(new_U",
            "    changed_W = W.copy()\n"
            '    np.subtract.at(changed_W, words, rate * np.einsum("pc,pcd->pd", error, U[chosen]))\n'
            "    np.subtract.at(new_U",
        ),
        ("* h[:, None])", "* changed_W[words][:, None])"),
    ),
    KnownMistake(
        "the pairs are trained one after the other, each with the tables that the pair before it changed",
        (
            "    h = W[words]\n",
            "    if len(words) > 1:\n"
            "        W, U, first = reference(W, U, words[:1], targets[:1], negatives[:1], rate)\n"
            "        W, U, others = reference(W, U, words[1:], targets[1:], negatives[1:], rate)\n"
            "        return W, U, first + others\n"
            "    h = W[words]\n",
        ),
    ),
    KnownMistake("the step goes uphill: check the sign of the errors", ("answer - wanted", "wanted - answer")),
    KnownMistake(
        "the target counts as wrong, like a negative", ("    wanted[:, 0] = 1\n", ""), ("wanted == 1", "wanted > 1")
    ),
    KnownMistake("the negatives count as right, like the target", ("np.zeros(chosen", "np.ones(chosen")),
    KnownMistake(
        "the target counts as wrong and the negatives as right",
        ("np.zeros(chosen", "np.ones(chosen"),
        ("= 1\n", "= 0\n"),
    ),
    KnownMistake(
        "the gradients are means over the batch: they should be sums",
        ("= answer - wanted", "= (answer - wanted) / len(words)"),
    ),
    KnownMistake("the loss is a mean over the batch: it should be the sum", (".sum()\n", ".sum() / len(words)\n")),
    KnownMistake(
        "the loss and the gradients are means over the batch: they should be sums",
        ("= answer - wanted", "= (answer - wanted) / len(words)"),
        (".sum()\n", ".sum() / len(words)\n"),
    ),
    KnownMistake("the loss is that of the targets alone", ("1 - answer)).sum()", "1 - answer))[:, 0].sum()")),
    KnownMistake("the loss of the negatives is taken as if they were right", ("1 - answer))", "answer))")),
    KnownMistake(
        "the negatives do not move: only the row of the target changes in U",
        ("rate * error[:, :, None]", "rate * (error * wanted)[:, :, None]"),
    ),
    KnownMistake(
        "the negatives do not reach W: its gradient is that of the target alone",
        ("error, U[chosen]))", "error * wanted, U[chosen]))"),
    ),
    KnownMistake("U does not change", ("rate * error[:, :, None]", "0 * error[:, :, None]")),
    KnownMistake(
        "W does not change",
        ('    np.subtract.at(new_W, words, rate * np.einsum("pc,pcd->pd", error, U[chosen]))\n', ""),
    ),
    KnownMistake("the rate is not used", ("    h = W[words]\n", "    h, rate = W[words], 1\n")),
    KnownMistake(
        "there is a softmax over the target and its negatives instead of a yes or no for each",
        ("1 / (1 + np.exp(-np.einsum(", "np.exp(np.einsum("),
        ("U[chosen])))\n", "U[chosen]))\n    answer = answer / answer.sum(axis=1, keepdims=True)\n"),
        ("1 - answer)).sum()", "1)).sum()"),
    ),
    KnownMistake(
        "the words are looked up in U and the targets in W: the two tables are swapped",
        ("    h = W[words]\n", "    W, U = U, W\n    h = W[words]\n"),
        ("return new_W, new_U", "return new_U, new_W"),
    ),
]


def cases(random):
    def batch(words, targets, negatives):
        W, U = random.normal(size=(2, 10, 4))
        return {
            "W": W,
            "U": U,
            "words": np.array(words),
            "targets": np.array(targets),
            "negatives": np.array(negatives),
            "rate": 0.5,
        }

    return [
        ("one pair", batch([4], [7], [[1, 5, 0]])),
        ("one pair with a negative that was drawn twice", batch([4], [7], [[1, 5, 1]])),
        ("three pairs that share nothing", batch([0, 1, 2], [3, 4, 5], [[6, 7], [8, 9], [1, 2]])),
        (
            "four pairs that share words and targets",
            batch([3, 3, 8, 3], [2, 5, 5, 2], [[5, 0], [0, 0], [2, 9], [5, 9]]),
        ),
    ]


negative_sampling_step = Check(
    "negative_sampling_step",
    reference,
    cases,
    returns={"new_W": ["words", "dimensions"], "new_U": ["words", "dimensions"], "loss": []},
    mistakes=MISTAKES,
)
