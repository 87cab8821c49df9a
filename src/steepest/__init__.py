"""steepest: gradient descent, whole: minimise functions, train models, measure what works.

Names are loaded when they are first used, so `import steepest` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

_HOME = {
    "DataError": "core.errors",
    "DivergedError": "core.errors",
    "ElasticNet": "estimators.linear",
    "FileError": "core.errors",
    "Fit": "engine.result",
    "Fits": "engine.result",
    "FormulaError": "core.errors",
    "GridSearchCV": "estimators.search",
    "HalvingSearchCV": "estimators.search",
    "HuberRegressor": "estimators.robust",
    "Lasso": "estimators.linear",
    "LeastSquares": "engine.least_squares",
    "LinearRegression": "estimators.linear",
    "LinearSVC": "estimators.svm",
    "LinearSVR": "estimators.svm",
    "LogisticRegression": "estimators.linear",
    "MLPClassifier": "estimators.mlp",
    "MLPRegressor": "estimators.mlp",
    "Minima": "engine.minimum",
    "Minimum": "engine.minimum",
    "MissingExtraError": "core.errors",
    "Outcome": "core.outcome",
    "PoissonRegressor": "estimators.robust",
    "QuantileRegressor": "estimators.robust",
    "RandomizedSearchCV": "estimators.search",
    "Reason": "core.outcome",
    "Ridge": "estimators.linear",
    "SGDClassifier": "estimators.sgd",
    "SGDRegressor": "estimators.sgd",
    "SVC": "estimators.svm",
    "SVR": "estimators.svm",
    "Settings": "engine.settings",
    "SteepestError": "core.errors",
    "Study": "study.study",
    "StudyResult": "study.result",
    "Trace": "core.trace",
    "TreeClassifier": "estimators.tree",
    "TreeEnsembleClassifier": "estimators.tree_ensemble",
    "TreeEnsembleRegressor": "estimators.tree_ensemble",
    "TreeRegressor": "estimators.tree",
    "UsageError": "core.errors",
    "function": "functions.function",
    "least_squares": "engine.least_squares",
    "load": "estimators.files",
    "minimize": "engine.minimize",
    "models": "models",
    "objectives": "objectives",
    "optimizers": "optimizers",
    "plot_decision_boundary": "estimators.plots",
    "plot_loss_curve": "estimators.plots",
    "schedules": "schedules",
    "train": "engine.train",
}
_MODULES = {"models", "objectives", "optimizers", "schedules"}

__all__ = sorted(_HOME)

if TYPE_CHECKING:
    from steepest import models, objectives, optimizers, schedules
    from steepest.core.errors import (
        DataError,
        DivergedError,
        FileError,
        FormulaError,
        MissingExtraError,
        SteepestError,
        UsageError,
    )
    from steepest.core.outcome import Outcome, Reason
    from steepest.core.trace import Trace
    from steepest.engine.least_squares import LeastSquares, least_squares
    from steepest.engine.minimize import minimize
    from steepest.engine.minimum import Minima, Minimum
    from steepest.engine.result import Fit, Fits
    from steepest.engine.settings import Settings
    from steepest.engine.train import train
    from steepest.estimators.files import load
    from steepest.estimators.linear import (
        ElasticNet,
        Lasso,
        LinearRegression,
        LogisticRegression,
        Ridge,
    )
    from steepest.estimators.mlp import MLPClassifier, MLPRegressor
    from steepest.estimators.plots import plot_decision_boundary, plot_loss_curve
    from steepest.estimators.robust import HuberRegressor, PoissonRegressor, QuantileRegressor
    from steepest.estimators.search import GridSearchCV, HalvingSearchCV, RandomizedSearchCV
    from steepest.estimators.sgd import SGDClassifier, SGDRegressor
    from steepest.estimators.svm import SVC, SVR, LinearSVC, LinearSVR
    from steepest.estimators.tree import TreeClassifier, TreeRegressor
    from steepest.estimators.tree_ensemble import TreeEnsembleClassifier, TreeEnsembleRegressor
    from steepest.functions.function import function
    from steepest.study.result import StudyResult
    from steepest.study.study import Study


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("steepest")
    if name not in _HOME:
        raise AttributeError(f"module 'steepest' has no attribute {name!r}")
    module = import_module(f"steepest.{_HOME[name]}")
    value = module if name in _MODULES else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
