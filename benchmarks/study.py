"""How fast a study is, as whole processes beside what people use, and how long the tables take.

    python -m benchmarks.study [--quick] [--only grid|small|many|tables] [--repeats 3]

    grid    24 settings x 10 seeds of 64-32-10 on the digits, 30 epochs, batch 32: from an empty and
            a filled compile cache, against scikit-learn's MLPClassifier under joblib with two
            workers, a plain loop over torch, and Optuna over either.
    small   4 settings, 1 seed, filled cache, against scikit-learn from process start.
    many    10,000 runs: time and peak memory.
    tables  all tables with 10 seeds, from an empty and a filled cache.

Rivals that take minutes run a share of the settings, and their time but for the start of the
process is scaled up; `share` says which.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.measure import Results, alternate, run_process

COLD = Path(__file__).parent / "cold"
SHARES = {"sklearn": 0.5, "torch": 1 / 6, "optuna-sklearn": 0.25, "optuna-torch": 1 / 6}
START = "import sklearn.neural_network, joblib"
START_TORCH = "import torch, sklearn.preprocessing, sklearn.model_selection, sklearn.datasets"


def ours(folder: str, sizes: tuple[int, ...], cache: str | None) -> Any:
    """A call that runs the study in a process; `cache` None: an empty one each time."""
    numbers = iter(range(10**6))

    def call() -> tuple[float, dict]:
        where = cache or f"{folder}/empty{next(numbers)}"
        command = [sys.executable, str(COLD / "study_steepest.py"), *map(str, sizes)]
        done = run_process(command, {"STEEPEST_CACHE": where})
        return done.seconds, json.loads(done.output)

    return call


def rival(kind: str, sizes: tuple[int, ...], share: float) -> Any:
    """A call that runs a share of the study in a process, and gives the time of all of it."""

    def call() -> tuple[float, dict]:
        command = [sys.executable, str(COLD / "study_rivals.py"), kind, *map(str, sizes)]
        done = run_process([*command, str(share)])
        if share == 1:
            return done.seconds, json.loads(done.output)
        start = run_process(
            [sys.executable, "-c", START_TORCH if "torch" in kind else START]
        ).seconds
        return start + (done.seconds - start) / share, json.loads(done.output)

    return call


def grid(results: Results, repeats: int) -> None:
    """Table `grid`."""
    sizes = (3, 2, 2, 3) if results.quick else (6, 4, 10, 30)
    with tempfile.TemporaryDirectory() as folder:
        quick = ours(folder, sizes, f"{folder}/filled")
        quick()
        rivals = {
            "steepest, filled cache": quick,
            "steepest, empty cache": ours(folder, sizes, None),
        }
        mine = alternate(rivals, repeats, warm=0, seconds_of=lambda r: r[0])
        others = {k: rival(k, sizes, 1.0 if results.quick else s) for k, s in SHARES.items()}
        theirs = alternate(others, 1, warm=0, seconds_of=lambda r: r[0])
        again = alternate(rivals, repeats, warm=0, seconds_of=lambda r: r[0])
    for name in rivals:
        mine[name].seconds += again[name].seconds
    seconds = {k: t.median for k, t in (mine | theirs).items()}
    for name, t in (mine | theirs).items():
        row = {"process": name, "seconds": t.median, "best": t.result[1]["best"],
               "worst": t.result[1]["worst"],
               "share": 1.0 if results.quick else SHARES.get(name, 1.0)}  # fmt: skip
        for mode in ("filled", "empty"):
            row[f"x_{mode}"] = t.median / seconds[f"steepest, {mode} cache"]
        results.add("grid", row | {"all_seconds": t.seconds})
    results.print("grid")
    for mode, wanted in (("empty", 8), ("filled", 15)):
        least = min(seconds[k] / seconds[f"steepest, {mode} cache"] for k in SHARES)
        results.add("wanted", {"what": f"study, {mode} cache, times the fastest rival",
                               "at least": wanted, "measured": least})  # fmt: skip


def small(results: Results, repeats: int) -> None:
    """Table `small`."""
    sizes = (2, 2, 1, 30)
    with tempfile.TemporaryDirectory() as folder:
        timings = alternate(
            {"steepest, filled cache": ours(folder, sizes, f"{folder}/filled"),
             "sklearn": rival("sklearn", sizes, 1.0)},
            repeats, warm=1, seconds_of=lambda r: r[0],
        )  # fmt: skip
    for name, t in timings.items():
        results.add("small", {"process": name, "seconds": t.median, "all_seconds": t.seconds})
    results.print("small")
    ratio = timings["sklearn"].median / timings["steepest, filled cache"].median
    results.add("wanted", {"what": "4 settings, 1 seed, times scikit-learn", "at least": 1,
                           "measured": ratio})  # fmt: skip


def many(results: Results) -> None:
    """Table `many`."""
    sizes = (50, 4, 5, 2) if results.quick else (250, 4, 10, 5)
    with tempfile.TemporaryDirectory() as folder:
        seconds, found = ours(folder, sizes, None)()
    results.add("many", {"runs": found["runs"], "epochs": sizes[3], "seconds": seconds,
                         "peak_mib": found["peak_mib"]})  # fmt: skip
    results.print("many")
    results.add("wanted", {"what": "10,000 runs, peak MiB", "at most": 2048,
                           "measured": found["peak_mib"]})  # fmt: skip


def tables(results: Results, repeats: int) -> None:
    """Table `tables`."""
    seeds = "2" if results.quick else "10"
    times: dict[str, list[float]] = {"empty": [], "filled": []}
    with tempfile.TemporaryDirectory() as folder:
        for i in range(repeats):
            for mode in times:
                cache = {"STEEPEST_CACHE": f"{folder}/cache{i}"}
                command = [sys.executable, "-m", "steepest", "tables", "--seeds", seeds]
                command += ["-o", f"{folder}/{mode}{i}", "--quiet"]
                times[mode].append(run_process(command, cache).seconds)
    for mode, seconds in times.items():
        results.add(
            "tables",
            {
                "cache": mode,
                "seeds": int(seeds),
                "seconds": statistics.median(seconds),
                "all_seconds": seconds,
            },
        )
        results.add("wanted", {"what": f"all tables, {mode} cache, seconds",
                               "at most": 90 if mode == "empty" else 45,
                               "measured": statistics.median(seconds)})  # fmt: skip
    results.print("tables")


def main() -> None:
    """Run the parts that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, to try it out")
    parser.add_argument("--only", choices=("grid", "small", "many", "tables"), help="one part")
    parser.add_argument("--repeats", type=int, default=3, help="rounds")
    given = parser.parse_args()
    name = "study" if given.only is None else f"study-{given.only}"
    results = Results(name, quick=given.quick)
    if given.only in (None, "grid"):
        grid(results, given.repeats)
    if given.only in (None, "small"):
        small(results, given.repeats)
    if given.only in (None, "many"):
        many(results)
    if given.only in (None, "tables"):
        tables(results, max(1, given.repeats - 2))
    results.print("wanted")
    print(f"\n{results.write()}")


if __name__ == "__main__":
    main()
