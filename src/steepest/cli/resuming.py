"""What `steepest train` is asked for, and how a run in a directory begins or goes on."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from steepest.cli import output
from steepest.core.errors import FileError, UsageError
from steepest.core.record import to_dict
from steepest.engine.resume import Resume
from steepest.engine.settings import Settings
from steepest.store import checkpoint, lock, run_directory


@dataclass(frozen=True)
class Job:
    """What `steepest train` was asked for: a source, how to read it, settings and seeds."""

    data: str
    where: dict[str, Any]
    settings: Settings
    seeds: tuple[int, ...]

    def described(self, table: Any) -> dict[str, Any]:
        """The data as `config.json` keeps it; the working directory tells relative paths."""
        out = self.where | {"name": self.data, "folder": os.getcwd()}
        out["fingerprint"] = table.source.fingerprint
        if table.test is not None:
            out["test_fingerprint"] = table.test.source.fingerprint
        return out


@dataclass(frozen=True)
class Place:
    """Where a run leaves what it makes, and where it goes on: None for its first step.

    `held` is the lock that keeps other processes out, as long as this one lives.
    """

    directory: Path
    described: dict[str, Any]
    came: Resume | None = None
    held: Any = field(default=None, repr=False)

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.directory / run_directory.CHECKPOINTS


def begin(job: Job, table: Any, out: Path | None, overwrite: bool) -> Place:
    """A directory for a new run, in which is noted what was asked for before it begins."""
    directory = run_directory.claim(
        out or run_directory.free_directory(table.name), overwrite=overwrite
    )
    described = job.described(table)
    lock.refuse_held(directory / run_directory.CHECKPOINTS)
    folder = checkpoint.begin(directory, run_directory.config(job.settings, job.seeds, described))
    return Place(directory, described, held=lock.hold(folder))


def go_on(job: Job, table: Any, directory: Path, config: dict[str, Any]) -> Place:
    """The directory of an unfinished run and its newest checkpoint; the data must be the same."""
    held = lock.hold(directory / run_directory.CHECKPOINTS)
    try:
        checkpoint.same_rows(config, job.described(table))
        came, said = checkpoint.newest(directory / run_directory.CHECKPOINTS)
    except BaseException:
        held.close()
        raise
    for sentence in said:
        output.warn(sentence)
    return Place(directory, config["data"], came, held)


def unfinished(directory: Path) -> dict[str, Any] | None:
    """The configuration of the unfinished run in `directory`; None where the run is finished.

    Raises UsageError where there is no run at all.
    """
    config = checkpoint.asked(directory)
    if config is None and not (directory / run_directory.CONFIG).exists():
        raise UsageError(
            f"{directory} holds no run to resume; start one with `steepest train DATA -o DIR`."
        )
    return config


def job_of(config: dict[str, Any]) -> Job:
    """The job that a configuration describes; FileError where it describes none."""
    settings = run_directory.settings_of(config)
    try:
        data = dict(config["data"])
        name, folder = data.pop("name"), data.pop("folder", "")
        seeds = tuple(config["seeds"])
    except (KeyError, TypeError, ValueError) as error:
        raise FileError(f"The configuration of the run lacks {error}; start it anew.") from error
    where = {k: v for k, v in data.items() if not k.endswith("fingerprint")}
    if "drop" in where:
        where["drop"] = tuple(where["drop"])
    if "test" in where:
        where["test"] = _found(where["test"], folder)
    return Job(_found(name, folder), where, settings, seeds)


def _found(name: str, folder: str) -> str:
    """A relative path as seen from where the run was begun."""
    there = os.path.join(folder, name)
    return there if folder != os.getcwd() and os.path.exists(there) else name


def refuse_changes(
    config: dict[str, Any], data: dict[str, Any], settings: dict[str, Any], seeds: int | None
) -> None:
    """Raise UsageError where an option that was given is not what the run was begun with."""
    begun_data = config["data"] | {"data": config["data"]["name"]}
    _refuse(begun_data, data)
    _refuse(config["settings"], settings)
    _refuse({"seeds": len(config["seeds"])}, {} if seeds is None else {"seeds": seeds})


def _refuse(begun: dict[str, Any], given: dict[str, Any]) -> None:
    for name, value in given.items():
        if to_dict(value) != begun.get(name):
            raise UsageError(
                f"--resume goes on with the run as it was begun, where {name} is "
                f"{begun.get(name)!r}, not {value!r}; leave it out, or start another run."
            )
