"""What the benchmarks share: contenders that alternate, a process for each, and a file of results."""

import json
import os
import platform
import statistics
import subprocess
import sys
import time
from functools import partial
from importlib import metadata
from pathlib import Path

RESULTS = Path(__file__).parent.parent / "results"
OF_LESSONS = Path(__file__).parents[2] / "data" / "results"  # `course.results` reads these


def in_turn(contenders, rounds):
    """What each of `rounds` calls of each contender (a dictionary of functions) returns, one after the other."""
    results = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, run in contenders.items():
            results[name].append(run())
    return results


def alternate(contenders, rounds):
    """Seconds of the calls that `in_turn` makes."""

    def seconds_of(run):
        begin = time.perf_counter()
        run()
        return time.perf_counter() - begin

    return in_turn({name: partial(seconds_of, run) for name, run in contenders.items()}, rounds)


def ratio(times, base):
    """The ratio of medians, and the smallest and the largest ratio of one round."""
    ratios = [a / b for a, b in zip(times, base, strict=True)]
    return {"ratio": statistics.median(times) / statistics.median(base), "spread": [min(ratios), max(ratios)]}


def in_a_process_of_its_own(*arguments, **environment):
    """Runs this benchmark again, with these arguments and variables; returns the JSON that it prints last."""
    command = [sys.executable, sys.argv[0], *map(str, arguments)]
    run = subprocess.run(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(run.stdout.splitlines()[-1])


def peak_megabytes():
    """The most resident memory that this process has had; Linux only."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def write_results(name, packages, folder=RESULTS, **results):
    """Writes `<name>.json` into the folder, with the machine and the versions of `packages`."""
    folder.mkdir(exist_ok=True)
    text = json.dumps({"machine": machine(packages), **results}, indent=1)
    (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def machine(packages):
    about = {"processor": _processor(), "cores": os.cpu_count(), "python": platform.python_version()}
    return {**about, **{package: metadata.version(package) for package in packages}}


def _processor():
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
