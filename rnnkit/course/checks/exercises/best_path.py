"""Lesson 08: the Viterbi algorithm, for a batch with padding."""

import numpy as np

from rnnkit.course.checks.engine.check import Check
from rnnkit.course.checks.engine.known_mistake import KnownMistake
from rnnkit.course.checks.exercises.crf_scores import crf_scores


def reference(emissions, mask, start, transitions, end):
    delta, back = start + emissions[:, 0], []
    for t in range(1, emissions.shape[1]):
        ways = delta[:, :, None] + transitions
        is_word = mask[:, t, None]
        back.append(np.where(is_word, ways.argmax(axis=1), np.arange(len(start))))
        delta = np.where(is_word, emissions[:, t] + ways.max(axis=1), delta)
    last = delta + end
    path = [last.argmax(axis=1)]
    for pointers in reversed(back):
        path.append(np.take_along_axis(pointers, path[-1][:, None], axis=1)[:, 0])
    return np.where(mask, np.stack(path[::-1], axis=1), -1), last.max(axis=1)


MISTAKES = [
    KnownMistake("the back pointers are followed from the first word, not from the last", ("reversed(back)", "back")),
    KnownMistake("the tags are in the order in which they were found, last word first", ("path[::-1]", "path")),
    KnownMistake(
        "each word gets the tag with its largest delta: the back pointers are not followed",
        ("ways.argmax(axis=1)", "delta.argmax(axis=1)[:, None]"),
    ),
    KnownMistake(
        "all rows are followed back from the tags of the first row", ("path[-1][:, None]", "path[-1][:1, None]")
    ),
    KnownMistake(
        "a back pointer gives the best tag after a tag, not the best tag before it",
        ("ways.argmax(axis=1)", "ways.argmax(axis=2)"),
    ),
    KnownMistake("the transitions are transposed: they go from row to column", ("+ transitions", "+ transitions.T")),
    KnownMistake("the transitions are left out: each word gets its best tag alone", (" + transitions", "")),
    KnownMistake(
        "there is a sum instead of the maximum: that is the forward recursion",
        ("ways.max(", "np.logaddexp.reduce(ways, "),
    ),
    KnownMistake("the scores of the first tag, `start`, are left out", ("start + emissions", "emissions")),
    KnownMistake("the scores of the last tag, `end`, are left out", ("delta + end", "delta")),
    KnownMistake("`end` is used in the score, but not in the choice of the last tag", ("last.argmax", "delta.argmax")),
    KnownMistake(
        "`end` is used in the choice of the last tag, but not in the score",
        ("last.max(axis=1)", "(last - end)[np.arange(len(last)), path[0]]"),
    ),
    KnownMistake("the emissions come one word late", ("emissions[:, t]", "emissions[:, t - 1]")),
    KnownMistake(
        "padding leaks in: the mask is not used before the last line", ("is_word = mask[:, t, None]", "is_word = True")
    ),
    KnownMistake(
        "the back pointers of padding are followed: there the tag should stay as it is",
        ("np.where(is_word, ways.argmax(axis=1), np.arange(len(start)))", "ways.argmax(axis=1)"),
    ),
    KnownMistake(
        "the back pointers of padding are 0: there the tag should stay as it is", ("np.arange(len(start))))", "0))")
    ),
    KnownMistake(
        "there is a tag at padding: it should be -1",
        ("np.where(mask, np.stack(path[::-1], axis=1), -1)", "np.stack(path[::-1], axis=1)"),
    ),
    KnownMistake("the tag at padding is 0: it should be -1", (", -1)", ", 0)")),
    KnownMistake("the mask of the first row is used for all rows", ("mask[:, t, None]", "mask[:1, t, None]")),
]


def cases(random):
    padding = np.arange(8) < np.array([5, 8, 1, 3, 7, 2, 4, 6, 3, 5])[:, None]
    return [
        ("one word", crf_scores(random, np.ones((3, 1)))),
        ("two words", crf_scores(random, np.ones((4, 2)))),
        ("seven words", crf_scores(random, np.ones((5, 7)))),
        ("padding", crf_scores(random, padding)),
    ]


best_path = Check(
    "best_path", reference, cases, returns={"tags": ["batch", "time"], "score": ["batch"]}, mistakes=MISTAKES
)
