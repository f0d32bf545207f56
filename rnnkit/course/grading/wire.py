"""What passes between the judge and the student's process: framed messages, and values that are only data.

A student's process sends JSON: numbers, strings, lists, arrays as bytes. Reading it runs nothing, and anything that is
not data (a function, a layer) is sent as a number that stands for it. What goes to that process may be pickled: nothing
there needs protection.
"""

import base64
import re
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from rnnkit.course.grading.remote_proxy import Objects, RemoteProxy

MOST_BYTES = 256 << 20
LIKE_LISTS = (range, type({}.keys()), type({}.values()), type({}.items()))
KINDS = re.compile(r"[<>|=]?[biufcSU]\d+|bfloat16")


def send(stream: socket.socket, message: bytes) -> None:
    """Sends the length of a message, and the message."""
    stream.sendall(struct.pack("<Q", len(message)))
    stream.sendall(message)


def receive(stream: socket.socket) -> bytes:
    """Receives the next message.

    Raises:
        EOFError: the other side has hung up.
        ValueError: the message is too long.
    """
    (length,) = struct.unpack("<Q", receive_exactly(stream, 8))
    if length > MOST_BYTES:
        raise ValueError(f"expected a value of at most {MOST_BYTES >> 20} MB, received {length >> 20} MB")
    return receive_exactly(stream, length)


def receive_exactly(stream, length):
    message = bytearray()
    while len(message) < length:
        try:
            part = stream.recv(min(length - len(message), 1 << 20))
        except ConnectionError:
            part = b""
        if not part:
            raise EOFError
        message += part
    return bytes(message)


def encoded(value: Any, keep: Callable[[Any], int] | None) -> Any:
    """Turns a value into what JSON can hold.

    Args:
        value: anything.
        keep: function that stores an object that is not data, and returns its number.

    Returns:
        Nested lists, dictionaries, numbers and strings.

    Example:

    >>> from rnnkit.course.grading.wire import decoded, encoded
    >>> encoded((1, "a"), keep=None)
    {'tuple': [1, 'a']}
    >>> decoded(encoded({"x": (None, 0.5)}, keep=None), ask=None, objects=None)
    {'x': (None, 0.5)}
    """

    def inner(value):
        kind = type(value)
        if kind is RemoteProxy:
            return {"yours": value._number}
        if value is None or kind in (bool, int, float, str):
            return value
        if kind in (list, set, frozenset):
            return {kind.__name__: list(map(inner, value))}
        if kind in LIKE_LISTS:
            return {"list": list(map(inner, value))}
        if isinstance(value, tuple):
            return {"tuple": list(map(inner, value))}
        if isinstance(value, dict):
            return {"dict": [[inner(key), inner(one)] for key, one in value.items()]}
        if kind is complex:
            return {"complex": [value.real, value.imag]}
        if kind is bytes:
            return {"bytes": base64.b64encode(value).decode()}
        if isinstance(value, np.ndarray) and value.dtype.kind == "O":
            return {"objects": [value.shape, list(map(inner, value.ravel().tolist()))]}
        if isinstance(value, np.ndarray | np.generic):
            array = np.asarray(value)
            dtype = array.dtype.name if array.dtype.kind == "V" else array.dtype.str
            if KINDS.fullmatch(dtype):
                data = base64.b64encode(array.tobytes()).decode()
                return {"array" if isinstance(value, np.ndarray) else "scalar": [dtype, array.shape, data]}
        keras = sys.modules.get("keras")
        if keras and (keras.ops.is_tensor(value) or isinstance(value, keras.Variable)):
            return {"tensor": inner(keras.ops.convert_to_numpy(value))}
        if not isinstance(value, type) and hasattr(value, "__array__"):  # such as a column of pandas
            return inner(np.array(value))
        return {"object": [keep(value), kind.__name__]}

    return inner(value)


def decoded(tree: Any, ask: Callable[..., Any] | None, objects: Objects | None) -> Any:
    """Turns what `encoded` returned into a value again.

    Args:
        tree: what `encoded` returned, or a forgery of it.
        ask: function, for the `RemoteProxy` of an object that is not data.
        objects: `Objects` of this process, which the other side refers to by number.

    Returns:
        The value.

    Raises:
        ValueError: `encoded` does not return such a thing.
    """

    def inner(tree):
        if not isinstance(tree, dict):
            if isinstance(tree, list):
                raise ValueError("a list without its kind")
            return tree
        [(kind, content)] = tree.items()
        if kind in PLAIN:
            return PLAIN[kind](map(inner, content))
        if kind == "dict":
            return {inner(key): inner(one) for key, one in content}
        if kind == "complex":
            return complex(*map(float, content))
        if kind == "bytes":
            return base64.b64decode(content)
        if kind == "objects":
            array = np.empty(len(content[1]), dtype=object)
            array[:] = [inner(one) for one in content[1]]
            return array.reshape(shape_of(content[0]))
        if kind in ("array", "scalar"):
            return array_of(*content)[() if kind == "scalar" else ...]
        if kind == "tensor":
            import keras

            return keras.ops.convert_to_tensor(inner(content))
        if kind == "object":
            return RemoteProxy(ask, int(content[0]), str(content[1])[:100])
        if kind == "yours":
            return objects[content]
        raise ValueError(f"an unknown kind of value, {kind!r:.50}")

    try:
        return inner(tree)
    except (TypeError, KeyError, AttributeError, OverflowError, RecursionError) as problem:
        raise ValueError(f"a value that cannot be read: {problem}") from None


PLAIN = {"list": list, "tuple": tuple, "set": set, "frozenset": frozenset}


def array_of(dtype, shape, data):
    if not KINDS.fullmatch(dtype):
        raise ValueError(f"an array of an unknown kind, {dtype!r:.50}")
    return np.frombuffer(base64.b64decode(data), dtype=np.dtype(dtype)).reshape(shape_of(shape)).copy()


def shape_of(sizes):
    shape = tuple(map(int, sizes))
    if min(shape, default=0) < 0:
        raise ValueError(f"an impossible shape, {shape}")
    return shape
