"""Linear models by stochastic gradient descent, with averaging and learning in parts."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import expit
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.metaestimators import available_if

from steepest.core.errors import UsageError, suggest
from steepest.estimators import base
from steepest.estimators.inputs import Labels, check_fit
from steepest.estimators.sgd_losses import CLASS_LOSSES, REAL_LOSSES, HalfSquared
from steepest.estimators.stochastic import SGD
from steepest.objectives.regression import EpsilonInsensitive, Huber


class SGDClassifier(ClassifierMixin, SGD):
    """A linear classifier by stochastic gradient descent, row by row.

    w <- w - eta_t d/dw [phi(s f(x)) + alpha R(w)], f = x w + b; k classes are k problems, each
    against the rest. L1 parts enter by their proximal map, so that zeros are exact.

    Parameters, as scikit-learn's:
      loss: `hinge`, `squared_hinge`, `log_loss`, `modified_huber`.
      penalty: `l2`, `l1`, `elasticnet` (with l1_ratio) or None; alpha: its strength.
      learning_rate: `optimal`: 1 / (alpha (t_0 + t)); `constant`: eta0; `invscaling`:
        eta0 / t^power_t; `adaptive`: eta0, lowered when the loss stalls; `auto`: adaptive, from a
        rate that is measured on the rows first (`eta0_`).
      max_iter: epochs at most; tol, n_iter_no_change: stop when the loss has not fallen by tol in
        so many epochs; early_stopping, validation_fraction: judged on rows that are held out.
      average: use the mean of the weights of all steps (Polyak & Juditsky 1992), or from that step.
      batch_size: rows in a step. class_weight, fit_intercept, warm_start, random_state, verbose.

    Attributes: `coef_`, `intercept_`, `classes_`, `loss_curve_`, `n_iter_`, `t_`, `outcome_`,
    `message_`.

    >>> from sklearn.datasets import load_iris
    >>> from sklearn.preprocessing import scale
    >>> X, y = load_iris(return_X_y=True)
    >>> SGDClassifier(random_state=0).fit(scale(X), y).score(scale(X), y) > 0.9
    True
    """

    def __init__(self, loss="hinge", *, penalty="l2", alpha=0.0001, l1_ratio=0.15,
                 fit_intercept=True, max_iter=1000, tol=1e-3, learning_rate="optimal", eta0=0.01,
                 power_t=0.5, epsilon=0.1, early_stopping=False, validation_fraction=0.1,
                 n_iter_no_change=5, class_weight=None, warm_start=False, average=False,
                 batch_size=1, random_state=None, verbose=False):  # fmt: skip
        base.keep(self, locals())

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Any:
        """One pass over these rows, from where the last call ended.

        `classes`: all labels, needed in the first call where `y` does not hold them all.
        """
        return self._partial(X, y, sample_weight, classes)

    def _check(self, X, y, reset):
        return check_fit(self, X, y, reset=reset)

    def _code(self, y, classes):
        labels = Labels.fit(self, y)
        return labels if classes is None else Labels(np.unique(classes))

    def _encode(self, labels, y, weight, once):
        codes = labels.encode(y)
        if not once or len(labels.classes) < 2:
            labels.require_several(self, codes, weight)
        return codes, labels.weights(self.class_weight, codes, weight)

    def _outputs_of(self, labels):
        return 1 if len(labels.classes) <= 2 else len(labels.classes)

    def _loss_object(self):
        if self.loss not in CLASS_LOSSES:
            raise UsageError(
                f"loss={self.loss!r} is not known; {suggest(str(self.loss), CLASS_LOSSES)}"
            )
        return CLASS_LOSSES[self.loss]()

    def _keep(self, weight, bias):
        self.classes_ = self._coding.target.classes
        self.coef_ = np.ascontiguousarray(weight.T)
        self.intercept_ = np.broadcast_to(bias, weight.shape[1]).copy()

    def decision_function(self, X: Any) -> np.ndarray:
        """x w + b: (rows,) for two classes, else (rows, classes)."""
        out = self._outputs(X)
        return out[:, 0] if out.shape[1] == 1 else out

    def predict(self, X: Any) -> np.ndarray:
        """The class with the largest output."""
        out = self.decision_function(X)
        return self.classes_[(out > 0).astype(int) if out.ndim == 1 else out.argmax(axis=1)]

    @available_if(lambda self: self.loss == "log_loss")
    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class; of more than two, each against the rest, normalised."""
        p = expit(self._outputs(X))
        if p.shape[1] == 1:
            return np.hstack([1 - p, p])
        total = p.sum(axis=1, keepdims=True)
        return np.where(total > 0, p / np.where(total > 0, total, 1), 1 / p.shape[1])


class SGDRegressor(RegressorMixin, SGD):
    """Linear regression by stochastic gradient descent, row by row.

    Parameters: `loss`: `squared_error` (r^2 / 2), `huber`, `epsilon_insensitive`, both with
    `epsilon` in units of the target; the others as in `SGDClassifier`. Inputs of mean 0 and
    deviation 1 are needed, as always with one rate for all weights.

    Where the rate is too large a ConvergenceWarning says so, with the limit that was measured.

    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.preprocessing import scale
    >>> X, y = load_diabetes(return_X_y=True)
    >>> SGDRegressor(random_state=0).fit(scale(X), y).score(scale(X), y) > 0.5
    True
    """

    def __init__(self, loss="squared_error", *, penalty="l2", alpha=0.0001, l1_ratio=0.15,
                 fit_intercept=True, max_iter=1000, tol=1e-3, learning_rate="invscaling",
                 eta0=0.01, power_t=0.25, epsilon=0.1, early_stopping=False,
                 validation_fraction=0.1, n_iter_no_change=5, warm_start=False, average=False,
                 batch_size=1, random_state=None, verbose=False):  # fmt: skip
        base.keep(self, locals())

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """One pass over these rows, from where the last call ended."""
        return self._partial(X, y, sample_weight)

    def _check(self, X, y, reset):
        return check_fit(self, X, y, reset=reset, y_numeric=True)

    def _code(self, y, classes):
        return None

    def _encode(self, target, y, weight, once):
        return np.asarray(y, np.float64)[:, None], weight

    def _outputs_of(self, target):
        return 1

    def _loss_object(self):
        epsilon = base.real(self, "epsilon", self.epsilon)
        if self.loss == "squared_error":
            return HalfSquared()
        if self.loss == "huber":
            return Huber(delta=epsilon)
        if self.loss == "epsilon_insensitive":
            return EpsilonInsensitive(epsilon=epsilon)
        raise UsageError(f"loss={self.loss!r} is not known; {suggest(str(self.loss), REAL_LOSSES)}")

    def _keep(self, weight, bias):
        self.coef_ = weight[:, 0].copy()
        self.intercept_ = np.broadcast_to(bias, 1).copy()

    def predict(self, X: Any) -> np.ndarray:
        """x w + b."""
        return self._outputs(X)
