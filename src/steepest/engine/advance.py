"""The compiled program: a chunk of steps of all runs, with a measurement after each epoch.

    advance(spec, carry, chunk, data, held, layout) -> (carry, records)

One `while` loop over steps lies outside the batch axes (seed x cell), so that the loop ends as soon
as every run has ended, and a measurement is a real branch instead of a `select`. How many steps a
chunk takes is a number, not a shape: chunks of any length are one program, and a chunked run equals
an unchunked one to the bit.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import jax
import jax.extend
import jax.numpy as jnp
from jax.sharding import PartitionSpec as P

from steepest.core.outcome import Reason
from steepest.data.batches import SKIP
from steepest.engine import step as one
from steepest.engine.mesh import AXIS, mesh
from steepest.engine.program import program
from steepest.engine.spec import Carry, RunSpec, begin


class Chunk(NamedTuple):
    """What the host tells the program about the next steps.

    rows:    (seeds, segments, steps, batch) rows of each step, `SKIP` for none; None: every step
             sees all the data (or there is none).
    first:   number of the first step.
    stops:   (segments,) for each segment, up to which step of the chunk it goes.
    measure: (segments,) whether the segment ends an epoch.
    count:   how many segments there are.
    keys:    (seeds, 2) random keys of the seeds.
    """

    rows: Any
    first: Any
    stops: Any
    measure: Any
    count: Any
    keys: Any


class Layout(NamedTuple):
    """The static side of a chunk: sizes of its buffers, and how runs are grouped.

    Runs are cut into `groups` equal groups along `axis`. The groups are computed side by side on as
    many devices (`sharded`), or one after another on one: to the bit the same, because arithmetic
    is fixed by the size of a group, not by where it is computed.
    """

    seeds: int
    cells: int
    records: int
    every: int = 1
    groups: int = 1
    axis: str = "cells"
    sharded: bool = True

    def group(self) -> Layout:
        """The layout of one group."""
        by_cell = self.axis == "cells"
        return self._replace(
            groups=1,
            cells=self.cells // (self.groups if by_cell else 1),
            seeds=self.seeds // (1 if by_cell else self.groups),
        )


class Packed:
    """A tree whose single numbers (leaves of `ndim` axes) are stacked, those of a dtype together.

    >>> packed = Packed.like({"a": jnp.ones(()), "b": jnp.zeros(()), "w": jnp.ones(3)}, 0)
    >>> vectors, rest = packed.pack({"a": jnp.ones(()), "b": jnp.zeros(()), "w": jnp.ones(3)})
    >>> [v.tolist() for v in vectors], len(rest)
    ([[1.0, 0.0]], 1)
    """

    def __init__(self, structure: Any, groups: list[list[int]], rest: list[int]):
        self.structure, self.groups, self.rest = structure, groups, rest

    @classmethod
    def like(cls, t: Any, ndim: int) -> Packed:
        """How to pack trees such as `t`, of arrays or of their shapes."""
        leaves, structure = jax.tree.flatten(t)
        groups: dict[Any, list[int]] = {}
        for i, leaf in enumerate(leaves):
            if leaf.ndim == ndim:
                groups.setdefault(leaf.dtype, []).append(i)
        taken = {i for group in groups.values() for i in group}
        rest = [i for i in range(len(leaves)) if i not in taken]
        return cls(structure, list(groups.values()), rest)

    def pack(self, t: Any) -> tuple[list, list]:
        """`(vectors, the other leaves)`."""
        leaves = jax.tree.leaves(t)
        vectors = [jnp.stack([leaves[i] for i in group], axis=-1) for group in self.groups]
        return vectors, [leaves[i] for i in self.rest]

    def unpack(self, packed: tuple[list, list]) -> Any:
        """The tree again; leading axes that came in between (of records) stay."""
        vectors, others = packed
        leaves = dict(zip(self.rest, others, strict=True))
        for group, vector in zip(self.groups, vectors, strict=True):
            leaves |= {i: vector[..., k] for k, i in enumerate(group)}
        return self.structure.unflatten([leaves[i] for i in range(len(leaves))])


def over_runs(f, seeds: int, cells: int, in_axes: tuple):
    """`f` of one run as a function of seeds x cells runs.

    in_axes: per argument `"run"` (both axes), `"cell"`, `"seed"` or None (shared by all). Results
    have both axes. What is shared between cells is not copied: the first layer of all cells on one
    mini-batch is one matrix product. A single run is not mapped at all.
    """
    cell_axes = tuple(0 if a in ("run", "cell") else None for a in in_axes)
    seed_axes = tuple(0 if a in ("run", "seed") else None for a in in_axes)
    if seeds == cells == 1:

        def alone(*args):
            def squeeze(arg, axes):
                index = {"run": (0, 0), "cell": 0, "seed": 0}.get(axes)
                return arg if index is None else jax.tree.map(lambda x: x[index], arg)

            out = f(*(squeeze(a, axes) for a, axes in zip(args, in_axes, strict=True)))
            return jax.tree.map(lambda x: jnp.asarray(x)[None, None], out)

        return alone
    mapped = jax.vmap(f, in_axes=cell_axes)
    return jax.vmap(mapped, in_axes=seed_axes)


def axis_of(batch: Any, axes: int) -> str | None:
    """`"seed"` where `batch` has a leading axis, one data set a seed; None where all share it.

    `axes`: of the weights of one data set, 1 for rows and 2 for blocks of rows.
    """
    weight = getattr(batch, "weight", None)
    return "seed" if weight is not None and weight.ndim > axes else None


def traced(f, *args):
    """`f`, and the shapes of what it returns, both from a single pass through its Python code.

    Tracing the mathematics of a step takes longer than fetching its program from the cache.
    """
    jaxpr, shapes = jax.make_jaxpr(f, return_shape=True)(*args)
    flat = jax.extend.core.jaxpr_as_fun(jaxpr)
    structure = jax.tree.structure(shapes)

    def again(*args):
        return structure.unflatten(flat(*jax.tree.leaves(args)))

    return again, shapes


def take(data: Any, rows: Any) -> Any:
    """The rows of a segment, gathered at once: leaves (seeds, steps, batch, ...)."""
    batch = jax.tree.map(lambda a: jnp.take(a, rows, axis=0, mode="clip"), data)
    present = (rows != SKIP).astype(batch.weight.dtype)
    return batch._replace(weight=batch.weight * present)


@program
def draw(objective: Any, key: Any) -> tuple[Any, Any]:
    """(params, buffers) of one run before training.

    Apart from `start`, so that runs of any number, of any optimizer, share the program.
    """
    return objective.init(jax.random.fold_in(key, 0))


@program(static=("layout",))
def start(spec: RunSpec, keys: Any, initial: Any, batch: Any, layout: Layout) -> Carry:
    """The carries of all runs; `initial`: (params, buffers) with axes (seeds, cells)."""

    def carry(spec, key, initial, batch):
        params, buffers = initial
        made = begin(spec, params, buffers, batch, key)
        # Weakly typed numbers are another type to the compiler than those that a later call brings.
        return jax.tree.map(lambda x: jnp.asarray(x, jnp.result_type(x)), made)

    axes = ("cell", "seed", "run", axis_of(batch, 1))
    return over_runs(carry, layout.seeds, layout.cells, axes)(spec, keys, initial, batch)


@program(static=("layout",))
def measure_rows(objective: Any, points: Any, block: Any, layout: Layout) -> dict:
    """The sums of `objective.measure` over a block of rows at (params, buffers) of every run."""

    def sums(objective, point, block):
        return objective.measure(*point, block)

    axes = ("cell", "run", axis_of(block, 1))
    return over_runs(sums, layout.seeds, layout.cells, axes)(objective, points, block)


@program
def apply(model: Any, params: Any, buffers: Any, x: Any) -> Any:
    """f_w(x) of one run, as at prediction time."""
    return model.forward(params, buffers, x, train=False)[0]


@program(static=("layout",))
def metrics(objective: Any, sums: Any, layout: Layout) -> dict:
    """What `objective.metrics` makes of the sums over all blocks, for every run."""
    axes = ("cell", "run")
    f = over_runs(lambda o, s: o.metrics(s), layout.seeds, layout.cells, axes)
    return f(objective, sums)


@program(static=("layout",))
def evaluate(objective: Any, params: Any, buffers: Any, batch: Any, layout: Layout) -> Any:
    """`(value, gradient, gradient norm, aux)` of every run's objective at `params`.

    For objectives in which nothing is random. The norm is that of `step.stationarity`.
    """

    def here(objective, params, buffers, batch):
        found = objective.evaluate(params, buffers, batch, None)
        size = one.stationarity(objective.proximal, params, found.gradient)
        return found.value, found.gradient, size, found.aux

    axes = ("cell", "run", "run", None)
    return over_runs(here, layout.seeds, layout.cells, axes)(objective, params, buffers, batch)


@program(static=("layout",), donate=("carry",))
def advance(
    spec: RunSpec, carry: Carry, chunk: Chunk, data: Any, held: Any, layout: Layout
) -> tuple[Carry, dict, dict]:
    """`(carry, step records, epoch records)` after a chunk.

    Records are trees of (records, seeds, cells, ...) and (segments, seeds, cells).
    """
    if layout.groups == 1:
        return _chunk(spec, carry, chunk, data, held, layout)
    by_cell = layout.axis == "cells"
    # On which axis each argument and result is cut; None: every group sees all of it.
    run, record = (1, 2) if by_cell else (0, 1)
    seed, cell = (None, 0) if by_cell else (0, None)
    own_data, own_held = (
        None if axis_of(batch, axes) is None else seed for batch, axes in ((data, 1), (held, 2))
    )
    chunk_axes = Chunk(rows=seed, first=None, stops=None, measure=None, count=None, keys=seed)
    in_axes, out_axes = (cell, run, chunk_axes, own_data, own_held), (run, record, record)

    def group(spec, carry, chunk, data, held):
        return _chunk(spec, carry, chunk, data, held, layout.group())

    args = (spec, carry, chunk, data, held)
    if layout.sharded:
        return _side_by_side(group, args, in_axes, out_axes, layout.groups)
    return _one_by_one(group, args, in_axes, out_axes, layout.groups)


def _side_by_side(f, args, in_axes, out_axes, groups):
    def place(axes):
        def one(axis):
            return P() if axis is None else P(*(None,) * axis, AXIS)

        return jax.tree.map(one, axes, is_leaf=lambda a: a is None)

    program = jax.shard_map(
        f, mesh=mesh(groups), in_specs=place(in_axes), out_specs=place(out_axes), check_vma=False
    )
    return program(*args)


def _one_by_one(f, args, in_axes, out_axes, groups):
    def cut(axis, i, t):
        def one(x):
            size = x.shape[axis] // groups
            return jax.lax.dynamic_slice_in_dim(x, i * size, size, axis)

        return t if axis is None else jax.tree.map(one, t)

    def join(axis, t):
        def one(x):
            x = jnp.moveaxis(x, 0, axis)
            return x.reshape(*x.shape[:axis], -1, *x.shape[axis + 2 :])

        return jax.tree.map(one, t)

    def group(i):
        return f(
            *jax.tree.map(
                lambda axis, t: cut(axis, i, t), in_axes, args, is_leaf=lambda a: a is None
            )
        )

    out = jax.lax.map(group, jnp.arange(groups))
    return tuple(join(axis, t) for axis, t in zip(out_axes, out, strict=True))


def _chunk(spec, carry, chunk, data, held, layout):
    if layout.seeds == layout.cells == 1:
        return _chunk_alone(spec, carry, chunk, data, held, layout)
    batch_axis = axis_of(data, 1) if chunk.rows is None else "seed"
    step_axes = ("cell", "run", batch_axis, "seed")
    step = over_runs(one.step, layout.seeds, layout.cells, step_axes)
    measure_axes = ("cell", "run", axis_of(held, 2))
    measure = over_runs(one.measure, layout.seeds, layout.cells, measure_axes)
    return _loop(step, measure, spec, carry, chunk, data, held, layout)


def _chunk_alone(spec, carry, chunk, data, held, layout):
    # Axes of length one inside the loop would keep XLA from updating the weights in place.
    def outer(axis, t):
        return jax.tree.map(lambda x: jnp.expand_dims(x, axis), t)

    spec, carry = jax.tree.map(lambda x: x[0], spec), jax.tree.map(lambda x: x[0, 0], carry)
    chunk = chunk._replace(rows=None if chunk.rows is None else chunk.rows[0], keys=chunk.keys[0])
    data, held = (
        batch if axis_of(batch, axes) is None else jax.tree.map(lambda x: x[0], batch)
        for batch, axes in ((data, 1), (held, 2))
    )
    carry, steps, epochs = _loop(one.step, one.measure, spec, carry, chunk, data, held, layout)
    return outer((0, 1), carry), outer((1, 2), steps), outer((1, 2), epochs)


def _loop(step, measure, spec, carry, chunk, data, held, layout):
    """The loop over steps and epochs; `step` and `measure` are mapped over runs, or of one run."""
    uses_key = spec.objective.uses_key
    axis = None if chunk.rows is None else chunk.rows.ndim - 3

    def gather(e):
        if axis is None:
            return data
        return take(data, jax.lax.dynamic_index_in_dim(chunk.rows, e, axis, keepdims=False))

    def batch_of(gathered, i):
        if axis is None:
            return data
        return jax.tree.map(
            lambda a: jax.lax.dynamic_index_in_dim(a, i, axis, keepdims=False), gathered
        )

    def key_of(i):
        if not uses_key:
            return chunk.keys
        # 0 is the key of the initial weights, so the steps begin at 1.
        fold = partial(jax.random.fold_in, data=chunk.first + i + 1)
        return fold(chunk.keys) if chunk.keys.ndim == 1 else jax.vmap(fold)(chunk.keys)

    def running(packed):
        return jnp.any(carried.unpack(packed).reason == int(Reason.NONE))

    def write(buffers, values, index):
        return jax.tree.map(
            lambda b, v: jax.lax.dynamic_update_index_in_dim(b, v, index, axis=0), buffers, values
        )

    def blank(shapes, rows):
        return jax.tree.map(
            lambda s: (
                jnp.full((rows, *s.shape), jnp.nan, s.dtype)
                if jnp.issubdtype(s.dtype, jnp.floating)
                else jnp.zeros((rows, *s.shape), s.dtype)
            ),
            shapes,
        )

    # The single numbers of a run travel as one vector: each by itself would be a kernel a step.
    numbers = carry.reason.ndim
    carried = Packed.like(carry, numbers)
    batch = jax.eval_shape(lambda: batch_of(gather(0), 0))
    step, (_, record) = traced(step, spec, carry, batch, jax.eval_shape(key_of, 0))
    measure, (_, measured_record) = traced(measure, spec, carry, held)
    recorded = Packed.like(record, numbers)
    step_records = blank(jax.eval_shape(recorded.pack, record), layout.records)
    epoch_records = blank(measured_record, chunk.stops.shape[0])
    origin = chunk.first // layout.every

    def segment(loop):
        e, begin, packed, steps, epochs = loop
        gathered = gather(e)

        def body(inner):
            i, packed, steps = inner
            carry, record = step(
                spec, carried.unpack(packed), batch_of(gathered, i - begin), key_of(i)
            )
            record = recorded.pack(record)
            number = chunk.first + i
            slot = number // layout.every - origin
            if layout.every == 1:
                steps = write(steps, record, slot)
            else:
                steps = jax.lax.cond(
                    number % layout.every == 0, lambda: write(steps, record, slot), lambda: steps
                )
            return i + 1, carried.pack(carry), steps

        def more(inner):
            i, packed, _ = inner
            return (i < chunk.stops[e]) & running(packed)

        i, packed, steps = jax.lax.while_loop(more, body, (begin, packed, steps))

        def measured():
            new, record = measure(spec, carried.unpack(packed), held)
            return carried.pack(new), write(epochs, record, e)

        complete = chunk.measure[e] & (i >= chunk.stops[e])
        packed, epochs = jax.lax.cond(complete, measured, lambda: (packed, epochs))
        return e + 1, i, packed, steps, epochs

    def more(loop):
        e, _, packed, _, _ = loop
        return (e < chunk.count) & running(packed)

    zero = jnp.zeros((), jnp.int32)
    _, _, packed, step_records, epoch_records = jax.lax.while_loop(
        more, segment, (zero, zero, carried.pack(carry), step_records, epoch_records)
    )
    return carried.unpack(packed), recorded.unpack(step_records), epoch_records
