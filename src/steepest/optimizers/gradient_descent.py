"""Gradient descent, and with momentum: Polyak's heavy ball and Nesterov's look-ahead."""

from __future__ import annotations

from typing import ClassVar

from steepest.core.record import number, record
from steepest.optimizers.rule import Rule


@record
class GradientDescent(Rule):
    """Steepest descent: w <- w - eta g. Cauchy (1847); on mini-batches, Robbins and Monro (1951).

    On a quadratic it converges for eta < 2/l, with l the largest eigenvalue of the Hessian.

        >>> import jax.numpy as jnp
        >>> rule, w = GradientDescent(0.25), jnp.asarray([1.0, -2.0])
        >>> updates, state = rule.update(2 * w, rule.init(w))  # gradient of |w|^2
        >>> (w + updates).tolist()
        [0.5, -1.0]
    """

    def direction(self, g, w, t):
        return (g,)


@record
class Momentum(Rule):
    """The heavy ball: v <- b v + g; w <- w - eta v.

    As in torch and optax the rate stands outside v, so that a new rate acts at once; Polyak (1964)
    has it inside. A constant gradient is amplified 1/(1-b) times. On a quadratic: eta < 2(1+b)/l.
    """

    momentum: float = number(default=0.9, least=0, below=1, help="momentum")
    slots: ClassVar[int] = 1

    def direction(self, g, w, t, v):
        v = self.momentum * v + g
        return v, v

    def gain(self, t, v):
        return 1 / (1 - self.momentum)


@record
class Nesterov(Rule):
    """Momentum with look-ahead: v <- b v + g; w <- w - eta (g + b v).

    Nesterov (1983) in the form of Sutskever et al. (2013), section 2, with the gradient taken at
    the present weights, as torch and optax have it. On a quadratic: eta < 2(1+b)/((1+2b) l).
    """

    momentum: float = number(default=0.9, least=0, below=1, help="momentum")
    slots: ClassVar[int] = 1

    def direction(self, g, w, t, v):
        v = self.momentum * v + g
        return g + self.momentum * v, v

    def gain(self, t, v):
        return 1 / (1 - self.momentum)
