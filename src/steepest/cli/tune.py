"""`steepest tune DATA`: which learning rates work, how surely, and where the stable limit lies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from steepest.cli import options, output
from steepest.cli.settings import with_settings
from steepest.engine.settings import Settings


@with_settings
def tune(
    data: Annotated[str, typer.Argument(
        metavar="DATA", help="A bundled or synthetic set, or a file.")],
    target: options.Target = None,
    rates: Annotated[int, typer.Option(min=3, help="How many learning rates.")] = 13,
    seeds: Annotated[int, typer.Option(min=2, help="Seeds of each rate.")] = 5,
    plot: Annotated[Path | None, typer.Option(
        metavar="FILE", help="Draw the map (png, svg, pdf).")] = None,
    seed: options.Seed = 0,
    json: options.Json = False,
    settings: Settings | None = None,
) -> int:  # fmt: skip
    """Map the learning rates: how surely each succeeds, its loss, and the stable limit."""
    from steepest.engine.auto_rate import rate_map
    from steepest.engine.train import Prepared
    from steepest.report import landscape as draw
    from steepest.report import style

    assert settings is not None
    if plot is not None:
        style.check_format(plot, style.FORMATS)
    ready = Prepared(data, settings, **({"target": target} if target else {}))
    output.hint(f"{rates} rates from {seeds} seeds each, {settings.epochs:g} epochs ...")
    found = rate_map(ready, settings, rates=rates, seeds=range(seed, seed + seeds))
    if plot is not None:
        draw.rate_map(
            found.rates, found.success, found.low, found.high, found.median, plot,
            limit=found.limit, chosen=found.best,
        )  # fmt: skip
    if json:
        output.emit(found.to_dict())
        return 0
    rows: list[list[Any]] = []
    for i, rate in enumerate(found.rates):
        rows.append([
            f"{rate:.3g}", f"{100 * found.success[i]:.0f} %",
            f"{100 * found.low[i]:.0f} to {100 * found.high[i]:.0f} %", float(found.median[i]),
            int(found.diverged[i]),
        ])  # fmt: skip
    output.table(["learning rate", "succeed", "95 % interval", "median loss", "diverged"], rows,
                 best=int(found.rates.tolist().index(found.best)))  # fmt: skip
    output.say(str(found))
    return 0
