"""python -m rnnkit.course grade SUBMISSIONS ...: grades notebooks.

Runs each submission separately with the teacher's tests, and writes to OUT/LESSON/: grades.csv, junit.xml, one page
per student in pages/, and the raw results in results/. A student who has already been graded, with the same notebooks
and settings, is not graded again: an interrupted run continues where it stopped.

Exit status: 0 if all submissions are graded, 1 if one could not be (it gets 0 points, and the table says why), 2 if the
command or the teacher's notebook is wrong.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

import rnnkit
from rnnkit.course.grading import notebook, report
from rnnkit.course.grading.client import Server
from rnnkit.course.grading.lesson import Lesson, cut_off, read_lesson
from rnnkit.course.grading.sandbox import Limits, visible_folders
from rnnkit.course.grading.submission import find_submissions, read_submission

STRONG = (
    "isolation: namespaces. Submissions see no files of yours, no network, no other processes; see docs/teaching.md"
)
WEAK = (
    "isolation: process only ({}). Submissions are limited, but can read the files that you can; see docs/teaching.md"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Grades what the arguments name, by default those of the command line; returns the exit status."""
    options = parsed(arguments)
    try:
        lessons = options.lesson or lessons_of(options.submissions)
        return max(grade_lesson(path, options) for path in lessons)
    except (ValueError, RuntimeError, OSError) as problem:
        print(f"grade: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("stopped. Finished grades are kept: run the same command again", file=sys.stderr)
        return 130


def parsed(arguments):
    parser = argparse.ArgumentParser(
        prog="python -m rnnkit.course grade", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("submissions", nargs="+", type=pathlib.Path, help="notebooks, or folders of them")
    parser.add_argument(
        "--lesson",
        action="append",
        type=pathlib.Path,
        help="the teacher's notebook (default: those in notebooks/ that have submissions of the same name)",
    )
    parser.add_argument("--hidden", type=pathlib.Path, help="folder of hidden tests, LESSON/EXERCISE.py")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("build/grades"), help="(default %(default)s)")
    parser.add_argument("--isolation", choices=["auto", "namespaces", "process"], default="auto")
    parser.add_argument("--seconds", type=float, default=60, help="for the tests of one exercise (default %(default)s)")
    parser.add_argument("--memory", type=float, default=4, help="GB, for one exercise (default %(default)s)")
    parser.add_argument(
        "--jobs", type=int, default=os.cpu_count() or 1, help="submissions at once (default %(default)s)"
    )
    options = parser.parse_args(arguments)
    if options.hidden and not options.hidden.is_dir():
        parser.error(f"--hidden: expected a folder, received {options.hidden}")
    if min(options.seconds, options.memory, options.jobs) <= 0:
        parser.error("--seconds, --memory and --jobs: expected more than 0")
    if os.name != "posix":
        parser.error("grading needs Linux or macOS; on Windows use WSL")
    return options


def lessons_of(places):
    """Returns the lessons in notebooks/ that have submissions named after them."""
    lessons = sorted(pathlib.Path("notebooks").glob("*.ipynb"))
    names = {path.stem for place in places for path in [place, *place.rglob("*")]}
    found = [lesson for lesson in lessons if lesson.stem in names]
    if not found:
        raise ValueError("no submission is named after a lesson in notebooks/. Name the lesson: --lesson NOTEBOOK")
    return found


def grade_lesson(path: pathlib.Path, options: argparse.Namespace) -> int:
    """Grades all submissions of one lesson; returns the exit status."""
    lesson = read_lesson(path, options.hidden)
    submissions = find_submissions(options.submissions, path)
    folders = [options.out, options.hidden] if options.hidden else [options.out]
    check_out_of_sight([path, *(folder.resolve() for folder in folders), *submissions.values()])
    limits = Limits(seconds=options.seconds, memory=int(options.memory * 2**30))
    out = options.out / lesson.name
    (out / "results").mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    with Server(lesson.modules, limits, options.isolation) as server:
        print(STRONG if server.namespaces else WEAK.format(server.problem))
        for line in calibrate(lesson, server):
            print(line)
        points = sum(exercise.points for exercise in lesson.exercises)
        print(f"{lesson.name}: {len(submissions)} submissions, {len(lesson.exercises)} exercises, {points:g} points")
        settings = repr((rnnkit.__version__, lesson, limits, server.namespaces))

        def result_of(student):
            return grade_once(student, submissions[student], lesson, server, settings, out / "results")

        results = []
        pool = concurrent.futures.ThreadPoolExecutor(options.jobs)
        try:
            futures = [pool.submit(result_of, student) for student in submissions]
            for number, future in enumerate(concurrent.futures.as_completed(futures), 1):
                result, seconds = future.result()
                results.append(result)
                print(f"[{number}/{len(submissions)}] {line_of(result, seconds)}", flush=True)
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    results.sort(key=lambda result: result["student"])
    report.write(results, lesson, out)
    print(f"{time.monotonic() - begin:.0f} s; wrote {out}/grades.csv, junit.xml and pages/")
    return 1 if any(result["problem"] for result in results) else 0


def check_out_of_sight(paths: Sequence[pathlib.Path]) -> None:
    """Raises a ValueError if submissions could read one of the paths."""
    for path in paths:
        for folder in visible_folders():
            if (path.parent.resolve() / path.name).is_relative_to(folder):  # a submission may be a link to anywhere
                raise ValueError(f"{path} is inside {folder}, which submissions can read. Move it somewhere else")


def line_of(result, seconds):
    how = f"{seconds:.1f} s" if seconds is not None else "as before"
    line = f"{result['student']}: {report.total(result):g} ({how})  {result['problem'] or ''}".rstrip()
    return "".join(character if character.isprintable() else "?" for character in line)


def calibrate(lesson: Lesson, server: Server) -> Iterator[str]:
    """Fits the tests to the teacher's own solutions, which must pass them.

    A test that needs a variable of the lesson, which a submission does not have, ends before that line. Where the tests
    of an exercise need the solution's objects themselves, they run beside it.

    Yields:
        Lines about what was changed.

    Raises:
        ValueError: a solution does not pass.
    """
    sources = {exercise.name: exercise.source for exercise in lesson.exercises}
    changed = True
    while changed:
        changed = False
        for exercise, result in zip(lesson.exercises, graded(sources, lesson, server), strict=True):
            outcomes = list(zip(exercise.tests, result["tests"], strict=True))
            failed = [(test, outcome) for test, outcome in outcomes if not outcome["passed"]]
            if not failed:
                continue
            test, outcome = failed[0]
            changed = True
            if outcome.get("unknown"):
                rest = cut_off(test, outcome["unknown"], exercise)
                exercise.tests = [rest if one is test else one for one in exercise.tests if rest or one is not test]
                yield f"{exercise.name}, {test.label}: not graded from line {outcome['unknown']}, {outcome['message']}"
                if not exercise.tests:
                    yield f"{exercise.name}: no test is left, so it is not graded, and has no points"
                    exercise.points = 0
            elif not exercise.beside:
                exercise.beside = True
            else:
                why = result["error"] or outcome["message"]
                raise ValueError(f"{lesson.name}: the solution of {exercise.name} fails its own {test.label}.\n{why}")
    beside = [exercise.name for exercise in lesson.exercises if exercise.beside]
    if beside:
        yield f"tests beside the submission's code, which a submission can deceive: {', '.join(beside)}"


def grade_once(student, path, lesson, server, settings, folder):
    """Returns the result of a submission and the seconds that it took, or `None` for these if it was there already."""
    file = folder / f"{student}.json"
    problem, content = None, b""
    try:
        content = notebook.read(path)
    except ValueError as error:
        problem = str(error)
    key = hashlib.sha256(settings.encode() + repr(problem).encode() + content).hexdigest()
    try:
        result = json.loads(file.read_text(encoding="utf-8"))
        if result["key"] == key:
            return result, None
    except (OSError, ValueError, KeyError):
        pass  # not graded yet, or not completely
    begin = time.monotonic()
    result = {"student": student, "key": key, "problem": problem, "exercises": []}
    if problem is None:
        try:
            submission = read_submission(content, lesson)
            result["exercises"] = graded(submission.sources, lesson, server, submission.notes)
        except ValueError as error:
            result["problem"] = str(error)
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".part")
    unfinished.write_text(json.dumps(result, indent=1), encoding="utf-8")
    unfinished.replace(file)
    return result, time.monotonic() - begin


def graded(
    sources: dict[str, str], lesson: Lesson, server: Server, notes: dict[str, str] | None = None
) -> list[dict[str, Any]]:
    """Grades the sources of exercises.

    Args:
        sources: dictionary from an exercise's name to its source.
        lesson: `Lesson`.
        server: `client.Server`.
        notes: dictionary from an exercise's name to a remark for the student's page. Defaults to `None`, no remarks.

    Returns:
        List of dictionaries, one per exercise: `name`, `points`, `of`, `note`, `error` (why its cell does not run),
        `printed`, and `tests`, a list of dictionaries `label`, `hidden`, `passed`, `message`, `printed`.
    """
    results, running = [], []
    for exercise in lesson.exercises:
        result = {"name": exercise.name, "points": 0, "of": exercise.points, "note": (notes or {}).get(exercise.name)}
        result |= {"error": None, "printed": "", "tests": []}
        if exercise.name in sources:
            cell = [f"<cell {exercise.name}>", sources[exercise.name]]
            judged = judge_exercise(exercise, [*running, cell], lesson, server)
            result |= {"error": judged["error"], "printed": judged["printed"]}
            if judged["error"] is None:
                running.append(cell)
            outcomes = judged["results"]
        else:
            outcomes = []
        for number, test in enumerate(exercise.tests):
            outcome = outcomes[number] if number < len(outcomes) else NOT_RUN
            result["tests"].append({"label": test.label, "hidden": test.hidden, **outcome})
        passed = sum(test["passed"] for test in result["tests"])
        result["points"] = exercise.points * passed / len(exercise.tests) if exercise.tests else 0
        results.append(result)
    return results


NOT_RUN = {"passed": False, "message": "", "printed": ""}


def judge_exercise(exercise, cells, lesson, server):
    """Has an exercise judged; if a test ended the submission's process, judges the remaining tests in a new one."""
    earlier = [one.names for one in lesson.exercises[: lesson.exercises.index(exercise)]]
    names = [name for one in [*earlier, exercise.names] for name in one if name != exercise.name] + [exercise.name]
    job = {
        "preamble": [[f"<preamble {number}>", source] for number, source in enumerate(lesson.preamble, 1)],
        "cells": cells,
        "names": names,
        "tests": [[f"<{test.label}>", test.source] for test in exercise.tests],
        "seconds": server.limits.seconds,
    }
    judged = server.judged(job, exercise.beside)
    rest = judged
    while not rest["over"] and rest["error"] is None and len(judged["results"]) < len(exercise.tests):
        job["tests"] = job["tests"][len(rest["results"]) :]
        job["seconds"] -= rest["seconds"]
        if job["seconds"] <= 0:
            break
        rest = server.judged(job, exercise.beside)
        judged["results"] += rest["results"]
    return judged
