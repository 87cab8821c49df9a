"""Data: any source to a `Table`, a `Table` to `Arrays`."""

from steepest.data.dataset import Arrays, Source, Table
from steepest.data.encode import Encoder
from steepest.data.report import ColumnReport
from steepest.data.sources import load
from steepest.data.split import Split, split

__all__ = ["Arrays", "ColumnReport", "Encoder", "Source", "Split", "Table", "load", "split"]
