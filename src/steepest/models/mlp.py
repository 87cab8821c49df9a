"""The multi-layer perceptron, of any depth."""

from __future__ import annotations

import itertools
from typing import Any

import jax
import jax.numpy as jnp

from steepest.core.errors import UsageError
from steepest.core.record import number, record, set_field, static
from steepest.models import layers
from steepest.models.sizes import fill_sizes, flatten_rows, need_sizes, normal_size


@record
class MLP:
    """A multi-layer perceptron: h_0 = x, h_l = dropout(a_l(norm(h_{l-1} W_l + b_l))), f = h W + b.

    Inputs (rows, ...) are flattened to (rows, inputs); outputs have shape (rows, outputs), without
    an activation: the loss knows what they mean. `hidden=()` is a linear model.

    Parameters are `{"layers": ({"weight": (in, out), "bias": (out,)}, ...)}`; a layer with a norm
    has `"norm": {"scale", "shift"}` besides. Buffers are `()`, or the running mean and variance of
    each batch normalisation.

    `hidden`: widths of the hidden layers. `activation`: a name of `ACTIVATIONS` or a function, for
    all hidden layers, or a tuple with one for each. `initializer`: a name of `INITIALIZERS`, or
    `auto` (see `layers.initializer`). `dropout`: probability that a hidden activation is dropped in
    training, a leaf; None or a plain 0 leaves dropout out of the program.
    `norm`: None, `batch` or `layer`.

    Raises UsageError for unknown names, bad sizes, or as many activations as there are not layers.

    >>> import jax
    >>> model = MLP(hidden=(16, 8), activation="tanh").bind(inputs=(4,), outputs=3)
    >>> params, buffers = model.init(jax.random.key(0))
    >>> [layer["weight"].shape for layer in params["layers"]]
    [(4, 16), (16, 8), (8, 3)]
    >>> model.forward(params, buffers, jax.numpy.ones((5, 4)))[0].shape
    (5, 3)
    """

    hidden: tuple[int, ...] = static(default=(64,), help="widths of the hidden layers")
    activation: Any = static(default="relu", help="activation, or one for each hidden layer")
    initializer: Any = static(default="auto", help="initialisation of the weights")
    dropout: float | None = number(
        default=None,
        least=0,
        below=1,
        optional=True,
        help="probability of dropping a hidden activation",
    )
    norm: str | None = static(default=None, choices=(None, "batch", "layer"), help="normalisation")
    inputs: int | None = static(default=None, help="number of features; None: from the data")
    outputs: int | None = static(
        default=None, help="number of outputs; None: from the data and the loss"
    )

    def __post_init__(self):
        hidden = self.hidden if isinstance(self.hidden, (tuple, list)) else (self.hidden,)
        set_field(self, "hidden", tuple(normal_size("MLP", "hidden", n) for n in hidden))
        if None in self.hidden:
            raise UsageError("MLP: hidden must be widths such as (64, 32); use () for none.")
        if isinstance(self.activation, list):
            set_field(self, "activation", tuple(self.activation))
        for name in self.activations:
            layers.activation(name)
        layers.initializer(self.initializer)
        set_field(self, "inputs", normal_size("MLP", "inputs", self.inputs))
        set_field(self, "outputs", normal_size("MLP", "outputs", self.outputs))
        set_field(self, "dropout", layers.off_if_zero(self.dropout))

    @property
    def activations(self) -> tuple[Any, ...]:
        """The activation of each hidden layer."""
        depth = len(self.hidden)
        if not isinstance(self.activation, tuple):
            return (self.activation,) * depth
        if len(self.activation) != depth:
            raise UsageError(
                f"MLP: activation={self.activation!r} has {len(self.activation)} names for "
                f"{depth} hidden layers; give one name, or one for each layer."
            )
        return self.activation

    @property
    def uses_key(self) -> bool:
        """Whether training draws random numbers: with dropout."""
        return self.dropout is not None and bool(self.hidden)

    def bind(self, inputs: tuple[int, ...], outputs: int) -> MLP:
        """This model with its sizes filled in from the data."""
        return fill_sizes(self, inputs, outputs)

    def init(self, key: jax.Array) -> tuple[Any, Any]:
        """(params, buffers)."""
        inputs, outputs = need_sizes(self)
        dtype = layers.float_dtype()
        shapes = list(itertools.pairwise((inputs, *self.hidden, outputs)))
        kinds = [layers.initializer(self.initializer, a) for a in (*self.activations, "identity")]
        made, running = [], []
        for i, weight in enumerate(layers.draw(kinds, key, shapes, dtype)):
            width = shapes[i][1]
            layer: dict[str, Any] = {"weight": weight, "bias": jnp.zeros((width,), dtype)}
            if self.norm and i < len(self.hidden):
                layer["norm"] = {"scale": jnp.ones((width,), dtype),
                                 "shift": jnp.zeros((width,), dtype)}  # fmt: skip
                running.append({"mean": jnp.zeros((width,), dtype),
                                "variance": jnp.ones((width,), dtype)})  # fmt: skip
            made.append(layer)
        buffers = {"norms": tuple(running)} if self.norm == "batch" and running else ()
        return {"layers": tuple(made)}, buffers

    def forward(self, params, buffers, x, key=None, train=False, weight=None):
        """(outputs, buffers).

        In training, batch normalisation uses the batch, its rows counted by `weight`, and dropout
        draws from `key`; without a key nothing is dropped.
        """
        *hidden, last = params["layers"]
        h = flatten_rows(x, last["weight"].dtype)
        running = []
        for i, (layer, name) in enumerate(zip(hidden, self.activations, strict=True)):
            h = layers.dense(layer, h)
            if self.norm == "batch":
                h, new = layers.batch_norm(layer["norm"], buffers["norms"][i], h, train, weight)
                running.append(new)
            elif self.norm == "layer":
                h = layers.layer_norm(layer["norm"], h)
            h = layers.activation(name)(h)
            if train and self.dropout is not None and key is not None:
                h = layers.dropout(self.dropout, jax.random.fold_in(key, i), h)
        return layers.dense(last, h), {"norms": tuple(running)} if running else buffers

    def decay_mask(self, params) -> Any:
        """Penalties apply to weight matrices, not to biases nor to scales and shifts of norms."""
        return jax.tree_util.tree_map_with_path(
            lambda path, _: getattr(path[-1], "key", None) == "weight", params
        )
