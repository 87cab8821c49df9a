"""Losses of real targets. With several outputs, the loss of a row is the mean over them."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np

from steepest.core.errors import DataError
from steepest.core.record import number, record
from steepest.objectives.loss import RegressionLoss, align, narrow


@record
class Residual(RegressionLoss):
    """The base of losses phi(r) of the residual r = y - f."""

    def of_residual(self, r):
        """phi(r), entry by entry."""
        raise NotImplementedError

    def __call__(self, outputs, targets):
        """The mean of phi(y - f) over outputs."""
        f, y = align(outputs, targets)
        return jnp.mean(self.of_residual(y - f), axis=-1)


@record
class Squared(Residual):
    """(y - f)^2, without a factor 1/2, as in `torch.nn.MSELoss`: the mean over rows is the MSE.

    >>> import jax.numpy as jnp
    >>> Squared()(jnp.array([[1.0]]), jnp.array([3.0])).tolist()
    [4.0]
    """

    def of_residual(self, r):
        """r^2."""
        return jnp.square(r)


@record
class Absolute(Residual):
    """|y - f|: its minimiser is the median. The gradient at 0 is taken as 0."""

    def of_residual(self, r):
        """|r|."""
        return jnp.abs(r)


@record
class Huber(Residual):
    """r^2 / 2 where |r| <= delta, else delta (|r| - delta / 2): outliers pull with force delta.

    Source: Huber 1964, Annals of Mathematical Statistics 35, eq. (2); `torch.nn.HuberLoss`.
    """

    delta: float = number(default=1.0, above=0, help="residual at which the loss becomes linear")

    def of_residual(self, r):
        """m (|r| - m / 2) with m = min(|r|, delta), which is both branches at once."""
        size = jnp.abs(r)
        m = jnp.minimum(size, jnp.asarray(self.delta, r.dtype))
        return m * (size - m / 2)


@record
class Quantile(Residual):
    """q r for r >= 0, else (q - 1) r: the minimiser is the q-quantile (the pinball loss).

    Source: Koenker & Bassett 1978, Econometrica 46, eq. (2.1).
    """

    q: float = number(default=0.5, above=0, below=1, help="the quantile wanted")

    def of_residual(self, r):
        """max(q r, (q - 1) r)."""
        q = jnp.asarray(self.q, r.dtype)
        return jnp.maximum(q * r, (q - 1) * r)


@record
class EpsilonInsensitive(Residual):
    """max(0, |r| - epsilon): support vector regression, in units of the target.

    Source: Vapnik 1995, The Nature of Statistical Learning Theory, eq. (6.1).
    """

    epsilon: float = number(default=0.1, least=0, help="residual that costs nothing")

    def of_residual(self, r):
        """max(0, |r| - epsilon)."""
        return jnp.maximum(jnp.abs(r) - jnp.asarray(self.epsilon, r.dtype), 0)


@record
class Poisson(RegressionLoss):
    """exp(f) - y f, counts y >= 0 with mean exp(f): the negative log-likelihood less log y!.

    Source: McCullagh & Nelder 1989, Generalized Linear Models, ch. 6, with the log link.
    """

    def __call__(self, outputs, targets):
        """exp(f) - y f."""
        f, y = align(outputs, targets)
        return jnp.mean(jnp.exp(f) - y * f, axis=-1)

    def predict(self, outputs):
        """The mean, exp(f)."""
        return narrow(jnp.exp(outputs))

    def check(self, targets, size):
        """Counts must not be negative."""
        super().check(targets, size)
        y = np.asarray(targets)
        if y.size and y.min() < 0:
            raise DataError(f"poisson: targets must be at least 0, got {y.min()}; use squared.")
