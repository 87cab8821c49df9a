"""Layer 1: functions of a few variables, typed as text or known by name.

    f = function("x^2 + x*y + y^2")      # or function("rosenbrock", dimensions=10)
    f([3.0, -2.0]), jax.grad(f)(w)       # any JAX transformation
    analyse(f)                           # derivatives, eigenvalues, critical points, limits

Parsing loads neither JAX nor SymPy; they are imported when a value or a derivative is asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from steepest.functions.function import Function, function
from steepest.functions.parse import parse
from steepest.functions.surfaces import SURFACES, Minimum, Surface

if TYPE_CHECKING:
    from steepest.functions.analysis import Analysis, analyse
    from steepest.functions.derivatives import Derivatives, check, differentiate

_LATE = {
    "Analysis": "analysis",
    "analyse": "analysis",
    "Derivatives": "derivatives",
    "check": "derivatives",
    "differentiate": "derivatives",
}

__all__ = [
    "SURFACES",
    "Analysis",
    "Derivatives",
    "Function",
    "Minimum",
    "Surface",
    "analyse",
    "check",
    "differentiate",
    "function",
    "parse",
]


def __getattr__(name: str):
    if name in _LATE:
        import importlib

        module = importlib.import_module(f"steepest.functions.{_LATE[name]}")
        value = globals()[name] = getattr(module, name)
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
