"""What was done with each column, in words that a person can check."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class ColumnReport:
    """One column: its kind, what was done with it, and how many inputs it became."""

    name: str
    kind: str
    action: str
    width: int

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)
