"""f, ∇f and the Hessian at many points in float64, by one compiled program for each function."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from steepest.functions.function import Function

ROWS = 320
MOST_VARIABLES = 20
"""Up to so many variables Hessians are taken at ROWS points at once; above, at single points."""


VANISHED = 1e-60
"Differences below it are those of underflowing tails, not of values."


class Values(NamedTuple):
    """At m points: f of shape (m,), ∇f (m, n), the Hessian (m, n, n), or (m, 0, 0) if not taken."""

    value: np.ndarray
    gradient: np.ndarray
    hessian: np.ndarray


class Local:
    """Evaluates f around points. Batches are padded to one size, so that nothing compiles twice."""

    def __init__(self, f: Function):
        self.f = f
        self.small = f.dimensions <= MOST_VARIABLES

        def first(w):
            return jax.value_and_grad(f)(w)

        def full(w):
            def twice(v):
                value, gradient = first(v)
                return gradient, (value, gradient)

            hessian, (value, gradient) = jax.jacfwd(twice, has_aux=True)(w)
            return value, gradient, hessian

        self._full = jax.jit(jax.vmap(full) if self.small else full)
        self._first = jax.jit(lambda rows: jax.lax.map(first, rows))

    def at(self, w) -> tuple[float, np.ndarray, np.ndarray]:
        """f(w), ∇f(w) and the Hessian at one point."""
        w = np.asarray(w, float)
        if self.small:
            value, gradient, hessian = self.many(w[None])
            return float(value[0]), gradient[0], hessian[0]
        with jax.enable_x64(True):
            value, gradient, hessian = self._full(jnp.asarray(w))
        return float(value), np.asarray(gradient), np.asarray(hessian)

    def many(self, w) -> Values:
        """At each row of w; with Hessians if there are few variables."""
        w = np.asarray(w, float)
        program = self._full if self.small else self._first
        parts = []
        with jax.enable_x64(True):
            for k in range(0, len(w), ROWS):
                rows = w[k : k + ROWS]
                pad = np.broadcast_to(rows[:1], (ROWS - len(rows), w.shape[1]))
                out = program(jnp.asarray(np.concatenate([rows, pad])))
                parts.append([np.asarray(x)[: len(rows)] for x in out])
        joined = [np.concatenate(column) for column in zip(*parts, strict=True)]
        hessian = joined[2] if self.small else np.zeros((len(w), 0, 0))
        return Values(joined[0], joined[1], hessian)

    def defined(self, w) -> bool:
        """Whether f and its gradient are finite at w."""
        value, gradient, _ = self.many(np.asarray(w, float)[None])
        return bool(np.isfinite(value).all() and np.isfinite(gradient).all())

    def smooth(self, w) -> bool:
        """Whether the gradient across w changes in proportion to the distance, as at no kink."""
        w = np.asarray(w, float)
        directions = _directions(len(w), 0)
        m = len(directions)
        size, gaps = 0.0, []
        for h in (1e-6, 1e-8):
            step = h * (1 + np.abs(w)) * directions
            gradient = self.many(np.concatenate([w + step, w - step])).gradient
            with np.errstate(invalid="ignore"):  # infinite gradients
                gap = np.abs(gradient[:m] - gradient[m:]).max()
            size = max(size, np.abs(gradient).max())
            gaps.append(gap if np.isfinite(gap) else np.inf)
        return bool(gaps[1] <= 0.2 * gaps[0] or gaps[1] <= 1e-7 * size)

    def neighbours(self, w, radius: float) -> tuple[str, float]:
        """How values on a sphere around w compare with f(w), and the curvature met on the way.

        `higher` means that none is lower by more than rounding; else `lower`, `mixed` or `equal`.
        """
        w = np.asarray(w, float)
        step = radius * (1 + np.abs(w)) * _directions(len(w), 256)
        near = self.many(np.concatenate([w[None], w + step, w - step]))
        ok = np.isfinite(near.value[1:])
        change = (near.value[1:] - near.value[0])[ok]
        if not change.size:
            return "equal", 0.0
        rounding = 1e-15 * abs(near.value[0]) + 1e-9 * np.abs(change).max() + VANISHED
        with np.errstate(invalid="ignore", over="ignore"):
            turn = np.linalg.norm(near.gradient[1:] - near.gradient[0], axis=1)
        bend = turn / np.linalg.norm(np.concatenate([step, step]), axis=1)
        curvature = float(np.nanmax(np.where(np.isfinite(bend), bend, 0.0)))
        higher, lower = (change > rounding).any(), (change < -rounding).any()
        if higher and lower:
            return "mixed", curvature
        return ("higher" if higher else "lower" if lower else "equal"), curvature


def _directions(n: int, extra: int) -> np.ndarray:
    """The axes (20 random directions if there are more) and `extra`/2 further unit vectors."""
    random = np.random.default_rng(0)
    axes = np.eye(n) if n <= MOST_VARIABLES else random.normal(size=(MOST_VARIABLES, n))
    all_of_them = np.concatenate([axes, random.normal(size=(extra // 2, n))])
    return all_of_them / np.linalg.norm(all_of_them, axis=1, keepdims=True)
