"""Losses of classes, on outputs that are logits or margins."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from steepest.core.errors import DataError, UsageError
from steepest.core.record import number, record, set_field, static
from steepest.models.layers import off_if_zero
from steepest.objectives.loss import ClassificationLoss, align


@record
class LogLoss(ClassificationLoss):
    """-log softmax(f)_y, the cross-entropy of k classes with k outputs (logits).

    Targets are class indices (rows,), or probabilities (rows, k). With `label_smoothing` e the
    target is (1 - e) of the class and e / k of every class.

    Sources: Bridle 1990 (softmax); Szegedy et al. 2016, sec. 7 (label smoothing).

    >>> import jax.numpy as jnp
    >>> float(LogLoss()(jnp.zeros((1, 4)), jnp.array([2]))[0])  # log 4
    1.3862943649291992
    """

    label_smoothing: float | None = number(
        default=None,
        least=0,
        below=1,
        optional=True,
        help="share of the target spread over all classes",
    )

    def __post_init__(self):
        set_field(self, "label_smoothing", off_if_zero(self.label_smoothing))

    def __call__(self, outputs, targets):
        """-sum_c t_c log softmax(f)_c."""
        # Shifted by the largest logit, nothing overflows and small losses keep their digits.
        f = outputs - jax.lax.stop_gradient(jnp.max(outputs, axis=-1, keepdims=True))
        log_sum = jnp.log(jnp.sum(jnp.exp(f), axis=-1))
        if targets.ndim == 1:
            # A comparison instead of a gather: its gradient is no scatter, and vmap keeps it fused.
            chosen = targets.astype(jnp.int32)[:, None] == jnp.arange(f.shape[-1], dtype=jnp.int32)
            of_target = jnp.sum(jnp.where(chosen, f, 0), axis=-1)
        else:
            f, t = align(f, targets)
            of_target = jnp.sum(t * f, axis=-1)
        if self.label_smoothing is not None:
            e = jnp.asarray(self.label_smoothing, f.dtype)
            of_target = (1 - e) * of_target + e * jnp.mean(f, axis=-1)
        return log_sum - of_target

    def outputs_for(self, size):
        """One for each class; also two classes have two."""
        return max(size, 2)

    def probabilities(self, outputs):
        """softmax(f)."""
        return jax.nn.softmax(outputs, axis=-1)


@record
class BinaryLogLoss(ClassificationLoss):
    """log(1 + exp(f)) - y f, the cross-entropy of one logit and a target y in [0, 1].

    With `label_smoothing` e the target is (1 - e) y + e / 2.

    With `multilabel=True` there are k labels, each 0 or 1, targets have shape (rows, k), and the
    loss of a row is the mean over its labels; a row counts as right when all its labels are.

    Source: Cox 1958; written with softplus, so that large logits do not overflow.
    """

    label_smoothing: float | None = number(
        default=None,
        least=0,
        below=1,
        optional=True,
        help="share of the target spread over both classes",
    )
    multilabel: bool = static(
        default=False, choices=(True, False), help="k labels instead of two classes"
    )

    def __post_init__(self):
        set_field(self, "label_smoothing", off_if_zero(self.label_smoothing))

    def __call__(self, outputs, targets):
        """softplus(f) - y f."""
        f, y = align(outputs, targets)
        if self.label_smoothing is not None:
            e = jnp.asarray(self.label_smoothing, f.dtype)
            y = (1 - e) * y + e / 2
        # softplus(f) - y f as a sum of two terms that are never negative, for accuracy:
        return jnp.mean(y * jax.nn.softplus(-f) + (1 - y) * jax.nn.softplus(f), axis=-1)

    def outputs_for(self, size):
        """One, or one for each label."""
        if self.multilabel:
            return size
        if size > 2:
            raise UsageError(f"binary_log_loss is for two classes, got {size}; use log_loss.")
        return 1

    def predict(self, outputs):
        """1 where the logit is positive; (rows, k) for several labels."""
        if outputs.shape[-1] == 1:
            return super().predict(outputs)
        return (outputs > 0).astype(jnp.int32)

    def probabilities(self, outputs):
        """(1 - p, p) with p = sigmoid(f); (rows, k) for several labels."""
        if self.multilabel:
            return jax.nn.sigmoid(outputs)
        return jax.nn.sigmoid(jnp.concatenate([-outputs, outputs], axis=-1))

    def check(self, targets, size):
        """Targets must be 0 or 1."""
        super().check(targets, 2)

    def correct(self, outputs, targets):
        """Whether all labels of a row are right."""
        _, y = align(outputs, targets)
        return jnp.all((outputs > 0) == (y > 0.5), axis=-1)


@record
class Margin(ClassificationLoss):
    """The base of losses phi(m) of the margin m = s f, with s = +1 for the class and -1 otherwise.

    Two classes have one output; k classes have k, each against the rest, and their losses add up,
    so that the k problems are those that would be solved one by one.
    """

    def of_margin(self, m: Any) -> Any:
        """phi(m), entry by entry."""
        raise NotImplementedError

    def __call__(self, outputs, targets):
        """The sum of phi(s f) over outputs."""
        if targets.ndim == 2 and targets.shape[1] == 1:
            targets = targets[:, 0]
        if targets.ndim != 1:
            raise DataError(
                f"hinge losses need class indices of shape (rows,), got shape {targets.shape}."
            )
        k = outputs.shape[-1]
        classes = jnp.ones((1,), jnp.int32) if k == 1 else jnp.arange(k, dtype=jnp.int32)
        positive = targets.astype(jnp.int32)[:, None] == classes
        return jnp.sum(self.of_margin(jnp.where(positive, outputs, -outputs)), axis=-1)

    def outputs_for(self, size):
        """One for two classes, else one for each."""
        return 1 if size <= 2 else size


@record
class Hinge(Margin):
    """max(0, 1 - m): the support vector machine (Cortes & Vapnik 1995, eq. 3 and 6)."""

    def of_margin(self, m):
        """max(0, 1 - m)."""
        return jax.nn.relu(1 - m)


@record
class SquaredHinge(Margin):
    """max(0, 1 - m)^2: the support vector machine with squared slack, differentiable everywhere."""

    def of_margin(self, m):
        """max(0, 1 - m)^2."""
        return jnp.square(jax.nn.relu(1 - m))
