"""One process at a time trains in a run directory: a lock that ends with the process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Any

from steepest.core.errors import FileError, UsageError

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows has no such locks, and goes without
    fcntl = None  # type: ignore[assignment]

NAME = "lock"


def hold(folder: str | os.PathLike[str]) -> IO[Any]:
    """Lock `folder` for this process, as long as what is returned is open.

    The system gives the lock back when the process ends, whatever ends it, so that a killed run
    can go on at once. Raises UsageError where another process holds it.
    """
    path = Path(folder) / NAME
    try:
        file = open(path, "a+")  # noqa: SIM115
    except OSError as error:
        raise FileError(f"{path} cannot be written: {error.strerror}.") from error
    if fcntl is None:  # pragma: no cover
        return file
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        who = file.read().strip()
        file.close()
        raise UsageError(
            f"{Path(folder).parent} is in use by another process{f' ({who})' if who else ''}; "
            "wait until it has ended, or choose another directory."
        ) from None
    file.seek(0)
    file.truncate()
    file.write(str(os.getpid()))
    file.flush()
    return file


def refuse_held(folder: str | os.PathLike[str]) -> None:
    """Raise UsageError where another process holds the lock of `folder`."""
    if (Path(folder) / NAME).exists():
        hold(folder).close()
