"""The functions and constants that a formula may use: one table, read by every other file here.

`numeric.py` (JAX) and `symbolic.py` (SymPy) each give these names a meaning; a test holds their
tables to this one.
"""

from __future__ import annotations

from typing import NamedTuple


class Known(NamedTuple):
    """A function of the vocabulary: how many arguments it takes and how LaTeX writes it."""

    least: int
    most: int
    latex: str


MANY = 1_000

FUNCTIONS: dict[str, Known] = {
    "sin": Known(1, 1, r"\sin"),
    "cos": Known(1, 1, r"\cos"),
    "tan": Known(1, 1, r"\tan"),
    "asin": Known(1, 1, r"\arcsin"),
    "acos": Known(1, 1, r"\arccos"),
    "atan": Known(1, 1, r"\arctan"),
    "atan2": Known(2, 2, r"\operatorname{atan2}"),
    "sinh": Known(1, 1, r"\sinh"),
    "cosh": Known(1, 1, r"\cosh"),
    "tanh": Known(1, 1, r"\tanh"),
    "asinh": Known(1, 1, r"\operatorname{arsinh}"),
    "acosh": Known(1, 1, r"\operatorname{arcosh}"),
    "atanh": Known(1, 1, r"\operatorname{artanh}"),
    "exp": Known(1, 1, r"\exp"),
    "expm1": Known(1, 1, r"\operatorname{expm1}"),
    "ln": Known(1, 1, r"\ln"),
    "log": Known(1, 1, r"\log"),
    "log10": Known(1, 1, r"\log_{10}"),
    "log2": Known(1, 1, r"\log_{2}"),
    "log1p": Known(1, 1, r"\operatorname{log1p}"),
    "sqrt": Known(1, 1, r"\sqrt"),
    "cbrt": Known(1, 1, r"\sqrt[3]"),
    "abs": Known(1, 1, r"\operatorname{abs}"),
    "sign": Known(1, 1, r"\operatorname{sign}"),
    "step": Known(1, 1, r"\operatorname{step}"),
    "floor": Known(1, 1, r"\operatorname{floor}"),
    "ceil": Known(1, 1, r"\operatorname{ceil}"),
    "min": Known(2, MANY, r"\min"),
    "max": Known(2, MANY, r"\max"),
    "sigmoid": Known(1, 1, r"\sigma"),
    "relu": Known(1, 1, r"\operatorname{relu}"),
    "softplus": Known(1, 1, r"\operatorname{softplus}"),
    "erf": Known(1, 1, r"\operatorname{erf}"),
}
"""`log` is the natural logarithm, as in Python, NumPy and SymPy; so is `ln`. `step(x)` is 1 for
x > 0 and 0 elsewhere: the derivative of `relu`."""

ALIASES = {
    "arcsin": "asin",
    "arccos": "acos",
    "arctan": "atan",
    "arctan2": "atan2",
    "arcsinh": "asinh",
    "arccosh": "acosh",
    "arctanh": "atanh",
    "sgn": "sign",
    "ceiling": "ceil",
    "lg": "log10",
    "logistic": "sigmoid",
}

REDUCTIONS = {"sum": r"\sum", "prod": r"\prod"}

CONSTANTS = {"pi": r"\pi", "e": "e"}

GREEK = frozenset((
    "alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "kappa", "mu", "nu",
    "xi", "rho", "tau", "phi", "chi", "psi", "omega",
))  # fmt: skip
"""Names of several letters that are variables; every other variable is one letter and digits."""
