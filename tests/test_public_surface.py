"""Every public name shows how it is used: a signature with types, and a docstring with all of its sections."""

import dataclasses
import importlib
import inspect
import pkgutil
import re

import keras
import pytest

import rnnkit

MODULES = [
    "convert",
    "course",
    "course.checks",
    "datasets",
    "decoding",
    "diagnostics",
    "layers",
    "losses",
    "metrics",
    "ops",
    "plotting",
    "text",
    "training",
    "word2vec",
]
SECTIONS = ("Args", "Call arguments", "Returns", "Raises", "Example", "References")
NO_EXAMPLE = {
    "convert.from_torch": "needs PyTorch",
    "convert.to_torch": "needs PyTorch",
    "plotting": "its results are pictures",
    "course.results": "the lessons use it",
    "course.checks": "the lessons' exercises are its examples",
    "layers.CRFLoss": "is used with CRF, which has the example",
    "datasets.tiny_shakespeare": "is downloaded",
    "datasets.wikigold": "is downloaded",
}

VARIADIC = {"course.checks.KnownMistake": "takes as many changes as a mistake needs"}


def public_names():
    for module in MODULES:
        for name in sorted(getattr(importlib.import_module(f"rnnkit.{module}"), "__all__", [])):
            yield f"{module}.{name}"


def public(name):
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(f"rnnkit.{module}"), attribute)


def is_ours(thing):
    return getattr(thing, "__module__", "").startswith("rnnkit")


def is_result(cls):
    """Whether the class only holds what a function returns; such a class lists its fields under Attributes."""
    return dataclasses.is_dataclass(cls) or issubclass(cls, tuple)


def sections(docstring):
    """The texts of the sections of a docstring, by title."""
    parts = re.split(rf"^({'|'.join(SECTIONS)}):$", inspect.cleandoc(docstring or ""), flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def entries(section):
    """The entries of Args: what each one says, by the name of its parameter."""
    parts = re.split(r"^ {4}(\*{0,2}\w+(?:, \*{0,2}\w+)*):", section, flags=re.MULTILINE)
    return {
        name.strip().lstrip("*"): text
        for names, text in zip(parts[1::2], parts[2::2], strict=True)
        for name in names.split(",")
    }


def parameters_of(function):
    found = inspect.signature(function).parameters.values()
    return [parameter for parameter in found if parameter.name not in ("self", "cls")]


def signature_problems(function, returns=True):
    for parameter in parameters_of(function):
        if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
            yield f"takes *{parameter.name}: name the arguments"
        if parameter.annotation is inspect.Parameter.empty:
            yield f"{parameter.name} has no type"
    if returns and inspect.signature(function).return_annotation is inspect.Signature.empty:
        yield "has no type of what it returns"


def args_problems(docstring, function):
    explained = entries(sections(docstring).get("Args", ""))
    for parameter in parameters_of(function):
        if parameter.name not in explained:
            yield f"Args lack {parameter.name}"
            continue
        says = " ".join(explained[parameter.name].split())
        if parameter.default is not inspect.Parameter.empty and "Defaults to" not in says:
            yield f"Args do not say what {parameter.name} defaults to"


def function_problems(function):
    if not function.__doc__:
        yield "has no docstring"
        return
    yield from signature_problems(function)
    yield from args_problems(function.__doc__, function)
    if inspect.signature(function).return_annotation not in (None, inspect.Signature.empty):
        if "Returns" not in sections(function.__doc__) and "Yields:" not in function.__doc__:
            yield "its docstring has no Returns"


def class_problems(cls):
    if not cls.__doc__:
        yield "has no docstring"
        return
    if is_ours(cls.__init__) and not is_result(cls):
        yield from signature_problems(cls.__init__, returns=False)
        yield from args_problems(cls.__doc__, cls.__init__)
    if issubclass(cls, keras.Layer) and "Call arguments" not in sections(cls.__doc__):
        yield "its docstring has no Call arguments"
    for name, method in own_methods(cls):
        yield from (f"{name}: {problem}" for problem in method_problems(cls, name, method))


def method_problems(cls, name, method):
    yield from signature_problems(method)
    if not any(name in vars(base) and (vars(base)[name].__doc__ or not is_ours(base)) for base in cls.__mro__):
        yield "has no docstring, and no base class says what it does"
    if "Args" in sections(method.__doc__):
        yield from args_problems(method.__doc__, method)


def own_methods(cls):
    """The public methods of the class and of its bases in rnnkit."""
    for name in sorted({name for base in cls.__mro__ if is_ours(base) for name in vars(base)}):
        attribute = inspect.getattr_static(cls, name)
        if isinstance(attribute, classmethod | staticmethod):
            attribute = attribute.__func__
        if not name.startswith("_") and inspect.isfunction(attribute) and is_ours(attribute):
            yield name, attribute


def example_problems(name, thing):
    excused = name in NO_EXAMPLE or name.rpartition(".")[0] in NO_EXAMPLE
    result = inspect.isclass(thing) and (is_result(thing) or issubclass(thing, Exception))
    if ">>>" not in (thing.__doc__ or "") and not excused and not result:
        yield "its docstring has no Example with >>>"


def problems_of(name, thing):
    if inspect.isclass(thing):
        yield from class_problems(thing)
    elif inspect.isfunction(thing):
        yield from function_problems(thing)
    else:  # a constant
        return
    yield from example_problems(name, thing)


@pytest.mark.parametrize("name", list(public_names()))
def test_public_name(name):
    problems = [
        problem for problem in problems_of(name, public(name)) if name not in VARIADIC or "takes *" not in problem
    ]
    assert not problems, "\n".join([name, *problems])


@pytest.mark.parametrize("module", MODULES)
def test_module_lists_its_names(module):
    assert importlib.import_module(f"rnnkit.{module}").__all__


def test_every_package_is_examined():
    packages = {module.name for module in pkgutil.iter_modules(rnnkit.__path__) if module.ispkg}
    assert packages - {"backend"} == set(rnnkit.__all__) == {module.split(".")[0] for module in MODULES}


# ---------------------------------------------------------------------------------------------- the rules can fail


def good(words: list[str], size: int = 2) -> int:
    """Counts words.

    Args:
        words: what to count,
            on two lines.
        size: the least size. Defaults to `2`.

    Returns:
        How many there are.

    Example:

    >>> 1 + 1
    2
    """


def test_a_good_function_has_no_problems():
    assert list(problems_of("text.good", good)) == []


@pytest.mark.parametrize(
    "old, new, problem",
    [
        ("words: list[str]", "words", "words has no type"),
        (") -> int", ")", "has no type of what it returns"),
        ("size: int = 2", "*size: int", "takes *size: name the arguments"),
        ("    words: what", "    word: what", "Args lack words"),
        ("Defaults to `2`.", "Two.", "Args do not say what size defaults to"),
        ("Returns:", "Gives:", "its docstring has no Returns"),
        (">>> 1 + 1", "1 + 1", "its docstring has no Example with >>>"),
    ],
)
def test_rule_finds(old, new, problem):
    source = inspect.getsource(good)
    assert old in source
    names = {}
    exec(source.replace(old, new), names)
    assert problem in list(problems_of("text.good", names["good"]))


def test_a_layer_says_how_it_is_called():
    class Silent(keras.Layer):
        """Does nothing.

        >>> 1
        1
        """

        def call(self, inputs: int) -> int:
            return inputs

    Silent.__module__ = "rnnkit.layers.silent"
    assert list(problems_of("layers.Silent", Silent)) == ["its docstring has no Call arguments"]
