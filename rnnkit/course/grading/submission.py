"""A student's notebook: the sources of the exercises, and nothing else from it."""

import dataclasses
import os
import pathlib
import re
from collections.abc import Iterable

from rnnkit.course.grading import notebook
from rnnkit.course.grading.lesson import Lesson


@dataclasses.dataclass
class Submission:
    """What a student wrote.

    Args:
        sources: dictionary from an exercise's name to the source of its cell.
        notes: dictionary from an exercise's name to a remark about its cell.
    """

    sources: dict[str, str]
    notes: dict[str, str]


def read_submission(content: bytes, lesson: Lesson) -> Submission:
    """Finds the exercises in a student's notebook.

    A cell belongs to an exercise if it has its id. If no cell has it (some editors assign new ids), the cell that
    defines the exercise's name does.

    Args:
        content: bytes of the notebook.
        lesson: `Lesson`.

    Returns:
        `Submission`.

    Raises:
        ValueError: the bytes are not a notebook.
    """
    code = [cell for cell in notebook.cells(content) if cell.kind == "code"]
    ids = {exercise.id for exercise in lesson.exercises}
    submission = Submission({}, {})
    for exercise in lesson.exercises:
        found = [cell for cell in code if cell.id == exercise.id]
        if not found:
            definition = re.compile(rf"^(?:def|class) {exercise.name}\b", re.MULTILINE)
            found = [cell for cell in code if cell.id not in ids and definition.search(cell.source)]
            if found:
                submission.notes[exercise.name] = "The cell has lost its id; it was found by what it defines."
        if len(found) == 1:
            submission.sources[exercise.name] = found[0].source
        elif found:
            submission.notes[exercise.name] = f"The notebook has {len(found)} cells for this exercise. Keep one."
        else:
            submission.notes[exercise.name] = "The notebook has no cell for this exercise. Was it deleted?"
    return submission


def find_submissions(places: Iterable[str | pathlib.Path], lesson_path: str | pathlib.Path) -> dict[str, pathlib.Path]:
    """Finds the notebooks of a lesson below some folders.

    These are `STUDENT.ipynb`, `STUDENT/LESSON.ipynb` and `LESSON/STUDENT.ipynb`. Notebooks that are named after another
    lesson are left out, as are folders and files whose names begin with a dot. Links to folders are not followed.

    Args:
        places: folders or files.
        lesson_path: the teacher's notebook.

    Returns:
        Dictionary from a student's name to the path, in the order of the names.

    Raises:
        ValueError: a place does not exist, or a student has two notebooks.
    """
    lesson = pathlib.Path(lesson_path)
    others = {path.stem for path in lesson.parent.glob("*.ipynb")} - {lesson.stem}
    found = {}
    for place in map(pathlib.Path, places):
        if not os.path.lexists(place):
            raise ValueError(f"{place}: expected a notebook or a folder of notebooks, found nothing there")
        if place.is_symlink():
            raise ValueError(
                f"{place}: expected a notebook or a folder of notebooks, received a link. Name what it links to"
            )
        paths = [place] if not place.is_dir() else sorted(notebooks_below(place))
        for path in paths:
            student = path.stem if path == place else student_of(path.relative_to(place), lesson.stem, others)
            if student is None:
                continue
            if student in found:
                raise ValueError(f"expected one notebook of {student}, received {found[student]} and {path}")
            found[student] = path
    return dict(sorted(found.items()))


def notebooks_below(folder):
    for root, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in files:
            if name.endswith(".ipynb") and not name.startswith("."):
                yield pathlib.Path(root) / name


def student_of(path, lesson, others):
    """Returns whose notebook it is, by its path below the folder; `None` if it is for another lesson.

    >>> import pathlib
    >>> [student_of(pathlib.Path(path), "03_lstm", {"04_gru"}) for path in
    ...  ["ann.ipynb", "ann/03_lstm.ipynb", "03_lstm/ann.ipynb", "ann/04_gru.ipynb", "04_gru.ipynb", "ann/notes.ipynb"]]
    ['ann', 'ann', 'ann', None, None, None]
    """
    parts = path.with_suffix("").parts
    if parts[-1] == lesson:
        return "/".join(part for part in parts[:-1] if part != lesson) or lesson
    if parts[-1] in others or (len(parts) > 1 and parts[-2] != lesson):
        return None
    return "/".join(part for part in parts if part != lesson)
