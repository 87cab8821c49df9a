"""How often a diagnosis is right: illnesses that were injected, and runs that are well.

    python -m benchmarks.diagnose confusion [--sets a,b] [--seeds 201,202] [--build] [--docs FILE]

Runs with one known illness each (`steepest.diagnose.examples`) and runs that are well, over data
sets and seeds that were not used while building; how often the illness was found, how often it was
named first, and how often a run that is well was accused. A run counts as well when its score is
that of the best of six settings; the others are not judged. `--build` takes the data and seeds by
which the thresholds were chosen, and writes no result. Results of sets (with
`--codes`, of illnesses) that are not run again are kept, so that the whole may be done in parts,
but for those of another version of the diagnosis.
"""

from __future__ import annotations

import concurrent.futures
import hashlib
import json
import math
import multiprocessing
import textwrap
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.measure import RESULTS, Results

SETS = ("iris", "wine", "breast_cancer", "diabetes", "digits", "circles:n=500,noise=0.05",
        "spirals:n=600,turns=0.75", "blobs:n=400,features=6,noise=1.5")  # fmt: skip
SEEDS = (611, 612, 613)
BUILD_SETS = ("wine", "moons:n=500,noise=0.2", "friedman", "imbalanced", "crowd", "weak", "grid",
              "faint", "words")  # fmt: skip
BUILD_SEEDS = (1, 2, 3)
MARK = "<!-- confusion table, written by `python -m benchmarks.diagnose confusion --docs` -->"
END = "<!-- end of the table -->"
WELL_ROW = "none"


def table_of(name: str) -> Any:
    """The data set of that name; those of `MADE` are drawn here."""
    from steepest.data.sources import load

    return load(MADE[name]() if name in MADE else name)


def friedman() -> Any:
    """A regression of 300 rows (Friedman 1991)."""
    from sklearn.datasets import make_friedman1

    return make_friedman1(300, noise=1.0, random_state=0)


def imbalanced() -> Any:
    """Two classes, one row in ten of the smaller one."""
    from sklearn.datasets import make_classification

    return make_classification(
        1000, 12, n_informative=6, weights=[0.9], class_sep=1.5, random_state=0
    )


def crowd() -> Any:
    """Twelve classes."""
    from sklearn.datasets import make_classification

    return make_classification(
        2000, 20, n_informative=12, n_redundant=2, n_classes=12, n_clusters_per_class=1,
        class_sep=1.5, random_state=0,
    )  # fmt: skip


def weak() -> Any:
    """A linear regression of which R^2 = 0.3 can be explained."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((400, 10))
    signal = x @ rng.standard_normal(10)
    return x, signal + signal.std() * (7 / 3) ** 0.5 * rng.standard_normal(400)


def grid() -> Any:
    """Six classes by counts, many of them zero: neighbours tie."""
    rng = np.random.default_rng(0)
    rates = rng.gamma(0.3, 6.0, (6, 16))
    y = rng.integers(0, 6, 900)
    return np.minimum(rng.poisson(rates[y]), 16).astype(float), y


def faint() -> Any:
    """Two classes, three in ten of the smaller one, that hardly differ."""
    rng = np.random.default_rng(0)
    y = (rng.random(800) < 0.3).astype(int)
    return rng.standard_normal((800, 8)) + 0.4 * y[:, None], y


def words() -> Any:
    """Texts of ten words of two kinds, as shares of 120 words."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 2, 600)
    shares = rng.dirichlet(np.full(120, 0.3), 2)
    mixed = 0.5 * shares.mean(axis=0) + 0.5 * shares[y]
    counts = np.stack([rng.multinomial(10, p) for p in mixed])
    return counts / np.linalg.norm(counts, axis=1, keepdims=True), y


MADE = {f.__name__: f for f in (friedman, imbalanced, crowd, weak, grid, faint, words)}


def detectors() -> str:
    """What tells one version of the diagnosis from another: the rows of one table have the same."""
    from steepest.diagnose import illness

    here = Path(illness.__file__).parent
    files = ("case", "curve", "descent", "fitting", "flow", "illness", "network", "noise", "rows",
             "sources")  # fmt: skip
    whole = hashlib.sha256(b"".join((here / f"{name}.py").read_bytes() for name in files))
    return whole.hexdigest()[:12]


def judged(name: str, seeds: tuple[int, ...], codes: tuple[str, ...] = ()) -> list[dict[str, Any]]:
    """A row for each run on a data set: what it had, and what was found."""
    from steepest.diagnose.examples import CLASSES_ONLY, SICK, WELL

    table, rows = table_of(name), []
    place = (*SETS, *BUILD_SETS).index(name)
    sick = {k: v for k, v in SICK.items() if not codes or k in codes}
    for code, inject in sick.items():
        if code in CLASSES_ONLY and table.task != "classification":
            continue
        for seed in seeds:
            made, settings = inject(table, np.random.default_rng([seed, place]))
            found = trained(made, settings, seed).diagnose().codes
            rows.append({"data": name, "seed": seed, "illness": code, "found": list(found)})
            if code not in found:
                print(f"  missed {code} on {name}, seed {seed}: {found}", flush=True)
    if codes and WELL_ROW not in codes:
        return rows
    for seed in seeds:
        fits = {kind: trained(table, settings, seed) for kind, settings in WELL.items()}
        good = well(fits)
        for kind in fits:
            row = {"data": name, "seed": seed, "illness": WELL_ROW, "kind": kind}
            if kind not in good:
                rows.append(row | {"found": None})
                continue
            found = fits[kind].diagnose().codes
            quickly = fits[kind].diagnose(deep=False).codes
            rows.append(row | {"found": list(found), "quickly": list(quickly)})
            if found:
                print(f"  accused {kind} on {name}, seed {seed}: {found}", flush=True)
    return rows


def trained(table: Any, settings: dict[str, Any], seed: int) -> Any:
    """A fit by these settings."""
    from steepest.engine.train import train

    settings = dict(settings)
    return train(settings.pop("model", "mlp"), table, seed=seed, **settings)


def well(fits: dict[str, Any]) -> set[str]:
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
        k for k in fits
        if scores[k] >= best - max(0.03, 2 * error) and fitted[k] >= max(fitted.values()) - 0.1
    }  # fmt: skip


def summary(rows: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    """The tables of the page from the rows of single runs."""
    illnesses = []
    for code in dict.fromkeys(r["illness"] for r in rows if r["illness"] != WELL_ROW):
        own = [r for r in rows if r["illness"] == code]
        missed = [r["found"][0] if r["found"] else "nothing" for r in own if code not in r["found"]]
        hits = len(own) - len(missed)
        illnesses.append({
            "illness": code, "runs": len(own), "found": hits, "recall": hits / len(own),
            "low": _low(hits, len(own)), "first": sum(r["found"][:1] == [code] for r in own),
            "instead": ", ".join(f"{k} {v}" for k, v in Counter(missed).items()),
        })  # fmt: skip
    good = [r for r in rows if r["illness"] == WELL_ROW and r["found"] is not None]
    false = [r for r in good if r["found"]]
    return {
        "illnesses": illnesses,
        "good runs": [{
            "runs": len(good),
            "not judged": sum(r["illness"] == WELL_ROW for r in rows) - len(good),
            "accused": len(false), "share": len(false) / max(len(good), 1),
            "accused quickly": sum(bool(r["quickly"]) for r in good),
            "of": ", ".join(f"{k} {v}" for k, v in
                            Counter(c for r in false for c in r["found"]).items()),
        }],
    }  # fmt: skip


def _low(hits: int, n: int, z: float = 1.96) -> float:
    """The lower end of Wilson's 95 % interval."""
    p = hits / n
    half = z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return max((p + z**2 / (2 * n) - half) / (1 + z**2 / n), 0.0)


def as_markdown(rows: list[dict[str, Any]]) -> str:
    """The tables as a page shows them."""
    tables = summary(rows)
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
    sets = dict.fromkeys(r["data"].partition(":")[0] for r in rows)
    seeds = sorted({r["seed"] for r in rows})
    hits, runs = (sum(r[k] for r in tables["illnesses"]) for k in ("found", "runs"))
    said = (
        f"In all {hits} of {runs} ({100 * hits / max(runs, 1):.1f} %). Of {well['runs']} runs that "
        f"are well {well['accused']} were accused ({100 * well['share']:.1f} %"
        f"{': ' + well['of'] if well['of'] else ''}). Data: {', '.join(sets)}; seeds "
        f"{', '.join(map(str, seeds))}."
    )
    lines += ["", *textwrap.wrap(said, 100)]
    return "\n".join(lines)


def write_docs(page: Path, text: str) -> None:
    """Put `text` between the marks of the page, in the place of what stood there."""
    whole = page.read_text()
    before, mark, after = whole.partition(MARK)
    if not mark:
        raise SystemExit(f"{page} has no line {MARK}")
    page.write_text(f"{before}{mark}\n\n{text}\n\n{END}{after.partition(END)[2]}")


def confusion(
    sets: tuple[str, ...], seeds: tuple[int, ...], *, codes: tuple[str, ...] = (), jobs: int = 2,
    docs: Path | None = None, build: bool = False,
) -> None:  # fmt: skip
    """Judge the sets, `jobs` at a time, and write what is known after each."""
    from steepest.diagnose.examples import SICK

    results = Results("diagnose-confusion", quick=build)
    path = RESULTS / "diagnose-confusion.json"
    kept = []
    if not results.quick and path.exists():
        kept = json.loads(path.read_text())["tables"].get("runs", [])
    rows: dict[str, list] = {}
    version = detectors()
    for row in kept:
        again = row["data"] in sets and (not codes or row["illness"] in codes)
        if not again and row["data"] in SETS and row.get("detectors") == version:
            rows.setdefault(row["data"], []).append(row)
    how = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(jobs, how) as pool:
        running = {pool.submit(judged, name, seeds, codes): name for name in sets}
        for done in concurrent.futures.as_completed(running):
            found = [row | {"detectors": version} for row in done.result()]
            order = [*SICK, WELL_ROW]
            rows[running[done]] = sorted(
                rows.get(running[done], []) + found, key=lambda r: order.index(r["illness"])
            )
            print(running[done], "done", flush=True)
            every = [r for name in (*SETS, *BUILD_SETS) for r in rows.pop(name, [])]
            for r in every:
                rows.setdefault(r["data"], []).append(r)
            results.data["tables"] = {"runs": every, **summary(every)}
            if not results.quick:
                results.write()
                if docs is not None:
                    write_docs(docs, as_markdown(every))
    for name in ("illnesses", "good runs"):
        results.print(name)
