"""Support vector machines: linear, and with kernels by random features."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp
from sklearn.kernel_approximation import Nystroem, RBFSampler

from steepest.core.errors import UsageError, suggest
from steepest.core.record import number, record
from steepest.estimators import base
from steepest.estimators.convex import SingleTarget
from steepest.estimators.inputs import dense
from steepest.estimators.linear import LinearClassifier
from steepest.objectives.classification import Margin, SquaredHinge
from steepest.objectives.regression import Residual

WIDTHS = tuple(10.0**-k for k in range(7))
"""Widths over which corners are rounded, each problem solved from where the last one ended."""


@record
class SmoothHinge(Margin):
    """max over z in [0, 1] of z (1 - m) - mu z^2 / 2: the hinge loss, rounded over a width mu.

    Source: Nesterov 2005, Math. Prog. 103, eq. 2.5; Rennie & Srebro 2005 for mu = 1.
    """

    mu: float = number(default=1.0, above=0)

    def of_margin(self, m):
        """z (1 - m) - mu z^2 / 2 at z = clip((1 - m) / mu, 0, 1)."""
        mu = jnp.asarray(self.mu, m.dtype)
        z = jnp.clip((1 - m) / mu, 0, 1)
        return z * (1 - m) - mu / 2 * z * z


@record
class SmoothInsensitive(Residual):
    """max(0, |r| - epsilon), rounded over a width mu as `SmoothHinge` is."""

    epsilon: float = number(default=0.0, least=0)
    mu: float = number(default=1.0, above=0)

    def of_residual(self, r):
        """z (|r| - epsilon) - mu z^2 / 2."""
        mu = jnp.asarray(self.mu, r.dtype)
        d = jnp.abs(r) - jnp.asarray(self.epsilon, r.dtype)
        z = jnp.clip(d / mu, 0, 1)
        return z * d - mu / 2 * z * z


@record
class SquaredInsensitive(Residual):
    """max(0, |r| - epsilon)^2."""

    epsilon: float = number(default=0.0, least=0)

    def of_residual(self, r):
        """max(0, |r| - epsilon)^2."""
        return jnp.square(jnp.maximum(jnp.abs(r) - jnp.asarray(self.epsilon, r.dtype), 0))


class LinearSVC(LinearClassifier):
    """A linear support vector machine: min of |W|^2 / 2 + C sum_i phi(s_i f_i), f = x W + b.

    phi is max(0, 1 - m)^2 (`squared_hinge`), or max(0, 1 - m) (`hinge`, its corner rounded over a
    width of 1e-6). k classes are k problems, each against the rest (Cortes & Vapnik 1995, eq. 6).
    `penalize_intercept` adds |b|^2 / 2, as liblinear and scikit-learn's LinearSVC do.

    Parameters: `C` above 0; `loss`, `class_weight`, `penalize_intercept`; the others as in
    `LinearRegression`.

    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> LinearSVC().fit(X, y).score(X, y) > 0.94
    True
    """

    NUMBERS = frozenset({"C", "tol"})

    def __init__(self, *, C=1.0, loss="squared_hinge", fit_intercept=True, penalize_intercept=True,
                 class_weight=None, optimizer="auto", tol=1e-9, max_iter=3000, dtype="float64",
                 verbose=False):  # fmt: skip
        base.keep(self, locals())

    def _stages(self, coding):
        known = ("hinge", "squared_hinge")
        if self.loss not in known:
            raise UsageError(f"loss={self.loss!r} is not known; {suggest(self.loss, known)}")
        if self.loss == "squared_hinge":
            return (self._spec(coding, SquaredHinge()),)
        return tuple(self._spec(coding, SmoothHinge(mu)) for mu in self._widths())

    def _widths(self):
        return WIDTHS

    def _bend(self, coding):
        return 1.0

    def _penalties(self, coding):
        return 0.0, 1 / (base.real(self, "C", self.C, least=None, above=0.0) * coding.total)

    def _on_bias(self, coding):
        if not (self.fit_intercept and self.penalize_intercept):
            return None
        return coding.bent.shift / coding.bent.scale, np.zeros(coding.outputs)


class LinearSVR(SingleTarget):
    """Linear support vector regression: min of |W|^2 / 2 + C sum_i phi(|r_i| - epsilon).

    phi is max(0, .) (`epsilon_insensitive`, its corner rounded over a width of 1e-6 deviations of
    the target) or its square (`squared_epsilon_insensitive`); Vapnik 1995, eq. 6.1.

    Parameters: `epsilon` in units of the target, `C` above 0, `loss`, `penalize_intercept` (as in
    `LinearSVC`); the others as in `LinearRegression`.

    >>> model = LinearSVR(C=100.0).fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
    >>> model.coef_.round(3).tolist()
    [2.0]
    """

    PER_ROW = False
    NUMBERS = frozenset({"epsilon", "C", "tol"})

    def __init__(self, *, epsilon=0.0, C=1.0, loss="epsilon_insensitive", fit_intercept=True,
                 penalize_intercept=True, optimizer="auto", tol=1e-9, max_iter=3000,
                 dtype="float64", verbose=False):  # fmt: skip
        base.keep(self, locals())

    def _squared(self) -> bool:
        known = ("epsilon_insensitive", "squared_epsilon_insensitive")
        if self.loss not in known:
            raise UsageError(f"loss={self.loss!r} is not known; {suggest(self.loss, known)}")
        return self.loss == known[1]

    def _stages(self, coding):
        e = base.real(self, "epsilon", self.epsilon) / float(coding.target.scale[0])
        if self._squared():
            return (self._spec(coding, SquaredInsensitive(e)),)
        return tuple(self._spec(coding, SmoothInsensitive(e, mu)) for mu in WIDTHS)

    def _bend(self, coding):
        return 1.0

    def _penalties(self, coding):
        c = base.real(self, "C", self.C, least=None, above=0.0)
        # In units of y / t the loss is 1 / t of what it was (its square 1 / t^2), |W|^2 1 / t^2.
        t = 1.0 if self._squared() else float(coding.target.scale[0])
        return 0.0, t / (c * coding.total)

    def _on_bias(self, coding):
        if not (self.fit_intercept and self.penalize_intercept):
            return None
        target = coding.target
        return coding.bent.shift / coding.bent.scale, target.shift / target.scale


class Kernel:
    """Features z(x) with z(x) z(y) near k(x, y), learned from the rows."""

    kernel: Any
    gamma: Any
    degree: Any
    coef0: Any
    method: Any
    n_components: Any
    random_state: Any

    def _features(self, x, fitting=False):
        known = ("rbf", "linear", "poly", "sigmoid", "laplacian")
        if self.kernel not in known:
            raise UsageError(f"kernel={self.kernel!r} is not known; {suggest(self.kernel, known)}")
        if self.kernel == "linear":
            return x
        x = x.astype(np.float64) if sp.issparse(x) else dense(x)
        if fitting:
            self._map = self._fitted_map(x)
        return np.asarray(self._map.transform(x), np.float64)

    def _fitted_map(self, x):
        k = base.whole(self, "n_components", self.n_components)
        gamma = self.gamma
        if isinstance(gamma, str):
            variance = float((x.multiply(x)).mean() - x.mean() ** 2 if sp.issparse(x) else x.var())
            scale = {"scale": x.shape[1] * (variance if variance > 0 else 1.0),
                     "auto": x.shape[1]}.get(gamma)  # fmt: skip
            if scale is None:
                raise UsageError(f"gamma={gamma!r} must be a number, 'scale' or 'auto'.")
            gamma = 1 / scale
        gamma = base.real(self, "gamma", gamma, least=None, above=0.0)
        seed = base.seed_of(self.random_state) % 2**32
        if self.method == "fourier":
            if self.kernel != "rbf":
                raise UsageError("method='fourier' is for kernel='rbf'; use 'nystroem'.")
            return RBFSampler(gamma=gamma, n_components=k, random_state=seed).fit(x)
        if self.method != "nystroem":
            raise UsageError(f"method={self.method!r} must be 'nystroem' or 'fourier'.")
        how: dict[str, Any] = {"gamma": gamma}
        if self.kernel in ("poly", "sigmoid"):
            how |= {"coef0": self.coef0}
        if self.kernel == "poly":
            how |= {"degree": self.degree}
        k = min(k, x.shape[0])
        return Nystroem(kernel=self.kernel, n_components=k, random_state=seed, **how).fit(x)


class SVC(Kernel, LinearSVC):
    """A support vector machine with a kernel, by approximate features: `LinearSVC` of z(x).

    z(x) z(y) is near k(x, y): by the Nystroem method, from `n_components` rows (Williams & Seeger
    2001), exact with as many components as rows; or random Fourier features (Rahimi & Recht 2007,
    algorithm 1). k classes are k problems, each against the rest; the intercept is not penalised.

    Parameters: `C`; `kernel`: `rbf`, `linear`, `poly`, `sigmoid`, `laplacian`; `gamma`: a number,
    `scale` (1 / (features x variance)) or `auto`; `degree`, `coef0` of `poly`; `method`:
    `nystroem` or `fourier`; `n_components`; `random_state`; the others as in `LinearSVC`.

    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> SVC(random_state=0).fit(X, y).score(X, y) > 0.94
    True
    """

    def __init__(self, *, C=1.0, kernel="rbf", gamma="scale", degree=3, coef0=0.0,
                 method="nystroem", n_components=300, loss="hinge", fit_intercept=True,
                 class_weight=None, optimizer="auto", tol=1e-6, max_iter=3000, dtype="float64",
                 random_state=None, verbose=False):  # fmt: skip
        base.keep(self, locals())

    penalize_intercept = False

    def _widths(self):
        return WIDTHS[:4]


class SVR(Kernel, LinearSVR):
    """Support vector regression with a kernel, by approximate features: `LinearSVR` of z(x).

    Parameters: `epsilon`, in units of the target; the others as in `SVC`.

    >>> import numpy as np
    >>> X = np.linspace(0, 6, 60)[:, None]
    >>> SVR(C=10.0, random_state=0).fit(X, np.sin(X[:, 0])).score(X, np.sin(X[:, 0])) > 0.98
    True
    """

    def __init__(self, *, epsilon=0.1, C=1.0, kernel="rbf", gamma="scale", degree=3, coef0=0.0,
                 method="nystroem", n_components=300, loss="epsilon_insensitive",
                 fit_intercept=True, optimizer="auto", tol=1e-6, max_iter=3000, dtype="float64",
                 random_state=None, verbose=False):  # fmt: skip
        base.keep(self, locals())

    penalize_intercept = False
