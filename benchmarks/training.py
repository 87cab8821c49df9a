"""How fast training is, here and in what people use, side by side in one run.

    python -m benchmarks.training [--quick] [--only wide|digits|sgd|cold] [--repeats 5]

    wide, digits  a perceptron of one hidden layer (784-128-10 on synthetic rows, 64-32-10 on the
                  digits) by Adam, at four batch sizes: samples/s and seconds to a target loss.
    sgd           logistic regression, one example a step, against SGDClassifier.
    cold          whole processes: start, load, train on the digits, print the accuracy.

All rivals of a row have the same data, hyperparameters and number of epochs, and run in turns; the
figures are medians. Warm: programs are compiled before the clock starts, and the clock covers the
loop over epochs. The target is the highest of the rivals' final training losses, so that all reach
it; the crossing is interpolated between the ends of epochs.

Of a step's arithmetic only the matrix products are counted. With P weights in all and P1 in the
first layer, for B rows: 2BP forward, 2BP for the gradient of the weights, 2B(P - P1) for that of
the inputs of all layers but the first, which is not needed. `share` is that rate over the measured
rate of a large float32 matrix product; `share_6bp` counts the usual 6BP instead.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import Results, Timing, alternate, gemm_rate, run_process
from benchmarks.rivals import RIVALS, Task, Trained

BATCHES = (1, 32, 128, 1024)
WIDE_EPOCHS = {1: 1, 32: 2, 128: 3, 1024: 5}
DIGITS_EPOCHS = {1: 2, 32: 30, 128: 60, 1024: 120}
RATES = {1: 1e-4, 32: 1e-3, 128: 1e-3, 1024: 2e-3}
COLD = Path(__file__).parent / "cold"
COLD_EPOCHS = 20


def wide_rows(n: int = 20_000) -> tuple[np.ndarray, np.ndarray]:
    """Normal inputs of 784 numbers; classes by a random perceptron, so that loss falls slowly."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, 784), dtype=np.float32)
    first, second = rng.standard_normal((784, 20)) / 28, rng.standard_normal((20, 10))
    scores = np.maximum(x @ first, 0) @ second
    # Standardised, so that all classes are about equally frequent.
    return x, np.argmax((scores - scores.mean(0)) / scores.std(0), 1).astype(np.int32)


def digits_rows() -> tuple[np.ndarray, np.ndarray]:
    """scikit-learn's digits, 1,797 rows of 64 numbers, standardised."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    deviation = x.std(0)
    deviation[deviation == 0] = 1
    return ((x - x.mean(0)) / deviation).astype(np.float32), y.astype(np.int32)


def tasks(part: str, quick: bool) -> list[Task]:
    """The tasks of a part, one a batch size."""
    x, y = wide_rows() if part == "wide" else digits_rows()
    hidden = 128 if part == "wide" else 32
    lengths = WIDE_EPOCHS if part == "wide" else DIGITS_EPOCHS
    out = []
    for batch in BATCHES:
        n = min(len(x), max(200, 5 * batch // 2)) if quick else len(x)
        epochs = 2 if quick else lengths[batch]
        out.append(Task(x[:n], y[:n], hidden, 10, batch, epochs, RATES[batch]))
    return out


def flops_per_row(sizes: tuple[int, ...]) -> int:
    """Of the matrix products of one training step, for a row: see the formula above."""
    weights = [a * b for a, b in pairwise(sizes)]
    return 4 * sum(weights) + 2 * sum(weights[1:])


def epochs_to(losses: list[float], target: float) -> float:
    """After how many epochs the mean loss of an epoch fell to the target."""
    before = losses[0]
    for epoch, loss in enumerate(losses):
        if loss <= target:
            return epoch + ((before - target) / (before - loss) if before > loss else 1.0)
        before = loss
    return float("nan")


def train_perceptrons(results: Results, part: str, repeats: int, gemm: float) -> None:
    """Tables `PART: samples/s`, `PART: seconds to target` and `PART: final loss`."""
    for task in tasks(part, results.quick):
        timings = alternate(
            {name: make(task) for name, make in RIVALS.items()},
            repeats,
            seconds_of=lambda trained: trained.seconds,
        )
        case = {"sizes": "-".join(map(str, task.sizes)), "batch": task.batch}
        about = {"rows": len(task.x), "epochs": task.epochs}
        speed = {name: task.samples / t.median for name, t in timings.items()}
        plain = max(speed["optax_loop"], speed["optax_scan"])
        made = flops_per_row(task.sizes) * speed["steepest"] / 1e9
        weights = sum(a * b for a, b in pairwise(task.sizes))
        results.add(
            f"{part}: samples/s",
            case
            | about
            | speed
            | {f"x_{name}": speed["steepest"] / speed[name] for name in ("torch", "sklearn")}
            | {"x_optax": speed["steepest"] / plain}
            | {"gflops": made, "share": made / gemm}
            | {"share_6bp": 6 * weights * speed["steepest"] / 1e9 / gemm}
            | {"spread": {name: t.spread for name, t in timings.items()}}
            | {"seconds": {name: t.seconds for name, t in timings.items()}},
        )
        _losses(results, part, task, case, timings)
    for table in ("samples/s", "seconds to target", "final loss"):
        results.print(f"{part}: {table}")


def _losses(results: Results, part: str, task: Task, case: dict, timings: dict[str, Timing]):
    trained: dict[str, Trained] = {name: t.result for name, t in timings.items()}
    target = max(t.losses[-1] for t in trained.values())
    needed = {name: epochs_to(t.losses, target) for name, t in trained.items()}
    results.add(
        f"{part}: seconds to target",
        case
        | {"target": target}
        | {name: needed[name] * timings[name].median / task.epochs for name in trained}
        | {"epochs": needed},
    )
    final = {name: t.final_loss(task.x, task.y) for name, t in trained.items()}
    middle = statistics.median(final.values())
    results.add(
        f"{part}: final loss",
        case
        | final
        # Orders and scikit-learn's weights differ, so losses agree as those of several seeds do.
        | {"comparable": all(abs(v - middle) <= 0.15 * middle + 0.02 for v in final.values())}
        | {"curves": {name: t.losses for name, t in trained.items()}},
    )


def train_logistic(results: Results, repeats: int) -> None:
    """Table `sgd`: logistic regression with one example a step, 54 features, one epoch."""
    from sklearn.linear_model import SGDClassifier

    from steepest.data.dataset import Arrays
    from steepest.engine.runs import run
    from steepest.engine.settings import Settings

    n, features, rate = 2_000 if results.quick else 200_000, 54, 0.01
    rng = np.random.default_rng(0)
    x = rng.standard_normal((n, features), dtype=np.float32)
    true = rng.standard_normal(features) / 4
    y = (rng.uniform(size=n) < 1 / (1 + np.exp(-x @ true))).astype(np.int32)
    settings = Settings(model="linear", optimizer="sgd", learning_rate=rate, batch_size=1, epochs=1)
    spec, arrays = settings.spec((features,), 2, "classification"), Arrays(x, y)

    def loss_of(w, b):
        f = x @ np.ravel(w).astype(np.float64) + float(np.ravel(b)[0])
        return float(np.mean(np.logaddexp(0, f) - y * f))

    def ours():
        runs = run([spec], arrays, batch_size=1, epochs=1)
        params, _ = runs.last()
        return runs.seconds, loss_of(params["weight"], params["bias"])

    def sklearn():
        model = SGDClassifier(
            loss="log_loss",
            penalty=None,
            alpha=0.0,
            learning_rate="constant",
            eta0=rate,
            max_iter=1,
            tol=None,
            random_state=0,
        ).fit(x, y)
        return None, loss_of(model.coef_, model.intercept_)

    timings = alternate(
        {"steepest": ours, "sklearn": sklearn}, repeats, seconds_of=lambda result: result[0]
    )
    loss = {name: t.result[1] for name, t in timings.items()}
    results.add(
        "sgd",
        {"rows": n, "features": features, "batch": 1, "rate": rate}
        | {f"{name}_us_per_step": t.median / n * 1e6 for name, t in timings.items()}
        | {"x_sklearn": timings["sklearn"].median / timings["steepest"].median}
        | {f"{name}_loss": v for name, v in loss.items()}
        | {"comparable": abs(loss["steepest"] - loss["sklearn"]) <= 0.02}
        | {"seconds": {name: t.seconds for name, t in timings.items()}},
    )
    results.print("sgd")


def train_processes(results: Results, repeats: int) -> None:
    """Table `cold`: seconds of whole processes that train on the digits."""
    epochs = str(2 if results.quick else COLD_EPOCHS)
    with tempfile.TemporaryDirectory() as folder:
        made = iter(range(10**6))
        same = ["--hidden", "128", "--optimizer", "adam"]
        same += ["--learning-rate", "1e-3", "--batch-size", "32"]

        def steepest(cache: str | None):
            """`cache` None: an empty one in each call."""

            def call() -> tuple[float, dict]:
                number = next(made)
                command = [sys.executable, "-m", "steepest", "train", "digits", "--json"]
                command += ["--epochs", epochs, *same, "-o", f"{folder}/run{number}"]
                done = run_process(command, {"STEEPEST_CACHE": cache or f"{folder}/empty{number}"})
                parts = json.loads(done.output)
                return done.seconds, {k: parts[k]["accuracy"] for k in ("validation", "test")}

            return call

        def script(name: str):
            def call() -> tuple[float, dict]:
                done = run_process([sys.executable, str(COLD / f"{name}_digits.py"), epochs])
                return done.seconds, json.loads(done.output)

            return call

        timings = alternate(
            {
                "steepest": steepest(f"{folder}/filled"),
                "steepest, empty cache": steepest(None),
                "sklearn": script("sklearn"),
                "torch": script("torch"),
            },
            repeats,
            seconds_of=lambda result: result[0],
        )
    for name, t in timings.items():
        results.add(
            "cold",
            {"process": name, "epochs": int(epochs), "seconds": t.median, "best": t.best}
            | {f"{k}_accuracy": v for k, v in t.result[1].items()}
            | {"all_seconds": t.seconds},
        )
    results.print("cold")


def judge(results: Results) -> None:
    """Table `wanted`: what the project asks of itself, and what was measured."""
    tables = results.data["tables"]

    def want(what: str, wanted: float, rows: list[dict[str, Any]], column: str) -> None:
        if rows:
            least = min(row[column] for row in rows)
            results.add(
                "wanted",
                {"what": what, "at least": wanted, "measured": least, "met": least >= wanted},
            )

    def perceptrons(*batches: int, parts: tuple[str, ...] = ("wide", "digits")):
        rows = [r for p in parts for r in tables.get(f"{p}: samples/s", [])]
        return [r for r in rows if r["batch"] in batches]

    want("times torch, batch 32 to 128", 3, perceptrons(32, 128), "x_torch")
    want("times scikit-learn, batch 32 to 128", 3, perceptrons(32, 128), "x_sklearn")
    want("times the faster plain optax loop, any batch", 1, perceptrons(*BATCHES), "x_optax")
    large = perceptrons(128, 1024, parts=("wide",))
    want("share of the matrix-product rate, 784-128-10, batch >= 128", 0.65, large, "share")
    want("the same, counted as 6BP", 0.65, large, "share_6bp")
    want("times SGDClassifier, batch 1", 4, tables.get("sgd", []), "x_sklearn")
    results.print("wanted")


def main(argv=None) -> Results:
    """Run the parts, print the tables, write benchmarks/results/training.json."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="few rows: shows that it works")
    parser.add_argument("--only", choices=("wide", "digits", "sgd", "cold"), help="one part")
    parser.add_argument("--repeats", type=int, default=5, help="rounds of each comparison")
    options = parser.parse_args(argv)
    name = f"training-{options.only}" if options.only else "training"
    repeats = 1 if options.quick else options.repeats
    results = Results(name, quick=options.quick, repeats=repeats)

    def wanted(part: str) -> bool:
        return options.only in (None, part)

    if wanted("cold"):
        train_processes(results, repeats)
    if wanted("wide") or wanted("digits"):
        # Before anything else in this process starts JAX: devices as the engine wants them.
        from steepest.engine.compiling import prepare

        prepare()
        gemm = gemm_rate(512 if options.quick else 2048)
        results.data["gemm_gflops"] = gemm
        print(f"\nfloat32 matrix product: {gemm:.0f} GFLOP/s")
        for part in ("wide", "digits"):
            if wanted(part):
                train_perceptrons(results, part, repeats, gemm)
    if wanted("sgd"):
        train_logistic(results, repeats)
    if not results.quick:
        judge(results)
    print(f"\n{results.write()}")
    return results


if __name__ == "__main__":
    main()
