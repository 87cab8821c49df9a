"""Files and folders: the format found by name and first bytes, then read in columns."""

from __future__ import annotations

import io
import json
import os

import polars as pl

from steepest.core.errors import DataError
from steepest.data.compressed import bare_name, compression, decompressed, start_of
from steepest.data.delimited import read_delimited
from steepest.data.guard import reading, reason
from steepest.data.idx import idx_files
from steepest.data.images import image_folders

FORMATS = {
    "csv": (".csv", ".tsv", ".tab", ".txt", ".data", ".dat"),
    "parquet": (".parquet", ".pq"),
    "arrow": (".arrow", ".feather", ".ipc", ".arrows"),
    "npy": (".npy",),
    "npz": (".npz",),
    "jsonl": (".jsonl", ".ndjson", ".json"),
    "svmlight": (".svm", ".svmlight", ".libsvm"),
}
_MAGIC = {b"PAR1": "parquet", b"ARROW1": "arrow", b"\x93NUMPY": "npy", b"\xff\xff\xff\xff": "arrow"}


def find_format(path: str) -> str:
    """`csv`, `parquet`, `arrow`, `npy`, `npz`, `jsonl`, `svmlight`, `idx` or `images`."""
    if os.path.isdir(path):
        with reading(path, "a folder"):
            if idx_files(path):
                return "idx"
            if image_folders(path):
                return "images"
        raise DataError(
            f"{path} is a folder without data; it needs IDX files (train-images-idx3-ubyte, ...), "
            "or a subfolder of images for each class. For a table, give the file."
        )
    start = start_of(path)
    if not start:
        raise DataError(f"{path} is empty; give a table with a header and rows.")
    name = bare_name(path).lower()
    found = next((f for f, suffixes in FORMATS.items() if name.endswith(suffixes)), None)
    if found is None:
        found = next((f for magic, f in _MAGIC.items() if start.startswith(magic)), None)
    return found or "csv"


def read_frame(path: str, form: str, encoding: str | None = None) -> pl.DataFrame:
    """The columns of a table file of this format; raises DataError where it is not whole."""
    if form == "csv":
        return read_delimited(path, encoding)
    advice = "it is truncated, altered or of another format: export or fetch it again"
    with reading(path, "Parquet" if form == "parquet" else form, advice):
        source = io.BytesIO(decompressed(path)) if compression(path) else path
        if form == "parquet":
            frame = pl.read_parquet(source, glob=False)
        elif form == "arrow":
            frame = _read_arrow(path, source)
        else:
            frame = _read_json(path, source)
    if not frame.height:
        raise DataError(f"{path} has columns but no rows; give rows of data.")
    return frame


def _read_arrow(path: str, source) -> pl.DataFrame:
    if start_of(path, 6) == b"ARROW1" or not isinstance(source, str):
        return pl.read_ipc(source)
    return pl.read_ipc_stream(source)


def _read_json(path: str, source) -> pl.DataFrame:
    data = source.getvalue() if isinstance(source, io.BytesIO) else _bytes(source)
    if not data.strip():
        raise DataError(f"{path} is empty; give one JSON object per line.")
    if data.lstrip()[:1] == b"[":
        return pl.read_json(io.BytesIO(data), infer_schema_length=None)
    try:
        return pl.read_ndjson(io.BytesIO(data), infer_schema_length=None)
    except BaseException as error:
        _refuse_line(path, data, error)
        raise


def _bytes(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def _refuse_line(path: str, data: bytes, error: BaseException) -> None:
    """Raise DataError for the first line that is no JSON object."""
    for number, line in enumerate(data.splitlines(), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError) as wrong:
            raise DataError(
                f"{path}: line {number} is not JSON ({reason(wrong)}); correct or remove it."
            ) from None
        if not isinstance(value, dict):
            raise DataError(
                f"{path}: line {number} is not a JSON object {{...}}; "
                "give one object per line, with the columns as its keys."
            )
