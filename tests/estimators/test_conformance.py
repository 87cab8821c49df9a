"""scikit-learn's own checks on every estimator; a failure that is expected says why."""

import pytest
from sklearn.utils.estimator_checks import parametrize_with_checks

import steepest

RANDOM_BATCHES = (
    "mini-batches are drawn by row, so a row of weight 2 is not the same as two rows; "
    "scikit-learn's estimators of this kind have the same exception"
)
EXPECTED = {
    "MLPClassifier": {"check_sample_weight_equivalence_on_dense_data": RANDOM_BATCHES,
                      "check_sample_weight_equivalence_on_sparse_data": RANDOM_BATCHES},
    "MLPRegressor": {"check_sample_weight_equivalence_on_dense_data": RANDOM_BATCHES,
                     "check_sample_weight_equivalence_on_sparse_data": RANDOM_BATCHES},
}  # fmt: skip

BY_DEFAULT = [steepest.Ridge(), steepest.LogisticRegression()]
SLOW = [
    steepest.LinearRegression(),
    steepest.Lasso(),
    steepest.ElasticNet(),
    steepest.LogisticRegression(l1_ratio=0.5),
]


def expected(estimator):
    return EXPECTED.get(type(estimator).__name__, {})


@parametrize_with_checks(BY_DEFAULT, expected_failed_checks=expected)
def test_checks(estimator, check):
    check(estimator)


@pytest.mark.slow
@parametrize_with_checks(SLOW, expected_failed_checks=expected)
def test_checks_of_the_others(estimator, check):
    check(estimator)
