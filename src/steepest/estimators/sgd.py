"""Linear models by stochastic gradient descent, with averaging and learning in parts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.special import expit
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.model_selection import train_test_split
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from steepest.core.errors import UsageError, suggest
from steepest.core.outcome import Reason
from steepest.core.record import number, record
from steepest.data.dataset import Arrays
from steepest.engine.runs import Runs
from steepest.engine.spec import RunSpec
from steepest.engine.step import iterate
from steepest.engine.stop import StopRule
from steepest.estimators import base
from steepest.estimators.base import Estimator, Job
from steepest.estimators.curvature import stable_limit
from steepest.estimators.inputs import Labels, check_fit, check_rows, check_weight, dense
from steepest.models.linear import Linear
from steepest.objectives.classification import Hinge, Margin, SquaredHinge
from steepest.objectives.objective import Objective
from steepest.objectives.regression import EpsilonInsensitive, Huber, Residual
from steepest.objectives.regularizers import Penalty
from steepest.optimizers.gradient_descent import GradientDescent
from steepest.optimizers.wrap import Averaged
from steepest.schedules import Constant, InverseTime, ReduceOnPlateau


@record
class MarginLog(Margin):
    """log(1 + exp(-m)): logistic regression, for k classes each against the rest."""

    def of_margin(self, m):
        """log(1 + exp(-m))."""
        return jnp.logaddexp(jnp.zeros_like(m), -m)


@record
class ModifiedHuber(Margin):
    """max(0, 1 - m)^2, from m = -1 down the tangent -4 m (Zhang 2004, eq. 14)."""

    def of_margin(self, m):
        """The square, or its tangent."""
        return jnp.where(m >= -1, jnp.square(jnp.maximum(1 - m, 0)), -4 * m)


@record
class HalfSquared(Residual):
    """r^2 / 2, whose curvature by the output is 1."""

    unit: float = number(1.0, above=0)

    def of_residual(self, r):
        """r^2 / 2."""
        return jnp.asarray(self.unit, r.dtype) * jnp.square(r) / 2


CLASS_LOSSES = {
    "hinge": Hinge,
    "squared_hinge": SquaredHinge,
    "log_loss": MarginLog,
    "modified_huber": ModifiedHuber,
}
BENDS = {"squared_hinge": 2.0, "modified_huber": 2.0, "log_loss": 0.25, "squared_error": 1.0}
"""The largest second derivative by the output."""
REAL_LOSSES = ("squared_error", "huber", "epsilon_insensitive")


class SGD(Estimator):
    """Base of both: rows one by one (or `batch_size` at a time), in float64."""

    NUMBERS = frozenset({"alpha", "l1_ratio", "eta0", "power_t", "epsilon", "tol"})

    def _outputs_of(self, target: Any) -> int:
        raise NotImplementedError

    def _loss_object(self) -> Any:
        raise NotImplementedError

    def _schedule(self, largest: float) -> Any:
        eta0 = base.real(self, "eta0", self.eta0, least=None, above=0.0)
        alpha = base.real(self, "alpha", self.alpha)
        known = {"constant", "optimal", "invscaling", "adaptive"}
        if self.learning_rate == "constant":
            return Constant(eta0)
        if self.learning_rate == "invscaling":
            power = base.real(self, "power_t", self.power_t)
            if power == 0:
                return Constant(eta0)
            return InverseTime(eta0, decay=1.0, power=power, every=1.0, unit="step")
        if self.learning_rate == "adaptive":
            patience = max(0, base.whole(self, "n_iter_no_change", self.n_iter_no_change) - 1)
            return ReduceOnPlateau(eta0, factor=0.2, patience=float(patience))
        if self.learning_rate == "optimal":
            # eta_t = 1 / (alpha (t_0 + t)), Bottou 2012, sec. 5.2; t_0 so that weights of the
            # size expected at the end are reached by no single step.
            if alpha == 0:
                raise UsageError("learning_rate='optimal' needs alpha above 0, got 0.")
            first = float(np.sqrt(1 / np.sqrt(alpha)))
            bend = BENDS.get(self.loss)
            if bend is not None:
                # No faster than half of what is stable for the row of largest norm.
                first = min(first, 1 / (bend * largest))
            return InverseTime(first, decay=alpha * first, power=1.0, every=1.0, unit="step")
        raise UsageError(
            f"learning_rate={self.learning_rate!r} is not known; "
            f"{suggest(str(self.learning_rate), known)} The rate itself is eta0."
        )

    def _spec(self, x: np.ndarray, outputs: int, once: bool) -> RunSpec:
        known = {"l2": 0.0, "l1": 1.0, "elasticnet": self.l1_ratio, None: None}
        if self.penalty not in known:
            raise UsageError(f"penalty={self.penalty!r} is not known; known: l1, l2, elasticnet.")
        ratio, alpha = known[self.penalty], base.real(self, "alpha", self.alpha)
        penalty = Penalty()
        if ratio is not None:
            ratio = base.real(self, "l1_ratio", ratio, most=1.0)
            penalty = Penalty(l1=alpha * ratio, l2=alpha * (1 - ratio))
        largest = 1 + float(np.einsum("ij,ij->i", x, x).max())
        rule: Any = GradientDescent(self._schedule(largest))
        if self.average:
            begin = 0 if self.average is True else base.whole(self, "average", self.average)
            rule = Averaged(rule, decay=None, begin=float(begin), unit="step")
        infinity = float("inf")
        tol = None if self.tol is None or once else base.real(self, "tol", self.tol)
        wait = float(base.whole(self, "n_iter_no_change", self.n_iter_no_change))
        held = self.early_stopping
        # The adaptive rate is lowered instead, and the run then goes on.
        adaptive = self.learning_rate == "adaptive"
        patient = infinity if tol is None or adaptive else wait
        model = Linear(x.shape[1], outputs, intercept=bool(self.fit_intercept))
        return RunSpec(
            objective=Objective(model, self._loss_object(), penalty),
            optimizer=rule,
            stop=StopRule(
                patience=patient if held else infinity,
                stall_patience=infinity if held else patient,
                min_delta=tol or 0.0,
            ),
            probes=("loss",),
        )

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Fit to rows X (rows, features) and targets y (rows,).

        Where the descent blows up, a ConvergenceWarning names the rate and its measured limit, and
        the weights of the best epoch are kept (0 if there is none).
        """
        if self._ready_made(X):
            return self
        again = bool(self.warm_start) and hasattr(self, "_state")
        job = self._job(X, y, sample_weight, like=Job((), Arrays(np.zeros((0, 1))),
                        coding=self._target) if again else None)  # fmt: skip
        if again:
            self._calls += 1
            base.reopened(job, self._state, self._calls)
        self._adopt(job, base.run_jobs([[job]], self._hooks()), range(1))
        return self

    def _partial(self, X, y, sample_weight, classes=None):
        again = hasattr(self, "_state")
        like = Job((), Arrays(np.zeros((0, 1))), coding=self._target) if again else None
        job = self._job(X, y, sample_weight, like=like, classes=classes, once=True)
        if again:
            self._calls += 1
            base.reopened(job, self._state, self._calls)
        self._adopt(job, base.run_jobs([[job]], self._hooks()), range(1), again=again)
        return self

    def _job(self, X, y, sample_weight=None, *, like=None, classes=None, once=False):
        epochs = 1 if once else base.whole(self, "max_iter", self.max_iter)
        batch = base.whole(self, "batch_size", self.batch_size)
        X, y = self._check(X, y, like is None or bool(like.stages))
        weight = check_weight(sample_weight, X.shape[0])
        x = dense(X)
        target = self._code(y, classes) if like is None else like.coding
        targets, weight = self._encode(target, y, weight, once)
        held = None
        if self.early_stopping and not once:
            share = base.real(self, "validation_fraction", self.validation_fraction, most=0.9)
            seed = base.seed_of(self.random_state) % 2**32
            a, b = train_test_split(np.arange(len(x)), test_size=share, random_state=seed)
            held = Arrays(x[b], targets[b], weight[b])
            x, targets, weight = x[a], targets[a], weight[a]
        spec = self._spec(x, self._outputs_of(target), once)
        seed = base.seed_of(self.random_state)
        how = {"batch_size": batch, "epochs": epochs, "dtype": "float64"}
        return Job((spec,), Arrays(x, targets, weight), held, (seed,), how, target)

    def _restage(self, job):
        model = job.stages[0].objective.model
        return base.restaged(job, self._spec(job.train.x, model.outputs, False))

    def _adopt(self, job: Job, runs: Runs, streams: Sequence[int] = (0,), cell: int = 0,
               again: bool = False) -> None:  # fmt: skip
        stream, spec = streams[0], runs.specs[cell]
        curve = runs.trace.epochs["train_loss"][:, stream, cell]
        curve = curve[np.isfinite(curve)].tolist()
        first = float(runs.trace.steps["loss"][0, stream, cell])
        lost = runs.reason(stream, cell) in (Reason.NOT_FINITE, Reason.BLOW_UP)
        start = float(runs.carry.first_value[stream, cell])
        # Losses of single rows scatter; twice the larger of the first epoch and row is no scatter.
        worse = not again and bool(curve) and not curve[-1] <= 2 * max(first, start, curve[0])
        limit = ""
        if lost or worse:
            limit = stable_limit(spec, job.train, job.seeds[0], "float64", self.batch_size == 1)
            limit = limit.replace("learning_rate=", "eta0=").replace(
                "rates above", "rates eta0 above"
            )
        self._judge(runs, [stream], cell, limit, warn=True)
        if worse and not lost:
            base.warn_worse(self, max(first, start, curve[0]), curve[-1], limit)
        params = base.at(iterate(spec, runs.carry), stream, cell)
        if lost:
            # The best epoch; before the first, the start, which is 0.
            known = np.isfinite(runs.carry.best_value[stream, cell])
            best = base.at(runs.carry.best_params, stream, cell)
            params = best if known else jax.tree.map(np.zeros_like, best)
        self._target = job.coding
        self._keep(np.asarray(params["weight"]), np.asarray(params.get("bias", 0.0)))
        self.loss_curve_ = (self.loss_curve_ if again else []) + curve
        self.n_iter_ = len(self.loss_curve_)
        self.t_ = float(runs.carry.step[stream, cell]) + 1
        self._state = base.state_of(runs, [stream], cell)
        self._calls = getattr(self, "_calls", 0) if again else 0
        tried = not again and self.tol is not None and job.how["epochs"] == self.max_iter
        if (
            tried
            and runs.reason(stream, cell) is Reason.MAX_STEPS
            and self.max_iter > 1
            and (self.learning_rate != "adaptive")
        ):
            base.warn_budget(self, "max_iter", self.max_iter, self.message_)

    def _outputs(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return (
            safe_sparse_dot(check_rows(self, X), self.coef_.T, dense_output=True) + self.intercept_
        )


class SGDClassifier(ClassifierMixin, SGD):
    """A linear classifier by stochastic gradient descent, row by row.

    w <- w - eta_t d/dw [phi(s f(x)) + alpha R(w)], f = x w + b; k classes are k problems, each
    against the rest. L1 parts enter by their proximal map, so that zeros are exact.

    Parameters, as scikit-learn's:
      loss: `hinge`, `squared_hinge`, `log_loss`, `modified_huber`.
      penalty: `l2`, `l1`, `elasticnet` (with l1_ratio) or None; alpha: its strength.
      learning_rate: `optimal`: 1 / (alpha (t_0 + t)); `constant`: eta0; `invscaling`:
        eta0 / t^power_t; `adaptive`: eta0, lowered when the loss stalls.
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
        self.classes_ = self._target.classes
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
