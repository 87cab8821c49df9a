"""Searches in one program against scikit-learn's own, candidate by candidate and fold by fold."""

import numpy as np
import pytest
from scipy.stats import loguniform
from sklearn import linear_model
from sklearn import model_selection as sk
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import steepest
from steepest.engine.advance import advance
from steepest.estimators import search as module


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture
def programs(monkeypatch):
    """How many runs of the engine the search has made, each one program."""
    calls = []
    run = module.run_jobs
    monkeypatch.setattr(module, "run_jobs", lambda jobs: calls.append(jobs) or run(jobs))
    return calls


def same(ours, theirs, within=1e-6):
    for name in ("mean_test_score", "std_test_score", "mean_train_score"):
        np.testing.assert_allclose(
            ours.cv_results_[name], theirs.cv_results_[name], rtol=within, atol=within
        )
    assert ours.cv_results_["params"] == theirs.cv_results_["params"]
    assert ours.cv_results_["rank_test_score"].tolist() == (
        theirs.cv_results_["rank_test_score"].tolist()
    )
    assert ours.best_params_ == theirs.best_params_


def test_ridge_as_scikit_learn_searches_its_own(programs):
    X, y = load_diabetes(return_X_y=True)
    grid = {"alpha": [0.01, 0.1, 1.0, 10.0]}
    weight = np.random.default_rng(0).uniform(0.5, 2, len(y))
    how = {"cv": 5, "return_train_score": True}
    ours = steepest.GridSearchCV(steepest.Ridge(), grid, **how).fit(X, y, sample_weight=weight)
    theirs = sk.GridSearchCV(linear_model.Ridge(), grid, **how).fit(X, y, sample_weight=weight)
    same(ours, theirs)
    assert len(programs) == 1
    assert len(programs[0]) == 5
    assert len(programs[0][0]) == 4
    np.testing.assert_allclose(ours.best_estimator_.coef_, theirs.best_estimator_.coef_, rtol=1e-5)


@pytest.mark.slow
def test_perceptrons_as_fitted_one_by_one(iris, programs):
    X, y = iris
    model = steepest.MLPClassifier((8,), max_iter=15, random_state=0)
    grid = {"learning_rate": [1e-3, 1e-2], "l2": [1e-4, 1e-2], "activation": ["relu", "tanh"]}
    how = {"cv": sk.StratifiedKFold(3, shuffle=True, random_state=0), "return_train_score": True}
    how["scoring"] = "neg_log_loss"
    ours = steepest.GridSearchCV(model, grid, **how).fit(X, y)
    theirs = sk.GridSearchCV(model, grid, **how).fit(X, y)
    assert [len(jobs[0]) for jobs in programs] == [4, 4]
    same(ours, theirs, within=1e-3)


@pytest.mark.slow
def test_splits_drawn_at_random_are_drawn_once(iris):
    X, y = iris
    cv = sk.KFold(3, shuffle=True)
    search = steepest.GridSearchCV(
        steepest.LogisticRegression(), {"C": [0.1, 1.0]}, cv=cv, scoring="accuracy"
    ).fit(X, y)
    assert (search.cv_results_["mean_test_score"] > 0.8).all()


@pytest.mark.slow
def test_random_and_halving_searches(iris, programs):
    X, y = iris
    search = steepest.RandomizedSearchCV(
        steepest.LogisticRegression(), {"C": loguniform(1e-2, 1e2)}, n_iter=5, cv=3, random_state=0
    ).fit(X, y)
    assert len(programs) == 1
    assert search.best_score_ > 0.95
    search = steepest.HalvingSearchCV(
        steepest.LogisticRegression(), {"C": [0.01, 1.0, 100.0]}, cv=3, random_state=0,
        min_resources=60,
    ).fit(X, y)  # fmt: skip
    assert len(programs) == 1 + search.n_iterations_
    assert search.best_score_ > 0.9


def test_a_second_grid_shares_the_program(iris):
    X, y = iris
    model = steepest.LogisticRegression()
    steepest.GridSearchCV(model, {"C": [0.1, 1.0]}, cv=3, refit=False).fit(X, y)
    before = advance._cache_size()
    steepest.GridSearchCV(model, {"C": [0.3, 3.0]}, cv=3, refit=False).fit(X, y)
    assert advance._cache_size() == before


def test_what_is_not_ours_is_searched_as_usual(iris, programs):
    X, y = iris
    grid = {"logisticregression__C": [0.1, 1.0]}
    pipe = make_pipeline(StandardScaler(), linear_model.LogisticRegression())
    how = {"cv": 3, "return_train_score": True}
    same(
        steepest.GridSearchCV(pipe, grid, **how).fit(X, y),
        sk.GridSearchCV(pipe, grid, **how).fit(X, y),
    )
    assert not programs


def test_a_candidate_that_diverges_leaves_the_others_alone():
    X, y = load_diabetes(return_X_y=True)
    X = StandardScaler().fit_transform(X)
    model = steepest.SGDRegressor(learning_rate="constant", max_iter=5, tol=None, random_state=0)
    alone = sk.cross_val_score(clone(model).set_params(eta0=5e-3), X, y, cv=3)
    search = steepest.GridSearchCV(model, {"eta0": [5e-3, 1.0]}, cv=3)
    with pytest.warns(ConvergenceWarning, match="eta0=1 was given"):
        search.fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    np.testing.assert_allclose(scores[0], alone.mean(), rtol=1e-6)
    assert scores[1] < 0 < scores[0]
    assert search.best_params_ == {"eta0": 5e-3}


def test_bad_parameters_are_said(iris):
    with pytest.raises(ValueError, match="C must be a number above 0"):
        steepest.GridSearchCV(
            steepest.LogisticRegression(), {"C": [-1.0]}, cv=3, error_score="raise"
        ).fit(*iris)
