"""The files that rnnkit itself ships."""

from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path


def data_file(name: str) -> Traversable:
    """Finds a file of the folder `data`.

    In a wheel, this folder is inside the package; in a checkout, it is at the top of the repository.

    Args:
        name: a file name, such as `"sentences.txt"`.

    Returns:
        The file, to be read with `read_text(encoding="utf-8")` or `read_bytes()`.

    Raises:
        FileNotFoundError: there is no such file in either place.
    """
    packed = resources.files("rnnkit") / "data" / name
    checkout = Path(__file__).parents[2] / "data" / name
    for file in (packed, checkout):
        if file.is_file():
            return file
    raise FileNotFoundError(f"rnnkit ships no data file {name!r}: expected it at {packed} or {checkout}.")
