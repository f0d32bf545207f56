"""A cell from any two Keras layers."""

from typing import Any

import keras
from keras import ops

from rnnkit.annotations import Config, Shape, Tensor
from rnnkit.arguments import check_positive_integer
from rnnkit.layers.quantization import without_quantization
from rnnkit.layers.recurrent_cell import RecurrentCell
from rnnkit.layers.state_shapes import check_features


@keras.saving.register_keras_serializable(package="rnnkit")
class ROCell(RecurrentCell):
    """Computes s_t = R(s_{t-1}, x_t) and y_t = O(s_t), with any Keras layers as R and O.

    Args:
        R: a layer or model that computes the next state `(batch, state_size)`. It takes s_{t-1} and x_t concatenated,
            `(batch, state_size + input_features)`; a model with two inputs takes them one by one.
        O: a layer or model that takes s_t and returns y_t. Defaults to `None`, y_t = s_t.
        state_size: number of features of s_t. Defaults to that of R, if it is known before R is built.
        **kwargs: `name`, `dtype` (by default, that of R), `trainable`.

    Call arguments:
        inputs: tensor `(batch, input_features)`, x_t.
        states: list of one tensor `(batch, state_size)`, s_{t-1}.
        training: whether this is a training run. Dropout inside R or O draws a new mask at each step, except on JAX,
            where it fails. Defaults to `False`.

    Returns:
        y_t `(batch, output_features)` and the list of the new state `[s_t]`.

    Raises:
        ValueError: R or O is not a Keras layer; the size of the state is unknown, or R returns another size.

    Example:

    >>> import keras, numpy as np, rnnkit.layers
    >>> R = keras.Sequential([keras.layers.Dense(16, "relu"), keras.layers.Dense(4, "tanh")])
    >>> layer = rnnkit.layers.Recurrent(rnnkit.layers.ROCell(R, keras.layers.Dense(2), state_size=4))
    >>> tuple(layer(np.zeros((2, 5, 3), "float32")).shape)
    (2, 2)

    References:
        "Recurrent neural networks: an abstraction", lecture; Goldberg, "A primer on neural network models for natural
        language processing", 2016, section 10.
    """

    def __init__(
        self,
        R: keras.layers.Layer,
        O: keras.layers.Layer | None = None,  # noqa: E741 (the letter of the lecture)
        state_size: int | None = None,
        **kwargs: Any,
    ):
        for name, layer in (("R", R), ("O", O)):
            if not isinstance(layer, keras.layers.Layer) and not (name == "O" and layer is None):
                raise ValueError(f"ROCell expected {name} to be a Keras layer, received {layer!r}.")
        if kwargs.get("dtype") is None:
            kwargs["dtype"] = without_quantization(R.dtype_policy)
        super().__init__(**kwargs)
        self.R, self.O = R, O
        size = state_size
        if size is None:
            size = getattr(R, "units", None) or _features(getattr(R, "output_shape", None))
        if size is None:
            raise ValueError(
                "ROCell expected an R with a known number of output features, received one without: pass state_size=."
            )
        size = check_positive_integer(type(self).__name__, "state_size", size)
        self.state_size = [size]
        self.output_size = size if O is None else _features(O.compute_output_shape((None, size)))

    def build(self, input_shape: Shape) -> None:
        (size,) = self.state_size
        if not self.R.built:
            self.R.build((input_shape[0], size + check_features(type(self).__name__, input_shape)))
        if self.O is not None and not self.O.built:
            self.O.build((input_shape[0], size))

    def step(self, projected: Tensor, states: list[Tensor], training: bool = False) -> tuple[Tensor, list[Tensor]]:
        two_inputs = isinstance(self.R, keras.Model) and len(getattr(self.R, "inputs", [])) == 2
        state = self.R([states[0], projected] if two_inputs else ops.concatenate([states[0], projected], axis=-1))
        if state.shape[-1] != self.state_size[0]:
            raise ValueError(
                f"ROCell expected R to return the next state with {self.state_size[0]} features, "
                f"received {state.shape[-1]}: R's last layer and state_size must agree."
            )
        return self.readout([state]), [state]

    def readout(self, states: list[Tensor]) -> Tensor:
        return states[0] if self.O is None else self.O(states[0])

    def get_config(self) -> Config:
        layers = {"R": self.R, "O": self.O}
        layers = {name: layer and keras.saving.serialize_keras_object(layer) for name, layer in layers.items()}
        return {**super().get_config(), **layers, "state_size": self.state_size[0]}

    @classmethod
    def from_config(cls, config: Config, custom_objects: dict[str, Any] | None = None) -> "ROCell":
        def layer(name):
            return config[name] and keras.saving.deserialize_keras_object(config[name], custom_objects=custom_objects)

        return cls(**{**config, "R": layer("R"), "O": layer("O")})


def _features(shape):
    return shape[-1] if isinstance(shape, tuple) else None
