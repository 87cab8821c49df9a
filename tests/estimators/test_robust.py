"""Robust, quantile and Poisson regression against scikit-learn at the same penalty."""

import numpy as np
import pytest
from sklearn import linear_model as sk
from sklearn.datasets import load_diabetes
from sklearn.metrics import mean_pinball_loss
from sklearn.preprocessing import scale

import steepest


@pytest.fixture(scope="module")
def diabetes():
    X, y = load_diabetes(return_X_y=True)
    return scale(X), y


def near(ours, theirs, within=1e-4):
    gap = np.linalg.norm(ours.coef_ - theirs.coef_)
    assert gap <= within * np.linalg.norm(theirs.coef_)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=within)


def test_huber(diabetes):
    X, y = diabetes
    y = y.copy()
    y[::20] += 1000
    ours = steepest.HuberRegressor(alpha=0.01).fit(X, y)
    theirs = sk.HuberRegressor(alpha=0.01, tol=1e-10, max_iter=100_000).fit(X, y)
    near(ours, theirs)
    np.testing.assert_allclose(ours.scale_, theirs.scale_, rtol=1e-4)
    assert (ours.outliers_ == theirs.outliers_).all()


@pytest.mark.slow
@pytest.mark.parametrize(("quantile", "alpha"), [(0.3, 0.0), (0.5, 0.1)])
def test_quantile(quantile, alpha, diabetes):
    X, y = diabetes
    ours = steepest.QuantileRegressor(quantile=quantile, alpha=alpha).fit(X, y)
    theirs = sk.QuantileRegressor(quantile=quantile, alpha=alpha).fit(X, y)
    near(ours, theirs)
    found, best = (
        mean_pinball_loss(y, m.predict(X), alpha=quantile) + alpha * np.abs(m.coef_).sum()
        for m in (ours, theirs)
    )
    assert abs(found - best) <= 1e-6 * best


def test_a_quantile_is_one(diabetes):
    X, y = diabetes
    model = steepest.QuantileRegressor(quantile=0.9, alpha=0.0).fit(X, y)
    share = (y <= model.predict(X) + 1e-4).mean()
    assert 0.9 - 1e-9 <= share <= 0.9 + 11 / len(y)


def test_poisson(diabetes):
    X, y = diabetes
    weight = np.random.default_rng(0).uniform(0.1, 2, len(y))
    ours = steepest.PoissonRegressor(alpha=0.1).fit(X, y, weight)
    theirs = sk.PoissonRegressor(alpha=0.1, tol=1e-12, max_iter=10_000).fit(X, y, weight)
    near(ours, theirs)
    np.testing.assert_allclose(ours.score(X, y), theirs.score(X, y), rtol=1e-6)
    plain = {"alpha": 0.1, "fit_intercept": False}
    ours = steepest.PoissonRegressor(**plain).fit(X + 1, y / 100)
    theirs = sk.PoissonRegressor(**plain, tol=1e-12, max_iter=10_000).fit(X + 1, y / 100)
    np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-4)
    with pytest.raises(steepest.DataError, match="y must be at least 0"):
        steepest.PoissonRegressor().fit(X, y - 200)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (steepest.HuberRegressor(epsilon=0.5), "epsilon must be a number at least 1"),
        (steepest.QuantileRegressor(quantile=0.0), "quantile must be a number above 0"),
        (steepest.PoissonRegressor(alpha=-1), "alpha must be a number at least 0"),
    ],
    ids=str,
)
def test_bad_parameters_are_refused_in_fit(model, said, diabetes):
    with pytest.raises(steepest.UsageError, match=said):
        model.fit(*diabetes)
