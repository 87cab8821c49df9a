"""How a run is going, on stderr: a bar on a terminal, else at most a few plain lines."""

from __future__ import annotations

import time
from typing import Any, Self

from steepest.cli import output

PLAIN_LINES = 4
"""How many lines a run may print where there is no terminal."""
PLAIN_AFTER = 2.0
"""Seconds before the first of them: a quick run needs no commentary."""


class Progress:
    """A progress bar with epoch, loss, validation metric, samples/s and time left.

        with Progress(total=steps, epochs=50, metric="accuracy") as progress:
            progress.update(done=120, epoch=3, loss=0.31, metric=0.94, samples=3840)

    `done` and `total` count steps, `samples` the examples seen so far; both only grow. Calls are
    cheap and may come as often as the engine's chunks end.
    """

    def __init__(
        self, total: int, *, epochs: int | None = None, metric: str = "", label: str = "Training"
    ):
        self.total, self.epochs, self.metric_name, self.label = total, epochs, metric, label
        self._bar: Any = None
        self._task: Any = None
        self._started = time.monotonic()
        self._printed = 0

    def __enter__(self) -> Self:
        self._started = time.monotonic()
        if not output.settings.quiet and output.stderr().is_terminal:
            self._bar = _bar()
            self._task = self._bar.add_task(self.label, total=self.total, facts="compiling")
            self._bar.start()
        return self

    def __exit__(self, *exception: Any) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def update(
        self,
        done: int,
        *,
        epoch: int | None = None,
        loss: Any = None,
        metric: Any = None,
        samples: int | None = None,
        note: str = "",
    ) -> None:
        """Say how far the run is; what is not known is left out. `note`: instead of all facts."""
        if output.settings.quiet:
            return
        elapsed = time.monotonic() - self._started
        facts = note or self._facts(epoch, loss, metric, samples, elapsed)
        if self._bar is not None:
            self._bar.update(self._task, completed=min(done, self.total), facts=facts)
            return
        if output.stderr().is_terminal or elapsed < PLAIN_AFTER or not self.total:
            return
        # Quarter by quarter, so that the number of lines does not depend on the length of the run.
        quarter = min(PLAIN_LINES, int(PLAIN_LINES * done / self.total))
        if quarter > self._printed:
            self._printed = quarter
            output.hint(f"{self.label} {100 * done / self.total:.0f} %: {facts}", style=None)

    def _facts(self, epoch, loss, metric, samples, elapsed) -> str:
        parts = []
        if epoch is not None:
            parts.append(f"epoch {epoch}" + (f"/{self.epochs}" if self.epochs else ""))
        if loss is not None:
            parts.append(f"loss {output.number(float(loss))}")
        if metric is not None:
            parts.append(f"{self.metric_name or 'metric'} {output.number(float(metric))}")
        if samples and elapsed > 0:
            parts.append(f"{output.rate(samples / elapsed)} samples/s")
        return "  ".join(parts)


class StudyProgress(Progress):
    """The same for studies: runs done, how many diverged, and the time left.

    with StudyProgress("Study") as progress:
        study.run(show=progress.show)
    """

    def __init__(self, label: str):
        super().__init__(1000, label=label)

    def show(self, moment: Any) -> None:
        """Say how far a study is (`study.execute.Progress`)."""
        note = f"{output.count(moment.done)}/{output.count(moment.runs)} runs"
        if moment.diverged:
            note += f", {output.count(moment.diverged)} diverged"
        elapsed = time.monotonic() - self._started
        if self._bar is None and 0.02 < moment.share < 1:
            note += f", {output.duration(elapsed * (1 / moment.share - 1))} left"
        self.update(round(self.total * moment.share), note=note)


def _bar() -> Any:
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress

    return RichProgress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[facts]}", markup=False),
        TimeRemainingColumn(compact=True),
        console=output.stderr(),
        transient=True,
    )
