"""Sharpness and gradients at a point of a run; up to which learning rate an optimizer is stable."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.flatten_util import ravel_pytree

from steepest.core.errors import UsageError
from steepest.engine.program import program
from steepest.objectives.curvature import hessian_product, lanczos
from steepest.objectives.objective import Batch
from steepest.optimizers.adam import Adam, AdaMax, NAdam
from steepest.optimizers.adaptive import RMSProp
from steepest.optimizers.gradient_descent import GradientDescent, Momentum, Nesterov
from steepest.optimizers.wrap import Wrapper

SAMPLE = 2048
"""Rows on which curvature is measured unless told otherwise."""
GRADIENT_BYTES = 128 * 2**20
"""How much memory the gradients of one measurement may take."""


@dataclass(frozen=True)
class Eigenpairs:
    """Eigenvalues of a Hessian, largest first, their vectors (a row each) and error bounds."""

    values: np.ndarray
    vectors: np.ndarray
    residuals: np.ndarray


@dataclass(frozen=True)
class Sharpness:
    """The largest eigenvalue that decides about stability, and what follows from it.

    value:    of the Hessian, or with `preconditioned` of P^-1 H, where the optimizer divides the
              gradient by P (Adam, RMSProp).
    residual: a bound of the error of the eigenvalue.
    limit:    the largest stable learning rate: exact on a quadratic, elsewhere a local estimate;
              None for a rule that has none, infinite where the curvature is not positive.
    rate:     the learning rate of the run.
    """

    value: float
    residual: float
    limit: float | None
    rate: float | None
    preconditioned: bool

    @property
    def ratio(self) -> float | None:
        """rate / limit; None where one is not known.

        Above 1 is unstable. Near 1 is the edge of stability, to which full-batch training of
        networks comes by itself (Cohen et al. 2021).
        """
        if not self.limit or self.rate is None:
            return None
        return self.rate / self.limit

    @property
    def at_edge(self) -> bool:
        """Whether the rate is the limit, within a fifth or so: for networks the edge of stability.

        There the loss goes up and down in the short run and falls in the long run.
        """
        return self.ratio is not None and 0.8 <= self.ratio <= 1.25

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "sharpness": self.value,
            "residual": self.residual,
            "stable_limit": self.limit,
            "learning_rate": self.rate,
            "preconditioned": self.preconditioned,
            "at_edge": self.at_edge,
        }


def unwrapped(optimizer: Any) -> Any:
    """The rule inside clipping and averaging."""
    while isinstance(optimizer, Wrapper):
        optimizer = optimizer.inner
    return optimizer


def stability(optimizer: Any) -> tuple[float, bool] | None:
    """`(c, preconditioned)` such that the rule is stable below c / l on a quadratic; else None.

    Gradient descent c = 2, heavy ball 2 (1 + b), Nesterov 2 (1 + b)/(1 + 2 b) (Goh 2017;
    O'Donoghue and Candes 2015). Adam's mean gradient is a heavy ball times 1 - b, and l is that of
    the preconditioned Hessian: c = 2 (1 + b1)/(1 - b1), which is 38 at b1 = 0.9 (Cohen et al.
    2022, "Adaptive gradient methods at the edge of stability"). RMSProp c = 2.

    >>> from steepest.optimizers.adam import Adam
    >>> stability(Adam(1e-3))
    (38.0, True)
    """
    rule = unwrapped(optimizer)
    if isinstance(rule, (NAdam, AdaMax)):
        if isinstance(rule, AdaMax):
            return None
        b = float(rule.beta1)
        return 2 * (1 + b) / ((1 + 2 * b) * (1 - b)), True
    if isinstance(rule, Adam):
        b = float(rule.beta1)
        return round(2 * (1 + b) / (1 - b), 9), True
    if isinstance(rule, RMSProp):
        return 2.0, True
    if isinstance(rule, Momentum):
        return 2 * (1 + float(rule.momentum)), False
    if isinstance(rule, Nesterov):
        b = float(rule.momentum)
        return 2 * (1 + b) / (1 + 2 * b), False
    if isinstance(rule, GradientDescent):
        return 2.0, False
    return None


@program(static=("steps",))
def _krylov(objective, params, buffers, batch, root, start, steps):
    flat, unravel = ravel_pytree(params)

    def f(x):
        return objective.smooth(unravel(x), buffers, batch, None)[0]

    product = hessian_product(f, flat)
    return lanczos(lambda v: root * product(root * v), start, steps)


def eigenpairs(
    objective: Any,
    params: Any,
    batch: Any = None,
    buffers: Any = (),
    *,
    count: int = 1,
    steps: int = 24,
    root: np.ndarray | None = None,
    seed: int = 0,
    smallest: bool = False,
) -> Eigenpairs:
    """The `count` largest (or smallest) eigenvalues of the Hessian of `objective` at `params`.

    By `steps` Lanczos steps on Hessian-vector products, never forming the matrix: the ends of the
    spectrum are found to a percent or so (`residuals` bounds the error of each). `root`, a vector
    r, asks for those of diag(r) H diag(r) instead. `batch`: a `Batch` of rows, or None for a plain
    function. Works in the dtype of `params`; call it inside `engine.compiling.precision` for
    float64. Everything is NaN where the Hessian is not finite.

    >>> from steepest.objectives.objective import FunctionObjective
    >>> bowl = FunctionObjective(lambda x: x[0] ** 2 + x[0] * x[1] + x[1] ** 2)
    >>> eigenpairs(bowl, np.array([1.0, 2.0]), count=2).values.round(4).tolist()
    [3.0, 1.0]
    """
    flat, _ = ravel_pytree(params)
    n = flat.size
    steps = max(1, min(steps, n))
    start = np.random.default_rng(seed).normal(size=n).astype(flat.dtype)
    scale = np.ones(n, flat.dtype) if root is None else np.asarray(root, flat.dtype)
    found = _krylov(objective, params, buffers, batch, scale, start, steps)
    alpha, beta, basis = (np.asarray(a, np.float64) for a in found)
    count = min(count, steps)
    if not (np.isfinite(alpha).all() and np.isfinite(beta).all()):
        nan = np.full(count, np.nan)
        return Eigenpairs(nan, np.full((count, n), np.nan), nan)
    ended = np.flatnonzero(beta == 0)
    k = int(ended[0]) + 1 if len(ended) else steps
    t = np.diag(alpha[:k]) + np.diag(beta[: k - 1], 1) + np.diag(beta[: k - 1], -1)
    values, vectors = np.linalg.eigh(t)
    chosen = np.arange(min(count, k)) if smallest else np.arange(k)[::-1][:count]
    return Eigenpairs(
        values[chosen],
        vectors[:, chosen].T @ basis[:k],
        np.abs(beta[k - 1] * vectors[-1, chosen]),
    )


@dataclass(frozen=True)
class Gradients:
    """Gradients of `m` mini-batches of `batch_size` rows at one point, as the rows of `g`."""

    g: np.ndarray
    batch_size: int

    @property
    def second_moment(self) -> np.ndarray:
        """mean_k g_k^2, one number a weight: what Adam's denominator tends to."""
        return np.mean(np.square(self.g, dtype=np.float64), axis=0)


@program
def _each(objective, params, buffers, batches):
    def one(batch):
        return ravel_pytree(objective.evaluate(params, buffers, batch, None).gradient)[0]

    return jax.lax.map(one, batches)


def gradients(
    objective: Any,
    params: Any,
    arrays: Any,
    buffers: Any = (),
    *,
    batch_size: int,
    count: int = 32,
    seed: int = 0,
) -> Gradients:
    """The gradients of `count` mini-batches (fewer where they would fill the memory).

    Batches are drawn independently, each without replacement; dropout is left out. Raises
    UsageError for a batch size below 1.
    """
    if batch_size < 1:
        raise UsageError(f"batch_size must be at least 1, got {batch_size}.")
    n = len(arrays.x)
    batch_size = min(batch_size, n)
    size = sum(int(np.size(x)) for x in jax.tree.leaves(params))
    count = int(np.clip(GRADIENT_BYTES // max(4 * size, 1), 4, count))
    rng = np.random.default_rng(seed)
    rows = np.stack([rng.permutation(n)[:batch_size] for _ in range(count)])
    weight = np.ones(n) if arrays.weight is None else np.asarray(arrays.weight)
    batches = Batch(arrays.x[rows], arrays.y[rows], weight[rows].astype(arrays.x.dtype))
    return Gradients(np.asarray(_each(objective, params, buffers, batches)), batch_size)


def sharpness(
    objective: Any,
    params: Any,
    batch: Any,
    buffers: Any,
    optimizer: Any,
    rate: float | None,
    second_moment: np.ndarray | None = None,
    **how: Any,
) -> Sharpness:
    """The largest eigenvalue for this optimizer at `params`, and its stable learning rate.

    second_moment: mean squared mini-batch gradients, one number a weight: what Adam and RMSProp
        divide by the root of (see `gradients`). Without it their limit is not known.
    """
    known = stability(optimizer)
    root, preconditioned = None, False
    if known is not None and known[1]:
        if second_moment is None:
            known = None
        else:
            epsilon = float(getattr(unwrapped(optimizer), "epsilon", 1e-8))
            root = 1 / np.sqrt(np.sqrt(np.maximum(second_moment, 0)) + epsilon)
            preconditioned = True
    top = eigenpairs(objective, params, batch, buffers, root=root, **how)
    value = float(top.values[0])
    limit = None
    if known is not None and math.isfinite(value):
        limit = known[0] / value if value > 0 else math.inf
    return Sharpness(value, float(top.residuals[0]), limit, rate, preconditioned)


def sample_rows(arrays: Any, rows: int = SAMPLE, seed: int = 0) -> Batch:
    """All rows as a batch, or `rows` of them drawn at random."""
    n = len(arrays.x)
    at = np.arange(n) if n <= rows else np.random.default_rng(seed).permutation(n)[:rows]
    weight = np.ones(len(at)) if arrays.weight is None else arrays.weight[at]
    return Batch(arrays.x[at], arrays.y[at], np.asarray(weight, arrays.x.dtype))
