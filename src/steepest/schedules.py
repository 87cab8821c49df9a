r"""Learning-rate schedules: the rate as a function of the step, every number of it a leaf.

A schedule is written in epochs (the default) or in steps; `bind(horizon)` turns every duration into
steps once the length of the run is known, and a duration of None into the whole run. From then on
`rate(step, state)` gives the learning rate, and `observe(state, value)` tells a schedule that
listens (`ReduceOnPlateau`) the loss of that step.

    >>> from steepest.core.types import Horizon
    >>> run = Horizon(steps_per_epoch=100, total_steps=5000)
    >>> s = StepDecay(0.1, factor=0.5, every=10).bind(run)
    >>> [round(float(s.rate(step)), 4) for step in (0, 999, 1000, 2000)]
    [0.1, 0.1, 0.05, 0.025]

Because the numbers are leaves, `jax.vmap` maps over a thousand schedules held in one record, and
another value never recompiles. Rates come in the dtype of `learning_rate` (a Python float: float32,
or float64 under `jax.enable_x64`), and in float32 at least.
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from steepest.core.errors import UsageError, suggest
from steepest.core.record import number, part, record, set_field, static, swap
from steepest.core.types import Array, Horizon

_UNITS = ("epoch", "step")


@record
class Schedule:
    """Base of all schedules: subclasses say `at(t, state)`, the rate at step t (from 0).

    `at` sees itself, t and every number in one dtype, so that it reads like its formula. The fields
    named in `durations` are in `unit`s until `bind`.
    """

    durations: ClassVar[tuple[str, ...]] = ()

    def at(self, t: Array, state: Any) -> Array:
        """The learning rate at step t; what a subclass defines."""
        raise NotImplementedError

    def bind(self, horizon: Horizon) -> Schedule:
        """A copy in which every duration is a number of steps."""
        if not self.durations:
            return self
        per_unit = _plain(horizon.steps_per_epoch) if self.unit == "epoch" else 1.0  # type: ignore[attr-defined]
        changes: dict[str, Any] = {}
        for name in self.durations:
            value = getattr(self, name)
            changes[name] = _plain(horizon.total_steps) if value is None else value * per_unit
        return swap(self, unit="step", **changes)

    def init(self) -> Any:
        """The state before the first step; `()` for a schedule that only counts."""
        return ()

    def rate(self, step: Array, state: Any = ()) -> Array:
        """The learning rate of step `step` (0-based, any integer or real array)."""
        self.require_bound()
        dtype = self.dtype
        me = jax.tree.map(lambda x: jnp.asarray(x, dtype), self)
        return me.at(jnp.asarray(step, dtype), state)

    def observe(self, state: Any, value: Array) -> Any:
        """The state after a step whose loss was `value`."""
        return state

    @property
    def dtype(self) -> Any:
        """The dtype of the rates: that of `learning_rate`, float32 at least."""
        return float_dtype(self.learning_rate)  # type: ignore[attr-defined]

    def require_bound(self) -> None:
        """Refuse durations that are not steps yet, rather than misread epochs as steps."""
        if self.durations and (
            self.unit != "step"  # type: ignore[attr-defined]
            or any(getattr(self, name) is None for name in self.durations)
        ):
            raise UsageError(
                f"{type(self).__name__} is not bound to a run yet: its {self.durations[0]} is not "
                "a number of steps; call bind(Horizon(steps_per_epoch, total_steps)) first."
            )


@record
class Constant(Schedule):
    """The same rate at every step: eta_t = eta."""

    learning_rate: float = number(default=0.01, above=0, help="learning rate")

    def at(self, t, state):
        return self.learning_rate


@record
class StepDecay(Schedule):
    """Multiply the rate by `factor` every so many epochs: eta_t = eta factor^floor(t / every).

    The schedule of He et al., "Deep residual learning" (2016), section 3.4; torch's `StepLR`.
    """

    learning_rate: float = number(default=0.01, above=0, help="learning rate at the start")
    factor: float = number(default=0.5, above=0, help="what each decay multiplies the rate by")
    every: float = number(default=10.0, above=0, help="units between decays")
    unit: str = static(default="epoch", choices=_UNITS)
    durations: ClassVar[tuple[str, ...]] = ("every",)

    def at(self, t, state):
        return self.learning_rate * self.factor ** jnp.floor(t / self.every)


@record
class Exponential(Schedule):
    """A geometric fall: eta_t = eta decay^(t / every), smooth in t.

    `every` is the number of units in which the rate is multiplied by `decay` once.
    """

    learning_rate: float = number(default=0.01, above=0, help="learning rate at the start")
    decay: float = number(default=0.95, above=0, help="what each unit multiplies the rate by")
    every: float = number(default=1.0, above=0, help="units in one decay")
    unit: str = static(default="epoch", choices=_UNITS)
    durations: ClassVar[tuple[str, ...]] = ("every",)

    def at(self, t, state):
        return self.learning_rate * self.decay ** (t / self.every)


@record
class InverseTime(Schedule):
    """Robbins-Monro decay: eta_t = eta / (1 + decay t / every)^power.

    With power 1 the rates meet the conditions of Robbins and Monro (1951), sum eta = infinity and
    sum eta^2 < infinity; power 1/2 is the inverse square root.
    """

    learning_rate: float = number(default=0.01, above=0, help="learning rate at the start")
    decay: float = number(default=1.0, least=0, help="how fast the denominator grows, per unit")
    power: float = number(default=1.0, above=0, help="power of the denominator")
    every: float = number(default=1.0, above=0, help="units in one decay")
    unit: str = static(default="epoch", choices=_UNITS)
    durations: ClassVar[tuple[str, ...]] = ("every",)

    def at(self, t, state):
        return self.learning_rate / (1 + self.decay * t / self.every) ** self.power


@record
class Polynomial(Schedule):
    """From eta to final eta along a power: eta_t = eta (final + (1 - final) (1 - t/T)^power).

    T is `duration` (None: the whole run), after which the rate stays; power 1 is linear decay.
    """

    learning_rate: float = number(default=0.01, above=0, help="learning rate at the start")
    duration: Any = number(default=None, above=0, optional=True, help="length; none: the run")
    power: float = number(default=1.0, above=0, help="power of the time that is left; 1: linear")
    final: float = number(default=0.0, least=0, help="last rate, as a fraction of the first")
    unit: str = static(default="epoch", choices=_UNITS)
    durations: ClassVar[tuple[str, ...]] = ("duration",)

    def at(self, t, state):
        left = 1 - jnp.clip(t / self.duration, 0, 1)
        return self.learning_rate * (self.final + (1 - self.final) * left**self.power)


@record
class Cosine(Schedule):
    r"""Half a cosine from eta to final eta, with warm restarts (SGDR).

    eta_t = eta (final + (1 - final) (1 + cos(pi u)) / 2), where u in [0, 1) is the part of the
    present cycle that has passed. The first cycle is `cycle` long (None: the whole run, so that
    there is no restart), each later one `multiplier` times the one before.

    Loshchilov and Hutter, "SGDR" (2017), equation 5.

        >>> s = Cosine(1.0, cycle=4, unit="step")
        >>> [round(float(s.rate(step)), 3) for step in range(6)]
        [1.0, 0.854, 0.5, 0.146, 1.0, 0.854]
    """

    learning_rate: float = number(default=0.01, above=0, help="learning rate at each (re)start")
    cycle: Any = number(default=None, above=0, optional=True, help="length of the first cycle")
    multiplier: float = number(default=1.0, least=1, help="length of a cycle over the one before")
    final: float = number(default=0.0, least=0, help="lowest rate, as a fraction of the first")
    unit: str = static(default="epoch", choices=_UNITS)
    durations: ClassVar[tuple[str, ...]] = ("cycle",)

    def at(self, t, state):
        m, length = self.multiplier, self.cycle
        grows = m > 1
        safe = jnp.where(grows, m, 2)  # keeps the unused branch finite

        def begin(k):
            return length * jnp.where(grows, (safe**k - 1) / (safe - 1), k)

        n = jnp.where(grows, jnp.log1p(t / length * (safe - 1)) / jnp.log(safe), t / length)
        n = jnp.floor(n)
        # Logarithm and power round; a restart must still fall on its own step.
        reached = t * (1 + 8 * jnp.finfo(t.dtype).eps)
        n = jnp.where(begin(n + 1) <= reached, n + 1, jnp.where(begin(n) > reached, n - 1, n))
        u = jnp.clip((t - begin(n)) / (length * jnp.where(grows, safe**n, 1)), 0, 1)
        return self.learning_rate * (self.final + (1 - self.final) * (1 + jnp.cos(jnp.pi * u)) / 2)


@record
class OneCycle(Schedule):
    """Up to `learning_rate` and down again, once: two half cosines.

    From start eta to eta over the first `rise` of the run, then to final eta at its end. The
    defaults are torch's: start 1/25, final 1/250000 of the peak.

    Smith and Topin, "Super-convergence" (2018).
    """

    learning_rate: float = number(default=0.01, above=0, help="the peak of the learning rate")
    duration: Any = number(default=None, above=0, optional=True, help="length; none: the run")
    rise: float = number(default=0.3, above=0, below=1, help="fraction of the run spent rising")
    start: float = number(default=0.04, least=0, help="first rate, as a fraction of the peak")
    final: float = number(default=4e-6, least=0, help="last rate, as a fraction of the peak")
    unit: str = static(default="epoch", choices=_UNITS)
    durations: ClassVar[tuple[str, ...]] = ("duration",)

    def at(self, t, state):
        u = jnp.clip(t / self.duration, 0, 1)
        up, down = u / self.rise, (u - self.rise) / (1 - self.rise)
        low = jnp.where(u < self.rise, self.start, self.final)
        x = jnp.where(u < self.rise, 1 - up, down)
        return self.learning_rate * (low + (1 - low) * (1 + jnp.cos(jnp.pi * x)) / 2)


class PlateauState(NamedTuple):
    """What `ReduceOnPlateau` remembers; `scale` is the product of the reductions so far."""

    total: Array
    count: Array
    best: Array
    bad: Array
    cooling: Array
    scale: Array


@record
class ReduceOnPlateau(Schedule):
    """Multiply the rate by `factor` when the loss has stopped falling.

    The losses of each window (`every`: one epoch) are averaged. A window is good when its mean is
    below best - threshold |best|; after more than `patience` bad windows in a row the rate is
    reduced, and the next `cooldown` windows are not counted. `minimum` is the lowest rate.
    As torch's `ReduceLROnPlateau` (mode min, relative threshold).
    """

    learning_rate: float = number(default=0.01, above=0, help="learning rate at the start")
    factor: float = number(default=0.1, above=0, below=1, help="what each reduction multiplies by")
    patience: float = number(default=10, least=0, help="bad windows in a row that are borne")
    cooldown: float = number(default=0, least=0, help="windows not counted after a reduction")
    minimum: float = number(default=0.0, least=0, help="the lowest learning rate")
    threshold: float = number(default=1e-4, least=0, help="relative improvement that counts")
    every: float = number(default=1.0, above=0, help="units in a window")
    unit: str = static(default="epoch", choices=_UNITS)
    durations: ClassVar[tuple[str, ...]] = ("every",)

    def init(self):
        zero = jnp.zeros((), self.dtype)
        return PlateauState(zero, zero, zero + jnp.inf, zero, zero, zero + 1)

    def at(self, t, state):
        lowest = jnp.minimum(self.minimum, self.learning_rate)
        return jnp.maximum(self.learning_rate * state.scale, lowest)

    def observe(self, state, value):
        self.require_bound()
        dtype = state.scale.dtype
        me = jax.tree.map(lambda x: jnp.asarray(x, dtype), self)
        total, count = state.total + jnp.asarray(value, dtype), state.count + 1
        mean = total / count
        good = mean < state.best - me.threshold * jnp.abs(state.best)
        # inf - threshold inf is NaN: the first window is good whatever its mean.
        good = good | jnp.isinf(state.best)
        cooling = state.cooling > 0
        bad = jnp.where(good | cooling, 0, state.bad + 1)
        reduce = bad > me.patience
        closed = PlateauState(
            total=jnp.zeros_like(total),
            count=jnp.zeros_like(count),
            best=jnp.where(good, mean, state.best),
            bad=jnp.where(reduce, 0, bad),
            cooling=jnp.where(reduce, me.cooldown, jnp.maximum(state.cooling - 1, 0)),
            scale=jnp.where(reduce, state.scale * me.factor, state.scale),
        )
        # Half a step of slack: with a real number of steps per epoch a window ends at the nearest.
        full = count + 0.5 > me.every
        open_ = state._replace(total=total, count=count)
        return jax.tree.map(lambda a, b: jnp.where(full, a, b), closed, open_)


@record
class WarmUp(Schedule):
    """A linear rise in front of any schedule, whose own clock starts when the rise is over.

    For t < d: eta_t = inner_0 (start + (1 - start) (t + 1) / d); then inner_(t-d). A schedule
    inside that lasts the whole run lasts what is left of it. With t + 1 the first step is not
    lost at rate 0 and the last one of the rise has the full rate (Goyal et al. 2017, section 2.2;
    Ma and Yarats 2021).

        >>> s = WarmUp(0.4, duration=4, unit="step")
        >>> [round(float(s.rate(step)), 3) for step in range(5)]
        [0.1, 0.2, 0.3, 0.4, 0.4]
    """

    inner: Any = part(default=0.01, help="the schedule, or the constant rate, after the rise")
    duration: float = number(default=5.0, above=0, help="length of the rise")
    start: float = number(default=0.0, least=0, most=1, help="where the rise starts, as a fraction")
    unit: str = static(default="epoch", choices=_UNITS)
    durations: ClassVar[tuple[str, ...]] = ("duration",)

    def __post_init__(self):
        set_field(self, "inner", as_schedule(self.inner))

    def bind(self, horizon: Horizon) -> Schedule:
        me = super().bind(horizon)
        total = _plain(horizon.total_steps)
        left = _at_least_one(total - me.duration)  # type: ignore[attr-defined]
        return swap(me, inner=self.inner.bind(Horizon(horizon.steps_per_epoch, left)))

    def init(self):
        return self.inner.init()

    def at(self, t, state):
        inner = self.inner.rate(jnp.maximum(t - self.duration, 0), state)
        part_done = jnp.minimum((t + 1) / self.duration, 1)
        return inner * (self.start + (1 - self.start) * part_done)

    def observe(self, state, value):
        return self.inner.observe(state, value)

    @property
    def dtype(self):
        return self.inner.dtype


SCHEDULES: dict[str, type[Any]] = {
    "constant": Constant,
    "step": StepDecay,
    "exponential": Exponential,
    "inverse-time": InverseTime,
    "polynomial": Polynomial,
    "cosine": Cosine,
    "one-cycle": OneCycle,
    "plateau": ReduceOnPlateau,
    "warm-up": WarmUp,
}


def as_schedule(x: Any) -> Schedule:
    """A schedule as it is; a number or an array of numbers as `Constant`."""
    if isinstance(x, Schedule):
        return x
    if isinstance(x, str):
        raise UsageError(
            f"learning_rate={x!r} is a name without a rate; "
            f"give schedule({x!r}, learning_rate) or a number."
        )
    return Constant(x)


def schedule(
    name: str | Schedule, learning_rate: Any = 0.01, *, warm_up: Any = None, **settings: Any
) -> Schedule:
    """The schedule of that name (see `SCHEDULES`) with this rate and these settings.

    `warm_up`: the length of a linear rise in front of it, in the same unit.

        >>> schedule("step", 0.1, every=5)
        StepDecay(learning_rate=0.1, every=5)

    Raises UsageError for an unknown name or setting, with a suggestion.
    """
    if isinstance(name, Schedule):
        return name
    cls = SCHEDULES.get(str(name).lower().replace("_", "-"))
    if cls is None:
        raise UsageError(f"schedule {name!r} is not known; {suggest(str(name), SCHEDULES)}")
    known = [f.name for f in dataclasses.fields(cls)]
    for key in settings:
        if key not in known[1:] and not (key == "unit" and warm_up is not None):
            raise UsageError(f"schedule {name!r} has no setting {key!r}; {suggest(key, known[1:])}")
    inner = cls(learning_rate, **{k: v for k, v in settings.items() if k in known})
    if warm_up is None:
        return inner
    return WarmUp(inner, duration=warm_up, unit=settings.get("unit", "epoch"))


def float_dtype(x: Any) -> Any:
    """The dtype to compute with for `x`: its own, float32 at least; for numbers JAX's default."""
    dtype = jnp.result_type(x) if hasattr(x, "dtype") else jnp.result_type(float)
    if not jnp.issubdtype(dtype, jnp.floating):
        return jnp.result_type(float)
    return jnp.dtype(jnp.float32) if jnp.finfo(dtype).bits < 32 else dtype


def _plain(x: Any) -> Any:
    """Scalars as Python floats, which never widen an array that they multiply."""
    if isinstance(x, (int, float, np.generic)):
        return float(x)
    return x


def _at_least_one(x: Any) -> Any:
    return max(x, 1.0) if isinstance(x, float) else jnp.maximum(x, 1.0)
