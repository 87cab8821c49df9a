"""NPY and NPZ files: arrays by name, never pickled objects."""

from __future__ import annotations

import dataclasses
import os

import numpy as np
import polars as pl

from steepest.core.errors import DataError
from steepest.data.dataset import Source, Table
from steepest.data.guard import reading
from steepest.data.memory import from_arrays

INPUTS = ("x_train", "x", "data", "images", "features", "inputs", "arr_0")
TARGETS = ("y_train", "y", "target", "targets", "labels", "label", "arr_1")


def read_npy(path: str) -> pl.DataFrame | np.ndarray:
    """Columns of a two-dimensional or structured array; an array of other shapes as it is."""
    with reading(path, "an NPY file"), open(path, "rb") as raw:
        array = np.load(raw, allow_pickle=False)
        if array.dtype.names:
            return pl.DataFrame(
                {name: np.ascontiguousarray(array[name]) for name in array.dtype.names}
            )
        if array.ndim == 2 and array.dtype.kind in "biuf":
            columns = np.asfortranarray(array)
            return pl.DataFrame({f"column_{i + 1}": columns[:, i] for i in range(array.shape[1])})
        return array


def load_npz(path: str, target: str | None, weights: str | None, labelled: bool) -> Table:
    """Inputs and targets by their usual names: X and y, data and target, x_train and y_train.

    `x_test` and `y_test` become the table's `test`. `target` and `weights` name other arrays.
    """
    # The file is opened here, as NumPy leaves it open where the archive is damaged.
    with reading(path, "an NPZ file"), open(path, "rb") as raw:
        file = np.load(raw, allow_pickle=False)
        arrays = {name: file[name] for name in file.files}
    lower = {name.lower(): name for name in arrays}
    shown = ", ".join(map(repr, arrays)) or "none"
    x = next((lower[n] for n in INPUTS if n in lower and lower[n] != target), None)
    if x is None:
        raise DataError(f"{path} has no array named X, x_train or data; its arrays are {shown}.")
    for wanted in (target if labelled else None, weights):
        if wanted is not None and wanted not in arrays:
            raise DataError(f"{path} has no array named {wanted!r}; its arrays are {shown}.")
    y = target or next((lower[n] for n in TARGETS if n in lower), None) if labelled else None
    if labelled and y is None:
        raise DataError(
            f"{path} has no array named y, y_train or target; its arrays are {shown}: "
            "name the target."
        )
    name, origin = os.path.basename(path), Source(path, (path,))

    def table(inputs: str, targets: str | None, test: Table | None = None) -> Table:
        made = from_arrays(
            arrays[inputs],
            None if targets is None else arrays[targets],
            None if weights is None or (test is None and inputs != x) else arrays[weights],
            name,
        )
        return dataclasses.replace(made, target=targets or "target", source=origin, test=test)

    test = None
    if labelled and "x_test" in lower and "y_test" in lower:
        test = table(lower["x_test"], lower["y_test"])
    return table(x, y, test)
