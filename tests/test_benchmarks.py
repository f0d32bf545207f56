"""docs/benchmarks.md shows what was measured, and a benchmark whose results it leaves out is found."""

import re
import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
TABLES = runpy.run_path(str(ROOT / "benchmarks" / "tables.py"))
PAGE = TABLES["page"]()


def test_page_is_the_one_that_the_script_writes():
    assert TABLES["PAGE"].read_text(encoding="utf-8") == PAGE, "docs/benchmarks.md is old: run make tables"


def test_page_shows_all_results(monkeypatch):
    read = set()
    original = TABLES["results"]
    monkeypatch.setitem(TABLES["page"].__globals__, "results", lambda name: read.add(name) or original(name))
    TABLES["page"]()
    assert read == {path.stem for path in RESULTS.glob("*.json")}


def test_page_has_no_empty_cell_of_numbers():
    rows = [line for line in PAGE.splitlines() if line.startswith("| ") and re.search(r"\d", line)]
    assert len(rows) > 50
    assert [row for row in rows if "|  |  |" in row or "nan" in row] == []


def test_a_known_figure_reaches_the_page():
    [row] = [row for row in TABLES["results"]("ner")["rows"] if row["contender"] == "BiLSTM-CRF"]
    assert f"| BiLSTM-CRF | {row['F1']:.1f} | {min(row['each']):.1f} to {max(row['each']):.1f} |" in PAGE


def test_every_table_is_rectangular():
    for block in re.findall(r"(?:^\|.*\n)+", PAGE, re.MULTILINE):
        assert len({line.count("|") for line in block.splitlines()}) == 1, block
