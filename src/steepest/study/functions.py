"""`FunctionStudy`: optimizers x learning rates x starting points on one function."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import numpy as np
import polars as pl

from steepest.core.errors import UsageError, suggest
from steepest.core.outcome import Outcome, Reason
from steepest.core.record import from_dict, replace, to_dict
from steepest.engine.compiling import precision
from steepest.engine.descend import starting_points, traceable, whole
from steepest.engine.drive import Moment
from steepest.engine.runs import Runs, run
from steepest.engine.settings import Settings
from steepest.engine.spec import RunSpec
from steepest.engine.stop import StopRule
from steepest.functions.function import function as read_formula
from steepest.objectives.objective import FunctionObjective
from steepest.optimizers.registry import optimizer as make_optimizer
from steepest.study import directory as place
from steepest.study import grid
from steepest.study.conduct import conduct
from steepest.study.execute import Interrupted, Part, Progress, Show
from steepest.study.grid import WITHIN, Cell, factors, label
from steepest.study.plan import COMPILE_SECONDS, with_cell
from steepest.study.result import StudyResult

VARY = {"optimizer": ("gd", "momentum", "nesterov", "rmsprop", "adam"),
        "learning_rate": "1e-4:1:log9"}  # fmt: skip
"""What is varied where nothing is said."""
SETTINGS = ("optimizer", "learning_rate", "momentum", "weight_decay", "clip_norm", "clip_value",
            "schedule", "warmup", "average")  # fmt: skip
"""Settings of training that mean something without data."""
METRICS = ("final_value", "gradient_norm", "steps")
REACH = 2.0
"""Starting points lie within +-REACH in each variable where no bounds are given."""
MOST_RUNS = 4096
RECORDS = 500_000
STEP_SECONDS = 1e-7
MOST_COORDINATES = 4


@dataclass(frozen=True)
class FunctionPlan:
    """What will run: cells by program, and how many starting points each has."""

    cells: tuple[Cell, ...]
    groups: tuple[tuple[int, ...], ...]
    starts: int
    size: int
    max_steps: int

    @property
    def runs(self) -> int:
        """Cells x starts."""
        return len(self.cells) * self.starts

    @property
    def programs(self) -> int:
        """Programs to compile: one an optimizer."""
        return len(self.groups)

    @property
    def parts(self) -> list[tuple[int, ...]]:
        """The cells of each block."""
        most = max(1, MOST_RUNS // self.starts)
        return [g[i : i + most] for g in self.groups for i in range(0, len(g), most)]

    @property
    def blocks(self) -> int:
        """Blocks, the unit in which results are kept."""
        return len(self.parts)

    @property
    def seconds(self) -> float:
        """A rough expectation of the whole time."""
        return self.programs * COMPILE_SECONDS + self.runs * self.max_steps * STEP_SECONDS

    @property
    def memory(self) -> int:
        """Bytes expected at the worst moment."""
        most = max(map(len, self.parts)) * self.starts
        return most * (64 * self.size + 16 * self.records)

    @property
    def records(self) -> int:
        """Records kept of each run."""
        return max(16, min(200, RECORDS // self.runs))

    def describe(self) -> str:
        """The plan in a line for a person."""
        return (
            f"{len(self.cells)} cells x {self.starts} starts = {self.runs} runs of at most "
            f"{self.max_steps} steps; {self.programs} program{'s' if self.programs > 1 else ''}; "
            f"about {self.seconds:.0f} s expected."
        )


class FunctionStudy:
    """Minimise one function with each optimizer and learning rate from many starting points.

    All cells share the starting points, so differences between them are paired. A descent ends
    where the norm of the gradient is at most `tolerance`, or after `max_steps`. Metrics are
    `final_value` (f at the best point), `gradient_norm` and `steps`; a descent that did not
    converge has used all its steps. Methods with a line search have no learning rate and get one
    cell. In float64.

    Args:
      function: a formula, a name of the catalogue, or a function of one vector, in JAX.
      vary: `optimizer`, `learning_rate`, or any setting of the rule or its schedule, as in `Study`.
      fixed: settings that are the same in all cells; `tolerance` besides.
      start, spread: starting points are normal about this one, with this standard deviation.
      bounds: else uniform within these (one interval, or one a variable); +-2 if nothing is said.

    Raises: UsageError for a wrong setting in any cell, FormulaError, before any run.

    >>> study = FunctionStudy("x^2 + 10*y^2", vary={"optimizer": ["gd", "momentum"],
    ...                       "learning_rate": [0.01, 0.09]}, starts=3)
    >>> study.plan.runs, study.plan.programs
    (12, 2)
    >>> study.run().summary("steps")["learning_rate"][0]
    '0.09'
    """

    def __init__(
        self,
        function: str | Callable[[Any], Any],
        vary: Mapping[str, Any] | None = None,
        fixed: Mapping[str, Any] | None = None,
        *,
        starts: int = 10,
        start: Sequence[float] | None = None,
        spread: float = 1.0,
        bounds: Sequence[tuple[float, float]] | None = None,
        max_steps: int = 1000,
        design: str = "grid",
        metric: str | None = None,
        seed: int = 0,
        formula: str | None = None,
        names: Sequence[str] = (),
    ):
        if isinstance(function, str):
            known = read_formula(function)
            formula, names, bounds = function, known.variables, bounds or known.bounds
            function = known
        self.function, self.names = function, tuple(names)
        self.formula = formula or getattr(function, "__name__", "f")
        self.max_steps, self.design, self.seed = whole("max_steps", max_steps), design, seed
        given = dict(fixed or {})
        self.tolerance = float(given.pop("tolerance", 1e-6))
        if bounds is not None and len(bounds) == 1:
            bounds = [*bounds] * max(len(self.names), 1)
        self.points = self._points(whole("starts", starts), start, spread, bounds)
        if not self.names:
            self.names = tuple(f"x{i + 1}" for i in range(self.points.shape[1]))
        self.where = {
            "starts": int(starts), "start": None if start is None else [float(v) for v in start],
            "spread": float(spread), "bounds": None if bounds is None else _pairs(bounds),
        }  # fmt: skip
        self.vary = factors({**_defaults(given), **dict(vary or {})})
        for name in (*given, *self.vary):
            if name not in SETTINGS and not name.startswith(tuple(WITHIN)):
                known_names = [*SETTINGS, "optimizer.beta1"]
                raise UsageError(
                    f"{name} means nothing for a function; {suggest(name, known_names)}"
                )
        clash = sorted(set(given) & set(self.vary))
        if clash:
            raise UsageError(f"{clash[0]} is both varied and fixed; give it once.")
        self.fixed = given
        self.base = replace(Settings(), **{"optimizer": "gd", **given})
        self.cells = tuple(_without_rates(grid.design(design, self.vary, seed), self.base))
        if metric is not None and metric not in METRICS:
            raise UsageError(f"metric={metric!r} is not known; {suggest(metric, METRICS)}")
        self.metric = metric or METRICS[0]
        self.specs = [self._spec(i, cell) for i, cell in enumerate(self.cells)]
        objective = self.specs[0].objective
        with precision("float64"):
            traceable(jax.jit(_evaluate), objective, self.points[0], "The function", "")
        groups: dict[Any, list[int]] = {}
        for i, spec in enumerate(self.specs):
            groups.setdefault(jax.tree.structure(spec), []).append(i)
        self.plan = FunctionPlan(
            self.cells, tuple(map(tuple, groups.values())), len(self.points), self.points.shape[1],
            self.max_steps,
        )  # fmt: skip

    def _points(self, starts: int, start: Any, spread: float, bounds: Any) -> np.ndarray:
        if start is not None:
            if bounds is not None:
                raise UsageError("give either bounds for the starting points, or a start.")
            if not (math.isfinite(spread) and spread > 0):
                raise UsageError(f"spread={spread} must be a number above 0.")
            centre = np.atleast_1d(np.asarray(start, np.float64))
            if self.names and centre.shape != (len(self.names),):
                raise UsageError(
                    f"start holds {centre.size} numbers, but there are {len(self.names)} variables."
                )
            random = np.random.default_rng(self.seed)
            return centre + spread * random.standard_normal((starts, len(centre)))
        size = len(self.names)
        if bounds is None:
            if not size:
                raise UsageError("give bounds (one interval a variable) or a start.")
            bounds = [(-REACH, REACH)] * size
        if size and len(bounds) != size:
            raise UsageError(f"bounds holds {len(bounds)} intervals for {size} variables.")
        lower, upper = np.array(bounds, np.float64).T
        return np.asarray(starting_points(None, starts, (lower, upper), self.seed, "float64"))

    def _spec(self, number: int, cell: Cell) -> RunSpec:
        try:
            return RunSpec(
                objective=FunctionObjective(self.function),
                optimizer=with_cell(self.base, cell).make_optimizer(),
                stop=StopRule(tolerance=self.tolerance),
                probes=("loss",), track="step", deterministic=True,
            )  # fmt: skip
        except UsageError as error:
            raise UsageError(f"cell {number} ({label(cell)}): {error}") from error

    def run(
        self,
        directory: str | os.PathLike[str] | None = None,
        *,
        resume: bool = False,
        overwrite: bool = False,
        show: Show | None = None,
    ) -> StudyResult:
        """Run all cells from all starting points; as `Study.run`."""

        def parts(skip: frozenset[int]) -> Iterator[Part]:
            return self._execute(skip, show)

        return conduct(self, parts, directory, resume=resume, overwrite=overwrite)

    def _execute(self, skip: frozenset[int], show: Show | None) -> Iterator[Part]:
        plan = self.plan
        every = max(1, math.ceil(self.max_steps / plan.records))
        done = diverged = 0
        for number, cells in enumerate(plan.parts):
            count = len(cells) * plan.starts
            if number in skip:
                done += count
                continue
            interrupted: list[bool] = []
            told = (done, diverged)

            def hook(
                moment: Moment, told: Any = told, count: int = count, hit: list = interrupted
            ) -> None:

                if moment.stop_reason is Reason.INTERRUPTED:
                    hit.append(True)
                if show is not None:
                    share = (told[0] + count * moment.step / moment.steps) / plan.runs
                    show(Progress(told[0], plan.runs, told[1], share))

            shape = (plan.starts, len(cells), plan.size)
            initial = np.array(np.broadcast_to(self.points[:, None], shape))
            found = run(
                [self.specs[c] for c in cells], seeds=range(plan.starts), steps=self.max_steps,
                dtype="float64", initial=(initial, ()), every=every, hooks=(hook,),
            )  # fmt: skip
            if interrupted:
                raise Interrupted
            part = Part(number, self._table(cells, found), _records(cells, found))
            done += count
            diverged += int((part.runs["outcome"] == "diverged").sum())
            if show is not None:
                show(Progress(done, plan.runs, diverged, done / plan.runs))
            yield part

    def _table(self, cells: Sequence[int], runs: Runs) -> pl.DataFrame:
        carry, starts = runs.carry, len(runs.seeds)
        order = [(s, c) for c in range(len(cells)) for s in range(starts)]
        bad = np.array([runs.outcome(s, c) is Outcome.DIVERGED for s, c in order])

        def flat(a: Any) -> np.ndarray:
            return np.asarray(a).T.reshape(-1)

        columns: dict[str, Any] = {
            "cell": np.repeat(cells, starts),
            "seed": np.tile(np.arange(starts), len(cells)),
            "outcome": [runs.outcome(s, c).text for s, c in order],
            "reason": [runs.message(s, c) for s, c in order],
            "steps": flat(carry.step),
            "final_value": np.where(bad, np.inf, flat(carry.best_value)),
            "gradient_norm": np.where(bad, np.inf, flat(carry.gradient_norm)),
        }
        at = np.asarray(carry.best_params)
        for i, name in enumerate(self.names[:MOST_COORDINATES]):
            columns[f"at_{name}"] = flat(at[:, :, i])
        return pl.DataFrame(columns)

    def facts(self) -> dict[str, Any]:
        """What a report says about the study besides its results."""
        where = {k: v for k, v in self.where.items() if v is not None and k != "starts"}
        if "start" not in where:
            where.pop("spread")
        return {
            "formula": self.formula, "starts": len(self.points), "within": _said(where),
            "max_steps": self.max_steps, "tolerance": self.tolerance,
            "fixed": {k: to_dict(v) for k, v in self.fixed.items()}, "metric": self.metric,
        }  # fmt: skip

    def describe(self) -> dict[str, Any]:
        """All that reproduces the study, JSON-ready."""
        from steepest import __version__

        return {
            "steepest": __version__, "formula": self.formula, "names": list(self.names),
            "vary": {k: [to_dict(v) for v in of] for k, of in self.vary.items()},
            "fixed": {k: to_dict(v) for k, v in self.fixed.items()} | {"tolerance": self.tolerance},
            **self.where, "max_steps": self.max_steps, "design": self.design, "seed": self.seed,
            "metric": self.metric,
        }  # fmt: skip

    @classmethod
    def of(
        cls, directory: str | os.PathLike[str], function: Callable[[Any], Any] | None = None
    ) -> FunctionStudy:
        """The study that a directory describes; `function` where it was no formula."""
        path = Path(directory)
        known = place.read(path)
        try:
            names = tuple(known["names"])
            if function is None:
                function = read_formula(known["formula"], len(names))
            vary = {k: [from_dict(v) for v in of] for k, of in known["vary"].items()}
            fixed = {k: from_dict(v) for k, v in known["fixed"].items()}
            rest = ("starts", "start", "spread", "bounds", "max_steps", "design", "metric", "seed")
            return cls(function, vary, fixed, formula=known["formula"], names=names,
                       **{k: known[k] for k in rest})  # fmt: skip
        except (KeyError, TypeError, AttributeError) as error:
            raise UsageError(
                f"{path / place.STUDY} is not one of this version ({error})."
            ) from None


def _evaluate(objective: Any, x: Any) -> Any:
    return objective.evaluate(x, (), None)


def _defaults(given: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in VARY.items() if k not in given}


def _without_rates(cells: Sequence[Cell], base: Settings) -> Iterator[Cell]:
    """The cells, those of a method without a learning rate only once."""
    seen = set()
    for cell in cells:
        name = cell.get("optimizer", base.optimizer)
        if isinstance(name, str) and not hasattr(make_optimizer(name), "learning_rate"):
            if base.learning_rate is not None:
                raise UsageError(f"optimizer {name!r} finds its own step length; leave out the "
                                 "learning rate, or the optimizer.")  # fmt: skip
            cell = {k: None if k == "learning_rate" else v for k, v in cell.items()}
        key = repr(cell)
        if key not in seen:
            seen.add(key)
            yield cell


def _records(cells: Sequence[int], runs: Runs) -> pl.DataFrame:
    """f along the way, by study cell and starting point."""
    frame = runs.trace.frame("steps")
    if frame.is_empty():
        return pl.DataFrame()
    # Descents have no epochs: their curves go by steps.
    return frame.rename({"seed": "stream"}).with_columns(
        pl.lit("steps").alias("table"),
        pl.col("cell").replace_strict(dict(enumerate(cells)), return_dtype=pl.Int64),
        pl.col("step").cast(pl.Float64).alias("epoch"),
    )


def _pairs(bounds: Any) -> list[list[float]]:
    return [[float(a), float(b)] for a, b in bounds]


def _said(where: Mapping[str, Any]) -> str:
    if "start" in where:
        point = ", ".join(f"{v:g}" for v in where["start"])
        return f"normal about ({point}) with deviation {where['spread']:g}"
    if "bounds" in where:
        return " x ".join(f"[{a:g}, {b:g}]" for a, b in where["bounds"])
    return f"[{-REACH:g}, {REACH:g}] in each variable"
