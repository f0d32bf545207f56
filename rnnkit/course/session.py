"""The first line of every lesson: a quiet start, a seed, and one line that names the versions and the device."""

import contextlib
import os
import platform
import sys
import tempfile
from collections.abc import Iterator


def setup(seed: int = 1) -> None:
    """Starts Keras on its backend without the backend's native log lines.

    Imports Keras, lets a GPU's memory grow as needed, seeds Python, NumPy and Keras, and prints the versions and the
    device that the models run on. Call it before anything else imports TensorFlow: log lines that are already written
    cannot be taken back.

    Args:
        seed: integer, for `keras.utils.set_random_seed`. Defaults to `1`.

    Raises:
        ImportError: the backend that Keras is configured for cannot be imported.
        ValueError: Keras is configured for a backend that rnnkit does not support.

    Example:

    >>> from rnnkit import course
    >>> course.setup(seed=1)  # doctest: +ELLIPSIS
    TensorFlow ... | Keras ... (tensorflow) | Python ... | ...
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # for later lines; those of the import are redirected
    with quiet_native_stderr():
        import keras

        backend = keras.backend.backend()
        if backend not in BACKENDS:
            raise ValueError(
                f"expected a Keras backend among {sorted(BACKENDS)}, received {backend!r}. Set KERAS_BACKEND."
            )
        name, version, device = BACKENDS[backend]()
        one = keras.ops.ones((1, 1))
        keras.ops.convert_to_numpy(keras.ops.matmul(one, one))  # starts the device
        keras.utils.set_random_seed(seed)  # imports TensorFlow where it is installed, whatever the backend
    print(f"{name} {version} | Keras {keras.__version__} ({backend}) | Python {platform.python_version()} | {device}")


@contextlib.contextmanager
def quiet_native_stderr() -> Iterator[None]:
    """Holds back what C++ libraries write to stderr, past `sys.stderr`; shows it after all if the body raises."""
    sys.stderr.flush()
    stderr = os.dup(2)
    with tempfile.TemporaryFile() as held_back:
        os.dup2(held_back.fileno(), 2)
        try:
            yield
        except BaseException:
            os.dup2(stderr, 2)
            held_back.seek(0)
            os.write(2, held_back.read())
            raise
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)


def _tensorflow():
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        with contextlib.suppress(RuntimeError):  # the GPU is already in use, as in a second call
            tf.config.experimental.set_memory_growth(gpu, True)
    tf.transpose(tf.zeros((64, 24), tf.bool))  # masks: oneDNN logs here, once, what it cannot do without AVX-512
    tf.function(lambda x: x + 1, jit_compile=True)(tf.zeros(()))  # XLA logs here, once, that it compiled something
    names = [tf.config.experimental.get_device_details(gpu).get("device_name", "GPU") for gpu in gpus]
    return "TensorFlow", tf.__version__, names[0] if names else "CPU"


def _jax():
    import jax

    device = jax.devices()[0]
    return "JAX", jax.__version__, "CPU" if device.platform == "cpu" else device.device_kind


def _torch():
    import torch

    return "PyTorch", torch.__version__, torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"


BACKENDS = {"tensorflow": _tensorflow, "jax": _jax, "torch": _torch}
