"""The Adam family: running means of the gradient and of its square, corrected for their start."""

from __future__ import annotations

from typing import Any, ClassVar

import jax.numpy as jnp

from steepest.core.record import number, part, record, static
from steepest.optimizers.rule import Rule, keyword_only


@record
class Adam(Rule):
    """m <- b1 m + (1-b1) g; v <- b2 v + (1-b2) g^2; w <- w - eta m^ / (sqrt(v^) + eps).

    m^ = m/(1-b1^t) and v^ = v/(1-b2^t) undo the start at zero. Kingma and Ba, "Adam" (2015),
    algorithm 1.

        >>> import jax.numpy as jnp
        >>> rule, w = Adam(0.1), jnp.asarray([3.0, -4.0])
        >>> updates, state = rule.update(w, rule.init(w))
        >>> [round(float(u), 4) for u in updates]  # the first step is eta sign(g)
        [-0.1, 0.1]
    """

    learning_rate: Any = part(default=1e-3, help="learning rate: a number or a schedule")
    beta1: float = number(default=0.9, least=0, below=1, help="decay of the mean gradient")
    beta2: float = number(
        default=0.999, least=0, below=1, help="decay of the mean squared gradient"
    )
    epsilon: float = number(default=1e-8, least=0, help="added to the denominator")
    slots: ClassVar[int] = 2

    def direction(self, g, w, t, m, v):
        b1, b2 = self.beta1, self.beta2
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        return m * (1 / (1 - b1**t)) * self.gain(t, m, v), m, v

    def gain(self, t, m, v):
        # sqrt(v^) with the correction as a scalar factor: one division for each weight, not three.
        correction = 1 / jnp.sqrt(1 - self.beta2**t)
        return 1 / (jnp.sqrt(v) * correction + self.epsilon)


@record
class AdamW(Adam):
    """Adam with decoupled weight decay: w <- w - eta (m^ / (sqrt(v^) + eps) + lambda w).

    Loshchilov and Hutter, "Decoupled weight decay regularization" (2019), algorithm 2.
    """

    weight_decay: float | None = keyword_only(
        number(default=0.01, least=0, optional=True, help="decoupled weight decay")
    )


@record
class AMSGrad(Adam):
    """Adam whose denominator never shrinks: u <- max(u, v^); w <- w - eta m^ / (sqrt(u) + eps).

    Reddi, Kale and Kumar, "On the convergence of Adam and beyond" (2018), algorithm 2. `maximum`
    says of what: the corrected v^, as in optax, or the raw v, corrected after, as in torch.
    """

    maximum: str = static(default="corrected", choices=("corrected", "raw"))
    slots: ClassVar[int] = 3

    def direction(self, g, w, t, m, v, u):  # type: ignore[override]
        b1, b2 = self.beta1, self.beta2
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        u = jnp.maximum(u, v / (1 - b2**t) if self.maximum == "corrected" else v)
        return m / (1 - b1**t) * self.gain(t, m, v, u), m, v, u

    def gain(self, t, m, v, u):  # type: ignore[override]
        u = u if self.maximum == "corrected" else u / (1 - self.beta2**t)
        return 1 / (jnp.sqrt(u) + self.epsilon)


@record
class NAdam(Adam):
    """Adam with Nesterov's look-ahead: w <- w - eta m~ / (sqrt(v^) + eps).

    m~ = b1 m/(1-b1^(t+1)) + (1-b1) g/(1-b1^t): the mean as it will be, were the next gradient g.
    Dozat, "Incorporating Nesterov momentum into Adam" (2016), with b1 constant, as in optax.
    """

    def direction(self, g, w, t, m, v):
        b1, b2 = self.beta1, self.beta2
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        ahead = b1 * m / (1 - b1 ** (t + 1)) + (1 - b1) * g / (1 - b1**t)
        return ahead * self.gain(t, m, v), m, v


@record
class AdaMax(Adam):
    """Adam by the largest gradient: u <- max(b2 u, |g| + eps); w <- w - eta m^ / u.

    Kingma and Ba, "Adam" (2015), section 7.1, algorithm 2.
    """

    learning_rate: Any = part(default=2e-3, help="learning rate: a number or a schedule")

    def direction(self, g, w, t, m, u):
        m = self.beta1 * m + (1 - self.beta1) * g
        u = jnp.maximum(self.beta2 * u, jnp.abs(g) + self.epsilon)
        return m / (1 - self.beta1**t) / u, m, u

    def gain(self, t, m, u):
        return 1 / u
