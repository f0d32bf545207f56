"""The examples of docs/moving.md run, one after another."""

import importlib.util
import re
from pathlib import Path

BLOCKS = re.findall(r"```python\n(.*?)```", (Path(__file__).parents[2] / "docs/moving.md").read_text(), re.DOTALL)
HAS_TORCH = importlib.util.find_spec("torch") is not None


def test_the_examples_of_the_guide():
    assert len(BLOCKS) == 6
    names = {}
    for block in BLOCKS:
        if HAS_TORCH or not block.startswith("# needs PyTorch"):
            exec(block, names)  # noqa: S102
