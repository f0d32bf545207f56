import os
import re
import subprocess
import sys

import keras
import pytest

from rnnkit import course
from rnnkit.course.session import quiet_native_stderr

LINE = r"\w+ \S+ \| Keras \S+ \(%s\) \| Python \d+\.\d+\.\d+ \| .+\n"


def test_a_fresh_process_prints_one_line_and_no_log():
    script = "from rnnkit import course; course.setup(seed=1)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.returncode == 0
    assert re.fullmatch(LINE % keras.backend.backend(), result.stdout)
    assert result.stderr == ""


@pytest.mark.slow
def test_the_first_training_logs_nothing():
    script = """
from rnnkit import course
course.setup(seed=1)
import keras, numpy as np
model = keras.Sequential([keras.layers.Dense(1)])
model.compile("sgd", "mse", jit_compile=keras.backend.backend() != "torch")
model.fit(np.ones((2, 3)), np.ones((2, 1)), verbose=0)
"""
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")


def test_the_seed_decides_the_numbers(capfd):
    def draw(seed):
        course.setup(seed)
        return keras.ops.convert_to_numpy(keras.random.normal((3,))).tolist()

    assert draw(3) == draw(3) != draw(4)


def test_unknown_backend_is_refused(monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "abacus")
    with pytest.raises(ValueError, match="jax.*tensorflow.*torch.*'abacus'"):
        course.setup()


def test_native_stderr_is_held_back_and_comes_back(capfd):
    with quiet_native_stderr():
        os.write(2, b"a log line\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def test_native_stderr_is_shown_after_an_error(capfd):
    with pytest.raises(ImportError):
        with quiet_native_stderr():
            os.write(2, b"the cause\n")
            raise ImportError("no backend")
    assert capfd.readouterr().err == "the cause\n"
