"""Every test starts from the same random state, and what takes longest starts first."""

import gc
import os
import sys
from pathlib import Path

import pytest

JAX = os.environ.get("KERAS_BACKEND") == "jax"

LONG_FILES = [  # the longest first, as two workers then end together; every other file follows
    "07_attention_seq2seq.ipynb",
    "06_stacked.ipynb",
    "04_gru.ipynb",
    "test_distribution.py",
    "08_ner.ipynb",
    "05_bidirectional.ipynb",
    "03_lstm.ipynb",
    "02_vanilla_rnn.ipynb",
    "test_tensorflow_bptt.py",
    "test_export.py",
    "test_tensorflow_forward_mode.py",
    "test_jax_bptt.py",
    "test_torch_kernels.py",
    "test_keras_own.py",
    "test_stacked.py",
    "test_decoding.py",
    "test_crf.py",
    "test_gru.py",
    "test_layer_norm.py",
    "01_word2vec.ipynb",
]

if JAX:
    import jax

    # JAX compiles each loop that runs outside of a compiled function. Most tests compile the same ones as others, once.
    programs = Path(__file__).parent.parent / "build" / "jax"
    jax.config.update("jax_compilation_cache_dir", str(programs))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_disable_most_optimizations", True)


def pytest_addoption(parser):
    parser.addoption("--cases", type=int, help="how many cases of each test run, at most: the first ones and the last")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    if config.getoption("--cases"):
        left_out = surplus(items, config.getoption("--cases"))
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if item not in left_out]
    order = {name: rank for rank, name in enumerate(LONG_FILES)}
    items.sort(key=lambda item: order.get(item.path.name, len(order)))


def surplus(items, count):
    """The cases of each test of the package that are more than `count`. Of the project itself, nothing is left out."""
    cases = {}
    for item in items:
        if item.path.parent.name != "tests" and hasattr(item, "callspec"):
            cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    return {item for group in cases.values() for item in group[count - 1 : -1]}


@pytest.fixture(autouse=True)
def seeded():
    import keras  # here: the process that hands out the tests of parallel runs needs no backend

    keras.utils.set_random_seed(1)


@pytest.fixture(autouse=True)
def no_figure_is_open():
    """Pictures go into the current figure: one that another test or docstring left open would get them."""
    pyplot = sys.modules.get("matplotlib.pyplot")  # not imported here: most tests draw nothing
    if pyplot is not None:
        pyplot.close("all")


@pytest.fixture(autouse=True, scope="module")
def earlier_files_are_no_garbage():
    """What earlier files left isn't looked through again: Keras collects garbage whenever it quantizes a layer."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def programs_are_dropped():
    """One process may map only so many programs (Linux: vm.max_map_count), and JAX keeps each one."""
    yield
    if JAX:
        jax.clear_caches()
