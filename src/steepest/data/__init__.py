"""Data: any source to a `Table`, a `Table` to `Arrays`.

Names are loaded when they are first used: the engine needs this folder for functions too, which
have no data, and reading tables takes a while to import.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from steepest.data.dataset import Arrays, Source, Table
    from steepest.data.encode import Encoder
    from steepest.data.report import ColumnReport
    from steepest.data.sources import load
    from steepest.data.split import Split

_HOME = {
    "Arrays": "dataset",
    "ColumnReport": "report",
    "Encoder": "encode",
    "Source": "dataset",
    "Split": "split",
    "Table": "dataset",
    "load": "sources",
}

__all__ = ["Arrays", "ColumnReport", "Encoder", "Source", "Split", "Table", "load"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
