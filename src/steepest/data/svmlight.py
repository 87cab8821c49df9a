"""SVMlight files: `label index:value index:value ...`, absent features being zero."""

from __future__ import annotations

import dataclasses
import os

import numpy as np

from steepest.data.dataset import Source, Table
from steepest.data.guard import reading
from steepest.data.memory import from_arrays


def load_svmlight(path: str) -> Table:
    """A dense table of an SVMlight file.

    Rows to come may name fewer features, as trailing zeros are not written; `pads` says so.
    """
    # scikit-learn's parser; imported here as it takes 0.6 s.
    from sklearn.datasets import load_svmlight_file

    with reading(path, "an SVMlight file", "each line is `label index:value ...`: correct it"):
        x, y = load_svmlight_file(path, dtype=np.float64)
        dense = x.toarray()
    table = from_arrays(dense, y, name=os.path.basename(path))
    return dataclasses.replace(table, source=Source(path, (path,)), pads=True)
