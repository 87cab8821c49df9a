"""The real data sets that come with scikit-learn, by name."""

from __future__ import annotations

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
    # scikit-learn takes 0.6 s to import, so it is imported by those who ask for its data.
    import sklearn.datasets

    loader, target, task = BUNDLED[name]
    options = {"scaled": False} if name == "diabetes" else {}
    data = getattr(sklearn.datasets, loader)(**options)
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
