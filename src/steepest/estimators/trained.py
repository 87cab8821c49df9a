"""`Trained`: models trained on mini-batches by the engine, as classifiers and regressors."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import jax
import numpy as np
import scipy.sparse as sp
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.model_selection import train_test_split
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, column_or_1d

from steepest.core.errors import DataError, UsageError
from steepest.core.outcome import Reason
from steepest.core.record import swap
from steepest.data.dataset import Arrays
from steepest.engine.auto import OTHERWISE, choose
from steepest.engine.compiling import precision
from steepest.engine.runs import Runs
from steepest.engine.settings import Settings
from steepest.engine.spec import RunSpec
from steepest.estimators import base, sparse
from steepest.estimators.base import Estimator, Job
from steepest.estimators.convex import Target
from steepest.estimators.curvature import stable_limit
from steepest.estimators.forward import outputs
from steepest.estimators.inputs import Labels, Scaling, check_fit, check_rows, check_weight, dense
from steepest.objectives.classification import BinaryLogLoss, LogLoss
from steepest.objectives.losses import loss as find_loss
from steepest.objectives.regression import Poisson


@dataclass
class Coding:
    """What was learned of rows and targets: scales, or labels.

    entries: numbers kept of each row where rows are packed (`sparse`), else 0. chosen: the settings
    that were `auto`, as they were found.
    """

    scaling: Scaling
    target: Any
    outputs: int
    entries: int = 0
    chosen: dict[str, Any] | None = None


class Trained(Estimator):
    """Base of both: data to a job of mini-batch training, and an ensemble of weights kept."""

    def fit(self, X: Any, y: Any, sample_weight: Any = None, X_val: Any = None,
            y_val: Any = None) -> Any:  # fmt: skip
        """Train on rows X (rows, features), targets y (rows,) or (rows, outputs).

        The weights of the epoch with the lowest loss on `X_val`, `y_val` are kept (or on the
        fraction `validation_fraction` of the rows); without either, of the lowest training loss.

        Raises DivergedError, which names the learning rate and its measured limit; DataError and
        UsageError before anything compiles.
        """
        if self._ready_made(X):
            return self
        again = bool(self.warm_start) and hasattr(self, "_state")
        job = self._job(X, y, sample_weight, X_val=X_val, y_val=y_val,
                        like=self._kept() if again else None)  # fmt: skip
        if again:
            self._continue(job)
        self._adopt(job, base.run_jobs([[job]], self._hooks()), range(len(job.seeds)))
        return self

    def _partial(self, X, y, sample_weight, classes=None):
        again = hasattr(self, "_state")
        job = self._job(X, y, sample_weight, like=self._kept() if again else None,
                        classes=classes, once=True)  # fmt: skip
        if again:
            self._continue(job)
        self._adopt(job, base.run_jobs([[job]], self._hooks()), range(len(job.seeds)), again=again)
        return self

    def _kept(self):
        return Job((), Arrays(np.zeros((0, 1))), coding=self._coding)

    def _continue(self, job: Job) -> None:
        """Let `job` go on from the weights and the optimizer's memory of the last fit."""
        self._calls += 1
        base.reopened(job, self._state, self._calls)

    def _settings(self, once: bool) -> Settings:
        """The settings of the run; of one epoch if `once`."""
        raise NotImplementedError

    def _auto(self) -> frozenset[str]:
        """The names of the settings that are to be found by measurement."""
        given = {name: getattr(self, name, None) for name in OTHERWISE}
        return frozenset(n for n, v in given.items() if isinstance(v, str) and v == "auto")

    def _alone(self):
        return bool(self._auto())

    def _found(self, settings: Settings, coding: Coding, train: Arrays, seed: int) -> Settings:
        """`settings` with those that are `auto` measured on these rows, or by an earlier call."""
        if self._auto() and coding.chosen is None:
            # Rates are compared over as many steps as a whole fit has, also in `partial_fit`.
            whole = base.changed(settings, epochs=float(self.max_iter), seed=seed)
            ready = SimpleNamespace(train=train, spec=lambda s: self._stage(s, coding))
            _, found = choose(ready, whole, self._auto(), runs=self._members())
            assert found is not None
            told = {"batch_size": found.batch_size, "optimizer": found.optimizer,
                    "learning_rate": found.rate}  # fmt: skip
            coding.chosen = {k: v for k, v in told.items() if v is not None}
            if self.verbose:
                print(found)
        return base.changed(settings, **(coding.chosen or {}))

    def _members(self) -> int:
        """How many models are trained, from as many seeds."""
        return 1

    def _job(self, X, y, sample_weight=None, *, like=None, X_val=None, y_val=None, classes=None,
             once=False):  # fmt: skip
        fresh = like is None or like.stages
        X, y = self._rows(X, y, reset=bool(fresh))
        settings = self._settings(once)
        members = self._members()
        weight = check_weight(sample_weight, X.shape[0])
        known = None if like is None else like.coding
        packed = bool(known.entries) if known is not None else sparse.packs(X)
        x = _form(X, packed)
        held = None
        fraction = base.real(self, "validation_fraction", self.validation_fraction, most=0.9)
        if (X_val is None) != (y_val is None):
            raise UsageError("give X_val and y_val together, or neither.")
        if X_val is not None:
            held = (*self._rows(X_val, y_val, reset=False), None)
        elif fraction and not once:
            x, y, weight, held = self._split(x, y, weight, fraction)
        coding = self._code(x, y, weight, known, bool(fresh), classes)
        if packed:
            coding.entries = max(known.entries if known else 0, sparse.entries_of(x))
        coding.chosen = known.chosen if known and not fresh else None
        train = self._arrays(coding, x, y, weight, settings.dtype)
        validation = None
        if held is not None:
            vx, vy, vw = held
            validation = self._arrays(coding, _form(vx, packed), vy, vw, settings.dtype)
        seed = base.seed_of(self.random_state)
        settings = self._found(settings, coding, train, seed)
        spec = self._stage(settings, coding)
        how: dict[str, Any] = {
            "batch_size": settings.batch_size,
            "epochs": settings.epochs,
            "dtype": settings.dtype,
        }
        return Job((spec,), train, validation, tuple(range(seed, seed + members)), how, coding)

    def _restage(self, job):
        spec = self._stage(self._settings(False), job.coding)
        return dataclasses.replace(job, stages=(spec,))

    def _split(self, x, y, weight, fraction):
        """Hold out a fraction of the rows, by class where each has two at least."""
        seed = base.seed_of(self.random_state) % 2**32
        strata = self._strata(y)
        a, b = train_test_split(
            np.arange(x.shape[0]), test_size=fraction, random_state=seed, stratify=strata
        )
        return x[a], y[a], weight[a], (x[b], y[b], weight[b])

    def _arrays(self, coding, x, y, weight, dtype) -> Arrays:
        targets, weight = self._encode(coding, y, check_weight(weight, x.shape[0]), dtype)
        x = sparse.pack(x, dtype, coding.entries) if sp.issparse(x) else coding.scaling(x, dtype)
        return Arrays(x, targets, weight.astype(dtype))

    def _scaling(self, x, weight, known, fresh):
        if known is not None and not fresh:
            return known.scaling
        if self.standardize:
            return Scaling.fit(x, weight)
        return Scaling.none(x.shape[1])

    def _spec(self, settings, coding, features):
        return settings.spec((features,), coding.outputs, self._task)

    def _stage(self, settings: Settings, coding: Coding) -> RunSpec:
        """The run; packed rows are unpacked before the model, a mini-batch at a time."""
        scaling = coding.scaling
        features = len(scaling.shift)
        spec = self._spec(settings, coding, features)
        if not coding.entries:
            return spec
        made = spec.objective
        model = sparse.Unpacked(made.model, features, scaling.shift, scaling.scale)
        return swap(spec, objective=swap(made, model=model))

    def _adopt(self, job: Job, runs: Runs, streams: Sequence[int] = (0,), cell: int = 0,
               again: bool = False) -> None:  # fmt: skip
        spec, per = runs.specs[cell], max(runs.steps_per_epoch, 1)
        streams = list(streams)
        epochs = {k: v for k, v in runs.trace.epochs.items() if k.endswith("loss")}
        chosen = [runs.best(s, cell) for s in streams]
        self._params, self._buffers = jax.tree.map(lambda *a: np.stack(a), *chosen)
        model = spec.objective.model
        self._model = model.model if isinstance(model, sparse.Unpacked) else model
        self._loss = spec.objective.loss
        self._coding, self._dtype = job.coding, job.how["dtype"]
        curve = np.nanmean(epochs["train_loss"][:, streams, cell], axis=1).tolist()
        held = epochs.get("validation_loss")
        found = [] if held is None else np.nanmean(held[:, streams, cell], axis=1).tolist()
        self.loss_curve_: list[float] = (self.loss_curve_ if again else []) + curve
        earlier = self.validation_loss_curve_ if again else []
        self.validation_loss_curve_: list[float] = earlier + found
        self.n_iter_ = len(self.loss_curve_)
        self.best_epoch_ = float(np.mean(runs.carry.best_step[streams, cell])) / per
        self.loss_ = float(np.mean(runs.carry.best_value[streams, cell]))
        self._state = base.state_of(runs, streams, cell)
        self._calls = getattr(self, "_calls", 0) if again else 0
        self._run = base.record_of(runs, streams[0], cell)
        if job.coding.chosen:
            self.chosen_ = dict(job.coding.chosen)
        self._report()
        self._judged(job, runs, streams, cell, again)

    def _judged(self, job, runs, streams, cell, again):
        """DivergedError, or a warning, where nothing was learned; the best weights are kept."""
        first = runs.trace.steps["loss"][0, streams, cell]
        curves = runs.trace.epochs["train_loss"][:, streams, cell]
        last = _last(curves)
        lost = [s for s in streams if runs.reason(s, cell) in (Reason.NOT_FINITE, Reason.BLOW_UP)]
        # Worse at the end; or blown up in between, from which a schedule only brought it back.
        rose = (np.max(curves, axis=0, initial=0, where=np.isfinite(curves)) > 2 * first) & (
            last > 0.9 * first
        )
        worse = not again and not np.all((last < first * 1.5 + 1e-3) & ~rose)
        limit = self._limit(job, runs, cell) if lost or worse else ""
        self._judge(runs, streams, cell, limit)
        if worse:
            base.warn_worse(self, float(np.mean(first)), float(np.mean(last)), limit)

    def _limit(self, job, runs, cell):
        """The learning rate that was given, and the largest stable one, as a sentence."""
        spec = runs.specs[cell]
        limit = stable_limit(spec, job.train, job.seeds[0], job.how["dtype"])
        rate = getattr(spec.optimizer.learning_rate, "learning_rate", None)
        # Rules that scale each gradient have no limit by curvature alone; their rate is named.
        return limit or ("" if rate is None else f" learning_rate={float(rate):g} was used.")

    def diagnose(self, X: Any, y: Any, sample_weight: Any = None, X_val: Any = None,
                 y_val: Any = None, *, deep: bool = True) -> Any:  # fmt: skip
        """What was wrong with the last fit to these rows, and what would cure it: a `Diagnosis`.

        X, y: the rows it was fitted to; X_val, y_val: rows held out, if any. Changes are given as
        parameters of this estimator. `deep=False` looks at what was recorded, without measuring
        gradients, layers and curvature. Works after a DivergedError too; of an ensemble the first
        member is looked at.
        """
        from steepest.estimators.diagnosis import diagnose_trained

        return diagnose_trained(self, X, y, sample_weight, X_val, y_val, deep)

    def _report(self):
        """Attributes of scikit-learn's name."""
        self.n_outputs_ = self._coding.outputs

    def _forward(self, X: Any, dtype: str | None = None) -> np.ndarray:
        """Outputs of all members, (members, rows, outputs), in `dtype` or that of training."""
        check_is_fitted(self)
        points = (self._params, self._buffers)
        X, scaling = check_rows(self, X), self._coding.scaling
        return outputs(self._model, points, X, scaling, self._dtype if dtype is None else dtype)


def _form(X: Any, packed: bool) -> Any:
    """Rows as CSR where they are to be packed, else as an array of floats."""
    if packed:
        return X if sp.issparse(X) else sp.csr_matrix(X)
    return dense(X, np.float64 if X.dtype.kind != "f" else X.dtype)


def _last(curves: np.ndarray) -> np.ndarray:
    """The last number of each column that is not NaN."""
    known = np.isfinite(curves)
    if not len(curves):
        return np.full(curves.shape[1], np.inf)
    rows = len(curves) - 1 - np.argmax(known[::-1], axis=0)
    return np.where(known.any(axis=0), curves[rows, np.arange(curves.shape[1])], np.inf)


def _has_probabilities(estimator: Any) -> bool:
    loss = getattr(estimator, "_loss", None)
    loss = (
        find_loss("log_loss" if estimator.loss is None else estimator.loss)
        if loss is None
        else loss
    )
    return isinstance(loss, (LogLoss, BinaryLogLoss))


class TrainedClassifier(ClassifierMixin, Trained):
    """Base of classifiers, of one label a row or several."""

    _task = "classification"

    def _rows(self, X, y, reset=True):
        X, y = check_fit(self, X, y, reset=reset, multi_output=True)
        return X, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _strata(self, y):
        if y.ndim == 2:
            return None
        return y if np.unique(y, return_counts=True)[1].min() > 1 else None

    def _code(self, x, y, weight, known, fresh, classes):
        if known is not None:
            labels = known.target
            if labels.multilabel != (y.ndim == 2):
                raise DataError("y changed between one label a row and several.")
        else:
            labels = Labels.fit(self, y, multilabel=True)
            if classes is not None and not labels.multilabel:
                labels = Labels(np.unique(classes))
        return Coding(self._scaling(x, weight, known, fresh), labels, len(labels.classes))

    def _encode(self, coding, y, weight, dtype):
        labels = coding.target
        codes = labels.encode(y)
        if not labels.multilabel and len(labels.classes) < 2:
            labels.require_several(self, codes, weight)
        return codes, labels.weights(self.class_weight, codes, weight)

    def _job(self, X, y, sample_weight=None, *, like=None, classes=None, once=False, **how):
        job = super()._job(X, y, sample_weight, like=like, classes=classes, once=once, **how)
        if not once:
            job.coding.target.require_several(self, job.train.y, job.train.weight)
        return job

    def _spec(self, settings, coding, features):
        if coding.target.multilabel and self.loss is None:
            loss = BinaryLogLoss(label_smoothing=self.label_smoothing, multilabel=True)
            settings = base.changed(settings, loss=loss, label_smoothing=None)
        return settings.spec((features,), coding.outputs, self._task)

    def _report(self):
        super()._report()
        self.classes_ = self._coding.target.classes

    def _probabilities(self, X):
        out = self._forward(X)
        with precision(self._dtype):
            each = [np.asarray(self._loss.probabilities(o)) for o in out]
        return np.mean(each, axis=0, dtype=each[0].dtype)

    @available_if(_has_probabilities)
    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class (rows, classes), or of each label (rows, labels)."""
        return self._probabilities(X)

    @available_if(_has_probabilities)
    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Its logarithm."""
        return np.log(self._probabilities(X))

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each row; or 0 and 1 for each label."""
        check_is_fitted(self)
        labels = self._coding.target
        if not _has_probabilities(self):
            with precision(self._dtype):
                codes = np.asarray(self._loss.predict(self._forward(X).mean(axis=0)))
        elif labels.multilabel:
            codes = (self._probabilities(X) > 0.5).astype(int)
        else:
            codes = self._probabilities(X).argmax(axis=1)
        if labels.multilabel:
            return codes.astype(np.int64)
        return labels.decode(codes)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags


class TrainedRegressor(RegressorMixin, Trained):
    """Base of regressors, of one target a row or several, which are scaled inside."""

    _task = "regression"

    def _rows(self, X, y, reset=True):
        X, y = check_fit(self, X, y, reset=reset, multi_output=True, y_numeric=True)
        return X, column_or_1d(y, warn=True) if y.ndim == 2 and y.shape[1] == 1 else y

    def _strata(self, y):
        return None

    def _code(self, x, y, weight, known, fresh, classes):
        if known is not None and not fresh:
            target = known.target
        else:
            counts = isinstance(find_loss("squared" if self.loss is None else self.loss), Poisson)
            target = Target.fit(y, weight, centre=not counts, scale=not counts)
        return Coding(self._scaling(x, weight, known, fresh), target, max(1, target.columns))

    def _encode(self, coding, y, weight, dtype):
        targets = coding.target.encode(y, dtype)
        find_loss("squared" if self.loss is None else self.loss).check(targets, targets.shape[1])
        return targets, weight

    def predict(self, X: Any) -> np.ndarray:
        """The prediction in the units of the target, (rows,) or (rows, outputs)."""
        # In float64 a row's prediction does not hang on the rows that are predicted with it.
        out = self._forward(X, "float64")
        with precision("float64"):
            each = [np.asarray(self._loss.predict(o)).reshape(o.shape) for o in out]
        target = self._coding.target
        value = np.mean(each, axis=0) * target.scale + target.shift
        return value if target.columns else value[:, 0]

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
