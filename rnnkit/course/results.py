"""What takes too long for a lesson: runs with other seeds, longer training, data that not everybody has."""

import json
from typing import Any

from rnnkit.datasets.data_file import data_file


def results(lesson: str) -> dict[str, Any]:
    """Reads what was measured for a lesson outside of it.

    The script `benchmarks/lesson_<number>.py` of the repository makes the measurements and writes them to
    `data/results/<lesson>.json`, with the machine and the versions of the packages under `"machine"`.

    Args:
        lesson: name of the lesson's notebook without its ending, such as `"06_stacked"`.

    Returns:
        The measurements, as the script wrote them.

    Raises:
        FileNotFoundError: nothing was measured for a lesson of this name.
    """
    return json.loads(data_file(f"results/{lesson}.json").read_text(encoding="utf-8"))
