"""The gated recurrent unit, in the three conventions that are in use."""

import keras

from rnnkit.layers.extended import CellLayer, ExtendedCell, ExtendedLayer
from rnnkit.ops.recurrent_product import recurrent_product

CONVENTIONS = ("chung", "keras", "torch")


@keras.saving.register_keras_serializable(package="rnnkit")
class GRUCell(ExtendedCell, keras.layers.GRUCell):
    """One step of the gated recurrent unit.

    The decks', after Cho et al. (`convention="chung"`), here with a bias, which they leave out (`use_bias=False`):

        z_t  = sigmoid(W_z [h_{t-1}, x_t] + b_z)          update gate
        r_t  = sigmoid(W_r [h_{t-1}, x_t] + b_r)          reset gate
        h~_t = tanh(W [r_t * h_{t-1}, x_t] + b)           candidate
        h_t  = (1 - z_t) * h_{t-1} + z_t * h~_t

    Keras's (`convention="keras"`) has z the other way round, and resets after the product, with a second bias c:

        h~_t = tanh(W_x x_t + b + r_t * (W_h h_{t-1} + c))     or as above, with reset_after=False
        h_t  = z_t * h_{t-1} + (1 - z_t) * h~_t

    PyTorch's (`convention="torch"`) is this same equation with the gates in another order.

    In the code, the matrices stand side by side, in the order z, r, h~, or r, z, h~ for "torch": `kernel`
    `(input_features, 3 * units)` holds their columns for x_t and `recurrent_kernel` `(units, 3 * units)` those for
    h_{t-1}. `bias` is `(2, 3 * units)`, b and c, where the reset comes after the product, else `(3 * units,)`.

    Constructor, weights and configuration are those of `keras.layers.GRUCell`.

    Args:
        units: size of h_t.
        *args: as in `keras.layers.GRUCell`: activation (tanh), recurrent_activation (sigmoid), use_bias,
            initializers, regularizers, constraints, dropout, recurrent_dropout, seed, reset_after.
        convention: `"keras"`, `"chung"` or `"torch"`. `"chung"` always resets before the product, `"torch"` always after;
            `reset_after` is for `"keras"` only.
        dropout_each_step: whether dropout draws a fresh mask for every time step instead of one for the sequence.
        **kwargs: the same by name, and `name`, `dtype`, `trainable`.

    Call arguments:
        inputs: tensor `(batch, input_features)`, x_t.
        states: list of one tensor `(batch, units)`, h_{t-1}.
        training: whether this is a training run.

    Returns:
        h_t `(batch, units)` and the list of the new state `[h_t]`.

    Raises:
        ValueError: `units` is not a positive integer, a rate of dropout is not in [0, 1), there is no such convention,
            or `reset_after=False` with `"torch"`.

    Example:

    >>> import numpy as np, rnnkit.layers
    >>> cell = rnnkit.layers.GRUCell(4, convention="chung")
    >>> y, [h] = cell(np.ones((1, 3), "float32"), [np.zeros((1, 4), "float32")])
    >>> tuple(y.shape), tuple(h.shape)
    ((1, 4), (1, 4))

    References:
        Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine translation",
        2014; Khanzhina, "Recurrent neural networks" (deck, where it is called gated restricted unit).
    """

    extra_arguments = ("dropout_each_step", "convention")

    def __init__(self, units, *args, convention="keras", **kwargs):
        if convention not in CONVENTIONS:
            raise ValueError(
                f"{type(self).__name__} expected convention to be in {CONVENTIONS}, received {convention!r}."
            )
        super().__init__(units, *args, **kwargs)
        self.convention = convention
        if convention == "torch" and not self.reset_after:
            raise ValueError(
                f"{type(self).__name__}(convention='torch') resets after the product: reset_after=False "
                "is for convention='keras'."
            )
        if convention != "keras":
            self.reset_after = convention == "torch"
            self.cudnn_compatible = False

    def input_sums(self, inputs):
        sums = super().input_sums(inputs)
        if not self.use_bias:
            return sums
        return sums + (self.bias[0] if self.reset_after else self.bias)

    def step(self, projected, states, training=False):
        h = self.gates(projected, states)["h"]
        return h, [h]

    def gates(self, projected, states):
        """All that one step computes, each `(batch, units)`: z, r, candidate and h."""
        projected, h = self.apply_recurrent_dropout(projected, states[0])
        (x_zr, x_h), (kernel_zr, kernel_h) = self._parts(projected), self._parts(self.recurrent_kernel)
        if self.reset_after:
            bias = self.bias[1] if self.use_bias else None
            h_zr, h_h = self._parts(recurrent_product(h, self.recurrent_kernel, bias=bias))
            zr = x_zr + h_zr
        else:
            zr = recurrent_product(h, kernel_zr, base=x_zr)
        z, r = self.gate_activations(zr, [self.recurrent_activation] * 2)
        if self.convention == "torch":
            z, r = r, z
        candidate = self.activation(x_h + r * h_h if self.reset_after else recurrent_product(r * h, kernel_h, base=x_h))
        return self.mixed(z, r, candidate, states[0])

    def mixed(self, z, r, candidate, h):
        """The values of a step, with the new state between h_{t-1} and the candidate."""
        kept = self.kept({"z": z})
        return {"z": z, "r": r, "candidate": candidate, "h": kept * h + (1 - kept) * candidate}

    def kept(self, gates):
        """The part of h_{t-1} that is carried over to h_t."""
        return 1 - gates["z"] if self.convention == "chung" else gates["z"]

    def _parts(self, sums):
        """Of both gates, and of the candidate."""
        return sums[..., : 2 * self.units], sums[..., 2 * self.units :]


@keras.saving.register_keras_serializable(package="rnnkit")
class GRU(ExtendedLayer, keras.layers.GRU, CellLayer):
    """The gated recurrent unit over a sequence.

    As it is, a drop-in for `keras.layers.GRU`: same constructor, call and weights in the same order, so
    `layer.set_weights(keras_layer.get_weights())` works both ways. Where the backend has a kernel for its equation
    (PyTorch; TensorFlow on a GPU, without a mask), that runs; `explain()` says so. With `convention="chung"` it is the
    decks' GRU, with `convention="torch"` PyTorch's. `rnnkit.convert` moves weights between them where that is possible.

    Args:
        units: size of h_t.
        *args: as in `keras.layers.GRU`.
        convention: `"keras"`, `"chung"` or `"torch"`: see `GRUCell`.
        dropout_each_step: whether dropout draws a fresh mask for every time step instead of one for the sequence.
        **kwargs: the same by name; see `GRUCell` for the cell's and `Recurrent` for the layer's, the call arguments,
            what comes back and what is raised.

    Example:

    >>> import numpy as np, rnnkit.layers
    >>> layer = rnnkit.layers.GRU(8, convention="chung", return_sequences=True)
    >>> tuple(layer(np.zeros((2, 5, 3), "float32")).shape)
    (2, 5, 8)

    References:
        Cho et al., "Learning phrase representations using RNN encoder-decoder for statistical machine translation",
        2014; Khanzhina, "Recurrent neural networks" (deck).
    """

    cell_class = GRUCell
