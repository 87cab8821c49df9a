"""Text tables: dialects found, faults named by line, polars' silence about short lines broken."""

import bz2
import gzip
import lzma
import zipfile

import numpy as np
import pandas as pd
import pytest

from steepest.core.errors import DataError, UsageError
from steepest.data import Encoder, load

ROWS = [(1.5, "x,1", 0), (2.5, 'say "hi"', 1), (-3.25, "z", 0), (4.0, "z", 1)]


def write(tmp_path, data, name="t.csv"):
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return str(path)


@pytest.mark.parametrize("separator", [",", "\t", ";", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_dialects_are_found(tmp_path, separator, encoding, newline):
    frame = pd.DataFrame(ROWS, columns=["größe", "b", "label"])
    path = tmp_path / "t.csv"
    frame.to_csv(path, sep=separator, index=False, encoding=encoding, lineterminator=newline)
    table = load(path)
    assert table.frame.columns == ["größe", "b"]
    assert table.frame.rows() == [r[:2] for r in ROWS]
    assert table.y.to_list() == [0, 1, 0, 1]


@pytest.mark.parametrize(
    ("text", "columns", "first"),
    [
        ("1,2,3\n4,5,6\n", ["column_1", "column_2", "column_3"], (1, 2, 3)),
        ("a,b,c\n1,2,3\n4,5,6\n", ["a", "b", "c"], (1, 2, 3)),
        ("p,x,s\np,y,s\ne,x,t\ne,x,s\n", ["column_1", "column_2", "column_3"], ("p", "x", "s")),
        ("size;price\n1,5;2,25\n3;4,5\n", ["size", "price"], (1.5, 2.25)),
        (",b,y\n0,1,2\n1,3,4\n", ["column_1", "b", "y"], (0, 1, 2)),
        ("0,1,2\n0.5,1.5,0\n2.5,3.5,1\n", ["0", "1", "2"], (0.5, 1.5, 0)),
        ("a, b\n1, 2\n3, 4\n", ["a", "b"], (1, 2)),
        ("a b\n1 2\n3 4\n", ["a", "b"], (1, 2)),
        ("a,b\n1,2\n\n3,4\n\n", ["a", "b"], (1, 2)),
        ('"a","b"\n"1","x\ny"\n"2","z"\n', ["a", "b"], (1, "x\ny")),
        ("a,b\nNA,x\n2,?\n", ["a", "b"], (None, "x")),
    ],
)
def test_tables_as_people_write_them(tmp_path, text, columns, first):
    frame = load(write(tmp_path, text), labelled=False).frame
    assert frame.columns == columns
    assert frame.row(0) == first
    if "\n\n" in text:
        assert frame.rows() == [(1, 2), (3, 4)]


def test_a_late_surprise_does_not_stop_the_reading(tmp_path):
    lines = ["a,b,y"] + [f"{i},{i},{i % 2}" for i in range(2000)]
    lines[1500] = "0.5,NA,1"
    lines[1600] = "1,1e400,0"
    lines[1700] = "inf,1,0"
    with pytest.raises(DataError, match=r"'a' is infinite in row 1700"):
        load(write(tmp_path, "\n".join(lines)))
    del lines[1700]
    with pytest.raises(DataError, match=r"'b' is infinite in row 1600"):
        load(write(tmp_path, "\n".join(lines)))
    del lines[1600]
    frame = load(write(tmp_path, "\n".join(lines))).frame
    assert frame["a"][1499] == 0.5
    assert frame["b"][1499] is None


@pytest.mark.parametrize("form", ["gz", "bz2", "xz", "zip"])
def test_compressed_tables(tmp_path, form):
    data = b"a,b\n1,2\n3,4\n"
    path = tmp_path / f"t.csv.{form}"
    if form == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("t.csv", data)
    else:
        pack = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}[form]
        path.write_bytes(pack(data))
    assert load(path, labelled=False).frame.rows() == [(1, 2), (3, 4)]
    whole = path.read_bytes()
    for cut in (len(whole) // 2, len(whole) - 3):
        path.write_bytes(whole[:cut])
        with pytest.raises(DataError, match=r"cannot be read as .* truncated or altered"):
            load(path)


def test_another_encoding_can_be_given(tmp_path):
    path = write(tmp_path, "stra\xdfe,y\nM\xfcnchen,1\nK\xf6ln,2\n".encode("latin-1"))
    with pytest.raises(DataError, match="line 1 has the byte 0xDF at place 5, which is not UTF-8"):
        load(path)
    assert load(path, encoding="latin-1").frame["straße"].to_list() == ["München", "Köln"]
    with pytest.raises(UsageError, match="encoding='klingon' is not known"):
        load(path, encoding="klingon")
    with pytest.raises(DataError, match="line 1 is not ascii"):
        load(path, encoding="ascii")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"\n  \n", "is empty"),
        (b"a,b\n", "a header but no rows"),
        (b"a,b\n\n\n", "a header but no rows"),
        (b"a,b\n1,2\n3\n4,5\n", "line 3 has 1 field, the header has 2"),
        (b"a,b\n1,2\n3,4,5\n", "line 3 has 3 fields, the header has 2"),
        (b'a,b\n1,"x\ny"\n3\n', "line 4 has 1 field, the header has 2"),
        (b"a,b,a\n1,2,3\n", "two columns named 'a'"),
        (b"a,b\n1,\xe9\n", "line 2 has the byte 0xE9 at place 3, which is not UTF-8"),
        (b"a,b\n1,2\x00\n", "holds zero bytes"),
        (b'a,b\n1,"x\n3,4\n', "line|cannot be read as a text table"),
        (b"a,b\n,1\n,2\n", "column 'a' has no value in any row"),
        (b"a,b\n1,\n2,1\n3,\n", "the target 'b' is missing in rows 1 and 3"),
        (b"a,b\ninf,1\n2,1\n", "column 'a' is infinite in row 1"),
        (b"a\n1\n2\n", "no column left to learn from"),
    ],
)
def test_bad_tables_are_named(tmp_path, data, words):
    path = write(tmp_path, data)
    with pytest.raises(DataError, match=words) as caught:
        load(path)
    assert path in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("y", "options", "words"),
    [
        ("xxxxxx", {}, "has one class only"),
        ("abcdef", {}, "6 classes in 6 rows"),
        ("aabbcc", {"target": "z"}, "the target 'z' is not there; the columns are 'a', 'y'"),
        ("aabbcc", {"task": "regression"}, "holds text such as 'a'"),
    ],
)
def test_bad_targets_are_named(tmp_path, y, options, words):
    path = write(tmp_path, "a,y\n" + "".join(f"{i},{v}\n" for i, v in enumerate(y)))
    with pytest.raises(DataError, match=words) as caught:
        Encoder.fit(load(path, **options))
    assert path in str(caught.value)


def test_short_lines_are_found_in_the_middle_of_a_large_file(tmp_path):
    lines = ["a,b"] + [f"{i},{i}" for i in range(50_000)]
    lines[40_000] = "7"
    with pytest.raises(DataError, match="line 40001 has 1 field"):
        load(write(tmp_path, "\n".join(lines)))


def test_the_fingerprint_is_that_of_the_file(tmp_path):
    import hashlib

    data = b"a,b\n1,2\n3,4\n"
    path = write(tmp_path, data)
    print_ = load(path, labelled=False).source.fingerprint
    assert print_["size"] == len(data)
    expected = hashlib.sha256(b"t.csv" + data).hexdigest()
    assert print_ == {"path": path, "size": len(data), "sha256": expected}


def test_numbers_are_read_to_the_last_bit(tmp_path):
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.normal(size=(200, 5)) * 10.0 ** rng.integers(-200, 200, (200, 5)))
    frame["y"] = np.arange(200) % 2
    path = tmp_path / "t.csv"
    frame.to_csv(path, index=False)
    lines = path.read_text().splitlines()[1:]
    theirs = [[float(cell) for cell in line.split(",")[:5]] for line in lines]
    assert np.array_equal(load(path).frame.to_numpy(), theirs)
