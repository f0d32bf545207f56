"""The check of an exercise: it tries a function and says what is wrong with it."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from rnnkit.course.checks.engine.answers import agree, answers_of
from rnnkit.course.checks.engine.calling import call, call_of
from rnnkit.course.checks.engine.differences import differences, listed
from rnnkit.course.checks.engine.explanation import explanation
from rnnkit.course.checks.engine.known_mistake import KnownMistake, changed
from rnnkit.course.checks.engine.mistake import Mistake

Answers = dict[str, np.ndarray]
Cases = list[tuple[str, dict[str, Any]]]


class Check:
    """The check of one exercise.

    It calls a student's function on small random inputs, the same in every run, and compares the returned values with
    those of a reference. It explains a difference by the known mistake that gives the same numbers, or else by its
    place, and never shows the right numbers. Then it calls the function again: the answer must be the same, and the
    arguments must not have changed.

    Args:
        name: name of the exercise's function.
        reference: a right function, in NumPy and float64.
        cases: function from a random generator to the cases: pairs of a few words and the arguments, a dictionary in
            the order of the parameters. The easy cases come first.
        returns: dictionary from the name of each returned value to the names of its axes; see `answers_of`.
        mistakes: sequence of `KnownMistake`, changes to `reference`. Defaults to `()`.
        measure: function from the returned arrays and the arguments, two dictionaries, to the arrays that are compared,
            for answers that can be right in many ways. Defaults to `None`, which compares the returned arrays.
        tolerance: largest difference, relative or absolute, that counts as equal. Defaults to `1e-4`.

    Call arguments:
        function: the student's function.

    Raises:
        Mistake: the function is wrong; the message says how.

    Example:

    >>> from rnnkit.course.checks import Check
    >>> def double(x):
    ...     return 2 * x
    >>> def cases(random):
    ...     return [("three numbers", {"x": random.normal(size=3)})]
    >>> check = Check("double", double, cases, returns={"y": ["time"]})
    >>> check(lambda x: x + x)
    double is right. Tested: three numbers; the same answer twice, arguments unchanged.
    >>> print(check.find_mistake(lambda x: -2 * x))
    double is not right yet.
      Wrong: three numbers; called with x (3,).
      y is wrong everywhere.
      Why? This is what you get if the sign of y is wrong.
    """

    def __init__(
        self,
        name: str,
        reference: Callable[..., Any],
        cases: Callable[[np.random.Generator], Cases],
        returns: dict[str, list[str]],
        mistakes: Sequence[KnownMistake] = (),
        measure: Callable[[Answers, dict[str, Any]], Answers] | None = None,
        tolerance: float = 1e-4,
    ):
        self.name, self.reference, self.returns, self.mistakes = name, reference, returns, list(mistakes)
        self.measure, self.tolerance = measure, tolerance
        self.make_cases = cases
        self.answers_with = functools.cache(self._answers_with)
        self.__doc__ = f"Tries a solution of the exercise `{name}`; raises a `Mistake` that says what is wrong with it."

    def __call__(self, function: Callable[..., Any]) -> None:
        mistake = self.find_mistake(function)
        if mistake:
            raise mistake
        tested = "; ".join(label for label, _ in self.cases())
        print(f"{self.name} is right. Tested: {tested}; the same answer twice, arguments unchanged.")

    def __repr__(self):
        return f"rnnkit.course.checks.{self.name}"

    def find_mistake(self, function: Callable[..., Any]) -> Mistake | None:
        """Returns the `Mistake` in a function, or `None` if it is right."""
        try:
            self.try_values(function)
            self.try_again(function)
        except Mistake as mistake:
            return mistake.with_traceback(None)
        return None

    def try_values(self, function: Callable[..., Any]) -> None:
        """Raises a `Mistake` if the function returns wrong values."""
        tried = [self.answers_or_mistake(function, number) for number in range(len(self.cases()))]
        for number, (answers, expected) in enumerate(zip(tried, self.expected, strict=True)):
            right = "; ".join(label for label, _ in self.cases()[:number])
            if isinstance(answers, Mistake):
                raise Mistake(f"{answers}\n  Right until then: {right}." if right else str(answers))
            if not agree(answers, expected, self.tolerance):
                raise Mistake("\n  ".join(self._report(answers, tried, number, right)))

    def try_again(self, function: Callable[..., Any]) -> None:
        """Raises a `Mistake` if a second call returns something else, or if the function changes its arguments."""
        for number, (label, arguments) in enumerate(self.cases()):
            _, before = self.cases()[number]
            if not agree(self.answers(function, number, arguments), self.expected[number], self.tolerance):
                raise Mistake(
                    f"{self.name} returns something else when it is called again with the same arguments ({label}). "
                    "Does something outlive the call: a default argument, or a name from outside the function?"
                )
            touched = [key for key in arguments if not unchanged(arguments[key], before[key])]
            if touched:
                raise Mistake(
                    f"{self.name} returns the right numbers, but changes its arguments: {listed(touched)}. "
                    "The caller may still need them: work on a copy, and watch out for `+=` on arrays."
                )

    def _report(self, answers, tried, number, right):
        """Yields lines about the first case that is wrong, the one with this number."""
        label, arguments = self.cases()[number]
        expected = self.expected[number]
        if list(answers) != list(expected):  # nothing could be measured
            expected = self.returned(number)
        yield f"{self.name} is not right yet."
        if right:
            yield f"Right: {right}."
        yield f"Wrong: {label}; called with {call_of(arguments)}."
        yield from differences(answers, expected, self.axes_of, self.tolerance)
        sentence = explanation(self, [None if isinstance(answers, Mistake) else answers for answers in tried])
        if sentence:
            yield f"Why? This is what you get if {sentence}."

    def cases(self) -> Cases:
        """Makes the cases: new objects, but always the same numbers."""
        return self.make_cases(np.random.default_rng(1))

    @functools.cached_property
    def expected(self) -> list[Answers]:
        """The right answers to all cases."""
        return [self.answers(self.reference, number) for number in range(len(self.cases()))]

    def _answers_with(self, mistakes, number):
        """The answers of the reference with known mistakes in it, to the case with this number."""
        function = changed(self.reference, [change for known in mistakes for change in known.changes])
        with np.errstate(all="ignore"):
            return self.answers(function, number)

    def answers(self, function: Callable[..., Any], number: int, arguments: dict[str, Any] | None = None) -> Answers:
        """Returns what is compared in the case with this number: what the function returns, or what is measured."""
        _, fresh = self.cases()[number]
        answers = answers_of(
            self.name, call(self.name, function, fresh if arguments is None else arguments), self.returns
        )
        if self.measure is None or shapes(answers) != shapes(self.returned(number)):
            return answers
        return self.measure(answers, self.cases()[number][1])

    def returned(self, number: int) -> Answers:
        """Returns the arrays that the reference returns in the case with this number."""
        return answers_of(self.name, self.reference(*self.cases()[number][1].values()), self.returns)

    def answers_or_mistake(self, function: Callable[..., Any], number: int) -> Answers | Mistake:
        """Returns the function's answers, or the `Mistake` that prevents them."""
        try:
            return self.answers(function, number)
        except Mistake as mistake:
            return mistake

    def axes_of(self, name: str) -> list[str]:
        """Returns the names of the axes of a returned array."""
        return self.returns.get(name) or self.returns.get(f"{name.partition('[')[0]}[]") or []


def shapes(answers):
    return [array.shape for array in answers.values()]


def unchanged(value, before):
    """Whether an argument is what it was; only arrays, and lists of them, are compared."""
    if isinstance(before, list):
        return len(value) == len(before) and all(map(unchanged, value, before))
    return not isinstance(before, np.ndarray) or np.array_equal(value, before)
