"""What a run is (`RunSpec`) and what it carries from step to step (`Carry`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from steepest.core import tree
from steepest.core.outcome import Reason
from steepest.core.record import part, record, static
from steepest.core.types import Params, State
from steepest.engine.stop import StopRule


@record
class RunSpec:
    """All that decides a run, apart from its data and its seed.

    `objective` L(w), the `optimizer` that descends it, the `stop` rule, and what to record
    (`probes`, names from `engine.probes.PROBES` or callables). `track` says where the best iterate
    is looked for: after each `step` (functions, where the loss is exact) or at each `measure` (the
    end of an epoch, by validation loss where there is one). `deterministic` tells that each step
    sees the same objective, so a step of length zero means that rounding has been reached.

    Stacked over cells, a spec is a thousand runs: each leaf then has a leading axis of cells.
    """

    objective: Any = part()
    optimizer: Any = part()
    stop: StopRule = part(factory=StopRule)
    probes: tuple = static(default=("loss", "gradient_norm", "step_norm", "learning_rate"))
    track: str = static(default="measure", choices=("step", "measure"))
    deterministic: bool = static(default=False)


@record
class Carry:
    """What the next step needs, and nothing else. Axes outside the step: seed x cell x ...

    params, buffers, state: the iterate, the model's running statistics, the optimizer's memory.
    step:        steps taken so far (frozen runs keep the step at which they ended).
    reason:      `Reason` as int32; `NONE` while running.
    evaluations: calls of value-and-gradient so far.
    first_value: loss at the first step, the yardstick for divergence.
    value, gradient_norm: at the point from which the last step started.
    best_*:      the best iterate so far, its value and its step.
    epoch_*:     loss times weight, and weight, summed since the last measurement.
    patience_*:  best monitored value and epochs since it improved; for training loss besides.
    """

    params: Params = part()
    buffers: Any = part()
    state: State = part()
    step: Any = part()
    reason: Any = part()
    evaluations: Any = part()
    first_value: Any = part()
    value: Any = part()
    gradient_norm: Any = part()
    best_params: Params = part()
    best_buffers: Any = part()
    best_value: Any = part()
    best_step: Any = part()
    epoch_value: Any = part()
    epoch_weight: Any = part()
    patience_best: Any = part()
    patience_epochs: Any = part()
    stall_best: Any = part()
    stall_epochs: Any = part()


def begin(spec: RunSpec, params: Params, buffers: Any, batch: Any, key: Any) -> Carry:
    """The carry before the first step: the optimizer's memory is made, nothing has moved."""
    dtype = jnp.result_type(*(x.dtype for x in tree.leaves(params)))
    infinity = jnp.asarray(jnp.inf, dtype)
    zero = jnp.zeros((), dtype)
    count = jnp.zeros((), jnp.int32)

    def evaluate(w):
        return spec.objective.evaluate(w, buffers, batch, key)

    return Carry(
        params=params,
        buffers=buffers,
        state=spec.optimizer.start(evaluate, params),
        step=count,
        reason=jnp.asarray(int(Reason.NONE), jnp.int32),
        evaluations=count,
        first_value=infinity,
        value=infinity,
        gradient_norm=infinity,
        best_params=params,
        best_buffers=buffers,
        best_value=infinity,
        best_step=count,
        epoch_value=zero,
        epoch_weight=zero,
        patience_best=infinity,
        patience_epochs=count,
        stall_best=infinity,
        stall_epochs=count,
    )


def stack(records: Sequence[Any], dtype: Any) -> Any:
    """One record whose leaves have a leading axis of cells; all must have the same structure."""
    return jax.tree.map(
        lambda *x: np.stack([np.asarray(v) for v in x]), *[cast_host(r, dtype) for r in records]
    )


def cast_host(t: Any, dtype: Any) -> Any:
    """Floating leaves and plain numbers as NumPy arrays of `dtype`; integer arrays as they are."""

    def one(x):
        x = np.asarray(float(x) if type(x) is int else x)
        return x.astype(dtype) if np.issubdtype(x.dtype, np.floating) else x

    return jax.tree.map(one, t)
