"""Work that may take too long, with an end that holds.

SymPy cannot promise to return. `within` runs a generator in a daemon thread, keeps what it has
yielded when time is up, and then stops the thread by raising in it. It works from any thread,
needs no signals, and the caller goes on at the deadline even if the worker is slow to stop.
"""

from __future__ import annotations

import ctypes
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

INTERRUPTIBLE = frozenset(("sympy", "mpmath", "steepest"))
PATIENCE = 5
"""On a busy machine, work may last so many times its seconds by the clock, to have them at all."""


class Yielded(NamedTuple):
    """What came in time; `finished` if the generator ended by itself; `error` if it raised."""

    values: list[Any]
    finished: bool
    error: Exception | None


class _TimeIsUp(BaseException):
    """Raised in the worker; no `except Exception` of SymPy catches it."""


def within(seconds: float, work: Callable[[], Iterator[Any]]) -> Yielded:
    """Run `work()` for at most `seconds` of computing; everything it yielded until then."""
    values: list[Any] = []
    errors: list[Exception] = []
    ended = threading.Event()

    def run() -> None:
        try:
            for value in work():
                values.append(value)
        except _TimeIsUp:
            return
        except Exception as error:
            errors.append(error)
        ended.set()

    worker = threading.Thread(target=run, name="steepest-symbolic", daemon=True)
    began, computed = time.monotonic(), time.process_time()
    worker.start()
    finished, left = False, seconds
    while not finished and left > 0:
        finished = ended.wait(max(left, 0.01))
        waited = time.monotonic() - began
        used = min(waited, time.process_time() - computed)
        left = min(seconds - used, PATIENCE * seconds - waited)
    kept = list(values)
    if not finished:
        _stop(worker)
    return Yielded(kept, finished and not errors, errors[0] if errors else None)


def _stop(worker: threading.Thread) -> None:
    """Raise in the worker, where it runs code that may be interrupted.

    Its frame is looked at first: an exception within a callback of the garbage collector would
    only be printed. While this thread looks and raises, the worker stands still.
    """
    for _ in range(100):
        if not worker.is_alive() or worker.ident is None:
            return
        time.sleep(0)  # a fresh time slice, so that nothing comes between the next two steps
        frame = sys._current_frames().get(worker.ident)
        module = str(frame.f_globals.get("__name__", "")) if frame else ""
        if module.partition(".")[0] in INTERRUPTIBLE:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(
                ctypes.c_ulong(worker.ident), ctypes.py_object(_TimeIsUp)
            )
        worker.join(0.005)
