"""Multi-layer perceptrons: what scikit-learn's lack, and what they must not do silently."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import load_diabetes, load_iris, make_multilabel_classification
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import cross_val_score, train_test_split

import steepest
from steepest.engine.advance import advance


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def diabetes():
    return load_diabetes(return_X_y=True)


def small(**settings):
    return steepest.MLPClassifier((16,), **{"max_iter": 20, "random_state": 0} | settings)


def test_the_defaults_learn_raw_data(iris, diabetes):
    assert cross_val_score(steepest.MLPClassifier(random_state=0), *iris, cv=3).mean() > 0.93
    X, y = diabetes
    assert cross_val_score(steepest.MLPRegressor(random_state=0), X, y, cv=3).mean() > 0.35


def test_units_of_inputs_and_targets_do_not_matter(diabetes):
    X, y = diabetes
    a = steepest.MLPRegressor((8,), max_iter=5, random_state=0).fit(X, y)
    b = steepest.MLPRegressor((8,), max_iter=5, random_state=0).fit(X * 1e4 + 7, y * 1e3 - 5)
    np.testing.assert_allclose(b.predict(X * 1e4 + 7), a.predict(X) * 1e3 - 5, rtol=1e-3)


def test_the_same_seed_gives_the_same_bits(iris):
    X, y = iris
    a, b, c = (small(random_state=s).fit(X, y).predict_proba(X) for s in (3, 3, 4))
    np.testing.assert_array_equal(a, b)
    assert (a != c).any()


@pytest.mark.slow
def test_an_ensemble_is_its_members_averaged(iris):
    X, y = iris
    whole = small(ensemble=3, random_state=5).fit(X, y)
    members = [small(random_state=5 + i).fit(X, y).predict_proba(X) for i in range(3)]
    np.testing.assert_allclose(whole.predict_proba(X), np.mean(members, axis=0), atol=1e-4)


def test_validation_data_choose_the_epoch(iris):
    X, y = iris
    X, X_val, y, y_val = train_test_split(X, y, random_state=0, stratify=y)
    model = small(learning_rate=0.3, momentum=0.9, optimizer="momentum", max_iter=30)
    model.fit(X, y, X_val=X_val, y_val=y_val)
    curve = model.validation_loss_curve_
    assert len(curve) == len(model.loss_curve_) == model.n_iter_ == 30
    assert model.best_epoch_ == 1 + int(np.argmin(curve)) < 30
    p = model.predict_proba(X_val)[np.arange(len(y_val)), y_val]
    np.testing.assert_allclose(-np.log(p).mean(), min(curve), rtol=1e-3)
    held = small(validation_fraction=0.2, patience=2, learning_rate=0.5, optimizer="sgd")
    assert held.set_params(max_iter=200).fit(X, y).n_iter_ < 200
    with pytest.raises(steepest.UsageError, match="X_val and y_val together"):
        small().fit(X, y, X_val=X_val)


@pytest.mark.slow
def test_several_labels_and_several_targets(diabetes):
    X, y = make_multilabel_classification(200, n_classes=4, random_state=0)
    model = small(max_iter=60).fit(X, y)
    assert model.predict(X).shape == (200, 4)
    assert model.predict_proba(X).shape == (200, 4)
    assert (model.predict(X) == y).mean() > 0.85
    X, y = diabetes
    both = steepest.MLPRegressor((16,), max_iter=30, random_state=0).fit(X, np.c_[y, -1e6 * y])
    found = both.predict(X)
    assert found.shape == (len(y), 2)
    assert both.score(X, np.c_[y, -1e6 * y]) > 0.4


def test_class_weight_and_sample_weight(iris):
    X, y = iris
    heavy = small(class_weight={0: 1, 1: 100, 2: 0.01}).fit(X, y)
    assert (heavy.predict(X) == 1).sum() > 90
    weight = np.where(y == 2, 0.0, 1.0)
    assert not (small().fit(X, y, sample_weight=weight).predict(X) == 2).any()


def test_partial_fit_goes_on_with_the_optimizers_memory(iris):
    X, y = iris
    model = small(optimizer="adam", learning_rate=0.01)
    for i in range(3):
        model.partial_fit(X[i::3], y[i::3], classes=[0, 1, 2])
    first = dict(model._state)
    count = next(k for k in first if k.endswith("count"))
    steps = int(first[count][0, 0])
    assert steps == 3 * 2
    losses = [model.loss_curve_[-1]]
    for _ in range(20):
        model.partial_fit(X, y)
        losses.append(model.loss_curve_[-1])
    assert int(model._state[count][0, 0]) == steps + 20 * 5
    assert losses[-1] < 0.5 * losses[0]
    assert model.score(X, y) > 0.9


def test_warm_start_goes_on(iris):
    X, y = iris
    model = small(warm_start=True, max_iter=10).fit(X, y)
    before = model.loss_curve_[-1]
    model.fit(X, y)
    assert model.loss_curve_[0] < before * 1.2
    assert model.loss_curve_[-1] < before


def test_partial_fits_share_one_program(iris):
    X, y = iris
    model = small().partial_fit(X[:60], y[:60], classes=[0, 1, 2])
    before = advance._cache_size()
    for n in (57, 58, 59, 60):
        model.partial_fit(X[:n], y[:n])
    assert advance._cache_size() == before


def test_a_rate_that_is_too_large_is_named(diabetes):
    X, y = diabetes
    model = steepest.MLPRegressor((16,), optimizer="sgd", learning_rate=50.0, random_state=0)
    with pytest.raises(
        steepest.DivergedError, match=r"above [\d.]+ are unstable; learning_rate=50"
    ):
        model.fit(X, y)


@pytest.mark.slow
def test_a_rate_at_which_nothing_is_learned_is_named(iris):
    lost = small(activation="tanh", optimizer="sgd", learning_rate=300.0, max_iter=3)
    with pytest.warns(ConvergenceWarning, match="learned nothing.*unstable; learning_rate=300"):
        lost.fit(*iris)


def test_learning_rate_one_on_raw_diabetes_is_no_silent_failure(diabetes):
    X, y = diabetes
    model = steepest.MLPRegressor(optimizer="sgd", learning_rate=1.0, random_state=0)
    with pytest.raises(steepest.DivergedError, match="learning_rate=1 was given"):
        model.fit(X, y)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"activation": "relo"}, "did you mean 'relu'"),
        ({"ensemble": 0}, "ensemble must be a whole number"),
        ({"max_iter": 0}, "max_iter"),
        ({"optimizer": "adamm"}, "did you mean 'adam'"),
        ({"validation_fraction": 2.0}, "validation_fraction"),
    ],
    ids=str,
)
def test_bad_parameters_are_refused_in_fit(settings, said, iris):
    with pytest.raises(steepest.UsageError, match=said):
        small(**settings).fit(*iris)


def test_targets_that_are_text_are_refused(diabetes):
    X, y = diabetes
    with pytest.raises(steepest.DataError, match=r"y holds text, such as '151.0'; MLPRegressor"):
        steepest.MLPRegressor().fit(X, y.astype(str))


@pytest.mark.slow
def test_the_rate_is_named_also_where_it_has_no_limit(iris):
    lost = small(optimizer="adam", learning_rate=300.0, max_iter=3)
    with pytest.warns(ConvergenceWarning, match=r"learned nothing.* learning_rate=300 was used"):
        lost.fit(*iris)


def test_pickle_clone_and_file(iris, tmp_path):
    X, y = iris
    model = small(ensemble=2).fit(X, np.array(["a", "b", "c"])[y])
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict_proba(X), model.predict_proba(X))
    model.save(tmp_path / "m")
    back = steepest.load(tmp_path / "m")
    np.testing.assert_array_equal(back.predict_proba(X), model.predict_proba(X))
    assert back.predict(X[:1]).tolist() == model.predict(X[:1]).tolist()
    back.partial_fit(X, np.array(["a", "b", "c"])[y])
    assert not hasattr(clone(model), "loss_")
