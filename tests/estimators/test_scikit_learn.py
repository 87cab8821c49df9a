"""What of scikit-learn the estimators work with: routing, frames, outputs, voting, processes."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import sklearn
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import load_breast_cancer, load_iris
from sklearn.ensemble import VotingClassifier
from sklearn.model_selection import cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils import get_tags

import steepest


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def cancer():
    X, y = load_breast_cancer(return_X_y=True)
    return StandardScaler().fit_transform(X), y


def small(**settings):
    return steepest.MLPClassifier((8,), **{"max_iter": 10, "random_state": 0} | settings)


def test_weights_are_routed_through_pipelines_and_validation(cancer):
    X, y = cancer
    weight = np.where(y == 0, 20.0, 0.01)
    with sklearn.config_context(enable_metadata_routing=True):
        model = steepest.LogisticRegression(C=0.01).set_fit_request(sample_weight=True)
        model = model.set_score_request(sample_weight=True)
        pipe = make_pipeline(StandardScaler().set_fit_request(sample_weight=False), model)
        routed = pipe.fit(X, y, sample_weight=weight)
        assert pipe.get_metadata_routing().consumes("fit", {"sample_weight"}) == {"sample_weight"}
        plain = clone(pipe).fit(X, y)
        scores = cross_validate(pipe, X, y, params={"sample_weight": weight}, cv=3)["test_score"]
    alone = steepest.LogisticRegression(C=0.01).fit(StandardScaler().fit_transform(X), y, weight)
    np.testing.assert_allclose(routed[-1].coef_, alone.coef_)
    assert (routed.predict(X) == 0).mean() > (plain.predict(X) == 0).mean() + 0.2
    # Accuracy in which class 0 is nearly all that counts.
    assert scores.mean() > 0.97


def test_validation_rows_are_routed(iris):
    X, y = iris
    with sklearn.config_context(enable_metadata_routing=True):
        model = small().set_fit_request(X_val=True, y_val=True)
        pipe = make_pipeline(model).fit(X[::2], y[::2], X_val=X[1::2], y_val=y[1::2])
    assert len(pipe[-1].validation_loss_curve_) == 10


@pytest.mark.parametrize(
    "make", [pd.DataFrame, pl.DataFrame, pa.table], ids=["pandas", "polars", "pyarrow"]
)
def test_frames_are_their_columns(make, iris):
    X, y = iris
    names = ["a", "b", "c", "d"]
    frame = make({n: X[:, j] for j, n in enumerate(names)})
    for model in (steepest.LogisticRegression(), small()):
        framed = clone(model).fit(frame, y)
        bare = clone(model).fit(X, y)
        np.testing.assert_array_equal(framed.predict_proba(frame), bare.predict_proba(X))
        if make is not pa.table:
            # scikit-learn reads the names of columns from frames alone.
            assert framed.feature_names_in_.tolist() == names
            with pytest.raises(ValueError, match="feature names should match"):
                framed.predict(make({n: X[:, j] for j, n in enumerate("badc")}))


@pytest.mark.parametrize("frame", [
    pd.DataFrame({"size": [1.0, 2.0, 3.0], "kind": pd.Categorical(["hi", "lo", "hi"])}),
    pl.DataFrame({"size": [1.0, 2.0, 3.0], "kind": ["hi", "lo", "hi"]}),
])  # fmt: skip
def test_text_in_a_frame_is_refused_by_its_column(frame):
    with pytest.raises(steepest.DataError, match=r"column kind holds text.*'hi'; encode it"):
        small().fit(frame, [0, 1, 0])


def test_mixed_columns_through_a_column_transformer(iris):
    X, y = iris
    frame = pd.DataFrame(X[:, :2], columns=["a", "b"])
    frame["kind"] = np.array(["x", "y", "z"])[y]
    columns = make_column_transformer(
        (StandardScaler(), ["a", "b"]), (OneHotEncoder(), ["kind"])
    ).set_output(transform="default")
    pipe = make_pipeline(columns, steepest.LogisticRegression()).fit(frame, y)
    assert pipe.score(frame, y) == 1


def test_outputs_of_transformers_as_frames(iris):
    X, y = iris
    for kind in ("pandas", "polars"):
        pipe = make_pipeline(StandardScaler(), steepest.LogisticRegression())
        pipe.set_output(transform=kind).fit(X, y)
        assert pipe[-1].feature_names_in_.tolist() == ["x0", "x1", "x2", "x3"]
        assert pipe.score(X, y) > 0.95


def test_votes(iris):
    X, y = iris
    for voting in ("hard", "soft"):
        vote = VotingClassifier(
            [("net", small(max_iter=30)), ("log", steepest.LogisticRegression())], voting=voting
        ).fit(X, y)
        assert vote.score(X, y) > 0.9
    net, log = vote.estimators_
    np.testing.assert_allclose(
        vote.predict_proba(X), (net.predict_proba(X) + log.predict_proba(X)) / 2
    )


def test_jobs_of_a_search_change_nothing(iris):
    X, y = iris
    grid = {"C": [0.01, 1.0]}
    one, two = (
        steepest.GridSearchCV(steepest.LogisticRegression(), grid, cv=3, n_jobs=n).fit(X, y)
        for n in (None, 2)
    )
    for name in ("mean_test_score", "std_test_score"):
        np.testing.assert_array_equal(one.cv_results_[name], two.cv_results_[name])
    assert two.n_jobs == 2


@pytest.mark.slow
def test_processes_of_scikit_learn(cancer):
    from sklearn.model_selection import cross_val_score

    model = make_pipeline(StandardScaler(), steepest.LogisticRegression())
    one, two = (cross_val_score(model, *cancer, cv=3, n_jobs=n) for n in (1, 2))
    np.testing.assert_array_equal(one, two)


def test_what_the_tags_say():
    tags = {
        type(e).__name__: get_tags(e)
        for e in (steepest.MLPClassifier(), steepest.MLPRegressor(), steepest.Lasso(),
                  steepest.HuberRegressor(), steepest.PoissonRegressor())
    }  # fmt: skip
    assert all(t.input_tags.sparse for t in tags.values())
    assert tags["MLPClassifier"].classifier_tags.multi_label
    assert tags["MLPRegressor"].target_tags.multi_output
    assert tags["Lasso"].target_tags.multi_output
    assert not tags["HuberRegressor"].target_tags.multi_output
    assert tags["PoissonRegressor"].target_tags.positive_only


@pytest.mark.parametrize("kind", ["MLPClassifier", "SGDRegressor"])
def test_callbacks_and_verbose_see_the_run(kind, iris, capsys):
    X, y = iris
    model = getattr(steepest, kind)(max_iter=3, random_state=0, verbose=True)
    if kind == "SGDRegressor":
        model.set_params(tol=None).fit(StandardScaler().fit_transform(X), y)
    else:
        seen = []
        model.set_params(callbacks=[lambda moment: seen.append(moment.step)]).fit(X, y)
        assert seen == sorted(seen)
        assert len(seen) >= 1
        stopped = small(max_iter=1000, callbacks=[lambda moment: moment.stop()]).fit(X, y)
        assert stopped.n_iter_ < 1000
        assert "callback" in stopped.message_
    assert "loss" in capsys.readouterr().out


def test_a_loss_of_ones_own(iris):
    import jax.numpy as jnp

    X, y = iris

    def absolute(outputs, targets):
        return jnp.abs(outputs - targets).sum(axis=1)

    how = {"learning_rate": 0.02, "max_iter": 40, "random_state": 0}
    model = steepest.MLPRegressor((8,), loss=absolute, **how)
    assert np.abs(model.fit(X, y).predict(X) - y).mean() < 0.2
