"""`steepest train DATA`: data in, trained model out."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from steepest.cli import model_given, options, output, resuming
from steepest.cli.progress import Progress
from steepest.cli.settings import with_settings
from steepest.cli.streaming import train_stream
from steepest.core.errors import UsageError
from steepest.core.outcome import Outcome
from steepest.data.dataset import Arrays
from steepest.engine.auto import Chosen, choose
from steepest.engine.drive import Moment
from steepest.engine.result import Fit, Fits
from steepest.engine.settings import Settings
from steepest.engine.streamed import Streamed
from steepest.engine.train import Prepared, prepare, train_prepared
from steepest.report.plots import curves
from steepest.store import checkpoint, run_directory


@with_settings
def train(
    data: Annotated[str | None, typer.Argument(
        metavar="DATA", show_default=False, help="A bundled set (iris wine breast_cancer diabetes "
        "digits), a synthetic one (moons circles spirals blobs, as in moons:n=500,noise=0.2), or a "
        "file.")] = None,
    target: options.Target = None,
    test: options.Test = None,
    weights: options.Weights = None,
    drop: options.Drop = None,
    task: options.Task = None,
    encoding: options.Encoding = None,
    memory: Annotated[str | None, typer.Option(
        metavar="2GB", help="Stream the rows of a CSV, Parquet or IDX file, with so much memory "
        "for them; a file that does not fit is streamed by itself.",
        rich_help_panel="Data")] = None,
    stream: Annotated[bool, typer.Option(
        "--stream", help="Learn from rows as they come (DATA may be - for standard input), "
        "reporting the accuracy before each is learned from, until they end or Ctrl-C.",
        rich_help_panel="Data")] = False,
    seed: options.Seed = 0,
    seeds: Annotated[int, typer.Option(
        min=1, help="Train from this many seeds; mean and spread are shown.")] = 1,
    out: Annotated[Path | None, typer.Option(
        "-o", "--out", metavar="DIR", help="Where to put model, trace and curves \\[runs/DATA].")
    ] = None,
    overwrite: Annotated[bool, typer.Option(help="Replace the run that DIR holds.")] = False,
    max_seconds: Annotated[float | None, typer.Option(
        help="End the training after this time.", rich_help_panel="Stopping")] = None,
    resume: Annotated[Path | None, typer.Option(
        metavar="DIR", help="Go on with the run in DIR that was killed or interrupted; it ends as "
        "if nothing had been.", rich_help_panel="Checkpoints")] = None,
    checkpoint_seconds: Annotated[float, typer.Option(
        min=0, help="Seconds of training between two checkpoints.",
        rich_help_panel="Checkpoints")] = 30.0,
    json: options.Json = False,
    settings: Settings | None = None,
    given: dict[str, Any] | None = None,
    auto: frozenset[str] = frozenset(),
) -> int:  # fmt: skip
    """Train a model on data by gradient descent, and keep the best one."""
    assert settings is not None
    config: Any = None
    where: dict[str, Any] = {"target": target, "test": test, "weights": weights, "task": task,
             "memory": memory, "encoding": encoding, "drop": tuple(drop or ())}  # fmt: skip
    where = {k: v for k, v in where.items() if v}
    if stream:
        if data is None or resume is not None or seeds > 1:
            raise UsageError("--stream needs DATA (a file, or -), and no --resume or --seeds.")
        return train_stream(
            data, where, (given or {}) | {"seed": seed}, out, overwrite,
            float("inf") if max_seconds is None else max_seconds, json,
        )  # fmt: skip
    if data == model_given.STREAM:
        raise UsageError("rows on standard input are learned from as they come: add --stream.")
    if resume is not None:
        if out is not None or overwrite:
            raise UsageError("--resume goes on in its own directory: leave out --out, --overwrite.")
        config = resuming.unfinished(resume)
        if config is None:
            return _finished(resume, json)
        # Seeds are not told apart from their defaults, so these count as not given.
        named = {"seed": seed} if seed else {}
        source = {} if data is None else {"data": data}
        resuming.refuse_changes(
            config, where | source, (given or {}) | named, seeds if seeds > 1 else None
        )
        job = resuming.job_of(config)
    elif data is None:
        raise UsageError("DATA is missing: give a name such as digits, or a file.")
    else:
        chosen = range(settings.seed, settings.seed + seeds)
        job = resuming.Job(data, where, settings, tuple(chosen))
    job.settings.make_optimizer()
    ready = prepare(job.data, job.settings, **job.where)
    if isinstance(ready, Streamed):
        # What was chosen by the memory that was free now decides the blocks: it is kept.
        job.where["memory"] = ready.memory
    ready.spec(job.settings)
    tuned = None
    if auto and resume is None:
        found, tuned = choose(ready, job.settings, auto, runs=len(job.seeds))
        output.hint(str(tuned))
        job = dataclasses.replace(job, settings=found)
    if resume is None:
        place = resuming.begin(job, ready.table, out, overwrite)
    else:
        place = resuming.go_on(job, ready.table, resume, config)
    with place.held:
        return _run(ready, job, place, max_seconds, checkpoint_seconds, json, tuned)


def _run(
    ready: Prepared | Streamed,
    job: resuming.Job,
    place: resuming.Place,
    max_seconds: float | None,
    checkpoint_seconds: float,
    json: bool,
    tuned: Chosen | None = None,
) -> int:
    """Train in a directory that is this process's own, and tell what came of it."""
    if isinstance(ready, Streamed):
        _encode(ready, place)
    for note in (*ready.table.notes, *ready.encoder.warnings):
        output.hint(note)
    output.hint(_opening(ready, job.settings, len(job.seeds)))
    if job.settings.validation is None and ready.parts["validation"] is None:
        output.hint("So few rows are all needed to train; --validation 0.1 would hold some out.")
    output.hint(f"{job.settings.make_optimizer()!r}")
    saver = checkpoint.Saver(place.checkpoints, checkpoint_seconds, output.warn)
    fits = _train(ready, job, place, saver, float("inf") if max_seconds is None else max_seconds)
    for fit in fits:
        fit.tuned = tuned
    run_directory.write(place.directory, fits, place.described)
    curves(fits.trace, place.directory / "curves.png")
    if not saver.leaving:
        checkpoint.end(place.directory)
    wrong = _wrong(fits)
    if json:
        summary = fits.to_dict() if len(fits) > 1 else fits.best.to_dict()
        findings = [f.to_dict() for f in wrong]
        output.emit(summary | {"directory": str(place.directory), "findings": findings})
    else:
        _report(fits, place.directory)
        for finding in wrong[:1]:
            output.say(f"{finding.sentence} (`steepest diagnose {place.directory}` says more.)")
    if saver.leaving:
        output.hint(f"`steepest train --resume {place.directory}` goes on with it.")
    return 3 if all(f.outcome is Outcome.DIVERGED for f in fits) else 0


def _encode(ready: Streamed, place: resuming.Place) -> None:
    """The encoded rows go to the disk of the run; they vanish with the process."""
    try:
        ready.fill(place.directory)
    except UsageError:
        if place.came is None:
            checkpoint.end(place.directory)
        raise


def _train(
    ready: Prepared | Streamed,
    job: resuming.Job,
    place: resuming.Place,
    saver: checkpoint.Saver,
    max_seconds: float,
) -> Fits:
    """The part that takes time; the limit is that of this process, not of the run."""
    came, seeds = place.came, len(job.seeds)
    if came is not None:
        output.hint(f"Going on after step {output.count(came.step)}.")
        max_seconds += came.seconds
    steps, epochs = _lengths(ready, job.settings)
    with Progress(steps, epochs=epochs, metric=_metric(ready)) as bar:
        try:
            return train_prepared(
                ready, job.settings, job.seeds,
                hooks=(lambda moment: _show(bar, moment, ready, seeds), saver),
                max_seconds=max_seconds, resume=came,
            )  # fmt: skip
        except UsageError:
            # A run that cannot begin is none that could be resumed.
            if not checkpoint.found(place.checkpoints):
                checkpoint.end(place.directory)
            raise


def _wrong(fits: Fits) -> tuple[Any, ...]:
    """What is wrong with the best fit; measured only where the record alone is suspicious."""
    if not isinstance(fits.best.parts.get("train"), Arrays) or not fits.best.diagnose(deep=False):
        return ()
    return tuple(fits.best.diagnose())


def _finished(directory: Path, json: bool) -> int:
    if json:
        metrics = run_directory.read_json(directory / run_directory.METRICS)
        output.emit(metrics | {"directory": str(directory)})
    else:
        output.say(f"The run in {directory} is finished; there is nothing to resume.")
    return 0


def _lengths(ready: Prepared | Streamed, settings: Settings) -> tuple[int, int]:
    from math import ceil

    rows = len(ready.train)
    size = rows if settings.batch_size == "full" else min(settings.batch_size, rows)
    return ceil(settings.epochs * ceil(rows / size)), ceil(settings.epochs)


def _metric(ready: Prepared | Streamed) -> str:
    return "accuracy" if ready.encoder.task == "classification" else "r2"


def _opening(ready: Prepared | Streamed, settings: Settings, seeds: int) -> str:
    rows = {k: len(a) for k, a in ready.parts.items() if a is not None}
    shares = ", ".join(f"{output.count(n)} to {k}" for k, n in rows.items())
    what = f"{ready.encoder.outputs} classes" if ready.encoder.classes else f"{ready.table.target}"
    names = {"train": "train on", "validation": "validate", "test": "test"}
    for k, v in names.items():
        shares = shares.replace(f"to {k}", f"to {v}")
    started = time.strftime("%H:%M")
    several = f", {seeds} seeds" if seeds > 1 else ""
    return f"{ready.table.name}: {shares}; {what}{several}; started {started}"


def _show(bar: Progress, moment: Moment, ready: Prepared | Streamed, seeds: int) -> None:
    import numpy as np

    epochs = moment.trace.epochs
    facts: dict[str, Any] = {}
    if "train_loss" in epochs and len(epochs["train_loss"]):
        facts["loss"] = np.nanmedian(epochs["train_loss"][-1])
        name = f"validation_{_metric(ready)}"
        if name in epochs:
            facts["metric"] = np.nanmedian(epochs[name][-1])
    rows = len(ready.train)
    bar.update(
        moment.step, epoch=int(moment.epoch), samples=int(moment.epoch * rows * seeds), **facts
    )


def _report(fits: Fits, directory: Path) -> None:
    fit = fits.best
    columns = ["rows", "loss", *[k for k in fit.train if k != "loss"]]
    summary = fits.summary()
    rows = []
    for part in ("train", "validation", "test"):
        metrics = getattr(fit, part)
        if metrics is None:
            continue
        if len(fits) > 1 and summary[part]:
            shown = [output.spread(summary[part][k]["mean"], summary[part][k]["std"])
                     for k in columns[1:]]  # fmt: skip
        else:
            shown = [metrics[k] for k in columns[1:]]
        rows.append([part, fit.sizes[part], *shown])
    title = f"Mean ± deviation over {len(fits)} seeds" if len(fits) > 1 else ""
    output.table(["", *columns], rows, title=title)
    for line in _sentences(fits, fit):
        output.say(line)
    output.say(f"Model, trace and curves are in {directory}.")


def _sentences(fits: Fits, fit: Fit) -> list[str]:
    lines = [fit.message]
    diverged = sum(f.outcome is Outcome.DIVERGED for f in fits)
    if len(fits) > 1:
        lines[0] = f"Best seed {fit.seed}: {fit.message}"
        if diverged:
            lines.append(f"{diverged} of {len(fits)} seeds diverged and are left out of the means.")
    if fit.success:
        which = "validation" if fit.validation else "training"
        lines.append(
            f"Kept: the weights of epoch {fit.best_epoch:g} of {fit.epochs:g}, where the {which} "
            f"loss was lowest. {output.count(fit.w.size)} parameters, "
            f"{output.duration(fits.seconds)}."
        )
    smoothing = getattr(fit.loss, "label_smoothing", None)
    if smoothing is not None:
        lines.append(
            f"The losses are those of labels smoothed by {float(smoothing):g}: they do not fall "
            "to 0."
        )
    return lines
