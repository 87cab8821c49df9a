"""What `import steepest` offers, to the name: adding to it is a decision, taking away a break."""

import subprocess
import sys

import pytest

import steepest

PUBLIC = [
    "DataError",
    "DivergedError",
    "ElasticNet",
    "FileError",
    "Fit",
    "Fits",
    "FormulaError",
    "GridSearchCV",
    "HalvingSearchCV",
    "HuberRegressor",
    "Lasso",
    "LeastSquares",
    "LinearRegression",
    "LinearSVC",
    "LinearSVR",
    "LogisticRegression",
    "MLPClassifier",
    "MLPRegressor",
    "Minima",
    "Minimum",
    "MissingExtraError",
    "Outcome",
    "PoissonRegressor",
    "QuantileRegressor",
    "RandomizedSearchCV",
    "Reason",
    "Ridge",
    "SGDClassifier",
    "SGDRegressor",
    "SVC",
    "SVR",
    "Settings",
    "SteepestError",
    "Study",
    "StudyResult",
    "Trace",
    "TreeClassifier",
    "TreeEnsembleClassifier",
    "TreeEnsembleRegressor",
    "TreeRegressor",
    "UsageError",
    "function",
    "least_squares",
    "load",
    "minimize",
    "models",
    "objectives",
    "optimizers",
    "plot_decision_boundary",
    "plot_loss_curve",
    "schedules",
    "train",
]


def test_all_is_exactly_this():
    assert sorted(steepest.__all__) == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_every_name_is_there_and_says_what_it_is(name):
    value = getattr(steepest, name)
    assert (value.__doc__ or "").strip()
    assert name in dir(steepest)


def test_a_wrong_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        _ = steepest.trian


def test_importing_steepest_imports_nothing_heavy():
    code = "import sys, steepest; print(*{m.partition('.')[0] for m in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"jax", "numpy", "polars", "sklearn", "matplotlib"}.isdisjoint(done.stdout.split())


def test_version():
    from importlib.metadata import version

    assert steepest.__version__ == version("steepest")


def test_star_import_gives_the_public_names():
    space = {}
    exec("from steepest import *", space)
    assert set(PUBLIC) <= set(space)
