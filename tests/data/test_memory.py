"""Rows from memory: every container gives the same table, and what cannot be used is refused."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from steepest.core.errors import DataError, UsageError
from steepest.data import load

COLUMNS = {"a": [1.0, 2.0, 3.0, 4.0], "b": ["u", "v", None, "u"], "label": ["n", "p", "n", "p"]}


@pytest.mark.parametrize(
    "make",
    [pl.DataFrame, pd.DataFrame, pa.table, dict, pl.LazyFrame],
    ids=["polars", "pandas", "pyarrow", "dict", "lazy"],
)
def test_all_frames_are_one(make):
    table = load(make(COLUMNS))
    assert table.target == "label"
    assert table.task == "classification"
    assert table.frame.to_dict(as_series=False) == {"a": COLUMNS["a"], "b": COLUMNS["b"]}
    assert table.y.to_list() == COLUMNS["label"]
    assert "target is the column 'label'" in table.notes[0]


def test_pandas_kinds():
    frame = pd.DataFrame(
        {
            "i": pd.array([1, None, 3], dtype="Int64"),
            "c": pd.Categorical(["x", None, "y"]),
            "t": pd.to_datetime(["2020-01-01", None, "2020-01-03"]),
            "f": [0.5, np.nan, 1.5],
            "o": [True, None, False],
            "y": [0, 1, 0],
        }
    )
    got = load(frame).frame
    assert got.null_count().row(0) == (1, 1, 1, 1, 1)
    assert got["t"].dtype.is_temporal()
    assert got["o"].dtype == pl.Boolean
    assert got["i"].dtype == pl.Int64


@pytest.mark.parametrize(
    ("y", "task"),
    [
        ([0, 1, 1, 0, 1, 0], "classification"),
        ([0.0, 1.0, 1.0, 0.0, 1.0, 0.0], "classification"),
        ([0.1, 0.2, 0.1, 0.2, 0.1, 0.2], "regression"),
        ([1, 2, 3, 4, 5, 6], "regression"),
        ([True, False, True, True, False, True], "classification"),
        (list("ababab"), "classification"),
        (np.array(list("ababab"), object), "classification"),
        (np.ones((6, 2)), "regression"),
    ],
)
def test_task_is_guessed_and_can_be_set(y, task):
    x = np.zeros((6, 1))
    table = load((x, y))
    assert table.task == task
    assert load((x, y), task="classification").task == "classification"
    assert any(task in note for note in table.notes)


def test_columns_can_be_chosen_dropped_and_weighted():
    frame = pl.DataFrame({"y": [1, 2], "a": [3, 4], "w": [1, 0], "id": [8, 9]})
    table = load(frame, target="a", weights="w", drop=["id"], task="regression")
    assert table.frame.columns == ["y"]
    assert table.weight.tolist() == [1, 0]
    several = load(frame, target=["y", "a"])
    assert several.y.tolist() == [[1, 3], [2, 4]]
    assert several.target == ("y", "a")
    unlabelled = load(frame, target="a", labelled=False)
    assert unlabelled.y is None
    assert unlabelled.frame.columns == ["y", "w", "id"]


def test_a_test_source_is_kept():
    frame = pl.DataFrame({"a": range(20), "y": [i % 2 for i in range(20)]})
    table = load(frame, test=frame.head(4))
    assert table.split().test.frame.height == 4
    assert sum(len(part) for part in table.split()[:2]) == 20


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: load("irs"), DataError, "did you mean 'iris'"),
        (lambda: load("iris", drop=["a"]), UsageError, "does not apply to 'iris'"),
        (lambda: load("iris", task="ranking"), UsageError, "task='ranking' is not known"),
        (lambda: load(pl.DataFrame(COLUMNS), target="z"), DataError, "columns are 'a', 'b'"),
        (lambda: load(pl.DataFrame(COLUMNS), drop=["z"]), DataError, "'z' is not there"),
        (lambda: load(pl.DataFrame({"y": [1, 2]})), DataError, "no column left to learn from"),
        (lambda: load(pl.DataFrame({"a": [], "y": []})), DataError, "no rows below the header"),
        (lambda: load((np.zeros((3, 2)), [1, 2])), DataError, "2 rows but the inputs have 3"),
        (lambda: load((np.zeros(3), [1, 2, 3])), DataError, "X.reshape"),
        (lambda: load((np.zeros((0, 3)), [])), DataError, "no rows"),
        (lambda: load(([[1, 2], [3]], [1, 2])), DataError, "not a numeric array"),
        (lambda: load((np.array([["a"]]), [1])), DataError, "give real numbers"),
        (lambda: load((np.zeros((2, 1)), [1j, 2j])), DataError, "y is of the kind complex128"),
        (lambda: load((np.zeros((3, 1)), [1, np.nan, 2])), DataError, "is missing in row 2"),
        (lambda: load((np.zeros((3, 1)), [1, np.inf, 2])), DataError, "is infinite in row 2"),
        (lambda: load((np.zeros((2, 1)), [1, 2]), weights=[-1, 2]), DataError, "in row 1 is -1"),
        (lambda: load((np.zeros((2, 1)), [1, 2]), weights=[0, 0]), DataError, "all weights are 0"),
        (lambda: load((np.zeros((2, 1)), [1, 2], 3)), UsageError, "give a pair"),
        (
            lambda: load(pd.DataFrame([[1, 2, 3]], columns=["a", "a", "y"])),
            DataError,
            "two columns named 'a'",
        ),
    ],
)
def test_refusals(call, error, words):
    with pytest.raises(error, match=words):
        call()
