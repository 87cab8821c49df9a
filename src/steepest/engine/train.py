"""`train`: data in, trained model out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from steepest.core.errors import UsageError
from steepest.core.record import replace
from steepest.data.dataset import Arrays, Table
from steepest.data.encode import Encoder
from steepest.data.sources import load
from steepest.engine.auto import choose, take_auto
from steepest.engine.drive import Hook
from steepest.engine.result import Fit, Fits, fits_of
from steepest.engine.runs import run
from steepest.engine.settings import Settings, with_recipe
from steepest.engine.streamed import Streamed, must_stream


class Prepared:
    """Data made ready for training: split, encoded on the training rows only, as arrays.

    >>> ready = Prepared("iris", Settings(validation=0.2, test=0.2))
    >>> len(ready.train.x), len(ready.validation.x), len(ready.test.x)
    (90, 30, 30)
    """

    def __init__(self, data: Any, settings: Settings, **options: Any):
        self.table = data if isinstance(data, Table) else load(data, **options)
        if self.table.y is None:
            raise UsageError(f"{self.table.name} has no target to learn; name one with target=.")
        parts = self.table.split(settings.held_out(len(self.table)), settings.test, settings.seed)
        self.encoder = Encoder.fit(parts.train, settings.standardize, settings.embeds)
        dtype = np.dtype(settings.dtype)
        self.train: Arrays = self.encoder.transform(parts.train, dtype)
        self.validation, self.test = (
            None if part is None else self.encoder.transform(part, dtype)
            for part in (parts.validation, parts.test)
        )

    @property
    def parts(self) -> dict[str, Arrays | None]:
        """Training, validation and test rows by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    def spec(self, settings: Settings):
        """The run that these settings describe, on this data."""
        return settings.spec_for(self.encoder)


def prepare(
    data: Any, settings: Settings, *, memory: int | str | None = None, **options: Any
) -> Prepared | Streamed:
    """`Prepared`, or `Streamed` where `memory` is given or the file is larger than memory."""
    if memory is None:
        memory = must_stream(data)
    if memory is None:
        return Prepared(data, settings, **options)
    if options.pop("encoding", None):
        raise UsageError(
            f"encoding: {data} is streamed, and only UTF-8 can be; save it as UTF-8 first."
        )
    return Streamed(data, settings, memory, **options)


def train(
    model: Any = "mlp",
    data: Any = None,
    optimizer: Any = None,
    *,
    seeds: int | Sequence[int] | None = None,
    callback: Hook | None = None,
    hooks: tuple[Hook, ...] = (),
    max_seconds: float = math.inf,
    memory: int | str | None = None,
    data_options: dict[str, Any] | None = None,
    settings: Settings | None = None,
    **changes: Any,
) -> Any:
    """Train `model` on `data` by gradient descent: w <- w - eta dL/dw on mini-batches.

    L(w) = sum_i E(f_w(x_i), y_i) / n + l1 |w|_1 + l2/2 |w|^2. The rows are split into training,
    validation and test parts; inputs are standardised and regression targets scaled, both as
    measured on the training part. The weights of the epoch with the lowest validation loss are
    kept.

    Args:
      model: `mlp`, `linear`, a model object, or an (init, apply) pair as `models.Custom`.
      data: a bundled or synthetic set by name (`digits`, `moons:n=500`), a file, a frame, `(x, y)`.
      optimizer: a name (`adam`, `sgd`, ...), an optimizer, or an optax transformation. With no
        choice made about model and descent, `settings.RECIPE` is used, which trains well untuned.
      seeds: how many runs from different random starts and orders (or which seeds); with more than
        one a `Fits` is returned. The split is that of `seed` for all.
      callback: called between chunks with the state of the run; `state.stop()` ends it.
      max_seconds: time after which the run ends.
      memory: what the rows of a CSV, Parquet or IDX file may take of the memory, as bytes or as
        `"2GB"`: they are then streamed from disk in shuffled blocks. A file that does not fit is
        streamed by itself.
      data_options: further arguments of `data.load`, such as `target`.
      settings: a `Settings`; `changes` are applied to it.
      **changes: any field of `Settings`: learning_rate, batch_size, epochs, hidden, l2, ...
        `learning_rate="auto"` finds one by curvature or a short sweep, `batch_size="auto"` by the
        gradient noise, `optimizer="auto"` by a race (`engine.auto`); `fit.tuned` says why.

    Returns: a `Fit`, or `Fits` for several seeds.
    Raises: UsageError for a setting, DataError for data that cannot work, before anything compiles.

    >>> fit = train("mlp", "iris", hidden=(8,), epochs=30)
    >>> fit.outcome.text, fit.test["accuracy"] > 0.8, fit.w.shape
    ('budget', True, (67,))
    """
    if data is None:
        raise UsageError("data is missing: give a name such as 'digits', a file, or (x, y).")
    if optimizer is not None:
        changes["optimizer"] = optimizer
    if not isinstance(model, str) or model != "mlp":
        changes["model"] = model
    auto = take_auto(changes)
    settings = (
        replace(Settings(), **with_recipe(changes))
        if settings is None
        else replace(settings, **changes)
    )
    if isinstance(seeds, int):
        if seeds < 1:
            raise UsageError(f"seeds must be at least 1, got {seeds}.")
        seeds = range(settings.seed, settings.seed + seeds)
    settings.make_optimizer()
    ready = prepare(data, settings, memory=memory, **(data_options or {}))
    chosen = (settings.seed,) if seeds is None else tuple(seeds)
    settings, tuned = choose(ready, settings, auto, runs=len(chosen))
    fits = train_prepared(
        ready,
        settings,
        chosen,
        hooks=hooks + ((callback,) if callback else ()),
        max_seconds=max_seconds,
    )
    for fit in fits:
        fit.tuned = tuned
    return fits if seeds is not None and len(chosen) > 1 else fits[0]


def train_prepared(
    ready: Prepared | Streamed,
    settings: Settings,
    seeds: Sequence[int],
    *,
    hooks: tuple[Hook, ...] = (),
    max_seconds: float = math.inf,
    **how: Any,
) -> Fits:
    """Train on data that is ready; the part of `train` that runs."""
    runs = run(
        [ready.spec(settings)],
        ready.train,
        ready.validation,
        seeds=seeds,
        batch_size=settings.batch_size,
        epochs=settings.epochs,
        dtype=settings.dtype,
        every=settings.every,
        hooks=hooks,
        max_seconds=max_seconds,
        **how,
    )
    found: list[Fit] = fits_of(runs, settings, ready.encoder, ready.parts)
    if isinstance(ready, Streamed):
        # What looks at single rows later has to do with a block of them.
        some = next(ready.train.pieces())
        for fit in found:
            fit.parts = fit.parts | {"train": some}
    return Fits(found, runs.seconds)
