"""Bounds: an objective on a box, lower <= x <= upper, kept by projection."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from steepest.core.errors import UsageError
from steepest.core.record import part, record
from steepest.core.types import Evaluation


@record
class Box:
    """lower <= x <= upper, entry by entry; both are trees like x (or one array)."""

    lower: Any = part()
    upper: Any = part()

    @classmethod
    def of(cls, bounds: Any, like: Any) -> Box:
        """From (lower, upper) or SciPy's list of pairs, spread over the tree `like` (if given).

        >>> Box.of([(0, 1), (None, 2)], None).upper.tolist()
        [1.0, 2.0]
        """
        lower, upper = _sides(bounds, like)
        if like is not None:
            lower, upper = _spread(lower, like, "lower"), _spread(upper, like, "upper")
        for a, b in zip(jax.tree.leaves(lower), jax.tree.leaves(upper), strict=True):
            if not np.all(np.asarray(a) <= np.asarray(b)):
                raise UsageError(f"bounds: a lower bound lies above its upper bound ({bounds!r}).")
        return cls(lower, upper)

    def clip(self, x: Any) -> Any:
        """The nearest point of the box."""
        return jax.tree.map(
            lambda a, lo, hi: jnp.clip(a, jnp.asarray(lo, a.dtype), jnp.asarray(hi, a.dtype)),
            x,
            self.lower,
            self.upper,
        )

    def finite(self) -> tuple[np.ndarray, np.ndarray]:
        """Both sides as arrays, to draw starts from; UsageError where a side is infinite."""
        lower, upper = np.asarray(self.lower, float), np.asarray(self.upper, float)
        if not (np.isfinite(lower).all() and np.isfinite(upper).all()):
            raise UsageError("starts=n draws from the bounds, so give finite ones for every entry.")
        return lower, upper


def _sides(bounds: Any, like: Any) -> tuple[Any, Any]:
    infinity = float("inf")
    wrong = UsageError(
        f"bounds={bounds!r} must be (lower, upper), each a number or a tree like x0, "
        "or a list of (lower, upper) pairs, one a variable."
    )
    if hasattr(bounds, "lb") and hasattr(bounds, "ub"):  # scipy.optimize.Bounds
        return np.asarray(bounds.lb, float), np.asarray(bounds.ub, float)
    if not isinstance(bounds, (list, tuple, np.ndarray)) or len(bounds) == 0:
        raise wrong
    pairs = (
        isinstance(bounds, (list, np.ndarray))
        or len(bounds) != 2
        or (
            all(isinstance(b, (list, tuple)) and len(b) == 2 for b in bounds)
            and (like is None or np.size(jax.tree.leaves(like)[0]) == 2)
            and any(isinstance(b, tuple) for b in bounds)
        )
    )
    try:
        if pairs:
            lower = np.array([-infinity if a is None else a for a, _ in bounds], float)
            upper = np.array([infinity if b is None else b for _, b in bounds], float)
            return lower, upper
        lower = -infinity if bounds[0] is None else bounds[0]
        upper = infinity if bounds[1] is None else bounds[1]
        if isinstance(lower, (list, tuple)):
            lower = np.asarray(lower, float)
        if isinstance(upper, (list, tuple)):
            upper = np.asarray(upper, float)
        return lower, upper
    except (TypeError, ValueError):
        raise wrong from None


def _spread(side: Any, like: Any, name: str) -> Any:
    try:
        if len(jax.tree.leaves(side)) == 1 and not isinstance(side, dict):
            value = jnp.asarray(jax.tree.leaves(side)[0], float)
            return jax.tree.map(lambda a: jnp.broadcast_to(value, a.shape), like)
        return jax.tree.map(
            lambda a, v: jnp.broadcast_to(jnp.asarray(v, float), a.shape), like, side
        )
    except (TypeError, ValueError):
        raise UsageError(
            f"bounds: the {name} side does not fit x0; give one number, or one a variable."
        ) from None


@record
class Bounded:
    """`inner` on a box: the same values and gradients, with the projection as proximal operator.

    >>> from steepest.objectives.objective import FunctionObjective
    >>> f = Bounded(FunctionObjective(lambda x: jnp.sum(x**2)), Box(1.0, 2.0))
    >>> f.proximal(jnp.array([0.0, 1.5, 9.0]), None).tolist()
    [1.0, 1.5, 2.0]
    """

    inner: Any = part()
    box: Box = part()

    @property
    def uses_key(self) -> bool:
        """As inside."""
        return self.inner.uses_key

    def evaluate(self, params: Any, buffers: Any = (), batch: Any = None,
                 key: Any = None) -> Evaluation:  # fmt: skip
        """Value and gradient of the objective inside."""
        return self.inner.evaluate(params, buffers, batch, key)

    def proximal(self, params: Any, metric: Any) -> Any:
        """The nearest point of the box, in whatever metric: a box has no corners to turn."""
        return self.box.clip(params)

    def weight(self, batch: Any) -> Any:
        """As inside."""
        return self.inner.weight(batch)

    def measure(self, params: Any, buffers: Any = (), batch: Any = None) -> dict:
        """As inside."""
        return self.inner.measure(params, buffers, batch)

    def metrics(self, sums: dict) -> dict:
        """As inside."""
        return self.inner.metrics(sums)
