"""The methods that look at one fixed objective, by name."""

from __future__ import annotations

from steepest.optimizers.conjugate_gradient import ConjugateGradient
from steepest.optimizers.gauss_newton import GaussNewton, LevenbergMarquardt
from steepest.optimizers.newton import Newton
from steepest.optimizers.proximal import FISTA
from steepest.optimizers.quasi_newton import BFGS, LBFGS
from steepest.optimizers.steplength import BacktrackingGD, BarzilaiBorwein, PolyakStep

SEARCH_OPTIMIZERS: dict[str, type] = {
    "backtracking": BacktrackingGD,
    "barzilaiborwein": BarzilaiBorwein,
    "polyak": PolyakStep,
    "cg": ConjugateGradient,
    "bfgs": BFGS,
    "lbfgs": LBFGS,
    "newton": Newton,
    "fista": FISTA,
    "gaussnewton": GaussNewton,
    "levenbergmarquardt": LevenbergMarquardt,
}
