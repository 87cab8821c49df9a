"""`Case`: a finished training run with all that its diagnosis looks at, measured when asked for."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import jax
import numpy as np

from steepest.core.errors import UsageError
from steepest.core.outcome import Outcome
from steepest.core.record import swap
from steepest.core.types import Horizon
from steepest.data.dataset import Arrays
from steepest.diagnose import curve as curves
from steepest.diagnose import rows
from steepest.diagnose.flow import Layer, flow
from steepest.diagnose.noise import NoiseScale, excess_loss, first_order_fall, noise_scale
from steepest.engine.advance import apply
from steepest.engine.compiling import precision
from steepest.engine.program import program
from steepest.engine.runs import run_keys
from steepest.engine.settings import Settings
from steepest.engine.sharpness import (
    Eigenpairs,
    Gradients,
    Sharpness,
    eigenpairs,
    gradients,
    sample_rows,
    sharpness,
    stability,
    unwrapped,
)
from steepest.optimizers.gradient_descent import Momentum, Nesterov


@dataclass
class Case:
    """One run: what was asked for, what it recorded, where it ended, and its rows.

    params, buffers: the weights kept (the best). last: those after the last step, where known.
    steps, epochs: its own columns of the trace, (records,) each.
    source, name, where: the table as read, what it was called, and how it is read; for reruns.
    deep: whether to measure what needs a compiled program.
    """

    settings: Settings
    encoder: Any
    parts: dict[str, Any]
    params: Any
    buffers: Any
    last: Any
    outcome: Outcome
    message: str
    seed: int
    steps: dict[str, np.ndarray]
    epochs: dict[str, np.ndarray]
    taken: int
    metrics: dict[str, Any] = field(default_factory=dict)
    source: Any = None
    name: str = "DATA"
    where: dict[str, Any] = field(default_factory=dict)
    deep: bool = True

    @classmethod
    def of_fit(cls, fit: Any, parts: dict[str, Any] | None = None) -> Case:
        """The case of a `Fit`; `parts`: its training, validation and test rows, as arrays."""
        parts = parts or fit.parts
        if parts and not isinstance(parts["train"], Arrays):
            raise UsageError(
                "diagnose needs the rows in memory; train on fewer rows to find out what is wrong."
            )
        if not parts:
            raise UsageError("diagnose needs the rows of the run: call it on a fresh fit, or "
                             "give data=, the data that was trained on.")  # fmt: skip
        seed = int(np.flatnonzero(np.asarray(fit.trace.seeds) == fit.seed)[0])
        return cls(
            settings=fit.settings,
            encoder=fit.encoder,
            parts=parts,
            params=fit.params,
            buffers=fit.buffers,
            last=fit.last_params,
            outcome=fit.outcome,
            message=fit.message,
            seed=fit.seed,
            steps=columns(fit.trace.steps, seed),
            epochs=columns(fit.trace.epochs, seed),
            taken=fit.steps,
            metrics={k: getattr(fit, k) for k in ("train", "validation", "test")},
        )

    # What the settings say.

    @cached_property
    def spec(self) -> Any:
        """The run's objective, optimizer and rule of stopping, schedules bound to its length."""
        made = self.settings.spec_for(self.encoder)
        total = float(max(self.settings.epochs * self.steps_per_epoch, 1))
        horizon = Horizon(float(self.steps_per_epoch), total)
        return swap(made, optimizer=made.optimizer.bind(horizon))

    @property
    def regression(self) -> bool:
        """Whether the target is a number."""
        return bool(self.encoder.task == "regression")

    @property
    def image(self) -> bool:
        """Whether the inputs are images, which share one scale."""
        return self.encoder.image_shape is not None

    @property
    def train(self) -> Any:
        """The training rows."""
        return self.parts["train"]

    @property
    def batch_size(self) -> int:
        """Rows a step."""
        size = self.settings.batch_size
        return len(self.train.x) if size == "full" else min(int(size), len(self.train.x))

    @property
    def full_batch(self) -> bool:
        """Whether each step sees all rows."""
        return self.batch_size == len(self.train.x)

    @property
    def steps_per_epoch(self) -> int:
        """Steps in one pass over the data."""
        return -(-len(self.train.x) // self.batch_size)

    @property
    def rate(self) -> float | None:
        """The largest learning rate of the run; None for methods that find their own."""
        rates = np.asarray(self.steps.get("learning_rate", ()), float)
        rates = rates[np.isfinite(rates)]
        if len(rates):
            return float(rates.max()) if hasattr(self.rule, "learning_rate") else None
        base = getattr(getattr(self.rule, "learning_rate", None), "learning_rate", None)
        return None if base is None else float(base)

    @property
    def rule(self) -> Any:
        """The update rule, without clipping and averaging."""
        return unwrapped(self.spec.optimizer)

    @property
    def gain(self) -> float:
        """What momentum multiplies a steady gradient by: 1/(1 - b), else 1."""
        if isinstance(self.rule, (Momentum, Nesterov)):
            return 1 / (1 - float(self.rule.momentum))
        return 1.0

    @property
    def diverged(self) -> bool:
        """Whether the run diverged."""
        return self.outcome is Outcome.DIVERGED

    # What follows from the record alone.

    @cached_property
    def curve(self) -> curves.Curve | None:
        """The training loss.

        Where things may be measured it starts at the loss of all rows: that of the first
        mini-batch is one draw of many.
        """
        found = curves.curve(self.steps, self.epochs, max(1, 32 // self.batch_size))
        if found is None or not self.deep or not np.isfinite(self.loss_at_start):
            return found
        return replace(found, start=self.loss_at_start)

    @cached_property
    def turn(self) -> curves.Turn | None:
        """The turn of the validation loss."""
        return curves.turn(self.epochs)

    @property
    def epochs_taken(self) -> float:
        """Passes over the data."""
        return self.taken / self.steps_per_epoch

    @cached_property
    def pace(self) -> float | None:
        """By which share of its size a step changes the weights, early in the run; None if unknown.

        Rules that divide by the size of the gradient move a weight by about the learning rate,
        which is compared with the spread of the weights; gradient descent and momentum move all of
        them by eta |g|/(1 - b) against |w|. About 1e-3 is usual.
        """
        rates = np.asarray(self.steps.get("learning_rate", ()), float)
        norms = np.asarray(self.steps.get("gradient_norm", ()), float)
        if not len(rates) or self.rate is None:
            return None
        early = slice(0, max(len(rates) // 4, 1))
        known = stability(self.rule)
        if known is None or known[1]:
            weights = jax.tree.leaves(self.params)
            spread = max((float(np.std(w)) for w in weights if np.ndim(w) > 1), default=0.0)
            return float(np.nanmax(rates[early]) / max(spread, 0.05))
        if len(norms) != len(rates):
            return None
        step = np.nanmedian(norms[early]) * np.nanmax(rates[early]) * self.gain
        return float(step / max(norm(self.params), 1.0))

    @property
    def struggling(self) -> bool:
        """Whether little was learned: most of the loss is left, or neighbours do better."""
        if self.diverged or self.curve is None or self.curve.drop < 0.5:
            return True
        there = self.reference
        return there is not None and self.score < there.score - 0.05 - 2 * there.error

    @cached_property
    def first_loss(self) -> float:
        """The loss at the start, without the L2 penalty; NaN where it is not known."""
        if self.deep:
            loss = self.loss_at_start
        else:
            recorded = np.asarray(self.steps.get("loss", ()), float)
            loss = float(recorded[0]) if len(recorded) else float("nan")
        return loss - self.penalty(self.initial[0])

    @property
    def plain(self) -> float:
        """About the loss of knowing nothing: of the mean of the targets, or of even chances."""
        return 1.0 if self.regression else math.log(max(self.encoder.outputs, 2))

    def penalty(self, params: Any) -> float:
        """What the L1 and L2 penalties add to the loss at `params`."""
        found = 0.0
        for w in jax.tree.leaves(params):
            if np.ndim(w) > 1:
                w = np.asarray(w, float)
                found += float(self.settings.l2) / 2 * float(np.sum(w**2))
                found += float(self.settings.l1) * float(np.sum(np.abs(w)))
        return found

    # What needs the rows.

    @cached_property
    def scale(self) -> rows.Scale:
        """How large inputs and targets are."""
        return rows.scale(self.train, self.regression, self.image)

    @cached_property
    def reference(self) -> rows.Reference | None:
        """What nearest neighbours reach on the training rows."""
        return rows.reference(self.train, self.regression)

    @property
    def score(self) -> float:
        """Accuracy or R^2 of the weights kept, on the training rows."""
        return self.kept("r2" if self.regression else "accuracy")

    def kept(self, metric: str) -> float:
        """A metric of the weights kept, on the training rows; NaN where it is no number."""
        return self.reached("train", metric)

    def reached(self, part: str, metric: str) -> float:
        """A metric of the weights kept, on the rows of a part."""
        value = (self.metrics.get(part) or {}).get(metric)
        return float("nan") if value is None else float(value)

    # What needs a compiled program.

    @cached_property
    def initial(self) -> tuple[Any, Any]:
        """(params, buffers) before the first step, drawn again from the seed."""
        with precision(self.settings.dtype):
            key = jax.random.fold_in(run_keys([self.seed])[0], 0)
            return jax.device_get(self.spec.objective.init(key))

    @cached_property
    def loss_at_start(self) -> float:
        """The loss on (2,048 of) the training rows before the first step, penalties included."""
        with precision(self.settings.dtype):
            return float(_loss(self.spec.objective, *self.initial, self.sample))

    @cached_property
    def outputs(self) -> np.ndarray:
        """f_w(x) of the training rows (2,048 at most) at the weights kept."""
        with precision(self.settings.dtype):
            return np.asarray(
                apply(self.spec.objective.model, self.params, self.buffers, self.sample.x)
            )

    @cached_property
    def sample(self) -> Any:
        """Training rows, 2,048 at most, on which curvature and flow are measured."""
        return sample_rows(self.train)

    @cached_property
    def flow_at_start(self) -> list[Layer]:
        """The layers before the first step."""
        with precision(self.settings.dtype):
            params, buffers = self.initial
            return flow(self.spec.objective, params, self.sample, buffers)

    @cached_property
    def flow_at_end(self) -> list[Layer]:
        """The layers at the weights kept."""
        with precision(self.settings.dtype):
            return flow(self.spec.objective, self.params, self.sample, self.buffers)

    @cached_property
    def thrown(self) -> tuple[str, float] | None:
        """(layer, factor): whose weights had grown most when the run diverged; None if not known.

        Of layers that are no longer finite it is the last one, from which the others have it.
        """
        layers = (
            self.last["layers"] if isinstance(self.last, dict) and "layers" in self.last else ()
        )
        if not self.diverged or len(layers) < 2:
            return None
        now = np.array([norm(layer) for layer in layers])
        then = np.array([norm(layer) for layer in self.initial[0]["layers"]])
        growth = np.where(np.isfinite(now), now / np.maximum(then, 1e-300), np.inf)
        most = len(growth) - 1 - int(np.argmax(growth[::-1]))
        name = "the output layer" if most == len(layers) - 1 else f"hidden layer {most + 1}"
        return name, float(growth[most])

    @cached_property
    def gradients(self) -> Gradients | None:
        """Gradients of mini-batches at the weights kept; None in full-batch descent."""
        if self.full_batch:
            return None
        with precision(self.settings.dtype):
            return gradients(
                self.spec.objective, self.params, self.train, self.buffers,
                batch_size=self.batch_size,
            )  # fmt: skip

    @cached_property
    def noise(self) -> NoiseScale | None:
        """The gradient noise scale at the weights kept."""
        if self.gradients is None:
            return None
        return noise_scale(self.gradients, len(self.train.x))

    @cached_property
    def excess(self) -> float | None:
        """The loss that mini-batch noise costs at the last learning rate; None where not known."""
        if self.gradients is None or self.rate is None:
            return None
        known = stability(self.rule)
        rates = np.asarray(self.steps.get("learning_rate", ()), float)
        rates = rates[np.isfinite(rates)]
        last = float(rates[-1]) if len(rates) else self.rate
        return excess_loss(self.gradients, last, self.gain, bool(known and known[1]))

    @cached_property
    def promise(self) -> float | None:
        """How far the loss would fall in as many steps again, by gradient and rate alone."""
        if self.gradients is None or self.rate is None:
            return None
        known = stability(self.rule)
        a_step = first_order_fall(self.gradients, self.rate, self.gain, bool(known and known[1]))
        return a_step * self.taken

    def sharpness_at(self, which: str) -> Sharpness:
        """Sharpness and stable limit at the `start` or at the `end` (the weights kept)."""
        params, buffers = self.initial if which == "start" else (self.params, self.buffers)
        with precision(self.settings.dtype):
            known = stability(self.rule)
            moment = None
            if known is not None and known[1]:
                found = self.gradients if which == "end" else None
                if found is None:
                    found = gradients(
                        self.spec.objective, params, self.train, buffers,
                        batch_size=self.batch_size, count=4 if self.full_batch else 32,
                    )  # fmt: skip
                moment = found.second_moment
            return sharpness(
                self.spec.objective, params, self.sample, buffers, self.spec.optimizer, self.rate,
                moment,
            )  # fmt: skip

    def spectrum(self, count: int = 3, rows: int | None = None) -> tuple[Eigenpairs, Eigenpairs]:
        """The `count` largest and smallest eigenvalues of the Hessian at the weights kept.

        rows: how many training rows to measure them on; None takes all.
        """
        batch = sample_rows(self.train, len(self.train.x) if rows is None else rows)
        with precision(self.settings.dtype):
            largest, smallest = (
                eigenpairs(
                    self.spec.objective, self.params, batch, self.buffers, count=count,
                    steps=max(64, 4 * count), smallest=end,
                )
                for end in (False, True)
            )  # fmt: skip
        return largest, smallest

    @cached_property
    def sharpness_at_start(self) -> Sharpness:
        """Before the first step."""
        return self.sharpness_at("start")

    @cached_property
    def sharpness_at_end(self) -> Sharpness:
        """At the weights kept."""
        return self.sharpness_at("end")


def norm(weights: Any) -> float:
    """The norm over all arrays of a tree, in double precision."""
    leaves = (np.asarray(w, float) for w in jax.tree.leaves(weights))
    return float(np.sqrt(sum(np.sum(w**2) for w in leaves)))


@program
def _loss(objective, params, buffers, batch):
    return objective.smooth(params, buffers, batch, None)[0]


def columns(table: Any, seed: int, cell: int = 0) -> dict[str, np.ndarray]:
    """The plain columns of one run, up to its last record."""
    out = {}
    for name in table:
        value = table[name]
        if not isinstance(value, np.ndarray):
            continue
        out[name] = value if value.ndim == 1 else value[:, seed, cell]
    numbers = [v for k, v in out.items() if k not in ("step", "epoch", "seconds") and v.ndim == 1]
    if not numbers:
        return out
    known = np.flatnonzero(np.any([~np.isnan(v.astype(float)) for v in numbers], axis=0))
    end = int(known[-1]) + 1 if len(known) else 0
    return {k: v[:end] for k, v in out.items()}
