"""Files that are written as a whole or not at all."""

import os
import stat

import pytest

from rnnkit.files import new_file


def test_a_file_has_its_name_once_it_is_whole(tmp_path):
    path = tmp_path / "a.txt.gz"
    with new_file(path) as file:
        file.write(b"new")
        assert not path.exists() and file.name.endswith(".gz") and os.path.dirname(file.name) == str(tmp_path)
    assert path.read_bytes() == b"new" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("there", [False, True])
def test_an_error_leaves_everything_as_it_was(tmp_path, there):
    path = tmp_path / "a.txt"
    if there:
        path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), new_file(path) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert [file.read_bytes() for file in tmp_path.iterdir()] == ([b"old"] if there else [])


@pytest.mark.skipif(os.name != "posix", reason="needs links and permissions")
def test_links_and_permissions_stay(tmp_path):
    (tmp_path / "folder").mkdir()
    path, link = tmp_path / "folder" / "a.txt", tmp_path / "link.txt"
    path.write_bytes(b"old")
    path.chmod(0o640)
    link.symlink_to(path)
    with new_file(link) as file:
        file.write(b"new")
    assert link.is_symlink() and path.read_bytes() == b"new" and stat.S_IMODE(path.stat().st_mode) == 0o640
    with new_file(tmp_path / "other.txt") as file:
        file.write(b"new")
    (tmp_path / "usual.txt").touch()
    modes = [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("other.txt", "usual.txt")]
    assert modes[0] == modes[1]
