"""Every test starts from the same random state."""

import pathlib

import keras
import pytest

if keras.backend.backend() == "jax":
    import jax

    # JAX compiles each loop that runs outside of a compiled function. Most tests compile the same ones as others, once.
    programs = pathlib.Path(__file__).parent.parent / "build" / "jax"
    jax.config.update("jax_compilation_cache_dir", str(programs))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
    jax.config.update("jax_disable_most_optimizations", True)


@pytest.fixture(autouse=True)
def seeded():
    keras.utils.set_random_seed(1)


@pytest.fixture(autouse=True)
def programs_are_dropped():
    """One process may map only so many programs (Linux: vm.max_map_count), and JAX keeps each one."""
    yield
    if keras.backend.backend() == "jax":
        jax.clear_caches()
