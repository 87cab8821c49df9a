"""`Groups`: weights in groups by name, each with an optimizer of its own."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from steepest.core.errors import UsageError
from steepest.core.record import part, record, swap
from steepest.core.types import (
    Array,
    Evaluate,
    Horizon,
    Params,
    Proximal,
    State,
    Stepped,
)
from steepest.optimizers.wrap import Averaged, Wrapper
from steepest.schedules import Schedule, float_dtype


@record
class Groups:
    """Each array of the weights is moved by the rule of its group: w_g <- w_g + update_g(g_g).

    `rules` maps names to first-order rules. An array belongs to the group that its path names, by
    the innermost name where there are several: of `{"layers": [{"weight": ..., "bias": ...}]}`,
    `rules={"bias": ...}` takes all biases. `rest` is for arrays that no name covers; without it
    they are refused. Its `learning_rate`, as runs record it, is that of the first rule.

    As optax's `multi_transform`; clipping goes around (`ClipByNorm(Groups(...))` clips by the norm
    of all groups together) or inside, around a rule.

        >>> import jax.numpy as jnp
        >>> from steepest.optimizers.gradient_descent import GradientDescent
        >>> method = Groups({"bias": GradientDescent(0.5)}, rest=GradientDescent(0.1))
        >>> w = {"weight": jnp.ones(2), "bias": jnp.ones(1)}
        >>> updates, state = method.update(w, method.init(w))
        >>> {name: round(float(u[0]), 3) for name, u in updates.items()}
        {'bias': -0.5, 'weight': -0.1}

    Raises UsageError for an array in no group, for a group with no array, and for optimizers that
    search along a line, since those need all the weights at once.
    """

    rules: dict[str, Any] = part(factory=dict, help="a rule for each group, by name")
    rest: Any = part(default=None, help="the rule for all other weights")

    def __post_init__(self):
        if not isinstance(self.rules, dict) or not self.rules:
            raise UsageError(
                f"Groups: rules={self.rules!r} must map names of weights to optimizers, as in "
                'Groups({"bias": Adam(1e-2)}, rest=Adam(1e-3)).'
            )
        for name, rule in self._all().items():
            first_order = hasattr(rule, "update") and not getattr(rule, "deterministic", False)
            if not first_order or isinstance(rule, Averaged):
                raise UsageError(
                    f"Groups: the rule of {name!r}, {rule!r}, is not a first-order optimizer; "
                    "give one such as Adam(1e-3). Averaged goes around: Averaged(Groups(...))."
                )

    def _all(self) -> dict[Any, Any]:
        # None as the name of the rest collides with no name that a user can give.
        return self.rules if self.rest is None else {**self.rules, None: self.rest}

    @property
    def learning_rate(self) -> Any:
        """The learning rate of the first rule."""
        return next(iter(self.rules.values())).learning_rate

    def bind(self, horizon: Horizon) -> Groups:
        """A copy whose schedules count in steps of this run."""
        rest = None if self.rest is None else self.rest.bind(horizon)
        return swap(self, rules={k: r.bind(horizon) for k, r in self.rules.items()}, rest=rest)

    def groups(self, params: Params) -> dict[Any, list[int]]:
        """The places of the arrays of each group among the leaves of `params`."""
        found: dict[Any, list[int]] = {name: [] for name in self._all()}
        for place, (path, _) in enumerate(jax.tree_util.tree_leaves_with_path(params)):
            named = [n for n in map(_name, reversed(path)) if n in self.rules]
            if not named and self.rest is None:
                raise UsageError(
                    f"Groups: the weights {jax.tree_util.keystr(path)} are in none of the groups "
                    f"{', '.join(self.rules)}; name them, or give rest=."
                )
            found[named[0] if named else None].append(place)
        for name, places in found.items():
            if not places and name is not None:
                raise UsageError(
                    f"Groups: no weights are named {name!r}; the model has "
                    f"{', '.join(_paths(params))}."
                )
        return found

    def init(self, params: Params) -> State:
        """The state before the first step: one for each rule."""
        ws, rules = jax.tree.leaves(params), self._all()
        return tuple(rules[n].init(_at(ws, p)) for n, p in self.groups(params).items())

    def start(self, evaluate: Evaluate, params: Params) -> State:
        """The engine's form of `init`; evaluates nothing."""
        return self.init(params)

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
        gs, treedef = jax.tree.flatten(gradient)
        ws = None if params is None else treedef.flatten_up_to(params)
        updates, news = list(gs), []
        for (name, places), old in zip(self.groups(gradient).items(), state, strict=True):
            given = None if ws is None else _at(ws, places)
            rule = self._all()[name]
            moved, new = rule.update(_at(gs, places), old, given, value=value, **extra)
            for place, u in zip(places, moved, strict=True):
                updates[place] = u
            news.append(new)
        return treedef.unflatten(updates), tuple(news)

    def step(
        self, evaluate: Evaluate, params: Params, state: State, proximal: Proximal | None = None
    ) -> Stepped:
        """One step of the engine: evaluate once, then each group by its rule."""
        here = evaluate(params)
        first = next(iter(self.groups(params)))
        rate = self._rate(first, state[0])
        updates, new = self.update(here.gradient, state, params, value=here.value)
        moved = jax.tree.map(lambda w, u: w + u, params, updates)
        if proximal is not None:
            moved = proximal(moved, self._metric(state, new, params))
        return Stepped(
            params=moved,
            state=new,
            value=here.value,
            gradient=here.gradient,
            aux=here.aux,
            learning_rate=rate,
        )

    def _rate(self, name: Any, state: Any) -> Array:
        rule = self._all()[name]
        while isinstance(rule, Wrapper):
            rule = rule.inner
        rate = rule.learning_rate
        if isinstance(rate, Schedule):
            rate = rate.rate(state.count, getattr(state, "schedule", ()))
        return jnp.asarray(rate, float_dtype(rate))

    def _metric(self, old: State, new: State, params: Params) -> Params:
        ws, treedef = jax.tree.flatten(params)
        metrics = list(ws)
        found = self.groups(params).items()
        for (name, places), before, after in zip(found, old, new, strict=True):
            rule = self._all()[name]
            if not hasattr(rule, "metric"):
                raise UsageError(
                    f"Groups: an L1 penalty needs to know how {type(rule).__name__} scales "
                    "gradients, which it does not tell; use one of the rules by name."
                )
            rate = self._rate(name, before)
            for place, m in zip(places, rule.metric(rate, after, _at(ws, places)), strict=True):
                metrics[place] = m
        return treedef.unflatten(metrics)


def _at(leaves: list, places: list[int]) -> list:
    return [leaves[i] for i in places]


def _name(key: Any) -> Any:
    return getattr(key, "key", getattr(key, "name", getattr(key, "idx", None)))


def _paths(params: Params) -> list[str]:
    found = (jax.tree_util.keystr(p) for p, _ in jax.tree_util.tree_leaves_with_path(params))
    return list(dict.fromkeys(found))
