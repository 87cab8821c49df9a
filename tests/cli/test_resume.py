"""`steepest train --resume`: killed at any moment, a run ends as if nothing had been."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import polars as pl
import pytest

from steepest.cli.app import run
from steepest.store import checkpoint, run_directory

# One step a chunk and a checkpoint after each, so that a short run has many moments to be killed.
CHILD = """
import sys
from functools import partial
from steepest.cli import train as module
from steepest.cli.app import run
from steepest.store import checkpoint
checkpoint.MOST_SHARE = 1e9
module.train_prepared = partial(module.train_prepared, chunk_seconds=1e-9)
sys.exit(run(sys.argv[1:]))
"""
RUN = ["iris", "--hidden", "8", "--epochs", "100", "--learning-rate", "0.01", "-q"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    out = tmp_path_factory.mktemp("whole") / "run"
    assert run(["train", *RUN, "-o", str(out)]) == 0
    return out


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def same(a, b):
    """Whether two run directories hold the same but for the time that the runs took."""
    one, two = (json.loads((p / "metrics.json").read_text()) for p in (a, b))
    assert {**one, "seconds": 0} == {**two, "seconds": 0}
    one, two = (pl.read_parquet(p / "trace.parquet").drop("seconds") for p in (a, b))
    assert one.equals(two)
    one, two = (run_directory.load(p).w for p in (a, b))
    assert one.tobytes() == two.tobytes()
    assert not (b / "checkpoints").exists()
    return True


def train(cache, *args):
    # Children share their compiled programs; each would else compile anew.
    env = {**os.environ, "STEEPEST_CACHE": str(cache)}
    command = [sys.executable, "-c", CHILD, "train", *args, "--checkpoint-seconds", "0"]
    return subprocess.Popen(
        command, env=env, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    )


def killed(child, folder, chance):
    """Kill the child a random while after its first new checkpoint; whether it was in time."""
    before = checkpoint.found(folder)
    while child.poll() is None and checkpoint.found(folder) in (before, []):
        time.sleep(0.002)
    time.sleep(chance.uniform(0, 0.4))
    child.send_signal(signal.SIGKILL)
    child.communicate()
    return child.returncode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("seed", "kills"), [(0, 2), *(pytest.param(s, 6, marks=pytest.mark.slow) for s in range(1, 9))]
)
def test_killed_at_random_moments(undisturbed, cache, tmp_path, seed, kills):
    out, chance, hits = tmp_path / "run", random.Random(seed), 0
    child = train(cache, *RUN, "-o", str(out))
    for _ in range(kills):
        hits += killed(child, out / "checkpoints", chance)
        if not (out / "checkpoints" / "config.json").exists():
            break
        assert not (out / "model").exists() or (out / "model" / "model.json").exists()
        child = train(cache, "--resume", str(out))
    _, said = child.communicate()
    assert child.returncode == 0, said
    assert hits >= 1
    assert same(undisturbed, out)


class Killed(BaseException):
    """Ends a run at once, as a kill would."""


def cut(monkeypatch, *args, after=1):
    """A run in this process that ends at once after a checkpoint."""
    write = checkpoint.write
    wrote = []

    def writing(*a):
        write(*a)
        wrote.append(a)
        if len(wrote) == after:
            raise Killed

    with monkeypatch.context() as m:
        m.setattr(checkpoint, "write", writing)
        m.setattr(checkpoint, "MOST_SHARE", 1e9)
        with pytest.raises(Killed):
            run(["train", *map(str, args), "--checkpoint-seconds", "0"])


def test_resumed_once_then_finished(undisturbed, tmp_path, monkeypatch, capfd):
    out = tmp_path / "run"
    cut(monkeypatch, *RUN, "-o", out)
    assert not (out / "model").exists()
    for command in ("show", "train"):
        args = ["show", str(out)] if command == "show" else ["train", *RUN, "-o", str(out)]
        assert run(args) == (1 if command == "show" else 2)
        assert "holds an unfinished run" in capfd.readouterr().err
    assert run(["train", "--resume", str(out)]) == 0
    assert "Going on after step" in capfd.readouterr().err
    assert same(undisturbed, out)
    assert run(["train", "--resume", str(out)]) == 0
    assert "is finished; there is nothing to resume" in capfd.readouterr().out
    assert run(["train", "--resume", str(out), "--json"]) == 0
    assert json.loads(capfd.readouterr().out)["outcome"] == "budget"


def test_a_damaged_checkpoint_costs_nothing(undisturbed, tmp_path, monkeypatch, capfd):
    out = tmp_path / "run"
    cut(monkeypatch, *RUN, "-o", out, after=2)
    newest = checkpoint.found(out / "checkpoints")[-1]
    (arrays,) = newest.glob("*.safetensors")
    arrays.write_bytes(arrays.read_bytes()[:100])
    assert run(["train", "--resume", str(out)]) == 0
    assert f"{newest} was altered or cut short" in capfd.readouterr().err
    assert same(undisturbed, out)


def test_a_file_that_changed_is_refused(tmp_path, monkeypatch, capfd):
    file, out = tmp_path / "rows.csv", tmp_path / "run"
    x = np.linspace(0, 1, 40)
    rows = pl.DataFrame({"x": x, "y": 2 * x})
    rows.write_csv(file)
    monkeypatch.chdir(tmp_path)
    cut(monkeypatch, "rows.csv", "--model", "linear", "--epochs", "2", "-o", out)
    monkeypatch.chdir("/")
    rows.with_columns(y=pl.col("y") + 1e-9).write_csv(file)
    assert run(["train", "--resume", str(out)]) == 2
    assert "rows.csv has changed since the run began" in capfd.readouterr().err
    rows.write_csv(file)
    assert run(["train", "--resume", str(out), "-q"]) == 0
    assert (out / "model").exists()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--learning-rate", "0.5"], "where learning_rate is 0.01, not 0.5"),
        (["--hidden", "9"], r"where hidden is [8], not (9,)"),
        (["wine"], "where data is 'iris', not 'wine'"),
        (["--seed", "3"], "where seed is 0, not 3"),
        (["--seeds", "2"], "where seeds is 1, not 2"),
        (["--target", "x"], "where target is None, not 'x'"),
        (["--target-loss", "0.1"], "where target is 0.5, not 0.1"),
        (["--overwrite"], "leave out --out, --overwrite"),
    ],
)
def test_other_settings_are_refused(tmp_path, capfd, args, said):
    checkpoint.begin(tmp_path, EXAMPLE)
    assert run(["train", *args, "--resume", str(tmp_path)]) == 2
    assert said in capfd.readouterr().err


EXAMPLE = {
    "data": {"name": "iris"},
    "seeds": [0],
    "settings": {"hidden": [8], "learning_rate": 0.01, "seed": 0, "target": 0.5},
}


def test_nothing_to_resume(tmp_path, capfd):
    assert run(["train", "--resume", str(tmp_path)]) == 2
    assert "holds no run to resume" in capfd.readouterr().err
    assert run(["train"]) == 2
    assert "DATA is missing" in capfd.readouterr().err


def test_a_finished_run_stays_until_its_successor_is_whole(undisturbed, tmp_path, monkeypatch):
    import shutil

    out = tmp_path / "run"
    shutil.copytree(undisturbed, out)
    assert run(["train", *RUN, "-o", str(out)]) == 2
    cut(monkeypatch, *RUN, "--overwrite", "-o", out)
    before = {p.name: p.read_bytes() for p in undisturbed.rglob("*") if p.is_file()}
    after = {
        p.name: p.read_bytes()
        for p in out.rglob("*")
        if "checkpoints" not in p.parts and p.is_file()
    }
    assert before == after


def test_a_run_out_of_time_goes_on(undisturbed, tmp_path, capfd):
    out = tmp_path / "run"
    assert run(["train", *RUN[:-1], "-o", str(out), "--max-seconds", "0"]) == 0
    assert f"`steepest train --resume {out}` goes on with it." in capfd.readouterr().err
    assert (out / "model").exists()
    assert run(["train", "--resume", str(out), "-q"]) == 0
    assert same(undisturbed, out)


def test_a_run_that_cannot_begin_leaves_nothing(tmp_path, capfd):
    out = tmp_path / "run"
    args = ["--optimizer", "lbfgs", "--batch-size", "32", "-o", str(out)]
    assert run(["train", "iris", *args]) == 2
    assert "batch_size='full'" in capfd.readouterr().err
    assert checkpoint.asked(out) is None
