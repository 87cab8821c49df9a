"""Steps of equal size in every weight: sign descent and Lion.

Their step is eta whatever the size of the gradient, so that they need a smaller rate than others,
and one that decays. No constant multiplies the gradient, so `gain` is 1: an L1 penalty acts on them
as a soft threshold of eta lambda a step.
"""

from __future__ import annotations

from typing import Any, ClassVar

import jax.numpy as jnp

from steepest.core.record import number, part, record
from steepest.optimizers.rule import Rule


@record
class SignSGD(Rule):
    """w <- w - eta sign(g); with momentum (Signum) m <- b m + (1-b) g, w <- w - eta sign(m).

    Bernstein et al., "signSGD" (2018), algorithms 1 and 2. momentum None leaves m out.
    """

    learning_rate: Any = part(default=1e-3, help="learning rate: a number or a schedule")
    momentum: float | None = number(default=None, least=0, below=1, optional=True, help="momentum")

    @property
    def slots(self) -> int:  # type: ignore[override]
        """m, if there is momentum."""
        return int(self.momentum is not None)

    def direction(self, g, w, t, *slots):
        if self.momentum is None:
            return (jnp.sign(g),)
        m = self.momentum * slots[0] + (1 - self.momentum) * g
        return jnp.sign(m), m


@record
class Lion(Rule):
    """d = sign(b1 m + (1-b1) g); m <- b2 m + (1-b2) g; w <- w - eta (d + lambda w).

    Chen et al., "Symbolic discovery of optimization algorithms" (2023), algorithm 2; they advise a
    rate 3 to 10 times below AdamW's, and a weight decay as many times above.
    """

    learning_rate: Any = part(default=1e-4, help="learning rate: a number or a schedule")
    beta1: float = number(default=0.9, least=0, below=1, help="weight of the momentum in the step")
    beta2: float = number(default=0.99, least=0, below=1, help="decay of the momentum")
    slots: ClassVar[int] = 1

    def direction(self, g, w, t, m):
        d = jnp.sign(self.beta1 * m + (1 - self.beta1) * g)
        return d, self.beta2 * m + (1 - self.beta2) * g
