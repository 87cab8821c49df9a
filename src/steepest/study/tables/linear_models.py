"""Table 14: the same gradient descent on three linear models, beside exact solvers."""

from __future__ import annotations

from typing import Any

import numpy as np

from steepest.core.record import replace
from steepest.data.dataset import Table as Rows
from steepest.engine.runs import run
from steepest.engine.settings import Settings
from steepest.models.linear import Linear
from steepest.study.folds import Folds
from steepest.study.tables import claims
from steepest.study.tables.bench import Bench, spread
from steepest.study.tables.table import Chart, Series, Table

TITLE = "Linear models"
QUESTION = "Does plain gradient descent reach the exact solution of convex problems?"
L2 = 1e-2
STEPS = 4000
MOST_ROWS = 1000


def measure(bench: Bench) -> Table:
    """One binary task, three losses, full-batch descent from random starts, in float64."""
    rows_, target = _binary(bench)
    rows, gaps, curves = [], {}, []
    for name, loss, task, exact in (
        ("linear regression", "squared", "regression", _least_squares),
        ("logistic regression", "binary", "classification", _logistic),
        ("support vector machine", "hinge", "classification", _svm),
    ):
        table = Rows(
            frame=rows_.frame,
            x=rows_.x,
            y=target if task == "classification" else target.astype(float),
            name=rows_.name,
            task=task,  # type: ignore[arg-type]
            features=rows_.features,
        )
        bare = Settings(
            model=Linear(initializer="lecun_normal"), loss=loss, l2=L2, batch_size="full",
            dtype="float64", epochs=STEPS, validation=0, test=0.25, probes=("loss",),
        )  # fmt: skip
        folds = Folds(table, bare)
        settings = replace(bare, **_descent(loss, folds))
        fold = folds[0]
        assert fold.test is not None
        steps = bench.length(STEPS)
        runs = run([folds.spec(settings)], fold.train, seeds=range(bench.seeds),
                   batch_size="full", steps=steps, dtype="float64", every=1)  # fmt: skip
        params = runs.points("best")[0]
        weights, biases = params["weight"][:, 0, :, 0], params["bias"][:, 0, 0]
        x = np.asarray(fold.train.x).reshape(len(fold.train), -1)
        y = np.asarray(fold.train.y, np.float64).reshape(-1)
        w, b = exact(x, y)
        best = _value(loss, x, y, w, b)
        ours = np.array([_value(loss, x, y, *p) for p in zip(weights, biases, strict=True)])
        gaps[name] = ours / best
        tx = np.asarray(fold.test.x).reshape(len(fold.test), -1)
        right = np.asarray(fold.test.y, np.float64).reshape(-1) > 0
        scores = [np.mean((tx @ a + c > 0) == right)
                  for a, c in zip(weights, biases, strict=True)]  # fmt: skip
        far = np.linalg.norm(weights - w, axis=1) / np.linalg.norm(w)
        rows.append(
            [
                name,
                best,
                spread(ours),
                spread(ours / best - 1),
                spread(far),
                float(np.mean((tx @ w + b > 0) == right)),
                spread(np.asarray(scores)),
            ]
        )
        losses = np.median(runs.trace.steps["loss"][:, :, 0], axis=1)
        over = np.minimum.accumulate(losses) / best - 1
        shown = np.unique(np.geomspace(1, len(over), 60).astype(int)) - 1
        known = [i for i in shown if over[i] > 1e-14]
        curves.append(Series(name, [int(i) + 1 for i in known], [float(over[i]) for i in known]))
    return Table(
        14, TITLE, QUESTION,
        ("model", "exact minimum", "reached", "relative gap", "distance of the weights",
         "test accuracy, exact", "test accuracy, descent"), rows,
        protocol=f"{bench.name} as a task of two classes (the upper half of the labels against the "
        f"lower, or of the target about its median), L2 penalty {L2:g}/2 |w|^2, all training rows "
        f"in each step, {bench.length(STEPS)} steps from {bench.seeds} random starts, float64. "
        "Nesterov at 1/L, L the largest curvature, for the smooth losses; subgradient descent at "
        "1/(1 + t/10) for the hinge. "
        "Exact: normal equations, scikit-learn's L-BFGS at its tightest, libsvm.",
        claims=[
            claims.within(f"Gradient descent reaches the exact minimum of {n} (within 1 %).",
                          gaps[n], 0.99, 1.01, what="value reached against the exact one")
            for n in gaps
        ],
        charts=[Chart("Distance to the exact minimum", "line", "step", "relative gap", curves,
                      log_x=True, log_y=True, note="Best so far; median over starts.")],
    )  # fmt: skip


def _binary(bench: Bench) -> tuple[Rows, np.ndarray]:
    table = bench.few(MOST_ROWS)
    y = np.asarray(table.y)
    if bench.classifies:
        labels, index = np.unique(y, return_inverse=True)
        return table, (index.reshape(-1) >= len(labels) / 2).astype(np.int64)
    y = y.reshape(len(y), -1)[:, 0].astype(float)
    return table, (y > np.median(y)).astype(np.int64)


def _descent(loss: str, folds: Folds) -> dict[str, Any]:
    """Nesterov at 1/L, L the largest curvature anywhere; for the hinge a falling rate."""
    if loss == "hinge":
        falls = (("decay", 0.1), ("unit", "step"))
        return {"optimizer": "sgd", "learning_rate": 1.0, "schedule": "inverse-time",
                "schedule_settings": falls}  # fmt: skip
    x = np.asarray(folds[0].train.x, np.float64).reshape(folds.rows, -1)
    x = np.column_stack([x, np.ones(len(x))])
    top = float(np.linalg.eigvalsh(x.T @ x / len(x))[-1])
    curvature = {"squared": 2.0, "binary": 0.25}[loss] * top + L2
    return {"optimizer": "nesterov", "learning_rate": 1 / curvature}


def _value(loss: str, x: np.ndarray, y: np.ndarray, w: np.ndarray, b: Any) -> float:
    """L(w) of the training rows, written out."""
    f = x @ w + b
    sign = np.where(y > 0, 1.0, -1.0)
    each = {
        "squared": lambda: (f - y) ** 2,
        "binary": lambda: np.logaddexp(0, -sign * f),
        "hinge": lambda: np.maximum(0, 1 - sign * f),
    }[loss]()
    return float(each.mean() + 0.5 * L2 * w @ w)


def _least_squares(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
    """(2 X'X / n + l I) w = 2 X'y / n about the means."""
    mean, centre = x.mean(0), y.mean()
    z = x - mean
    n = len(x)
    w = np.linalg.solve(2 * z.T @ z / n + L2 * np.eye(x.shape[1]), 2 * z.T @ (y - centre) / n)
    return w, float(centre - mean @ w)


def _logistic(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=1 / (L2 * len(x)), tol=1e-12, max_iter=100_000).fit(x, y > 0)
    return fitted.coef_[0], float(fitted.intercept_[0])


def _svm(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, float]:
    from sklearn.svm import SVC

    fitted = SVC(kernel="linear", C=1 / (L2 * len(x)), tol=1e-8).fit(x, y > 0)
    return fitted.coef_[0], float(fitted.intercept_[0])
