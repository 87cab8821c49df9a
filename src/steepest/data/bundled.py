"""The real data sets that come with scikit-learn, by name."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from steepest.data.dataset import Source, Table

#: name -> (scikit-learn's loader, target column, task)
BUNDLED = {
    "iris": ("load_iris", "species", "classification"),
    "wine": ("load_wine", "cultivar", "classification"),
    "breast_cancer": ("load_breast_cancer", "diagnosis", "classification"),
    "digits": ("load_digits", "digit", "classification"),
    "diabetes": ("load_diabetes", "progression", "regression"),
}


def bundled(name: str) -> Table:
    """A bundled set: iris, wine, breast_cancer, digits (8 x 8 images, flattened) or diabetes.

    Classes carry their names where they have some. Diabetes comes in its raw units, unscaled.

    >>> bundled("wine")
    Table('wine', 178 rows, 13 features, target='cultivar', task='classification')
    """
    _, target, task = BUNDLED[name]
    data = _digits() if name == "digits" else None
    if data is None:
        data = _by_scikit_learn(name)
    y = np.asarray(data.target)
    if task == "classification" and name != "digits":
        y = np.asarray(data.target_names)[y]
    return Table(
        x=np.ascontiguousarray(data.data, np.float64),
        y=y,
        name=name,
        target=target,
        task=task,  # type: ignore[arg-type]
        features=tuple(str(f) for f in data.feature_names),
        image_shape=(8, 8, 1) if name == "digits" else None,
        source=Source(name, held=(data.data, y)),
    )


def _by_scikit_learn(name: str) -> Any:
    import sklearn.datasets

    options = {"scaled": False} if name == "diabetes" else {}
    return getattr(sklearn.datasets, BUNDLED[name][0])(**options)


def _digits() -> Any:
    """The digits from scikit-learn's own file; None where it lies elsewhere in that version.

    They are what a first run trains on, and importing scikit-learn takes longer than that run.
    """
    package = importlib.util.find_spec("sklearn")
    if package is None or not package.submodule_search_locations:
        return None
    file = Path(package.submodule_search_locations[0], "datasets", "data", "digits.csv.gz")
    if not file.is_file():
        return None
    rows = np.loadtxt(file, delimiter=",")
    if rows.ndim != 2 or rows.shape[1] != 65:
        return None
    names = [f"pixel_{i}_{j}" for i in range(8) for j in range(8)]
    return SimpleNamespace(
        data=np.ascontiguousarray(rows[:, :-1]), target=rows[:, -1].astype(int), feature_names=names
    )
