"""A search as a servable: inputs of an encoder in, tokens out."""

from collections.abc import Callable
from os import PathLike
from typing import Any

import keras
from keras import tree

from rnnkit.decoding.beam import beam_search
from rnnkit.decoding.search import Decoded


def export_search(
    path: str | PathLike[str],
    encoder: keras.Model,
    decoder: Any,
    start: int,
    end: int | None,
    max_length: int,
    search: Callable[..., Decoded] = beam_search,
    **options: Any,
) -> None:
    """Writes a SavedModel that encodes and decodes: no Keras and no rnnkit is needed to serve it.

    Its endpoint `serve` takes what the encoder takes, any number of rows, and returns a dictionary of `tokens`,
    `scores` and, if the decoder attends, `alignments`, as the search does. It needs the TensorFlow backend.

    Args:
        path: a folder that does not exist yet.
        encoder: a Keras model from the inputs to the decoder's first states, all of one batch. Its inputs have known
            shapes but for the batch and the time.
        decoder: a `rnnkit.layers.Decoder` or a Keras model with states; see `greedy_search`.
        start: token number that comes before the first token.
        end: token number that ends a sequence; None if there is none.
        max_length: how many tokens at most.
        search: `beam_search`, `greedy_search`, `sample`, or a function with their first arguments. Defaults to
            `beam_search`.
        **options: further arguments of the search, such as `width` or `forbidden`.

    Raises:
        ValueError: the backend is not TensorFlow, the encoder is no Keras model, or as the search.

    Example:

    >>> import keras, numpy as np, rnnkit.decoding, rnnkit.layers, tempfile
    >>> source = keras.Input((None,), dtype="int32", name="source")
    >>> _, state = rnnkit.layers.GRU(8, return_state=True)(keras.layers.Embedding(20, 4)(source))
    >>> encoder = keras.Model(source, [state])
    >>> decoder = rnnkit.layers.Decoder(keras.layers.Embedding(20, 4), rnnkit.layers.GRUCell(8), keras.layers.Dense(20))
    >>> _ = decoder(np.array([[1]]))  # builds it; a trained one has its weights
    >>> folder = tempfile.mkdtemp() + "/translator"
    >>> rnnkit.decoding.export_search(folder, encoder, decoder, start=1, end=2, max_length=6)  # doctest: +SKIP

    Of a model that was trained as a whole, saved and loaded, `decoder = model.get_layer("decoder")` is the decoder, and
    `keras.Model(model.inputs[0], decoder.input[1:])` the encoder.
    """
    if keras.backend.backend() != "tensorflow":
        raise ValueError(
            f"export_search expected the TensorFlow backend, received {keras.backend.backend()!r}: set KERAS_BACKEND."
        )
    if not isinstance(encoder, keras.Model) or not getattr(encoder, "inputs", None):
        raise ValueError(
            "export_search expected as encoder a Keras model from the inputs to the decoder's states, received "
            f"{encoder!r}."
        )

    def serve(*inputs: Any) -> dict[str, Any]:
        states = tree.flatten(encoder(inputs[0] if len(inputs) == 1 else list(inputs), training=False))
        found = search(decoder, states, start, end, max_length, **options)._asdict()
        return {name: found[name] for name in ("tokens", "scores", "alignments") if found[name] is not None}

    archive = keras.export.ExportArchive()
    archive.track(encoder)
    archive.track(decoder)
    signature = [keras.InputSpec(shape=x.shape, dtype=x.dtype, name=x.name) for x in tree.flatten(encoder.inputs)]
    archive.add_endpoint("serve", serve, input_signature=signature)
    archive.write_out(str(path), verbose=False)
