"""Training on two devices, in two processes, and through the death of one of them, against one process alone."""

import contextlib
import json
import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

import rnnkit.layers  # noqa: F401  (registers the layers of a saved model)

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE, MODELS = ROOT / "examples" / "distributed_ner.py", ROOT / "tests" / "distributed_models.py"
HANGS = 600  # seconds after which we give up on a process
QUICK, TWO_DEVICES = "--xla_backend_optimization_level=0", "--xla_force_host_platform_device_count=2"
BACKEND = keras.backend.backend()
pytestmark = pytest.mark.slow
on_tensorflow = pytest.mark.skipif(BACKEND != "tensorflow", reason="tf.distribute is TensorFlow's own")
on_jax = pytest.mark.skipif(BACKEND != "jax", reason="keras.distribution.DataParallel needs JAX")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Losses and weights of all models, trained alone and on two virtual devices."""
    folder = tmp_path_factory.mktemp("devices")
    mode, flags = ("jax", f"{QUICK} {TWO_DEVICES}") if BACKEND == "jax" else ("mirrored", QUICK)
    with Child(MODELS, mode, folder / "results.npz", log=folder / "log", XLA_FLAGS=flags) as child:
        child.succeeds()
    return np.load(folder / "results.npz")


@on_tensorflow
def test_mirrored_strategy(models):
    assert_same(results(models, "on 2"), results(models, "alone"))


@on_tensorflow
def test_multi_worker_mirrored_strategy(models, tmp_path):
    files = [tmp_path / "0.npz", tmp_path / "1.npz"]
    with workers(*[(MODELS, "worker", file) for file in files], folder=tmp_path) as children:
        for child in children:
            child.succeeds()
    for file in files:
        assert_same(results(np.load(file), "on 2"), results(models, "alone"))


@on_jax
def test_data_parallel(models):
    assert_same(results(models, "on 2"), results(models, "alone"))


@on_tensorflow
def test_a_run_survives_the_death_of_a_worker(tmp_path):
    alone, together = tmp_path / "alone", tmp_path / "together"
    with Child(EXAMPLE, "--epochs", "3", "--folder", alone, log=tmp_path / "log") as child:
        undisturbed = losses(child.succeeds())
    assert [*undisturbed] == [1, 2, 3]

    commands = [(EXAMPLE, "--epochs", "3", "--folder", together)] * 2
    with workers(*commands, folder=tmp_path) as (victim, other):
        begin = time.monotonic()
        while 1 not in losses(victim.output()):
            assert victim.poll() is None and time.monotonic() < begin + HANGS, victim.output()
            time.sleep(0.02)
        victim.kill()
        victim.wait(HANGS)
        assert other.wait(HANGS) != 0
    before = losses(victim.output())
    assert 3 not in before

    with workers(*commands, folder=tmp_path) as (first, second):
        after = losses(first.succeeds())
        second.succeeds()
    assert [*after] in ([2, 3], [3])  # only the third if the second was over before the kill
    for epoch, loss in [*before.items(), *after.items()]:
        assert loss == pytest.approx(undisturbed[epoch], rel=1e-5)
    for weight, expected in zip(saved_weights(together), saved_weights(alone), strict=True):
        np.testing.assert_allclose(weight, expected, rtol=1e-4, atol=1e-4)
    assert [file.name for file in together.iterdir()] == ["tagger.keras"]


def assert_same(results, reference):
    assert results.keys() == reference.keys()
    for name, value in results.items():
        np.testing.assert_allclose(value, reference[name], rtol=1e-4, atol=1e-6, err_msg=name)
    falls = {name: value[-1] < value[0] for name, value in reference.items() if name.endswith("loss")}
    assert len(falls) == 3 and all(falls.values()), falls
    before = {name for name in reference if ", before: " in name}
    still = [name for name in before if (reference[name] == reference[name.replace("before", "after")]).all()]
    assert len(before) > 40 and not still, still


def results(file, run):
    return {name.removeprefix(f"{run} "): file[name] for name in file if name.startswith(f"{run} ")}


def losses(output):
    """The loss of each epoch that was printed."""
    return {int(epoch): float(loss) for epoch, loss in re.findall(r"^epoch (\d+) of \d+: loss (.+)\n", output, re.M)}


def saved_weights(folder):
    return keras.saving.load_model(folder / "tagger.keras").get_weights()


class Child(subprocess.Popen):
    """A process with this Python and without GPUs, which ends with its `with` block."""

    def __init__(self, *command, log, **environment):
        self.log = log
        environment = os.environ | {"CUDA_VISIBLE_DEVICES": "-1", "XLA_FLAGS": QUICK} | environment
        with log.open("w") as output:
            super().__init__([sys.executable, *command], env=environment, stdout=output, stderr=subprocess.STDOUT)

    def __exit__(self, *error):
        self.kill()
        super().__exit__(*error)

    def output(self):
        return self.log.read_text()

    def succeeds(self):
        assert self.wait(HANGS) == 0, self.output()
        return self.output()


@contextlib.contextmanager
def workers(*commands, folder):
    """The workers of a cluster on this machine, one process per command."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in commands]
        addresses = [f"127.0.0.1:{one.getsockname()[1]}" for one in sockets]
    with contextlib.ExitStack() as stack:
        children = []
        for index, command in enumerate(commands):
            cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            child = Child(*command, log=folder / f"{index}.log", TF_CONFIG=json.dumps(cluster))
            children.append(stack.enter_context(child))
        yield children
