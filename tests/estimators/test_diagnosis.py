"""`diagnose` of estimators, and parameters that are `auto`."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale

import steepest


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


def test_a_rate_too_small_has_a_cure(iris):
    model = steepest.MLPClassifier(
        (8,), optimizer="sgd", learning_rate=1e-5, max_iter=10, random_state=0
    ).fit(*iris)
    found = model.diagnose(*iris, deep=False)
    assert found.codes[0] == "learning_rate_too_small"
    change = found[0].changes[0]
    assert set(change) <= set(model.get_params())
    better = model.set_params(**change).fit(*iris)
    assert better.learning_rate > 1e-5
    assert better.loss_curve_[-1] < found.measured["end"]


def test_a_fit_that_diverged_is_diagnosed(iris):
    model = steepest.MLPClassifier(
        (8,), activation="identity", optimizer="sgd", learning_rate=1e4, max_iter=5, random_state=0
    )
    try:
        model.fit(*iris)
    except steepest.DivergedError:
        pass
    else:
        pytest.fail("a rate of 1e4 must diverge")
    found = model.diagnose(*iris, deep=False)
    assert found.codes[0] == "learning_rate_too_large"


def test_sgd_is_diagnosed_in_its_own_parameters():
    X, y = map(scale, load_diabetes(return_X_y=True))
    model = steepest.SGDRegressor(learning_rate="constant", eta0=1.0, random_state=0)
    with pytest.warns(ConvergenceWarning, match="unstable"):
        model.fit(X, y)
    found = model.diagnose(X, y, deep=False)
    assert found.codes[0] == "learning_rate_too_large"
    assert all("learning_rate" not in c for f in found for c in f.changes)
    assert found[0].changes[0]["eta0"] < 0.2


@pytest.mark.slow
def test_deep_diagnosis_of_a_healthy_fit(iris):
    X, y = iris
    model = steepest.MLPClassifier((16,), max_iter=60, random_state=0)
    model.fit(X[::2], y[::2], X_val=X[1::2], y_val=y[1::2])
    found = model.diagnose(X[::2], y[::2], X_val=X[1::2], y_val=y[1::2])
    assert "learning_rate_too_large" not in found.codes
    assert found.measured["curvature"] is not None


@pytest.mark.slow
def test_rates_are_found_by_measurement(iris):
    X, y = iris
    how = {"max_iter": 30, "random_state": 0}
    model = steepest.MLPClassifier((16,), learning_rate="auto", optimizer="momentum", **how)
    model.fit(X, y)
    assert 1e-4 < model.chosen_["learning_rate"] < 10
    assert model.score(X, y) > 0.93
    found = model.chosen_
    model.partial_fit(X, y)
    assert model.chosen_ == found
    X, y = load_diabetes(return_X_y=True)
    X = scale(X)
    sgd = steepest.SGDRegressor(learning_rate="auto", random_state=0).fit(X, y)
    rows = 1 + (X**2).sum(axis=1)
    assert sgd.eta0_ < 2 / rows.max() * 10
    assert sgd.score(X, y) > 0.49
    assert np.isfinite(sgd.coef_).all()
