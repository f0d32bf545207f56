"""Writes the results: a table, JUnit XML, and one page per student.

None of them shows what students must not know of a hidden test: its words, and what the code printed in it.
"""

import csv
import html
import pathlib
import re
import xml.etree.ElementTree as ElementTree
from typing import Any

from rnnkit.course.grading.lesson import Lesson

NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
HIDDEN = "A hidden test fails. What other inputs could there be?"


def total(result: dict[str, Any]) -> float:
    """Returns the points of a submission."""
    return round(sum(exercise["points"] for exercise in result["exercises"]), 2)


def write(results: list[dict[str, Any]], lesson: Lesson, folder: pathlib.Path) -> None:
    """Writes the table, the XML and the pages.

    Args:
        results: list of dictionaries `student`, `problem`, `exercises`; see `command.graded`.
        lesson: `Lesson`.
        folder: folder to write to.
    """
    write_table(results, lesson, folder / "grades.csv")
    write_junit(results, lesson, folder / "junit.xml")
    for result in results:
        page = folder / "pages" / f"{result['student']}.html"
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(page_of(result, lesson), encoding="utf-8", errors="replace")


def write_table(results, lesson, path):
    """Writes one row per student: the points of each exercise, their sum, and what prevented grading."""
    with open(path, "w", newline="", encoding="utf-8", errors="replace") as file:
        table = csv.writer(file)
        table.writerow(["student", *[exercise.name for exercise in lesson.exercises], "total", "of", "problem"])
        of = sum(exercise.points for exercise in lesson.exercises)
        for result in results:
            points = {exercise["name"]: round(exercise["points"], 2) for exercise in result["exercises"]}
            row = [plain(result["student"]), *[points.get(exercise.name, 0) for exercise in lesson.exercises]]
            table.writerow([*row, total(result), of, plain(result["problem"] or "")])


def plain(text):
    """Returns the text, with a mark before what a spreadsheet would run as a formula."""
    return f"'{text}" if text[:1] in "=+-@\t\r" and text else text


def write_junit(results, lesson, path):
    """Writes one suite per student, one case per test."""
    root = ElementTree.Element("testsuites", name=lesson.name)
    for result in results:
        cases = [(exercise, test) for exercise in result["exercises"] for test in exercise["tests"]]
        failures = sum(not test["passed"] for _, test in cases)
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=clean(result["student"]),
            tests=str(len(cases)),
            failures=str(failures),
            errors=str(int(bool(result["problem"]))),
        )
        if result["problem"]:
            case = ElementTree.SubElement(suite, "testcase", classname=lesson.name, name="notebook")
            ElementTree.SubElement(case, "error", message=clean(result["problem"]))
        for exercise, test in cases:
            case = ElementTree.SubElement(
                suite, "testcase", classname=f"{lesson.name}.{exercise['name']}", name=test["label"]
            )
            if not test["passed"]:
                ElementTree.SubElement(case, "failure").text = clean(words(exercise, test))
    ElementTree.indent(root)
    ElementTree.ElementTree(root).write(path, encoding="utf-8", xml_declaration=True)


def clean(text):
    """Returns the text without characters that XML forbids."""
    return NO_XML.sub("?", text)


def words(exercise, test):
    """Returns what the student may read about a failed test, or what a test printed when it passed."""
    if exercise["error"]:
        return exercise["error"]
    if test["hidden"]:
        return "" if test["passed"] else HIDDEN
    return test["message"] or ("" if test["passed"] else exercise["note"] or "Not run.")


def page_of(result, lesson):
    """Returns a student's page, as HTML."""
    of = sum(exercise.points for exercise in lesson.exercises)
    parts = [f"<h1>{shown(lesson.name)}: {shown(result['student'])}</h1>"]
    if result["problem"]:
        parts.append(f"<p>The notebook could not be graded: {shown(result['problem'])}.</p>")
    parts.append(f"<p class='points'>{total(result):g} of {of:g} points</p>")
    for exercise in result["exercises"]:
        parts.append(f"<h2>{shown(exercise['name'])}: {round(exercise['points'], 2):g} of {exercise['of']:g}</h2>")
        for text in (exercise["note"], exercise["error"]):
            parts += [f"<pre>{shown(text)}</pre>"] if text else []
        if exercise["printed"]:
            parts.append(f"<p>Your cell printed:</p><pre>{shown(exercise['printed'])}</pre>")
        if exercise["error"] or not any(test["message"] or test["passed"] for test in exercise["tests"]):
            continue
        for test in exercise["tests"]:
            sign = "passed" if test["passed"] else "failed"
            parts.append(f"<p class='{sign}'>{shown(test['label'])}: {sign}</p>")
            text = words(exercise, test)
            parts += [f"<pre>{shown(text)}</pre>"] if text else []
            if test["printed"] and not test["hidden"]:
                parts.append(f"<p>Your code printed:</p><pre>{shown(test['printed'])}</pre>")
    return PAGE.format(title=shown(f"{lesson.name}: {result['student']}"), body="\n".join(parts))


def shown(text):
    return html.escape(clean(text))


PAGE = """<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
body {{ font: 1rem/1.5 sans-serif; max-width: 50rem; margin: 2rem auto; padding: 0 1rem }}
pre {{ background: #f4f4f4; padding: .5rem; overflow-x: auto; white-space: pre-wrap }}
.points {{ font-size: 1.25rem }}
.passed::before {{ content: "\\2713  " }}
.failed::before {{ content: "\\2717  " }}
.failed {{ font-weight: bold }}
</style>
{body}
</html>
"""
