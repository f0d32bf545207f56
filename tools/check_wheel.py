"""Installs a wheel in an empty environment and uses it there: its data, a layer that trains, and no file of a checkout.

python tools/check_wheel.py dist/rnnkit-*.whl
"""

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

PROGRAM = """
import sys
from pathlib import Path

import keras
import numpy as np

import rnnkit

assert Path(rnnkit.__file__).is_relative_to(sys.prefix), rnnkit.__file__
assert len(rnnkit.datasets.sentences()) == 347
assert (Path(rnnkit.__file__).parent / "py.typed").is_file()
model = keras.Sequential([rnnkit.layers.LSTM(4), keras.layers.Dense(1)])
model.compile("adam", "mse")
model.fit(np.ones((8, 5, 3)), np.ones((8, 1)), verbose=0)
print("rnnkit", rnnkit.__version__, "works from", rnnkit.__file__)
"""


def main():
    [wheel] = map(Path, sys.argv[1:])
    with tempfile.TemporaryDirectory() as folder:
        environment = Path(folder, "environment")
        venv.create(environment, with_pip=True)
        python = environment / ("Scripts" if sys.platform == "win32" else "bin") / "python"
        subprocess.run([python, "-m", "pip", "install", "--quiet", wheel.resolve()], check=True)
        subprocess.run([python, "-I", "-c", PROGRAM], cwd=folder, check=True)


if __name__ == "__main__":
    main()
