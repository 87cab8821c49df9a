"""Linear and logistic regression, with L1, L2, both or no penalty."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit, softmax
from sklearn.base import ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from steepest.core.errors import UsageError
from steepest.estimators import base, sparse
from steepest.estimators.convex import LinearModel, LinearRegressor, in_units
from steepest.estimators.inputs import Labels, check_fit
from steepest.objectives.classification import BinaryLogLoss, LogLoss
from steepest.objectives.regression import Squared


class LinearRegression(LinearRegressor):
    """Least squares: min over W, b of |y - X W - b|^2, by L-BFGS in well-scaled variables.

    With more features than rows, of all minima the one nearest to 0 in standardised features.

    Parameters:
      fit_intercept: whether there is a b.
      optimizer: `auto` (L-BFGS), another name, or an optimizer object.
      tol: gradient norm, in standardised variables, at which the descent has converged.
      max_iter: steps at most. dtype: `float64` or `float32`. verbose: print while it runs.

    Attributes: see `LinearModel`.

    >>> import numpy as np
    >>> model = LinearRegression().fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
    >>> model.coef_.round(6).tolist(), round(model.intercept_, 6)
    ([2.0], 1.0)
    """

    def __init__(self, *, fit_intercept=True, optimizer="auto", tol=1e-9, max_iter=1000,
                 dtype="float64", verbose=False):  # fmt: skip
        base.keep(self, locals())

    NUMBERS = frozenset({"tol"})

    def _loss(self, coding):
        return Squared()


class Ridge(LinearRegressor):
    """Ridge regression: min of |y - X W - b|^2 + alpha |W|^2 (Hoerl & Kennard 1970, eq. 2.1).

    Parameters: `alpha` at least 0; the others as in `LinearRegression`.

    >>> model = Ridge(alpha=1.0).fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
    >>> model.coef_.round(6).tolist()
    [1.333333]
    """

    PER_ROW = False
    NUMBERS = frozenset({"alpha", "tol"})

    def __init__(self, alpha=1.0, *, fit_intercept=True, optimizer="auto", tol=1e-9, max_iter=1000,
                 dtype="float64", verbose=False):  # fmt: skip
        base.keep(self, locals())

    def _loss(self, coding):
        return Squared()

    def _penalties(self, coding):
        alpha = base.real(self, "alpha", self.alpha)
        # The loss is the mean over rows and targets of r^2.
        return 0.0, 2 * alpha / (coding.total * coding.outputs)


class ElasticNet(LinearRegressor):
    """The elastic net: min of |y - X W - b|^2 / 2n + alpha (r |W|_1 + (1 - r) / 2 |W|^2).

    By FISTA, whose proximal steps make zeros that are exact (Zou & Hastie 2005, eq. 3). Several
    targets are fitted each by itself.

    Parameters: `alpha` at least 0, `l1_ratio` (r) from 0 to 1; the others as in `LinearRegression`.

    Attributes: as `LinearModel`; `optimality_` (and `dual_gap_`, scikit-learn's name) is the
    duality gap: the objective is at most so far above its minimum.

    >>> model = ElasticNet(alpha=0.5, l1_ratio=1.0).fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0])
    >>> model.coef_.round(6).tolist(), model.dual_gap_ < 1e-9
    ([1.25], True)
    """

    NUMBERS = frozenset({"alpha", "l1_ratio", "tol"})

    def __init__(self, alpha=1.0, *, l1_ratio=0.5, fit_intercept=True, optimizer="auto", tol=1e-9,
                 max_iter=10000, dtype="float64", verbose=False):  # fmt: skip
        base.keep(self, locals())

    def _ratio(self) -> float:
        return base.real(self, "l1_ratio", self.l1_ratio, most=1.0)

    def _loss(self, coding):
        return Squared()

    def _penalties(self, coding):
        alpha, ratio = base.real(self, "alpha", self.alpha), self._ratio()
        scale = 2 * alpha / coding.outputs
        return scale * ratio, scale * (1 - ratio)

    def _adopt(self, job, runs, streams=(0,), cell=0):
        super()._adopt(job, runs, streams, cell)
        coding, rows = job.coding, job.train
        w, _ = in_units(coding, runs.last(streams[0], cell)[0])
        x = sparse.unpack(rows.x, coding.features) if coding.entries else rows.x
        w = np.pad(w, ((0, x.shape[1] - len(w)), (0, 0)))
        gaps = [
            elastic_gap(x, rows.y[:, k] * t, rows.weight, w[:, k] * t, self.alpha, self._ratio(),
                        self.fit_intercept)
            for k, t in enumerate(coding.target.scale)
        ]  # fmt: skip
        self.dual_gap_ = float(max(gaps))
        self.optimality_ = self.dual_gap_


class Lasso(ElasticNet):
    """The lasso: min of |y - X W - b|^2 / 2n + alpha |W|_1 (Tibshirani 1996, eq. 1).

    Parameters and attributes as in `ElasticNet`, with l1_ratio = 1.

    >>> Lasso(alpha=0.5).fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]).coef_.round(6).tolist()
    [1.25]
    """

    NUMBERS = frozenset({"alpha", "tol"})

    def __init__(self, alpha=1.0, *, fit_intercept=True, optimizer="auto", tol=1e-9,
                 max_iter=10000, dtype="float64", verbose=False):  # fmt: skip
        base.keep(self, locals())

    def _ratio(self):
        return 1.0


def elastic_gap(x, y, v, w, alpha, ratio, intercept) -> float:
    """The duality gap of the elastic net at w, for weights v that add up to 1.

    P(w) = sum v r^2 / 2 + l1 |w|_1 + l2 / 2 |w|^2, r = y - x w, with x and y centred. The dual
    point is c r, with c so that |x^T (c v r) - c l2 w| is at most l1 everywhere: for l2 the problem
    is the lasso of x and y extended by sqrt(l2) I and 0 (Zou & Hastie 2005, lemma 1). x is centred
    in the products alone, and so not copied.
    """
    kind = x.dtype
    r = np.asarray(y, np.float64) - x @ w.astype(kind)
    v = np.asarray(v, np.float64)
    if intercept:
        y, r = y - v @ y, r - v @ r
    l1, l2 = alpha * ratio, alpha * (1 - ratio)
    # The centred r has the weighted sum 0, so the mean of x drops out.
    slope = x.T @ (v * r).astype(kind) - l2 * w
    largest = np.max(np.abs(slope), initial=0.0)
    norm = v @ r**2 + l2 * w @ w
    if l1 == 0:
        # No set to stay within: strong convexity bounds the gap by |gradient|^2 / (2 l2).
        return float(slope @ slope / (2 * l2)) if l2 else float(np.linalg.norm(slope))
    c = min(1.0, l1 / largest) if largest > 0 else 1.0
    return float(norm / 2 * (1 + c * c) + l1 * np.abs(w).sum() - c * (v @ (y * r)))


class LinearClassifier(ClassifierMixin, LinearModel):
    """Base of the linear classifiers: two classes have one output, k classes k."""

    PER_ROW = False

    def _rows(self, X, y):
        return check_fit(self, X, y)

    def _code(self, y, weight, like):
        labels = like.target if like else Labels.fit(self, y)
        k = len(labels.classes)
        return labels, 1 if k <= 2 else k

    def _encode(self, coding, y, weight):
        codes = coding.target.encode(y)
        coding.target.require_several(self, codes, weight)
        return codes, coding.target.weights(self.class_weight, codes, weight)

    def _bend(self, coding):
        return 0.25

    def _scales(self, coding):
        s = coding.bent.scale[:, None]
        return 1 / s, 1 / s**2

    def _keep(self, coding, params):
        w, b = in_units(coding, params)
        self.classes_ = coding.target.classes
        self.coef_ = np.ascontiguousarray(w.T)
        self.intercept_ = b if self.fit_intercept else np.zeros_like(b)

    def decision_function(self, X: Any) -> np.ndarray:
        """x W + b: (rows,) for two classes, positive for the second; else (rows, classes)."""
        out = self._outputs(X)
        return out[:, 0] if out.shape[1] == 1 else out

    def predict(self, X: Any) -> np.ndarray:
        """The class with the largest output."""
        out = self.decision_function(X)
        codes = (out > 0).astype(int) if out.ndim == 1 else out.argmax(axis=1)
        return self.classes_[codes]


class LogisticRegression(LinearClassifier):
    """Logistic regression: min of C sum_i E(x_i W + b, y_i) + r |W|_1 + (1 - r) / 2 |W|^2.

    E is the log-loss of one logit for two classes (Cox 1958), of the softmax for more. L-BFGS; with
    an L1 part FISTA, whose zeros are exact.

    Parameters:
      C: inverse strength of the penalty, above 0; `numpy.inf` for none.
      l1_ratio: r, the share of the L1 part, from 0 to 1.
      penalty: `l2`, `l1`, `elasticnet` or None: another way to say l1_ratio 0, 1, as given, and C
        infinite; `auto` leaves it to C and l1_ratio.
      class_weight: `balanced`, a dict of label -> weight, or None.
      fit_intercept, optimizer, tol, max_iter, dtype, verbose: as in `LinearRegression`.

    Attributes: `classes_`, and those of `LinearModel`.

    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = LogisticRegression(C=10.0).fit(X, y)
    >>> model.score(X, y) > 0.95, model.coef_.shape, model.optimality_ < 1e-6
    (True, (3, 4), True)
    """

    NUMBERS = frozenset({"C", "l1_ratio", "tol"})

    def __init__(self, *, C=1.0, l1_ratio=0.0, penalty="auto", fit_intercept=True,
                 class_weight=None, optimizer="auto", tol=1e-9, max_iter=1000, dtype="float64",
                 verbose=False):  # fmt: skip
        base.keep(self, locals())

    def _loss(self, coding):
        return BinaryLogLoss() if coding.outputs == 1 else LogLoss()

    def _penalties(self, coding):
        c = base.real(self, "C", self.C, least=None, above=0.0)
        ratio = base.real(self, "l1_ratio", self.l1_ratio, most=1.0)
        known = ("auto", "l1", "l2", "elasticnet", None)
        if not any(self.penalty is p or self.penalty == p for p in known):
            raise UsageError(f"penalty={self.penalty!r} is not known; known: {known}.")
        if self.penalty is None:
            return 0.0, 0.0
        ratio = {"l1": 1.0, "l2": 0.0}.get(self.penalty, ratio)
        scale = 1 / (c * coding.total)
        return scale * ratio, scale * (1 - ratio)

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class, (rows, classes)."""
        check_is_fitted(self)
        out = self._outputs(X)
        if out.shape[1] == 1:
            p = expit(out)
            return np.hstack([1 - p, p])
        return softmax(out, axis=1)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Its logarithm."""
        return np.log(self.predict_proba(X))
