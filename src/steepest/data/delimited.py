"""CSV, TSV and their kin: separator, header, quoting and encoding found; faults named by line."""

from __future__ import annotations

import codecs
import csv
import io
import warnings

import numpy as np
import polars as pl

from steepest.core.errors import DataError, UsageError
from steepest.data.compressed import compression, decompressed
from steepest.data.dialect import MISSING, Dialect, sniff
from steepest.data.guard import reading

HEAD = 1 << 18
_SNIFFED = 100
_INFERRED = 500
BOMS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}


def read_delimited(path: str, encoding: str | None = None) -> pl.DataFrame:
    """The columns of a text table; raises DataError with the line of what is wrong.

    A file without compression and in UTF-8 goes to polars by its path, so it is not held twice.
    """
    held = decompressed(path) if compression(path) else None
    with reading(path, "a text table"):
        head = _head(path, held)
        encoding = encoding or next((e for bom, e in BOMS.items() if head.startswith(bom)), None)
        if encoding is not None:
            held = _to_utf8(path, _all(path, held), encoding)
            head = held[:HEAD]
        if b"\r" in head and b"\n" not in head:
            held = _all(path, held).replace(b"\r", b"\n")
            head = held[:HEAD]
    dialect = dialect_of(path, head, held)
    frame = _parse(path, held, dialect)
    frame = without_blank_lines(path, held, frame)
    if not frame.height:
        raise DataError(f"{path} has a header but no rows; give rows of data.")
    if frame.width > 1 and frame.to_series(-1).null_count():
        # polars fills up short lines with nulls; only then can there be one.
        refuse_ragged(path, held, dialect)
    return frame.select(tidy(series) for series in frame.get_columns())


def _head(path: str, held: bytes | None) -> bytes:
    if held is not None:
        return held[:HEAD]
    with open(path, "rb") as file:
        return file.read(HEAD)


def _all(path: str, held: bytes | None) -> bytes:
    if held is not None:
        return held
    with open(path, "rb") as file:
        return file.read()


def _to_utf8(path: str, data: bytes, encoding: str) -> bytes:
    try:
        return data.decode(encoding).encode()
    except LookupError:
        raise UsageError(
            f"encoding={encoding!r} is not known; try 'utf-8', 'cp1252' or 'utf-16'."
        ) from None
    except UnicodeError as error:
        start = getattr(error, "start", 0)
        line = data.count(b"\n", 0, start) + 1
        raise DataError(
            f"{path}: line {line} is not {encoding} ({getattr(error, 'reason', error)}); "
            "give the encoding that it was written in."
        ) from None


def dialect_of(path: str, head: bytes, held: bytes | None) -> Dialect:
    """How the first bytes of a text table are written; DataError where they are none."""
    if b"\x00" in head:
        raise DataError(f"{path} is not a text table, as it holds zero bytes; check its format.")
    text = head.decode("utf-8", errors="replace")
    lines = [line.rstrip("\r") for line in text.split("\n") if line.strip()]
    if not lines:
        raise DataError(f"{path} is empty; give a table with a header and rows.")
    if len(head) == HEAD and len(lines) > 1:
        lines.pop()  # cut off in the middle
    if "\ufffd" in lines[0]:
        refuse_encoding(path, held)
    dialect = sniff(lines[:_SNIFFED])
    seen: set[str] = set()
    for name in dialect.names:
        if name in seen:
            raise DataError(f"{path} has two columns named {name!r}; rename one of them.")
        seen.add(name)
    if dialect.header and len(lines) == 1 and len(head) < HEAD:
        raise DataError(f"{path} has a header but no rows; give rows of data.")
    return dialect


def _parse(path: str, held: bytes | None, dialect: Dialect) -> pl.DataFrame:
    try:
        # Kinds are inferred from the first rows. Where later ones differ, it may be by a word for a
        # missing value, or by a kind that only the whole file shows; each attempt is slower.
        for inferred, missing in ((_INFERRED, None), (10 * _INFERRED, list(MISSING))):
            try:
                return _read(path, held, dialect, inferred, missing)
            except pl.exceptions.ComputeError as error:
                if "could not parse" not in str(error):
                    raise
        return _read(path, held, dialect, None, list(MISSING))
    except pl.exceptions.PolarsError as error:
        if "utf-8" in str(error).lower() or "utf8" in str(error).lower():
            refuse_encoding(path, held)
        refuse_ragged(path, held, dialect)
        with reading(path, "a text table"):
            raise
    except BaseException:
        with reading(path, "a text table"):
            raise
    raise AssertionError("unreachable")


def _read(
    path: str,
    held: bytes | None,
    dialect: Dialect,
    inferred: int | None,
    missing: list[str] | None = None,
) -> pl.DataFrame:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pl.read_csv(
            path if held is None else io.BytesIO(held),
            separator=dialect.separator,
            has_header=dialect.header,
            new_columns=list(dialect.names),
            null_values=missing,
            infer_schema_length=inferred,
            decimal_comma=dialect.decimal_comma,
            glob=False,
        )


def without_blank_lines(path: str, held: bytes | None, frame: pl.DataFrame) -> pl.DataFrame:
    """Rows that are blank lines left out; a row of empty fields stays a row."""
    if frame.width < 2 or not frame.height or not frame.to_series(0).null_count():
        return frame
    blank = frame.select(pl.all_horizontal(pl.all().is_null())).to_series()
    if not blank.any():
        return frame
    data = _all(path, held)
    if not any(two in data for two in (b"\n\n", b"\n\r\n", b"\n \n", b"\n\t\n")):
        return frame
    return frame.filter(~blank)


def tidy(series: pl.Series, numbers: bool = True) -> pl.Series:
    """Strings without blanks around them or words for missing; `numbers` where all are."""
    if series.dtype != pl.String:
        return series
    glance = series.head(1000)
    if (glance != glance.str.strip_chars()).any():
        series = series.str.strip_chars()
    missing = series.is_in(MISSING)
    if missing.any():
        series = series.set(missing, None)
    first = series.head(1000).drop_nulls()
    if numbers and len(first) and not first.cast(pl.Float64, strict=False).null_count():
        for dtype in (pl.Int64, pl.Float64):
            found = series.cast(dtype, strict=False)
            if found.null_count() == series.null_count():
                return found
    return series


def refuse_encoding(path: str, held: bytes | None, lines: int = 0) -> None:
    """Raise DataError for the first byte that is not UTF-8; `lines` stand before what is held."""
    data = _all(path, held)
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = lines + data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise DataError(
            f"{path}: line {line} has the byte 0x{data[error.start]:02X} at place {column}, which "
            "is not UTF-8; save it as UTF-8, as by `iconv -f cp1252 -t utf-8`, or give its "
            "encoding (--encoding cp1252, in Python encoding='cp1252')."
        ) from None


def refuse_ragged(path: str, held: bytes | None, dialect: Dialect, lines: int = 0) -> None:
    """Raise DataError for the first line with another number of fields than the header.

    `lines` stand before what is held.
    """
    data = _all(path, held)
    width = len(dialect.names)
    quotes = b'"' in data
    found = _ragged_quoted(data, dialect, width) if quotes else _ragged(data, dialect, width)
    if found is not None:
        line, count = found
        than = "the header has" if dialect.header else "the first line has"
        raise DataError(
            f"{path}: line {lines + line} has {count} field{'s' if count != 1 else ''}, "
            f"{than} {width}; correct or remove this line."
        )


def _ragged(data: bytes, dialect: Dialect, width: int) -> tuple[int, int] | None:
    """Line and fields, for text without quotes: separators counted between line ends."""
    separator, lines = ord(dialect.separator), 0
    start, block = 0, 1 << 24
    while start < len(data):
        stop = data.rfind(b"\n", start, start + block) + 1
        if stop <= start:
            stop = data.find(b"\n", start) + 1 or len(data)
        part = np.frombuffer(data, np.uint8, stop - start, start)
        ends = np.flatnonzero(part == 10)
        if not len(ends) or ends[-1] != len(part) - 1:
            ends = np.append(ends, len(part))
        at = np.flatnonzero(part == separator)
        counts = np.diff(np.searchsorted(at, ends), prepend=0) + 1
        starts = np.concatenate([[0], ends[:-1] + 1])
        wrong = np.flatnonzero(counts != width)
        for i in wrong.tolist():
            if bytes(part[starts[i] : ends[i]]).strip():
                return lines + i + 1, int(counts[i])
        lines += len(ends)
        start = stop
    return None


def _ragged_quoted(data: bytes, dialect: Dialect, width: int) -> tuple[int, int] | None:
    text = io.TextIOWrapper(io.BytesIO(data), "utf-8", errors="replace", newline="")
    rows = csv.reader(text, delimiter=dialect.separator)
    while True:
        line = rows.line_num + 1
        try:
            row = next(rows)
        except StopIteration:
            return None
        except csv.Error:
            return None
        if len(row) != width and any(cell.strip() for cell in row):
            return line, len(row)
