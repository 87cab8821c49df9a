"""How fast a diagnosis is, how often it is right, and what automatic settings are worth.

    python -m benchmarks.diagnose speed [--quick]
    python -m benchmarks.diagnose confusion [...]      see `benchmarks.confusion`
    python -m benchmarks.diagnose auto [--sets a,b] [--docs FILE]

`speed`: the largest eigenvalue beside a power iteration in torch and the exact value, a whole
diagnosis, and what `learning_rate="auto"` adds. `auto`: held-out scores of `steepest train DATA` as
it is, and with learning rate, optimizer or batch size chosen, from the same splits and seeds.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import confusion
from benchmarks.measure import RESULTS, Results, alternate
from steepest.engine.train import train

BUNDLED = ("iris", "wine", "breast_cancer", "diabetes", "digits")
VARIANTS: dict[str, dict[str, Any]] = {
    "recipe": {},
    "rate": {"learning_rate": "auto"},
    "optimizer": {"optimizer": "auto"},
    "batch": {"batch_size": "auto"},
}
MARK = "<!-- automatic settings, written by `python -m benchmarks.diagnose auto --docs` -->"


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
    objective = Objective(MLP((266, 266)), "log_loss").bind((100,), 10)
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


def auto(sets: tuple[str, ...], seeds: tuple[int, ...], docs: Path | None, quick: bool) -> None:
    """Every variant on every set, from every seed (of split, weights and order)."""
    results = Results("diagnose-auto", quick=quick)
    path = RESULTS / "diagnose-auto.json"
    if not quick and path.exists():
        kept = json.loads(path.read_text())["tables"]["auto"]
        results.data["tables"]["auto"] = [r for r in kept if r["data"] not in sets]
    for name in sets:
        scores, chosen, seconds = {}, {}, {}
        for kind, changes in VARIANTS.items():
            began = time.perf_counter()
            fits = [train("mlp", name, seed=seed, **changes) for seed in seeds]
            seconds[kind] = (time.perf_counter() - began) / len(seeds)
            metric = "r2" if fits[0].task == "regression" else "accuracy"
            scores[kind] = np.array([fit.test[metric] for fit in fits])
            parts = [fit.tuned for fit in fits if fit.tuned is not None]
            chosen[kind] = sorted({
                " ".join(f"{v}" for v in (t.optimizer, t.rate, t.batch_size) if v is not None)
                for t in parts
            })  # fmt: skip
        for kind in VARIANTS:
            gap = scores[kind] - scores["recipe"]
            results.add("auto", {
                "data": name, "metric": metric, "variant": kind, "seeds": list(seeds),
                "score": float(scores[kind].mean()), "gain": float(gap.mean()),
                "standard_error": float(gap.std(ddof=1) / len(seeds) ** 0.5) if len(seeds) > 1
                else None, "seconds": seconds[kind], "chosen": ", ".join(chosen[kind]),
            })  # fmt: skip
        print(name, "done", flush=True)
        if not quick:
            results.write()
    results.print("auto")
    if docs is not None:
        whole = docs.read_text()
        before, mark, after = whole.partition(MARK)
        if not mark:
            raise SystemExit(f"{docs} has no line {MARK}")
        end = confusion.END
        text = auto_markdown(results.data["tables"]["auto"])
        docs.write_text(f"{before}{mark}\n\n{text}\n\n{end}{after.partition(end)[2]}")


def auto_markdown(rows: list[dict[str, Any]]) -> str:
    """The table as a page shows it: scores of the recipe, gains of the rest over it."""
    names = {"rate": "learning rate", "optimizer": "optimizer and rate", "batch": "batch size"}
    lines = [
        f"| data | recipe | {' | '.join(f'auto {n}: gain' for n in names.values())} |",
        "| --- | --- | --- | --- | --- |",
    ]
    for data in [name for name in BUNDLED if any(r["data"] == name for r in rows)]:
        own = {r["variant"]: r for r in rows if r["data"] == data}
        cells = [f"{own[k]['gain']:+.4f} ± {own[k]['standard_error']:.4f}" for k in names]
        metric = "R^2" if own["recipe"]["metric"] == "r2" else "accuracy"
        lines.append(f"| {data} | {metric} {own['recipe']['score']:.4f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("confusion", "speed", "auto"))
    parser.add_argument("--sets", help="separated by spaces or commas; options of a set by ;")
    parser.add_argument("--seeds")
    parser.add_argument("--codes", default="", help="of `confusion`: these illnesses alone")
    parser.add_argument("--jobs", type=int, default=2, help="of `confusion`: sets at a time")
    parser.add_argument("--build", action="store_true", help="of `confusion`: see there")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--docs", type=Path)
    args = parser.parse_args()
    seeds = None if args.seeds is None else tuple(map(int, args.seeds.split(",")))
    sets = None
    if args.sets is not None:
        known = {s.partition(":")[0]: s for s in (*confusion.BUILD_SETS, *confusion.SETS)}
        sets = tuple(known.get(s, s.replace(";", ",")) for s in args.sets.split(","))
    if args.what == "auto":
        auto(sets or BUNDLED, seeds or tuple(range(5)), args.docs, args.quick)
    elif args.what == "confusion":
        confusion.confusion(
            sets or (confusion.BUILD_SETS if args.build else confusion.SETS),
            seeds or (confusion.BUILD_SEEDS if args.build else confusion.SEEDS),
            codes=tuple(c for c in args.codes.split(",") if c), jobs=args.jobs, docs=args.docs,
            build=args.build or args.quick,
        )  # fmt: skip
    else:
        results = Results("diagnose-speed", quick=args.quick)
        speed(results, 2 if args.quick else 7)
        for table in results.data["tables"]:
            results.print(table)
        print(results.write())


if __name__ == "__main__":
    main()
