"""Hostile tables and bytes: nothing but DataError leaves the readers and the encoder."""

import gzip
import io
import struct

import numpy as np
import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from steepest.core.errors import DataError
from steepest.data import Encoder, load

QUICK = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
SMALL = pl.DataFrame(
    {
        "a": [float(i) for i in range(12)],
        "b": [f"w{i % 3}" for i in range(12)],
        "d": [i % 5 == 0 for i in range(12)],
        "y": [i % 2 for i in range(12)],
    }
)


def use(source, **options):
    """Load, split, fit, encode: whatever happens, it is a result or a DataError of one line."""
    try:
        table = load(source, **options)
        parts = table.split()
        encoder = Encoder.fit(parts.train)
        for part in parts:
            if part is not None:
                arrays = encoder.transform(part)
                assert np.isfinite(arrays.x).all()
                assert arrays.x.shape == (len(part), *encoder.inputs)
                assert np.isfinite(arrays.y).all()
    except DataError as error:
        one_line(error)


def one_line(error):
    assert str(error).strip()
    assert "\n" not in str(error)


def whole(form):
    buffer = io.BytesIO()
    if form == "parquet":
        SMALL.write_parquet(buffer)
    elif form == "arrow":
        SMALL.write_ipc(buffer)
    elif form == "jsonl":
        SMALL.write_ndjson(buffer)
    elif form == "npz":
        np.savez_compressed(buffer, X=SMALL["a"].to_numpy()[:, None], y=SMALL["y"].to_numpy())
    elif form == "npy":
        np.save(buffer, SMALL.select("a", "y").to_numpy())
    elif form == "svm":
        buffer.write(b"".join(f"{i % 2} 1:{i} 3:{i * i}\n".encode() for i in range(12)))
    elif form == "csv.gz":
        buffer.write(gzip.compress(SMALL.write_csv().encode()))
    else:
        SMALL.write_csv(buffer)
    return buffer.getvalue()


FORMS = ["csv", "csv.gz", "jsonl", "npz", "npy", "svm", "arrow", "parquet"]


@pytest.mark.parametrize("form", FORMS)
@QUICK
@given(data=st.data())
def test_corrupted_bytes(tmp_path, form, data):
    good = bytearray(whole(form))
    for _ in range(data.draw(st.integers(0, 4))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.one_of(st.just(len(good)), st.integers(0, len(good))))
    path = tmp_path / f"t.{form}"
    path.write_bytes(bytes(good[:cut]))
    use(path)


@pytest.mark.parametrize("name", ["t.csv", "t", "t.jsonl", "t.tsv", "t.npy", "t.svm"])
@QUICK
@given(data=st.binary(max_size=300))
def test_any_bytes(tmp_path, name, data):
    path = tmp_path / name
    path.write_bytes(data)
    use(path)


@QUICK
@given(text=st.text(alphabet='ab1.5,;|"\n\r\t -éinfNA', max_size=200))
def test_any_text(tmp_path, text):
    path = tmp_path / "t.csv"
    path.write_text(text, encoding="utf-8", newline="")
    use(path)


@QUICK
@given(data=st.data())
def test_corrupted_idx(tmp_path, data):
    def idx(array):
        header = struct.pack(">BBBB", 0, 0, 8, array.ndim)
        return header + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()

    files = {
        "train-images-idx3-ubyte": idx(np.arange(20 * 6, dtype=np.uint8).reshape(20, 2, 3)),
        "train-labels-idx1-ubyte": idx((np.arange(20) % 3).astype(np.uint8)),
    }
    for name, content in files.items():
        content = bytearray(content)
        for _ in range(data.draw(st.integers(0, 2))):
            place = data.draw(st.integers(0, len(content) - 1))
            content[place] = data.draw(st.integers(0, 255))
        (tmp_path / name).write_bytes(bytes(content[: data.draw(st.integers(0, len(content)))]))
    use(tmp_path)


def column(rows):
    """A strategy for one column of any kind that polars holds."""
    kinds = st.sampled_from(
        [
            st.floats(width=64),
            st.integers(-(2**63), 2**63 - 1),
            st.integers(0, 3),
            st.booleans(),
            st.text(max_size=12),
            st.sampled_from(["u", "v", "w"]),
            st.dates(),
            st.datetimes(),
            st.times(),
            st.timedeltas(),
            st.binary(max_size=3),
            st.decimals(-1000, 1000, places=2),
            st.lists(st.integers(0, 9), max_size=2),
        ]
    )
    return kinds.flatmap(
        lambda kind: st.lists(st.one_of(st.none(), kind), min_size=rows, max_size=rows)
    )


@settings(max_examples=200, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_table(data):
    rows = data.draw(st.integers(1, 30))
    width = data.draw(st.integers(1, 4))
    names = data.draw(st.lists(st.text(max_size=4), min_size=width, max_size=width, unique=True))
    frame = pl.DataFrame([pl.Series(name, data.draw(column(rows)), strict=False) for name in names])
    use(frame)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_later_table(data):
    """Whatever the later columns hold, each row gives one finite row, or a DataError."""
    encoder = Encoder.fit(load((SMALL.drop("y"), SMALL["y"])))
    rows = data.draw(st.integers(1, 8))
    names = data.draw(st.lists(st.sampled_from(["a", "b", "d", "e"]), min_size=1, unique=True))
    frame = pl.DataFrame([pl.Series(name, data.draw(column(rows)), strict=False) for name in names])
    try:
        x = encoder.transform(load(frame, labelled=False)).x
    except DataError as error:
        one_line(error)
    else:
        assert x.shape == (rows, *encoder.inputs)
        assert np.isfinite(x).all()
