"""What layers are made of: activations, initialisations, normalisation, dropout.

All are plain functions of arrays. An initialisation is `f(key, shape, dtype) -> array` for a weight
matrix of shape (inputs, outputs), the form of `jax.nn.initializers`; an activation works entry by
entry. Both are chosen by name (`ACTIVATIONS`, `INITIALIZERS`) or given as a function.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.nn import initializers

from steepest.core.errors import UsageError, suggest


def identity(x: Array) -> Array:
    """x -> x."""
    return x


def gelu(x: Array) -> Array:
    """x Phi(x), with the exact normal distribution function (Hendrycks & Gimpel 2016, eq. 1)."""
    return jax.nn.gelu(x, approximate=False)


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "sigmoid": jax.nn.sigmoid,
    "tanh": jnp.tanh,
    "relu": jax.nn.relu,
    "leaky_relu": jax.nn.leaky_relu,
    "elu": jax.nn.elu,
    "gelu": gelu,
    "silu": jax.nn.silu,
    "softplus": jax.nn.softplus,
    "identity": identity,
}

# Activations that halve the variance of a symmetric input, roughly: He's factor 2 makes up for it.
RELU_LIKE = frozenset({"relu", "leaky_relu", "elu", "gelu", "silu", "softplus"})


class Spread:
    """An initialisation with independent entries of mean 0 and variance `scale` / fan.

    The fan is the number of `inputs` of the layer, or the `mean` of inputs and outputs; a normal
    distribution is cut off at two standard deviations, as is usual.
    """

    def __init__(self, scale: float, fan: str, distribution: str):
        self.scale, self.fan, self.distribution = scale, fan, distribution

    def deviation(self, shape: tuple[int, ...]) -> float:
        """The standard deviation of an entry."""
        inputs, outputs = shape
        fan = inputs if self.fan == "inputs" else (inputs + outputs) / 2
        return math.sqrt(self.scale / max(fan, 1))

    def unit(self, key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
        """Draws of variance 1."""
        if self.distribution == "uniform":
            return jax.random.uniform(key, shape, dtype, -math.sqrt(3), math.sqrt(3))
        # A normal variable cut off at 2 has this standard deviation.
        return jax.random.truncated_normal(key, -2, 2, shape, dtype) / np.asarray(
            0.87962566103423978, dtype
        )

    def __call__(self, key: Array, shape: tuple[int, ...], dtype: Any) -> Array:
        return self.unit(key, shape, dtype) * np.asarray(self.deviation(shape), dtype)


INITIALIZERS: dict[str, Callable[..., Array]] = {
    f"{name}_{distribution}": Spread(scale, fan, distribution)
    for name, scale, fan in (("glorot", 1, "mean"), ("he", 2, "inputs"), ("lecun", 1, "inputs"))
    for distribution in ("uniform", "normal")
} | {
    "orthogonal": initializers.orthogonal(),
    "normal": initializers.normal(0.01),
    "zeros": initializers.zeros,
}
for _name in ("glorot", "he", "lecun"):
    INITIALIZERS[_name] = INITIALIZERS[_name + "_uniform"]
for _name in ("", "_uniform", "_normal"):
    INITIALIZERS["xavier" + _name] = INITIALIZERS["glorot" + (_name or "_uniform")]


def activation(name: str | Callable) -> Callable[[Array], Array]:
    """The activation of that name; a function is taken as it is.

    >>> import jax.numpy as jnp
    >>> activation("relu")(jnp.array([-1.0, 2.0])).tolist()
    [0.0, 2.0]
    """
    return _look_up(name, ACTIVATIONS, "activation")


def initializer(name: str | Callable, activation: Any = "identity") -> Callable[..., Array]:
    """The initialisation of that name, for a layer followed by `activation`.

    | name | variance of an entry | source |
    | --- | --- | --- |
    | `glorot_uniform`, `glorot_normal` (`xavier_...`) | 2 / (inputs + outputs) | Glorot & Bengio 2010, eq. 16 |
    | `he_uniform`, `he_normal` | 2 / inputs | He et al. 2015, eq. 10 |
    | `lecun_uniform`, `lecun_normal` | 1 / inputs | LeCun et al. 1998, sec. 4.6 |
    | `orthogonal` | 1 / max(inputs, outputs), orthonormal columns or rows | Saxe et al. 2014 |
    | `normal` | 0.01^2 | |
    | `zeros` | 0 | |

    `glorot`, `he`, `lecun` and `xavier` mean the uniform one. `auto` is He before the ReLU family,
    Glorot before everything else.
    """  # noqa: E501 - a table
    if name == "auto":
        name = "he_uniform" if activation in RELU_LIKE else "glorot_uniform"
    return _look_up(name, INITIALIZERS, "initializer")


def _look_up(name: Any, table: dict[str, Callable], what: str) -> Callable:
    if callable(name):
        return name
    if name not in table:
        raise UsageError(f"{what}={name!r} is not known; {suggest(name, table)}")
    return table[name]


def draw(
    kinds: Sequence[Callable[..., Array]], key: Array, shapes: Sequence[tuple[int, int]], dtype: Any
) -> list[Array]:
    """The weights of several layers, of shapes (inputs, outputs), by the initialisation of each.

    Layers of one distribution are a single draw, cut in pieces: every draw by itself would be a
    loop in the program, and a quarter of a second to compile.

    >>> he, glorot = initializer("he"), initializer("glorot")
    >>> [w.shape for w in draw([he, glorot], jax.random.key(0), [(4, 8), (8, 2)], float_dtype())]
    [(4, 8), (8, 2)]
    """
    alike = {k.distribution if isinstance(k, Spread) else None for k in kinds}
    if len(alike) > 1 or None in alike:
        return [
            kind(jax.random.fold_in(key, i), shape, dtype)
            for i, (kind, shape) in enumerate(zip(kinds, shapes, strict=True))
        ]
    ends = np.cumsum([math.prod(shape) for shape in shapes])
    spreads: list[Any] = list(kinds)
    whole = spreads[0].unit(key, (int(ends[-1]),), dtype)
    return [
        piece.reshape(shape) * np.asarray(kind.deviation(shape), dtype)
        for piece, kind, shape in zip(jnp.split(whole, ends[:-1]), spreads, shapes, strict=True)
    ]


def float_dtype() -> np.dtype:
    """The dtype of new parameters: float32, or float64 inside `jax.enable_x64(True)`."""
    return jnp.zeros(()).dtype


def off_if_zero(value: Any) -> Any:
    """None for a plain 0, else the value.

    Regularizers that are off must cost nothing, so a plain 0 leaves no trace in the program. An
    array of zeros stays a leaf: a study may vary it between 0 and something.
    """
    plain = isinstance(value, (int, float)) and not isinstance(value, bool)
    return None if plain and value == 0 else value


def dense(params: dict[str, Array], x: Array) -> Array:
    """x W + b. Under `vmap` over W with a shared x this is one matrix product for all runs."""
    y = x @ params["weight"]
    return y + params["bias"] if "bias" in params else y


def dropout(rate: Any, key: Array, x: Array) -> Array:
    """Inverted dropout: each entry is 0 with probability `rate`, else divided by 1 - rate.

    The expectation is x, so nothing changes at prediction (Srivastava et al. 2014, sec. 10).
    """
    keep = 1 - jnp.asarray(rate, x.dtype)
    return jnp.where(jax.random.bernoulli(key, keep, x.shape), x / keep, jnp.zeros_like(x))


def layer_norm(params: dict[str, Array], x: Array, epsilon: float = 1e-5) -> Array:
    """(x - mean) / sqrt(var + epsilon) * scale + shift, over the features of each row.

    Source: Ba, Kiros & Hinton 2016, eq. 4.
    """
    centred = x - jnp.mean(x, axis=-1, keepdims=True)
    variance = jnp.mean(jnp.square(centred), axis=-1, keepdims=True)
    return centred * jax.lax.rsqrt(variance + epsilon) * params["scale"] + params["shift"]


def batch_norm(
    params: dict[str, Array],
    running: dict[str, Array],
    x: Array,
    train: bool,
    weight: Array | None = None,
    momentum: float = 0.1,
    epsilon: float = 1e-5,
) -> tuple[Array, dict[str, Array]]:
    """(x - mean) / sqrt(var + epsilon) * scale + shift, over the rows of each feature.

    In training the statistics are those of the batch, and `running` moves towards them by
    `momentum`; else they are `running`. Rows count by `weight`: a row of weight 0 (padding) has no
    influence, a row of weight 2 counts as two. The running variance is the unbiased one,
    var n / (n - 1), with n = (sum w)^2 / sum w^2, which is the number of rows when all weights are
    equal. A batch without weight leaves `running` as it is.

    Source: Ioffe & Szegedy 2015, algorithms 1 and 2; the running averages follow PyTorch.
    """
    if not train:
        mean, variance = running["mean"], running["variance"]
    else:
        w = jnp.ones(x.shape[:1], x.dtype) if weight is None else jnp.asarray(weight, x.dtype)
        total, squares = jnp.sum(w), jnp.sum(jnp.square(w))
        some = total > 0
        share = (w / jnp.where(some, total, 1))[:, None]
        mean = jnp.sum(share * x, axis=0)
        variance = jnp.sum(share * jnp.square(x - mean), axis=0)
        # n / (n - 1) = total^2 / (total^2 - squares); one row has variance 0 with any factor.
        spread = jnp.square(total) - squares
        several = spread > jnp.finfo(x.dtype).eps * jnp.square(total)
        unbiased = variance * jnp.where(
            several, jnp.square(total) / jnp.where(several, spread, 1), 1
        )
        step = jnp.where(some, jnp.asarray(momentum, x.dtype), 0)
        new = {"mean": mean, "variance": unbiased}
        running = {
            k: jax.lax.stop_gradient(running[k] + step * (new[k] - running[k])) for k in running
        }
    y = (x - mean) * jax.lax.rsqrt(variance + epsilon) * params["scale"] + params["shift"]
    return y, running
