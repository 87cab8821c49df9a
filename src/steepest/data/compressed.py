"""Files that are compressed: found by their first bytes, whatever their names say."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import zipfile
import zlib

from steepest.core.errors import DataError
from steepest.data.guard import reading

_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bzip2",
    b"\xfd7zXZ\x00": "xz",
    b"PK\x03\x04": "zip",
    b"\x28\xb5\x2f\xfd": "zstd",
}
SUFFIXES = (".gz", ".bz2", ".xz", ".zip", ".zst")


def start_of(path: str, count: int = 16) -> bytes:
    """The first bytes of a file."""
    with reading(path, "a file"), open(path, "rb") as file:
        return file.read(count)


def compression(path: str) -> str | None:
    """`gzip`, `bzip2`, `xz`, `zip`, `zstd`, or None."""
    start = start_of(path)
    return next((name for magic, name in _MAGIC.items() if start.startswith(magic)), None)


def bare_name(path: str) -> str:
    """The file's name without the suffix of a compression."""
    name = os.path.basename(path)
    stem, suffix = os.path.splitext(name)
    return stem if suffix.lower() in SUFFIXES else name


def decompressed(path: str) -> bytes:
    """All bytes of a compressed file; raises DataError where it is truncated or altered."""
    form = compression(path)
    advice = "it is truncated or altered: fetch it again"
    with reading(path, f"{form} file", advice):
        if form == "zip":
            return _only_member(path)
        with open(path, "rb") as file:
            data = file.read()
        if form == "gzip":
            return _gunzip(data)
        if form == "bzip2":
            return bz2.decompress(data)
        if form == "xz":
            return lzma.decompress(data)
        raise DataError(f"{path} is compressed with {form}; decompress it first.")


def _gunzip(data: bytes) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            return file.read()
    except (EOFError, zlib.error) as error:
        raise ValueError(_why(error)) from None


def _why(error: BaseException) -> str:
    """zlib's messages in plain words."""
    return "the end is missing" if isinstance(error, EOFError) else "its bytes do not decompress"


def _only_member(path: str) -> bytes:
    with zipfile.ZipFile(path) as archive:
        names = [
            n for n in archive.namelist() if not n.endswith("/") and not n.startswith("__MACOSX")
        ]
        if len(names) != 1:
            raise DataError(
                f"{path} holds {len(names)} files ({', '.join(names[:5])}); "
                "give an archive of one table, or extract the one that you mean."
            )
        return archive.read(names[0])
