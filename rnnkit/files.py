"""Files that are written as a whole or not at all."""

import gzip
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, cast


@contextmanager
def new_file(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Opens a file to write, which has its name only once everything is written.

    A link stays a link, and a file that is replaced keeps who may read it.

    Args:
        path: where to write. If an error is raised, it is left as it was.

    Yields:
        The file, open for bytes; `file.name` is where it is until then, with the ending of `path`.
    """
    path = os.path.realpath(path)
    folder, name = os.path.split(path)
    handle, unfinished = tempfile.mkstemp(dir=folder, prefix=".unfinished-", suffix=os.path.splitext(name)[1])
    os.close(handle)
    try:
        with open(unfinished, "wb") as file:
            yield file
        os.chmod(unfinished, _mode(path))  # mkstemp lets only the owner read
        os.replace(unfinished, path)
    except BaseException:
        os.unlink(unfinished)
        raise


def compressed(file: IO[bytes], path: str | os.PathLike[str]) -> IO[bytes]:
    """Returns the file to write to: one that compresses if the path ends in `.gz`, otherwise the same."""
    return cast(IO[bytes], gzip.open(file, "wb")) if os.fspath(path).endswith(".gz") else file


def _mode(path):
    """Who may read the file that is there, or else a new one."""
    if os.path.isfile(path):
        return os.stat(path).st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask
