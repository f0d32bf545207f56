"""What stands, in one process, for an object of the other, and how both travel.

The judge and the student's process pass data by value. An object that is no data stays where it is: the other side
gets a `RemoteProxy`, which asks for what it needs. So the student's function can be handed a cell of the tests, and the
tests a class of the student's.
"""

import io
import itertools
import pickle
import types

TESTS = ("__main__", "rnnkit.course.checks")  # the modules whose objects stay with the judge


class RemoteProxy:
    """Stands for a function, a class or an object of the other process.

    It can be called and iterated over, and has that object's public attributes. All else, above all how it compares
    with others, is its own.

    Args:
        ask: function from what is asked, the object's number, and arguments to the answer.
        number: of the object over there.
        name: of its type, for people.
    """

    def __init__(self, ask, number, name):
        self._ask, self._number, self._name = ask, number, name

    def __call__(self, *arguments, **keywords):
        return self._ask("call", self._number, list(arguments), keywords)

    def __getattr__(self, name):
        if not is_public(name):
            raise AttributeError(name)
        return self._ask("attribute", self._number, name)

    def __iter__(self):
        iterator = self._ask("iterate", self._number)
        while part := self._ask("following", iterator._number):
            yield part[0]

    def __repr__(self):
        return f"<{self._name} of the other process>"


def is_public(name):
    """Whether the name of an attribute is one that people use: neither private, nor of Python's own frames and code."""
    return not name.startswith(("_", "gi_", "cr_", "ag_", "f_", "tb_", "co_"))


class Objects:
    """The objects of this process that the other one knows by number."""

    def __init__(self):
        self._objects = []

    def __getitem__(self, number):
        if type(number) is not int or not 0 <= number < len(self._objects):
            raise ValueError(f"expected the number of an object, got {number!r:.50}")
        return self._objects[number]

    def keep(self, thing):
        """Stores an object; returns its number."""
        self._objects.append(thing)
        return len(self._objects) - 1

    def call(self, number, arguments, keywords):
        return self[number](*arguments, **keywords)

    def attribute(self, number, name):
        if not is_public(name):
            raise AttributeError(name)
        return getattr(self[number], name)

    def iterate(self, number):
        return Iterator(self[number])

    def following(self, number):
        """The next value of an iterator, in a list; an empty one at the end."""
        return list(itertools.islice(self[number].values, 1))


class Iterator:
    """An iterator that stays where it is: that of an object of the tests is an object of the tests."""

    __module__ = TESTS[0]

    def __init__(self, values):
        self.values = iter(values)


def pickled(value, objects):
    """The bytes of what the judge sends, in which objects of the tests are left out and stand by number.

    Raises:
        TypeError: there is something in it that cannot be passed to another process.
    """
    file = io.BytesIO()
    pickler = pickle.Pickler(file)
    pickler.persistent_id = lambda thing: reference_to(thing, objects)
    try:
        pickler.dump(value)
    except (pickle.PicklingError, TypeError, AttributeError, RecursionError) as problem:
        raise TypeError(f"expected arguments that can be passed to another process: {problem}") from None
    return file.getvalue()


def reference_to(thing, objects):
    """What the pickle holds of an object that does not travel; None for what does."""
    if isinstance(thing, RemoteProxy):
        return "yours", thing._number, thing._name
    named = thing if isinstance(thing, type | types.FunctionType | types.MethodType) else type(thing)
    if not str(named.__module__).startswith(TESTS):
        return None
    if isinstance(thing, type):
        raise TypeError(f"the class {thing.__name__} stays with the tests")
    return "mine", objects.keep(thing), type(thing).__name__


def unpickled(message, objects, ask):
    """What the student's process makes of such bytes."""
    unpickler = pickle.Unpickler(io.BytesIO(message))

    def load(reference):
        owner, number, name = reference
        return objects[number] if owner == "yours" else RemoteProxy(ask, number, name)

    unpickler.persistent_load = load
    return unpickler.load()
