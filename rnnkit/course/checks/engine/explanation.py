"""Finds the mistake whose numbers these are."""

import itertools

import numpy as np

from rnnkit.course.checks.engine.answers import agree
from rnnkit.course.checks.engine.guesses import guess
from rnnkit.course.checks.engine.known_mistake import changed
from rnnkit.course.checks.engine.mistake import Mistake


def explanation(check, answers):
    """A sentence, to stand behind "this is what comes out if", or None.

    First the known mistakes are tried one by one, then what the numbers tell by themselves, then two known mistakes at
    once.

    Args:
        check: a `Check`.
        answers: what the student's function gave in each case; None where it gave nothing.
    """
    for known in check.mistakes:
        if explains(check, [known], answers):
            return known.sentence
    pairs = zip(answers, check.expected(), strict=True)
    given, expected = zip(*(pair for pair in pairs if pair[0] is not None), strict=True)
    sentence = guess(given, expected, check.axes_of, check.tolerance)
    if sentence:
        return sentence
    for both in itertools.combinations(check.mistakes, 2):
        if explains(check, both, answers):
            return ", and also ".join(known.sentence for known in both)


def explains(check, mistakes, answers):
    """Whether the reference with these mistakes in it gives these answers."""
    try:
        function = changed(check.reference, [change for known in mistakes for change in known.changes])
        with np.errstate(all="ignore"):
            return all(
                agree(answer, check.answers(function, number), check.tolerance)
                for number, answer in enumerate(answers)
                if answer is not None
            )
    except (ValueError, Mistake):  # both change the same part, or do not go together
        return False
