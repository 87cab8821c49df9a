"""ONNX files against `predict`, run by ONNX Runtime where it is installed."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris, make_multilabel_classification

import steepest

pytest.importorskip("onnx")
runtime = pytest.importorskip("onnxruntime")


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


def outputs(model, X, path, dtype="float32"):
    model.to_onnx(path, dtype)
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    return dict(zip(names, session.run(None, {"X": X.astype(dtype)}), strict=True))


@pytest.mark.parametrize(
    "settings",
    [{}, {"norm": "batch", "activation": "silu"}, {"norm": "layer", "activation": ("gelu", "elu")}],
    ids=["plain", "batch", "layer"],
)
def test_classifiers_with_names_of_classes(settings, iris, tmp_path):
    X, y = iris
    names = np.array(["a", "b", "c"])[y]
    model = steepest.MLPClassifier((8, 4), max_iter=3, ensemble=2, random_state=0, **settings)
    found = outputs(model.fit(X, names), X, tmp_path / "m.onnx")
    np.testing.assert_allclose(found["probabilities"], model.predict_proba(X), atol=1e-5)
    assert (found["label"] == model.predict(X)).mean() > 0.99


@pytest.mark.parametrize(
    "model",
    [
        steepest.LogisticRegression(),
        steepest.LinearSVC(),
        steepest.SGDClassifier("log_loss", max_iter=3, tol=None, random_state=0),
    ],
    ids=lambda m: type(m).__name__,
)
@pytest.mark.parametrize("classes", [2, 3])
def test_linear_classifiers(model, classes, iris, tmp_path):
    X, y = iris
    X, y = (X - X.mean(axis=0))[y < classes], y[y < classes]
    found = outputs(model.fit(X, y), X, tmp_path / "m.onnx", "float64")
    np.testing.assert_array_equal(found["label"], model.predict(X))
    if hasattr(model, "predict_proba"):
        np.testing.assert_allclose(found["probabilities"], model.predict_proba(X), atol=1e-9)
    else:
        np.testing.assert_allclose(np.squeeze(found["decision"]), model.decision_function(X))


def test_regressors(tmp_path):
    X, y = load_diabetes(return_X_y=True)
    both = np.c_[y, -y]
    for model, target in (
        (steepest.Ridge(), both),
        (steepest.PoissonRegressor(), y),
        (steepest.MLPRegressor((8,), max_iter=2, random_state=0), both),
    ):
        found = outputs(model.fit(X, target), X, tmp_path / "m.onnx", "float64")["prediction"]
        np.testing.assert_allclose(np.squeeze(found), model.predict(X), rtol=1e-6)


def test_several_labels(tmp_path):
    X, y = make_multilabel_classification(60, n_classes=3, random_state=0)
    model = steepest.MLPClassifier((8,), max_iter=3, random_state=0).fit(X, y)
    found = outputs(model, X, tmp_path / "m.onnx")
    np.testing.assert_array_equal(found["label"], model.predict(X))


def test_what_has_no_form_is_refused(iris, tmp_path):
    model = steepest.SVC(n_components=10, random_state=0).fit(*iris)
    with pytest.raises(steepest.UsageError, match="SVC has no ONNX form"):
        model.to_onnx(tmp_path / "m.onnx")
