"""steepest: gradient descent, whole.

Names are imported when they are first used, so that `import steepest` costs nothing and
`steepest --help` never waits for JAX.
"""

from __future__ import annotations

from typing import Any

_WHERE = {
    "DataError": "steepest.core.errors",
    "DivergedError": "steepest.core.errors",
    "FileError": "steepest.core.errors",
    "FormulaError": "steepest.core.errors",
    "MissingExtraError": "steepest.core.errors",
    "Outcome": "steepest.core.outcome",
    "Reason": "steepest.core.outcome",
    "SteepestError": "steepest.core.errors",
    "Trace": "steepest.core.trace",
    "UsageError": "steepest.core.errors",
}

__all__ = sorted(_WHERE)


def __getattr__(name: str) -> Any:
    import importlib

    if name == "__version__":
        from importlib.metadata import version

        return version("steepest")
    if name not in _WHERE:
        raise AttributeError(f"module 'steepest' has no attribute {name!r}")
    value = getattr(importlib.import_module(_WHERE[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
