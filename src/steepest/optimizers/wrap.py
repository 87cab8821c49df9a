"""Optimizers around optimizers: clipped gradients, averaged iterates, optax transformations.

A wrapper is an optimizer itself, with the same calls. Averaging goes outermost:

    Averaged(ClipByNorm(Adam(1e-3), max_norm=1.0), decay=0.999)
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from steepest.core import tree
from steepest.core.errors import UsageError
from steepest.core.record import number, part, record, static, swap
from steepest.core.types import (
    Array,
    Evaluate,
    Horizon,
    Params,
    Proximal,
    State,
    Stepped,
)
from steepest.schedules import Constant, Schedule, as_schedule, float_dtype


@record
class Wrapper:
    """Base of what stands around another optimizer, `inner`; passes everything on."""

    inner: Any = part(help="the optimizer inside")

    def __post_init__(self):
        if isinstance(self.inner, Averaged):
            raise UsageError(
                f"{type(self).__name__}(Averaged(...)) would hide the averages; "
                f"write Averaged({type(self).__name__}(...))."
            )
        if isinstance(self.inner, (str, int, float)):
            raise UsageError(
                f"{type(self).__name__}: inner={self.inner!r} is not an optimizer; "
                f"give one, as in {type(self).__name__}(Adam(1e-3), ...)."
            )

    @property
    def learning_rate(self) -> Any:
        """The learning rate of the optimizer inside."""
        return self.inner.learning_rate

    def bind(self, horizon: Horizon) -> Any:
        """A copy whose schedules count in steps of this run."""
        return swap(self, inner=self.inner.bind(horizon))

    def init(self, params: Params) -> State:
        """The state before the first step."""
        return self.inner.init(params)

    def start(self, evaluate: Evaluate, params: Params) -> State:
        """The state before the first step, in the engine's form."""
        return self.inner.start(evaluate, params)

    def update(
        self,
        gradient: Params,
        state: State,
        params: Params | None = None,
        *,
        value: Array | None = None,
        **extra: Any,
    ) -> tuple[Params, State]:
        """Optax's form: `(updates, state)`."""
        return self.inner.update(gradient, state, params, value=value, **extra)

    def step(
        self, evaluate: Evaluate, params: Params, state: State, proximal: Proximal | None = None
    ) -> Stepped:
        """The engine's form."""
        return self.inner.step(evaluate, params, state, proximal)


@record
class Clip(Wrapper):
    """Base of what changes the gradient that the optimizer sees; `Stepped` has the true one."""

    def clip(self, gradient: Params) -> Params:
        """The gradient that the optimizer sees."""
        raise NotImplementedError

    def update(self, gradient, state, params=None, *, value=None, **extra):
        return self.inner.update(self.clip(gradient), state, params, value=value, **extra)

    def start(self, evaluate, params):
        return self.inner.start(self._clipped(evaluate), params)

    def step(self, evaluate, params, state, proximal=None):
        stepped = self.inner.step(self._clipped(evaluate), params, state, proximal)
        gradient, aux = stepped.aux
        return swap(stepped, gradient=gradient, aux=aux)

    def _clipped(self, evaluate):
        def clipped(params):
            here = evaluate(params)
            return here._replace(gradient=self.clip(here.gradient), aux=(here.gradient, here.aux))

        return clipped


@record
class ClipByNorm(Clip):
    """g <- g min(1, c / |g|), with |g| the norm over all weights.

    Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks" (2013),
    algorithm 1.
    """

    max_norm: float = number(default=1.0, above=0, help="the largest norm of the gradient")

    def clip(self, gradient):
        norm = tree.norm(tree.map(lambda g: g.astype(float_dtype(g)), gradient))
        limit = jnp.asarray(self.max_norm, norm.dtype)
        # |g| <= c multiplies by 1 exactly, and a zero gradient divides by c, not by zero.
        return tree.scale(limit / jnp.maximum(norm, limit), gradient)


@record
class ClipByValue(Clip):
    """g_i <- min(max(g_i, -c), c), each entry alone."""

    limit: float = number(default=1.0, above=0, help="the largest absolute entry of the gradient")

    def clip(self, gradient):
        def one(g):
            c = jnp.asarray(self.limit, g.dtype)
            return jnp.clip(g, -c, c)

        return tree.map(one, gradient)


class AveragedState(NamedTuple):
    """The state inside, the steps taken, and the average of the iterates."""

    inner: State
    count: Array
    average: Params


@record
class Averaged(Wrapper):
    """The average of the iterates, beside the iterates: a <- a + c_k (w - a); `averaged(state)`.

    With a `decay` d, c_k = (1-d)/(1-d^k): the exponential moving average, corrected for its start.
    With decay None, c_k = 1/k: the mean (Polyak and Juditsky 1992). k counts the iterates from
    `begin` on, which is in `unit`s; until then a is the last iterate.
    """

    decay: float | None = number(
        default=0.999, least=0, below=1, optional=True, help="decay; none: the plain mean"
    )
    begin: float = number(default=0.0, least=0, help="when the averaging begins")
    unit: str = static(default="epoch", choices=("epoch", "step"))

    def bind(self, horizon):
        per_unit = horizon.steps_per_epoch if self.unit == "epoch" else 1
        return swap(self, inner=self.inner.bind(horizon), begin=self.begin * per_unit, unit="step")

    def init(self, params):
        return self._begin(self.inner.init(params), params)

    def start(self, evaluate, params):
        return self._begin(self.inner.start(evaluate, params), params)

    def update(self, gradient, state, params=None, *, value=None, **extra):
        if params is None:
            raise UsageError("Averaged needs the weights; call update(gradient, state, params).")
        updates, inner = self.inner.update(gradient, state.inner, params, value=value, **extra)
        return updates, self._average(inner, state, tree.add(params, updates))

    def step(self, evaluate, params, state, proximal=None):
        stepped = self.inner.step(evaluate, params, state.inner, proximal)
        return swap(stepped, state=self._average(stepped.state, state, stepped.params))

    def averaged(self, state: AveragedState) -> Params:
        """The averaged weights: those to evaluate and to keep."""
        return state.average

    def _begin(self, inner, params):
        average = tree.map(lambda w: jnp.asarray(w, float_dtype(w)), params)
        return AveragedState(inner, jnp.zeros((), jnp.int32), average)

    def _average(self, inner, state, params):
        count = state.count + 1

        def one(a, w):
            k = jnp.maximum(count.astype(a.dtype) - jnp.asarray(self.begin, a.dtype), 1)
            if self.decay is None:
                c = 1 / k
            else:
                d = jnp.asarray(self.decay, a.dtype)
                c = (1 - d) / (1 - d**k)
            return a + c * (w.astype(a.dtype) - a)

        return AveragedState(inner, count, tree.map(one, state.average, params))


class FromOptaxState(NamedTuple):
    """Steps taken, and the state of the transformation."""

    count: Array
    inner: State


@record
class FromOptax:
    """An optax transformation as an optimizer; made by `from_optax`."""

    transformation: Any = static(help="the transformation, or the function that makes it")
    numbers: dict[str, Any] = part(factory=dict, help="its numbers, which are leaves")
    choices: tuple = static(default=(), help="its other settings, as (name, value) pairs")

    @property
    def learning_rate(self) -> Any:
        """The learning rate where it was given by name, else NaN: a transformation hides it."""
        return self.numbers.get("learning_rate", float("nan"))

    def bind(self, horizon: Horizon) -> FromOptax:
        """A copy whose schedules count in steps of this run."""
        return swap(
            self,
            numbers={
                k: v.bind(horizon) if isinstance(v, Schedule) else v
                for k, v in self.numbers.items()
            },
        )

    def init(self, params: Params) -> FromOptaxState:
        """The state before the first step."""
        with jax.numpy_dtype_promotion("standard"):
            return FromOptaxState(jnp.zeros((), jnp.int32), self._made(params).init(params))

    def start(self, evaluate: Evaluate, params: Params) -> FromOptaxState:
        """The engine's form of `init`."""
        return self.init(params)

    def update(
        self,
        gradient: Params,
        state: FromOptaxState,
        params: Params | None = None,
        *,
        value: Array | None = None,
        **extra: Any,
    ) -> tuple[Params, FromOptaxState]:
        """Optax's form; `value` and what else is given reach transformations that take them."""
        extra |= {} if value is None else {"value": value}
        with jax.numpy_dtype_promotion("standard"):  # optax counts on it
            made = self._made(gradient)
            updates, inner = made.update(gradient, state.inner, params, **extra)
        updates = tree.map(lambda u, g: jnp.asarray(u, g.dtype), updates, gradient)
        return updates, FromOptaxState(state.count + 1, inner)

    def step(
        self,
        evaluate: Evaluate,
        params: Params,
        state: FromOptaxState,
        proximal: Proximal | None = None,
    ) -> Stepped:
        """One step of the engine; line searches of optax get the function that they ask for."""
        if proximal is not None:
            raise UsageError(
                "The proximal step of an L1 penalty needs to know how the optimizer scales "
                "gradients, which an optax transformation does not tell; use one of steepest's."
            )
        here = evaluate(params)
        updates, new = self.update(
            here.gradient,
            state,
            params,
            value=here.value,
            grad=here.gradient,
            value_fn=lambda w: evaluate(w).value,
        )
        rate = self.learning_rate
        if isinstance(rate, Schedule):
            rate = rate.rate(state.count)
        return Stepped(
            params=tree.add(params, updates),
            state=new,
            value=here.value,
            gradient=here.gradient,
            aux=here.aux,
            learning_rate=jnp.asarray(rate, float_dtype(rate)),
        )

    def _made(self, like: Params):
        import optax

        made = self.transformation
        if not hasattr(made, "update"):
            dtype = float_dtype(jax.tree.leaves(like)[0])
            numbers = {k: _as_optax(v, dtype) for k, v in self.numbers.items()}
            made = made(**numbers, **dict(self.choices))
        return optax.with_extra_args_support(made)


def from_optax(transformation: Any, **settings: Any) -> FromOptax:
    """Any optax transformation as an optimizer.

    Either the finished transformation, whose numbers are then part of the program (another value
    compiles again, and the learning rate is recorded as NaN), or the function that makes it with
    its settings by name: real numbers are then leaves, over which a study can vmap, and the
    learning rate may be one of our schedules.

        >>> import optax
        >>> one = from_optax(optax.adam(1e-3))
        >>> many = from_optax(optax.adam, learning_rate=jnp.asarray([1e-3, 1e-2]), b1=0.8)
        >>> sorted(many.numbers)
        ['b1', 'learning_rate']

    Raises UsageError if `transformation` is neither.
    """
    made = hasattr(transformation, "init") and hasattr(transformation, "update")
    if not made and not callable(transformation):
        raise UsageError(
            f"from_optax: {transformation!r} is not an optax transformation; "
            "give optax.adam(1e-3), or optax.adam with its settings by name."
        )
    if made and settings:
        raise UsageError(
            f"from_optax: {', '.join(settings)} cannot be set on a finished transformation; give "
            "the function that makes it, as in from_optax(optax.adam, learning_rate=1e-3)."
        )
    if "learning_rate" in settings:
        settings["learning_rate"] = as_schedule(settings["learning_rate"])
    # Integers, such as a memory size, set shapes; so do the other choices.
    leaf = (float, Schedule)
    numbers = {k: v for k, v in settings.items() if isinstance(v, leaf) or hasattr(v, "dtype")}
    choices = tuple((k, v) for k, v in settings.items() if k not in numbers)
    return FromOptax(transformation, numbers, choices)


def _as_optax(x: Any, dtype: Any) -> Any:
    """A number in the dtype of the weights; a schedule as optax's function of the count."""
    if isinstance(x, Constant):
        x = x.learning_rate
    if isinstance(x, Schedule):
        if jax.tree.leaves(x.init()):
            raise UsageError(
                f"{type(x).__name__} listens to the loss, which optax's schedules cannot; "
                "use one of steepest's optimizers with it."
            )
        return lambda count: x.rate(count).astype(dtype)
    return jnp.asarray(x, dtype)
