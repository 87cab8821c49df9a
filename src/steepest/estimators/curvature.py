"""The largest stable learning rate of a job, measured: for messages about runs that went wrong."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from steepest.core import tree
from steepest.data.dataset import Arrays
from steepest.engine.compiling import precision
from steepest.engine.runs import batch_of
from steepest.engine.spec import cast_host
from steepest.objectives.curvature import limit, spectrum
from steepest.optimizers.wrap import Wrapper

ROWS = 2048


def row_squares(x: np.ndarray, packed: bool = False) -> np.ndarray:
    """|x|^2 of each row, (rows,); of `packed` rows the first half are numbers, see `sparse`."""
    x = x[:, : x.shape[1] // 2] if packed else x
    return np.einsum("ij,ij->i", x, x)


def stable_limit(spec: Any, train: Arrays, seed: int, dtype: str, single: bool = False,
                 packed: bool = False) -> str:  # fmt: skip
    """A sentence on the limit of gradient descent at the start, or nothing for other rules.

    `single`: mini-batches are single rows, so what counts is the row of largest curvature, which
    for a linear model is that of the largest |x|^2. `packed`: rows are packed as in `sparse`.
    """
    rule = spec.optimizer
    while isinstance(rule, Wrapper):
        rule = rule.inner
    name = {"GradientDescent": "gd", "Momentum": "momentum", "Nesterov": "nesterov"}.get(
        type(rule).__name__
    )
    if name is None:
        return ""
    assert train.y is not None
    assert train.weight is not None
    rows = np.linspace(0, len(train.x) - 1, min(len(train.x), ROWS)).astype(int)
    if single:
        rows = np.array([int(np.argmax(train.weight * row_squares(train.x, packed)))])
    weight = train.weight[rows]
    # Of a row its own weight counts; of all, how they share in their mean.
    weight = weight if single else weight / max(weight.sum(), np.finfo(dtype).tiny)
    part = Arrays(train.x[rows], train.y[rows], weight)
    with precision(dtype):
        objective = cast_host(spec.objective, dtype)
        params, buffers = objective.init(jax.random.PRNGKey(seed))
        params = tree.cast(params, dtype)
        found = spectrum(objective, params, jax.tree.map(jnp.asarray, batch_of(part)), buffers)
    if not np.isfinite(found.high) or found.high <= 0:
        return ""
    most = limit(name, found.high, float(getattr(rule, "momentum", 0.9)))
    given = getattr(rule.learning_rate, "learning_rate", None)
    said = "" if given is None else f"; learning_rate={float(given):g} was given"
    of = "of a single row" if single else "of the loss"
    return (
        f" The largest eigenvalue of the Hessian {of} at the start is {found.high:.4g}, so "
        f"learning rates above {most:.4g} are unstable{said}."
    )
