"""Outputs of fitted models for new rows, a block at a time."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from steepest.engine.compiling import precision
from steepest.engine.program import program
from steepest.engine.runs import BLOCK_ROWS, bucket
from steepest.engine.spec import cast_host
from steepest.estimators.inputs import Scaling, dense

BLOCK_NUMBERS = 2**24
"""How many inputs are predicted from at once."""


def outputs(model: Any, points: Any, X: Any, scaling: Scaling, dtype: str) -> np.ndarray:
    """f_w(x) of every member at `points` (params, buffers; members first), computed in `dtype`.

    Rows, sparse ones too, are scaled and made dense a block at a time: (members, rows, outputs).
    Blocks have few sizes, so that rows of any number share programs.
    """
    params, buffers = cast_host(points, dtype)
    model, out = cast_host(model, dtype), []
    most = max(64, min(BLOCK_ROWS, BLOCK_NUMBERS // X.shape[1]))
    with precision(dtype):
        for first in range(0, X.shape[0], most):
            block = scaling(dense(X[first : first + most]), dtype)
            n = len(block)
            rows = max(64, 1 << (n - 1).bit_length()) if n <= 512 else bucket(n)
            block = np.concatenate([block, np.zeros((rows - n, X.shape[1]), block.dtype)])
            out.append(np.asarray(_members(model, params, buffers, block))[:, :n])
    return np.concatenate(out, axis=1)


@program
def _members(model, params, buffers, x):
    def one(params, buffers):
        return model.forward(params, buffers, x, train=False)[0]

    return jax.vmap(one)(params, buffers)
