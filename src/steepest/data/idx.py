"""IDX files, in which MNIST, Fashion-MNIST and their kin ship: a folder of images and labels."""

from __future__ import annotations

import dataclasses
import gzip
import os
import re

import numpy as np

from steepest.core.errors import DataError
from steepest.data.compressed import compression, decompressed
from steepest.data.dataset import Source, Table
from steepest.data.guard import reading

_TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_NAME = re.compile(r"(?P<part>.+?)[-_.](?P<what>images|labels)[-_.]idx\d[-_.]ubyte(\.gz)?")
TESTS = ("t10k", "test")


def idx_files(folder: str) -> dict[tuple[str, str], str]:
    """`{("train", "images"): path, ...}` for the IDX files of a folder."""
    found: dict[tuple[str, str], str] = {}
    for name in sorted(os.listdir(folder)):
        match = _NAME.fullmatch(name)
        if match:
            # The uncompressed one of two is found later, and is quicker to read.
            key = match["part"].lower(), match["what"]
            if key not in found or found[key].endswith(".gz"):
                found[key] = os.path.join(folder, name)
    return found


def read_idx(path: str) -> np.ndarray:
    """The array of one IDX file, gzipped or not; raises DataError where it is not whole.

    The format: two zero bytes, a type, the number of axes; each axis as a big-endian uint32; then
    the values in row-major order. Source: http://yann.lecun.com/exdb/mnist (The IDX file format).
    """
    if compression(path):
        data = decompressed(path)
    else:
        with reading(path, "an IDX file"), open(path, "rb") as file:
            data = file.read()
    if len(data) < 4 or data[:2] != b"\x00\x00" or data[2] not in _TYPES:
        raise DataError(f"{path} is not an IDX file, by its first bytes; fetch it again.")
    axes, dtype = data[3], np.dtype(_TYPES[data[2]])
    start = 4 + 4 * axes
    shape = tuple(int(n) for n in np.frombuffer(data[4:start], ">u4", len(data[4:start]) // 4))
    wanted = start + dtype.itemsize
    for n in shape:
        wanted = start + (wanted - start) * n
    if len(shape) != axes or len(data) != wanted:
        raise DataError(
            f"{path} has {len(data)} bytes, but {wanted} by its header; "
            "it is truncated or altered: fetch it again."
        )
    values = np.frombuffer(data, dtype, offset=start).reshape(shape)
    return values.astype(dtype.newbyteorder("="), copy=False)


def header(path: str) -> tuple[np.dtype, tuple[int, ...], int]:
    """(kind of the values, shape, bytes before the values) of an IDX file, gzipped or not."""
    opened = gzip.open if compression(path) == "gzip" else open
    with reading(path, "an IDX file"), opened(path, "rb") as file:
        start = file.read(4)
        if len(start) < 4 or start[:2] != b"\x00\x00" or start[2] not in _TYPES:
            raise DataError(f"{path} is not an IDX file, by its first bytes; fetch it again.")
        sizes = file.read(4 * start[3])
    if len(sizes) < 4 * start[3]:
        raise DataError(f"{path} ends within its header; it is truncated: fetch it again.")
    shape = tuple(int(n) for n in np.frombuffer(sizes, ">u4"))
    return np.dtype(_TYPES[start[2]]), shape, 4 + len(sizes)


def images_table(folder: str, images: np.ndarray, labels: np.ndarray, source: Source) -> Table:
    """Images (n, height, width) and their labels as a table."""
    return Table(
        x=images.astype(images.dtype.newbyteorder("="), copy=False)[..., None],
        y=labels.astype(labels.dtype.newbyteorder("="), copy=False),
        name=os.path.basename(os.path.normpath(folder)),
        target="label",
        task="classification",
        image_shape=(*images.shape[1:], 1),
        source=source,
    )


def load_idx(folder: str, target: str = "label") -> Table:
    """Training images and labels, and those of testing as the table's `test`.

    Images have the shape (n, height, width, 1).
    """
    files = idx_files(folder)
    parts = sorted({part for part, _ in files})
    training = [p for p in parts if p not in TESTS]
    if len(training) != 1:
        raise DataError(
            f"{folder} holds IDX files of {', '.join(parts)}; "
            "one set of training images (train-images-idx3-ubyte) is needed."
        )
    table = _part(folder, files, training[0], target)
    tests = [p for p in parts if p in TESTS]
    if tests:
        test = _part(folder, files, tests[0], target)
        if test.x is not None and table.x is not None and test.x.shape[1:] != table.x.shape[1:]:
            raise DataError(
                f"{folder}: test images have the shape {test.x.shape[1:]}, training images "
                f"{table.x.shape[1:]}; they must be equal."
            )
        table = dataclasses.replace(table, test=test)
    return dataclasses.replace(table, source=Source(folder, tuple(files[k] for k in sorted(files))))


def _part(folder: str, files: dict, part: str, target: str) -> Table:
    for what in ("images", "labels"):
        if (part, what) not in files:
            raise DataError(
                f"{folder} has no {part}-{what} file beside the others; "
                "put images and labels into one folder."
            )
    images, labels = read_idx(files[part, "images"]), read_idx(files[part, "labels"])
    if images.ndim != 3 or labels.ndim != 1 or len(images) != len(labels) or 0 in images.shape:
        raise DataError(
            f"{folder}: {part} has images of shape {images.shape} and labels of shape "
            f"{labels.shape}; give (n, height, width) and (n,)."
        )
    source = Source(folder, (files[part, "images"], files[part, "labels"]))
    return dataclasses.replace(images_table(folder, images, labels, source), target=target)
