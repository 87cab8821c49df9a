"""The iterates of a finished run, found by running it again."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from steepest.core.record import replace
from steepest.diagnose.case import Case
from steepest.engine.runs import run


def iterates(case: Case, count: int = 50) -> Any:
    """About `count` iterates of the run, evenly spaced: trees like its weights, a leading axis.

    A run's directory keeps the best weights alone; its settings and seed give the others again, to
    rounding. The start is the first one, and the weights after the last step are not among them.
    """
    steps = max(case.taken, 1)
    spec = replace(case.settings, probes=("params",)).spec_for(case.encoder)
    runs = run(
        [spec], case.train, case.parts.get("validation"), seeds=(case.seed,),
        batch_size=case.settings.batch_size, epochs=case.settings.epochs,
        dtype=case.settings.dtype, every=max(1, -(-steps // max(count, 2))),
    )  # fmt: skip
    path = jax.tree.map(lambda w: np.asarray(w)[:, 0, 0], runs.trace.steps["params"])
    known = np.all(
        [np.isfinite(w).reshape(len(w), -1).all(axis=1) for w in jax.tree.leaves(path)], axis=0
    )
    return jax.tree.map(lambda w: w[known], path)
