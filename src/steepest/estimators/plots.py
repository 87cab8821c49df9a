"""Pictures of fitted estimators, drawn on matplotlib axes."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from steepest.core.errors import UsageError

POINTS = 200
"""Points of the grid along each feature."""


def plot_loss_curve(estimator: Any, *, ax: Any = None, log: bool | None = None) -> Any:
    """The training loss of a fitted estimator by epoch (or iteration), on matplotlib axes.

    The validation loss is drawn beside it where there is one, and the epoch whose weights were kept
    is marked. `log`: a logarithmic axis; None decides by the range of the losses.

    Raises UsageError where the estimator has no `loss_curve_`.

    >>> from sklearn.datasets import load_iris
    >>> from steepest import MLPClassifier
    >>> model = MLPClassifier((8,), max_iter=5, random_state=0).fit(*load_iris(return_X_y=True))
    >>> ax = plot_loss_curve(model)
    >>> ax.get_xlabel(), ax.get_ylabel()
    ('epoch', 'loss')
    """
    check_is_fitted(estimator)
    losses = np.asarray(getattr(estimator, "loss_curve_", ()), float)
    if not len(losses):
        raise UsageError(f"{type(estimator).__name__} has recorded no loss_curve_ to draw.")
    ax = _axes(ax)
    held = np.asarray(getattr(estimator, "validation_loss_curve_", ()), float)
    by_epoch = hasattr(estimator, "best_epoch_") or hasattr(estimator, "t_")
    first = 1 if by_epoch else 0
    ax.plot(np.arange(first, first + len(losses)), losses, label="training")
    if len(held):
        ax.plot(np.arange(first, first + len(held)), held, label="validation")
        best = first + int(np.nanargmin(held))
        ax.plot([best], [held[best - first]], "o", color="C1", ms=5, label=f"best, epoch {best}")
        ax.legend(frameon=False)
    both = np.concatenate([losses, held])
    both = both[np.isfinite(both)]
    wide = len(both) > 0 and both.min() > 0 and both.max() > 30 * both.min()
    if wide if log is None else log:
        ax.set_yscale("log")
    ax.set_xlabel("epoch" if by_epoch else "iteration")
    ax.set_ylabel("loss")
    ax.set_title(type(estimator).__name__)
    return ax


def plot_decision_boundary(estimator: Any, X: Any, y: Any = None, *, features: tuple = (0, 1),
                           ax: Any = None, points: int = POINTS) -> Any:  # fmt: skip
    """What a fitted estimator predicts over two features, on matplotlib axes, with the rows X.

    Classes are areas, paler where the classifier is less sure (if it has probabilities), and lines
    where they meet; a regressor is drawn as contours. `features`: positions of the two (or names,
    of a frame); all others are kept at their median. `y` colours the rows.

    Raises UsageError for features that X has not, or where X has fewer than two.

    >>> from sklearn.datasets import load_iris
    >>> from steepest import LogisticRegression
    >>> X, y = load_iris(return_X_y=True)
    >>> ax = plot_decision_boundary(LogisticRegression().fit(X, y), X, y, features=(2, 3))
    >>> ax.get_xlabel()
    'feature 2'
    """
    check_is_fitted(estimator)
    names = list(X.columns) if hasattr(X, "columns") else None
    rows = np.asarray(X.toarray() if hasattr(X, "toarray") else X, float)
    places = _places(features, names, rows)
    low, high = rows[:, places].min(axis=0), rows[:, places].max(axis=0)
    margin = 0.05 * np.where(high > low, high - low, 1.0)
    sides = [np.linspace(a - m, b + m, points) for a, b, m in zip(low, high, margin, strict=True)]
    across, up = np.meshgrid(*sides)
    grid = np.tile(np.median(rows, axis=0), (across.size, 1))
    grid[:, places] = np.c_[across.ravel(), up.ravel()]
    given = type(X)(grid, columns=names) if hasattr(X, "iloc") else grid
    ax = _axes(ax)
    if is_classifier(estimator):
        colours = _draw_classes(ax, estimator, given, across, up, y)
    else:
        found = np.asarray(estimator.predict(given)).reshape(len(across.ravel()), -1)[:, 0]
        drawn = ax.contourf(across, up, found.reshape(across.shape), levels=12, cmap="viridis")
        ax.figure.colorbar(drawn, ax=ax, label="prediction")
        colours = None if y is None else np.asarray(y, float)
        if colours is not None:
            colours = drawn.cmap(drawn.norm(colours.reshape(len(colours), -1)[:, 0]))
    style = {"s": 18, "edgecolors": "white", "linewidths": 0.5}
    ax.scatter(*rows[:, places].T, c="0.2" if colours is None else colours, **style)
    for axis, j in zip((ax.set_xlabel, ax.set_ylabel), places, strict=True):
        axis(f"feature {j}" if names is None else str(names[j]))
    ax.set_title(type(estimator).__name__)
    return ax


def _draw_classes(ax, estimator, grid, across, up, y):
    """Areas and lines of classes; the colours of rows with the labels y."""
    from matplotlib import colormaps
    from matplotlib.colors import to_rgb

    classes = list(estimator.classes_)
    palette = colormaps["tab10" if len(classes) <= 10 else "tab20"]
    shades = np.array([to_rgb(palette(k % palette.N)) for k in range(len(classes))])
    labels = np.asarray(estimator.predict(grid))
    if labels.ndim > 1:
        raise UsageError("plot_decision_boundary draws one label a row, not several.")
    codes = np.searchsorted(estimator.classes_, labels)
    sure = np.full(len(codes), 0.35)
    if hasattr(estimator, "predict_proba"):
        most = np.asarray(estimator.predict_proba(grid)).max(axis=1)
        sure = 0.1 + 0.4 * (most - 1 / len(classes)) / (1 - 1 / len(classes))
    picture = 1 - sure[:, None] * (1 - shades[codes])
    extent = (across[0, 0], across[0, -1], up[0, 0], up[-1, 0])
    ax.imshow(picture.reshape(*across.shape, 3), extent=extent, origin="lower", aspect="auto")
    for k in range(len(classes)):
        ax.contour(across, up, (codes == k).reshape(across.shape).astype(float), levels=[0.5],
                   colors="0.3", linewidths=0.6)  # fmt: skip
    if y is None:
        return None
    from matplotlib.patches import Patch

    handles = [Patch(color=s, label=str(c)) for s, c in zip(shades, classes, strict=True)]
    if len(classes) <= 20:
        ax.legend(handles=handles, frameon=True, loc="best")
    return shades[np.searchsorted(estimator.classes_, np.asarray(y).ravel())]


def _places(features, names, rows) -> list[int]:
    """The positions of the two features."""
    if rows.ndim != 2 or rows.shape[1] < 2 or len(features) != 2:
        raise UsageError(
            f"plot_decision_boundary needs two features, got features={features!r} of X with the "
            f"shape {rows.shape}."
        )
    places = []
    for feature in features:
        known = names if isinstance(feature, str) else range(rows.shape[1])
        if known is None or feature not in known:
            raise UsageError(
                f"features={features!r}: X has no feature {feature!r}; it has {rows.shape[1]}."
            )
        places.append(names.index(feature) if isinstance(feature, str) else int(feature))
    return places


def _axes(ax):
    if ax is not None:
        return ax
    from matplotlib import pyplot

    return pyplot.subplots(layout="constrained")[1]
