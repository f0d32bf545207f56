import os
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

pytest.importorskip("nbconvert", reason="the runner of the notebooks needs the extra `notebooks`")

RUNNER = Path(__file__).resolve().parent.parent / "tools" / "notebooks.py"
SETUP_LINE = "TensorFlow 2.21.0 | Keras 3.15.1 (tensorflow) | Python 3.11.7 | Some GPU"


def write(path, *sources):
    cells = [nbformat.v4.new_code_cell(source, metadata={"tags": ["a"], "collapsed": True}) for source in sources]
    nbformat.write(nbformat.v4.new_notebook(cells=cells), path)


def run(*arguments):
    environment = {
        key: value for key, value in os.environ.items() if key != "PYTEST_CURRENT_TEST"
    }  # ipykernel looks at it
    return subprocess.run([sys.executable, RUNNER, *arguments], capture_output=True, text=True, env=environment)


@pytest.mark.slow
def test_a_failed_notebook_is_reported_and_the_others_still_run(tmp_path):
    write(tmp_path / "1_bad.ipynb", "x = 1", "x / 0", "print('never')")
    (tmp_path / "2_broken.ipynb").write_text("{")
    write(tmp_path / "3_good.ipynb", f"print('{SETUP_LINE}')", "print(6 * 7)")
    result = run(*sorted(tmp_path.glob("*.ipynb")), "--output", tmp_path / "out")
    assert result.returncode == 1
    bad, broken, good = result.stdout.splitlines()
    assert bad.startswith("1_bad ") and bad.endswith("FAILED")
    assert broken.startswith("2_broken ") and broken.endswith("FAILED")
    assert good.startswith("3_good ") and good.endswith("Some GPU")
    assert "1_bad.ipynb: cell [2]: ZeroDivisionError: division by zero" in result.stderr
    assert "2_broken.ipynb: NotJSONError" in result.stderr
    executed = nbformat.read(tmp_path / "out" / "3_good.ipynb", as_version=4)
    assert [cell.outputs[0].text for cell in executed.cells] == [f"{SETUP_LINE}\n", "42\n"]
    assert "42" in (tmp_path / "out" / "3_good.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_outputs_are_stored_in_place_without_traces_of_the_machine(tmp_path):
    path = tmp_path / "lesson.ipynb"
    write(path, "print(6 * 7)", "assert 6 * 7 == 42")
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[1].metadata.tags = ["hide-input"]
    nbformat.write(notebook, path)
    assert run("--in-place", path, "--output", tmp_path / "out").returncode == 0
    notebook = nbformat.read(path, as_version=4)
    assert notebook.cells[0].outputs[0].text == "42\n"
    assert notebook.cells[0].metadata == {"tags": ["a"]}
    hidden = {"tags": ["hide-input"], "jupyter": {"source_hidden": True}, "cellView": "form"}
    assert notebook.cells[1].metadata == hidden
    page = (tmp_path / "out" / "lesson.html").read_text(encoding="utf-8")
    assert page.count("<details><summary>Checks</summary>") == 1
    assert notebook.metadata.language_info == {"name": "python"}


@pytest.mark.slow
def test_a_cell_that_writes_to_stderr_fails_where_that_is_asked_for(tmp_path):
    log = "import os; _ = os.write(2, b'a native log line\\n')"
    write(tmp_path / "lesson.ipynb", "print(6 * 7)", log)
    arguments = [tmp_path / "lesson.ipynb", "--output", tmp_path / "out"]
    assert run(*arguments).returncode == 0
    result = run(*arguments, "--no-stderr")
    assert result.returncode == 1
    assert "lesson.ipynb: cell [2] writes to stderr: a native log line" in result.stderr
