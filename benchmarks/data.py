"""Tables: reading and encoding; streaming beside memory; Fashion-MNIST beside its rivals.

    python -m benchmarks.data [--quick] [--only encode,stream,fashion] [--images DIR]

encode:  a CSV of 1,000,000 x 30 (24 numbers, some missing; 4 categories; 2 of few whole numbers)
         read and encoded into one dense float32 array: steepest; pandas with scikit-learn's
         ColumnTransformer (median, mark of missing values, scaling; one-hot). Each in a process of
         its own: seconds, and the peak of the memory beyond what its imports took.
stream:  seconds of an epoch of training on that table from a spool, with memory for a tenth of its
         rows, over those of an epoch in memory, in turns; and the peak of the memory from reading
         to the end, beyond what the same on 20,000 rows left (programs, not rows).
fashion: 20 epochs of a perceptron of 100 units on Fashion-MNIST (Debian `dataset-fashion-mnist`):
         test accuracy and examples/s, with the same batch size for all.

Writes results/data-PART.json.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import Results, run_process

ROW_BYTES = 4 * 112
"""An encoded row: 111 inputs and the class."""
IMAGES = "/usr/share/datasets/fashion-mnist"
CHILD = "import sys; from benchmarks.data import child; child(*sys.argv[1:])"


def make_table(path: Path, rows: int) -> None:
    import polars as pl

    rng = np.random.default_rng(0)
    columns: dict[str, Any] = {}
    for i in range(24):
        values = rng.normal(i, 1 + i, rows).round(5)
        if i % 6 == 0:
            values[rng.random(rows) < 0.02] = np.nan
        columns[f"number{i}"] = pl.Series(values, nan_to_null=True)
    for i, n in enumerate((3, 8, 20, 50)):
        columns[f"category{i}"] = np.array([f"level{k}" for k in range(n)])[
            rng.integers(0, n, rows)
        ]
    for i in range(2):
        columns[f"count{i}"] = rng.integers(0, 10, rows)
    signal = columns["number1"].to_numpy() - columns["number2"].to_numpy()
    columns["target"] = np.where(signal + rng.normal(0, 1, rows) > 0, "yes", "no")
    pl.DataFrame(columns).write_csv(path)


def child(what: str, path: str, *more: str) -> None:
    """Run one rival in this process and print `{"seconds", "peak_mb", ...}`."""
    work = {"steepest": encode_ours, "pandas": encode_theirs, "stream": stream, "memory": stream}
    call = work[what](path, *more)
    # Linux: the peak begins anew.
    Path("/proc/self/clear_refs").write_text("5")
    before, began = memory_mb("VmRSS"), time.perf_counter()
    facts = call()
    seconds = facts.pop("seconds", time.perf_counter() - began)
    print(json.dumps({"seconds": seconds, "peak_mb": memory_mb("VmHWM") - before, **facts}))


def memory_mb(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return int(fields[field].split()[0]) / 1024


def encode_ours(path: str):
    from steepest.data.encode import Encoder
    from steepest.data.sources import load

    def call():
        table = load(path, target="target")
        arrays = Encoder.fit(table).transform(table)
        return {"rows": len(arrays), "inputs": arrays.x.shape[1]}

    return call


def encode_theirs(path: str):
    import pandas
    from sklearn.compose import ColumnTransformer
    from sklearn.impute import SimpleImputer
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import LabelEncoder, OneHotEncoder, StandardScaler

    def call():
        frame = pandas.read_csv(path)
        y = LabelEncoder().fit_transform(frame.pop("target"))
        numbers = frame.select_dtypes("number").columns
        words = [c for c in frame.columns if c not in numbers]
        encoder = ColumnTransformer(
            [
                (
                    "numbers",
                    make_pipeline(
                        SimpleImputer(strategy="median", add_indicator=True), StandardScaler()
                    ),
                    list(numbers),
                ),
                ("words", OneHotEncoder(sparse_output=False, dtype=np.float32), words),
            ],
            sparse_threshold=0,
        )
        x = np.ascontiguousarray(encoder.fit_transform(frame), np.float32)
        return {"rows": len(y), "inputs": x.shape[1]}

    return call


def stream(path: str, memory: str, hidden: str, epochs: str):
    """The training of `epochs` epochs after one that compiles; `memory` 0 holds all rows."""
    from steepest.engine.settings import Settings
    from steepest.engine.train import prepare, train_prepared

    settings = Settings(
        model="mlp" if int(hidden) else "linear", hidden=(int(hidden) or 1,), batch_size=128,
        optimizer="adam", learning_rate=1e-3, validation=0.0, test=0.0, epochs=1 + int(epochs),
    )  # fmt: skip
    marks: list[float] = []

    def hook(moment):
        if len(marks) < int(moment.epoch):
            marks.append(time.perf_counter())

    def call(path=path):
        marks.clear()
        ready = prepare(path, settings, memory=int(memory) or None, target="target")
        if int(memory):
            ready.fill(os.path.dirname(path))
        steps = -(-len(ready.train) // 128)
        train_prepared(ready, settings, (0,), hooks=(hook,), chunk_steps=None if int(memory)
                       else steps)  # fmt: skip
        return {"seconds": (marks[-1] - marks[0]) / (len(marks) - 1), "rows": len(ready.train)}

    few = Path(path).with_name("few.csv")
    if not few.exists():
        make_table(few, 20_000)
    call(str(few))
    return call


def run_child(*arguments: Any) -> dict[str, Any]:
    done = run_process(
        [sys.executable, "-c", CHILD, *map(str, arguments)], cwd=Path(__file__).parent.parent
    )
    return json.loads(done.output.strip().splitlines()[-1])


def encode(results: Results, folder: Path, quick: bool) -> None:
    path = folder / "table.csv"
    make_table(path, 20_000 if quick else 1_000_000)
    found: dict[str, list] = {"steepest": [], "pandas": []}
    for _ in range(1 if quick else 3):
        for who, runs in found.items():
            runs.append(run_child(who, path))
    best = {who: min(runs, key=lambda r: r["seconds"]) for who, runs in found.items()}
    for who, run in best.items():
        results.add("encode", {
            "who": who, **run, "all_seconds": [r["seconds"] for r in found[who]],
            "speed": best["pandas"]["seconds"] / run["seconds"],
            "memory": run["peak_mb"] / best["pandas"]["peak_mb"],
        })  # fmt: skip
    results.print("encode")


def streaming(results: Results, folder: Path, quick: bool) -> None:
    path = folder / "table.csv"
    if not path.exists():
        make_table(path, 20_000 if quick else 1_000_000)
    rows = 20_000 if quick else 1_000_000
    memory = max(1_000_000, rows * ROW_BYTES // 10)
    for hidden in (0, 100):
        found: dict[str, list] = {"memory": [], "stream": []}
        for _ in range(1 if quick else 3):
            for who, runs in found.items():
                runs.append(run_child(who, path, memory if who == "stream" else 0, hidden, 2))
        least = {who: min(r["seconds"] for r in runs) for who, runs in found.items()}
        for who, runs in found.items():
            results.add("stream", {
                "model": f"mlp {hidden}" if hidden else "linear", "rows from": who,
                "bound_mb": memory / 1e6 if who == "stream" else None,
                "epoch_seconds": least[who], "peak_mb": min(r["peak_mb"] for r in runs),
                "over_memory": least[who] / least["memory"],
                "all_seconds": [r["seconds"] for r in runs],
            })  # fmt: skip
    results.print("stream")


def fashion(results: Results, images: str, quick: bool) -> None:
    import steepest
    from steepest.data.sources import load

    if not os.path.isdir(images):
        results.add("fashion", {"who": "none", "why": f"{images} is not there"})
        return
    table = load(images)
    n, epochs, size = (2000, 2, 128) if quick else (len(table), 20, 128)
    table = table.take(np.arange(n))
    held = load(images).test
    x = table.x.reshape(n, -1).astype(np.float32) / 255
    xt, yt = held.x.reshape(len(held), -1).astype(np.float32) / 255, np.asarray(held.y)
    y = np.asarray(table.y)

    def ours():
        fit = steepest.train(
            "mlp", (x, y.astype(str)), hidden=(100,), epochs=epochs, validation=0.0, test=0.0,
            batch_size=size, optimizer="adam", learning_rate=2e-3, schedule="cosine", dropout=0.2,
        )  # fmt: skip
        return np.mean(fit.predict(xt) == yt.astype(str)), fit.seconds

    def sklearn():
        import warnings

        from sklearn.neural_network import MLPClassifier

        model = MLPClassifier((100,), batch_size=size, max_iter=epochs, n_iter_no_change=epochs)
        began = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model.fit(x, y)
        return model.score(xt, yt), time.perf_counter() - began

    def torch():
        import torch

        torch.manual_seed(0)
        model = torch.nn.Sequential(
            torch.nn.Linear(784, 100), torch.nn.ReLU(), torch.nn.Linear(100, 10)
        )
        rule = torch.optim.Adam(model.parameters(), fused=True)
        tx, ty = torch.from_numpy(x), torch.from_numpy(y.astype(np.int64))
        began = time.perf_counter()
        for _ in range(epochs):
            for rows in torch.randperm(n).split(size):
                rule.zero_grad()
                torch.nn.functional.cross_entropy(model(tx[rows]), ty[rows]).backward()
                rule.step()
        took = time.perf_counter() - began
        with torch.no_grad():
            guess = model(torch.from_numpy(xt)).argmax(1).numpy()
        return np.mean(guess == yt), took

    for who, call in (("steepest", ours), ("scikit-learn", sklearn), ("torch", torch)):
        accuracy, seconds = call()
        results.add("fashion", {"who": who, "test_accuracy": float(accuracy), "seconds": seconds,
                                "samples_per_second": n * epochs / seconds})  # fmt: skip
    results.print("fashion")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small tables, one repeat")
    parser.add_argument("--only", default="encode,stream,fashion")
    parser.add_argument("--images", default=IMAGES, help="a folder of IDX files")
    given = parser.parse_args()
    command = "python -m benchmarks.data --only "
    with tempfile.TemporaryDirectory() as folder:
        for part in given.only.split(","):
            results = Results(f"data-{part}", quick=given.quick, command=command + part)
            if part == "encode":
                encode(results, Path(folder), given.quick)
            elif part == "stream":
                streaming(results, Path(folder), given.quick)
            elif part == "fashion":
                fashion(results, given.images, given.quick)
            print(results.write())


if __name__ == "__main__":
    main()
