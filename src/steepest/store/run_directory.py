"""What a training run leaves behind: model, trace, metrics, curves, and how to do it again.

DIR/model/          weights as safetensors, the rest as JSON (see `model_file`)
DIR/trace.parquet   every recorded step and epoch
DIR/metrics.json    the numbers that `steepest train --json` prints
DIR/config.json     data, settings and version: what reproduces the run
DIR/curves.png      loss and metric against epochs
DIR/checkpoints/    while the run is unfinished: how to go on with it (see `checkpoint`)
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from steepest.core import atomic
from steepest.core.errors import FileError, UsageError
from steepest.core.record import from_dict, to_dict
from steepest.data.encode import Encoder
from steepest.engine.result import Fit, Fits
from steepest.engine.settings import Settings
from steepest.engine.trained import Trained
from steepest.store import model_file

MODEL, CONFIG, METRICS, CHECKPOINTS = "model", "config.json", "metrics.json", "checkpoints"


def free_directory(name: str, parent: str | os.PathLike[str] = "runs") -> Path:
    """`parent/name`, or `parent/name-2`, ... : the first that does not exist yet."""
    base = Path(parent)
    safe = "".join(c if c.isalnum() or c in "-_." else "-" for c in name).strip("-.") or "run"
    path, n = base / safe, 1
    while path.exists():
        n += 1
        path = base / f"{safe}-{n}"
    return path


def claim(path: str | os.PathLike[str], *, overwrite: bool = False) -> Path:
    """Make the directory before any work is done, so that nothing is lost for want of a place.

    Raises UsageError where it holds a run already, FileError where it cannot be written.
    """
    path = Path(path)
    if (path / CHECKPOINTS / CONFIG).exists() and not overwrite:
        raise UsageError(
            f"{path} holds an unfinished run; go on with it by `steepest train --resume {path}`, "
            "choose another directory, or add --overwrite."
        )
    if (path / CONFIG).exists() and not overwrite:
        raise UsageError(
            f"{path} already holds a run; choose another directory, or add --overwrite."
        )
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        raise FileError(f"{path} cannot be written: {error.strerror}.") from error
    return path


def write(path: str | os.PathLike[str], fits: Fits, data: dict[str, Any]) -> None:
    """Write a finished run but for its picture. `data` says where the rows came from."""
    path, best = Path(path), fits.best
    path.mkdir(parents=True, exist_ok=True)
    save(path / MODEL, best)
    fits.trace.write(path / "trace.parquet")
    write_json(path / METRICS, fits.to_dict() if len(fits) > 1 else best.to_dict())
    write_json(path / CONFIG, config(best.settings, [f.seed for f in fits], data))


def config(settings: Settings, seeds: Sequence[int], data: dict[str, Any]) -> dict[str, Any]:
    """What reproduces the run; settings that are Python objects are given by name."""
    from steepest import __version__

    return {
        "steepest": __version__,
        "data": data,
        "seeds": list(seeds),
        "settings": _settings(settings),
    }


def settings_of(config: dict[str, Any]) -> Settings:
    """The settings in what `config` wrote; FileError where they are not those of this version."""
    try:
        return Settings(**{k: from_dict(v) for k, v in config["settings"].items()})
    except (KeyError, TypeError, AttributeError, UsageError) as error:
        raise FileError(
            f"The settings of the run cannot be read ({error}); start it anew."
        ) from error


def _settings(settings: Settings) -> dict[str, Any]:
    out = {}
    for name, value in vars(settings).items():
        try:
            out[name] = to_dict(value)
        except UsageError:
            out[name] = repr(value)
    return out


def write_json(path: Path, value: Any) -> None:
    """Strict JSON, atomically; NaN and infinity become null."""
    text = json.dumps(_strict(value), indent=2, allow_nan=False, ensure_ascii=False)
    atomic.write_bytes(path, (text + "\n").encode())


def _strict(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(k): _strict(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(v) for v in value]
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value


def save(path: str | os.PathLike[str], fit: Fit) -> None:
    """Write the trained model; UsageError where a part of it is Python code of the user's."""
    model_file.save(
        path,
        {"params": fit.params, "buffers": fit.buffers},
        {
            "encoder": fit.encoder.to_dict(),
            "model": to_dict(fit.model),
            "loss": to_dict(fit.loss),
            "dtype": fit.dtype,
            "settings": _settings(fit.settings),
            "metrics": fit.to_dict(),
        },
    )


def load(path: str | os.PathLike[str]) -> Trained:
    """The model that a run left in its directory (or the `model` folder itself).

    Raises FileError where it is missing, altered, truncated, or of a newer version. Nothing in a
    model file is ever executed.
    """
    return read(path)[0]


def read(path: str | os.PathLike[str]) -> tuple[Trained, dict[str, Any]]:
    """As `load`, with all that is known about how the model came about.

    `settings` and `metrics` are those of the model file; `data` is what the run's directory says
    of the rows, and is missing for a model folder that was taken out of it.
    """
    path = Path(path)
    folder = path / MODEL if (path / MODEL).is_dir() else path
    if folder == path and (path / CHECKPOINTS / CONFIG).exists():
        raise FileError(
            f"{path} holds an unfinished run and no model yet; "
            f"go on with it by `steepest train --resume {path}`."
        )
    arrays, found = model_file.load(folder)
    try:
        trained = Trained(
            encoder=Encoder.from_dict(found["encoder"]),
            model=from_dict(found["model"]),
            loss=from_dict(found["loss"]),
            params=arrays["params"],
            buffers=arrays["buffers"],
            dtype=found["dtype"],
        )
        about = {k: found[k] for k in ("settings", "metrics")}
    except (KeyError, TypeError, UsageError) as error:
        raise FileError(
            f"{folder} does not describe a model of this version ({error}); save it again."
        ) from error
    if folder != path and (path / CONFIG).exists():
        about["data"] = read_json(path / CONFIG).get("data")
    return trained, about


def read_json(path: Path) -> dict[str, Any]:
    """The object that `write_json` wrote; FileError where it is not there or was altered."""
    try:
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise FileError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise FileError(f"{path} is not JSON as steepest wrote it; restore it from a copy.")
    return found
