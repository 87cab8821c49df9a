"""Regressions for outliers, quantiles and counts."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from steepest.core.errors import DataError
from steepest.core.record import number, record
from steepest.estimators import base
from steepest.estimators.affine import Affine
from steepest.estimators.convex import SingleTarget, Target, in_units
from steepest.objectives.loss import RegressionLoss
from steepest.objectives.regression import Poisson, Residual

WIDTHS = tuple(10.0**-k for k in range(8))
"""Widths of the smoothing, in deviations of the target, each solved from where the last ended."""

FLOOR = 1e-9
"""The least scale, in deviations of the target: without residuals it would shrink for ever."""


@record
class ConcomitantHuber(RegressionLoss):
    """s + s H(r / s), with H(z) = z^2 for |z| <= epsilon, else 2 epsilon |z| - epsilon^2.

    Outputs are (f, log s): the scale s of the residuals is learned beside f.

    Source: Huber & Ronchetti 2009, Robust Statistics, sec. 7.7 (with scale), as in scikit-learn.
    """

    epsilon: float = number(default=1.35, least=1)

    def __call__(self, outputs, targets):
        """The loss of each row."""
        f, s = outputs[:, 0], jnp.exp(outputs[:, 1]) + jnp.asarray(FLOOR, outputs.dtype)
        z = jnp.abs(targets.reshape(-1).astype(f.dtype) - f) / s
        e = jnp.asarray(self.epsilon, f.dtype)
        inside = jnp.minimum(z, e)
        # z^2 inside; e^2 + 2 e (z - e) = 2 e z - e^2 outside.
        return s + s * (inside * inside + 2 * e * (z - inside))


@record
class AffineWithScale(Affine):
    """`Affine` with a second output, the same for all rows: the logarithm of a scale."""

    def init(self, key):
        """Zeros: a scale of 1."""
        params, buffers = super().init(key)
        return params | {"log_scale": jnp.zeros_like(params["weight"][0])}, buffers

    def forward(self, params, buffers, x, key=None, train=False, weight=None):
        """((f, log s), buffers)."""
        out, buffers = super().forward(params, buffers, x)
        return jnp.concatenate([out, out * 0 + params["log_scale"]], axis=1), buffers


@record
class SmoothQuantile(Residual):
    """max over z in [q - 1, q] of z r - mu z^2 / 2: the pinball loss, rounded over a width mu.

    It is below the pinball loss by mu / 2 at most. Source: Nesterov 2005, Math. Prog. 103, eq. 2.5.
    """

    q: float = number(default=0.5, above=0, below=1)
    mu: float = number(default=1.0, above=0)

    def of_residual(self, r):
        """z r - mu z^2 / 2 at z = clip(r / mu, q - 1, q)."""
        q, mu = jnp.asarray(self.q, r.dtype), jnp.asarray(self.mu, r.dtype)
        z = jnp.clip(r / mu, q - 1, q)
        return z * r - mu / 2 * z * z


class HuberRegressor(SingleTarget):
    """Robust regression: min over W, b, s of sum_i (s + s H((y_i - x_i W - b) / s)) + alpha |W|^2.

    H is quadratic up to `epsilon`, linear beyond: outliers pull with a bounded force, and the
    scale s is learned, so that epsilon has no units (Huber & Ronchetti 2009, sec. 7.7).

    Parameters: `epsilon` at least 1, `alpha` at least 0; the others as in `LinearRegression`.
    Attributes: as `LinearModel`, with `scale_` (s) and `outliers_`, a mask of the rows outside.

    >>> import numpy as np
    >>> X = np.arange(20.0)[:, None]
    >>> y = 2 * X[:, 0] + np.sin(X[:, 0])
    >>> y[3] = 500.0
    >>> model = HuberRegressor().fit(X, y)
    >>> model.coef_.round(1).tolist(), int(model.outliers_.argmax())
    ([2.0], 3)
    """

    PER_ROW = False
    NUMBERS = frozenset({"epsilon", "alpha", "tol"})

    def __init__(self, *, epsilon=1.35, alpha=0.0001, fit_intercept=True, optimizer="auto",
                 tol=1e-9, max_iter=1000, dtype="float64", verbose=False):  # fmt: skip
        base.keep(self, locals())

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Fit to rows X (rows, features) and targets y (rows,)."""
        super().fit(X, y, sample_weight)
        residual = np.abs(np.asarray(y, float).ravel() - self.predict(X))
        self.outliers_ = residual > self.epsilon * self.scale_
        return self

    def _loss(self, coding):
        return ConcomitantHuber(base.real(self, "epsilon", self.epsilon, least=1.0))

    def _penalties(self, coding):
        alpha = base.real(self, "alpha", self.alpha)
        # In units of y / t the sum of losses is 1 / t of what it was, |W|^2 1 / t^2.
        return 0.0, 2 * alpha * float(coding.target.scale[0]) / coding.total

    def _model(self, coding):
        m = super()._model(coding)
        return AffineWithScale(m.inputs, 1, m.shift, m.scale, m.intercept, m.packed)

    def _keep(self, coding, params):
        super()._keep(coding, params)
        self.scale_ = float((np.exp(params["log_scale"][0]) + FLOOR) * coding.target.scale[0])


class QuantileRegressor(SingleTarget):
    """Quantile regression: min of sum_i rho(y_i - x_i W - b) / n + alpha |W|_1.

    rho(r) = max(q r, (q - 1) r) has a corner, which is rounded over ever smaller widths, down to
    1e-7 deviations of the target, each problem solved from where the last one ended (Koenker &
    Bassett 1978, eq. 2.1; Nesterov 2005). `optimality_` is that of the last problem.

    Parameters: `quantile` (q) between 0 and 1, `alpha` at least 0; the others as in
    `LinearRegression`; `max_iter` is for each width.

    >>> import numpy as np
    >>> X, y = np.zeros((5, 1)), np.array([1.0, 2.0, 3.0, 4.0, 100.0])
    >>> round(QuantileRegressor(quantile=0.5, alpha=0.0).fit(X, y).intercept_, 3)
    3.0
    """

    NUMBERS = frozenset({"quantile", "alpha", "tol"})

    def __init__(self, *, quantile=0.5, alpha=1.0, fit_intercept=True, optimizer="auto", tol=1e-7,
                 max_iter=3000, dtype="float64", verbose=False):  # fmt: skip
        base.keep(self, locals())

    def _penalties(self, coding):
        # In units of y / t the loss is 1 / t of what it was, |W|_1 too: `a` leaves t out.
        return base.real(self, "alpha", self.alpha), 0.0

    def _scales(self, coding):
        s = coding.bent.scale[:, None]
        return 1 / s, 1 / s**2

    def _stages(self, coding):
        q = base.real(self, "quantile", self.quantile, least=None, above=0.0)
        return tuple(self._spec(coding, SmoothQuantile(q, mu)) for mu in WIDTHS)


class PoissonRegressor(SingleTarget):
    """Poisson regression: min of sum_i (exp(f_i) - y_i f_i) / n + alpha / 2 |W|^2, f = x W + b.

    For counts and rates y >= 0 with mean exp(f) (McCullagh & Nelder 1989, ch. 6).

    Parameters: `alpha` at least 0; the others as in `LinearRegression`.

    >>> model = PoissonRegressor(alpha=0.0).fit([[0.0], [1.0], [2.0]], [1.0, 2.0, 4.0])
    >>> model.predict([[3.0]]).round(4).tolist()
    [8.0]
    """

    NUMBERS = frozenset({"alpha", "tol"})

    def __init__(self, *, alpha=1.0, fit_intercept=True, optimizer="auto", tol=1e-9, max_iter=1000,
                 dtype="float64", verbose=False):  # fmt: skip
        base.keep(self, locals())

    def _rows(self, X, y):
        X, y = super()._rows(X, y)
        if np.min(y) < 0:
            raise DataError(f"PoissonRegressor: y must be at least 0, got {np.min(y)}.")
        if not np.any(y):
            raise DataError("PoissonRegressor: y is 0 everywhere, so the mean exp(f) has no limit.")
        return X, y

    def _code(self, y, weight, like):
        # With y / mean(y) and an intercept the descent starts at the mean.
        mean = float(np.average(y, weights=weight)) if self.fit_intercept else 1.0
        target = Target(np.zeros(1), np.array([mean if mean > 0 else 1.0]))
        return (like.target if like else target), 1

    def _loss(self, coding):
        return Poisson()

    def _bend(self, coding):
        return 1.0

    def _penalties(self, coding):
        return 0.0, base.real(self, "alpha", self.alpha) / float(coding.target.scale[0])

    def _keep(self, coding, params):
        w, b = in_units(coding, params)
        self.coef_ = w[:, 0]
        self.intercept_ = (
            float(b[0] + np.log(coding.target.scale[0])) if self.fit_intercept else 0.0
        )

    def predict(self, X: Any) -> np.ndarray:
        """The mean exp(x W + b)."""
        return np.exp(self._outputs(X))

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """D^2, the share of the Poisson deviance that is explained."""
        from sklearn.metrics import d2_tweedie_score

        return float(d2_tweedie_score(y, self.predict(X), sample_weight=sample_weight, power=1))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = True
        return tags
