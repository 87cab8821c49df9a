"""Formats of files and folders: the same rows from each, and one sentence for each that is bad."""

import gzip
import json
import sqlite3
import struct

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.feather
import pytest
from sklearn.datasets import dump_svmlight_file

from steepest.core.errors import DataError, UsageError
from steepest.data import Encoder, load, sql

FRAME = pl.DataFrame(
    {"a": [1.5, 2.5, None, 4.0], "b": ["x", "y", None, "x"], "label": ["n", "p", "n", "p"]}
)


def arrow_stream(path):
    FRAME.write_ipc_stream(path)


WRITERS = {
    "t.parquet": FRAME.write_parquet,
    "t.arrow": FRAME.write_ipc,
    "stream.arrow": arrow_stream,
    "t.jsonl": FRAME.write_ndjson,
    "t.json": FRAME.write_json,
    "t.tsv": lambda path: FRAME.write_csv(path, separator="\t"),
    "t.feather": lambda path: pyarrow.feather.write_feather(FRAME.to_arrow(), str(path)),
    "without_suffix": FRAME.write_parquet,
}


@pytest.mark.parametrize("name", WRITERS)
def test_formats_are_one(tmp_path, name):
    path = tmp_path / name
    WRITERS[name](path)
    table = load(path)
    assert table.frame.to_dict(as_series=False) == FRAME.drop("label").to_dict(as_series=False)
    assert table.y.to_list() == FRAME["label"].to_list()
    assert table.task == "classification"
    assert table.source.fingerprint["path"] == str(path)


@pytest.mark.parametrize("name", ["t.parquet", "t.arrow", "t.feather", "stream.arrow"])
def test_truncated_files_are_named(tmp_path, name):
    path = tmp_path / name
    WRITERS[name](path)
    whole = path.read_bytes()
    for cut in (5, len(whole) // 2, len(whole) - 20):
        path.write_bytes(whole[:cut])
        with pytest.raises(DataError) as caught:
            load(path)
        assert str(path) in str(caught.value)


def test_json_lines_name_the_line(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text('{"a": 1, "y": 2}\n{"a": 1, "y": \n')
    with pytest.raises(DataError, match="line 2 is not JSON"):
        load(path)
    path.write_text('{"a": 1, "y": 2}\n[1, 2]\n')
    with pytest.raises(DataError, match="line 2 is not a JSON object"):
        load(path)


def test_json_lines_of_unequal_keys_have_gaps(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text("".join(json.dumps(r) + "\n" for r in ({"a": 1, "y": 2}, {"b": "q", "y": 3})))
    assert load(path).frame.rows() == [(1, None), (None, "q")]


def test_npy_and_npz(tmp_path):
    x = np.arange(24.0).reshape(8, 3)
    y = np.arange(8) % 2
    np.save(tmp_path / "t.npy", np.column_stack([x, y]))
    table = load(tmp_path / "t.npy")
    assert table.target == "column_4"
    assert np.array_equal(table.frame.to_numpy(), x)
    np.savez(tmp_path / "t.npz", x_train=x, y_train=y, x_test=x[:2], y_test=y[:2])
    table = load(tmp_path / "t.npz")
    assert np.array_equal(table.x, x)
    assert np.array_equal(table.y, y)
    assert np.array_equal(table.split().test.x, x[:2])
    np.savez_compressed(tmp_path / "u.npz", X=x, strange=y, w=np.ones(8))
    with pytest.raises(DataError, match="its arrays are 'X', 'strange', 'w'"):
        load(tmp_path / "u.npz")
    table = load(tmp_path / "u.npz", target="strange", weights="w")
    assert np.array_equal(table.y, y)
    assert table.weight.tolist() == [1] * 8
    structured = np.array([(1, "a"), (2, "b")], dtype=[("n", int), ("c", "U3")])
    np.save(tmp_path / "s.npy", structured)
    assert load(tmp_path / "s.npy").frame["n"].to_list() == [1, 2]


def test_pickles_are_never_opened(tmp_path):
    np.save(tmp_path / "t.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "t.npz", X=np.array([{"a": 1}], dtype=object), y=np.zeros(1))
    for name in ("t.npy", "t.npz"):
        with pytest.raises(DataError, match="cannot be read as an NP"):
            load(tmp_path / name)


def test_svmlight_and_its_trailing_zeros(tmp_path):
    x = np.random.default_rng(0).integers(0, 3, (20, 6)).astype(float)
    x[0, 5] = 1
    y = np.arange(20) % 2
    dump_svmlight_file(x, y, str(tmp_path / "t.svm"), zero_based=False)
    table = load(tmp_path / "t.svm")
    assert np.array_equal(table.x, x)
    encoder = Encoder.fit(table)
    dump_svmlight_file(x[:, :3], y, str(tmp_path / "u.svm"), zero_based=False)
    short = encoder.transform(load(tmp_path / "u.svm"))
    padded = np.concatenate([x[:, :3], np.zeros((20, 3))], axis=1)
    assert np.array_equal(short.x, encoder.transform(load((padded, y))).x)
    (tmp_path / "u.svm").write_text("1 1:a\n")
    with pytest.raises(DataError, match="cannot be read as an SVMlight file"):
        load(tmp_path / "u.svm")


def idx(array):
    """An IDX file of a uint8 array, written as its specification says."""
    header = struct.pack(">BBBB", 0, 0, 8, array.ndim)
    return header + struct.pack(f">{array.ndim}I", *array.shape) + array.astype(np.uint8).tobytes()


@pytest.fixture
def fashion(tmp_path):
    """A folder as Fashion-MNIST ships, with few images."""
    rng = np.random.default_rng(0)
    arrays = {}
    for part, n in (("train", 60), ("t10k", 20)):
        images = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        labels = (np.arange(n) % 10).astype(np.uint8)
        arrays[part] = images, labels
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(idx(labels))
    return tmp_path, arrays


def test_idx_folders(fashion):
    folder, arrays = fashion
    table = load(str(folder))
    assert np.array_equal(table.x[..., 0], arrays["train"][0])
    assert np.array_equal(table.y, arrays["train"][1])
    assert table.image_shape == (28, 28, 1)
    parts = table.split(validation=10)
    assert np.array_equal(parts.test.x[..., 0], arrays["t10k"][0])
    assert np.array_equal(parts.test.y, arrays["t10k"][1])
    assert (len(parts.train), len(parts.validation)) == (50, 10)
    encoder = Encoder.fit(parts.train)
    assert encoder.inputs == (28, 28, 1)
    assert encoder.outputs == 10
    assert abs(encoder.transform(parts.train).x.mean()) < 1e-4


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("train-images-idx3-ubyte.gz", lambda b: b[: len(b) // 2], "truncated or altered"),
        ("train-labels-idx1-ubyte", lambda b: b[:-1], "has 67 bytes, but 68 by its header"),
        ("train-labels-idx1-ubyte", lambda b: b"\x01" + b[1:], "is not an IDX file"),
        ("train-labels-idx1-ubyte", lambda b: idx(np.zeros(59)), r"labels of shape \(59,\)"),
        ("t10k-labels-idx1-ubyte", None, "has no t10k-labels file"),
    ],
)
def test_bad_idx_folders(fashion, name, change, words):
    path = fashion[0] / name
    if change is None:
        path.unlink()
    else:
        path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DataError, match=words):
        load(fashion[0])


def test_images_by_class(tmp_path):
    image = pytest.importorskip("PIL.Image")
    rng = np.random.default_rng(0)
    pixels = {}
    for split, n in (("train", 4), ("test", 2)):
        for label in ("cat", "dog"):
            (tmp_path / split / label).mkdir(parents=True)
            for i in range(n):
                a = rng.integers(0, 256, (6, 5, 3), dtype=np.uint8)
                pixels[split, label, i] = a
                image.fromarray(a).save(tmp_path / split / label / f"{i}.png")
    table = load(tmp_path)
    assert table.x.shape == (8, 6, 5, 3)
    assert table.y.tolist() == ["cat"] * 4 + ["dog"] * 4
    assert np.array_equal(table.x[5], pixels["train", "dog", 1])
    assert np.array_equal(table.test.x[2], pixels["test", "dog", 0])
    image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(tmp_path / "train" / "cat" / "z.png")
    assert "1 of 9 images were resized to 5 x 6." in load(tmp_path).notes
    (tmp_path / "train" / "cat" / "bad.png").write_bytes(b"\x89PNG\r\n\x1a\nrubbish")
    with pytest.raises(DataError, match=r"bad.png cannot be read as an image"):
        load(tmp_path)


def test_a_query(tmp_path):
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as base:
        base.execute("create table t (a real, b text, y integer)")
        base.executemany("insert into t values (?, ?, ?)", [(1.5, "u", 0), (2.5, None, 1)])
    base.close()
    table = load(f"sql:sqlite:///{path} select * from t order by a")
    assert table.frame.rows() == [(1.5, "u"), (2.5, None)]
    assert table.target == "y"
    with pytest.raises(DataError, match="cannot be read as a query"):
        load(f"sql:sqlite:///{path} select nothing from nowhere")
    with pytest.raises(DataError, match="cannot be read as a query"):
        load(f"sql:sqlite:///{path} delete from t")
    with pytest.raises(UsageError, match="write `sql:URL QUERY`") as caught:
        load("sql:postgresql://me:secret@host/db")
    assert "secret" not in str(caught.value)


def test_a_password_is_never_shown():
    pytest.importorskip("sqlalchemy")
    with pytest.raises(DataError) as caught:
        load("sql:nosuchdb://me:secret@host/db select 1")
    assert "secret" not in str(caught.value)


def test_sql_by_adbc(tmp_path):
    pytest.importorskip("adbc_driver_sqlite")
    path = tmp_path / "shop.db"
    with sqlite3.connect(path) as base:
        base.execute("create table t (a real, b text)")
        base.executemany("insert into t values (?, ?)", [(0.5, "x"), (None, "y")])
    assert sql.has_adbc("sqlite:///shop.db")
    assert not sql.has_adbc("postgresql+psycopg://host/db")
    assert not sql.has_adbc("no such://host/db")
    frame = sql.by_adbc(f"sqlite:///{path}", "select * from t order by b")
    assert frame.rows() == [(0.5, "x"), (None, "y")]


def test_places_without_data(tmp_path):
    with pytest.raises(DataError, match="is a folder without data"):
        load(tmp_path)
    with pytest.raises(DataError, match="neither a file nor a known data set"):
        load(tmp_path / "missing.csv")
    pl.DataFrame({"a": pl.Series([], dtype=pl.Float64)}).write_parquet(tmp_path / "t.parquet")
    with pytest.raises(DataError, match="has columns but no rows"):
        load(tmp_path / "t.parquet")


def test_a_test_file_and_later_files(tmp_path):
    FRAME.write_csv(tmp_path / "train.csv")
    FRAME.head(2).write_parquet(tmp_path / "test.parquet")
    table = load(tmp_path / "train.csv", test=tmp_path / "test.parquet")
    assert table.test.rows == 2
    encoder = Encoder.fit(table)
    assert encoder.transform(table.test).y.tolist() == [0, 1]
    later = load(tmp_path / "test.parquet", target=encoder.target, labelled=False)
    encoder.transform(later)
    assert later.y is None
    assert encoder.warnings == []


def test_pyarrow_tables_with_dictionaries():
    table = pa.table({"c": pa.array(["u", "v", "u"]).dictionary_encode(), "y": [0.5, 1.5, 2.5]})
    got = load(table)
    assert got.task == "regression"
    assert Encoder.fit(got).transform(got).x.tolist() == [[1, 0], [0, 1], [1, 0]]
