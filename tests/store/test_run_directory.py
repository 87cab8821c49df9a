"""What a run leaves behind can be read again, by us and by others."""

import json

import numpy as np
import polars as pl
import pytest

from steepest.core.errors import FileError, UsageError
from steepest.engine.result import Fits
from steepest.engine.train import train
from steepest.store import run_directory


@pytest.fixture(scope="module")
def fit():
    return train("mlp", "wine", hidden=(6,), epochs=5, norm="batch", learning_rate=0.01)


@pytest.fixture
def folder(fit, tmp_path):
    run_directory.write(tmp_path / "run", Fits([fit], 0.1), {"name": "wine"})
    return tmp_path / "run"


def test_the_model_predicts_as_before(fit, folder):
    from sklearn.datasets import load_wine

    x = load_wine().data
    loaded = run_directory.load(folder)
    np.testing.assert_array_equal(loaded.predict_probabilities(x), fit.predict_probabilities(x))
    np.testing.assert_array_equal(loaded.predict(x), fit.predict(x))
    assert loaded.evaluate((x, load_wine().target_names[load_wine().target]))["accuracy"] > 0


def test_the_files_are_there(folder, fit):
    assert json.loads((folder / "metrics.json").read_text())["outcome"] == "budget"
    config = json.loads((folder / "config.json").read_text())
    assert config["settings"]["hidden"] == [6]
    assert config["data"]["name"] == "wine"
    trace = pl.read_parquet(folder / "trace.parquet")
    assert trace.filter(pl.col("table") == "epochs").height == 5
    assert trace.filter(pl.col("table") == "steps").height == fit.steps


def test_a_run_is_not_overwritten_unasked(folder):
    with pytest.raises(UsageError, match="already holds a run"):
        run_directory.claim(folder)
    assert run_directory.claim(folder, overwrite=True) == folder


def test_free_directories_count_up(tmp_path):
    first = run_directory.free_directory("a b/c", tmp_path)
    assert first.parent == tmp_path
    first.mkdir()
    assert run_directory.free_directory("a b/c", tmp_path).name == first.name + "-2"


def test_an_altered_model_is_refused(folder):
    path = next((folder / "model").glob("*.safetensors"))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(FileError):
        run_directory.load(folder)


def test_a_model_of_python_code_cannot_be_saved(tmp_path):
    import jax.numpy as jnp

    def loss(outputs, targets):
        return jnp.abs(outputs[:, 0] - targets)

    fit = train("linear", "diabetes", loss=loss, epochs=1)
    with pytest.raises(UsageError, match="Python code"):
        run_directory.save(tmp_path / "m", fit)
