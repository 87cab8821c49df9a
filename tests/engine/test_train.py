"""`train`: from data to a model that predicts, saves, and says what happened."""

import numpy as np
import pytest

from steepest.core.errors import DataError, DivergedError, UsageError
from steepest.core.outcome import Outcome
from steepest.core.record import from_dict, replace, to_dict
from steepest.engine.settings import RECIPE, SMOOTHING, Settings, with_recipe
from steepest.engine.train import Prepared, train
from steepest.models.tree import RATES

QUICK = {"hidden": (8,), "epochs": 20, "batch_size": 16, "optimizer": "adam",
         "learning_rate": 0.01}  # fmt: skip


@pytest.fixture(scope="module")
def fit():
    return train("mlp", "iris", **QUICK)


def test_a_fit_says_what_happened(fit):
    assert fit.outcome is Outcome.BUDGET
    assert fit.test["accuracy"] >= 0.8
    assert fit.sizes == {"train": 105, "validation": 15, "test": 30}
    assert fit.epochs == 20
    assert fit.steps == 20 * 7
    assert fit.w.shape == (4 * 8 + 8 + 8 * 3 + 3,)
    assert set(fit.to_dict()) >= {"outcome", "message", "task", "epochs", "steps", "seconds",
                                  "train", "validation", "test"}  # fmt: skip


def test_metrics_are_those_of_the_predictions(fit):
    """Accuracy and log-loss against scikit-learn's, on the test rows."""
    from sklearn.metrics import accuracy_score, log_loss

    ready = Prepared("iris", fit.settings)
    probabilities = fit.predict_probabilities(ready.test)
    labels = np.array(fit.encoder.classes)
    truth = labels[ready.test.y]
    assert fit.test["accuracy"] == pytest.approx(accuracy_score(truth, fit.predict(ready.test)))
    assert fit.test["loss"] == pytest.approx(
        log_loss(truth, probabilities, labels=labels), rel=1e-4
    )
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)


def test_regression_is_scored_in_the_targets_units():
    from sklearn.datasets import load_diabetes
    from sklearn.metrics import r2_score, root_mean_squared_error

    x, y = load_diabetes(return_X_y=True)
    fit = train("linear", (x, y), optimizer="adam", learning_rate=0.01, epochs=30)
    parts = Prepared((x, y), fit.settings)
    test = parts.table.split(fit.settings.validation, fit.settings.test, 0).test
    predicted = fit.predict(np.asarray(test.x))
    assert fit.test["r2"] == pytest.approx(r2_score(test.y, predicted), rel=1e-4)
    assert fit.test["rmse"] == pytest.approx(root_mean_squared_error(test.y, predicted), rel=1e-4)
    assert fit.test["r2"] > 0.3


def test_full_batch_lbfgs_reaches_scikit_learns_logistic_regression():
    """A convex model has one optimum: ours and scikit-learn's must be the same."""
    from sklearn.datasets import load_iris
    from sklearn.linear_model import LogisticRegression

    from steepest.optimizers.quasi_newton import LBFGS

    x, y = load_iris(return_X_y=True)
    n, l2 = len(x), 0.01
    fit = train("linear", (x, y), LBFGS(), l2=l2, batch_size="full", epochs=500, validation=0,
                test=0, tolerance=1e-9, dtype="float64", standardize=False)  # fmt: skip
    theirs = LogisticRegression(C=1 / (l2 * n), tol=1e-12, max_iter=10_000).fit(x, y)
    np.testing.assert_allclose(
        fit.predict_probabilities(x), theirs.predict_proba(x), rtol=1e-5, atol=1e-9
    )


def test_l1_makes_exact_zeros():
    fit = train("linear", "breast_cancer", l1=0.05, optimizer="adam", epochs=60)
    weight = np.asarray(fit.params["weight"])
    assert 0 < np.count_nonzero(weight) < weight.size


def test_several_seeds_give_mean_and_spread():
    fits = train("mlp", "iris", seeds=3, **QUICK)
    values = [f.test["accuracy"] for f in fits]
    summary = fits.summary()["test"]["accuracy"]
    assert summary["mean"] == pytest.approx(np.mean(values))
    assert summary["std"] == pytest.approx(np.std(values, ddof=1))
    assert [f.seed for f in fits] == [0, 1, 2]
    assert not np.array_equal(fits[0].w, fits[1].w)


def test_a_seed_gives_the_same_model_again():
    again = [train("mlp", "iris", seed=5, **QUICK).w for _ in range(2)]
    np.testing.assert_array_equal(*again)


def test_too_large_a_rate_diverges_and_says_so():
    fit = train("linear", "diabetes", optimizer="momentum", learning_rate=50.0, epochs=20)
    assert fit.outcome is Outcome.DIVERGED
    assert "learning rate" in fit.message
    assert np.isfinite(fit.w).all()
    with pytest.raises(DivergedError, match="Diverged at step"):
        fit.raise_if_diverged()


@pytest.mark.parametrize("settings", [
    {"activation": ("tanh", "sigmoid"), "hidden": (8, 4), "norm": "layer"},
    pytest.param({"norm": "batch", "clip_norm": 1.0, "average": 0.9}, marks=pytest.mark.slow),
    {"dropout": 0.5, "label_smoothing": 0.1, "schedule": "one-cycle", "warmup": 2},
    pytest.param(
        {"optimizer": "momentum", "momentum": 0.5, "clip_value": 0.1, "weight_decay": 1e-3},
        marks=pytest.mark.slow,
    ),
    pytest.param(
        {"loss": "squared_hinge", "schedule": "plateau", "schedule_settings": (("patience", 2),)},
        marks=pytest.mark.slow,
    ),
])  # fmt: skip
def test_settings_work_together(settings):
    fit = train("mlp", "iris", **(QUICK | settings))
    assert fit.test["accuracy"] > 0.5


def test_an_optax_transformation_may_be_the_optimizer():
    optax = pytest.importorskip("optax")
    fit = train("mlp", "iris", optax.adam(0.01), hidden=(8,), epochs=20)
    assert fit.test["accuracy"] >= 0.8


def test_the_recipe_is_only_for_those_who_choose_nothing():
    assert with_recipe({"epochs": 3}) == RECIPE | {"epochs": 3}
    for choice in ({"optimizer": "sgd"}, {"learning_rate": 0.1}, {"l2": 0.1}):
        assert with_recipe(choice) == choice
    assert with_recipe({"hidden": (128, 8)})["dropout"] < RECIPE["dropout"]
    assert with_recipe({"hidden": (128, 8), "dropout": 0.3})["dropout"] == 0.3
    assert train("mlp", "iris", epochs=2).settings.dropout == RECIPE["dropout"]
    assert train("mlp", "iris", epochs=2, learning_rate=0.1).settings.dropout is None


def test_the_recipe_smooths_labels_where_there_are_labels():
    settings = Settings(**RECIPE)
    assert settings.make_loss("classification", 3).label_smoothing == SMOOTHING
    assert settings.make_loss("classification", 2).label_smoothing == SMOOTHING
    assert settings.make_loss("regression", 1) == Settings().make_loss("regression", 1)
    own = replace(settings, label_smoothing=0.3)
    assert own.make_loss("classification", 3).label_smoothing == 0.3


def test_a_tree_by_name_alone_has_a_rate_for_each_kind_of_weights():
    settings = Settings(**with_recipe({"model": "tree"}))
    assert {k: r.learning_rate.learning_rate for k, r in settings.optimizer.rules.items()} == (
        RATES["axis"]
    )
    assert from_dict(to_dict(settings)) == settings
    assert with_recipe({"model": "tree", "epochs": 3})["epochs"] == 3
    one_rate = {"model": "tree", "learning_rate": 0.1}
    assert with_recipe(one_rate) == one_rate


@pytest.mark.parametrize(("settings", "words"), [
    ({"learning_rate": -1.0}, "learning_rate must be above 0"),
    ({"batch_size": 0}, "batch_size must be a whole number"),
    ({"optimizer": "adm"}, "did you mean 'adam'"),
    ({"schedule": "cosin"}, "did you mean 'cosine'"),
    ({"activation": "rlu"}, "relu"),
    ({"optimizer": "adam", "momentum": 0.9}, "no effect on optimizer 'adam'"),
    ({"optimizer": "lbfgs", "learning_rate": 0.1, "batch_size": "full"}, "leave out learning_rate"),
    ({"optimizer": "lbfgs"}, "batch_size='full'"),
    ({"learning_rat": 0.1}, "did you mean 'learning_rate'"),
    ({"epochs": 0}, "epochs must be above 0"),
    ({"loss": "hing"}, "did you mean 'hinge'"),
])  # fmt: skip
def test_bad_settings_are_refused_before_anything_compiles(settings, words, monkeypatch):
    monkeypatch.setattr("steepest.engine.runs.start", None)
    with pytest.raises(UsageError, match=words):
        train("mlp", "iris", **settings)


def test_bad_data_is_refused():
    with pytest.raises(UsageError, match="data is missing"):
        train("mlp")
    with pytest.raises(DataError):
        train("mlp", (np.ones((5, 2)), np.zeros(4)))


def test_settings_are_json():
    s = replace(Settings(), hidden=(3, 2), schedule_settings=(("cycle", 3.0),))
    assert from_dict(to_dict(s)) == s


def test_of_few_rows_the_recipe_holds_none_out_unless_patience_needs_them():
    def held(data, **given):
        return Prepared(data, Settings(**with_recipe(given))).validation

    assert held("iris") is None
    assert held("breast_cancer") is not None
    assert held("iris", patience=5) is not None
    assert len(held("iris", validation=0.2)) == 30
    assert held("iris", optimizer="sgd") is not None
