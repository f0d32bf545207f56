"""Who traces a function: what is exported, and what a model compiled with `jit_compile=False` runs, is not compiled.

Neither TensorFlow nor Keras hands that down to a layer. The frames of the callers show it.
"""

import functools
import inspect
import sys
import weakref

import keras

EXPORTERS = ("keras.src.export", "tensorflow.lite", "tensorflow.python.saved_model", "tensorflowjs", "tf2onnx")
_uncompiled = weakref.WeakSet()  # models that their users do not want compiled


def reason_of_the_caller():
    """Why the function that is being traced shall consist of TensorFlow's operations alone; None if it need not."""
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith(EXPORTERS):
            return "it is being exported, and other programs do not have XLA"
        if frame.f_code.co_name.endswith("_step") and frame.f_code.co_argcount:
            caller = frame.f_locals.get(frame.f_code.co_varnames[0])
            if isinstance(caller, keras.Model) and caller in _uncompiled:
                return "model.compile(jit_compile=False) asks for it"
        frame = frame.f_back
    return None


def _note_jit_compile():
    """Keeps what `keras.Model.compile` is given as `jit_compile`.

    On a processor, Keras makes False of its default, too, so that the model does not say what was asked of it. A saved
    model has that False in its configuration, where it is nobody's wish.
    """
    owner = next(base for base in keras.Model.__mro__ if "compile" in vars(base))  # Keras compares its method with it
    compile_model, compile_from_config = owner.compile, owner.compile_from_config
    signature = inspect.signature(compile_model)

    @functools.wraps(compile_model)
    def compile_and_note(self, *args, **kwargs):
        wish = signature.bind(self, *args, **kwargs).arguments.get("jit_compile")
        (_uncompiled.add if wish is False else _uncompiled.discard)(self)
        return compile_model(self, *args, **kwargs)

    @functools.wraps(compile_from_config)
    def compile_from_config_and_forget(self, config):
        compile_from_config(self, config)
        _uncompiled.discard(self)

    owner.compile, owner.compile_from_config = compile_and_note, compile_from_config_and_forget


_note_jit_compile()
