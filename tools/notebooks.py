"""Runs notebooks in a fresh kernel, with one line of progress each, and keeps executed copies and HTML pages.

python tools/notebooks.py                       every notebook, results in build/notebooks/
python tools/notebooks.py --in-place FILE ...   store the outputs in the notebooks themselves, in the canonical form
"""

import argparse
import os
import re
import sys
import time
from pathlib import Path

import nbformat
from jupyter_client import AsyncKernelManager
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from nbclient import NotebookClient
from nbconvert import HTMLExporter
from traitlets import default

ROOT = Path(__file__).resolve().parent.parent
METADATA = {  # the same on every machine
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
HIDDEN = {"jupyter": {"source_hidden": True}, "cellView": "form"}  # of a cell tagged hide-input: Jupyter, then Colab
PAGE = """\
{% extends "lab/index.html.j2" %}
{% block data_png scoped %}
<div class="jp-RenderedImage jp-OutputArea-output {{ extra_class }}">
<img src="data:image/png;base64,{{ output.data["image/png"] }}"
     {%- if output | get_metadata("width", "image/png") %}
     width="{{ output | get_metadata("width", "image/png") }}"
     {%- endif %}
     alt="{{ output | get_metadata("alt", "image/png") or "" | escape_html }}">
</div>
{% endblock %}
{% block input_group %}
{% if "hide-input" in cell.metadata.get("tags", []) %}
<details><summary>Checks</summary>{{ super() }}</details>
{% else %}
{{ super() }}
{% endif %}
{% endblock %}
"""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path, default=sorted((ROOT / "notebooks").glob("*.ipynb")))
    parser.add_argument("--in-place", action="store_true", help="store the outputs in the notebooks themselves")
    parser.add_argument(
        "--no-stderr", action="store_true", help="fail if a cell writes to stderr, except the Colab cell"
    )
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "notebooks", help="folder of the results")
    parser.add_argument("--python", type=os.path.abspath, default=sys.executable, help="the Python that runs the cells")
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    errors = []
    for path in options.files:
        print(f"{path.stem:<24}", end="", flush=True)
        start = time.perf_counter()
        try:
            notebook = nbformat.read(path, as_version=4)
            error = execute(notebook, path.parent, options.python)
            if options.no_stderr and not error:
                error = stderr_of(notebook)
            if options.in_place and not error:
                nbformat.write(canonical(notebook), path)
            nbformat.write(notebook, options.output / path.name)
            page = options.output / f"{path.stem}.html"
            page.write_text(as_html(notebook, path), encoding="utf-8")
        except Exception as problem:  # whatever happens to one notebook, the others still run
            error, notebook = describe(problem), None
        print(f"{time.perf_counter() - start:7.1f} s  {device(notebook)}{'  FAILED' if error else ''}", flush=True)
        if error:
            errors.append(f"{path.name}: {error}")
    print("\n".join(errors), file=sys.stderr, end="\n" if errors else "")
    return 1 if errors else 0


def execute(notebook, folder, python):
    """Runs all cells in place; returns `None`, or the failing cell's number and its error."""
    code_cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    for cell in code_cells:
        cell.outputs, cell.execution_count = [], None
    started = []
    client = NotebookClient(
        notebook,
        kernel_manager_class=kernel_manager(python),
        kernel_name="python3",
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(folder)}},
        on_cell_execute=lambda cell, cell_index: started.append(cell),
    )
    try:
        client.execute()
    except Exception as problem:
        number = next((i for i, cell in enumerate(code_cells, 1) if started and cell is started[-1]), 0)
        return f"cell [{number}]: {describe(problem)}" if number else describe(problem)


def stderr_of(notebook):
    """Returns `None`, or the first cell that wrote to stderr and its lines. The Colab cell may: pip does."""
    for number, cell in enumerate((cell for cell in notebook.cells if cell.cell_type == "code"), 1):
        lines = [output.text for output in cell.outputs if output.get("name") == "stderr"]
        if lines and "colab" not in cell.metadata.get("tags", []):
            return f"cell [{number}] writes to stderr: {''.join(lines).strip()}"


def kernel_manager(python):
    """Returns a kernel manager that always starts `python`, whatever kernels of this name the machine has."""
    command = [python, "-m", "ipykernel_launcher", "--log-level=ERROR", "-f", "{connection_file}"]

    class Kernels(KernelSpecManager):
        def get_kernel_spec(self, kernel_name):
            return KernelSpec(argv=command, display_name="Python 3", language="python")

    class Manager(AsyncKernelManager):
        @default("kernel_spec_manager")
        def _kernels(self):
            return Kernels(parent=self)

    return Manager


def canonical(notebook):
    """Returns the notebook without anything that depends on the machine or the editor."""
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        cell.metadata = nbformat.from_dict(({"tags": tags} if tags else {}) | (HIDDEN if "hide-input" in tags else {}))
    return notebook


def as_html(notebook, path):
    """Returns one page that contains its pictures and their descriptions; MathJax, from the network, draws formulas."""
    exporter = HTMLExporter(embed_images=True, raw_template=PAGE)
    page, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": path.stem, "path": str(path.parent)}})
    return page


def device(notebook):
    """Returns the device that the notebook's set-up line names."""
    for cell in notebook.cells if notebook else []:
        for output in cell.get("outputs", []):
            if line := re.search(r" \| Keras .* \| Python \S+ \| (.+)", output.get("text", "")):
                return line[1]
    return "-"


def describe(problem):
    """Describes an error in one line: its type and the last line of its message."""
    lines = re.sub(r"\x1b\[[0-9;]*m", "", str(problem)).strip().splitlines()
    if getattr(problem, "ename", None):  # an error in a cell
        return f"{problem.ename}: {problem.evalue}"
    return f"{type(problem).__name__}: {lines[-1] if lines else ''}"


if __name__ == "__main__":
    sys.exit(main())
