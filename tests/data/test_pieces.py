"""Files in pieces: the same rows, kinds and complaints as when they are read at once."""

import gzip
import io

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from steepest.core.errors import DataError, UsageError
from steepest.data import load
from steepest.data.pieces import check_memory, held_bytes, pieces, pieces_to_test, read_csv, streams


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    n = 12_000
    return pl.DataFrame(
        {
            "number": rng.normal(size=n).round(6),
            "count": rng.integers(-5, 5, n),
            "word": rng.choice(["a", "b, c", 'say "d"', "two\nlines"], n),
            "flag": rng.random(n) < 0.5,
            "target": rng.choice(["yes", "no"], n),
        }
    )


def whole(path, size, **options):
    found = list(pieces(str(path), size, **options))
    firsts = [t.first for t in found]
    np.testing.assert_array_equal(firsts, np.cumsum([0] + [t.rows for t in found])[:-1])
    inputs = pl.concat([t.frame for t in found])
    return found, inputs, pl.concat([t.y for t in found])


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet", ".tsv"])
@pytest.mark.parametrize("size", [1, 5000, 1 << 24])
def test_all_rows_in_order(frame, tmp_path, suffix, size):
    path = tmp_path / f"t{suffix}"
    if suffix == ".parquet":
        frame.write_parquet(path, row_group_size=700)
    elif suffix == ".csv.gz":
        path.write_bytes(gzip.compress(frame.write_csv().encode()))
    else:
        frame.write_csv(path, separator="\t" if suffix == ".tsv" else ",")
    assert streams(str(path))
    found, inputs, target = whole(path, size)
    at_once = load(str(path))
    assert_frame_equal(inputs, at_once.frame)
    assert target.to_list() == at_once.y.to_list()
    assert found[0].target == "target"
    if size == 1:
        assert len(found) > (1 if suffix != ".parquet" else 100)


@given(
    st.lists(st.tuples(st.text(max_size=6), st.integers(-(2**62), 2**62)), min_size=1, max_size=30),
    st.integers(min_value=1, max_value=300),
)
def test_lines_are_cut_nowhere_within_quotes(rows, size):
    rows = [(w.replace("\r", " ").replace("\x00", " "), n) for w, n in rows]
    text = pl.DataFrame(rows, schema=["word", "n"], orient="row", strict=False)
    text = text.with_columns(pl.col("word").cast(pl.String)).write_csv(quote_style="always")
    file = io.BytesIO(text.encode())
    found = pl.concat(list(read_csv(file, "here", size)), how="vertical_relaxed")
    assert found["n"].cast(pl.Int64).to_list() == [n for _, n in rows]


def test_later_pieces_of_another_kind_become_words_or_numbers(tmp_path):
    path = tmp_path / "t.csv"
    # More than what is looked at first (256 kB) has whole numbers only.
    rows = ["n,m,target"] + [f"{i % 7},{i % 3},{i % 2}" for i in range(60_000)]
    rows += ["1.5,NA,1", "x,2,0"] * 2000
    path.write_text("\n".join(rows))
    found = list(pieces(str(path), 1 << 12))
    assert found[0].frame.schema == {"n": pl.Int64, "m": pl.Int64}
    assert {t.frame["n"].dtype for t in found[-20:]} >= {pl.String}
    assert {t.frame["m"].dtype for t in found} == {pl.Int64}
    assert sum(t.frame["m"].null_count() for t in found) == 2000
    assert sum(t.rows for t in found) == 64_000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("a,b\n", "header but no rows"),
        ("a,a\n1,2\n", "two columns named 'a'"),
        ("a,b\n" + "1,2\n" * 90_000 + "1,2,3\n", "line 90002 has 3 fields, the header has 2"),
        ("a,b\n" + "1,2\n" * 90_000 + "1\n", "line 90002 has 1 field, the header has 2"),
    ],
)
def test_bad_files(tmp_path, text, said):
    path = tmp_path / "t.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=said) as error:
        list(pieces(str(path), 5000))
    assert "t.csv" in str(error.value)


def test_bytes_that_are_not_utf8_are_named_by_line(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes(b"a,b\n" + b"1,x\n" * 90_000 + b"1,\xe9\n")
    with pytest.raises(DataError, match="line 90002 has the byte 0xE9"):
        list(pieces(str(path), 5000))


def test_a_truncated_parquet_file(frame, tmp_path):
    path = tmp_path / "t.parquet"
    frame.write_parquet(path)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        list(pieces(str(path), 5000))


@pytest.fixture
def images(tmp_path):
    rng = np.random.default_rng(0)
    for part, n in (("train", 50), ("t10k", 20)):
        for what, shape in (("images-idx3", (n, 4, 3)), ("labels-idx1", (n,))):
            values = rng.integers(0, 256 if len(shape) > 1 else 10, shape, dtype=np.uint8)
            head = bytes([0, 0, 8, len(shape)]) + np.array(shape, ">u4").tobytes()
            data = gzip.compress(head + values.tobytes())
            (tmp_path / f"{part}-{what}-ubyte.gz").write_bytes(data)
    return tmp_path


def test_idx_folders(images):
    at_once = load(str(images))
    found = list(pieces(str(images), 100))
    assert len(found) > 5
    np.testing.assert_array_equal(np.concatenate([t.x for t in found]), at_once.x)
    np.testing.assert_array_equal(np.concatenate([t.y for t in found]), at_once.y)
    assert found[0].image_shape == at_once.image_shape
    test = list(pieces_to_test(str(images), 100))
    np.testing.assert_array_equal(np.concatenate([t.x for t in test]), at_once.test.x)
    assert held_bytes(str(images)) == 8 * 70 * 13


def test_idx_files_that_end_early(images):
    path = images / "train-images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-5]))
    with pytest.raises(DataError, match="end early"):
        list(pieces(str(images), 100))


def test_what_streams(tmp_path, frame):
    frame.write_ndjson(tmp_path / "t.jsonl")
    assert not streams(str(tmp_path / "t.jsonl"))
    assert not streams("iris")
    assert not streams(frame)


@pytest.mark.parametrize("text", ["much", "2XB", "-3GB", "1KB", "", "infGB", True])
def test_memory_that_is_no_size(text):
    with pytest.raises(UsageError, match="memory="):
        check_memory(text)
