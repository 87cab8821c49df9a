"""Curvature: eigenvalues of the Hessian of any objective, from Hessian-vector products."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from steepest.core.errors import UsageError

STEPS, LOOKS = 8, 4
"""How many first steps of an automatic rate are tried, and at how many points of each the curvature
is looked at."""
DENSE = 64
"""Up to so many variables the whole Hessian is made and its eigenvalues are exact."""


class Spectrum(NamedTuple):
    """The ends of the Hessian's spectrum: smallest and largest eigenvalue, and how sure they are.

    `residual` bounds the error of the one of larger size: |H v - l v| for its Ritz vector.
    """

    low: float
    high: float
    residual: float

    @property
    def sharpness(self) -> float:
        """The largest eigenvalue by size."""
        return max(abs(self.low), abs(self.high))


def hessian_product(f: Callable[[Any], Any], x: Any) -> Callable[[Any], Any]:
    """v -> H v at the vector x, forward over reverse: one more pass each way (Pearlmutter 1994).

    >>> product = hessian_product(lambda x: x[0] ** 2 + x[0] * x[1], jnp.array([1.0, 2.0]))
    >>> product(jnp.array([1.0, 0.0])).tolist()
    [2.0, 1.0]
    """
    return lambda v: jax.jvp(jax.grad(f), (x,), (v,))[1]


def lanczos(product: Callable[[Any], Any], start: Any, steps: int) -> tuple[Any, Any, Any]:
    """`(diagonal, off-diagonal, basis)` of the Lanczos tridiagonal matrix T = Q^T H Q.

    With full re-orthogonalisation, twice (Golub and Van Loan 2013, section 10.3). Where the
    Krylov space is exhausted it leaves zeros: T then holds exact eigenvalues and zeros.
    """
    n = start.shape[0]
    dtype = start.dtype

    def body(j, carry):
        q, size, basis, alpha, beta = carry
        basis = basis.at[j].set(q)
        w = product(q)
        a = jnp.vdot(q, w)
        for _ in range(2):
            w = w - basis.T @ (basis @ w)
        norm = jnp.linalg.norm(w)
        size = jnp.maximum(size, jnp.abs(a))
        alive = norm > 10 * jnp.finfo(dtype).eps * (size + jnp.abs(norm)) * n**0.5
        q = jnp.where(alive, w / jnp.where(alive, norm, jnp.ones_like(norm)), jnp.zeros_like(w))
        return q, size, basis, alpha.at[j].set(a), beta.at[j].set(jnp.where(alive, norm, 0))

    zeros = jnp.zeros(steps, dtype)
    q = start / jnp.linalg.norm(start)
    carry = (q, jnp.zeros((), dtype), jnp.zeros((steps, n), dtype), zeros, zeros)
    _, _, basis, alpha, beta = jax.lax.fori_loop(0, steps, body, carry)
    return alpha, beta, basis


@partial(jax.jit, static_argnames=("steps",))
def _tridiagonal(objective, params, buffers, batch, start, steps):
    flat, unravel = ravel_pytree(params)

    def f(x):
        return objective.smooth(unravel(x), buffers, batch, None)[0]

    alpha, beta, _ = lanczos(hessian_product(f, flat), start, steps)
    return alpha, beta


@jax.jit
def _dense(objective, params, buffers, batch):
    flat, unravel = ravel_pytree(params)

    def f(x):
        return objective.smooth(unravel(x), buffers, batch, None)[0]

    return jax.vmap(hessian_product(f, flat))(jnp.eye(flat.size, dtype=flat.dtype))


def spectrum(
    objective: Any, params: Any, batch: Any = None, buffers: Any = (), *, steps: int = 32,
    seed: int = 0,
) -> Spectrum:  # fmt: skip
    """The smallest and largest eigenvalue of the Hessian of `objective` at `params`.

    Exact up to `DENSE` variables; above, by `steps` Lanczos steps from a random vector, which find
    the ends of the spectrum to a few percent and the largest by size much better. Works in the
    dtype of `params`, so call it inside `engine.compiling.precision` for float64.
    """
    flat, _ = ravel_pytree(params)
    if flat.size <= DENSE:
        matrix = np.asarray(_dense(objective, params, buffers, batch), np.float64)
        if not np.isfinite(matrix).all():
            return Spectrum(float("nan"), float("nan"), float("nan"))
        values = np.linalg.eigvalsh((matrix + matrix.T) / 2)
        return Spectrum(float(values[0]), float(values[-1]), 0.0)
    steps = min(steps, flat.size)
    start = np.random.default_rng(seed).normal(size=flat.size).astype(flat.dtype)
    alpha, beta = _tridiagonal(objective, params, buffers, batch, start, steps)
    alpha, beta = np.asarray(alpha, np.float64), np.asarray(beta, np.float64)
    if not (np.isfinite(alpha).all() and np.isfinite(beta).all()):
        return Spectrum(float("nan"), float("nan"), float("nan"))
    ended = np.flatnonzero(beta == 0)
    k = int(ended[0]) + 1 if len(ended) else steps
    t = np.diag(alpha[:k]) + np.diag(beta[: k - 1], 1) + np.diag(beta[: k - 1], -1)
    values, vectors = np.linalg.eigh(t)
    largest = int(np.argmax(np.abs(values)))
    return Spectrum(
        float(values[0]), float(values[-1]), float(abs(beta[k - 1] * vectors[-1, largest]))
    )


def limit(name: str, sharpness: float, momentum: float = 0.9) -> float | None:
    """The largest stable learning rate of a method on a quadratic with this largest eigenvalue l.

    Gradient descent 2/l, heavy ball 2 (1 + b)/l, Nesterov 2 (1 + b)/((1 + 2 b) l) (Goh 2017;
    O'Donoghue and Candes 2015); None for methods that have no such limit.

    >>> round(limit("gd", 3.0), 3), round(limit("nesterov", 3.0), 3)
    (0.667, 0.452)
    """
    b = momentum
    factor = {
        "gd": 2.0, "sgd": 2.0, "momentum": 2 * (1 + b), "nesterov": 2 * (1 + b) / (1 + 2 * b),
    }.get(name)  # fmt: skip
    return None if factor is None else factor / sharpness


def stable_rate(objective: Any, x0: Any, optimizer: Any, **settings: Any) -> float:
    """A learning rate from curvature alone, for gradient descent, momentum and Nesterov.

    On a quadratic (the Hessian is the same elsewhere) with positive curvature, the best fixed rate
    2/(l_min + l_max) of gradient descent; otherwise half of the stable limit by the largest
    curvature at x0 and along the first steps, none of which may raise f: far from the minimum of a
    convex function such as log cosh there is hardly any curvature, and more on the way.

    Raises UsageError for methods without such a limit, and where the curvature is zero or not
    finite at x0.
    """
    name = optimizer if isinstance(optimizer, str) else type(optimizer).__name__.lower()
    name = {"gradientdescent": "gd", "sgd": "gd"}.get(name, name)
    here = spectrum(objective, x0)
    if limit(name, 1.0) is None:
        raise UsageError(
            f"learning_rate='auto' follows from curvature for gd, momentum and nesterov; for "
            f"{name!r} give a number, or compare several with `steepest race --tune`."
        )
    if not np.isfinite(here.sharpness) or here.sharpness == 0:
        raise UsageError(
            "learning_rate='auto' needs curvature, but the Hessian at x0 is "
            f"{'zero' if here.sharpness == 0 else 'not finite'}; give a number or another x0."
        )
    if name == "gd":
        there = spectrum(objective, jax.tree.map(lambda a: a + 1 + jnp.abs(a), x0))
        same = np.allclose([here.low, here.high], [there.low, there.high], rtol=1e-6)
        if same and here.low > 0:
            return 2 / (here.low + here.high)
        if same:
            return 1 / here.sharpness
    factor = limit(name, 1.0, float(settings.get("momentum", 0.9)))
    assert factor is not None
    return _until_safe(objective, x0, factor / (2 * here.sharpness), factor / 2)


@jax.jit
def _evaluate(objective, x):
    return objective.evaluate(x)


def _until_safe(objective: Any, x0: Any, rate: float, factor: float) -> float:
    """`rate`, halved until the first steps of gradient descent at it are safe."""
    while rate > 1e-300 and not _safe(objective, x0, rate, factor):
        rate /= 2
    return rate


def _safe(objective: Any, x: Any, rate: float, factor: float) -> bool:
    """Whether the first steps meet no curvature above factor / rate, and none of them raises f."""
    here = _evaluate(objective, x)
    for _ in range(STEPS):
        for i in range(1, LOOKS + 1):
            end = _moved(x, here.gradient, rate * i / LOOKS)
            # A curvature that is no number compares as unsafe.
            if not rate * spectrum(objective, end).sharpness <= factor * (1 + 1e-6):
                return False
        there = _evaluate(objective, end)
        if not there.value <= here.value:
            return False
        x, here = end, there
    return True


def _moved(x: Any, gradient: Any, rate: float) -> Any:
    return jax.tree.map(lambda a, g: a - jnp.asarray(rate, g.dtype) * g, x, gradient)
