"""`steepest evaluate`: the metrics of a model on a file, held against NumPy."""

import json

import numpy as np
import polars as pl
import pytest

from steepest.cli import evaluate, model_given
from steepest.cli.app import run
from steepest.store import run_directory


def test_accuracy(shop, capfd):
    folder, file = shop
    assert run(["evaluate", str(folder), str(file), "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    frame = pl.read_csv(file)
    model = run_directory.load(folder)
    right = model.predict(frame) == frame["sold"].to_numpy()
    p = model.predict_probabilities(frame)[np.arange(60), (frame["sold"] == "yes").to_numpy() * 1]
    assert found["rows"] == 60
    assert found["accuracy"] == pytest.approx(right.mean())
    assert found["loss"] == pytest.approx(-np.log(p).mean(), rel=1e-5)


def test_errors_are_in_the_units_of_the_target(slope, capfd):
    folder, file = slope
    assert run(["evaluate", str(folder), str(file)]) == 0
    head, values = (line.split() for line in capfd.readouterr().out.splitlines())
    assert head[:2] == ["rows", "loss"]
    frame = pl.read_csv(file)
    y = frame.select("up", "down").to_numpy()
    d = run_directory.load(folder).predict(frame.select("x")) - y
    r2 = 1 - (d**2).sum(axis=0) / ((y - y.mean(axis=0)) ** 2).sum(axis=0)
    assert float(values[head.index("r2")]) == pytest.approx(r2.mean(), rel=1e-3)


def test_another_target_column_and_weights(shop, tmp_path, capfd):
    folder, file = shop
    frame = pl.read_csv(file).rename({"sold": "truth"}).with_columns(w=pl.lit(1.0))
    frame = pl.concat([frame, frame.head(10).with_columns(w=pl.lit(0.0))])
    frame.write_csv(tmp_path / "other.csv")
    assert run(["evaluate", str(folder), str(file), "--json"]) == 0
    plain = json.loads(capfd.readouterr().out)
    more = ["--target", "truth", "--weights", "w", "--json"]
    assert run(["evaluate", str(folder), str(tmp_path / "other.csv"), *more]) == 0
    weighted = json.loads(capfd.readouterr().out)
    assert weighted["rows"] == 70
    assert weighted["accuracy"] == pytest.approx(plain["accuracy"])
    assert run(["evaluate", str(folder), str(tmp_path / "other.csv")]) == 2
    assert "the target 'sold' is not there" in capfd.readouterr().err


def test_in_pieces_as_at_once(shop, tmp_path, monkeypatch, capfd):
    folder, file = shop
    pl.read_csv(file).write_parquet(tmp_path / "shop.parquet", row_group_size=10)

    def found(path):
        assert run(["evaluate", str(folder), str(path), "--json"]) == 0
        metrics = json.loads(capfd.readouterr().out)
        assert (metrics.pop("data"), metrics.pop("model")) == (str(path), str(folder))
        return metrics

    at_once = found(file)
    monkeypatch.setattr(evaluate, "BLOCK_ROWS", 7)
    monkeypatch.setattr(model_given, "LARGE", 0)
    monkeypatch.setattr(model_given, "PIECE", 200)
    for path in (file, tmp_path / "shop.parquet"):
        assert found(path) == pytest.approx(at_once, rel=1e-5)
    (tmp_path / "bad.csv").write_text(file.read_text() + "1,2,red,maybe\n")
    assert run(["evaluate", str(folder), str(tmp_path / "bad.csv")]) == 2
    assert "'maybe' in row 61, a class" in capfd.readouterr().err


def test_a_label_that_training_never_saw(shop, tmp_path, capfd):
    folder, file = shop
    (tmp_path / "bad.csv").write_text(file.read_text() + "1,2,red,maybe\n")
    assert run(["evaluate", str(folder), str(tmp_path / "bad.csv")]) == 2
    assert "'maybe' in row 61, a class that the training rows do not have" in capfd.readouterr().err
