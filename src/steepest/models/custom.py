"""Models of your own: a pair of functions, or a module of Flax or Equinox."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from steepest.core.errors import MissingExtraError, UsageError
from steepest.core.record import record, static
from steepest.models.layers import float_dtype


@record
class Custom:
    """Any pair `initial(key) -> params`, `apply(params, x) -> outputs`, in JAX.

    `x` has shape (rows, ...), as in the data; outputs (rows, k), or (rows,) for k = 1. The pair is
    part of the compile key, so hand over the same two functions each time.

    With `stateful=True` the pair is `initial(key) -> (params, buffers)` and
    `apply(params, buffers, x, key, train, weight) -> (outputs, buffers)`; `random=True` says that
    training draws from `key`. `decay(params)` gives the tree of booleans to which penalties apply;
    without it, those are the leaves of two axes or more whose name is not `bias`.

    Raises UsageError when the outputs do not have the shape that the loss needs.

    >>> import jax, jax.numpy as jnp
    >>> model = Custom(lambda key: jnp.zeros(3), lambda w, x: jnp.tanh(x @ w))
    >>> params, buffers = model.bind(inputs=(3,), outputs=1).init(jax.random.key(0))
    >>> model.forward(params, buffers, jnp.ones((5, 3)))[0].shape
    (5, 1)
    """

    initial: Callable = static()
    apply: Callable = static()
    stateful: bool = static(default=False, choices=(True, False))
    random: bool = static(default=False, choices=(True, False))
    decay: Callable | None = static(default=None)

    def __post_init__(self):
        for name in ("initial", "apply"):
            if not callable(getattr(self, name)):
                raise UsageError(f"Custom: {name} must be a function, got {getattr(self, name)!r}.")

    @property
    def uses_key(self) -> bool:
        """Whether training draws random numbers, as said."""
        return self.random

    def bind(self, inputs: tuple[int, ...], outputs: int) -> Custom:
        """This model, after a check of the shapes (nothing is computed)."""

        def trial(key, x):
            params, buffers = self.init(key)
            return self.forward(params, buffers, x)[0]

        x = jax.ShapeDtypeStruct((2, *inputs), float_dtype())
        shape = jax.eval_shape(trial, jax.random.key(0), x).shape
        if shape != (2, outputs):
            raise UsageError(
                f"The model turns inputs of shape {x.shape} into outputs of shape {shape}, "
                f"but the data and the loss need {(2, outputs)}; change its last layer."
            )
        return self

    def init(self, key: jax.Array) -> tuple[Any, Any]:
        """(params, buffers), single and double precision turned into that of the run."""
        made = self.initial(key) if self.stateful else (self.initial(key), ())

        def one(x):
            x = jnp.asarray(x)
            return x.astype(float_dtype()) if x.dtype in (jnp.float32, jnp.float64) else x

        return jax.tree.map(one, made)

    def forward(self, params, buffers, x, key=None, train=False, weight=None):
        """(outputs, buffers)."""
        if self.stateful:
            outputs, buffers = self.apply(params, buffers, x, key, train, weight)
        else:
            outputs = self.apply(params, x)
        return (outputs[:, None] if outputs.ndim == 1 else outputs), buffers

    def decay_mask(self, params) -> Any:
        """Where penalties apply."""
        if self.decay is not None:
            return self.decay(params)
        return jax.tree_util.tree_map_with_path(
            lambda path, w: jnp.ndim(w) >= 2 and _name(path) != "bias", params
        )


def _foreign(function: Callable) -> Callable:
    """`function` under standard dtype promotion, for which other libraries are written."""

    @functools.wraps(function)
    def call(*args):
        with jax.numpy_dtype_promotion("standard"):
            return function(*args)

    return call


def _name(path: tuple) -> Any:
    return getattr(path[-1], "key", getattr(path[-1], "name", None)) if path else None


_IN_TRAINING = ("train", "training", "is_training")
_AT_REST = ("deterministic", "use_running_average", "inference")


def _said_to(call: Callable, train: bool, weight: Any) -> dict[str, Any]:
    """The arguments by which a module's call is told about training and padding, as it has them."""
    known = {**dict.fromkeys(_IN_TRAINING, train), **dict.fromkeys(_AT_REST, not train)}
    if weight is not None:
        known["mask"] = weight > 0
    names = inspect.signature(call).parameters
    return {k: v for k, v in known.items() if k in names}


def from_flax(module: Any, example: Any) -> Custom:
    """A `flax.linen` module; `example` is an input of shape (rows, ...), for its shapes only.

    Variables besides `params` (`batch_stats`) become buffers. A call argument `train`, `training`,
    `is_training`, `deterministic` or `use_running_average` is set as training needs; `mask`, where
    there is one, tells padding rows (hand it to `BatchNorm`, which else counts them).

    Raises MissingExtraError without flax.

    >>> import flax.linen as nn, jax
    >>> model = from_flax(nn.Dense(2), jax.numpy.ones((1, 4))).bind((4,), 2)
    >>> params, buffers = model.init(jax.random.key(0))
    >>> params["kernel"].shape
    (4, 2)
    """
    try:
        from flax import linen
    except ImportError:
        raise MissingExtraError("flax", "test", "from_flax") from None
    if not isinstance(module, linen.Module):
        raise UsageError(
            f"from_flax needs a flax.linen module, got {module!r}; for flax.nnx use from_nnx(make)."
        )
    example = jnp.zeros(jnp.shape(example), getattr(example, "dtype", float_dtype()))

    def initial(key):
        names = _said_to(type(module).__call__, False, None)
        variables = dict(module.init({"params": key, "dropout": key}, example, **names))
        return variables.pop("params", {}), variables

    def apply(params, buffers, x, key, train, weight):
        # Without a key there is no dropout, as in our own models.
        names = _said_to(type(module).__call__, train, weight)
        if train and key is None and "deterministic" in names:
            names["deterministic"] = True
        return_ = module.apply(
            {"params": params, **buffers},
            x,
            **names,
            mutable=list(buffers) if train else False,
            rngs=None if key is None else {"dropout": key},
        )
        return (return_[0], dict(return_[1])) if train else (return_, buffers)

    return Custom(_foreign(initial), _foreign(apply), stateful=True, random=True)


def from_nnx(make: Callable) -> Custom:
    """A `flax.nnx` module: `make(rngs) -> module`, so that each seed has its own start.

    Parameters are `nnx.Param`; other variables become buffers, random streams excepted: they are
    seeded anew from the key of each step. `deterministic` and `use_running_average` are set.
    Padding rows count in its batch normalisation; prefer batch sizes that leave none.

    Raises MissingExtraError without flax.

    >>> from flax import nnx
    >>> model = from_nnx(lambda rngs: nnx.Linear(4, 2, rngs=rngs)).bind((4,), 2)
    """
    try:
        from flax import nnx
    except ImportError:
        raise MissingExtraError("flax", "test", "from_nnx") from None

    def split(module):
        return nnx.split(module, nnx.Param, nnx.RngState, ...)

    graph, params_like, streams, buffers_like = split(make(nnx.Rngs(0)))
    draws = bool(jax.tree.leaves(streams))

    def initial(key):
        _, params, _, buffers = split(make(nnx.Rngs(key)))
        return nnx.to_pure_dict(params), nnx.to_pure_dict(buffers)

    def copied(state):
        # Variables belong to the trace that made them; each call needs its own.
        return jax.tree.map(lambda x: x, state)

    def filled(like, values):
        like = copied(like)
        nnx.replace_by_pure_dict(like, values)
        return like

    def apply(params, buffers, x, key, train, weight):
        module = nnx.merge(
            graph, filled(params_like, params), copied(streams), filled(buffers_like, buffers)
        )
        module.set_attributes(raise_if_not_found=False, use_running_average=not train)
        module.set_attributes(
            raise_if_not_found=False, deterministic=not (train and key is not None)
        )
        if key is not None:
            nnx.reseed(module, default=key, dropout=key)
        outputs = module(x)
        return outputs, nnx.to_pure_dict(split(module)[3])

    return Custom(_foreign(initial), _foreign(apply), stateful=True, random=draws)


def from_equinox(module: Any) -> Custom:
    """An `equinox.Module` of one example, or `make(key) -> module`, so that each seed differs.

    It is called row by row under `vmap`, with a key for each row if its call takes one. Inexact
    arrays are the parameters; a module given as an object starts every seed from its own arrays.
    Modules with `equinox.nn.State` are not taken.

    Raises MissingExtraError without equinox.

    >>> import equinox as eqx
    >>> model = from_equinox(lambda key: eqx.nn.MLP(4, 2, 8, 1, key=key)).bind((4,), 2)
    """
    try:
        import equinox as eqx
    except ImportError:
        raise MissingExtraError("equinox", "test", "from_equinox") from None
    given = isinstance(module, eqx.Module)
    if not given and not callable(module):
        raise UsageError(f"from_equinox needs a module or make(key), got {module!r}.")
    like = module if given else module(jax.random.key(0))
    if not isinstance(like, eqx.Module) or not callable(like):
        raise UsageError(
            f"from_equinox: make(key) must give one callable module, got {like!r}; "
            "modules with equinox.nn.State are not taken."
        )
    _, fixed = eqx.partition(like, eqx.is_inexact_array)
    draws = "key" in inspect.signature(type(like).__call__).parameters

    def initial(key):
        return eqx.filter(module if given else module(key), eqx.is_inexact_array), ()

    def apply(params, buffers, x, key, train, weight):
        whole = eqx.combine(params, fixed)
        if key is None or not train:
            return jax.vmap(eqx.nn.inference_mode(whole))(x), buffers
        if not draws:
            return jax.vmap(whole)(x), buffers
        keys = jax.random.split(key, x.shape[0])
        return jax.vmap(lambda row, k: whole(row, key=k))(x, keys), buffers

    return Custom(_foreign(initial), _foreign(apply), stateful=True, random=draws)
