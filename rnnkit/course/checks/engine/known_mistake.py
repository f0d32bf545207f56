"""Known mistakes: what people get wrong, as small changes to the right function."""

import functools
import inspect
import textwrap
from collections.abc import Callable, Iterable
from typing import Any


class KnownMistake:
    """A mistake that a check can name.

    Args:
        sentence: the mistake; it continues "this is what you get if".
        *changes: pairs of strings: a part of the right function's source that occurs in it once, and what to replace it
            with.

    Example:

    >>> from rnnkit.course.checks import KnownMistake
    >>> KnownMistake("a is taken twice", ("a + b", "a + a")).sentence
    'a is taken twice'
    """

    def __init__(self, sentence: str, *changes: tuple[str, str]):
        self.sentence, self.changes = sentence, changes

    def __repr__(self):
        return f"KnownMistake({self.sentence!r})"

    def made_in(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Makes this mistake in a function.

        Args:
            function: a function whose source can be read.

        Returns:
            The function with the mistake in it.

        Raises:
            ValueError: a part to be changed does not occur in its source exactly once, or the changed source is not
                Python.
        """
        return changed(function, self.changes)


def changed(function: Callable[..., Any], changes: Iterable[tuple[str, str]]) -> Callable[..., Any]:
    """Returns the function with parts of its source replaced."""
    source = source_of(function)
    for old, new in changes:
        if source.count(old) != 1:
            raise ValueError(f"expected {old!r} once in {function.__name__}, found it {source.count(old)} times.")
        source = source.replace(old, new)
    names = dict(function.__globals__)
    try:
        exec(compile(source, f"<a mistake in {function.__name__}>", "exec"), names)
    except SyntaxError as problem:
        raise ValueError(f"{function.__name__} is not Python any more with {changes}.") from problem
    return names[function.__name__]


@functools.cache
def source_of(function):
    return textwrap.dedent(inspect.getsource(function))
