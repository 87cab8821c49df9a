"""`save` and `load` of estimators, and `load` of whatever steepest has saved."""

from __future__ import annotations

import dataclasses
import os
from importlib import import_module
from pathlib import Path
from typing import Any

import jax
import numpy as np

from steepest.core.errors import FileError, UsageError
from steepest.core.record import from_dict, to_dict
from steepest.store import model_file, run_directory

HOME = {
    "ElasticNet": "linear",
    "HuberRegressor": "robust",
    "Lasso": "linear",
    "LinearRegression": "linear",
    "LinearSVC": "svm",
    "LinearSVR": "svm",
    "LogisticRegression": "linear",
    "MLPClassifier": "mlp",
    "MLPRegressor": "mlp",
    "PoissonRegressor": "robust",
    "QuantileRegressor": "robust",
    "Ridge": "linear",
    "SGDClassifier": "sgd",
    "SGDRegressor": "sgd",
    "SVC": "svm",
    "SVR": "svm",
    "TreeClassifier": "tree",
    "TreeEnsembleClassifier": "tree_ensemble",
    "TreeEnsembleRegressor": "tree_ensemble",
    "TreeRegressor": "tree",
}
"""Where each estimator is; a file may name these, and nothing else is ever imported for it."""
PARTS = {
    "Coding": "trained",
    "HardTree": "hard_tree",
    "Labels": "inputs",
    "LinearCoding": "convex",
    "Quantiles": "quantiles",
    "Scaling": "inputs",
    "StepCoding": "stochastic",
    "Target": "convex",
}
"""What fitted estimators hold besides arrays and records."""


def estimator_class(name: str) -> type:
    """The estimator of that name."""
    return getattr(import_module(f"steepest.estimators.{HOME[name]}"), name)


def save(path: str | os.PathLike[str], estimator: Any) -> None:
    """Write a fitted estimator into the folder `path`; see `Estimator.save`."""
    from sklearn.utils.validation import check_is_fitted

    check_is_fitted(estimator)
    arrays: dict[str, np.ndarray] = {}
    params = estimator.get_params(deep=False)
    random = params.get("random_state")
    if random is not None and not isinstance(random, (int, np.integer)):
        params["random_state"] = None
    fitted = {k: v for k, v in vars(estimator).items() if k not in params}
    config = {
        "estimator": type(estimator).__name__,
        "params": {k: _pack(v, f"parameter {k}", arrays) for k, v in params.items()},
        "fitted": {k: _pack(v, k, arrays) for k, v in fitted.items()},
    }
    model_file.save(path, arrays, config)


def load(path: str | os.PathLike[str]) -> Any:
    """What steepest has saved at `path`, as it was: an estimator, or the model of a training run.

    A folder that an estimator's `save` wrote gives back that estimator, fitted; the directory of a
    run of `steepest train` (or the `model` folder in it) gives back its model, a `Trained`.

    Raises FileError where it is missing, altered, truncated, or of a newer version. Nothing in a
    file is ever executed.

    >>> import tempfile
    >>> from steepest import Ridge
    >>> folder = tempfile.mkdtemp()
    >>> Ridge(alpha=2.0).fit([[0.0], [1.0], [2.0]], [1.0, 3.0, 5.0]).save(folder)
    >>> load(folder)
    Ridge(alpha=2.0)
    """
    folder = Path(path)
    if not (folder / model_file.JSON_NAME).is_file():
        return run_directory.load(path)
    arrays, config = model_file.load(folder)
    if "estimator" not in config:
        return run_directory.load(path)
    try:
        cls = estimator_class(config["estimator"])
        found = cls(**{k: _unpack(v, arrays) for k, v in config["params"].items()})
        for name, value in config["fitted"].items():
            setattr(found, name, _unpack(value, arrays))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise FileError(
            f"{folder} does not describe an estimator of this version ({error}); save it again."
        ) from error
    return found


def _pack(value: Any, where: str, arrays: dict[str, np.ndarray]) -> Any:
    """`value` as JSON; arrays go into `arrays`, and are named in their place."""
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, np.generic):
        return _pack(value.item(), where, arrays)
    if isinstance(value, (np.ndarray, jax.Array)):
        array = np.asarray(value)
        if array.dtype.kind in "biuf":
            name = f"a{len(arrays)}"
            arrays[name] = array
            return {"$array": name}
        items = [_pack(v, where, arrays) for v in array.ravel().tolist()]
        return {"$labels": items, "dtype": array.dtype.str, "shape": list(array.shape)}
    if isinstance(value, (list, tuple)):
        return {f"${type(value).__name__}": [_pack(v, where, arrays) for v in value]}
    if isinstance(value, dict):
        if all(isinstance(k, str) and not k.startswith("$") for k in value):
            return {k: _pack(v, where, arrays) for k, v in value.items()}
        pairs = [[_pack(k, where, arrays), _pack(v, where, arrays)] for k, v in value.items()]
        return {"$pairs": pairs}
    if type(value).__name__ in PARTS:
        fields = {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        return {"$part": type(value).__name__, "fields": _pack(fields, where, arrays)}
    if dataclasses.is_dataclass(value):
        return {"$record": to_dict(value)}
    raise UsageError(
        f"{where} is a {type(value).__name__}, which cannot be written to a model file; "
        "set it to None, or pickle the estimator."
    )


def _unpack(value: Any, arrays: dict[str, np.ndarray]) -> Any:
    if isinstance(value, list):
        return [_unpack(v, arrays) for v in value]
    if not isinstance(value, dict):
        return value
    if "$array" in value:
        return arrays[value["$array"]]
    if "$labels" in value:
        items = _unpack(value["$labels"], arrays)
        out = np.empty(len(items), object)
        out[:] = items
        return out.astype(np.dtype(value["dtype"])).reshape(value["shape"])
    if "$list" in value or "$tuple" in value:
        ((kind, items),) = value.items()
        items = [_unpack(v, arrays) for v in items]
        return tuple(items) if kind == "$tuple" else items
    if "$pairs" in value:
        return {_unpack(k, arrays): _unpack(v, arrays) for k, v in value["$pairs"]}
    if "$part" in value:
        home = import_module(f"steepest.estimators.{PARTS[value['$part']]}")
        return getattr(home, value["$part"])(**_unpack(value["fields"], arrays))
    if "$record" in value:
        return from_dict(value["$record"])
    return {k: _unpack(v, arrays) for k, v in value.items()}
