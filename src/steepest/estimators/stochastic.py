"""`SGD`: what both linear models by stochastic gradient descent share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp
from sklearn.model_selection import train_test_split
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.validation import check_is_fitted

from steepest.core.errors import UsageError, suggest
from steepest.core.outcome import Reason
from steepest.core.record import record
from steepest.data.dataset import Arrays
from steepest.engine.runs import Runs
from steepest.engine.settings import Settings
from steepest.engine.spec import RunSpec
from steepest.engine.step import iterate
from steepest.engine.stop import StopRule
from steepest.estimators import base, sparse
from steepest.estimators.base import Estimator, Job
from steepest.estimators.curvature import row_squares, stable_limit
from steepest.estimators.inputs import check_rows, check_weight, dense
from steepest.estimators.sgd_losses import BENDS
from steepest.models.linear import Linear
from steepest.objectives.objective import Objective
from steepest.objectives.regularizers import Penalty
from steepest.optimizers.gradient_descent import GradientDescent
from steepest.optimizers.wrap import Averaged
from steepest.schedules import Constant, InverseTime, ReduceOnPlateau

SWEEP_EPOCHS = 20
"""With `learning_rate="auto"`: epochs of a fit, of which the sweep may take a fifth."""


@record
class Steps(Objective):
    """sum_i v_i E(f(x_i), y_i) + R(w) over a mini-batch, v_i the weight of a row over its size.

    The mean of a mini-batch of one row would not know the weight of that row.
    """

    def weight(self, batch: Any) -> Any:
        """How many rows the mini-batch holds."""
        return jnp.sum(batch.weight > 0, dtype=batch.weight.dtype)


@dataclass
class StepCoding:
    """What was learned of the data: labels, sizes, and eta0 where it was measured.

    largest: weight times 1 + |x|^2, of the row where that is largest. entries: numbers kept of each
    row where rows are packed (`sparse`), else 0.
    """

    target: Any
    features: int
    largest: float
    entries: int = 0
    rate: float | None = None


class SGD(Estimator):
    """Base of both: rows one by one (or `batch_size` at a time), in float64."""

    NUMBERS = frozenset({"alpha", "l1_ratio", "eta0", "power_t", "epsilon", "tol"})

    def _outputs_of(self, target: Any) -> int:
        raise NotImplementedError

    def _loss_object(self) -> Any:
        raise NotImplementedError

    def _schedule(self, largest: float, rate: float | None = None) -> Any:
        eta0 = base.real(self, "eta0", self.eta0, least=None, above=0.0)
        eta0 = eta0 if rate is None else rate
        alpha = base.real(self, "alpha", self.alpha)
        known = {"auto", "constant", "optimal", "invscaling", "adaptive"}
        if self.learning_rate == "constant":
            return Constant(eta0)
        if self.learning_rate == "invscaling":
            power = base.real(self, "power_t", self.power_t)
            if power == 0:
                return Constant(eta0)
            return InverseTime(eta0, decay=1.0, power=power, every=1.0, unit="step")
        if self.learning_rate in ("adaptive", "auto"):
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

    def _alone(self):
        return self.learning_rate == "auto"

    def _spec(self, features: int, largest: float, outputs: int, once: bool, packed: bool = False,
              rate: float | None = None, mean: bool = False) -> RunSpec:  # fmt: skip
        """The run. largest: as in `StepCoding`; rate: in place of eta0.

        `mean`: the loss is the mean over a batch of any size, for measurements.
        """
        known = {"l2": 0.0, "l1": 1.0, "elasticnet": self.l1_ratio, None: None}
        if self.penalty not in known:
            raise UsageError(f"penalty={self.penalty!r} is not known; known: l1, l2, elasticnet.")
        ratio, alpha = known[self.penalty], base.real(self, "alpha", self.alpha)
        penalty = Penalty()
        if ratio is not None:
            ratio = base.real(self, "l1_ratio", ratio, most=1.0)
            penalty = Penalty(l1=alpha * ratio, l2=alpha * (1 - ratio))
        rule: Any = GradientDescent(self._schedule(largest, rate))
        if self.average:
            begin = 0 if self.average is True else base.whole(self, "average", self.average)
            rule = Averaged(rule, decay=None, begin=float(begin), unit="step")
        infinity = float("inf")
        tol = None if self.tol is None or once else base.real(self, "tol", self.tol)
        wait = float(base.whole(self, "n_iter_no_change", self.n_iter_no_change))
        held = self.early_stopping
        # The adaptive rate is lowered instead, and the run then goes on.
        adaptive = self.learning_rate in ("adaptive", "auto")
        patient = infinity if tol is None or adaptive else wait
        model: Any = Linear(features, outputs, intercept=bool(self.fit_intercept))
        if packed:
            model = sparse.Unpacked(model, features, np.zeros(features), np.ones(features))
        loss = self._loss_object()
        return RunSpec(
            objective=Objective(model, loss, penalty)
            if mean
            else Steps(model, loss, penalty, reduction="sum"),
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
        job = self._job(X, y, sample_weight, like=self._kept() if again else None)
        if again:
            self._calls += 1
            base.reopened(job, self._state, self._calls)
        self._adopt(job, base.run_jobs([[job]], self._hooks()), range(1))
        return self

    def _partial(self, X, y, sample_weight, classes=None):
        again = hasattr(self, "_state")
        like = self._kept() if again else None
        job = self._job(X, y, sample_weight, like=like, classes=classes, once=True)
        if again:
            self._calls += 1
            base.reopened(job, self._state, self._calls)
        self._adopt(job, base.run_jobs([[job]], self._hooks()), range(1), again=again)
        return self

    def _kept(self):
        return Job((), Arrays(np.zeros((0, 1))), coding=self._coding)

    def diagnose(self, X: Any, y: Any, sample_weight: Any = None, *, deep: bool = True) -> Any:
        """What was wrong with the last fit to these rows, and what would cure it: a `Diagnosis`.

        Changes are given as parameters of this estimator; see `MLPClassifier.diagnose`.
        """
        from steepest.estimators.diagnosis import diagnose_sgd

        return diagnose_sgd(self, X, y, sample_weight, deep)

    def _job(self, X, y, sample_weight=None, *, like=None, classes=None, once=False):
        epochs = 1 if once else base.whole(self, "max_iter", self.max_iter)
        batch = base.whole(self, "batch_size", self.batch_size)
        X, y = self._check(X, y, like is None or bool(like.stages))
        weight = check_weight(sample_weight, X.shape[0])
        features = X.shape[1]
        packed = sparse.packs(X) if like is None else bool(like.coding.entries)
        entries = like.coding.entries if like else 0
        x = sparse.pack(sp.csr_matrix(X), np.float64, entries) if packed else dense(X)
        target = self._code(y, classes) if like is None else like.coding.target
        targets, weight = self._encode(target, y, weight, once)
        held = None
        if self.early_stopping and not once:
            share = base.real(self, "validation_fraction", self.validation_fraction, most=0.9)
            seed = base.seed_of(self.random_state) % 2**32
            a, b = train_test_split(np.arange(len(x)), test_size=share, random_state=seed)
            held = Arrays(x[b], targets[b], weight[b])
            x, targets, weight = x[a], targets[a], weight[a]
        train, seed = (
            Arrays(x, targets, weight / min(batch, len(x))),
            base.seed_of(self.random_state),
        )
        entries = x.shape[1] // 2 if packed else 0
        largest = float((weight * (1 + row_squares(x, packed))).max())
        coding = StepCoding(target, features, largest, entries, like.coding.rate if like else None)
        if self.learning_rate == "auto" and coding.rate is None:
            coding.rate = self._measured_rate(coding, train, seed)
        how = {"batch_size": batch, "epochs": epochs, "dtype": "float64"}
        return Job((self._stage(coding, once),), train, held, (seed,), how, coding)

    def _stage(self, coding: StepCoding, once: bool = False, rate: float | None = None,
               mean: bool = False) -> RunSpec:  # fmt: skip
        rate = coding.rate if rate is None else rate
        outputs = self._outputs_of(coding.target)
        packed = bool(coding.entries)
        return self._spec(coding.features, coding.largest, outputs, once, packed, rate, mean)

    def _measured_rate(self, coding: StepCoding, train: Arrays, seed: int) -> float:
        """eta0 by a short sweep from several seeds, as `train` finds its learning rate."""
        from steepest.engine.auto_rate import tune_rate

        settings = Settings(
            model="linear", optimizer="sgd", batch_size=self.batch_size, dtype="float64",
            epochs=min(self.max_iter, SWEEP_EPOCHS), seed=seed,
        )  # fmt: skip
        ready = SimpleNamespace(
            train=train, spec=lambda s: self._stage(coding, rate=s.learning_rate, mean=True)
        )
        return tune_rate(ready, settings).rate

    def _restage(self, job):
        return base.restaged(job, self._stage(job.coding))

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
            single = self.batch_size == 1
            limit = stable_limit(spec, job.train, job.seeds[0], "float64", single,
                                 bool(job.coding.entries))  # fmt: skip
            limit = limit.replace("learning_rate=", "eta0=").replace(
                "rates above", "rates eta0 above"
            )
        params = base.at(iterate(spec, runs.carry), stream, cell)
        if lost:
            # The best epoch; before the first, the start, which is 0.
            known = np.isfinite(runs.carry.best_value[stream, cell])
            best = base.at(runs.carry.best_params, stream, cell)
            params = best if known else jax.tree.map(np.zeros_like, best)
        self._coding, self._run = job.coding, base.record_of(runs, stream, cell)
        if job.coding.rate is not None:
            self.eta0_ = job.coding.rate
        self._keep(np.asarray(params["weight"]), np.asarray(params.get("bias", 0.0)))
        self.loss_curve_: list[float] = (self.loss_curve_ if again else []) + curve
        self.n_iter_ = len(self.loss_curve_)
        self.t_ = float(runs.carry.step[stream, cell]) + 1
        self._state = base.state_of(runs, [stream], cell)
        self._calls = getattr(self, "_calls", 0) if again else 0
        self._judge(runs, [stream], cell, limit, warn=True)
        if worse and not lost:
            base.warn_worse(self, max(first, start, curve[0]), curve[-1], limit)
        tried = not again and self.tol is not None and job.how["epochs"] == self.max_iter
        if (
            tried
            and runs.reason(stream, cell) is Reason.MAX_STEPS
            and self.max_iter > 1
            and self.learning_rate not in ("adaptive", "auto")
        ):
            base.warn_budget(self, "max_iter", self.max_iter, self.message_)

    def _outputs(self, X: Any) -> np.ndarray:
        check_is_fitted(self)
        return (
            safe_sparse_dot(check_rows(self, X), self.coef_.T, dense_output=True) + self.intercept_
        )
