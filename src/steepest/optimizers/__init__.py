"""Optimizers: the first-order rules, the methods that search along a line, and what wraps them."""

from steepest.optimizers.adam import Adam, AdaMax, AdamW, AMSGrad, NAdam
from steepest.optimizers.adaptive import AdaDelta, AdaGrad, RMSProp
from steepest.optimizers.conjugate_gradient import ConjugateGradient
from steepest.optimizers.gauss_newton import GaussNewton, LevenbergMarquardt
from steepest.optimizers.gradient_descent import GradientDescent, Momentum, Nesterov
from steepest.optimizers.groups import Groups
from steepest.optimizers.newton import Newton
from steepest.optimizers.proximal import FISTA
from steepest.optimizers.quasi_newton import BFGS, LBFGS
from steepest.optimizers.registry import OPTIMIZERS, optimizer
from steepest.optimizers.rule import Rule
from steepest.optimizers.sign import Lion, SignSGD
from steepest.optimizers.steplength import BacktrackingGD, BarzilaiBorwein, PolyakStep
from steepest.optimizers.wrap import Averaged, ClipByNorm, ClipByValue, from_optax

__all__ = [
    "BFGS",
    "FISTA",
    "LBFGS",
    "OPTIMIZERS",
    "AMSGrad",
    "AdaDelta",
    "AdaGrad",
    "AdaMax",
    "Adam",
    "AdamW",
    "Averaged",
    "BacktrackingGD",
    "BarzilaiBorwein",
    "ClipByNorm",
    "ClipByValue",
    "ConjugateGradient",
    "GaussNewton",
    "GradientDescent",
    "Groups",
    "LevenbergMarquardt",
    "Lion",
    "Momentum",
    "NAdam",
    "Nesterov",
    "Newton",
    "PolyakStep",
    "RMSProp",
    "Rule",
    "SignSGD",
    "from_optax",
    "optimizer",
]
