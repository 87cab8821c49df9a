"""Training on a file that is streamed: one loop, the same bits however it is cut, memory held."""

import resource
import subprocess
import sys

import jax
import numpy as np
import polars as pl
import pytest

import steepest
from steepest.core.errors import DataError, UsageError
from steepest.engine import streamed, train
from steepest.engine.resume import Resume
from steepest.engine.settings import Settings
from steepest.engine.streamed import Streamed

MEMORY = 1_000_000
SETTINGS = Settings(hidden=(8,), epochs=3, batch_size=64, learning_rate=3e-3, seed=2)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    rng = np.random.default_rng(0)
    n = 12_000
    x = rng.normal(size=(n, 6))
    colour = rng.choice(["red", "green", "blue"], n)
    y = np.where(x[:, 0] + x[:, 1] / 2 + 1.5 * (colour == "red") > 0.5, "yes", "no")
    frame = pl.DataFrame(x, schema=[f"x{i}" for i in range(6)])
    frame = frame.with_columns(colour=pl.Series(colour), target=pl.Series(y)).sort("target", "x0")
    path = tmp_path_factory.mktemp("rows") / "rows.parquet"
    frame.write_parquet(path, row_group_size=2000)
    return str(path)


@pytest.fixture(scope="module", autouse=True)
def many_blocks():
    """As many blocks of a small file as there are of one that does not fit."""
    with pytest.MonkeyPatch.context() as m:
        m.setattr(streamed, "BLOCK_SHARE", 1 / 12)
        yield


@pytest.fixture(scope="module")
def ready(file):
    return Streamed(file, SETTINGS, MEMORY)


def leaves(fit):
    return np.concatenate([np.ravel(a) for a in jax.tree.leaves(fit.params)])


def test_it_learns_though_the_file_is_sorted_by_the_target(ready):
    fit = train.train_prepared(ready, SETTINGS, (2,))[0]
    assert ready.train.order(0).blocks >= 3
    assert sum(fit.sizes.values()) == 12_000
    assert fit.sizes["train"] > 8000
    assert fit.test["accuracy"] > 0.94
    assert abs(fit.train["accuracy"] - fit.test["accuracy"]) < 0.03
    assert fit.epochs == 3


def test_blocks_are_no_worse_than_all_rows_at_once(file, ready):
    blocks = train.train_prepared(ready, SETTINGS, (2,))[0]
    at_once = steepest.train(data=file, settings=SETTINGS)
    assert blocks.test["loss"] < 1.15 * at_once.test["loss"]


def test_chunks_of_any_length_give_the_same_bits(ready):
    whole = train.train_prepared(ready, SETTINGS, (2,))[0]
    cut = train.train_prepared(ready, SETTINGS, (2,), chunk_steps=5)[0]
    np.testing.assert_array_equal(leaves(whole), leaves(cut))


@pytest.mark.slow
def test_a_resumed_run_ends_equal_to_the_bit(file, ready):
    whole = train.train_prepared(ready, SETTINGS, (2, 3))
    kept = []

    def stop(moment):
        if moment.step > 40 and not kept:
            kept.append(Resume.of(moment))
            moment.stop()

    train.train_prepared(ready, SETTINGS, (2, 3), hooks=(stop,), chunk_steps=13)
    anew = Streamed(file, SETTINGS, MEMORY)
    assert anew.encoder.to_dict() == ready.encoder.to_dict()
    went_on = train.train_prepared(anew, SETTINGS, (2, 3), resume=kept[0])
    for a, b in zip(whole, went_on, strict=True):
        np.testing.assert_array_equal(leaves(a), leaves(b))
        assert a.test == b.test


def test_shares_and_what_is_held(file):
    ready = Streamed(file, steepest.Settings(validation=500, test=0.0), MEMORY)
    assert 400 < len(ready.validation) < 600
    assert ready.test is None
    # An eighth of the memory is for the rows held out, which would be 80 per cent of 300 kB.
    ready = Streamed(file, steepest.Settings(validation=0.4, test=0.4), MEMORY)
    held = sum(a.x.nbytes for a in (ready.validation, ready.test))
    assert 0.3 * MEMORY / 8 < held <= MEMORY / 8
    assert len(ready.train) + len(ready.validation) + len(ready.test) == 12_000


def test_each_class_is_held_out_by_its_share(tmp_path):
    counts = {"often": 7000, "seldom": 900, "rare": 90, "once": 1}
    names = np.repeat(list(counts), list(counts.values()))
    x = np.arange(len(names)) % 17
    path = tmp_path / "rows.csv"
    pl.DataFrame({"x": x, "target": names}).write_csv(path)
    settings = steepest.Settings(validation=0.1, test=0.2)
    ready = Streamed(str(path), settings, MEMORY)
    parts = ready.parts
    classes = list(ready.encoder.classes)
    for name, n in counts.items():
        place = classes.index(name)
        shares = [np.sum(parts[p].y == place) / n for p in ("validation", "test")]
        np.testing.assert_allclose(shares, [0.1, 0.2] if n > 1 else 0, atol=3 / n)


def test_a_column_without_values_is_refused_as_in_memory(tmp_path):
    rows = "a,b,target\n" + "".join(f"{i},,{i % 2}\n" for i in range(40))
    (tmp_path / "rows.csv").write_text(rows)
    for options in ({}, {"memory": MEMORY}):
        with pytest.raises(DataError, match="column 'b' has no value in any row"):
            train.prepare(str(tmp_path / "rows.csv"), steepest.Settings(), **options)
    # A value in a later piece makes it a column like others.
    (tmp_path / "rows.csv").write_text("a,b,target\n" + "1,,0\n2,,1\n" * 20_000 + "1,5,0\n" * 9)
    assert len(Streamed(str(tmp_path / "rows.csv"), steepest.Settings(), MEMORY).train)


def test_a_file_that_does_not_fit_is_streamed_by_itself(file, monkeypatch):
    settings = steepest.Settings(epochs=1, batch_size=64)
    assert isinstance(train.prepare(file, settings), train.Prepared)
    monkeypatch.setattr(streamed, "free_memory", lambda: 2_400_000)
    found = train.prepare(file, settings)
    assert isinstance(found, Streamed)
    assert found.memory == 1_000_000
    assert isinstance(train.prepare("iris", settings), train.Prepared)


@pytest.mark.parametrize(
    ("changes", "data", "said"),
    [
        ({"batch_size": "full"}, None, "needs all rows in memory at once"),
        ({}, "iris", "another kind of data"),
        ({}, "absent.csv", "neither a file nor a known data set"),
    ],
)
def test_refusals(file, changes, data, said):
    with pytest.raises(UsageError, match=said):
        Streamed(data or file, steepest.Settings(**changes), MEMORY)


CHILD = """
import resource, sys, numpy as np, polars as pl, jax
from steepest.engine.settings import Settings
from steepest.engine import train
from steepest.engine.streamed import Streamed
settings = Settings(hidden=(8,), epochs=1, batch_size=256, learning_rate=1e-3)
def once(path, memory):
    train.train_prepared(Streamed(path, settings, memory), settings, (0,))
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
before = once(sys.argv[1], 2_000_000)
print(once(sys.argv[2], int(sys.argv[3])) - before)
"""


@pytest.mark.slow
def test_the_memory_is_held(tmp_path):
    rng = np.random.default_rng(0)
    for name, n in (("small", 5_000), ("large", 600_000)):
        frame = pl.DataFrame(rng.normal(size=(n, 30)))
        frame = frame.with_columns(target=(pl.col("column_0") > 0).cast(pl.String))
        frame.write_csv(tmp_path / f"{name}.csv", float_precision=6)
    size = (tmp_path / "large.csv").stat().st_size
    memory = size // 5
    files = [str(tmp_path / f"{n}.csv") for n in ("small", "large")]
    done = subprocess.run(
        [sys.executable, "-c", CHILD, *files, str(memory)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert int(done.stdout) < memory
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss > 0
