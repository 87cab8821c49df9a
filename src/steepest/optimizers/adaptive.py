"""Rates adapted to each weight by the squares of its gradients: AdaGrad, RMSProp, AdaDelta."""

from __future__ import annotations

from typing import Any, ClassVar

import jax.numpy as jnp

from steepest.core.record import number, part, record, static
from steepest.optimizers.rule import Rule


@record
class AdaGrad(Rule):
    """G <- G + g^2; w <- w - eta g / (sqrt(G) + eps).

    G starts at `initial`. Duchi, Hazan and Singer, "Adaptive subgradient methods" (2011), figure 1.
    """

    learning_rate: Any = part(default=0.01, help="learning rate: a number or a schedule")
    initial: float = number(default=0.0, least=0, help="the sum of squares before the first step")
    epsilon: float = number(default=1e-10, least=0, help="added to the denominator")
    slots: ClassVar[int] = 1

    def fresh(self, w):
        (zero,) = super().fresh(w)
        return (zero + self.initial,)

    def direction(self, g, w, t, G):
        G = G + g**2
        return g * self.gain(t, G), G

    def gain(self, t, G):
        return 1 / (jnp.sqrt(G) + self.epsilon)


@record
class RMSProp(Rule):
    """v <- b v + (1-b) g^2; w <- w - eta g / (sqrt(v) + eps).

    `centered`: with m <- b m + (1-b) g, the variance v - m^2 in place of v (Graves 2013, equations
    38 to 45). `momentum`: with u <- mu u + g / (sqrt(v) + eps), w <- w - eta u; None leaves u out.

    Tieleman and Hinton, "Lecture 6.5: rmsprop" (2012); eps outside the root, as in torch.
    """

    learning_rate: Any = part(default=1e-3, help="learning rate: a number or a schedule")
    decay: float = number(default=0.9, least=0, below=1, help="decay of the mean squared gradient")
    momentum: float | None = number(default=None, least=0, below=1, optional=True, help="momentum")
    epsilon: float = number(default=1e-8, least=0, help="added to the denominator")
    centered: bool = static(default=False, choices=(True, False), help="divide by the deviation")

    @property
    def slots(self) -> int:  # type: ignore[override]
        """v, then m if centered, then u if there is momentum."""
        return 1 + self.centered + (self.momentum is not None)

    def direction(self, g, w, t, v, *rest):
        b, new = self.decay, []
        v = b * v + (1 - b) * g**2
        if self.centered:
            new.append(b * rest[0] + (1 - b) * g)
        d = g / self._deviation(v, *new)
        if self.momentum is not None:
            d = self.momentum * rest[-1] + d
            new.append(d)
        return d, v, *new

    def gain(self, t, v, *rest):
        amplified = 1 if self.momentum is None else 1 / (1 - self.momentum)
        return amplified / self._deviation(v, *rest)

    def _deviation(self, v, *rest):
        if self.centered:
            v = jnp.maximum(v - rest[0] ** 2, 0)  # rounding can make it negative
        return jnp.sqrt(v) + self.epsilon


@record
class AdaDelta(Rule):
    """v <- r v + (1-r) g^2; d = sqrt(x + eps) / sqrt(v + eps) g; x <- r x + (1-r) d^2.

    Then w <- w - eta d. Zeiler, "ADADELTA" (2012), algorithm 1, whose eta is 1:
    the steps have the units of the weights.
    """

    learning_rate: Any = part(default=1.0, help="learning rate: a number or a schedule")
    decay: float = number(default=0.9, least=0, below=1, help="decay r of both running means")
    epsilon: float = number(
        default=1e-6, above=0, help="added under both roots; sets the first steps"
    )
    slots: ClassVar[int] = 2

    def direction(self, g, w, t, v, x):
        r = self.decay
        v = r * v + (1 - r) * g**2
        d = g * self.gain(t, v, x)
        return d, v, r * x + (1 - r) * d**2

    def gain(self, t, v, x):
        return jnp.sqrt(x + self.epsilon) / jnp.sqrt(v + self.epsilon)
