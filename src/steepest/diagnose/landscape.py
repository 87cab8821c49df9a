"""Slices through the loss: along one or two directions, scaled so that they can be compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from steepest.core.errors import UsageError, suggest
from steepest.engine.compiling import precision
from steepest.engine.program import program
from steepest.engine.sharpness import eigenpairs, sample_rows

DIRECTIONS = ("random", "hessian", "path")


@dataclass(frozen=True)
class Slice:
    """The loss at `centre` + a u (+ b v): `loss` is (points,) or (points of b, points of a).

    a, b: how far along each direction, in units of the directions; b is None for one dimension.
    path: positions (a, b) of the iterates that are known, (iterates, dimensions). explained: which
    share of the way of the path lies in the plane; None where there is no path.
    """

    a: np.ndarray
    b: np.ndarray | None
    loss: np.ndarray
    path: np.ndarray | None
    explained: float | None
    directions: np.ndarray
    kind: str


@program
def _losses(objective, centre, directions, buffers, batch, positions):
    flat, unravel = ravel_pytree(centre)

    def one(position):
        return objective.smooth(
            unravel(flat + position @ directions), buffers, batch, None, train=False
        )[0]

    return jax.lax.map(one, positions)


def filter_normalised(direction: Any, params: Any) -> Any:
    """`direction` with each filter (the weights into one unit) scaled to the norm of that filter.

    Without it, a network whose weights are large looks flat and one whose are small looks sharp,
    although they compute the same (Li et al. 2018, "Visualizing the loss landscape of neural
    nets", section 4). Biases and other vectors do not move.
    """

    def one(d, w):
        if np.ndim(w) < 2:
            return np.zeros_like(d)
        axes = tuple(range(np.ndim(w) - 1))
        size = np.sqrt(np.sum(np.square(w), axis=axes, keepdims=True))
        own = np.sqrt(np.sum(np.square(d), axis=axes, keepdims=True))
        return d * size / np.where(own > 0, own, 1)

    return jax.tree.map(lambda d, w: one(np.asarray(d), np.asarray(w)), direction, params)


def landscape(
    objective: Any,
    params: Any,
    arrays: Any = None,
    buffers: Any = (),
    *,
    directions: str = "random",
    dimensions: int = 2,
    points: int = 31,
    reach: float = 1.0,
    path: Any = None,
    rows: int = 1024,
    seed: int = 0,
    dtype: str = "float32",
) -> Slice:
    """The loss on a line or a plane through `params`.

    Args:
      directions: `random` (Gaussian, filter-normalised), `hessian` (the eigenvectors of the largest
        eigenvalues), or `path` (the principal components of the iterates in `path`).
      dimensions: 1 or 2. points: along each. reach: how far from `params`, in units of the
        directions: 1 changes each filter by its own size; for `path` the plane covers the path.
      path: earlier iterates, trees like `params` with a leading axis; drawn in, if given.
      rows: how many training rows the loss is measured on.

    Raises UsageError for other directions, dimensions, or `path` without iterates.

    >>> from steepest.objectives.objective import FunctionObjective
    >>> bowl = FunctionObjective(lambda x: x[0] ** 2 + 3 * x[1] ** 2)
    >>> found = landscape(bowl, np.zeros(2), directions="hessian", points=3, dtype="float64")
    >>> found.loss.round(6).tolist()
    [[4.0, 1.0, 4.0], [3.0, 0.0, 3.0], [4.0, 1.0, 4.0]]
    """
    if directions not in DIRECTIONS:
        raise UsageError(
            f"directions={directions!r} is not known; {suggest(directions, DIRECTIONS)}"
        )
    if dimensions not in (1, 2):
        raise UsageError(f"dimensions must be 1 or 2, got {dimensions!r}.")
    if points < 3 or not reach > 0:
        raise UsageError(f"points={points} must be at least 3 and reach={reach:g} above 0.")
    with precision(dtype):
        flat, unravel = ravel_pytree(jax.tree.map(np.asarray, params))
        flat = np.asarray(flat)
        batch = None if arrays is None else sample_rows(arrays, rows, seed)
        moves = _moves(path, params, flat)
        if directions == "path" and moves is None:
            raise UsageError("directions='path' needs path=, the iterates of the run.")
        if directions == "hessian":
            pairs = eigenpairs(objective, params, batch, buffers, count=dimensions, seed=seed)
            axes = _scaled(pairs.vectors, params, flat)
        elif directions == "path":
            assert moves is not None
            axes = np.linalg.svd(moves, full_matrices=False)[2][:dimensions]
        else:
            rng = np.random.default_rng(seed)
            drawn = [
                ravel_pytree(filter_normalised(unravel(_normal(rng, flat)), params))[0]
                for _ in range(dimensions)
            ]
            axes = np.stack([np.asarray(d) for d in drawn])
        axes = axes.reshape(len(axes), -1)
        at, explained = None, None
        a = b = np.linspace(-reach, reach, points)
        if moves is not None:
            # Positions by least squares, since random directions are not quite orthogonal.
            at = np.linalg.lstsq(axes.T, moves.T, rcond=None)[0].T
            total = float(np.sum(moves**2))
            explained = float(np.sum((at @ axes) ** 2)) / total if total > 0 else None
        if directions == "path" and at is not None:
            a, b = (_covering(at[:, min(k, len(axes) - 1)], points) for k in range(2))
        if len(axes) == 1:
            positions = a[:, None]
        else:
            positions = np.stack(np.meshgrid(a, b), axis=-1).reshape(-1, 2)
        found = _losses(
            objective, params, axes.astype(flat.dtype), buffers, batch,
            jnp.asarray(positions, flat.dtype),
        )  # fmt: skip
    loss = np.asarray(found, np.float64)
    flat_plane = len(axes) == 1
    return Slice(
        a, None if flat_plane else b, loss if flat_plane else loss.reshape(points, points), at,
        explained, axes, directions,
    )  # fmt: skip


def _normal(rng: np.random.Generator, like: np.ndarray) -> np.ndarray:
    return rng.standard_normal(like.shape).astype(like.dtype)


def _moves(path: Any, params: Any, flat: np.ndarray) -> np.ndarray | None:
    """The iterates as rows, seen from the centre."""
    if path is None:
        return None
    leaves = jax.tree.leaves(path)
    count = len(leaves[0])
    rows = np.concatenate([np.reshape(np.asarray(w), (count, -1)) for w in leaves], axis=1)
    return rows - flat


def _scaled(vectors: np.ndarray, params: Any, flat: np.ndarray) -> np.ndarray:
    """Unit vectors, made as long as the weights are, where these are weights of a network."""
    if all(np.ndim(w) < 2 for w in jax.tree.leaves(params)):
        return vectors
    return vectors * max(float(np.linalg.norm(flat)), 1e-12) / 10


def _covering(at: np.ndarray, points: int) -> np.ndarray:
    """Positions that reach a quarter beyond the path on both sides, the centre included."""
    low, high = min(float(at.min()), 0.0), max(float(at.max()), 0.0)
    pad = 0.25 * max(high - low, 1e-6)
    return np.linspace(low - pad, high + pad, points)
