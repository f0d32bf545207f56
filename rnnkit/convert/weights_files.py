"""Weights files between models of Keras's layers and of rnnkit's."""

import pathlib
import re
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from typing import Any

import h5py
import keras

from rnnkit.convert.building import layers_inside

_NAMES = [("simple_rnn", "elman"), ("rnn", "recurrent"), ("simple_rnn_cell", "elman_cell")]


def load_weights(model: keras.Model, filepath: str | pathlib.Path) -> None:
    """Loads a weights file that a model with Keras's layers wrote into one with rnnkit's, or the other way around.

    In such a file, Keras calls a layer by its class. `LSTM`, `GRU` and `Bidirectional` have the same name in both
    packages, and `model.load_weights(filepath)` loads them. `Elman` is `SimpleRNN` in the other one, and `Recurrent` is
    `RNN`: this function looks them up under either name, also in nested models and in `StackedRNNCells`.

    Args:
        model: a built model of any kind, subclassed ones included, whose layers are those of the model that wrote the
            file, but for their package.
        filepath: a file `*.weights.h5`, or a whole model `*.keras`, of which the weights are read.

    Raises:
        ValueError: the file is of another kind, or its layers are not those of the model.

    Example:

    >>> import keras, os, tempfile, rnnkit.convert, rnnkit.layers
    >>> theirs = keras.Sequential([keras.Input((None, 3)), keras.layers.SimpleRNN(4)])
    >>> ours = keras.Sequential([keras.Input((None, 3)), rnnkit.layers.Elman(4)])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "model.weights.h5")
    ...     theirs.save_weights(path)
    ...     rnnkit.convert.load_weights(ours, path)
    >>> bool((ours.get_weights()[0] == theirs.get_weights()[0]).all())
    True
    """
    filepath = pathlib.Path(filepath)
    if not filepath.name.endswith((".weights.h5", ".keras")):
        raise ValueError(f"load_weights expected a file *.weights.h5 or *.keras, received {str(filepath)!r}.")
    with tempfile.TemporaryDirectory() as folder:
        own, copy = pathlib.Path(folder, "own.weights.h5"), pathlib.Path(folder, "copy.weights.h5")
        model.save_weights(own)
        _copy_weights(filepath, copy)
        with h5py.File(own, "r") as expected, h5py.File(copy, "r+") as found:
            _rename(found, expected, _places(model))
        model.load_weights(copy)


def _copy_weights(filepath, copy):
    if filepath.suffix != ".keras":
        shutil.copyfile(filepath, copy)
        return
    with zipfile.ZipFile(filepath) as archive, archive.open("model.weights.h5") as source, open(copy, "wb") as target:
        shutil.copyfileobj(source, target)


def _places(model: keras.Model) -> dict[str, int]:
    """The places of the layers in the model, by those names that only one of them has."""
    names = [layer.name for layer in layers_inside(model)]
    return {name: place for place, name in enumerate(names) if names.count(name) == 1}


def _rename(found: Any, expected: Any, places: dict[str, int]) -> None:
    """Gives the groups of one file the names that they have in the other, in all depths."""
    for names in _NAMES:
        ours, theirs = list(_members(expected, names)), list(_members(found, names))
        if set(ours) == set(theirs):
            continue
        pairs = _pairs(found, theirs, expected, ours, places)
        for index, (name, _) in enumerate(pairs):  # in two steps, as a new name may be an old one of another group
            found.move(name, f"moving_{index}")
        for index, (_, name) in enumerate(pairs):
            found.move(f"moving_{index}", name)
    for name, group in expected.items():
        if isinstance(group, h5py.Group) and isinstance(found.get(name), h5py.Group):
            _rename(found[name], group, places)


def _members(group: Any, names: tuple[str, ...]) -> Iterator[str]:
    """The subgroups of layers of these classes, in the order of the model if all are of one class."""
    numbered = [(re.fullmatch(rf"({'|'.join(names)})(?:_(\d+))?", name), name) for name in group]
    matches = [(int(match[2] or 0), name) for match, name in numbered if match]
    yield from (name for _, name in sorted(matches))


def _pairs(found, theirs, expected, ours, places):
    """Which group of the file is which of the model: by the order of the layers, or else by their names."""
    if len(theirs) == len(ours):
        named = {_layer_name(expected[name]): name for name in ours}
        if _of_one_class(theirs) and _of_one_class(ours):
            return list(zip(theirs, ours, strict=True))
        if len(named) == len(ours) and set(named) == {_layer_name(found[name]) for name in theirs}:
            return [(name, named[_layer_name(found[name])]) for name in theirs]
        if _of_one_class(theirs) and set(named) <= set(places):
            return list(zip(theirs, [named[name] for name in sorted(named, key=places.get)], strict=True))
    raise ValueError(
        f"load_weights expected layers {ours} at {expected.name!r}, the file has {theirs}, and the names of the layers "
        "do not say which is which: load it into a model of the classes that wrote it, then convert that with "
        "from_keras or to_keras, or copy its get_weights()."
    )


def _of_one_class(names):
    return len({re.sub(r"_\d+$", "", name) for name in names}) == 1


def _layer_name(group):
    return group["vars"].attrs.get("name") if "vars" in group else None
