import re
from pathlib import Path

import pytest

from rnnkit import course

ROOT = Path(__file__).parents[2]


def test_each_file_of_results_belongs_to_a_lesson_and_to_the_script_that_writes_it():
    for file in (ROOT / "data" / "results").glob("*"):
        script = ROOT / "benchmarks" / f"lesson_{file.name[:2]}.py"
        assert (ROOT / "notebooks" / f"{file.stem}.ipynb").is_file(), file
        assert re.search(rf"write_results\(\s*[\"']{file.stem}[\"'].*folder=OF_LESSONS", script.read_text(), re.S), file
        assert "machine" in course.results(file.stem)


def test_a_lesson_without_results():
    with pytest.raises(FileNotFoundError, match="results/01_nothing.json"):
        course.results("01_nothing")
