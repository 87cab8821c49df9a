"""scikit-learn's own checks on every estimator; a failure that is expected says why."""

import numpy as np
import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

import steepest
from steepest.engine.advance import advance

# Rows around 100 make SGD diverge at its default rate, which it must say.
pytestmark = [
    pytest.mark.filterwarnings("default::sklearn.exceptions.ConvergenceWarning"),
    # In a search a fold without the bad row of a check is fitted and scored; its refit raises.
    pytest.mark.filterwarnings("default::sklearn.exceptions.FitFailedWarning"),
    pytest.mark.filterwarnings("default:Scoring failed:UserWarning"),
    pytest.mark.filterwarnings("default:One or more of the test scores:UserWarning"),
    # scikit-learn's splitter casts targets that are not finite before anything refuses them.
    pytest.mark.filterwarnings("default:invalid value encountered in cast:RuntimeWarning"),
]

RANDOM_BATCHES = (
    "mini-batches are drawn by row, so a row of weight 2 is not the same as two rows; "
    "scikit-learn's estimators of this kind have the same exception"
)
RANDOM_FEATURES = (
    "the rows of the Nystroem features are drawn without weights, so a row of weight 2 is not the "
    "same as two rows"
)
NO_RESIDUALS = (
    "with 30 features for 15 rows no residual is left and the scale falls to its floor; which of "
    "the many fits alpha=1e-4 then prefers is not reached to seven digits"
)
ROUNDED_CORNER = (
    "the corner of the hinge is rounded over 1e-6, which leaves the solution that free; "
    "scikit-learn's LinearSVC has the same exception"
)
SEARCH = {
    "check_supervised_y_2d": "as scikit-learn's: no DataConversionWarning of its own",
    "check_requires_y_none": "as scikit-learn's: fails in the splitter",
}


def both(reason):
    names = ("dense_data", "sparse_data")
    return {f"check_sample_weight_equivalence_on_{n}": reason for n in names}


EXPECTED = {
    "MLPClassifier": both(RANDOM_BATCHES),
    "MLPRegressor": both(RANDOM_BATCHES),
    "SGDClassifier": both(RANDOM_BATCHES),
    "SGDRegressor": both(RANDOM_BATCHES),
    "HuberRegressor": both(NO_RESIDUALS),
    "SVC": both(RANDOM_FEATURES),
    "SVR": both(RANDOM_FEATURES),
    "TreeClassifier": both(RANDOM_BATCHES),
    "TreeRegressor": both(RANDOM_BATCHES),
    "TreeEnsembleClassifier": both(RANDOM_BATCHES),
    "TreeEnsembleRegressor": both(RANDOM_BATCHES),
    "GridSearchCV": SEARCH,
}

BY_DEFAULT = [steepest.Ridge()]
SLOW = [
    steepest.LogisticRegression(),
    steepest.LinearRegression(),
    steepest.Lasso(),
    steepest.ElasticNet(),
    steepest.LogisticRegression(l1_ratio=0.5),
    steepest.MLPClassifier((16,), max_iter=30),
    steepest.MLPRegressor((16,), max_iter=30),
    steepest.SGDClassifier(),
    steepest.SGDRegressor(),
    steepest.HuberRegressor(),
    steepest.QuantileRegressor(),
    steepest.PoissonRegressor(),
    steepest.LinearSVC(),
    steepest.LinearSVC(loss="hinge"),
    steepest.LinearSVR(),
    steepest.SVC(),
    steepest.SVR(),
    steepest.TreeClassifier(3, n_init=1, max_iter=40),
    steepest.TreeClassifier(3, splits="oblique", n_init=1, max_iter=150),
    steepest.TreeRegressor(3, n_init=1, max_iter=40),
    steepest.TreeEnsembleClassifier(8, max_depth=3, max_iter=40),
    steepest.TreeEnsembleRegressor(8, max_depth=3, max_iter=40),
    steepest.GridSearchCV(steepest.Ridge(), {"alpha": [0.1, 1.0]}),
    steepest.GridSearchCV(steepest.LogisticRegression(), {"C": [0.1, 1.0]}),
]


def expected(estimator):
    if type(estimator) is steepest.LinearSVC and estimator.loss == "hinge":
        return both(ROUNDED_CORNER)
    return EXPECTED.get(type(estimator).__name__, {})


@parametrize_with_checks(BY_DEFAULT, expected_failed_checks=expected)
def test_checks(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(SLOW, expected_failed_checks=expected)
def test_checks_of_the_others(estimator, check):
    check(estimator)


def test_the_shapes_of_the_checks_share_programs():
    rng = np.random.default_rng(0)
    shapes = [(1, 10), (10, 3), (15, 30), (20, 3), (30, 1), (50, 2), (56, 10), (100, 2)]
    before = advance._cache_size()
    for n, p in shapes:
        steepest.Ridge(dtype="float64").fit(rng.normal(size=(n, p)), rng.normal(size=n))
    assert advance._cache_size() - before <= 2
