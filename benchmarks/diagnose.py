"""How often a diagnosis is right, and how long it takes.

    python -m benchmarks.diagnose confusion [--sets a,b] [--seeds 100,101] [--quick] [--docs FILE]
    python -m benchmarks.diagnose speed

`confusion`: runs with one known illness each (`steepest.diagnose.examples`), and runs that are
well, over data sets and seeds that were not used while building; how often the illness was found,
how often it was named first, and how often a run that is well was accused. A run counts as well
when its score is that of the best of them. `--docs` writes the table between the marks of a page.
`speed`: the largest eigenvalue beside a power iteration in torch and the exact value, a whole
diagnosis, and what `learning_rate="auto"` adds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import Results, alternate
from steepest.data.sources import load
from steepest.diagnose.examples import CLASSES_ONLY, SICK, WELL
from steepest.engine.train import train

SETS = ("iris", "wine", "breast_cancer", "diabetes", "digits", "circles:n=500,noise=0.05",
        "spirals:n=600,turns=0.75", "blobs:n=400,features=6,noise=1.5")  # fmt: skip
SEEDS = (101, 102, 103)
MARK = "<!-- confusion table, written by `python -m benchmarks.diagnose confusion --docs` -->"


def trained(table: Any, settings: dict[str, Any], seed: int) -> Any:
    settings = dict(settings)
    return train(settings.pop("model", "mlp"), table, seed=seed, **settings)


def confusion(
    sets: tuple[str, ...], seeds: tuple[int, ...], results: Results
) -> Iterator[tuple[str, ...]]:
    """Every illness and every good run, on every set, from every seed; the sets done so far."""
    rows: dict[str, dict[str, Any]] = {}
    accused: dict[str, int] = {}
    good = false = quickly = left_out = 0
    for name in sets:
        table = load(name)
        for seed in seeds:
            for code, inject in SICK.items():
                if code in CLASSES_ONLY and table.task != "classification":
                    continue
                rng = np.random.default_rng([seed, sets.index(name)])
                sick, settings = inject(table, rng)
                found = trained(sick, settings, seed).diagnose().codes
                row = rows.setdefault(code, {"illness": code, "runs": 0, "found": 0, "first": 0,
                                             "else": {}})  # fmt: skip
                row["runs"] += 1
                row["found"] += code in found
                row["first"] += found[:1] == (code,)
                if code not in found:
                    print(f"  missed {code} on {name}, seed {seed}: {found}", flush=True)
                    said = found[0] if found else "nothing"
                    row["else"][said] = row["else"].get(said, 0) + 1
            fits = {kind: trained(table, settings, seed) for kind, settings in WELL.items()}
            left_out += len(fits)
            for kind, fit in well(fits).items():
                found = fit.diagnose().codes
                good += 1
                left_out -= 1
                false += bool(found)
                quickly += bool(fit.diagnose(deep=False).codes)
                for code in found:
                    print(f"  accused {kind} on {name}, seed {seed}: {code}", flush=True)
                    accused[code] = accused.get(code, 0) + 1
        print(name, "done", flush=True)
        results.data["tables"] = {
            "illnesses": [
                {k: v for k, v in row.items() if k != "else"}
                | {
                    "recall": row["found"] / row["runs"],
                    "instead": ", ".join(f"{k} {v}" for k, v in row["else"].items()),
                }
                for row in rows.values()
            ],
            "good runs": [
                {
                    "runs": good, "left out": left_out, "accused": false,
                    "share": false / max(good, 1), "accused quickly": quickly,
                    "of": ", ".join(f"{k} {v}" for k, v in accused.items()),
                }
            ],
        }  # fmt: skip
        yield sets[: sets.index(name) + 1]


def well(fits: dict[str, Any]) -> dict[str, Any]:
    """The fits that are as good as the best, within 0.03 and two standard errors of the score.

    What counts as a good run must not hang on the diagnosis itself: settings that suit one data set
    train too slowly or overfit on another.
    """
    name = "r2" if next(iter(fits.values())).task == "regression" else "accuracy"
    scores = {k: (f.test or {}).get(name, -1e9) for k, f in fits.items()}
    best, rows = max(scores.values()), next(iter(fits.values())).sizes["test"]
    error = 1 / rows**0.5 if name == "r2" else (max(best * (1 - best), 1 / rows) / rows) ** 0.5
    fitted = {k: f.train.get(name, -1e9) for k, f in fits.items()}
    return {
        k: f for k, f in fits.items()
        if scores[k] >= best - max(0.03, 2 * error) and fitted[k] >= max(fitted.values()) - 0.1
    }  # fmt: skip


def as_markdown(results: Results, sets: tuple[str, ...], seeds: tuple[int, ...]) -> str:
    """The tables of `confusion` as a page shows them."""
    tables = results.data["tables"]
    lines = [
        "| illness | runs | found | named first | instead |",
        "| --- | --- | --- | --- | --- |",
    ]
    for r in tables["illnesses"]:
        lines.append(
            f"| `{r['illness']}` | {r['runs']} | {r['found']} ({100 * r['recall']:.0f} %) | "
            f"{r['first']} | {r['instead']} |"
        )
    well = tables["good runs"][0]
    lines += ["", f"Of {well['runs']} runs that are well {well['accused']} were accused "
              f"({100 * well['share']:.1f} %{': ' + well['of'] if well['of'] else ''}). Data: "
              f"{', '.join(s.partition(':')[0] for s in sets)}; seeds "
              f"{', '.join(map(str, seeds))}."]  # fmt: skip
    return "\n".join(lines)


def write_docs(page: Path, text: str) -> None:
    """Put `text` between the marks of the page, in the place of what stood there."""
    whole = page.read_text()
    before, mark, after = whole.partition(MARK)
    if not mark:
        raise SystemExit(f"{page} has no line {MARK}")
    end = "<!-- end of the table -->"
    page.write_text(f"{before}{mark}\n\n{text}\n\n{end}{after.partition(end)[2]}")


def speed(results: Results, repeats: int) -> None:
    """The largest eigenvalue of a 100,000-parameter network; a diagnosis; the automatic rate."""
    import jax

    from steepest.data.dataset import Arrays
    from steepest.engine.compiling import precision
    from steepest.engine.sharpness import eigenpairs, sample_rows
    from steepest.models.mlp import MLP
    from steepest.objectives.objective import Objective

    rng = np.random.default_rng(0)
    x = rng.standard_normal((2000, 100)).astype(np.float32)
    y = rng.integers(0, 10, 2000).astype(np.int32)
    objective = Objective(MLP((256, 256)), "log_loss").bind((100,), 10)
    with precision("float32"):
        params, _ = objective.init(jax.random.key(0))
        batch = sample_rows(Arrays(x, y))
        rivals: dict[str, Any] = {
            "ours": lambda: float(eigenpairs(objective, params, batch).values[0]),
        }
        exact = float(eigenpairs(objective, params, batch, steps=150).values[0])
        torch_one = torch_power(params, x, y)
        if torch_one is not None:
            rivals["torch, power iteration"] = torch_one
        timings = alternate(rivals, repeats)
        size = sum(int(np.size(w)) for w in jax.tree.leaves(params))
    for name, t in timings.items():
        results.add("largest eigenvalue", {
            "method": name, "parameters": size, "rows": 2000, "seconds": t.best,
            "value": t.result, "error": abs(t.result / exact - 1),
        })  # fmt: skip
    fit = train("mlp", "digits", epochs=30)
    for kind in ("first", "again"):
        fresh = type(fit)(**vars(fit))
        began = time.perf_counter()
        fresh.diagnose()
        results.add("diagnosis of digits", {"call": kind, "seconds": time.perf_counter() - began})
    for rate in (1e-3, "auto", 1e-3, "auto"):
        began = time.perf_counter()
        fit = train("mlp", "digits", learning_rate=rate, epochs=30)
        results.add("learning rate of digits", {
            "rate": str(rate), "seconds": time.perf_counter() - began,
            "accuracy": (fit.test or {}).get("accuracy"),
        })  # fmt: skip


def torch_power(params: Any, x: np.ndarray, y: np.ndarray) -> Any:
    """The same by 24 steps of power iteration on Hessian-vector products, as PyHessian does."""
    try:
        import torch
    except ImportError:
        return None
    weights = [
        torch.tensor(np.asarray(layer[k]), requires_grad=True)
        for layer in params["layers"] for k in ("weight", "bias")
    ]  # fmt: skip
    rows, targets = torch.tensor(x), torch.tensor(y, dtype=torch.long)

    def loss() -> Any:
        h = rows
        for i in range(0, len(weights), 2):
            h = h @ weights[i] + weights[i + 1]
            h = torch.relu(h) if i + 2 < len(weights) else h
        return torch.nn.functional.cross_entropy(h, targets)

    def run() -> float:
        torch.manual_seed(0)
        gradient = torch.autograd.grad(loss(), weights, create_graph=True)
        v = [torch.randn_like(w) for w in weights]
        value = 0.0
        for _ in range(24):
            norm = sum((a * a).sum() for a in v).sqrt()
            v = [a / norm for a in v]
            hv = torch.autograd.grad(gradient, weights, v, retain_graph=True)
            value = float(sum((a * b).sum() for a, b in zip(hv, v, strict=True)))
            v = list(hv)
        return value

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("confusion", "speed"))
    parser.add_argument("--sets", default=",".join(s.replace(",", ";") for s in SETS))
    parser.add_argument("--seeds", default=",".join(map(str, SEEDS)))
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--docs", type=Path)
    args = parser.parse_args()
    results = Results(f"diagnose-{args.what}", quick=args.quick)
    if args.what == "speed":
        speed(results, 2 if args.quick else 7)
        for table in results.data["tables"]:
            results.print(table)
        print(results.write())
        return
    sets = tuple(s.replace(";", ",") for s in args.sets.split(","))
    seeds = tuple(int(s) for s in args.seeds.split(","))
    if args.quick:
        sets, seeds = ("wine", "moons:n=400"), (101,)
    for done in confusion(sets, seeds, results):
        # Written after each set, so that a run that is cut short is not lost.
        if args.docs is not None:
            write_docs(args.docs, as_markdown(results, done, seeds))
        results.write()
    for table in results.data["tables"]:
        results.print(table)


if __name__ == "__main__":
    main()
