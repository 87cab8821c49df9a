"""From cells to programs: which runs go together, and what they will cost.

Cells whose specs have the same structure (the same code and shapes, other numbers) are a group: one
compiled program with stacked leaves. A group is cut into blocks of as many runs as the cache and
the memory hold, all blocks of a group being of the same size, so that they share the program.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from steepest.core.errors import UsageError
from steepest.core.record import replace, swap
from steepest.core.types import Horizon
from steepest.engine.compiling import precision
from steepest.engine.settings import Settings
from steepest.engine.spec import begin
from steepest.study.folds import Folds
from steepest.study.grid import Cell, changes, label

BLOCK_BYTES = 24 * 2**20
"""State of all runs of a block: about what the caches of a processor hold."""
MOST_RUNS = 1024
"""Runs of a block, at most: progress is told, and results are written, between blocks."""
STEP_SECONDS = 1.5e-6
"""What a step of a run costs at least, however small it is."""
FLOPS = 2e10
"""Arithmetic a second that a study was seen to reach on one core, small networks."""
COMPILE_SECONDS = 2.0
"""What a group costs to compile where no cache has it."""


@dataclass(frozen=True)
class Group:
    """Cells that are one program. `cells`: their numbers in the study."""

    cells: tuple[int, ...]
    settings: tuple[Settings, ...]
    specs: tuple[Any, ...]
    folds: Folds
    parameters: int
    state_bytes: int
    streams: int

    @property
    def block_cells(self) -> int:
        """How many cells a block holds."""
        runs = max(1, min(MOST_RUNS, BLOCK_BYTES // max(self.state_bytes, 1)))
        most = max(1, runs // self.streams)
        return math.ceil(len(self.cells) / math.ceil(len(self.cells) / most))

    @property
    def blocks(self) -> list[range]:
        """The positions of each block's cells within the group."""
        n, size = len(self.cells), self.block_cells
        return [range(i, min(i + size, n)) for i in range(0, n, size)]

    @property
    def steps(self) -> int:
        """Steps of each run."""
        first = self.settings[0]
        return max(1, math.ceil(first.epochs * self.folds.steps_per_epoch(first.batch_size)))

    @property
    def work(self) -> float:
        """Seconds of one core expected for all its runs, once compiled."""
        rows, size = self.folds.rows, self.settings[0].batch_size
        size = rows if size == "full" else min(size, rows)
        cost = STEP_SECONDS + 6.0 * self.parameters * size / FLOPS
        return cost * self.steps * len(self.cells) * self.streams

    @property
    def seconds(self) -> float:
        """Time expected for all its runs once compiled, on this machine's cores."""
        return self.work / (os.cpu_count() or 1)

    @property
    def memory(self) -> int:
        """Bytes that its largest block needs besides the data, records included."""
        records = 16 * min(self.steps, 512)
        return self.block_cells * self.streams * (3 * self.state_bytes + records)


@dataclass(frozen=True)
class Plan:
    """What will run: shown before it does."""

    cells: tuple[Cell, ...]
    seeds: tuple[int, ...]
    folds: int | None
    groups: tuple[Group, ...]

    @property
    def runs(self) -> int:
        """Cells x seeds x folds."""
        return len(self.cells) * len(self.seeds) * (self.folds or 1)

    @property
    def programs(self) -> int:
        """Programs to compile: one a group."""
        return len(self.groups)

    @property
    def blocks(self) -> int:
        """Blocks of all groups, the unit in which results are kept."""
        return sum(len(g.blocks) for g in self.groups)

    @property
    def seconds(self) -> float:
        """A rough expectation of the whole time, with nothing in the compile cache."""
        return sum(g.seconds + COMPILE_SECONDS for g in self.groups)

    @property
    def memory(self) -> int:
        """Bytes expected at the worst moment, besides the data."""
        return max(g.memory for g in self.groups)

    def describe(self) -> str:
        """The plan in a line for a person."""
        folds = f" x {self.folds} folds" if self.folds else ""
        seconds = self.seconds
        time = f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
        return (
            f"{len(self.cells)} cells x {len(self.seeds)} seeds{folds} = {self.runs} runs; "
            f"{self.programs} program{'s' if self.programs > 1 else ''} in {self.blocks} "
            f"block{'s' if self.blocks > 1 else ''}; about {time} and "
            f"{max(1, round(self.memory / 2**20))} MiB expected."
        )


def plan(
    cells: Sequence[Cell],
    base: Settings,
    data: Any,
    seeds: Sequence[int],
    folds: int | None = None,
) -> Plan:
    """Group the cells. Every setting is checked here, before anything compiles.

    `data(settings)` gives the `Folds` for settings; cells with the same choices about data share
    them.
    """
    if not cells:
        raise UsageError("the study has no cells; give at least one.")
    grouped: dict[Any, list[tuple[int, Settings, Any, Folds]]] = {}
    for number, cell in enumerate(cells):
        try:
            settings = with_cell(base, cell)
            ready = data(settings)
            spec = ready.spec(settings)
        except UsageError as error:
            raise UsageError(f"cell {number} ({label(cell)}): {error}") from error
        grouped.setdefault(_key(settings, spec, ready), []).append((number, settings, spec, ready))
    made = []
    for members in grouped.values():
        numbers, chosen, specs, rows = zip(*members, strict=True)
        parameters, state = _sizes(specs[0], rows[0])
        streams = len(seeds) * (folds or 1)
        made.append(Group(numbers, chosen, specs, rows[0], parameters, state, streams))
    return Plan(tuple(cells), tuple(seeds), folds, tuple(made))


def with_cell(base: Settings, cell: Cell) -> Settings:
    """`base` with the cell's changes; what is set within a rule or schedule is added to base's."""
    new = changes(cell)
    for field in ("optimizer_settings", "schedule_settings"):
        if field in new:
            new[field] = tuple((dict(getattr(base, field)) | dict(new[field])).items())
    return replace(base, **new)


def _key(settings: Settings, spec: Any, ready: Folds) -> Any:
    leaves, structure = jax.tree.flatten(spec)
    shapes = tuple(np.shape(x) for x in leaves)
    return (
        structure, shapes, settings.batch_size, settings.epochs, settings.every, settings.dtype,
        id(ready),
    )  # fmt: skip


def _sizes(spec: Any, ready: Folds) -> tuple[int, int]:
    """Number of weights, and bytes of all that a run carries from step to step."""
    row = ready.row

    def carried(spec, key, row):
        params, buffers = spec.objective.init(key)
        return begin(spec, params, buffers, row, key)

    spec = swap(spec, optimizer=spec.optimizer.bind(Horizon(1.0, 1.0)))
    with precision(row.x.dtype):
        carry = jax.eval_shape(carried, spec, np.zeros(2, np.uint32), row)
    count = sum(math.prod(x.shape) for x in jax.tree.leaves(carry.params))
    return count, sum(math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(carry))
