import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris

import steepest


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


def small(**settings):
    given = {"n_estimators": 6, "max_depth": 2, "max_iter": 20, "random_state": 0, "batch_size": 32}
    return steepest.TreeEnsembleClassifier(**given | settings)


@pytest.fixture(scope="module")
def fitted(iris):
    return small().fit(*iris)


def test_rows_are_the_weighted_mean_of_their_leaves(fitted, iris):
    X, y = iris
    assert fitted.score(X, y) > 0.93
    weights = fitted.estimator_weights(X)
    assert weights.shape == (150, 6)
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)
    assert len(fitted.estimators_) == 6
    # log p of a leaf is its outputs but for a constant in each row, which the softmax takes out.
    log_p = [np.log(tree.predict(X)) for tree in fitted.estimators_]
    mixed = np.einsum("be,ebc->bc", weights, log_p)
    p = np.exp(mixed - mixed.max(axis=1, keepdims=True))
    np.testing.assert_allclose(
        fitted.predict_proba(X), p / p.sum(axis=1, keepdims=True), rtol=1e-3, atol=1e-5
    )


def test_the_same_seed_gives_the_same_bits_also_from_a_file(fitted, iris, tmp_path):
    X, y = iris
    np.testing.assert_array_equal(small().fit(X, y).predict_proba(X), fitted.predict_proba(X))
    fitted.save(tmp_path / "trees")
    loaded = steepest.load(tmp_path / "trees")
    np.testing.assert_array_equal(loaded.predict_proba(X), fitted.predict_proba(X))
    np.testing.assert_array_equal(loaded.estimator_weights(X), fitted.estimator_weights(X))
    assert loaded.describe(3) == fitted.describe(3)


def test_each_tree_can_be_read_and_drawn(fitted):
    assert "class: " in fitted.describe(0)
    assert len(fitted.plot_tree(5).texts) == fitted.estimators_[5].node_count
    with pytest.raises(steepest.UsageError, match="from 0 to 5, got 6"):
        fitted.describe(6)


@pytest.mark.slow
def test_regression_in_the_units_of_the_target():
    X, y = load_diabetes(return_X_y=True)
    given = {"n_estimators": 8, "max_depth": 3, "max_iter": 20, "random_state": 0}
    model = steepest.TreeEnsembleRegressor(**given).fit(X, y)
    assert model.score(X, y) > 0.4
    mixed = sum(
        w * tree.predict(X)[:, 0]
        for w, tree in zip(model.estimator_weights(X).T, model.estimators_, strict=True)
    )
    np.testing.assert_allclose(model.predict(X), mixed, rtol=1e-3)


def test_what_cannot_work_is_refused(iris):
    for settings, said in [
        ({"n_estimators": 0}, "n_estimators must be a whole number"),
        ({"max_features": 0.0}, "share above 0"),
        ({"dropout": 1.0}, "dropout"),
        ({"learning_rate_weight": -1.0}, "learning_rate_weight must be a number above 0"),
    ]:
        with pytest.raises(steepest.UsageError, match=said):
            small(**settings).fit(*iris)
