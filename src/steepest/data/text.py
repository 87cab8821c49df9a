"""Columns of running text as inputs: hashed words and pairs of words."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import polars as pl

from steepest.data.columns import Column, Warn
from steepest.data.report import ColumnReport

BUCKETS = 256


@dataclass(frozen=True)
class Text(Column):
    """Counts of words and of pairs of neighbouring words, hashed to 256 inputs with a sign.

    A word w adds s(w) to input h(w), where h and s come from its CRC-32; a row is then scaled to
    length 1. Words are runs of letters and digits, in lower case. Missing text is 0 throughout.

    Source: Weinberger et al., "Feature hashing for large scale multitask learning", ICML 2009.
    """

    kind: ClassVar[str] = "text"
    name: str
    buckets: int = BUCKETS

    @property
    def width(self) -> int:
        return self.buckets

    @property
    def report(self) -> ColumnReport:
        """How many inputs the words became."""
        action = f"words and pairs of words hashed to {self.buckets} inputs"
        return ColumnReport(self.name, self.kind, action, self.width)

    def write(self, series: pl.Series, out: np.ndarray, first: int, warn: Warn) -> None:
        """Hashed counts of unit length into the rows of `out`."""
        try:
            text = series.cast(pl.String).fill_null("")
        except pl.exceptions.PolarsError:
            return
        words = (
            pl.DataFrame({"text": text})
            .with_row_index("row")
            .select("row", pl.col("text").str.to_lowercase().str.extract_all(r"[\p{L}\p{N}]+"))
            .explode("text")
            .drop_nulls("text")
        )
        follows = pl.col("row") == pl.col("row").shift(-1)
        pairs = words.select(
            "row",
            pl.when(follows).then(pl.concat_str("text", pl.col("text").shift(-1), separator=" ")),
        ).drop_nulls("text")
        grams = pl.concat([words, pairs])
        if not grams.height:
            return
        # CRC-32 is the same everywhere and for ever, and is taken once for each distinct word.
        distinct = grams["text"].unique()
        code = np.array([zlib.crc32(word.encode()) for word in distinct.to_list()], np.int64)
        hashed = pl.DataFrame(
            {"text": distinct, "bucket": code % self.buckets, "sign": 1.0 - 2.0 * (code >> 31)}
        )
        found = grams.join(hashed, on="text", how="left")
        place = found["row"].to_numpy().astype(np.int64) * self.buckets + found["bucket"].to_numpy()
        counts = np.bincount(place, found["sign"].to_numpy(), out.size).reshape(out.shape)
        length = np.sqrt(np.square(counts).sum(axis=1, keepdims=True))
        out[:] = counts / np.where(length > 0, length, 1.0)
