"""`save` and `steepest.load`: what comes back predicts the same, and nothing is executed."""

import numpy as np
import pytest
from sklearn.datasets import load_iris

import steepest


@pytest.fixture(scope="module")
def iris():
    X, y = load_iris(return_X_y=True)
    return X, np.array(["setosa", "versicolor", "virginica"])[y]


def test_an_estimator_comes_back_fitted(iris, tmp_path):
    X, y = iris
    model = steepest.LogisticRegression(C=3.0, class_weight={"setosa": 2.0}).fit(X, y)
    model.save(tmp_path / "m")
    back = steepest.load(tmp_path / "m")
    assert type(back) is steepest.LogisticRegression
    assert back.get_params() == model.get_params()
    assert back.classes_.tolist() == model.classes_.tolist()
    np.testing.assert_array_equal(back.predict_proba(X), model.predict_proba(X))
    assert back.score(X, y) == model.score(X, y)


def test_an_unfitted_estimator_is_refused(tmp_path):
    from sklearn.exceptions import NotFittedError

    with pytest.raises(NotFittedError):
        steepest.Ridge().save(tmp_path / "m")


def test_an_altered_file_is_refused(iris, tmp_path):
    X, y = iris
    steepest.LogisticRegression().fit(X, y).save(tmp_path)
    file = tmp_path / "model.json"
    text = file.read_text()
    file.write_text(text.replace('"C": 1.0', '"C": 2.0'))
    with pytest.raises(steepest.FileError, match="altered"):
        steepest.load(tmp_path)
    file.write_text(text.replace('"version": 1', '"version": 99'))
    with pytest.raises(steepest.FileError, match="newer"):
        steepest.load(tmp_path)
    file.write_text(text)
    arrays = next(tmp_path.glob("*.safetensors"))
    raw = bytearray(arrays.read_bytes())
    raw[-1] ^= 1
    arrays.write_bytes(bytes(raw))
    with pytest.raises(steepest.FileError, match="checksum"):
        steepest.load(tmp_path)


def test_a_file_names_no_class_but_ours(tmp_path):
    from steepest.store import model_file

    model_file.save(tmp_path, {}, {"estimator": "os.system", "params": {}, "fitted": {}})
    with pytest.raises(steepest.FileError, match="does not describe an estimator"):
        steepest.load(tmp_path)


def test_code_is_not_written(iris, tmp_path):
    X, y = iris
    model = steepest.LogisticRegression().fit(X, y)
    model.optimizer = print
    with pytest.raises(steepest.UsageError, match="parameter optimizer"):
        model.save(tmp_path)


def test_nothing_there(tmp_path):
    with pytest.raises(steepest.FileError, match="holds no model"):
        steepest.load(tmp_path / "nowhere")
