"""The diagnosis of a fitted estimator: its fit as a `Case`, and the remedies as its parameters."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from sklearn.utils.validation import check_is_fitted

from steepest.core.outcome import Outcome
from steepest.core.record import swap
from steepest.core.types import Horizon
from steepest.data.dataset import Arrays
from steepest.engine.runs import measure_at
from steepest.engine.settings import Settings
from steepest.estimators.inputs import check_weight, dense

PARAMETERS = {
    "epochs": "max_iter",
    "hidden": "hidden_layer_sizes",
    "validation": "validation_fraction",
    "seed": "random_state",
}
"""Settings whose parameter has another name; the others have their own."""
SGD_PARAMETERS = PARAMETERS | {"learning_rate": "eta0", "l2": "alpha"}


@dataclass(frozen=True)
class Column:
    """An input, as the diagnosis names it."""

    name: str
    action: str
    width: int = 1


@dataclass(frozen=True)
class Encoded:
    """What the diagnosis asks of the data: sizes, task, labels and columns."""

    inputs: tuple[int, ...]
    outputs: int
    task: str
    classes: Any
    report: tuple[Column, ...]
    image_shape: None = None
    codes: tuple = ()


def diagnose_trained(estimator, X, y, sample_weight, X_val, y_val, deep) -> Any:
    """The `Diagnosis` of a model trained on mini-batches; see `Trained.diagnose`."""
    check_is_fitted(estimator, "_run")
    coding = estimator._coding
    settings = estimator._found(estimator._settings(False), coding, None, 0)

    def arrays(X, y, weight):
        X, y = estimator._rows(X, y, reset=False)
        x = dense(X, np.float64 if X.dtype.kind != "f" else X.dtype)
        return estimator._arrays(coding, x, y, weight, settings.dtype)

    parts = {"train": arrays(X, y, sample_weight), "validation": None, "test": None}
    if X_val is not None:
        parts["validation"] = arrays(X_val, y_val, None)
    encoded = Encoded(
        inputs=(len(coding.scaling.shift),),
        outputs=coding.outputs,
        task=estimator._task,
        classes=getattr(coding.target, "classes", None),
        report=_columns(estimator, X),
    )
    params, buffers = jax.tree.map(lambda a: a[0], (estimator._params, estimator._buffers))
    spec = estimator._spec(settings, coding, len(coding.scaling.shift))
    return _diagnosis(estimator, settings, spec, encoded, parts, params, buffers, deep, PARAMETERS)


def diagnose_sgd(estimator, X, y, sample_weight, deep) -> Any:
    """The `Diagnosis` of a linear model trained row by row; see `SGD.diagnose`."""
    check_is_fitted(estimator, "_run")
    X, y = estimator._check(X, y, False)
    x, weight = dense(X), check_weight(sample_weight, X.shape[0])
    targets, weight = estimator._encode(estimator._coding.target, y, weight, True)
    outputs = estimator._outputs_of(estimator._coding.target)
    classes = getattr(estimator._coding.target, "classes", None)
    rate = estimator._coding.rate
    settings = Settings(
        model="linear", optimizer="sgd", learning_rate=float(rate or estimator.eta0),
        l2=float(estimator.alpha), batch_size=estimator.batch_size, epochs=estimator.max_iter,
        standardize=False, dtype="float64",
    )  # fmt: skip
    encoded = Encoded(
        inputs=(x.shape[1],),
        outputs=outputs if classes is None else len(classes),
        task="regression" if classes is None else "classification",
        classes=classes,
        report=_columns(estimator, x),
    )
    params = {"weight": np.ascontiguousarray(estimator.coef_.reshape(outputs, -1).T)}
    if estimator.fit_intercept:
        params["bias"] = np.asarray(estimator.intercept_)
    spec = estimator._spec(
        x.shape[1], estimator._coding.largest, outputs, False, rate=rate, mean=True
    )
    parts = {"train": Arrays(x, targets, weight), "validation": None, "test": None}
    return _diagnosis(estimator, settings, spec, encoded, parts, params, (), deep, SGD_PARAMETERS)


def _diagnosis(estimator, settings, spec, encoded, parts, params, buffers, deep, names):
    from steepest.diagnose.case import Case
    from steepest.diagnose.diagnose import diagnose_case

    run = estimator._run
    stacked = jax.tree.map(lambda a: np.asarray(a)[None, None], (params, buffers))
    metrics = {}
    for name, rows in parts.items():
        if rows is not None:
            found = measure_at([spec.objective], stacked, rows, settings.dtype)
            metrics[name] = {k: float(v[0, 0]) for k, v in found.items()}
    case = Case(
        settings=settings, encoder=encoded, parts=parts, params=params, buffers=buffers,
        last=params, outcome=Outcome(run["outcome"]), message=run["message"], seed=run["seed"],
        steps=run["steps"], epochs=run["epochs"], taken=run["taken"], metrics=metrics,
        name="(X, y)",
    )  # fmt: skip
    total = float(max(settings.epochs * case.steps_per_epoch, 1))
    horizon = Horizon(float(case.steps_per_epoch), total)
    case.spec = swap(spec, optimizer=spec.optimizer.bind(horizon))
    diagnosis = diagnose_case(case, deep)
    known = estimator.get_params(deep=False)
    findings = tuple(
        dataclasses.replace(f, changes=_renamed(f.changes, names, known)) for f in diagnosis
    )
    return dataclasses.replace(diagnosis, findings=findings)


def _renamed(changes, names, known):
    """Changes of settings as parameters; those that the estimator has not are left out."""
    renamed = ({names.get(k, k): v for k, v in change.items()} for change in changes)
    return tuple(change for change in renamed if set(change) <= set(known))


def _columns(estimator, X) -> tuple[Column, ...]:
    names = getattr(estimator, "feature_names_in_", None)
    x = dense(np.asarray(X)) if isinstance(X, np.ndarray) else None
    count = estimator.n_features_in_
    same = np.zeros(count, bool) if x is None else (x == x[:1]).all(axis=0)
    return tuple(
        Column(str(j if names is None else names[j]), "constant" if same[j] else "kept")
        for j in range(count)
    )
