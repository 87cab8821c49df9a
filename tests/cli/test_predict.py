"""`steepest predict`: one row out for each row in, in order, from any file to any place."""

import io
import os
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from steepest.cli import predict as module
from steepest.cli.app import run
from steepest.store import run_directory


def predicted(capfdbinary, *args):
    assert run(["predict", *map(str, args)]) == 0
    return pl.read_csv(io.BytesIO(capfdbinary.readouterr().out))


def test_csv_on_stdout(shop, capfdbinary):
    folder, file = shop
    found = predicted(capfdbinary, folder, file)
    want = run_directory.load(folder).predict(pl.read_csv(file).drop("sold"))
    assert found.columns == ["prediction"]
    assert found["prediction"].to_list() == want.tolist()
    assert found["prediction"].n_unique() == 2


def test_the_model_folder_alone_does(shop, capfdbinary):
    folder, file = shop
    assert predicted(capfdbinary, folder / "model", file).height == 60


def test_probabilities_in_blocks(shop, tmp_path, monkeypatch, capfdbinary):
    folder, file = shop
    whole = predicted(capfdbinary, folder, file, "--probabilities")
    monkeypatch.setattr(module, "BLOCK_ROWS", 7)
    parts = predicted(capfdbinary, folder, file, "--probabilities")
    assert whole.columns == ["prediction", "probability_no", "probability_yes"]
    assert whole["prediction"].equals(parts["prediction"])
    p = parts.select("probability_no", "probability_yes").to_numpy()
    np.testing.assert_allclose(
        p, run_directory.load(folder).predict_probabilities(pl.read_csv(file)), rtol=1e-5
    )
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    assert (whole["prediction"] == np.where(p[:, 1] > p[:, 0], "yes", "no")).all()
    out = tmp_path / "p.parquet"
    assert run(["predict", str(folder), str(file), "--probabilities", "-o", str(out)]) == 0
    # As text, since CSV has no float32.
    assert (
        pl.read_parquet(out).write_csv()
        == parts.with_columns(pl.col("^probability.*$").cast(pl.Float32)).write_csv()
    )
    assert os.listdir(tmp_path) == ["p.parquet"]


def test_several_targets_have_a_column_each(slope, tmp_path, capfdbinary):
    folder, file = slope
    out = tmp_path / "p.csv"
    assert run(["predict", str(folder), str(file), "-o", str(out)]) == 0
    said = capfdbinary.readouterr()
    assert said.out == b""
    assert b"40 predictions are in" in said.err
    found = pl.read_csv(out)
    assert found.columns == ["prediction_up", "prediction_down"]
    want = run_directory.load(folder).predict(pl.read_csv(file).select("x"))
    np.testing.assert_allclose(found.to_numpy(), want, rtol=1e-12)


def test_standard_input(shop):
    folder, file = shop
    command = [sys.executable, "-m", "steepest", "predict", str(folder), "-"]
    done = subprocess.run(command, input=file.read_bytes(), capture_output=True, check=True)
    want = run_directory.load(folder).predict(pl.read_csv(file))
    assert done.stdout.decode().split() == ["prediction", *want.tolist()]


def test_what_differs_from_training_is_told_once(shop, tmp_path, monkeypatch, capfdbinary):
    folder, file = shop
    monkeypatch.setattr(module, "BLOCK_ROWS", 7)
    rows = pl.read_csv(file).drop("sold", "price").with_columns(more=pl.lit(1))
    rows.write_csv(tmp_path / "other.csv")
    assert run(["predict", str(folder), str(tmp_path / "other.csv"), "--quiet"]) == 0
    said = capfdbinary.readouterr()
    assert len(said.out.split()) == 61
    assert said.err.count(b"'price' of training is not there") == 1
    assert said.err.count(b"other.csv: the column 'more' was not in training") == 1


@pytest.mark.parametrize(
    ("rows", "args", "code", "said"),
    [
        ("a,b\n1,2\n", [], 2, "none of the columns of training is there; expected 'size'"),
        ("size,price,colour\n", [], 2, "a header but no rows"),
        ("size,price,colour\n1,2,red\n3,4\n", [], 2, "line 3 has 2 fields"),
        (None, [], 2, "neither a file nor a known data set"),
        ("size,price,colour\n1,2,red\n", ["-o", "p.xlsx"], 2, "end it in .csv or .parquet"),
        ("size,price,colour\n1,2,red\n", ["-o", "no/such/p.csv"], 1, "there is no folder"),
        ("size,price,colour\n1,2,red\n", ["-o", "in.csv"], 2, "would replace the rows"),
    ],
)
def test_faults_are_one_sentence(shop, tmp_path, monkeypatch, capfd, rows, args, code, said):
    monkeypatch.chdir(tmp_path)
    if rows is not None:
        (tmp_path / "in.csv").write_text(rows)
    assert run(["predict", str(shop[0]), "in.csv", *args]) == code
    found = capfd.readouterr()
    assert found.out == ""
    assert said in found.err
    assert found.err.startswith("error: ")
    assert found.err.count("\n") == 1
    assert sorted(os.listdir(tmp_path)) == ([] if rows is None else ["in.csv"])


def test_probabilities_need_classes(slope, capfd):
    assert run(["predict", *map(str, slope), "--probabilities"]) == 2
    assert "this model predicts 'up', 'down', a number" in capfd.readouterr().err


def test_no_model_or_an_altered_one(shop, tmp_path, capfd):
    folder, file = shop
    assert run(["predict", str(tmp_path), str(file)]) == 1
    assert "holds no model" in capfd.readouterr().err
    for part in (folder / "model").iterdir():
        (tmp_path / part.name).write_bytes(part.read_bytes())
    (weights,) = tmp_path.glob("*.safetensors")
    weights.write_bytes(weights.read_bytes()[:-1] + b"!")
    assert run(["predict", str(tmp_path), str(file)]) == 1
    assert "was altered or cut short" in capfd.readouterr().err
