"""A trace against plain NumPy: what goes in comes out, in memory, as a frame and from a file."""

import numpy as np
import polars as pl
import pytest

from steepest.core.errors import FileError, UsageError
from steepest.core.trace import Trace


def chunk(first, count, seeds=2, cells=3, **more):
    steps = np.arange(first, first + count)
    shape = (count, seeds, cells)
    loss = steps[:, None, None] + np.arange(seeds)[:, None] / 10 + np.arange(cells) / 100
    return {
        "step": steps,
        "epoch": steps / 4,
        "loss": loss.astype(np.float32),
        "evaluations": np.broadcast_to(steps[:, None, None] + 1, shape).astype(np.int32),
        **more,
    }


def filled():
    """Seed 7 cell 1 ends after step 2: NaN from step 3 on, as the engine records it."""
    trace = Trace(seeds=[5, 7], cells=3)
    whole = chunk(0, 6)
    whole["loss"][3:, 1, 1] = np.nan
    whole["evaluations"][3:, 1, 1] = 0
    for a, b in ((0, 2), (2, 5), (5, 6)):
        trace.append("steps", {k: v[a:b] for k, v in whole.items()})
    trace.append("epochs", {
        "epoch": np.array([1]), "step": np.array([4]), "seconds": np.array([0.25]),
        "train_loss": np.arange(6, dtype=np.float32).reshape(1, 2, 3),
    })  # fmt: skip
    return trace, whole


def test_chunks_come_out_as_one():
    trace, whole = filled()
    assert set(trace.steps) == set(whole)
    for name, array in whole.items():
        np.testing.assert_array_equal(trace.steps[name], array)
        assert trace.steps[name].dtype == array.dtype
    assert trace.epochs["epoch"].tolist() == [1]
    assert repr(trace) == "Trace(seeds=2, cells=3, steps=6, epochs=1)"


def test_many_appends_move_few_bytes():
    trace = Trace()
    for i in range(3000):
        trace.append("steps", chunk(i, 1, 1, 1))
    np.testing.assert_array_equal(trace.steps["step"], np.arange(3000))
    # Buffers double: of 3000 appends, about twelve may have moved the rows before.
    assert len(trace._tables["steps"]._buffers[0]) == 4096


def test_frame_is_tidy_and_without_the_rows_after_the_end():
    trace, whole = filled()
    frame = trace.frame()
    assert frame.columns == ["seed", "cell", "step", "epoch", "loss", "evaluations"]
    assert len(frame) == 6 * 6 - 3
    ended = frame.filter((pl.col("seed") == 7) & (pl.col("cell") == 1))
    assert ended["step"].to_list() == [0, 1, 2]
    for row in frame.iter_rows(named=True):
        at = (row["step"], [5, 7].index(row["seed"]), row["cell"])
        assert row["loss"] == whole["loss"][at]
        assert row["evaluations"] == row["step"] + 1
        assert row["epoch"] == row["step"] / 4


def test_a_nan_inside_a_run_is_kept():
    trace = Trace()
    trace.append("steps", {"step": range(3), "epoch": np.zeros(3),
                           "loss": np.array([1.0, np.nan, 2.0]).reshape(3, 1, 1)})  # fmt: skip
    assert len(trace.frame()) == 3


def test_the_step_that_diverged_is_kept():
    trace = Trace()
    trace.append("steps", {
        "step": np.arange(4), "epoch": np.zeros(4),
        "loss": np.array([1.0, np.inf, np.nan, np.nan]).reshape(4, 1, 1),
        "learning_rate": np.array([0.1, 0.1, 0.1, np.nan]).reshape(4, 1, 1),
    })  # fmt: skip
    assert trace.frame()["step"].to_list() == [0, 1, 2]
    assert len(trace.steps["step"]) == 3


def test_trees_and_vectors():
    trace = Trace(cells=2)
    layers = [{"w": np.ones((4, 1, 2))}, {"w": np.full((4, 1, 2), 2.0)}]
    points = np.arange(16.0).reshape(4, 1, 2, 2)
    trace.append("steps", chunk(0, 4, 1, 2, layer_norms=layers, params=points))
    assert trace.steps["layer_norms"][1]["w"].shape == (4, 1, 2)
    frame = trace.frame()
    assert frame["layer_norms.1.w"].unique().to_list() == [2.0]
    assert frame.schema["params"] == pl.Array(pl.Float64, 2)
    second = frame.filter(pl.col("cell") == 1)["params"].to_numpy()
    np.testing.assert_array_equal(second, points[:, 0, 1])


def test_pandas_agrees_with_polars():
    pytest.importorskip("pandas")
    trace, _ = filled()
    frame, other = trace.frame(), trace.to_pandas()
    assert list(other.columns) == frame.columns
    for name in frame.columns:
        np.testing.assert_array_equal(other[name].to_numpy(), frame[name].to_numpy())


def test_vectors_in_pandas():
    pytest.importorskip("pandas")
    trace = Trace(cells=2)
    points = np.arange(16.0).reshape(4, 1, 2, 2)
    trace.append("steps", chunk(0, 4, 1, 2, params=points))
    assert trace.to_pandas()["params"][5].tolist() == points[1, 0, 1].tolist()


def test_parquet_round_trip(tmp_path):
    trace, _ = filled()
    path = tmp_path / "trace.parquet"
    trace.write(path)
    back = Trace.read(path)
    assert back.seeds.tolist() == [5, 7]
    assert back.cells == 3
    for table in ("steps", "epochs"):
        a, b = getattr(trace, table), getattr(back, table)
        assert set(a) == set(b)
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])
            assert a[name].dtype == b[name].dtype
    assert pl.read_parquet(path)["table"].unique(maintain_order=True).to_list() == [
        "steps", "epochs",
    ]  # fmt: skip


def test_vectors_survive_the_file(tmp_path):
    trace = Trace()
    points = np.random.default_rng(0).normal(size=(5, 1, 1, 3))
    trace.append("steps", chunk(0, 5, 1, 1, params=points))
    trace.write(tmp_path / "t.parquet")
    np.testing.assert_array_equal(Trace.read(tmp_path / "t.parquet").steps["params"], points)


def test_an_empty_trace(tmp_path):
    trace = Trace()
    assert trace.frame().columns == ["seed", "cell"]
    assert dict(trace.steps) == {}
    trace.write(tmp_path / "t.parquet")
    assert dict(Trace.read(tmp_path / "t.parquet").steps) == {}


def test_mistakes():
    trace, _ = filled()
    with pytest.raises(UsageError, match=r"'loss' has shape \(2, 1\); it must begin with \(2, 2"):
        trace.append("steps", {**chunk(6, 2), "loss": np.zeros((2, 1))})
    with pytest.raises(UsageError, match="are not those of the rows before"):
        trace.append("steps", {k: v for k, v in chunk(6, 2).items() if k != "loss"})
    with pytest.raises(UsageError, match="did you mean 'epochs'"):
        trace.frame("epoch")
    with pytest.raises(UsageError, match="different numbers"):
        Trace(seeds=[1, 1])
    assert len(trace.steps["step"]) == 6


def test_files_that_are_no_traces(tmp_path):
    path = tmp_path / "trace.parquet"
    with pytest.raises(FileError, match="cannot be read: No such file"):
        Trace.read(path)
    filled()[0].write(path)
    whole = path.read_bytes()
    for bad in (b"", b"PAR1", whole[:-9], whole[: len(whole) // 2]):
        path.write_bytes(bad)
        with pytest.raises(FileError, match="altered or cut short"):
            Trace.read(path)
    pl.DataFrame({"a": [1]}).write_parquet(path)
    with pytest.raises(FileError, match="not a trace"):
        Trace.read(path)
