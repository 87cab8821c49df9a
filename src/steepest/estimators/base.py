"""`Estimator`: what all estimators share: from rows to a job, to runs of the engine, to a model."""

from __future__ import annotations

import dataclasses
import os
import warnings
from collections import deque
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import _num_samples, check_random_state

from steepest.core.errors import DivergedError, UsageError
from steepest.core.outcome import Outcome, Reason
from steepest.core.record import replace
from steepest.core.trace import Trace
from steepest.data.dataset import Arrays
from steepest.engine.compiling import precision
from steepest.engine.resume import Resume
from steepest.engine.runs import Runs, run
from steepest.engine.spec import RunSpec

READY: ContextVar[deque | None] = ContextVar("READY", default=None)
"""Fits that a search has made, (parameters, rows, estimator or exception), in order of use."""


@dataclass
class Job:
    """One fit, ready for the engine.

    stages: specs that are run one after another, each from where the last one ended; nearly always
    one. train, held: encoded rows. seeds: one model from each. how: further arguments of
    `engine.runs.run`. coding: what `fit` learned of rows and targets, for `_adopt`.
    """

    stages: tuple[RunSpec, ...]
    train: Arrays
    held: Arrays | None = None
    seeds: tuple[int, ...] = (0,)
    how: dict[str, Any] = field(default_factory=dict)
    coding: Any = None
    initial: Any = None

    def single(self, stage: int) -> RunSpec:
        """The spec of a stage for a program of one run: some models have a faster form then."""
        spec = self.stages[stage]
        model = spec.objective.model
        if not hasattr(model, "single"):
            return spec
        return replace(spec, objective=replace(spec.objective, model=replace(model, single=True)))


def run_jobs(jobs: Sequence[Sequence[Job]], hooks: tuple = ()) -> Runs:
    """Run jobs[fold][candidate] as one program: candidates are cells, folds are streams of data.

    Candidates differ in the numbers of their specs alone; of a fold they share the data.
    """
    first = jobs[0][0]
    per_fold = len(first.seeds)
    seeds = [s for fold in jobs for s in fold[0].seeds]
    train: Any = first.train
    held: Any = first.held
    if len(jobs) > 1:
        train = [fold[0].train for fold in jobs for _ in range(per_fold)]
        held = held and [fold[0].held for fold in jobs for _ in range(per_fold)]
    initial, found = first.initial, None
    for stage in range(len(first.stages)):
        if found is not None:
            initial = found.points("last")
        specs = [job.stages[stage] for job in jobs[0]]
        if len(specs) == len(seeds) == 1:
            specs = [first.single(stage)]
        found = run(
            specs,
            train,
            held,
            seeds=seeds,
            initial=initial,
            hooks=hooks,
            **first.how,
        )
    assert found is not None
    return found


class Estimator(BaseEstimator):
    """Base of all estimators.

    A class says how rows and targets become a `Job` (`_job`) and what is kept of the runs
    (`_adopt`); `NUMBERS` are the parameters that change numbers of the spec alone, so that a search
    runs any number of their values as one program.
    """

    NUMBERS: frozenset[str] = frozenset()

    def _job(self, X: Any, y: Any, sample_weight: Any = None, *, like: Any = None) -> Job:
        """The job of fitting these rows; `like`, that of all rows of which these are a fold."""
        raise NotImplementedError

    def _alone(self) -> bool:
        """Whether a search must fit this candidate by itself, as more than weights is learned."""
        return False

    def _restage(self, job: Job) -> Job:
        """`job` on the same data with the numbers of this estimator's parameters."""
        raise NotImplementedError

    def _adopt(self, job: Job, runs: Runs, streams: Sequence[int] = (0,), cell: int = 0) -> None:
        raise NotImplementedError

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """Fit to rows X (rows, features) and targets y; `sample_weight` (rows,) counts rows."""
        if self._ready_made(X):
            return self
        job = self._job(X, y, sample_weight)
        self._adopt(job, run_jobs([[job]], self._hooks()), range(len(job.seeds)))
        return self

    def _ready_made(self, X: Any) -> bool:
        """Whether a search has fitted this candidate to this fold; it is then taken over."""
        waiting = READY.get()
        if not waiting:
            return False
        params, rows, fitted = waiting[0]
        if rows != _num_samples(X) or repr(params) != repr(self.get_params(deep=False)):
            return False
        waiting.popleft()
        if isinstance(fitted, Exception):
            raise fitted
        self.__dict__.update({k: v for k, v in vars(fitted).items() if k not in params})
        return True

    def _hooks(self) -> tuple:
        shown = (_show,) if getattr(self, "verbose", False) else ()
        return (*shown, *(getattr(self, "callbacks", None) or ()))

    def _judge(self, runs: Runs, streams: Sequence[int], cell: int, limit: str = "",
               warn: bool = False) -> None:  # fmt: skip
        """Keep how the runs ended; DivergedError (or `warn`, a warning) where one diverged."""
        worst = max(streams, key=lambda s: runs.outcome(s, cell) is Outcome.DIVERGED)
        self.outcome_ = runs.outcome(worst, cell).text
        self.message_ = runs.message(worst, cell)
        if runs.outcome(worst, cell) is not Outcome.DIVERGED:
            return
        said = f"{type(self).__name__}: {self.message_}{limit}"
        if not warn:
            raise DivergedError(said)
        warnings.warn(said, ConvergenceWarning, stacklevel=4)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the fitted estimator into the folder `path`; `steepest.load(path)` reads it.

        Numbers as safetensors, the rest as JSON, both under checksums; nothing is pickled. Raises
        UsageError where a parameter is Python code, FileError where the folder cannot be written.
        """
        from steepest.estimators.files import save

        save(path, self)

    def to_onnx(self, path: str | os.PathLike[str], dtype: str = "float32") -> None:
        """Write a fitted linear model or perceptron as an ONNX file, for other programs to run.

        Its input is `X` (rows, features) of `dtype`, as given to `predict`: scaling is part of the
        graph, and of an ensemble the mean. Outputs: `prediction` (rows, targets), or `label` with
        `probabilities` or `decision` (rows, classes).

        Raises UsageError for estimators that have no such form, MissingExtraError without the
        package onnx.
        """
        from steepest.estimators.onnx_file import save_onnx

        save_onnx(path, self, dtype)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags


def seed_of(random_state: Any) -> int:
    """The seed that a `random_state` stands for: an int itself, else drawn from it."""
    if isinstance(random_state, (int, np.integer)) and not isinstance(random_state, bool):
        if random_state < 0:
            raise UsageError(f"random_state must be at least 0, got {random_state}.")
        return int(random_state)
    return int(check_random_state(random_state).randint(np.iinfo(np.int32).max))


def whole(owner: Any, name: str, value: Any, least: int = 1) -> int:
    """A parameter that must be a whole number of at least `least`."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise UsageError(
            f"{type(owner).__name__}: {name} must be a whole number of at least {least}, "
            f"got {value!r}."
        )
    return int(value)


def real(owner: Any, name: str, value: Any, least: float | None = 0.0, above: float | None = None,
         most: float | None = None) -> float:  # fmt: skip
    """A parameter that must be a number within bounds."""
    fine = isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool)
    bounds = [(least, "at least", lambda v, b: v >= b), (above, "above", lambda v, b: v > b),
              (most, "at most", lambda v, b: v <= b)]  # fmt: skip
    given = [(b, word, test) for b, word, test in bounds if b is not None]
    if not fine or not all(test(value, b) for b, _, test in given):
        said = " and ".join(f"{word} {b:g}" for b, word, _ in given)
        raise UsageError(f"{type(owner).__name__}: {name} must be a number {said}, got {value!r}.")
    return float(value)


def warn_budget(estimator: Any, name: str, value: Any, message: str) -> None:
    """A ConvergenceWarning that names the parameter to raise."""
    warnings.warn(
        f"{type(estimator).__name__} did not converge: {message} Raise {name}={value}.",
        ConvergenceWarning,
        stacklevel=4,
    )


def at(points: Any, stream: int, cell: int) -> Any:
    """The arrays of one run out of leaves (streams, cells, ...)."""
    return jax.tree.map(lambda a: np.asarray(a[stream, cell]), points)


def _show(moment: Any) -> None:
    value = np.asarray(moment.carry.value)
    print(f"step {moment.step} of {moment.steps}: loss {value.mean():.6g}")


def keep(estimator: Any, given: dict[str, Any]) -> None:
    """Set the parameters of a constructor, its `locals()`, as they were given."""
    for name, value in given.items():
        if name not in ("self", "__class__"):
            setattr(estimator, name, value)


def restaged(job: Job, *stages: RunSpec) -> Job:
    """`job` with other stages."""
    return dataclasses.replace(job, stages=stages)


def changed(settings: Any, **changes: Any) -> Any:
    """`record.replace`, under a name that says what it does to settings."""
    return replace(settings, **changes)


def warn_worse(estimator: Any, first: float, last: float, limit: str) -> None:
    """A ConvergenceWarning where training made the loss no better."""
    warnings.warn(
        f"{type(estimator).__name__} learned nothing: the loss was {first:.4g} at the start and "
        f"{last:.4g} at the end.{limit} Lower the learning rate.",
        ConvergenceWarning,
        stacklevel=4,
    )


def record_of(runs: Runs, stream: int, cell: int) -> dict[str, Any]:
    """What one run recorded, up to its last step, and from where it came: for its diagnosis."""
    taken = int(runs.carry.step[stream, cell])
    steps, epochs = runs.trace.steps, runs.trace.epochs
    return {
        "seed": runs.seeds[stream],
        "taken": taken,
        "outcome": int(runs.outcome(stream, cell)),
        "message": runs.message(stream, cell),
        "steps": _columns(steps, np.asarray(steps["step"]) < taken, stream, cell),
        "epochs": _columns(epochs, np.asarray(epochs["step"]) <= taken, stream, cell),
    }


def _columns(table: Any, rows: np.ndarray, stream: int, cell: int) -> dict[str, np.ndarray]:
    """The numbers of one run in a table of the trace."""
    values = {name: np.asarray(table[name]) for name in table}
    picked = {k: v if v.ndim == 1 else v[:, stream, cell] for k, v in values.items()}
    return {k: v[rows] for k, v in picked.items() if v.ndim == 1}


def state_of(runs: Runs, streams: Sequence[int], cell: int) -> dict[str, np.ndarray]:
    """The carries of these runs by path, from which `reopened` lets a later call go on."""
    leaves = jax.tree_util.tree_leaves_with_path(runs.carry)
    picked = list(streams)
    return {
        jax.tree_util.keystr(path): np.asarray(a[picked][:, cell : cell + 1]) for path, a in leaves
    }


def reopened(job: Job, state: dict[str, np.ndarray], calls: int) -> None:
    """Let `job` go on from `state`, weights and optimizer's memory, as call number `calls`."""
    state = dict(state)
    # The runs are open again; what was best on earlier data is not best on these.
    for path, value in state.items():
        if path.endswith(".reason"):
            state[path] = np.full_like(value, int(Reason.NONE))
        elif path.endswith((".best_value", ".patience_best", ".stall_best")):
            state[path] = np.full_like(value, np.inf)
        elif path.endswith(("epochs", ".epoch_value", ".epoch_weight")):
            state[path] = np.zeros_like(value)
    # Another order and other dropout in each call, from seeds that no first call has.
    job.seeds = tuple((s + (calls << 33)) % 2**63 for s in job.seeds)
    # From the device, as a fresh start is: rows of numbers from the host are another call to JAX.
    with precision(job.how["dtype"]):
        job.how["resume"] = Resume(jax.device_put(state), Trace(job.seeds), 0, 0.0)
