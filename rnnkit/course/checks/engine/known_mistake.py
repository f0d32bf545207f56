"""The bank of known mistakes: what people get wrong, as small changes of what is right."""

import functools
import inspect
import textwrap


class KnownMistake:
    """A mistake that a check can name.

    Args:
        sentence: what was done, to stand behind "this is what comes out if".
        *changes: pairs of strings: what stands in the source of the right function, once, and what to put there.

    Example:

    >>> from rnnkit.course.checks.engine.known_mistake import KnownMistake
    >>> KnownMistake("a is taken twice", ("a + b", "a + a")).sentence
    'a is taken twice'
    """

    def __init__(self, sentence, *changes):
        self.sentence, self.changes = sentence, changes

    def __repr__(self):
        return f"KnownMistake({self.sentence!r})"

    def made_in(self, function):
        """The function with the mistake in it.

        Raises:
            ValueError: a part that is to be changed does not stand in its source just once, or what comes out of the
                changes is no Python.
        """
        return changed(function, self.changes)


def changed(function, changes):
    """The function with parts of its source replaced."""
    source = source_of(function)
    for old, new in changes:
        if source.count(old) != 1:
            raise ValueError(f"expected {old!r} once in {function.__name__}, found it {source.count(old)} times.")
        source = source.replace(old, new)
    names = dict(function.__globals__)
    try:
        exec(compile(source, f"<a mistake in {function.__name__}>", "exec"), names)
    except SyntaxError as problem:
        raise ValueError(f"{function.__name__} is no Python any more with {changes}.") from problem
    return names[function.__name__]


@functools.cache
def source_of(function):
    return textwrap.dedent(inspect.getsource(function))
