"""Grading: honest submissions get their points, and hostile ones no more than that, whatever they try.

Each attack is written so that it returns right answers if it succeeds, and fails the tests if it does not. Where that
can be done, it is also run outside the sandbox, where it must succeed.
"""

import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import nbformat
import numpy as np
import pytest

from rnnkit.course.grading import notebook, wire
from rnnkit.course.grading.command import check_out_of_sight
from rnnkit.course.grading.lesson import read_lesson
from rnnkit.course.grading.remote_proxy import Objects
from rnnkit.course.grading.submission import find_submissions, read_submission
from tests.course.classroom import (
    OF_DOUBLE,
    OF_SQUARE,
    RIGHT,
    ROOT,
    SECRET,
    SOLUTION,
    SQUARE,
    TESTS,
    cell,
    grade,
    needs_namespaces,
    page,
    points,
    printed_in_test,
    reader,
    run_command,
    submitted,
    table,
    teacher,
    written,
)

pytestmark = pytest.mark.skipif(os.name != "posix", reason="grading needs Linux or macOS")

specification = importlib.util.spec_from_file_location("student", ROOT / "tools" / "student.py")
student = importlib.util.module_from_spec(specification)
specification.loader.exec_module(student)

HONEST = {  # name: source of double, points of it
    "right": (RIGHT, 6),
    "wrong": ("def double(x):\n    return 3 * x", 0),
    "partly": ("def double(x):\n    return abs(x) * 2", 2),
    "changes-arguments": ("def double(x):\n    x += x\n    return x", 5),
    "stub": ("def double(x):\n    raise NotImplementedError('Write `double(x)`: it returns twice.')", 0),
    "syntax-error": ("def double(x):\n    return 2 *", 0),
    "another-name": ("def twice(x):\n    return 2 * x", 0),
    "no-function": ("double = 7", 0),
    "magic": ("%matplotlib inline\ndef double(x):\n    return 2 * x", 0),
    "prints-much": ("def double(x):\n    print('x' * 10_000_000)\n    return 2 * x", 6),
}
DENIALS = {  # these must be stopped
    "endless-loop": "def double(x):\n    while True:\n        pass",
    "endless-loop-at-once": "while True:\n    pass",
    "catches-all": """
        def double(x):
            while True:
                try:
                    while True: pass
                except BaseException: pass
        """,
    "fork-bomb": "import os\ndef double(x):\n    while True:\n        os.fork()",
    "patient-fork-bomb": """
        import os, time
        for number in range(10000):
            try:
                os.fork()
            except OSError:
                time.sleep(1)
        """,
    "100-GB": "def double(x):\n    return 2 * len(bytearray(100 << 30))",
    "memory-in-pieces": "pieces = []\ndef double(x):\n    while True:\n        pieces.append(bytearray(10 << 20))",
    "memory-in-processes": """
        import mmap, os, time
        def double(x):
            for i in range(20):
                if os.fork() == 0:
                    keep = bytearray(os.urandom(1 << 20)) * 150
                    time.sleep(1000)
            time.sleep(1000)
        """,
    "full-disk": """
        def double(x):
            for number in range(1000):
                with open(f"file{number}", "wb") as file:
                    for _ in range(1000):
                        file.write(bytes(10 << 20))
            return 2 * x
        """,
    "huge-answer": "import numpy as np\ndef double(x):\n    return np.zeros(60 << 20)",
    "huge-outer-product": "import numpy as np\ndef double(x):\n    return np.zeros((1 << 21, 1))",
    "deep-answer": "def double(x):\n    deep = []\n    for _ in range(100000):\n        deep = [deep]\n    return deep",
    "exit": "import os\ndef double(x):\n    os._exit(0)",
    "sys-exit": "import sys\ndef double(x):\n    sys.exit(0)",
    "exit-at-once": "import os\nos._exit(0)",
    "crash": "import ctypes\ndef double(x):\n    ctypes.string_at(0)",
    "kills": """
        import contextlib, os
        def double(x):
            for process in (-1, os.getppid(), 1):
                with contextlib.suppress(OSError):
                    os.kill(process, 9)
            os.killpg(0, 9)
        """,
    "passed": "print('passed')\nprint('right for three')\ndef double(x):\n    print('passed')",
}
FORGERIES = {  # these succeed where the tests run beside the submission
    "patched-assert": """
        import builtins, sys
        def double(x):
            caller = sys._getframe(1)
            while caller:
                caller.f_globals["np"] = caller.f_globals["double"] = Any()
                caller = caller.f_back
            return Any()
        class Any(int):
            __eq__ = __ne__ = __lt__ = lambda self, other: True
            __call__ = __getattr__ = lambda self, *a, **k: self
            __hash__ = int.__hash__
        """,
    "patched-numpy": """
        import numpy as np
        np.testing.assert_allclose = np.allclose = np.array_equal = lambda *a, **k: True
        class Equal(int):
            __eq__ = lambda self, other: True
            __hash__ = int.__hash__
        def double(x):
            return Equal(0)
        """,
    "equal-to-all": """
        class Equal:
            def __eq__(self, other): return True
            def __array__(self, *a, **k): raise SystemExit
            __class__ = int
        def double(x):
            return Equal()
        """,
}
ESCAPES = {  # these return what is right if they succeed
    "reads-hidden-tests": "found = '{secret}' in open('{hidden}').read()",
    "reads-the-solution": "found = '{secret}' in open('{lesson}').read()",
    "links-to-the-solution": "import os\nos.symlink('{lesson}', 'link')\nfound = '{secret}' in open('link').read()",
    "reads-another-submission": "found = 'x + x' in open('{other}').read()",
    "finds-another-submission": "import glob\nfound = glob.glob('{folder}/**/right.ipynb', recursive=True)",
    "writes-outside": "open('{folder}/written', 'w').write('x')\nfound = True",
    "writes-results": "open('{folder}/out/lesson/results/x.json', 'w').write('x')\nfound = True",
    "network": "import socket\nsocket.create_connection(('127.0.0.1', {port}), timeout=5).close()\nfound = True",
    "environment": "import os\nfound = 'COURSE_TOKEN' in os.environ",
    "environment-at-start": "found = 'COURSE_TOKEN' in open('/proc/{pid}/environ').read()",
    "sees-processes": "import os\nfound = sum(name.isdigit() for name in os.listdir('/proc')) > 3",
}
PRIVATE = {  # these have nothing to find outside, where no test is running
    "frames": """
        import gc, sys
        def strings():
            frame = sys._getframe()
            while frame:
                yield from [*frame.f_globals.values(), *frame.f_locals.values(), *frame.f_code.co_consts]
                frame = frame.f_back
            for thing in gc.get_objects():
                if type(thing) in (list, dict, tuple):
                    yield from thing.values() if isinstance(thing, dict) else thing
        def double(x):
            word = "fast" + "falcon"
            if any(word in text for text in strings() if isinstance(text, str) and text != word):
                return 2 * x
        """,
    "own-memory": """
        def search():
            word = ("fast" + "falcon").encode()
            with open("/proc/self/maps") as maps, open("/proc/self/mem", "rb", 0) as memory:
                for line in maps:
                    begin, end = (int(number, 16) for number in line.split()[0].split("-"))
                    if "rw" in line:
                        try:
                            memory.seek(begin)
                            held = memory.read(end - begin)
                        except (OSError, ValueError, OverflowError):
                            continue
                        place = held.find(word)
                        while place >= 0:
                            if b"# " + word in held[place - 2 : place + 20]:
                                return True
                            place = held.find(word, place + 1)
        def double(x):
            return 2 * x if search() else None
        """,
    "forged-replies": """
        import json, os, struct
        reply = json.dumps({"passed": True, "value": True, "changed": False, "printed": "", "results": []})
        def double(x):
            for number in range(3, 100):
                try:
                    os.write(number, struct.pack("<Q", len(reply)) + reply.encode())
                except OSError:
                    pass
        """,
    "garbage-replies": """
        import os
        def double(x):
            for number in range(3, 100):
                try:
                    os.write(number, b"\\xff" * 100)
                except OSError:
                    pass
        """,
    "pickled-reply": """
        import os, pickle, struct
        class Bomb:
            def __reduce__(self):
                return os._exit, (0,)
        def double(x):
            for number in range(3, 100):
                try:
                    os.write(number, struct.pack("<Q", len(pickle.dumps(Bomb()))) + pickle.dumps(Bomb()))
                except OSError:
                    pass
        """,
    "memory-address": """
        class Array:
            shape, typestr = (1,), "<f8"
            @property
            def array_interface(self): return {"data": (0, True), "shape": (1,), "typestr": "<f8", "version": 3}
            def __getattr__(self, name): return self.array_interface
        def double(x):
            return Array()
        """,
}


def escape(source, folder, port):
    """The source of an attack: its `double` is right only if the attack finds something."""
    source = source.format(
        secret=SECRET[:4] + "' + '" + SECRET[4:],
        hidden=folder / "hidden" / "lesson" / "double.py",
        lesson=folder / "course" / "lesson.ipynb",
        other=folder / "submissions" / "right.ipynb",
        folder=folder,
        port=port,
        pid="self",
    )
    body = textwrap.indent(source, "    ")
    return f"def double(x):\n{body}\n    return 2 * x if found else None"


@pytest.fixture(scope="module")
def port():
    """A server that anybody on this machine can reach."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=lambda: accept_all(server), daemon=True).start()
        yield server.getsockname()[1]


def accept_all(server):
    while True:
        try:
            server.accept()[0].close()
        except OSError:
            return


CALLS = """
    import ctypes, os, resource
    def square(x):
        libc, zero = ctypes.CDLL(None, use_errno=True), ctypes.c_ulong(0)
        tries = {
            "unshare": lambda: libc.unshare(0x10000000),
            "setns": lambda: libc.setns(0, 0),
            "mount": lambda: libc.mount(b"x", b"/tmp", b"tmpfs", zero, b""),
            "umount": lambda: libc.umount2(b"/proc", 2),
            "ptrace": lambda: libc.ptrace(0, 0, 0, 0),
            "memfd": lambda: libc.memfd_create(b"x", 0),
            "shmget": lambda: libc.shmget(0, 4096, 0o1600),
            "socket": lambda: libc.socket(1, 1, 0),
        }
        for name, use in tries.items():
            print(name, "worked" if use() >= 0 else ctypes.get_errno())
        for name in ("RLIMIT_AS", "RLIMIT_NPROC", "RLIMIT_FSIZE"):
            try:
                resource.setrlimit(getattr(resource, name), (resource.RLIM_INFINITY,) * 2)
                print(name, "worked")
            except ValueError:
                print(name, 1)
        return x * x
    """
MARKUP = "print('<script>\\x00\\x1b\\ud800')\n"
SQUARE_CELL = cell("code", SQUARE, "square")
CELLS = {  # name: cells of the notebook, points of double, what the page says
    "missing": ([SQUARE_CELL], 0, "no cell for this exercise"),
    "doubled": ([*[cell("code", RIGHT, "double")] * 2, SQUARE_CELL], 0, "2 cells for this exercise"),
    "lost": ([cell("code", RIGHT, "fresh"), SQUARE_CELL], OF_DOUBLE, "lost its id"),
    "moved": ([SQUARE_CELL, cell("code", RIGHT, "double")], OF_DOUBLE, "of 7 points"),
    "colab": (
        [SQUARE_CELL, {"cell_type": "code", "metadata": {"id": "double"}, "source": [RIGHT]}],
        OF_DOUBLE,
        "of 7 points",
    ),
    "strange": (
        [
            3,
            {"cell_type": 4, "source": 5},
            {"cell_type": "code", "source": [1]},
            {"id": "double", "source": RIGHT},
            SQUARE_CELL,
        ],
        0,
        "no cell for this exercise",
    ),
    "own-tests": (
        [
            cell("code", "def double(x): pass", "double"),
            cell("code", "def double(x): return 2*x", "test-0"),
            SQUARE_CELL,
        ],
        0,
        "failed",
    ),
}


@pytest.fixture(scope="module")
def course(tmp_path_factory, port):
    """A graded class: its folder, what was printed, and the exit status."""
    folder = tmp_path_factory.mktemp("course")
    lesson = teacher(folder)
    sources = {name: source for name, (source, _) in HONEST.items()} | FORGERIES | PRIVATE
    sources |= {name: escape(source, folder, port) for name, source in ESCAPES.items()}
    for name, source in sources.items():
        submitted(folder, name, source)
    submitted(folder, "=cmd()", MARKUP + RIGHT)
    submitted(folder, "reader", RIGHT, reader([ROOT / "rnnkit"], tops=[ROOT / "rnnkit", ROOT / "notebooks"]))
    submitted(folder, "calls", RIGHT, textwrap.dedent(CALLS))
    for name, (cells, _, _) in CELLS.items():
        written(folder / "submissions" / f"{name}.ipynb", *cells)
    copy = student.student_copy(nbformat.read(lesson, as_version=4))
    nbformat.write(copy, folder / "submissions" / "student.ipynb")
    printed, status = run_command(folder, "--seconds", "30", "--memory", "1", COURSE_TOKEN="secret")
    assert len(points(folder)) == len(sources) + len(CELLS) + 4
    return folder, printed, status


@pytest.fixture(scope="module")
def denials(tmp_path_factory):
    """The same for a class of submissions that must be stopped, most of them by the limit of time."""
    folder = tmp_path_factory.mktemp("denials")
    teacher(folder)
    for name, source in (DENIALS | {"right": RIGHT}).items():
        submitted(folder, name, source)
    printed, status = run_command(folder, "--seconds", "4", "--memory", "1", "--jobs", "4")
    assert len(points(folder)) == len(DENIALS) + 1
    return folder, printed, status


@pytest.fixture(scope="module")
def namespaces(course):
    needs_namespaces()
    assert "isolation: namespaces" in course[1]


def test_all_are_graded(course):
    folder, printed, status = course
    count = len(points(folder))
    assert status == 0, printed
    assert f"[{count}/{count}] " in printed
    assert "Traceback" not in printed


@pytest.mark.parametrize("name", HONEST)
def test_honest_submissions_get_their_points(course, name):
    assert points(course[0])[name] == (HONEST[name][1], OF_SQUARE)


@pytest.mark.slow
@pytest.mark.parametrize("name", DENIALS)
def test_what_would_take_the_machine_down_costs_its_own_exercise_only(denials, name):
    assert points(denials[0])[name] == (0, OF_SQUARE)


@pytest.mark.slow
def test_all_denials_are_graded_and_reported(denials):
    folder, printed, status = denials
    assert status == 0, printed
    assert f"[{len(DENIALS) + 1}/{len(DENIALS) + 1}] " in printed and "Traceback" not in printed
    assert points(folder)["right"] == (OF_DOUBLE, OF_SQUARE)
    assert "The time is up" in page(folder, "endless-loop")
    assert_nothing_hidden_is_shown(folder)


@pytest.mark.parametrize("name", [*FORGERIES, *PRIVATE])
def test_no_verdict_can_be_forged(course, name):
    assert points(course[0])[name] == (0, OF_SQUARE)


@pytest.mark.parametrize("name", FORGERIES)
def test_forgeries_succeed_beside_the_tests(name):
    script = f"import numpy as np\n{textwrap.dedent(FORGERIES[name])}\nassert double(3) == 6"
    subprocess.run([sys.executable, "-c", script], check=True)


@pytest.mark.parametrize("name", ESCAPES)
def test_nothing_outside_can_be_reached(course, namespaces, name):
    assert points(course[0])[name] == (0, OF_SQUARE)
    assert not (course[0] / "written").exists()


@pytest.mark.parametrize("name", ESCAPES)
def test_escapes_succeed_without_isolation(course, port, name, tmp_path, monkeypatch):
    if name in ("environment-at-start", "sees-processes") and sys.platform != "linux":
        pytest.skip("this system has no /proc")
    folder = course[0]
    monkeypatch.chdir(tmp_path)
    source = escape(ESCAPES[name], folder, port)
    script = f"{source}\nassert double(3) == 6"
    try:
        subprocess.run([sys.executable, "-c", script], check=True, env=os.environ | {"COURSE_TOKEN": "secret"})
    finally:
        (folder / "written").unlink(missing_ok=True)
        (folder / "out" / "lesson" / "results" / "x.json").unlink(missing_ok=True)


def test_the_table_is_for_people_and_machines(course):
    folder, _, _ = course
    row = table(folder)["partly"]
    assert row == {"student": "partly", "double": "2.0", "square": "1.0", "total": "3.0", "of": "7", "problem": ""}


def test_junit_has_a_case_for_each_test(course):
    suites = ElementTree.parse(course[0] / "out" / "lesson" / "junit.xml").getroot()
    [suite] = [suite for suite in suites if suite.get("name") == "partly"]
    failed = [case.get("name") for case in suite if case.find("failure") is not None]
    assert (suite.get("tests"), suite.get("failures")) == ("7", "4")
    assert failed == ["test 2", "hidden test 4", "hidden test 5", "hidden test 6"]


def test_a_page_shows_what_the_tests_say_but_nothing_of_hidden_ones(course):
    folder, _, _ = course
    assert "right for three" in page(folder, "right") and "three doubled is six" in page(folder, "wrong")
    assert "line 2 of cell double: raise NotImplementedError" in page(folder, "stub")
    assert "SyntaxError" in page(folder, "syntax-error") and "does not define `double`" in page(folder, "another-name")
    assert "changes its arguments" in page(folder, "changes-arguments")
    assert_nothing_hidden_is_shown(folder)


def assert_nothing_hidden_is_shown(folder):
    out = folder / "out" / "lesson"
    shown = "".join(path.read_text() for path in [*(out / "pages").iterdir(), out / "junit.xml", out / "grades.csv"])
    assert SECRET not in shown and "abab" not in shown


def test_a_page_shows_what_is_hostile_as_text(course):
    folder, _, _ = course
    assert "&lt;script&gt;???" in page(folder, "=cmd()") and "<script" not in page(folder, "=cmd()")
    ElementTree.parse(folder / "out" / "lesson" / "junit.xml")
    assert "'=cmd()" in table(folder) and "=cmd()" not in table(folder)


@pytest.mark.parametrize("name", CELLS)
def test_cells_are_found_by_their_ids_and_what_is_missing_is_reported(course, name):
    _, of_double, text = CELLS[name]
    assert points(course[0])[name] == (of_double, OF_SQUARE)
    assert text in page(course[0], name)


def test_the_students_copy_keeps_the_ids_and_gets_no_points(course):
    folder, _, _ = course
    copy, lesson = (folder / "submissions" / "student.ipynb").read_bytes(), folder / "course" / "lesson.ipynb"
    assert SECRET.encode() not in copy
    assert set(read_submission(copy, read_lesson(lesson)).sources) == {"double", "square"}
    assert read_submission(copy, read_lesson(lesson)).notes == {}
    assert points(folder)["student"] == (0, 0)
    assert "NotImplementedError: Write `double(x)`" in page(folder, "student")


def test_checks_are_not_there_to_be_read(course, namespaces):
    found = json.loads(printed_in_test(course[0], "reader"))
    assert str(Path(sys.modules["rnnkit"].__file__).parent) in found["seen"]
    assert found["imported"] == found["answers"] == []


def test_checks_can_be_read_without_isolation():
    program = reader([ROOT / "rnnkit"], tops=[ROOT / "rnnkit"]) + "\nsquare(3)"
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    found = json.loads(result.stdout)
    assert "rnnkit.course.checks.exercises.lstm_step" in found["imported"]
    assert {"lstm_step.py", "check.py"} <= set(found["answers"])


def test_new_walls_hidden_memory_and_raised_limits_are_denied(course):
    if sys.platform != "linux":
        pytest.skip("system calls of Linux")
    lines = printed_in_test(course[0], "calls").splitlines()
    names = "unshare setns mount umount ptrace memfd shmget socket RLIMIT_AS RLIMIT_NPROC RLIMIT_FSIZE".split()
    assert lines == [f"{name} 1" for name in names]


NO_NOTEBOOKS = {
    "no-json": b"{",
    "no-text": b"\xff\xfe\x00",
    "no-object": b"[]",
    "no-cells": b'{"cells": 3}',
    "too-deep": b"[" * 200_000,
    "empty": b"",
}


def test_what_is_no_notebook_is_reported_and_the_others_are_graded(tmp_path):
    teacher(tmp_path)
    submitted(tmp_path, "right", RIGHT)
    for name, content in NO_NOTEBOOKS.items():
        (tmp_path / "submissions" / f"{name}.ipynb").write_bytes(content)
    (tmp_path / "submissions" / "link.ipynb").symlink_to(tmp_path / "course" / "lesson.ipynb")
    (tmp_path / "submissions" / "link-out.ipynb").symlink_to(os.__file__)
    os.mkfifo(tmp_path / "submissions" / "pipe.ipynb")
    printed, status = grade(tmp_path)
    assert status == 1 and "Traceback" not in printed
    found = table(tmp_path)
    assert points(tmp_path)["right"] == (OF_DOUBLE, OF_SQUARE) and found["right"]["problem"] == ""
    assert len(found) == len(NO_NOTEBOOKS) + 4
    assert all(row["total"] == "0" and row["problem"] for name, row in found.items() if name != "right")
    assert "received a link" in found["link"]["problem"] and "nested too deeply" in found["too-deep"]["problem"]


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_stopped(tmp_path):
    teacher(tmp_path)
    submitted(tmp_path, "a", RIGHT)
    submitted(tmp_path, "b", "def double(x):\n    while True: pass")
    command = [sys.executable, "-m", "rnnkit.course", "grade", tmp_path / "submissions", "--jobs", "1"]
    command += ["--lesson", tmp_path / "course" / "lesson.ipynb", "--hidden", tmp_path / "hidden", "--seconds", "600"]
    run = subprocess.Popen([*command, "--out", tmp_path / "out"], stdout=subprocess.DEVNULL)
    while not (tmp_path / "out" / "lesson" / "results" / "a.json").exists():
        assert run.poll() is None
        time.sleep(0.05)
    children = descendants(run.pid)
    run.send_signal(signal.SIGKILL)
    run.wait()
    while any((Path("/proc") / child).exists() for child in children):
        time.sleep(0.05)  # for ever, where something outlives the run
    submitted(tmp_path, "b", RIGHT)
    printed, status = grade(tmp_path, "--seconds", "600")
    assert status == 0 and "a: 7 (as before)" in printed and "b: 7 (as before)" not in printed
    assert points(tmp_path) == {"a": (6, 1), "b": (6, 1)}
    assert "(as before)" not in grade(tmp_path, "--seconds", "60")[0]  # other settings: graded again


LOOK = """
import glob, os
def double(x):
    for path in glob.glob("/proc/[0-9]*"):
        try:
            with open(path + "/cmdline") as file:
                is_grading = "rnnkit.course" in file.read()
            if is_grading and path != f"/proc/{os.getpid()}":
                with open(path + "/mem", "r+b"):
                    return 2 * x
        except OSError:
            continue
"""


def descendants(process):
    """The ids of all processes below one, on Linux; none elsewhere."""
    found = [str(process)]
    for one in found:
        for children in Path(f"/proc/{one}/task").glob("*/children"):
            found += children.read_text().split()
    return found[1:]


@pytest.mark.slow
def test_without_namespaces_grades_are_the_same_and_one_line_says_what_is_not_held(tmp_path):
    teacher(tmp_path)
    expected = {}
    for name in ("right", "partly", "syntax-error"):
        submitted(tmp_path, name, HONEST[name][0])
        expected[name] = (HONEST[name][1], 1)
    held = ["endless-loop", "100-GB", "exit", "full-disk", "huge-answer", "passed"]
    if sys.platform == "linux":
        held += ["memory-in-processes", "fork-bomb", "kills"]
        submitted(tmp_path, "looks-into-the-judge", LOOK)
        expected["looks-into-the-judge"] = (0, 1)
    for name, source in [(name, DENIALS[name]) for name in held] + list(FORGERIES.items()):
        submitted(tmp_path, name, source)
        expected[name] = (0, 1)
    printed, status = run_command(tmp_path, "--isolation", "process", "--seconds", "10", "--memory", "1")
    if "nobody cannot read" in printed:
        pytest.skip("the user nobody cannot read this Python")
    assert status == 0 and "isolation: process only (not asked for)." in printed and "docs/teaching.md" in printed
    assert points(tmp_path) == expected


def test_tests_that_need_the_object_itself_run_beside_it_and_are_named(tmp_path):
    teacher(
        tmp_path,
        square_test="import inspect\nassert 'x' in inspect.signature(square).parameters\nassert square(3) == 9",
    )
    submitted(tmp_path, "right", RIGHT)
    submitted(tmp_path, "wrong", RIGHT, "def square(x):\n    return 2 * x")
    printed, status = grade(tmp_path)
    assert status == 0 and "which a submission can deceive: square\n" in printed
    assert points(tmp_path) == {"right": (6, 1), "wrong": (6, 0)}


def test_objects_of_the_tests_can_be_passed_on_but_not_looked_into(tmp_path):
    test = f"""
        secret = "# {SECRET}"

        class Cell:
            size = 3

            def __init__(self, weight):
                self.weight = weight

            def step(self, x, h):
                return self.weight * x + h

        def changed_back(function):
            return [function(value) for value in (1, 2)]

        assert square([Cell(2.0), Cell(np.ones(3))], lambda x: x + 1) == 29
        """
    solution = """
        def square(cells, function):
            ### BEGIN SOLUTION
            h = 0
            for cell in cells:
                for x in range(function(1)):
                    h = cell.step(x, h)
            return cells[0].size * float(h.sum()) + cells[0].weight - 1 - cells[0].step(1, 3) + 2 * function(2)
            ### END SOLUTION
        """
    thief = """
        def square(cells, function):
            for thing in (*cells, function, cells[0].step):
                for name in ("__globals__", "__self__", "__func__", "__closure__", "__dict__", "f_globals", "gi_frame"):
                    try:
                        thing._ask("attribute", thing._number, name)
                    except AttributeError:
                        continue
                    return 29
            for kind, arguments in [("__getattribute__", ["__dict__"]), ("keep", []), ("_objects", [])]:
                try:
                    cells[0]._ask(kind, *arguments)
                except ValueError:
                    continue
                return 29
        """
    teacher(tmp_path, square=textwrap.dedent(solution), square_test=textwrap.dedent(test))
    submitted(tmp_path, "right", RIGHT, solution)
    submitted(tmp_path, "thief", RIGHT, thief)
    printed, status = grade(tmp_path)
    assert status == 0 and "deceive" not in printed, printed
    assert points(tmp_path) == {"right": (6, 1), "thief": (6, 0)}


def test_a_cell_that_does_not_use_the_exercise_prepares_the_next_one(tmp_path):
    lesson = teacher(tmp_path, tests=["x = 3", "assert double(x) == 6", "assert double(x) == 6\ndel x", "print('bye')"])
    double, _ = read_lesson(lesson).exercises
    assert [test.source for test in double.tests] == ["x = 3\nassert double(x) == 6", "assert double(x) == 6\ndel x"]


def test_a_test_ends_before_what_needs_the_lessons_own_variables(tmp_path):
    square_test = (
        "assert square(2) == 4\nassert square(trained_model) == 2 \\\n    * trained_model\nassert square(3) == 0"
    )
    teacher(tmp_path, tests=[*TESTS[:2], "assert double(trained_model) == 3"], square_test=square_test)
    submitted(tmp_path, "right", RIGHT)
    submitted(tmp_path, "wrong", RIGHT, "def square(x):\n    return x")
    printed, status = grade(tmp_path)
    assert status == 0
    assert "double, test 3: not graded from line 1, NameError: name 'trained_model' is not defined\n" in printed
    assert "square, test 1: not graded from line 2, NameError" in printed
    assert points(tmp_path) == {"right": (6, 1), "wrong": (6, 0)}


ITERATES = """
    class Reader:
        pass
    assert list(square(3)) == [0, 1, 4] and next(iter(square(2))) == 0
    try:
        square(-1)
    except ValueError as problem:
        assert "negative" in str(problem)
    else:
        raise AssertionError("negative numbers should be refused")
    """
GENERATOR = """
class Negative(ValueError):
    pass
def square(n):
    if n < 0:
        raise Negative("negative")
    return (i * i for i in range(n))
"""


def lesson_that_iterates(folder):
    solution = f"{GENERATOR}        ### BEGIN SOLUTION\n        ### END SOLUTION"
    return teacher(folder, square=solution, square_test=textwrap.dedent(ITERATES))


def test_what_functions_return_is_tested_as_it_is_in_a_notebook(tmp_path):
    lesson_that_iterates(tmp_path)
    squares = "(i * i for i in range(n))"
    submitted(tmp_path, "iterator", RIGHT, GENERATOR)
    submitted(tmp_path, "list", RIGHT, GENERATOR.replace(squares, "[i * i for i in range(n)]"))
    submitted(tmp_path, "keys", RIGHT, GENERATOR.replace(squares, "{i * i: 1 for i in range(n)}.keys()"))
    printed, status = grade(tmp_path)
    assert status == 0 and "deceive" not in printed, printed
    assert {name: square for name, (_, square) in points(tmp_path).items()} == {"iterator": 1, "list": 1, "keys": 1}


@pytest.mark.slow
def test_an_endless_iterator_is_stopped(tmp_path):
    lesson_that_iterates(tmp_path)
    submitted(tmp_path, "endless", RIGHT, GENERATOR.replace("range(n)", "iter(int, 1)"))
    printed, status = grade(tmp_path, "--seconds", "3")
    assert status == 0 and "deceive" not in printed, printed
    assert points(tmp_path) == {"endless": (OF_DOUBLE, 0)}


def test_a_monkeypatched_check_changes_nothing(tmp_path):
    pytest.importorskip("rnnkit.course.checks.engine.check")
    check = """
        from rnnkit.course.checks.engine.check import Check

        def cases(random):
            return [("a number", {"x": random.normal(size=3)})]

        Check("square", lambda x: x * x, cases, {"y": ["time"]})(square)
        """
    patch = """
        import sys, types
        class Nothing(types.ModuleType):
            def __getattr__(self, name): return lambda *a, **k: Nothing("x")
            def __call__(self, *a, **k): return self
        for name in ["rnnkit.course.checks", "rnnkit.course.checks.engine.check"]:
            sys.modules[name] = Nothing(name)
        try:
            import rnnkit.course.checks.engine.check
            rnnkit.course.checks.engine.check.Check.__call__ = lambda *a: None
        except Exception:
            pass
        def square(x):
            return 0 * x
        """
    teacher(tmp_path, square_test=textwrap.dedent(check))
    submitted(tmp_path, "right", RIGHT)
    submitted(tmp_path, "patched", RIGHT, patch)
    printed, status = grade(tmp_path)
    assert status == 0 and "deceive" not in printed, printed
    assert points(tmp_path) == {"right": (6, 1), "patched": (6, 0)}
    assert "square is right" in (tmp_path / "out" / "lesson" / "pages" / "right.html").read_text()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"double": SOLUTION.replace("2 * x", "3 * x")},
            "the solution of double fails its own test 1.\nthree doubled is six",
        ),
        ({"tests": ["%time double(3)"]}, "expected tests of double in plain Python, received '%time double(3)"),
        ({"double": "%%time\ndef double(x):\n    return 2 * x"}, "lesson.ipynb, cell 3: expected an exercise in plain"),
        ({"preamble": "import a_module_that_is_not_there"}, "No module named 'a_module_that_is_not_there'"),
        ({"double": "x = 1\n### BEGIN SOLUTION\n### END SOLUTION"}, "whose cell defines a function or class"),
    ],
)
def test_a_wrong_lesson_is_reported_before_anything_is_graded(tmp_path, change, message):
    teacher(tmp_path, **change)
    submitted(tmp_path, "right", RIGHT)
    printed, status = grade(tmp_path)
    assert status == 2 and message in printed and "Traceback" not in printed
    assert not (tmp_path / "out" / "lesson" / "grades.csv").exists()


def test_a_wrong_command_is_reported(tmp_path):
    teacher(tmp_path)
    assert grade(tmp_path, places=[tmp_path / "nowhere"])[1] == 2
    (tmp_path / "submissions").mkdir()
    printed, status = grade(tmp_path, "--lesson", tmp_path / "no-lesson.ipynb")
    assert status == 2 and "no-lesson.ipynb: cannot be read" in printed and "Traceback" not in printed
    (tmp_path / "link").symlink_to(tmp_path / "course")  # submitted, it would be the teacher's own solution
    printed, status = grade(tmp_path, places=[tmp_path / "link"])
    assert status == 2 and "received a link" in printed
    (tmp_path / "hidden" / "lesson" / "triple.py").write_text("assert triple(1) == 3")
    printed, status = grade(tmp_path)
    assert status == 2 and "received tests of ['triple'] as well" in printed
    with pytest.raises(ValueError, match="which submissions can read"):
        check_out_of_sight([Path(sys.prefix) / "hidden"])
    (tmp_path / "hidden" / "lesson" / "triple.py").unlink()
    printed, status = grade(tmp_path, "--out", Path(sys.prefix) / "grades")
    assert status == 2 and "grades is inside" in printed and not (Path(sys.prefix) / "grades").exists()
    result = subprocess.run([sys.executable, "-m", "rnnkit.course", "greed"], capture_output=True, text=True)
    assert result.returncode == 2 and "grade SUBMISSIONS" in result.stderr


def test_the_teachers_page_turns_a_lesson_into_one_for_nbgrader(tmp_path):
    names = {}
    [block] = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "teaching.md").read_text(), re.DOTALL)
    exec(block, names)
    names["for_nbgrader"](teacher(tmp_path), tmp_path / "out.ipynb")
    made = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    nbformat.validate(made)
    found = {cell.id: cell.metadata.nbgrader for cell in made.cells if "nbgrader" in cell.metadata}
    assert list(found) == ["double", "test-0", "test-1", "test-2", "square", "test-square"]
    assert found["double"] == {
        "schema_version": 3,
        "grade_id": "double",
        "grade": False,
        "locked": False,
        "solution": True,
        "task": False,
    }
    assert [found[id].get("points") for id in found] == [None, 2, 2, 2, None, 1]
    assert len({one.grade_id for one in found.values()}) == len(found)


def test_submissions_are_found_in_the_folders_that_courses_use(tmp_path):
    lesson = teacher(tmp_path)
    written(lesson.parent / "other.ipynb")
    below = tmp_path / "in"
    names = ["ann.ipynb", "bob/lesson.ipynb", "lesson/cleo.ipynb", "dan/set-1/lesson.ipynb"]
    others = ["other.ipynb", "bob/other.ipynb", "bob/.ipynb_checkpoints/lesson.ipynb", "bob/notes.ipynb"]
    for name in names + others:
        written(below / name)
    found = find_submissions([below], lesson)
    assert found == dict(zip(["ann", "bob", "cleo", "dan/set-1"], [below / name for name in names], strict=True))
    written(below / "ann" / "lesson.ipynb")
    with pytest.raises(ValueError, match="expected one notebook of ann"):
        find_submissions([below], lesson)


def test_values_come_back_as_they_were():
    arrays = [
        np.arange(6.0).reshape(2, 3),
        np.array(True),
        np.array([2**70, None], object),
        np.float32(1.5),
        np.zeros((0, 2)),
    ]
    for value in [None, True, 2**100, -0.5, "ü", b"\x00", 1j, [1, (2, {3})], {(1, 2): [None]}, float("inf"), *arrays]:
        sent = json.loads(json.dumps(wire.encoded(value, keep=None)))
        came = wire.decoded(sent, ask=None, objects=None)
        assert type(came) is type(value)
        np.testing.assert_equal(came, value)
        assert getattr(came, "dtype", None) == getattr(value, "dtype", None)


@pytest.mark.parametrize(
    "tree",
    [
        [1],
        {"array": ["O", [1], "AAAAAAAAAAA="]},
        {"array": ["<f8", [1 << 60], ""]},
        {"array": ["<f8"]},
        {"array": ["<f8,O", [1], ""]},
        {"array": ["<f8", [-1], "AAAAAAAAAAA="]},
        {"dict": 3},
        {"set": [{"list": []}]},
        {"object": ["x", 1]},
        {"yours": 0},
        {"yours": "0"},
        {"eval": "1"},
        {},
    ],
)
def test_what_is_no_value_is_refused(tree):
    with pytest.raises(ValueError):
        wire.decoded(tree, ask=None, objects=Objects())


def test_a_file_may_contain_anything(tmp_path):
    with pytest.raises(ValueError, match="at most 20 MB"):
        (tmp_path / "large").write_bytes(bytes(21 << 20))
        notebook.read(tmp_path / "large")
    assert notebook.cells(b'{"cells": [null, {"metadata": 3, "source": "x", "cell_type": "code"}]}') == [
        notebook.Cell(None, "code", "x")
    ]
