"""Finds the mistake whose numbers these are."""

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from rnnkit.course.checks.engine.answers import agree
from rnnkit.course.checks.engine.guesses import guess
from rnnkit.course.checks.engine.known_mistake import KnownMistake
from rnnkit.course.checks.engine.mistake import Mistake

if TYPE_CHECKING:
    from rnnkit.course.checks.engine.check import Check


def explanation(check: "Check", answers: list[dict[str, np.ndarray] | None]) -> str | None:
    """Explains wrong answers.

    First the known mistakes are tried one by one, then what the numbers alone reveal, then two known mistakes at once.

    Args:
        check: a `Check`.
        answers: what the student's function returned in each case; `None` where it returned nothing.

    Returns:
        A sentence that continues "this is what you get if", or `None`.
    """
    for known in check.mistakes:
        if explains(check, (known,), answers):
            return known.sentence
    pairs = zip(answers, check.expected, strict=True)
    given, expected = zip(*(pair for pair in pairs if pair[0] is not None), strict=True)
    sentence = guess(given, expected, check.axes_of, check.tolerance)
    if sentence:
        return sentence
    for both in itertools.combinations(check.mistakes, 2):
        if explains(check, both, answers):
            return ", and also ".join(known.sentence for known in both)
    return None


def explains(
    check: "Check", mistakes: tuple[KnownMistake, ...], answers: Sequence[dict[str, np.ndarray] | None]
) -> bool:
    """Whether the reference with these mistakes in it gives these answers."""
    try:
        return all(
            agree(answer, check.answers_with(mistakes, number), check.tolerance)
            for number, answer in enumerate(answers)
            if answer is not None
        )
    except (ValueError, Mistake):  # both change the same part, or one makes the other impossible
        return False
