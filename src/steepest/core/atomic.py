"""Writing files: a kill, a full disk or a crash leaves the old file or the new one, whole."""

from __future__ import annotations

import contextlib
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from steepest.core.errors import FileError

TEMPORARY = ".tmp"
"""How the names of files end that are being written; only a kill leaves one behind."""


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """A binary file that takes the place of `path` when the block ends without an exception.

    The bytes go to a new file in the same folder, are flushed to the disk, and are renamed onto
    `path`: at every instant `path` holds either all of the old bytes or all of the new ones. If the
    block raises, the new file is removed and the old one is as it was. A symbolic link is followed;
    a device such as `/dev/stdout` is written to directly. `FileError` where the disk is full, the
    folder is missing or writing is not permitted.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with replacing(f"{folder}/numbers.txt") as file:
    ...         _ = file.write(b"1 2 3")
    ...     print(Path(f"{folder}/numbers.txt").read_text(), os.listdir(folder))
    1 2 3 ['numbers.txt']
    """
    target = Path(os.path.realpath(path))
    try:
        mode = _mode(target)
        if mode is None:
            with open(target, "wb") as file:
                yield file
            return
        handle, name = tempfile.mkstemp(TEMPORARY, f".{target.name}.", target.parent)
        try:
            with open(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.chmod(name, mode)
            os.replace(name, target)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name)
            raise
        _sync_folder(target.parent)
    except OSError as e:
        raise FileError(f"{os.fspath(path)} cannot be written: {_why(e, target)}.") from e


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Put `data` into `path`, atomically; see `replacing`."""
    with replacing(path) as file:
        file.write(data)


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Put `text` into `path` as UTF-8, atomically; see `replacing`."""
    write_bytes(path, text.encode())


def make_folder(path: str | os.PathLike[str]) -> Path:
    """The folder `path`, made with its parents where it does not exist yet."""
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise FileError(f"The folder {os.fspath(path)} cannot be made: {e.strerror}.") from e
    return Path(path)


def _mode(target: Path) -> int | None:
    """The permissions of the new file: those of the old one; None for what is not a file."""
    try:
        found = os.stat(target)
    except FileNotFoundError:
        # The umask can only be read by setting it.
        mask = os.umask(0)
        os.umask(mask)
        return 0o666 & ~mask
    if stat.S_ISDIR(found.st_mode) or stat.S_ISREG(found.st_mode):
        return stat.S_IMODE(found.st_mode)
    return None


def _sync_folder(folder: Path) -> None:
    """Make the rename itself last; a folder cannot be opened for this on Windows."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _why(e: OSError, target: Path) -> str:
    if not target.parent.is_dir():
        return f"there is no folder {target.parent}"
    if target.is_dir():
        return "it is a folder"
    return e.strerror or str(e)
