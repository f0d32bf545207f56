"""What one process sees of an object in the other, and how the judge pickles what it sends.

The judge and the student's process pass data by value. Any other object stays where it is: the other side gets a
`RemoteProxy`, which asks for what it needs. This is how a student's function can be given a cell of the tests, and how
the tests can use a class that the student wrote.
"""

import io
import itertools
import pickle
import types
from collections.abc import Callable, Iterator
from typing import Any

from rnnkit.course.grading import CHECKS

TESTS = ("__main__", CHECKS)  # the modules whose objects stay with the judge


class RemoteProxy:
    """Stands for a function, a class or an object of the other process.

    It can be called and iterated over, and has that object's public attributes. Everything else is its own, above all
    how it compares with other objects.

    Args:
        ask: function from a question, the object's number, and arguments to the answer.
        number: number of the object in the other process.
        name: name of its type, for people.
    """

    def __init__(self, ask: Callable[..., Any], number: int, name: str):
        self._ask, self._number, self._name = ask, number, name

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        return self._ask("call", self._number, list(arguments), keywords)

    def __getattr__(self, name: str) -> Any:
        if not is_public(name):
            raise AttributeError(name)
        return self._ask("attribute", self._number, name)

    def __iter__(self) -> Iterator[Any]:
        iterator = self._ask("iterate", self._number)
        while part := self._ask("following", iterator._number):
            yield part[0]

    def __repr__(self):
        return f"<{self._name} of the other process>"


def is_public(name: str) -> bool:
    """Whether people use an attribute of this name: it is neither private nor part of Python's frames and code."""
    return not name.startswith(("_", "gi_", "cr_", "ag_", "f_", "tb_", "co_"))


class Objects:
    """The objects of this process that the other one knows by number."""

    def __init__(self):
        self._objects = []

    def __getitem__(self, number: int) -> Any:
        if type(number) is not int or not 0 <= number < len(self._objects):
            raise ValueError(f"expected the number of an object, received {number!r:.50}")
        return self._objects[number]

    def keep(self, thing: Any) -> int:
        """Stores an object; returns its number."""
        self._objects.append(thing)
        return len(self._objects) - 1

    def call(self, number: int, arguments: list, keywords: dict) -> Any:
        """Calls an object."""
        return self[number](*arguments, **keywords)

    def attribute(self, number: int, name: str) -> Any:
        """Returns a public attribute of an object."""
        if not is_public(name):
            raise AttributeError(name)
        return getattr(self[number], name)

    def iterate(self, number: int) -> "IteratorOfTests":
        """Starts to iterate over an object."""
        return IteratorOfTests(self[number])

    def following(self, number: int) -> list:
        """Returns the next value of an iterator, in a list; an empty list at the end."""
        return list(itertools.islice(self[number].values, 1))


class IteratorOfTests:
    """An iterator that does not travel: over an object of the tests, it belongs to the tests, too."""

    __module__ = TESTS[0]

    def __init__(self, values):
        self.values = iter(values)


def pickled(value: Any, objects: Objects) -> bytes:
    """Pickles what the judge sends, with numbers in place of objects of the tests.

    Raises:
        TypeError: something in it cannot be sent to another process.
    """
    file = io.BytesIO()
    pickler = pickle.Pickler(file)
    pickler.persistent_id = lambda thing: reference_to(thing, objects)
    try:
        pickler.dump(value)
    except (pickle.PicklingError, TypeError, AttributeError, RecursionError) as problem:
        raise TypeError(f"expected arguments that can be sent to another process: {problem}") from None
    return file.getvalue()


def reference_to(thing, objects):
    """Returns what the pickle holds instead of an object that does not travel; `None` if it does."""
    if isinstance(thing, RemoteProxy):
        return "yours", thing._number, thing._name
    named = thing if isinstance(thing, type | types.FunctionType | types.MethodType) else type(thing)
    if not str(named.__module__).startswith(TESTS):
        return None
    if isinstance(thing, type):
        raise TypeError(f"the class {thing.__name__} stays with the tests")
    return "mine", objects.keep(thing), type(thing).__name__


def unpickled(message: bytes, objects: Objects, ask: Callable[..., Any]) -> Any:
    """Unpickles, in the student's process, what `pickled` returned."""
    unpickler = pickle.Unpickler(io.BytesIO(message))

    def load(reference):
        owner, number, name = reference
        return objects[number] if owner == "yours" else RemoteProxy(ask, number, name)

    unpickler.persistent_load = load
    return unpickler.load()
