"""Trees by gradient descent: as good as grown ones, hard, and readable."""

import pickle

import numpy as np
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

import steepest
from steepest.engine.advance import advance


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def diabetes():
    return load_diabetes(return_X_y=True)


def small(**settings):
    given = {"max_iter": 15, "max_depth": 3, "n_init": 2, "random_state": 0, "batch_size": 32}
    return steepest.TreeClassifier(**given | settings)


@pytest.fixture(scope="module")
def fitted(iris):
    return small().fit(*iris)


def test_it_learns_and_its_decisions_are_those_of_the_model(fitted, iris):
    X, y = iris
    assert fitted.score(X, y) > 0.93
    outputs = fitted._forward(X, "float32")[0]
    np.testing.assert_allclose(fitted.predict_proba(X), fitted._value(outputs), atol=1e-6)
    leaves = fitted.apply(X)
    assert set(leaves) == set(np.flatnonzero(fitted.tree_.children_left < 0))
    np.testing.assert_array_equal(
        np.bincount(leaves, minlength=fitted.tree_.node_count)[fitted.tree_.feature < 0],
        fitted.tree_.n_node_samples[fitted.tree_.feature < 0],
    )
    assert fitted.get_depth() <= 3
    assert fitted.get_n_leaves() == fitted.tree_.n_leaves <= 8


@pytest.mark.slow
def test_the_best_of_several_starts_is_kept(iris):
    losses = [small(n_init=1, random_state=s).fit(*iris).loss_ for s in (7, 8)]
    both = small(random_state=7).fit(*iris)
    assert both.loss_ == pytest.approx(min(losses), rel=0.05)
    assert len(both.loss_curve_) == both.n_iter_ == 15


def test_the_same_seed_gives_the_same_bits(fitted, iris):
    X, y = iris
    once = fitted.predict_proba(X)
    again, other = (small(random_state=s).fit(X, y).predict_proba(X) for s in (0, 4))
    np.testing.assert_array_equal(once, again)
    np.testing.assert_array_equal(once, fitted.fit(X, y).predict_proba(X))
    assert (again != other).any()


@pytest.mark.slow
def test_only_the_order_of_a_features_values_matters(fitted, iris):
    X, y = iris
    bent = np.exp(3 * X) * 1e4 - 7
    other = small().fit(bent, y)
    np.testing.assert_array_equal(fitted.predict(X), other.predict(bent))
    np.testing.assert_array_equal(fitted.tree_.feature, other.tree_.feature)


def test_it_can_be_read_and_drawn(iris):
    X, y = iris
    frame = pl.DataFrame(X, ["sepal length", "sepal width", "petal length", "petal width"])
    model = small(max_depth=2).fit(frame, np.array(["se", "ve", "vi"])[y])
    text = model.describe()
    assert "petal" in text
    assert "class: se, p = " in text
    assert " <= " in text
    ax = model.plot_tree()
    assert len(ax.texts) == model.tree_.node_count
    assert "petal" in ax.texts[0].get_text()
    assert "150 rows" in ax.texts[0].get_text()
    assert model.plot_tree(ax=ax) is ax


def test_it_is_written_and_read_without_pickle(fitted, iris, tmp_path):
    fitted.save(tmp_path / "tree")
    loaded = steepest.load(tmp_path / "tree")
    X, _ = iris
    for other in (loaded, pickle.loads(pickle.dumps(fitted))):
        np.testing.assert_array_equal(fitted.predict_proba(X), other.predict_proba(X))
        assert other.describe() == fitted.describe()
    assert not hasattr(clone(fitted), "tree_")


@pytest.mark.slow
def test_classes_may_weigh(fitted, iris):
    X, y = iris
    by_class = small(class_weight={0: 1, 1: 50, 2: 1}).fit(X, y)
    by_row = small().fit(X, y, sample_weight=np.where(y == 1, 50, 1))
    for model in (by_class, by_row):
        assert model.tree_.weighted_n_node_samples[0] == 2600
        # Rows that count for fifty are not given away.
        assert (model.predict(X)[y == 1] == 1).all()
        assert model.predict_proba(X)[:, 1].mean() > fitted.predict_proba(X)[:, 1].mean()


@pytest.mark.slow
def test_validation_rows_choose_the_epoch_and_end_the_run(iris):
    X, X_val, y, y_val = train_test_split(*iris, random_state=0, stratify=iris[1])
    model = small(patience=3, max_iter=300, learning_rate_leaf=1.0, schedule="constant")
    model.fit(X, y, X_val=X_val, y_val=y_val)
    curve = model.validation_loss_curve_
    assert model.n_iter_ < 300
    assert model.best_epoch_ == 1 + int(np.argmin(curve))
    p = model.predict_proba(X_val)[np.arange(len(y_val)), y_val]
    # Leaves that no training row ends in are left out of the tree, but not of the descent.
    assert -np.log(p).mean() == pytest.approx(min(curve), rel=0.2)


@pytest.mark.slow
def test_rates_are_the_cells_of_one_program(iris):
    grid = {"learning_rate_feature": [1e-6, 0.1], "learning_rate_leaf": [0.05, 0.1]}
    before = advance._cache_size()
    search = steepest.GridSearchCV(small(), grid, cv=3).fit(*iris)
    assert advance._cache_size() - before <= 2
    assert search.best_score_ > 0.9
    assert len(search.cv_results_["params"]) == 4


def test_a_regression_tree_is_piecewise_constant_in_the_units_of_the_target(diabetes):
    X, y = diabetes
    given = {"max_depth": 3, "max_iter": 25, "n_init": 1, "random_state": 0}
    model = steepest.TreeRegressor(**given).fit(X, y)
    assert model.score(X, y) > 0.35
    assert len(np.unique(model.predict(X))) == model.get_n_leaves() <= 8
    scaled = steepest.TreeRegressor(**given).fit(X, y * 1e4 - 3)
    np.testing.assert_allclose(scaled.predict(X), model.predict(X) * 1e4 - 3, rtol=1e-3)
    assert "value: " in model.describe()
    assert model.plot_tree().texts


@pytest.mark.slow
def test_an_oblique_tree_is_soft_and_says_so(iris):
    X, y = iris
    rates = {f"learning_rate_{name}": 0.03 for name in ("feature", "threshold", "leaf")}
    model = small(splits="oblique", max_iter=40, **rates).fit(X, y)
    assert model.score(X, y) > 0.93
    assert len(np.unique(model.predict_proba(X)[:, 0])) > 100
    assert "share sigmoid(" in model.describe()
    # The text is the model: one split by hand, in the units of the data.
    weight, bias = (model._params[n][0].astype(float) for n in ("weight", "bias"))
    scaling = model._coding.scaling
    z = (X - scaling.shift) / scaling.scale @ weight[0] + bias[0]
    raw = weight[0] / scaling.scale
    np.testing.assert_allclose(X @ raw + bias[0] - scaling.shift @ raw, z, atol=1e-9)
    with pytest.raises(steepest.UsageError, match="oblique"):
        model.apply(X)


@pytest.mark.slow
def test_several_labels_several_targets_and_float64(diabetes):
    X, y = make_multilabel_classification(150, n_classes=3, random_state=0)
    model = small(max_iter=200, n_init=4, batch_size=256, dtype="float64").fit(X, y)
    assert model.predict(X).shape == (150, 3)
    assert (model.predict(X) == y).mean() > 0.75
    assert model._params["leaf"].dtype == np.float64
    assert "value: " in model.describe()
    X, y = diabetes
    both = np.stack([y, -2 * y], axis=1)
    model = steepest.TreeRegressor(3, max_iter=25, n_init=1, random_state=0).fit(X, both)
    assert model.predict(X).shape == both.shape
    assert model.score(X, both) > 0.35
    robust = steepest.TreeRegressor(3, loss="absolute", max_iter=25, random_state=0).fit(X, y)
    assert robust.score(X, y) > 0.3


def test_what_cannot_work_is_refused(iris):
    X, y = iris
    missing = X.copy()
    missing[3, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        small().fit(missing, y)
    for settings, said in [
        ({"max_depth": 0}, "depth must be a whole number from 1 to 14"),
        ({"n_init": 0}, "n_init must be a whole number of at least 1"),
        ({"learning_rate_leaf": 0.0}, "learning_rate_leaf must be a number above 0"),
        ({"splits": "diagonal"}, "splits='diagonal' is not known"),
        ({"optimizer": "lbfgs"}, "lbfgs"),
        ({"max_iter": 0}, "max_iter"),
    ]:
        with pytest.raises(steepest.UsageError, match=said):
            small(**settings).fit(X, y)
    with pytest.raises(steepest.DataError, match="one class"):
        small().fit(X, np.zeros(len(X)))


@pytest.mark.slow
def test_rates_at_which_nothing_is_learned_are_named(diabetes):
    X, y = diabetes
    rates = {f"learning_rate_{name}": 10.0 for name in ("feature", "threshold", "leaf")}
    with pytest.warns(ConvergenceWarning, match=r"learned nothing.* learning_rate_leaf=10 were"):
        steepest.TreeRegressor(2, n_init=1, max_iter=10, random_state=0, **rates).fit(X, y)
