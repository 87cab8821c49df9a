"""The bundled sets are those of scikit-learn, value by value."""

import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
import sklearn.datasets

from steepest.data import bundled as bundled_module
from steepest.data import load
from steepest.data.dataset import Source

SHAPES = {
    "iris": (150, 4, 3),
    "wine": (178, 13, 3),
    "breast_cancer": (569, 30, 2),
    "digits": (1797, 64, 10),
    "diabetes": (442, 10, None),
}


@pytest.mark.parametrize("name", SHAPES)
def test_values_names_and_task(name):
    rows, features, classes = SHAPES[name]
    table = load(name)
    theirs = getattr(sklearn.datasets, "load_" + name)
    theirs = theirs(scaled=False) if name == "diabetes" else theirs()
    assert table.x.shape == (rows, features) == theirs.data.shape
    assert np.array_equal(table.x, theirs.data)
    assert table.features == tuple(theirs.feature_names)
    assert table.task == ("regression" if classes is None else "classification")
    if classes is None or name == "digits":
        assert np.array_equal(table.y, theirs.target)
    else:
        assert np.array_equal(table.y, theirs.target_names[theirs.target])
        assert len(set(table.y.tolist())) == classes


def test_fingerprint_is_that_of_the_rows():
    a, b = load("iris").source.fingerprint, load("iris").source.fingerprint
    assert a == b
    assert a["path"] == "iris"
    assert len(a["sha256"]) == 64
    assert a["sha256"] != load("wine").source.fingerprint["sha256"]


def test_digits_know_their_image_shape():
    assert load("digits").image_shape == (8, 8, 1)


def test_the_digits_need_no_import_of_scikit_learn_and_are_the_same():
    code = """
import sys
from steepest.data.sources import load
print(load("digits").source.fingerprint["sha256"], "sklearn" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    digest, imported = done.stdout.split()
    assert imported == "False"
    data = sklearn.datasets.load_digits()
    assert digest == Source("digits", held=(data.data, data.target)).fingerprint["sha256"]
    table = load("digits")
    np.testing.assert_array_equal(table.x, data.data)
    np.testing.assert_array_equal(table.y, data.target)
    assert list(table.features) == list(data.feature_names)


def test_digits_that_lie_elsewhere_come_from_the_loader(monkeypatch, tmp_path):
    spec = SimpleNamespace(submodule_search_locations=[str(tmp_path)])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: spec)
    assert bundled_module._digits() is None
