"""Rows through a pipe, or more than fit: --stream, --memory, predictions as rows come."""

import io
import json
import os
import signal
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from steepest.cli import app
from steepest.store import checkpoint, lock, run_directory


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(4000, 4))
    frame = pl.DataFrame(x, schema=list("abcd")).with_columns(
        target=pl.Series(np.where(x[:, 0] > x[:, 1], "up", "down"))
    )
    path = tmp_path_factory.mktemp("file") / "rows.csv"
    frame.write_csv(path)
    return path


class Stdin:
    def __init__(self, data):
        self.buffer = io.BufferedReader(io.BytesIO(data))


@pytest.fixture
def steepest(capfdbinary):
    def call(*arguments):
        code = app.run([os.fspath(a) for a in arguments])
        out = capfdbinary.readouterr()
        return code, out.out.decode(), out.err.decode()

    return call


STREAM = ("--stream", "--model", "linear", "--learning-rate", "0.01", "--json")


def test_a_stream_is_predicted_then_learned(steepest, file, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdin", Stdin(file.read_bytes()))
    code, out, err = steepest("train", "-", *STREAM, "-o", tmp_path / "run")
    assert code == 0, err
    found = json.loads(out)
    assert found["rows"]["train"] == 4000
    assert 0.9 < found["train"]["accuracy"] < found["recent"]["accuracy"]
    lines = [line.split()[0] for line in err.splitlines() if line[:12].strip()[:1].isdigit()]
    assert lines == ["100", "200", "500", "1,000", "2,000", "4,000"]
    model = run_directory.load(tmp_path / "run")
    rows = pl.read_csv(file)
    right = np.mean(model.predict(rows.drop("target")) == rows["target"].to_numpy())
    assert right > 0.95
    # A file comes in other pieces, so its first rows, by which inputs are scaled, are others.
    code, again, _ = steepest("train", file, *STREAM, "-o", tmp_path / "again")
    accuracy = json.loads(again)["train"]["accuracy"]
    assert abs(accuracy - found["train"]["accuracy"]) < 0.01


def test_ctrl_c_ends_a_stream_and_the_model_is_kept(file, tmp_path):
    child = subprocess.Popen(
        [sys.executable, "-m", "steepest", "train", "-", *STREAM, "-o", tmp_path / "run"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        child.stdin.write("".join(file.read_text().splitlines(keepends=True)[:1101]))
        child.stdin.flush()
        while not child.stderr.readline().strip().startswith("1,000 "):
            assert child.poll() is None
        child.send_signal(signal.SIGINT)
        out = child.stdout.read()
        assert child.wait(timeout=120) == 0
    finally:
        child.kill()
        child.wait()
        for pipe in (child.stdin, child.stdout, child.stderr):
            pipe.close()
    assert json.loads(out)["rows"]["train"] >= 1000
    assert run_directory.load(tmp_path / "run").encoder.classes == ("down", "up")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("-",), "add --stream"),
        (("--stream",), "--stream needs DATA"),
        (("-", "--stream", "--seeds", "2"), "no --resume or --seeds"),
        (("-", "--stream", "--memory", "2GB"), "--memory does not apply"),
        (("-", "--stream", "--schedule", "cosine", "--learning-rate", "0.1"), "has no end"),
        (("iris", "--memory", "2GB"), "another kind of data"),
        (("{file}", "--memory", "some"), "is no size"),
    ],
)
def test_refusals(steepest, file, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "stdin", Stdin(file.read_bytes()))
    arguments = [a.format(file=file) for a in arguments]
    code, _, err = steepest("train", *arguments)
    assert code == 2
    assert said in " ".join(err.split())


@pytest.mark.slow
def test_streamed_training_goes_on_in_the_same_blocks(steepest, file, tmp_path):
    options = ("--memory", "1MB", "--hidden", "4", "--epochs", "2", "--learning-rate", "0.01")
    options += ("--optimizer", "adam", "--json")
    code, whole, err = steepest("train", file, *options, "-o", tmp_path / "whole")
    assert code == 0, err
    code, _, err = steepest("train", file, *options, "-o", tmp_path / "cut", "--max-seconds", "0")
    assert code == 0, err
    assert checkpoint.asked(tmp_path / "cut")["data"]["memory"] == 1_000_000
    with lock.hold(tmp_path / "cut" / run_directory.CHECKPOINTS):
        code, _, err = steepest("train", "--resume", tmp_path / "cut", "--json")
        assert code == 2
        assert "in use by another process" in " ".join(err.split())
    code, resumed, err = steepest("train", "--resume", tmp_path / "cut", "--json")
    assert code == 0, err
    a, b = json.loads(whole), json.loads(resumed)
    assert (a["train"], a["test"], a["steps"]) == (b["train"], b["test"], b["steps"])
    assert not (tmp_path / "cut" / run_directory.CHECKPOINTS).exists()


def test_predictions_come_as_the_rows_do(shop):
    run, file = shop
    header, *rows = file.read_text().splitlines(keepends=True)
    child = subprocess.Popen(
        [sys.executable, "-m", "steepest", "predict", str(run), "-"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        child.stdin.write(header + rows[0])
        child.stdin.flush()
        assert child.stdout.readline() == "prediction\n"
        found = [child.stdout.readline().strip()]
        for row in rows[1:4]:
            child.stdin.write(row)
            child.stdin.flush()
            found.append(child.stdout.readline().strip())
        child.stdin.close()
        assert child.wait(timeout=60) == 0
    finally:
        child.kill()
        child.wait()
        child.stdout.close()
    rows = pl.read_csv(file).head(4)
    assert found == run_directory.load(run).predict(rows.drop("sold")).tolist()


def test_a_large_file_is_predicted_in_pieces(steepest, shop, tmp_path, monkeypatch):
    from steepest.cli import model_given

    run, file = shop
    code, _, err = steepest("predict", run, file, "-o", tmp_path / "a.csv", "--probabilities")
    assert code == 0, err
    monkeypatch.setattr(model_given, "LARGE", 0)
    monkeypatch.setattr(model_given, "PIECE", 200)
    code, _, err = steepest("predict", run, file, "-o", tmp_path / "b.csv", "--probabilities")
    assert code == 0, err
    a, b = (pl.read_csv(tmp_path / f"{n}.csv") for n in "ab")
    assert a["prediction"].to_list() == b["prediction"].to_list()
    np.testing.assert_allclose(a["probability_yes"], b["probability_yes"], rtol=1e-5)
