"""The tables of gradient descent: common questions, answered by measurement on real data.

Each table is a file of this folder; `TABLES` lists them. `measure` makes one.
"""

from __future__ import annotations

import time
from dataclasses import replace
from importlib import import_module
from typing import Any

from steepest.core.errors import UsageError
from steepest.study.tables.bench import Bench
from steepest.study.tables.table import Chart, Claim, Series, Table

TABLES = {
    1: "learning_rate",
    2: "epochs",
    3: "batch_time",
    4: "activation",
    5: "decay",
    6: "mini_batch",
    7: "momentum",
    8: "regularization",
    9: "complexity",
    10: "optimizer",
    11: "vanishing",
    12: "threshold",
    13: "restarts",
    14: "linear_models",
}

__all__ = ["TABLES", "Bench", "Chart", "Claim", "Series", "Table", "measure", "module"]


def module(number: int) -> Any:
    """The file of a table; UsageError for a number that is none."""
    if number not in TABLES:
        raise UsageError(f"there is no table {number}; they are 1 to {len(TABLES)}.")
    return import_module(f"steepest.study.tables.{TABLES[number]}")


def measure(number: int, bench: Bench) -> Table:
    """Measure a table."""
    began = time.perf_counter()
    found: Table = module(number).measure(bench)
    return replace(found, seconds=time.perf_counter() - began)
