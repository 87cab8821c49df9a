"""Stochastic gradient descent: against scikit-learn's, and no silent failure."""

import warnings

import numpy as np
import pytest
from sklearn import linear_model as sk
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.preprocessing import scale

import steepest


@pytest.fixture(scope="module")
def diabetes():
    X, y = load_diabetes(return_X_y=True)
    return scale(X), y


def test_the_scores_of_scikit_learn(diabetes):
    X, y = diabetes
    ours = steepest.SGDRegressor(random_state=0).fit(X, y).score(X, y)
    assert ours > sk.SGDRegressor(random_state=0).fit(X, y).score(X, y) - 0.01
    X, y = load_breast_cancer(return_X_y=True)
    X = scale(X)
    for loss in ("hinge", "log_loss", "squared_hinge", "modified_huber"):
        model = steepest.SGDClassifier(loss, random_state=0, average=True).fit(X, y)
        assert model.score(X, y) > 0.96


def test_the_steps_are_those_of_the_formula():
    """One pass in the order drawn, by hand: w <- w - eta_t (f - y) x - eta_t alpha w."""
    from steepest.data.batches import Order

    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(30, 3)), rng.normal(size=30)
    eta0, power, alpha = 0.05, 0.25, 0.1
    model = steepest.SGDRegressor(
        alpha=alpha, eta0=eta0, power_t=power, max_iter=1, tol=None, random_state=7
    ).fit(X, y)
    w, b = np.zeros(3), 0.0
    for t, i in enumerate(Order(30, 1, 7).steps(0, 30).ravel(), start=1):
        eta, r = eta0 / t**power, X[i] @ w + b - y[i]
        w, b = w - eta * (r * X[i] + alpha * w), b - eta * r
    np.testing.assert_allclose(model.coef_, w, rtol=1e-9)
    np.testing.assert_allclose(model.intercept_, [b], rtol=1e-9)


def test_a_row_of_weight_two_takes_a_step_twice_as_long():
    X, y = np.array([[1.0], [2.0], [-1.0]]), np.array([1.0, 0.0, 2.0])
    how = {"learning_rate": "constant", "alpha": 0.0, "tol": None, "max_iter": 2}
    once = steepest.SGDRegressor(eta0=0.02, random_state=0, **how).fit(X, y)
    twice = steepest.SGDRegressor(eta0=0.01, random_state=0, **how)
    np.testing.assert_allclose(twice.fit(X, y, sample_weight=[2, 2, 2]).coef_, once.coef_)
    light = steepest.SGDRegressor(eta0=0.02, random_state=0, **how).fit(X, y, [1, 1, 0])
    w, b = 0.0, 0.0
    from steepest.data.batches import Order

    order = Order(3, 1, 0)
    for i in np.concatenate([order.steps(0, 3), order.steps(3, 3)]).ravel():
        if i < 2:
            r = X[i, 0] * w + b - y[i]
            w, b = w - 0.02 * r * X[i, 0], b - 0.02 * r
    np.testing.assert_allclose(light.coef_, [w])


def test_the_average_is_the_mean_of_the_iterates():
    X, y = np.array([[1.0], [2.0], [-1.0]]), np.array([1.0, 0.0, 2.0])
    how = {"learning_rate": "constant", "eta0": 0.1, "alpha": 0.0, "tol": None, "random_state": 0}
    runs = [steepest.SGDRegressor(max_iter=1, **how)]
    model = runs[0]
    from steepest.data.batches import Order

    w, b, seen = np.zeros(1), 0.0, []
    for i in Order(3, 1, 0).steps(0, 3).ravel():
        r = X[i] @ w + b - y[i]
        w, b = w - 0.1 * r * X[i], b - 0.1 * r
        seen.append(w[0])
    np.testing.assert_allclose(model.fit(X, y).coef_, w)
    averaged = steepest.SGDRegressor(max_iter=1, average=True, **how).fit(X, y)
    np.testing.assert_allclose(averaged.coef_, np.mean(seen))


def test_partial_fit_learns_and_goes_on(diabetes):
    X, y = diabetes
    model = steepest.SGDRegressor(random_state=0)
    for _ in range(10):
        model.partial_fit(X, y)
    assert model.t_ == 10 * len(y) + 1
    assert model.score(X, y) > 0.48
    X, y = load_iris(return_X_y=True)
    model = steepest.SGDClassifier(random_state=0)
    model.partial_fit(scale(X)[:40], y[:40], classes=[0, 1, 2])
    assert model.coef_.shape == (3, 4)
    for _ in range(10):
        model.partial_fit(scale(X), y)
    assert model.score(scale(X), y) > 0.85


def test_l1_makes_exact_zeros(diabetes):
    X, y = diabetes
    model = steepest.SGDRegressor(penalty="l1", alpha=20.0, random_state=0).fit(X, y)
    assert 0 < (model.coef_ == 0).sum() < 10


def test_a_rate_that_is_too_large_is_named_with_its_limit(diabetes):
    X, y = diabetes
    rows = 1 + (X**2).sum(axis=1)
    model = steepest.SGDRegressor(learning_rate="constant", eta0=1.0, random_state=0)
    with pytest.warns(ConvergenceWarning, match="eta0=1 was given") as said:
        model.fit(X, y)
    assert model.outcome_ == "diverged"
    assert not model.coef_.any()
    limit = float(str(said[0].message).split("above ")[1].split(" ")[0])
    # Of a single row r^2 / 2 + alpha / 2 |w|^2 has the curvature |x|^2 + 1 (+ alpha).
    np.testing.assert_allclose(limit, 2 / rows.max(), rtol=1e-3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        low = steepest.SGDRegressor(learning_rate="constant", eta0=limit / 20, random_state=0)
        assert low.fit(X, y).score(X, y) > 0.4


def test_early_stopping_and_adaptive_rates(diabetes):
    X, y = diabetes
    model = steepest.SGDRegressor(early_stopping=True, random_state=0).fit(X, y)
    assert model.n_iter_ < 1000
    assert model.score(X, y) > 0.45


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"learning_rate": "optimum"}, "did you mean 'optimal'"),
        ({"loss": "hing"}, "did you mean 'hinge'"),
        ({"penalty": "l3"}, "penalty='l3' is not known"),
        ({"eta0": 0.0}, "eta0 must be a number above 0"),
        ({"batch_size": 0}, "batch_size must be a whole number"),
    ],
    ids=str,
)
def test_bad_parameters_are_refused_in_fit(settings, said):
    X, y = load_iris(return_X_y=True)
    with pytest.raises(steepest.UsageError, match=said):
        steepest.SGDClassifier(**settings).fit(X, y)
