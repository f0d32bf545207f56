"""What stands beside an exercise: it tries a function, and says what is wrong with it."""

import numpy as np

from rnnkit.course.checks.engine.answers import agree, answers_of
from rnnkit.course.checks.engine.calling import call, call_of
from rnnkit.course.checks.engine.differences import differences, listed
from rnnkit.course.checks.engine.explanation import explanation
from rnnkit.course.checks.engine.mistake import Mistake


class Check:
    """The check of one exercise.

    It calls a student's function on small random inputs, the same at every run, and compares what comes back with the
    reference. What differs it explains: by the known mistake whose numbers these are, or else by where they differ. It
    tells nothing of the right numbers. Then it calls the function again: the answer must be the same, and the arguments
    what they were.

    Args:
        name: of the exercise's function.
        reference: a function that does it right, in NumPy and float64.
        cases: function from a random generator to the cases: pairs of a few words and the arguments, a dictionary in
            the order of the parameters. The easy cases come first.
        returns: dictionary from the name of each returned value to the names of its axes; see `answers_of`.
        mistakes: list of `KnownMistake`, changes of `reference`.
        measure: function from the returned arrays and the arguments, two dictionaries, to the arrays that are compared,
            for answers that may be right in many ways. Left out: the returned arrays themselves.
        tolerance: largest difference, relative or absolute, that counts as equal.

    Call arguments:
        function: the student's.

    Raises:
        Mistake: the function is wrong; the message says how.

    Example:

    >>> from rnnkit.course.checks.engine.check import Check
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
      Why? This is what comes out if the sign of y is wrong.
    """

    def __init__(self, name, reference, cases, returns, mistakes=(), measure=None, tolerance=1e-4):
        self.name, self.reference, self.returns, self.mistakes = name, reference, returns, list(mistakes)
        self.measure, self.tolerance = measure, tolerance
        self.make_cases = cases
        self.__doc__ = f"Tries a solution of the exercise `{name}`; raises a `Mistake` that says what is wrong with it."

    def __call__(self, function):
        mistake = self.find_mistake(function)
        if mistake:
            raise mistake
        tested = "; ".join(label for label, _ in self.cases())
        print(f"{self.name} is right. Tested: {tested}; the same answer twice, arguments unchanged.")

    def __repr__(self):
        return f"rnnkit.course.checks.{self.name}"

    def find_mistake(self, function):
        """The `Mistake` in the function, or None."""
        try:
            self.try_values(function)
            self.try_again(function)
        except Mistake as mistake:
            return mistake.with_traceback(None)

    def try_values(self, function):
        tried = [self.answers_or_mistake(function, number) for number in range(len(self.cases()))]
        for number, (answers, expected) in enumerate(zip(tried, self.expected(), strict=True)):
            right = "; ".join(label for label, _ in self.cases()[:number])
            if isinstance(answers, Mistake):
                raise Mistake(f"{answers}\n  Right until then: {right}." if right else str(answers))
            if not agree(answers, expected, self.tolerance):
                raise Mistake("\n  ".join(self.report(tried, number, right)))

    def try_again(self, function):
        """Whether a second call gives the same, and whether arguments are changed."""
        for number, (label, arguments) in enumerate(self.cases()):
            _, before = self.cases()[number]
            if not agree(self.answers(function, number, arguments), self.expected()[number], self.tolerance):
                raise Mistake(
                    f"{self.name} gives another answer when it is called again with the same arguments ({label}). "
                    "Something outlives the call: a default argument, or a name from outside of the function?"
                )
            touched = [key for key in arguments if not unchanged(arguments[key], before[key])]
            if touched:
                raise Mistake(
                    f"{self.name} returns the right numbers, but changes its arguments: {listed(touched)}. "
                    "Whoever called it may still need them: work on a copy, and beware of `+=` on arrays."
                )

    def report(self, tried, number, right):
        """Lines on the case of this number, the first one that is wrong."""
        label, arguments = self.cases()[number]
        answers, expected = tried[number], self.expected()[number]
        if list(answers) != list(expected):  # nothing could be measured
            expected = self.returned(number)
        yield f"{self.name} is not right yet."
        if right:
            yield f"Right: {right}."
        yield f"Wrong: {label}; called with {call_of(arguments)}."
        yield from differences(answers, expected, self.axes_of, self.tolerance)
        sentence = explanation(self, [None if isinstance(answers, Mistake) else answers for answers in tried])
        if sentence:
            yield f"Why? This is what comes out if {sentence}."

    def cases(self):
        """Fresh, and always the same."""
        return self.make_cases(np.random.default_rng(1))

    def expected(self):
        return [self.answers(self.reference, number) for number in range(len(self.cases()))]

    def answers(self, function, number, arguments=None):
        """What is compared in the case of this number: the arrays that the function returns, or what is measured."""
        _, fresh = self.cases()[number]
        answers = answers_of(
            self.name, call(self.name, function, fresh if arguments is None else arguments), self.returns
        )
        if self.measure is None or shapes(answers) != shapes(self.returned(number)):
            return answers
        return self.measure(answers, self.cases()[number][1])

    def returned(self, number):
        """The arrays that the reference returns."""
        return answers_of(self.name, self.reference(*self.cases()[number][1].values()), self.returns)

    def answers_or_mistake(self, function, number):
        try:
            return self.answers(function, number)
        except Mistake as mistake:
            return mistake

    def axes_of(self, name):
        """The names of the axes of a returned array."""
        return self.returns.get(name) or self.returns.get(f"{name.partition('[')[0]}[]") or []


def shapes(answers):
    return [array.shape for array in answers.values()]


def unchanged(value, before):
    """Whether an argument is what it was; only arrays, numbers, and lists of these can be told."""
    if isinstance(before, list):
        return len(value) == len(before) and all(map(unchanged, value, before))
    return not isinstance(before, np.ndarray) or np.array_equal(value, before)
