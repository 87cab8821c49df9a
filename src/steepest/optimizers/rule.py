"""`Rule`: the base of first-order methods, w <- w - eta d, where a rule only says its direction d.

A rule is written for one array, as in its paper:

    @record
    class Momentum(Rule):
        momentum: float = number(default=0.9, least=0, below=1)
        slots: ClassVar[int] = 1

        def direction(self, g, w, t, v):
            v = self.momentum * v + g
            return v, v

`Rule` does the rest: trees, dtypes, the learning-rate schedule, decoupled weight decay, and the two
forms in which a method is called: the engine's (`start`, `step`) and optax's (`init`, `update`).
"""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar, NamedTuple, TypeVar

import jax
import jax.numpy as jnp

from steepest.core.errors import UsageError
from steepest.core.record import number, part, record, set_field, static, swap
from steepest.core.types import (
    Array,
    Evaluate,
    Horizon,
    Params,
    Proximal,
    State,
    Stepped,
)
from steepest.schedules import as_schedule, float_dtype

R = TypeVar("R", bound="Rule")


class RuleState(NamedTuple):
    """The state of a rule: steps taken, the schedule's state, and a tree like `params` per slot."""

    count: Array
    schedule: State
    slots: tuple[Params, ...]


def keyword_only(field: Any) -> Any:
    """The field, given by name only, so that subclasses order their own settings freely."""
    field.kw_only = True
    return field


@record
class Rule:
    """Base of the first-order rules: w <- w - eta_t (d_t + lambda w).

    d_t is the rule's `direction`, eta_t the learning rate (a number, an array of numbers to vmap
    over, or a `Schedule`), lambda the decoupled `weight_decay` (Loshchilov and Hutter 2019,
    algorithm 2); None leaves it out of the program. With `decay_biases=False` arrays of fewer than
    two axes (biases, gains of normalisation layers) do not decay.

    In optax's form a rule goes wherever a GradientTransformation goes:

        >>> import optax
        >>> from steepest.optimizers.adam import Adam
        >>> tx = optax.chain(optax.clip_by_global_norm(1.0), Adam(1e-3))

    The arithmetic is in the dtype of each array, float32 at least: for bfloat16 weights the slots
    are float32, and only the update is rounded.
    """

    learning_rate: Any = part(default=0.01, help="learning rate: a number or a schedule")
    weight_decay: float | None = keyword_only(
        number(default=None, least=0, optional=True, help="decoupled weight decay; none: no decay")
    )
    decay_biases: bool = keyword_only(
        static(default=True, choices=(True, False), help="whether weight decay takes in biases")
    )
    slots: ClassVar[int] = 0

    def __post_init__(self):
        set_field(self, "learning_rate", as_schedule(self.learning_rate))

    # What a rule says, for one array.

    def direction(self, g: Array, w: Array | None, t: Array, *slots: Array) -> tuple[Array, ...]:
        """`(d, *new_slots)` for gradient g, weights w (None if not given), step t >= 1."""
        raise NotImplementedError

    def gain(self, t: Array, *slots: Array) -> Array | float:
        """What a constant gradient is multiplied by: d = gain g; the metric of proximal steps."""
        return 1.0

    def fresh(self, w: Array) -> tuple[Array, ...]:
        """The slots before the first step, for one array; zeros unless the paper says otherwise."""
        return tuple(jnp.zeros(jnp.shape(w), float_dtype(w)) for _ in range(self.slots))

    # What every rule can do.

    def bind(self: R, horizon: Horizon) -> R:
        """A copy whose schedule counts in steps of this run."""
        return swap(self, learning_rate=self.learning_rate.bind(horizon))

    def init(self, params: Params) -> RuleState:
        """The state before the first step."""
        self.learning_rate.require_bound()
        ws, treedef = jax.tree.flatten(params)
        columns = zip(*(self._numbers(float_dtype(w)).fresh(w) for w in ws), strict=True)
        slots = tuple(treedef.unflatten(column) for column in columns)
        if not ws:
            slots = (params,) * self.slots
        return RuleState(jnp.zeros((), jnp.int32), self.learning_rate.init(), slots)

    def start(self, evaluate: Evaluate, params: Params) -> RuleState:
        """The engine's form of `init`; evaluates nothing."""
        return self.init(params)

    def update(
        self,
        gradient: Params,
        state: RuleState,
        params: Params | None = None,
        *,
        value: Array | None = None,
        **extra: Any,
    ) -> tuple[Params, RuleState]:
        """Optax's form: `(updates, state)`, where w + updates are the new weights.

        `params` is needed for weight decay, `value` (the loss) for a schedule that listens to it.
        Raises UsageError where one is missing.
        """
        if params is None and self.weight_decay is not None:
            raise UsageError(
                f"{type(self).__name__}: weight_decay={self.weight_decay} needs the weights; "
                "call update(gradient, state, params)."
            )
        if value is None and jax.tree.leaves(state.schedule):
            raise UsageError(
                f"{type(self.learning_rate).__name__} needs the loss of each step; "
                "call update(gradient, state, params, value=loss)."
            )
        count = state.count + 1
        rate = self.learning_rate.rate(state.count, state.schedule)
        gs, treedef = jax.tree.flatten(gradient)
        ws = [None] * len(gs) if params is None else treedef.flatten_up_to(params)
        rows = zip(*(treedef.flatten_up_to(s) for s in state.slots), strict=True)
        slots = list(rows) if state.slots else [()] * len(gs)
        updates, news = [], []
        for g, w, old in zip(gs, ws, slots, strict=True):
            u, *new = self._update_one(g, w, count, rate, old)
            updates.append(u)
            news.append(new)
        new_slots = tuple(treedef.unflatten(column) for column in zip(*news, strict=True))
        schedule = state.schedule
        if value is not None:
            schedule = self.learning_rate.observe(schedule, value)
        return treedef.unflatten(updates), RuleState(count, schedule, new_slots or state.slots)

    def step(
        self, evaluate: Evaluate, params: Params, state: RuleState, proximal: Proximal | None = None
    ) -> Stepped:
        """One step of the engine: evaluate, update, then the proximal map where there is one."""
        here = evaluate(params)
        rate = self.learning_rate.rate(state.count, state.schedule)
        updates, new = self.update(here.gradient, state, params, value=here.value)
        moved = jax.tree.map(lambda w, u: w + u, params, updates)
        if proximal is not None:
            moved = proximal(moved, self.metric(rate, new, params))
        return Stepped(
            params=moved,
            state=new,
            value=here.value,
            gradient=here.gradient,
            aux=here.aux,
            learning_rate=rate,
        )

    def metric(self, rate: Array, state: RuleState, params: Params) -> Params:
        """eta gain for each array of `params` (a scalar, or a number per weight), after a step."""
        ws, treedef = jax.tree.flatten(params)
        rows = zip(*(treedef.flatten_up_to(s) for s in state.slots), strict=True)
        slots = list(rows) if state.slots else [()] * len(ws)
        return treedef.unflatten(
            [self._metric_one(w, state.count, rate, s) for w, s in zip(ws, slots, strict=True)]
        )

    def _metric_one(self, w, count, rate, slots):
        dtype = float_dtype(w)
        gain = self._numbers(dtype).gain(count.astype(dtype), *slots)
        return (rate.astype(dtype) * gain).astype(w.dtype)

    def _update_one(self, g, w, count, rate, slots):
        dtype, out = float_dtype(g), jnp.result_type(g if w is None else w)
        me = self._numbers(dtype)
        g = jnp.asarray(g, dtype)
        w = None if w is None else jnp.asarray(w, dtype)
        d, *new = me.direction(g, w, count.astype(dtype), *slots)
        if self.weight_decay is not None and (self.decay_biases or jnp.ndim(g) > 1):
            d = d + me.weight_decay * w
        return (-rate.astype(dtype) * d).astype(out), *new

    def _numbers(self: R, dtype: Any) -> R:
        """A copy whose numbers (not the schedule's) are arrays of `dtype`."""
        return swap(
            self,
            **{
                f.name: jnp.asarray(getattr(self, f.name), dtype)
                for f in dataclasses.fields(self)
                if f.metadata.get("role") == "number" and getattr(self, f.name) is not None
            },
        )
