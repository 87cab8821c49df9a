"""One step and one measurement of one run: the whole loop body, without batch axes."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp

from steepest.core import tree
from steepest.core.outcome import Reason
from steepest.core.record import swap
from steepest.engine import stop
from steepest.engine.probes import Moment, resolve
from steepest.engine.spec import Carry, RunSpec


def step(spec: RunSpec, carry: Carry, batch: Any, key: Any) -> tuple[Carry, dict]:
    """`(carry, record)` after one step on `batch`.

    The weights of a run that has ended stay as they are, bit for bit; its records are NaN. The
    optimizer's memory is not held still: nothing reads it any more, and choosing between two of
    them would keep XLA from updating in place, three more copies of the weights a step.
    """
    objective, optimizer = spec.objective, spec.optimizer
    active = carry.reason == int(Reason.NONE)

    def evaluate(w):
        return objective.evaluate(w, carry.buffers, batch, key)

    proximal = objective.proximal
    moved = optimizer.step(evaluate, carry.params, carry.state, proximal)
    dtype = carry.value.dtype
    value = moved.value.astype(dtype)
    gradient_norm = stationarity(proximal, carry.params, moved.gradient).astype(dtype)
    step_norm = tree.norm(tree.subtract(moved.params, carry.params)).astype(dtype)
    first_value = jnp.where(carry.step == 0, value, carry.first_value)
    # Whether the step is taken must not hang on the step's own length where that can be avoided:
    # the update would then be written, read again for its norm, and only then chosen.
    still = (step_norm == 0) & ~jnp.asarray(moved.failed) if spec.deterministic else False
    reason = stop.after_step(
        spec.stop,
        value=value,
        gradient_norm=gradient_norm,
        first_value=first_value,
        failed=jnp.asarray(moved.failed),
        still=still,
    )
    reason = jnp.where(active, reason, carry.reason)
    going = reason == int(Reason.NONE)
    evaluations = carry.evaluations + jnp.asarray(moved.evaluations, jnp.int32)
    weight = objective.weight(batch).astype(dtype)
    counted = jnp.where(going, weight, jnp.zeros_like(weight))

    def keep(new, old):
        return tree.where(going, new, old)

    best: dict[str, Any] = {}
    if spec.track == "step":
        # A NaN value compares false, so a diverged point is never the best one.
        better = active & (value < carry.best_value)
        best = {
            "best_params": tree.where(better, carry.params, carry.best_params),
            "best_value": jnp.where(better, value, carry.best_value),
            "best_step": jnp.where(better, carry.step, carry.best_step),
        }
    new = swap(
        carry,
        params=keep(moved.params, carry.params),
        buffers=keep(moved.aux, carry.buffers),
        state=moved.state,
        step=carry.step + going.astype(jnp.int32),
        reason=reason,
        evaluations=jnp.where(active, evaluations, carry.evaluations),
        first_value=jnp.where(active, first_value, carry.first_value),
        value=jnp.where(active, value, carry.value),
        gradient_norm=jnp.where(active, gradient_norm, carry.gradient_norm),
        epoch_value=carry.epoch_value + jnp.where(going, value * weight, jnp.zeros_like(value)),
        epoch_weight=carry.epoch_weight + counted,
        **best,
    )
    moment = Moment(carry.params, moved, gradient_norm, step_norm, new.evaluations)
    return new, {n: _blank(active, p(moment)) for n, p in resolve(spec.probes).items()}


def stationarity(proximal: Any, params: Any, gradient: Any) -> Any:
    """|g|, or with L1 or bounds |w - prox(w - g)|, which vanishes at a minimum where g does not."""
    if proximal is None:
        return tree.norm(gradient)
    reached = proximal(tree.subtract(params, gradient), tree.map(jnp.ones_like, gradient))
    return tree.norm(tree.subtract(params, reached))


def measure(spec: RunSpec, carry: Carry, held: Any) -> tuple[Carry, dict]:
    """`(carry, record)` at the end of an epoch: losses, metrics, the best iterate, patience.

    `held` is the validation batch, in blocks of rows, or None. The mean training loss is that of
    the epoch's steps, each weighted by its rows, as they were taken.
    """
    active = carry.reason == int(Reason.NONE)
    dtype = carry.value.dtype
    train_loss = carry.epoch_value / jnp.maximum(carry.epoch_weight, jnp.finfo(dtype).tiny)
    record = {"train_loss": train_loss}
    monitored = train_loss
    params = iterate(spec, carry)
    if held is not None:
        total = measure_blocks(spec.objective, params, carry.buffers, held)
        # A sum that all runs share (of the weights) would be divided by in another way where runs
        # are computed together; chosen per run, it is a number of the run's own.
        total = tree.where(active, total, tree.map(jnp.ones_like, total))
        measured = spec.objective.metrics(total)
        record |= {f"validation_{k}": v for k, v in measured.items()}
        monitored = measured["loss"].astype(dtype)
    zero = jnp.zeros_like(carry.epoch_value)
    changes: dict[str, Any] = {"epoch_value": zero, "epoch_weight": zero}
    if spec.track == "measure":
        better = active & (monitored < carry.best_value)
        changes |= {
            "best_params": tree.where(better, params, carry.best_params),
            "best_buffers": tree.where(better, carry.buffers, carry.best_buffers),
            "best_value": jnp.where(better, monitored, carry.best_value),
            "best_step": jnp.where(better, carry.step, carry.best_step),
        }
    delta = spec.stop.min_delta
    seen, epochs = stop.waited(carry.patience_best, carry.patience_epochs, monitored, delta)
    low, stalled = stop.waited(carry.stall_best, carry.stall_epochs, train_loss, delta)
    share = spec.stop.target_share
    reason = stop.first_of(
        ((share > 0) & (train_loss <= share * carry.first_value), Reason.SHARE),
        (epochs.astype(dtype) >= spec.stop.patience, Reason.PATIENCE),
        (stalled.astype(dtype) >= spec.stop.stall_patience, Reason.NO_PROGRESS),
    )
    changes |= {
        "patience_best": seen,
        "patience_epochs": epochs,
        "stall_best": low,
        "stall_epochs": stalled,
    }
    changes = {k: tree.where(active, v, getattr(carry, k)) for k, v in changes.items()}
    changes["reason"] = jnp.where(active, reason, carry.reason)
    return swap(carry, **changes), {n: _blank(active, v) for n, v in record.items()}


def iterate(spec: RunSpec, carry: Carry) -> Any:
    """The parameters to use: the optimizer's average of the iterates where it keeps one."""
    averaged = getattr(spec.optimizer, "averaged", None)
    return carry.params if averaged is None else averaged(carry.state)


def measure_blocks(objective: Any, params: Any, buffers: Any, blocks: Any) -> dict:
    """Sums of loss and metrics over a batch laid out as (blocks, rows, ...), block by block."""

    def sums(block):
        return objective.measure(params, buffers, block)

    first = sums(jax.tree.map(lambda a: a[0], blocks))
    count = jax.tree.leaves(blocks)[0].shape[0]
    if count == 1:
        return first
    rest = jax.tree.map(lambda a: a[1:], blocks)
    return jax.lax.scan(lambda s, b: (tree.add(s, sums(b)), None), first, rest)[0]


def _blank(active: Any, values: Any) -> Any:
    """NaN in the place of what a run that had already ended would have recorded."""

    def one(x):
        x = jnp.asarray(x)
        if not jnp.issubdtype(x.dtype, jnp.floating):
            return jnp.where(active, x, jnp.zeros_like(x))
        return jnp.where(active, x, jnp.full_like(x, jnp.nan))

    return tree.map(one, values)
