"""Bounds: an objective on a box, lower <= x <= upper, kept by projection."""

from __future__ import annotations

import numbers
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
        lower = _spread(lower, -np.inf, like, "lower")
        upper = _spread(upper, np.inf, like, "upper")
        if jax.tree.structure(lower) != jax.tree.structure(upper):
            raise UsageError("bounds: lower and upper must be trees of the same structure.")
        for a, b in zip(jax.tree.leaves(lower), jax.tree.leaves(upper), strict=True):
            if not np.all(a <= b):
                raise UsageError(f"bounds: a lower bound lies above its upper bound ({bounds!r}).")
        return cls(lower, upper)

    def __call__(self, params: Any, metric: Any = None) -> Any:
        """The box as a proximal operator: the same in whatever metric, since it is upright."""
        return self.clip(params)

    def clip(self, x: Any) -> Any:
        """The nearest point of the box."""
        return jax.tree.map(
            lambda a, lo, hi: jnp.clip(a, jnp.asarray(lo, a.dtype), jnp.asarray(hi, a.dtype)),
            x,
            self.lower,
            self.upper,
        )

    def finite(self) -> tuple[Any, Any]:
        """Both sides, to draw starts from; UsageError where a side is infinite."""
        if not all(np.isfinite(a).all() for a in jax.tree.leaves((self.lower, self.upper))):
            raise UsageError("starts=n draws from the bounds, so give finite ones for every entry.")
        return self.lower, self.upper


def _sides(bounds: Any, like: Any) -> tuple[Any, Any]:
    """`(lower, upper)` as they were written."""
    if hasattr(bounds, "lb") and hasattr(bounds, "ub"):  # scipy.optimize.Bounds
        return np.asarray(bounds.lb), np.asarray(bounds.ub)
    try:
        if not isinstance(bounds, (list, tuple, np.ndarray)) or len(bounds) == 0:
            raise TypeError
        if _are_pairs(bounds, like):
            return [a for a, _ in bounds], [b for _, b in bounds]
        lower, upper = bounds
        return lower, upper
    except (TypeError, ValueError):
        raise UsageError(
            f"bounds={bounds!r} must be (lower, upper), each a number or a tree like x0, "
            "or a list of (lower, upper) pairs, one a variable."
        ) from None


def _are_pairs(bounds: Any, like: Any) -> bool:
    """Whether `bounds` is one (lower, upper) a variable, as in SciPy.

    Two tuples may be either; they are pairs unless x0 has another number of entries than two.
    """
    if isinstance(bounds, (list, np.ndarray)) or len(bounds) != 2:
        return True
    two = like is None or np.size(jax.tree.leaves(like)[0]) == 2
    return two and all(isinstance(b, tuple) and len(b) == 2 for b in bounds)


def _spread(side: Any, missing: float, like: Any, name: str) -> Any:
    """A side as a tree of float64 arrays in the shapes of `like` (if given), None as `missing`."""

    def array(v):
        if _flat(v):
            return np.array([missing if a is None else a for a in v], float)
        return np.asarray(missing if v is None else v, float)

    def one(a, v):
        v = array(v)
        return np.array(np.broadcast_to(v.reshape(()) if v.size == 1 else v, np.shape(a)))

    try:
        if like is None:
            return jax.tree.map(array, side, is_leaf=lambda v: v is None or _flat(v))
        alone = jax.tree.structure(like) == jax.tree.structure(0)
        if alone or side is None or hasattr(side, "shape") or isinstance(side, numbers.Real):
            return jax.tree.map(lambda a: one(a, side), like)
        return jax.tree.map(one, like, side)
    except (TypeError, ValueError):
        raise UsageError(
            f"bounds: the {name} side, {side!r}, does not fit x0; give one number, or one a "
            "variable."
        ) from None


def _flat(v: Any) -> bool:
    """Whether `v` is a list or tuple of nothing but numbers and None."""
    return isinstance(v, (list, tuple)) and all(a is None or isinstance(a, numbers.Real) for a in v)


@record
class Bounded:
    """`inner` on a box: the same values and gradients, with the projection as proximal operator.

    >>> from steepest.objectives.objective import FunctionObjective
    >>> f = Bounded(FunctionObjective(lambda x: jnp.sum(x**2)), Box(1.0, 2.0))
    >>> f.proximal(jnp.array([0.0, 1.5, 9.0])).tolist()
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

    @property
    def proximal(self) -> Box:
        """The projection, which tells methods that ask for them the bounds themselves."""
        return self.box

    def weight(self, batch: Any) -> Any:
        """As inside."""
        return self.inner.weight(batch)

    def measure(self, params: Any, buffers: Any = (), batch: Any = None) -> dict:
        """As inside."""
        return self.inner.measure(params, buffers, batch)

    def metrics(self, sums: dict) -> dict:
        """As inside."""
        return self.inner.metrics(sums)
