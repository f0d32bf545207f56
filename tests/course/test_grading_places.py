"""Grading works wherever checkout, environment, home and temporary folder are, and hides what it hides elsewhere."""

import json
import os
import shutil
import sys
import venv

import pytest

from rnnkit.course.grading.sandbox import folders_of_answers, unused_name, visible_folders
from rnnkit.datasets.data_file import data_file
from tests.course.classroom import (
    OF_DOUBLE,
    OF_SQUARE,
    RIGHT,
    ROOT,
    SECRET,
    needs_namespaces,
    points,
    printed_in_test,
    reader,
    run_command,
    submitted,
    teacher,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="namespaces need Linux")

READS_DATA = "from rnnkit import datasets\ndef square(x):\n    return len(datasets.sentences()) * x * x // 347"
READS_HIDDEN_TESTS = "def double(x):\n    return 2 * x if '{secret}' in open({path!r}).read() else None"
WRITES = "import os, tempfile\ndef square(x):\n    print(x * x, file=tempfile.TemporaryFile('w'))\n    return x * x"


@pytest.fixture(scope="module", params=["editable", "wheel"])
def place(request, tmp_path_factory):
    """A folder below a strange one, reached through a link, with a package and an environment to run it."""
    needs_namespaces()
    real = tmp_path_factory.mktemp("places") / 'a folder, it\'s "odd" – ü' / "real"
    (real / "some where").mkdir(parents=True)
    link = real.parent / "a link"
    link.symlink_to(real, target_is_directory=True)
    environment = link / "checkout" / ".venv"
    venv.create(environment, symlinks=True, with_pip=False)
    [site_packages] = environment.glob("lib/python*/site-packages")
    packages = site_packages if request.param == "wheel" else link / "checkout"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "rnnkit", packages / "rnnkit", ignore=ignored)
    shutil.copytree(
        os.path.dirname(data_file("sentences.txt")),
        packages / ("rnnkit/data" if request.param == "wheel" else "data"),
        dirs_exist_ok=True,
    )
    paths = [str(packages), *(path for path in sys.path if path.endswith("-packages"))]
    (site_packages / "paths.pth").write_text("\n".join(paths))
    return link, packages


@pytest.fixture(scope="module")
def graded(place):
    """A class that was graded there: its folder, and what was printed."""
    link, packages = place
    folder = link / "some where"
    teacher(folder, preamble="import rnnkit.datasets")
    hidden_tests = str(folder / "hidden" / "lesson" / "double.py")
    submitted(folder, "right", RIGHT)
    submitted(folder, "wrong", "def double(x):\n    return 3 * x", "def square(x):\n    return 2 * x")
    submitted(folder, "data", RIGHT, READS_DATA)
    submitted(folder, "writes", RIGHT, WRITES)
    submitted(folder, "thief", READS_HIDDEN_TESTS.format(secret=SECRET, path=hidden_tests))
    elsewhere = [packages / "rnnkit", (packages / "rnnkit").resolve(), ROOT / "rnnkit"]
    submitted(folder, "reader", RIGHT, reader(elsewhere, tops=[link, link.resolve().parent]))
    printed, status = run_command(
        folder,
        "--isolation",
        "namespaces",
        python=link / "checkout" / ".venv" / "bin" / "python",
        HOME=str(folder),
        TMPDIR=str(folder),
    )
    assert status == 0, printed
    return folder, printed


def test_right_is_right_and_wrong_is_wrong(graded):
    assert "isolation: namespaces" in graded[1]
    assert points(graded[0]) == {
        "right": (OF_DOUBLE, OF_SQUARE),
        "wrong": (0, 0),
        "data": (OF_DOUBLE, OF_SQUARE),
        "writes": (OF_DOUBLE, OF_SQUARE),
        "thief": (0, OF_SQUARE),
        "reader": (OF_DOUBLE, OF_SQUARE),
    }


def test_the_checks_are_hidden_however_one_spells_their_path(graded, place):
    found = json.loads(printed_in_test(graded[0], "reader"))
    package = place[1] / "rnnkit"
    assert {str(package), str(package.resolve()), f"/proc/self/root{package}"} <= set(found["seen"])
    assert found["imported"] == found["answers"] == []


def test_nothing_is_left_in_the_temporary_folder(graded):
    assert sorted(path.name for path in graded[0].iterdir()) == ["course", "hidden", "out", "submissions"]


def test_the_sandbox_takes_names_that_no_visible_folder_has():
    assert unused_name("tmp", ["/usr", "/home/ann/tmp"]) == "/tmp"
    assert unused_name("tmp", ["/usr", "/tmp/ann", "/tmp_/bob"]) == "/tmp__"
    assert unused_name("old", ["/old"]) == "/old_"


def test_checks_are_found_in_every_visible_copy(tmp_path):
    for packages in ("lib/python3.12/site-packages", "lib/python3.13/dist-packages", "local/lib/python3/dist-packages"):
        (tmp_path / packages / "rnnkit" / "course" / "checks").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "lib")
    assert len(folders_of_answers([str(tmp_path)])) == 3
    assert len(folders_of_answers([str(tmp_path / "link")])) == 2
    assert len(folders_of_answers([str(tmp_path / "lib" / "python3.12" / "site-packages")])) == 1
    assert folders_of_answers([str(tmp_path / "local" / "lib")]) == [
        str(tmp_path / "local" / "lib" / "python3" / "dist-packages" / "rnnkit" / "course" / "checks")
    ]
    assert len(folders_of_answers(visible_folders())) >= 1
