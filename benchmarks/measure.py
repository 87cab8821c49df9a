"""Measuring fairly: the machine described, rivals timed in turns, results written whole.

machine()                         what the numbers were taken on
alternate({"ours": f, ...})       rivals in turns, so that a slow minute of the machine hits all
gemm_rate()                       float32 matrix products, the ceiling of a training step
Results("training").add(...)      rows of tables, printed and written to results/NAME.json
run_cases("trees", {"scores": f}) the command line of a benchmark: some of its tables, or all
"""

from __future__ import annotations

import argparse
import datetime
import gc
import importlib.metadata
import inspect
import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from steepest.core.atomic import make_folder, write_text

RESULTS = Path(__file__).parent / "results"
PACKAGES = (
    "steepest",
    "jax",
    "jaxlib",
    "numpy",
    "scipy",
    "scikit-learn",
    "torch",
    "optax",
    "optimistix",
)
FLAGS = ("avx2", "fma", "avx512f", "avx512_bf16", "amx_bf16", "amx_tile", "asimd", "sve")
VARIABLES = ("XLA_FLAGS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


def machine() -> dict[str, Any]:
    """Processor, cores that this process may use, its vector extensions, memory, load, versions."""
    fields = _cpuinfo()
    flags = set(fields.get("flags", fields.get("Features", "")).split())
    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "cpu": fields.get("model name") or platform.processor() or platform.machine(),
        "cpu_model": "/".join(fields.get(k, "?") for k in ("cpu family", "model", "stepping")),
        "cores": _cores(),
        "flags": [f for f in FLAGS if f in flags],
        "memory_gib": _memory_gib(),
        "load_at_start": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "system": platform.platform(),
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
        "commit": _commit(),
        "environment": {k: os.environ[k] for k in VARIABLES if k in os.environ},
    }


def _cpuinfo() -> dict[str, str]:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return {}
    pairs = (line.split(":", 1) for line in text.split("\n\n")[0].splitlines() if ":" in line)
    return {k.strip(): v.strip() for k, v in pairs}


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (ValueError, OSError, AttributeError):
        return None


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _commit() -> str | None:
    """The commit that was measured, with a `+` where the working tree differs from it."""

    def git(*args):
        return subprocess.run(
            ["git", *args], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        changed = git("status", "--porcelain", "--untracked-files=no", "--", "../src")
        return git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return None


@dataclass
class Timing:
    """The seconds of every repeat of one rival, and what its last repeat returned."""

    seconds: list[float] = field(default_factory=list)
    result: Any = None

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def best(self) -> float:
        return min(self.seconds)

    @property
    def spread(self) -> float:
        """(slowest - fastest) / median: how far the median is to be trusted."""
        return (max(self.seconds) - min(self.seconds)) / self.median


def alternate(
    rivals: dict[str, Callable[[], Any]],
    repeats: int = 5,
    warm: int = 1,
    seconds_of: Callable[[Any], float | None] | None = None,
) -> dict[str, Timing]:
    """Each rival's timing: `warm` calls that do not count, then `repeats` rounds in turns.

    Every round starts with another rival, so that none always follows the same one. A rival must
    return only when its work is done (`jax.block_until_ready`). `seconds_of(result)` may give the
    seconds that the rival measured itself; None takes those of the whole call.
    """
    timings = {name: Timing() for name in rivals}
    for f in rivals.values():
        for _ in range(warm):
            f()
    names = list(rivals)
    for i in range(repeats):
        shift = i % len(names)
        for name in names[shift:] + names[:shift]:
            gc.collect()
            began = time.perf_counter()
            result = rivals[name]()
            took = time.perf_counter() - began
            own = seconds_of(result) if seconds_of else None
            timings[name].seconds.append(took if own is None else own)
            timings[name].result = result
    return timings


def gemm_rate(size: int = 2048, repeats: int = 15) -> float:
    """GFLOP/s of a float32 product of two `size` x `size` matrices: the best of `repeats`.

    Measured by JAX and by NumPy, and the higher counts: a ceiling should not flatter.
    """
    import jax
    import numpy as np

    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, size, size)).astype(np.float32)
    product = jax.jit(lambda a, b: a @ b)
    on = [jax.device_put(x) for x in (a, b)]
    timings = alternate(
        {
            "jax": lambda: product(*on).block_until_ready(),
            "numpy": lambda: a @ b,
        },
        repeats,
    )
    return 2 * size**3 / min(t.best for t in timings.values()) / 1e9


@dataclass
class Process:
    """A whole process that ended well: its seconds, from start to exit, and what it printed."""

    seconds: float
    output: str


def run_process(command: Sequence[str], env: dict[str, str] | None = None, **how: Any) -> Process:
    """Run a command to its end; RuntimeError with its error output where it fails."""
    began = time.perf_counter()
    done = subprocess.run(
        list(command), env=os.environ | (env or {}), capture_output=True, text=True, **how
    )
    took = time.perf_counter() - began
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr}")
    return Process(took, done.stdout)


class Results:
    """The rows of a benchmark by table, printed as they come and written as one JSON file.

    >>> results = Results("demo", quick=True)
    >>> results.add("speed", {"case": "a", "ours": 2.0, "torch": 1.0})
    >>> results.data["tables"]["speed"][0]["ours"]
    2.0
    """

    def __init__(self, name: str, *, quick: bool = False, **about: Any):
        self.name, self.quick = name, quick
        self.data: dict[str, Any] = {
            "benchmark": name,
            "quick": quick,
            "machine": machine(),
            **about,
            "tables": {},
        }

    def add(self, table: str, row: dict[str, Any]) -> None:
        """Append a row to a table."""
        self.data["tables"].setdefault(table, []).append(row)

    def print(self, table: str, columns: Sequence[str] | None = None) -> None:
        """Print a table, all columns of plain values unless `columns` names some."""
        rows = self.data["tables"].get(table, [])
        print(f"\n{table}\n{format_table(rows, columns)}", flush=True)

    def write(self, folder: Path = RESULTS) -> Path:
        """Write `folder`/NAME.json; a quick run, which proves nothing, goes to NAME.quick.json."""
        make_folder(folder)
        path = folder / f"{self.name}{'.quick' if self.quick else ''}.json"
        write_text(path, json.dumps(self.data, indent=1, default=_plain) + "\n")
        return path


def _plain(value: Any) -> Any:
    """Numbers and arrays of NumPy and JAX as JSON has them."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{type(value).__name__} cannot be written as JSON")


def format_table(rows: Sequence[dict[str, Any]], columns: Sequence[str] | None = None) -> str:
    """Rows as text: columns in order of first appearance, numbers to the right."""
    if columns is None:
        found: dict[str, None] = {}
        for row in rows:
            found.update({k: None for k, v in row.items() if not isinstance(v, (list, dict))})
        columns = list(found)
    cells = [list(columns)] + [[show(row.get(c)) for c in columns] for row in rows]
    widths = [max(len(line[j]) for line in cells) for j in range(len(columns))]
    text = [[isinstance(row.get(c), str) for row in rows] for c in columns]

    def pad(cell, j):
        return cell.ljust(widths[j]) if text[j] and all(text[j]) else cell.rjust(widths[j])

    return "\n".join("  ".join(pad(c, j) for j, c in enumerate(line)).rstrip() for line in cells)


def show(value: Any) -> str:
    """A value in a table: three to four digits that matter."""
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, int) or abs(value) >= 10_000:
        return f"{value:,.0f}"
    return f"{value:.4g}"


def run_cases(
    name: str, about: str, cases: dict[str, Callable[..., None]], sets: Sequence[str] = ()
) -> None:
    """The command line of a benchmark: `--quick`, `--only CASE ...`, with `sets` `--sets SET ...`.

    Each case fills the table of its name, `case(results, quick)`; one that has an argument `sets`
    is given those to run. What was left out is in the name of the file of results.
    """
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--quick", action="store_true", help="small, proves nothing")
    parser.add_argument("--only", nargs="*", choices=list(cases), help="some of the tables")
    if sets:
        parser.add_argument("--sets", nargs="*", choices=list(sets), help="some of the data sets")
    given = parser.parse_args()
    some = getattr(given, "sets", None) or ()
    command = ["python -m benchmarks." + name]
    for option, values in (("--only", given.only), ("--sets", some)):
        command += [option, *values] if values else []
    title = "-".join([name, *(given.only or ()), *some])
    results = Results(title, quick=given.quick, command=" ".join(command))
    for case in given.only or cases:
        f = cases[case]
        chosen = {"sets": tuple(some or sets)} if "sets" in inspect.signature(f).parameters else {}
        f(results, given.quick, **chosen)
        results.print(case)
    results.write()
