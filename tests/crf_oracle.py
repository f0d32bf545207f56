"""A conditional random field by its definition, in float64 NumPy: every sequence of tags is listed and scored."""

import itertools

import numpy as np


def sequences_and_scores(weights, emissions, legal=None):
    """All legal sequences of one row, and the score of each, from `emissions` of the unmasked steps alone.

    `weights` are start, transitions and end; `legal(sequence)` says whether a sequence is possible at all.
    """
    start, transitions, end = (np.asarray(weight, "float64") for weight in weights)
    emissions = np.asarray(emissions, "float64")
    time, tags = emissions.shape
    sequences = [s for s in itertools.product(range(tags), repeat=time) if legal is None or legal(s)]
    sequences = np.array(sequences, int).reshape(len(sequences), time)
    scores = emissions[np.arange(time), sequences].sum(axis=1)
    if time > 0:
        scores += start[sequences[:, 0]] + end[sequences[:, -1]]
        scores += transitions[sequences[:, :-1], sequences[:, 1:]].sum(axis=1)
    return sequences, scores


def log_sum_exp(scores):
    if len(scores) == 0:
        return -np.inf
    return np.log(np.exp(scores - scores.max()).sum()) + scores.max()


def log_likelihood(weights, emissions, allowed, legal=None):
    """`allowed`: a set of tags for each step."""
    sequences, scores = sequences_and_scores(weights, emissions, legal)
    fits = [all(tag in tags for tag, tags in zip(sequence, allowed, strict=True)) for sequence in sequences]
    return log_sum_exp(scores[np.array(fits, bool)]) - log_sum_exp(scores)


def log_partition(weights, emissions, legal=None):
    return log_sum_exp(sequences_and_scores(weights, emissions, legal)[1])


def marginals(weights, emissions, legal=None):
    """`(time, tags)`."""
    sequences, scores = sequences_and_scores(weights, emissions, legal)
    p = np.exp(scores - log_sum_exp(scores))
    time, tags = np.shape(emissions)
    return np.array([[p[sequences[:, t] == tag].sum() for tag in range(tags)] for t in range(time)]).reshape(time, tags)


def entropy(weights, emissions, legal=None):
    log_p = sequences_and_scores(weights, emissions, legal)[1]
    log_p = log_p - log_sum_exp(log_p)
    return -(np.exp(log_p) * log_p).sum()


def forward_backward(weights, emissions):
    """What the sum over all sequences amounts to for a row of any length, by the textbook's two recursions.

    Returns the marginals `(time, tags)`, the expected moves from tag to tag `(tags, tags)`, and the best sequence.
    Impossible moves and tags have scores of minus infinity.
    """
    start, transitions, end = (np.asarray(weight, "float64") for weight in weights)
    emissions = np.asarray(emissions, "float64")
    before, after, best, pointers = [start + emissions[0]], [end], start + emissions[0], []
    for emission in emissions[1:]:
        before.append(np.logaddexp.reduce(before[-1][:, None] + transitions, axis=0) + emission)
        pointers.append((best[:, None] + transitions).argmax(axis=0))
        best = (best[:, None] + transitions).max(axis=0) + emission
    for emission in emissions[:0:-1]:
        after.insert(0, np.logaddexp.reduce(transitions + emission + after[0], axis=1))
    path = [(best + end).argmax()]
    for pointer in reversed(pointers):
        path.insert(0, pointer[path[0]])
    before, after, total = np.array(before), np.array(after), np.logaddexp.reduce(before[-1] + end)
    moves = np.exp(before[:-1, :, None] + transitions + (emissions + after)[1:, None] - total).sum(axis=0)
    return np.exp(before + after - total), moves, path


def n_best(weights, emissions, n, legal=None):
    """The n best sequences and their scores, or as many as there are."""
    sequences, scores = sequences_and_scores(weights, emissions, legal)
    best = np.argsort(-scores, kind="stable")[:n]
    return sequences[best], scores[best]


def posterior_decode(weights, emissions, legal=None):
    """The legal sequence with the largest sum of marginals, and this sum."""
    sequences, _ = sequences_and_scores(weights, emissions, legal)
    p = marginals(weights, emissions, legal)
    right = np.array([sum(p[t, tag] for t, tag in enumerate(sequence)) for sequence in sequences])
    return sequences[right.argmax()], right.max()


def obeys(names, scheme):
    """A function that says whether a sequence of tag numbers is one of the scheme, read from left to right."""

    def legal(sequence):
        inside, must_go_on = None, False  # the type of the open entity, and whether it has to continue
        for name in (names[tag] for tag in sequence):
            prefix, _, kind = name.partition("-")
            if name == "":  # padding
                return False
            if scheme == "IOB1":
                if prefix == "B" and inside != kind:
                    return False
            elif prefix in ("I", "E"):
                if inside != kind:
                    return False
            elif must_go_on:
                return False
            inside = kind if prefix in ("B", "I") else None
            must_go_on = scheme == "BIOES" and prefix in ("B", "I")
        return not must_go_on

    return legal
