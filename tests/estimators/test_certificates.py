"""Convex models on real data: scikit-learn's coefficients, and how far above the optimum they end.

Objectives are computed here from `coef_` and `intercept_` alone, in the units of the data; the
optimum is the lowest value that any solver found, ours or theirs, pushed to its limit.
"""

import warnings

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn import linear_model as sk
from sklearn import svm
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.preprocessing import scale

import steepest

TIGHT = {"tol": 1e-13, "max_iter": 200_000}


@pytest.fixture(scope="module")
def diabetes():
    X, y = load_diabetes(return_X_y=True)
    return scale(X), y


@pytest.fixture(scope="module")
def cancer():
    X, y = load_breast_cancer(return_X_y=True)
    return scale(X), y


def outputs(model, X):
    return X @ np.ravel(model.coef_) + np.ravel(model.intercept_)[0]


def squares(model):
    return float(np.sum(np.square(model.coef_)))


def absolutes(model):
    return float(np.abs(model.coef_).sum())


def logistic(model, X, y, l1_ratio=0.0):
    loss = np.logaddexp(0, -np.where(y == 1, 1, -1) * outputs(model, X)).sum()
    return model.C * loss + l1_ratio * absolutes(model) + (1 - l1_ratio) / 2 * squares(model)


def hinge2(model, X, y):
    m = 1 - np.where(y == 1, 1, -1) * outputs(model, X)
    return (
        model.C * np.square(np.maximum(m, 0)).sum()
        + (squares(model) + float(np.ravel(model.intercept_)[0]) ** 2) / 2
    )


def tube2(model, X, y):
    r = np.maximum(np.abs(y - outputs(model, X)) - model.epsilon, 0)
    return (
        model.C * np.square(r).sum()
        + (squares(model) + float(np.ravel(model.intercept_)[0]) ** 2) / 2
    )


def poisson(model, X, y):
    f = outputs(model, X)
    return np.mean(np.exp(f) - y * f) + model.alpha / 2 * squares(model)


def elastic(model, X, y):
    ratio = getattr(model, "l1_ratio", 1.0)
    penalty = model.alpha * (ratio * absolutes(model) + (1 - ratio) / 2 * squares(model))
    return np.square(y - outputs(model, X)).mean() / 2 + penalty


def ridge(model, X, y):
    return np.square(y - outputs(model, X)).sum() + model.alpha * squares(model)


def plain(model, X, y):
    return np.square(y - outputs(model, X)).sum()


CASES = {
    "LinearRegression": (steepest.LinearRegression(), sk.LinearRegression(), plain),
    "Ridge": (steepest.Ridge(3.0), sk.Ridge(3.0), ridge),
    "Lasso": (steepest.Lasso(0.5), sk.Lasso(0.5, **TIGHT), elastic),
    "ElasticNet": (steepest.ElasticNet(0.1), sk.ElasticNet(0.1, **TIGHT), elastic),
    "LogisticRegression": (
        steepest.LogisticRegression(C=0.5),
        sk.LogisticRegression(C=0.5, solver="newton-cholesky", tol=1e-13, max_iter=1000),
        logistic,
    ),
    "LinearSVC": (
        steepest.LinearSVC(C=0.1),
        svm.LinearSVC(C=0.1, dual=False, tol=1e-12, max_iter=100_000),
        hinge2,
    ),
    "LinearSVR": (
        steepest.LinearSVR(C=0.1, epsilon=5.0, loss="squared_epsilon_insensitive"),
        svm.LinearSVR(
            C=0.1, epsilon=5.0, loss="squared_epsilon_insensitive", dual=False, tol=1e-13,
            max_iter=100_000,
        ),
        tube2,
    ),
    "PoissonRegressor": (
        steepest.PoissonRegressor(alpha=0.3),
        sk.PoissonRegressor(alpha=0.3, solver="newton-cholesky", tol=1e-12, max_iter=1000),
        poisson,
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_coefficients_and_objective(name, diabetes, cancer):
    ours, theirs, objective = CASES[name]
    X, y = cancer if name in ("LogisticRegression", "LinearSVC") else diabetes
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = clone(theirs).fit(X, y)
    ours = clone(ours).fit(X, y)
    gap = np.linalg.norm(np.ravel(ours.coef_) - np.ravel(theirs.coef_))
    assert gap <= 1e-4 * np.linalg.norm(theirs.coef_)
    a, b = objective(ours, X, y), objective(theirs, X, y)
    assert a <= b + 1e-8 * abs(b)
    assert ours.outcome_ == "converged"
    assert ours.optimality_ <= 1e-8 * max(1.0, abs(b))


def test_l1_logistic_regression_beside_saga(cancer):
    X, y = cancer
    ours = steepest.LogisticRegression(C=0.1, l1_ratio=1.0, max_iter=20_000).fit(X, y)
    theirs = sk.LogisticRegression(C=0.1, l1_ratio=1.0, solver="saga", **TIGHT).fit(X, y)
    gap = np.linalg.norm(ours.coef_ - theirs.coef_)
    assert gap <= 1e-4 * np.linalg.norm(theirs.coef_)
    a, b = (logistic(m, X, y, 1.0) for m in (ours, theirs))
    assert a <= b * (1 + 1e-8)


def test_huber_beside_scipy(diabetes):
    """scikit-learn's own stops early; SciPy's trust region on the same function does not."""
    X, y = diabetes
    ours = steepest.HuberRegressor(alpha=0.1).fit(X, y)

    def objective(v):
        w, b, s = v[:-2], v[-2], np.exp(v[-1])
        z = np.abs(y - X @ w - b) / s
        e = 1.35
        h = np.where(z <= e, z**2, 2 * e * z - e**2)
        return (s + s * h).sum() + 0.1 * w @ w

    def gradient(v):
        w, b, s = v[:-2], v[-2], np.exp(v[-1])
        r = (y - X @ w - b) / s
        slope = 2 * np.clip(r, -1.35, 1.35)
        z = np.abs(r)
        h = np.where(z <= 1.35, z**2, 2 * 1.35 * z - 1.35**2)
        dw = -X.T @ slope + 0.2 * w
        return np.r_[dw, -slope.sum(), s * (1 + h - slope * r).sum()]

    at = np.r_[ours.coef_, ours.intercept_, np.log(ours.scale_)]
    best = minimize(objective, at, jac=gradient, method="BFGS", options={"gtol": 1e-10})
    assert objective(at) <= best.fun * (1 + 1e-8)
    theirs = sk.HuberRegressor(alpha=0.1, tol=1e-12, max_iter=20_000).fit(X, y)
    gap = np.linalg.norm(ours.coef_ - theirs.coef_)
    assert gap <= 1e-4 * np.linalg.norm(theirs.coef_)


def test_quantiles_beside_a_linear_program(diabetes):
    X, y = diabetes
    for q in (0.5, 0.9):
        ours = steepest.QuantileRegressor(quantile=q, alpha=0.01).fit(X, y)
        theirs = sk.QuantileRegressor(quantile=q, alpha=0.01).fit(X, y)

        def objective(model, q=q):
            r = y - outputs(model, X)
            return np.maximum(q * r, (q - 1) * r).mean() + 0.01 * absolutes(model)

        assert objective(ours) <= objective(theirs) * (1 + 1e-6)


def test_hinge_beside_liblinear(cancer):
    X, y = cancer
    ours = steepest.LinearSVC(C=0.1, loss="hinge").fit(X, y)
    theirs = svm.LinearSVC(C=0.1, loss="hinge", tol=1e-10, max_iter=1_000_000, random_state=0)
    theirs.fit(X, y)

    def objective(model):
        m = 1 - np.where(y == 1, 1, -1) * outputs(model, X)
        b = float(np.ravel(model.intercept_)[0])
        return 0.1 * np.maximum(m, 0).sum() + (squares(model) + b * b) / 2

    assert objective(ours) <= objective(theirs) * (1 + 1e-6)
