"""Linear models against scikit-learn at the same penalty, and what they promise besides."""

import numpy as np
import pytest
from sklearn import linear_model as sk
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import steepest
from steepest.engine.advance import advance

EXACT = {"tol": 1e-12, "max_iter": 100_000}


@pytest.fixture(scope="module")
def diabetes():
    return load_diabetes(return_X_y=True)


@pytest.fixture(scope="module")
def cancer():
    return load_breast_cancer(return_X_y=True)


def near(ours, theirs, within=1e-4):
    gap = np.linalg.norm(np.ravel(ours.coef_) - np.ravel(theirs.coef_))
    assert gap <= within * np.linalg.norm(theirs.coef_)
    assert ours.coef_.shape == theirs.coef_.shape
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=within, atol=1e-6)


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (steepest.LinearRegression(), sk.LinearRegression()),
        (steepest.LinearRegression(fit_intercept=False), sk.LinearRegression(fit_intercept=False)),
        (steepest.Ridge(2.0), sk.Ridge(2.0)),
        (steepest.Lasso(0.1), sk.Lasso(0.1, **EXACT)),
        (steepest.ElasticNet(0.01), sk.ElasticNet(0.01, **EXACT)),
    ],
    ids=str,
)
@pytest.mark.parametrize("weighted", [False, True])
def test_regressions_have_the_coefficients_of_scikit_learn(ours, theirs, weighted, diabetes):
    X, y = diabetes
    weight = np.random.default_rng(0).uniform(0.1, 3, len(y)) if weighted else None
    near(clone(ours).fit(X, y, weight), clone(theirs).fit(X, y, sample_weight=weight))


def test_several_targets(diabetes):
    X, y = diabetes
    y = np.c_[y, y**2]
    near(steepest.Ridge(3.0).fit(X, y), sk.Ridge(3.0).fit(X, y))


def test_features_of_very_different_size(cancer):
    X, y = cancer
    near(steepest.Ridge().fit(X, y), sk.Ridge(solver="svd").fit(X, y))


@pytest.mark.parametrize("name", ["two", "three"])
def test_logistic_regression_on_raw_features(name, cancer):
    X, y = cancer if name == "two" else load_wine(return_X_y=True)
    exact = sk.LogisticRegression(solver="newton-cholesky", **EXACT).fit(X, y)
    ours = steepest.LogisticRegression().fit(X, y)
    near(ours, exact)
    np.testing.assert_allclose(ours.predict_proba(X), exact.predict_proba(X), atol=1e-5)
    assert ours.optimality_ <= 1e-9
    assert ours.outcome_ == "converged"


def test_class_weight(cancer):
    X, y = cancer
    X = StandardScaler().fit_transform(X)
    weight = {0: 3.0, 1: 0.5}
    near(
        steepest.LogisticRegression(class_weight=weight).fit(X, y),
        sk.LogisticRegression(class_weight=weight, **EXACT).fit(X, y),
    )


def test_l1_logistic_regression_has_exact_zeros(cancer):
    X, y = cancer
    X = StandardScaler().fit_transform(X)
    ours = steepest.LogisticRegression(C=0.05, penalty="l1", max_iter=20_000).fit(X, y)
    theirs = sk.LogisticRegression(C=0.05, l1_ratio=1.0, solver="saga", **EXACT).fit(X, y)
    near(ours, theirs)
    assert ((ours.coef_ == 0) == (theirs.coef_ == 0)).all()
    assert 0 < (ours.coef_ == 0).mean() < 1


def test_the_duality_gap_bounds_the_error(diabetes):
    X, y = diabetes

    def objective(model):
        r = y - model.predict(X)
        w = np.abs(model.coef_).sum(), (model.coef_**2).sum()
        return (r @ r) / (2 * len(y)) + 0.05 * (0.7 * w[0] + 0.3 / 2 * w[1])

    settings = {"alpha": 0.05, "l1_ratio": 0.7}
    best = objective(sk.ElasticNet(**settings, **EXACT).fit(X, y))
    for tol in (1e-1, 1e-2, 1e-9):
        ours = steepest.ElasticNet(**settings, tol=tol).fit(X, y)
        above = objective(ours) - best
        assert -1e-9 * best <= above <= ours.dual_gap_ * (1 + 1e-6) + 1e-9 * best
    assert above <= 1e-8 * best


def test_an_optimizer_on_request(diabetes):
    X, y = diabetes
    exact = sk.Ridge(1.0).fit(X, y)
    rule = steepest.optimizers.Nesterov(0.05)
    near(steepest.Ridge(1.0, optimizer=rule, max_iter=5000).fit(X, y), exact)
    with pytest.raises(steepest.UsageError, match=r"smooth objectives only|no L1 penalty"):
        steepest.Lasso(0.1, optimizer="lbfgs").fit(X, y)


def test_too_small_a_budget_is_said(diabetes):
    with pytest.warns(ConvergenceWarning, match="Raise max_iter=2"):
        steepest.LinearRegression(max_iter=2).fit(*diabetes)


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (steepest.Ridge(alpha=-1), "alpha must be a number at least 0, got -1"),
        (steepest.LogisticRegression(C=0), "C must be a number above 0, got 0"),
        (steepest.LogisticRegression(penalty="l3"), "penalty='l3' is not known"),
        (steepest.ElasticNet(l1_ratio=1.5), "l1_ratio must be a number at least 0 and at most 1"),
        (steepest.Lasso(max_iter=0), "max_iter must be a whole number of at least 1"),
        (steepest.Ridge(optimizer="lbgfs"), "did you mean 'lbfgs'"),
        (steepest.Ridge(dtype="float16"), "dtype must be"),
    ],
    ids=str,
)
def test_bad_parameters_are_refused_in_fit(model, said, cancer):
    with pytest.raises(steepest.UsageError, match=said):
        model.fit(*cancer)


def test_one_class_with_weight_is_refused(cancer):
    X, y = cancer
    with pytest.raises(steepest.DataError, match="at least 2 classes"):
        steepest.LogisticRegression().fit(X, y, sample_weight=y)


def test_folds_and_other_penalties_share_one_program(diabetes):
    X, y = diabetes
    model = make_pipeline(StandardScaler(), steepest.Ridge())
    cross_val_score(model, X, y, cv=5)
    before = advance._cache_size()
    for alpha in (0.5, 5.0):
        cross_val_score(model.set_params(ridge__alpha=alpha), X, y, cv=7)
    steepest.Ridge().fit(X[:400, :9], y[:400])
    assert advance._cache_size() == before


def test_sparse_rows(cancer):
    import scipy.sparse as sp

    X, y = cancer
    X = np.where(np.median(X, axis=0) < X, X, 0)
    dense = steepest.LogisticRegression().fit(X, y)
    sparse = steepest.LogisticRegression().fit(sp.csr_array(X), y)
    np.testing.assert_array_equal(sparse.coef_, dense.coef_)
    np.testing.assert_array_equal(sparse.predict(sp.csr_array(X)), dense.predict(X))
