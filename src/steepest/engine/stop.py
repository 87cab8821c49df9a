"""When a run ends: the tests after each step and after each measurement."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp

from steepest.core.outcome import Reason
from steepest.core.record import number, record


@record
class StopRule:
    """The conditions under which a run ends by itself; all are leaves, so each may differ by run.

    tolerance:      gradient norm at which the run has converged (0: never).
    target:         loss at which it has converged (-inf: never).
    target_share:   mean training loss of an epoch, as a share of the first loss, at which it has
                    converged (0: never).
    blow_up:        the loss has blown up at `blow_up` times max(|first loss|, 1).
    floor:          the loss is taken to be unbounded below at this value.
    patience:       epochs without a better monitored value before early stopping (inf: never).
    stall_patience: epochs without a better training loss before the run counts as stalled.
    min_delta:      what counts as better.
    """

    tolerance: float = number(default=0.0, least=0)
    target: float = number(default=float("-inf"))
    target_share: float = number(default=0.0, least=0)
    blow_up: float = number(default=1e8, above=1)
    floor: float = number(default=-1e30, below=0)
    patience: float = number(default=float("inf"), above=0)
    stall_patience: float = number(default=float("inf"), above=0)
    min_delta: float = number(default=0.0, least=0)


def first_of(*cases: tuple[Any, Reason]) -> Any:
    """The reason of the first condition that holds, as int32, else `Reason.NONE`."""
    reason = jnp.asarray(int(Reason.NONE), jnp.int32)
    for condition, name in reversed(cases):
        reason = jnp.where(condition, jnp.asarray(int(name), jnp.int32), reason)
    return reason


def after_step(rule: StopRule, *, value, gradient_norm, first_value, failed, still):
    """Why the run ends at the point that this step started from, or `NONE`.

    A run that converged, or whose value or gradient is not finite, ends before the step is taken.
    `failed`: the optimizer found no step; `still`: its step has length zero.
    """
    finite = jnp.isfinite(value) & jnp.isfinite(gradient_norm)
    size = jnp.maximum(jnp.abs(first_value), jnp.ones_like(first_value))
    converged = (rule.tolerance > 0) & (gradient_norm <= rule.tolerance)
    return first_of(
        (value < rule.floor, Reason.UNBOUNDED),
        (~finite, Reason.NOT_FINITE),
        (value > rule.blow_up * size, Reason.BLOW_UP),
        (converged, Reason.GRADIENT),
        (value <= rule.target, Reason.TARGET),
        (failed, Reason.LINE_SEARCH),
        (still, Reason.STEP),
    )


def waited(best, epochs, value, min_delta):
    """Patience: the new best value and the number of measurements since it improved."""
    better = value < best - min_delta
    return jnp.where(better, value, best), jnp.where(better, jnp.zeros_like(epochs), epochs + 1)
