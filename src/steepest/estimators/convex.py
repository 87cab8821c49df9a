"""`LinearModel`: linear models with a convex objective, minimised over all rows in float64."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.validation import check_is_fitted

from steepest.core.errors import UsageError
from steepest.core.outcome import Outcome
from steepest.engine.runs import Runs
from steepest.engine.spec import RunSpec
from steepest.engine.stop import StopRule
from steepest.estimators import base, sparse
from steepest.estimators.affine import Affine, AffinePenalty
from steepest.estimators.base import Estimator, Job
from steepest.estimators.inputs import (
    Scaling,
    check_fit,
    check_rows,
    check_weight,
    dense,
    filled,
    width_for,
)
from steepest.objectives.objective import Objective
from steepest.optimizers.proximal import FISTA
from steepest.optimizers.quasi_newton import LBFGS
from steepest.optimizers.registry import optimizer as make_optimizer

CLOSE = 1e-5
"""Gradient norm below which a run that rounding has stopped counts as converged."""
SAMPLE = 4096
"""Rows from which the variables are scaled: it changes how short the descent is, nothing else."""


@dataclass(frozen=True)
class Target:
    """y -> (y - shift) / scale, column by column; `columns` is 0 for a target of shape (rows,)."""

    shift: np.ndarray
    scale: np.ndarray
    columns: int = 0

    @classmethod
    def fit(cls, y: np.ndarray, weight: np.ndarray, centre: bool, scale: bool = True) -> Target:
        """From the weighted moments of y, (rows,) or (rows, k)."""
        columns = y.shape[1] if y.ndim == 2 else 0
        found = Scaling.fit(y.reshape(len(y), -1), weight, centre)
        return cls(found.shift, found.scale if scale else np.ones_like(found.scale), columns)

    def encode(self, y: np.ndarray, dtype: Any) -> np.ndarray:
        """Scaled targets (rows, k)."""
        return ((y.reshape(len(y), -1) - self.shift) / self.scale).astype(dtype)


@dataclass
class LinearCoding:
    """What was learned of the data: scales of variables and targets, and sizes.

    `bent`: the scales of the variables of the descent, with the penalty taken into account.
    `entries`: numbers kept of each row where rows are packed (`sparse`), else 0.
    """

    scaling: Scaling
    target: Any
    features: int
    outputs: int
    total: float
    bent: Any = None
    entries: int = 0


class LinearModel(Estimator):
    """Base of the linear models: min over W, b of sum_i v_i E(x_i W + b, y_i) / V + R(W).

    v are row weights, V their sum. The variables are scaled inside, which changes the path and not
    the minimum; `coef_` and `intercept_` are in the units of the data.

    Fitted attributes of all: `coef_`, `intercept_`, `n_iter_`, `n_features_in_`, `loss_curve_`
    (objective by iteration, in scaled variables), `outcome_` and `message_` (how the descent ended,
    as a sentence), and `optimality_`, which certifies how close to the minimum it ended: the norm
    of the gradient (with an L1 part: of w - prox(w - g)) of the scaled objective, or a duality gap
    where the class says so.
    """

    PER_ROW: ClassVar[bool] = True
    """Whether the penalty stands beside the mean loss (True) or the sum of losses (False)."""

    def _loss(self, coding: LinearCoding) -> Any:
        raise NotImplementedError

    def _penalties(self, coding: LinearCoding) -> tuple[float, float]:
        """(l1, l2) beside the mean loss, in the units of W."""
        return 0.0, 0.0

    def _rows(self, X: Any, y: Any) -> tuple[Any, Any]:
        """(X, y) as scikit-learn checks them."""
        return check_fit(self, X, y, multi_output=True, y_numeric=True)

    def _features(self, x: Any, fitting: bool = False) -> Any:
        """What the model is linear in; learned from the rows when `fitting`."""
        return x

    def _code(self, y: np.ndarray, weight: np.ndarray, like: Any) -> tuple[Any, int]:
        """The coding of the target, and how many outputs it needs."""
        target = like.target if like else Target.fit(y, weight, self.fit_intercept)
        return target, max(1, target.columns)

    def _encode(self, coding: LinearCoding, y: np.ndarray, weight: np.ndarray) -> Any:
        """(targets, row weights) for the engine."""
        return coding.target.encode(y, self.dtype), weight

    def _scales(self, coding: LinearCoding) -> tuple[np.ndarray, np.ndarray]:
        """`a` and `b` of the penalty, by which |U| and U^2 count; with squared loss, y scaled."""
        s = coding.bent.scale[:, None]
        return 1 / (s * coding.target.scale), 1 / s**2

    def _bend(self, coding: LinearCoding) -> float:
        """The second derivative of the mean loss by an output, roughly; 2 / k for k squares."""
        return 2.0 / coding.outputs

    def _bent(self, coding: LinearCoding) -> Scaling:
        """Scales that take the L2 part into account: the root of the Hessian's diagonal."""
        _, l2 = self._penalties(coding)
        found = coding.scaling
        return Scaling(found.shift, np.sqrt(found.scale**2 + l2 / self._bend(coding)))

    def _job(self, X, y, sample_weight=None, *, like=None):
        max_iter = base.whole(self, "max_iter", self.max_iter)
        base.real(self, "tol", self.tol)
        if self.dtype not in ("float32", "float64"):
            raise UsageError(f"dtype must be 'float32' or 'float64', got {self.dtype!r}.")
        X, y = self._rows(X, y)
        weight = check_weight(sample_weight, X.shape[0])
        x = self._features(X, fitting=like is None)
        known = None if like is None else like.coding
        packed = bool(known.entries) if known else sparse.packs(x)
        features = x.shape[1]
        if packed:
            width, rows = features, x
            x = sparse.pack(x, self.dtype, known and known.entries)
        else:
            x = dense(x, self.dtype)
            width, rows = width_for(x.shape), x[:: -(-len(x) // SAMPLE)]
        target, outputs = self._code(y, weight, known)
        if known is None:
            counts = weight[:: -(-len(x) // rows.shape[0])]
            found = Scaling.fit(rows, counts, self.fit_intercept)
            fill = width - features
            scaling = Scaling(np.pad(found.shift, (0, fill)), np.pad(found.scale, (0, fill),
                              constant_values=1.0))  # fmt: skip
        else:
            scaling = known.scaling
        entries = x.shape[1] // 2 if packed else 0
        coding = LinearCoding(scaling, target, features, outputs, 0.0, entries=entries)
        targets, weight = self._encode(coding, y, weight)
        coding.total = known.total if known else float(weight.sum())
        norm = float(weight.sum()) if self.PER_ROW else coding.total
        train = filled(x, targets, weight / norm, x.shape[1] if packed else width)
        how = {"batch_size": "full", "steps": max_iter, "dtype": self.dtype, "chunk_steps": 256}
        coding.bent = self._bent(coding)
        return Job(self._stages(coding), train, how=how, coding=coding)

    def _restage(self, job):
        coding = dataclasses.replace(job.coding)
        coding.bent = self._bent(coding)
        return dataclasses.replace(job, stages=self._stages(coding), coding=coding)

    def _stages(self, coding):
        return (self._spec(coding, self._loss(coding)),)

    def _model(self, coding):
        return Affine(
            inputs=len(coding.bent.scale),
            outputs=coding.outputs,
            shift=coding.bent.shift,
            scale=coding.bent.scale,
            intercept=bool(self.fit_intercept),
            packed=bool(coding.entries),
        )

    def _on_bias(self, coding):
        """What `AffinePenalty` needs where the bias is penalised too; None where it is not."""
        return None

    def _spec(self, coding, loss, tol=None):
        l1, l2 = self._penalties(coding)
        a, b = self._scales(coding)
        penalty: Any = AffinePenalty(
            l1=l1, l2=l2, a=a if l1 else 1.0, b=b if l2 else 1.0, on_bias=self._on_bias(coding)
        )
        return RunSpec(
            objective=Objective(self._model(coding), loss, penalty, reduction="sum"),
            optimizer=descent(self.optimizer, bool(l1)),
            stop=StopRule(tolerance=float(self.tol if tol is None else tol)),
            probes=("loss", "gradient_norm"),
            track="step",
            deterministic=True,
        )

    def _adopt(self, job: Job, runs: Runs, streams: Sequence[int] = (0,), cell: int = 0) -> None:
        stream = streams[0]
        self.n_iter_ = max(1, int(runs.carry.step[stream, cell]))
        losses = runs.trace.steps["loss"][:, stream, cell]
        self.loss_curve_ = losses[np.isfinite(losses)].tolist()
        self.optimality_ = float(runs.carry.gradient_norm[stream, cell])
        self._judge(runs, [stream], cell)
        params, _ = runs.last(stream, cell)
        self._keep(job.coding, params)
        if runs.outcome(stream, cell) is Outcome.BUDGET or (
            runs.outcome(stream, cell) is Outcome.STALLED and not self.optimality_ <= CLOSE
        ):
            base.warn_budget(self, "max_iter", self.max_iter, self.message_)

    def _keep(self, coding: LinearCoding, params: Any) -> None:
        w, b = in_units(coding, params)
        t = coding.target
        w, b = w * t.scale, b * t.scale + t.shift
        self.coef_ = np.ascontiguousarray(w.T) if t.columns else w[:, 0]
        zero = np.zeros(t.columns) if t.columns else 0.0
        self.intercept_ = (b if t.columns else float(b[0])) if self.fit_intercept else zero

    def _outputs(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        X = self._features(check_rows(self, X))
        return safe_sparse_dot(X, self.coef_.T, dense_output=True) + self.intercept_


class LinearRegressor(RegressorMixin, LinearModel):
    """Base of the linear models that predict x W + b."""

    def predict(self, X: Any) -> np.ndarray:
        """x W + b for each row."""
        return self._outputs(X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags


class SingleTarget(LinearRegressor):
    """Base of those with one target."""

    def _rows(self, X, y):
        return check_fit(self, X, y, y_numeric=True)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = False
        return tags


def in_units(coding: LinearCoding, params: Any) -> tuple[np.ndarray, np.ndarray]:
    """(W, b) in the units of the features, for the scaled targets; without filled-up features."""
    u = np.asarray(params["weight"], np.float64)
    w = u / coding.bent.scale[:, None]
    b = np.asarray(params.get("bias", np.zeros(u.shape[1])), np.float64)
    return w[: coding.features], b - coding.bent.shift @ w


def descent(optimizer: Any, sparse: bool) -> Any:
    """The optimizer asked for; `auto`: L-BFGS, or accelerated proximal gradient with an L1 part."""
    if isinstance(optimizer, str) and optimizer == "auto":
        return FISTA() if sparse else LBFGS()
    if optimizer is None:
        raise UsageError("optimizer must be a name or an optimizer, got None; 'auto' chooses one.")
    return make_optimizer(optimizer)
