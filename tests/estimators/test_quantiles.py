import numpy as np
import pytest
from scipy.stats import norm
from sklearn.preprocessing import QuantileTransformer

from steepest.core.errors import DataError
from steepest.estimators.quantiles import KNOTS, Quantiles

RNG = np.random.default_rng(0)


def fitted(X, weight=None):
    return Quantiles.fit(X, np.ones(len(X)) if weight is None else weight)


def test_scores_are_those_of_the_middle_of_each_tie():
    X = np.array([0.0, 0, 0, 1, 2, 2])[:, None]
    expected = norm.ppf([1.5 / 6, 3.5 / 6, 5 / 6])
    np.testing.assert_allclose(np.unique(fitted(X)(X, "float64")), expected, rtol=1e-12)


def test_it_is_scikit_learns_transform_up_to_half_a_row():
    X = RNG.lognormal(size=(800, 2))
    theirs = QuantileTransformer(n_quantiles=800, output_distribution="normal").fit_transform(X)
    inside = np.abs(theirs) < 2
    np.testing.assert_allclose(fitted(X)(X, "float64")[inside], theirs[inside], atol=0.02)


def test_order_is_kept_and_can_be_undone():
    X = RNG.normal(size=(5000, 1)) ** 3
    scores = fitted(X)(X, "float64")
    order = np.argsort(X[:, 0])
    assert np.all(np.diff(scores[order, 0]) > 0)
    assert len(fitted(X).values) <= KNOTS
    for i in (0, 17, 4321):
        assert fitted(X).undo(scores[i, 0], 0) == pytest.approx(X[i, 0], rel=1e-9)
    # What lies beyond all training rows is as extreme as the most extreme of them.
    far = fitted(X)(np.array([[-1e9], [1e9]]), "float64").ravel()
    assert far.tolist() == [scores.min(), scores.max()]


def test_a_row_of_weight_two_is_two_rows():
    X = RNG.integers(0, 9, size=(50, 3)).astype(float)
    weight = RNG.integers(0, 3, size=50)
    a, b = fitted(X, weight.astype(float)), fitted(np.repeat(X, weight, axis=0))
    np.testing.assert_allclose(a(X, "float64"), b(X, "float64"), atol=1e-12)


def test_a_constant_feature_has_one_score():
    found = fitted(np.full((5, 1), 7.0))
    assert found(np.array([[6.0], [7.0]]), "float32").tolist() == [[0.0], [0.0]]
    with pytest.raises(DataError, match="X has 2 features, fitted were 1"):
        found(np.zeros((1, 2)), "float32")
