"""How many standard problems a method solves, here and in SciPy, at equal numbers of gradients.

    python -m benchmarks.reliability [--methods lbfgs,bfgs,cg] [--variants standard,x10,...]
                                     [--problems NAME,...] [--settings JSON] [--quick]

Problems: `problems.py` and `more_problems.py`, each in variants: from its standard start; from 10
and 100 times that (or, where it is zero, from all 10 and 100); and after a random linear change of
variables, x = A z, with A = orthogonal x diagonal of condition 100 x orthogonal, for which no
direction is special any more.

A problem counts as solved when the value is within `accuracy` of a minimum f*, known or the lowest
that anyone found, f - f* <= accuracy x max(|f*|, min(1, f(x0) - f*)), and in the last column when
the gradient norm is at most 1e-8 max(1, |f|). Every call of value-and-gradient counts, for both, in
float64. Rivals: L-BFGS-B, BFGS and CG of SciPy. Writes results/reliability.json.
"""

from __future__ import annotations

import argparse
import json
import warnings
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize

import benchmarks.more_problems  # noqa: F401  (registers its problems)
from benchmarks.measure import Results
from benchmarks.problems import PROBLEMS, Problem
from steepest.core.types import Evaluation
from steepest.optimizers.searching import SEARCH_OPTIMIZERS

BUDGETS = (50, 100, 200, 500, 1000, 2000)
ACCURACIES = (1e-6, 1e-10)
CRITERIA = ("1e-6", "1e-10", "gradient")
SCIPY = {"lbfgs": "L-BFGS-B", "bfgs": "BFGS", "cg": "CG"}
VARIANTS = ("standard", "x10", "x100", "linear")


class Variant(NamedTuple):
    """f(A z) from z, the `kind`-th function of its group; `least` are the known minima."""

    problem: str
    name: str
    kind: int
    matrix: np.ndarray
    start: np.ndarray
    least: tuple[float, ...]


def variants(problem: Problem, kind: int, names: list[str]) -> list[Variant]:
    """The problem from its start, from farther starts, and in other variables."""
    n, out = problem.start.size, []
    for name in names:
        start, matrix = problem.start, np.eye(n)
        if name.startswith("x"):
            factor = float(name[1:])
            start = factor * start if start.any() else np.full(n, factor)
        elif name == "linear":
            rng = np.random.default_rng(n)
            q, r = (np.linalg.qr(rng.normal(size=(n, n)))[0] for _ in range(2))
            scale = np.logspace(-1, 1, n)
            matrix = (q * scale) @ r
            start = r.T @ ((q.T @ problem.start) / scale)
        out.append(Variant(problem.name, name, kind, matrix, start, problem.least))
    return out


def joined(group: list[Problem]) -> Callable:
    """f(z, kind, A): the functions of as many variables as one, so that one program serves all."""

    def fun(z, kind, matrix):
        x = matrix @ z
        return jax.lax.switch(kind, [lambda x, p=p: p.fun(x) for p in group], x)

    return fun


def runner(fun: Callable, method, budget: int) -> Callable[[Variant], np.ndarray]:
    """A compiled run: rows (evaluations so far, value, gradient norm), one a step."""

    @jax.jit
    def run(z, kind, matrix):
        def evaluate(z):
            return Evaluation(*jax.value_and_grad(fun)(z, kind, matrix))

        def row(count, p):
            return jnp.stack([count.astype(z.dtype), p.value, jnp.linalg.norm(p.gradient)])

        def step(loop):
            z, state, count, k, rows = loop
            s = method.step(evaluate, z, state)
            count = count + s.evaluations
            rows = rows.at[k].set(row(count, s.state.held.point))
            return s.params, s.state, count, k + 1, rows

        def going(loop):
            _, state, count, k, _ = loop
            return (count < budget) & (k <= budget) & ~state.held.failed

        state = method.start(evaluate, z)
        rows = jnp.full((budget + 1, 3), jnp.nan).at[0].set(row(jnp.int32(1), state.held.point))
        return jax.lax.while_loop(
            going, step, (z, state, jnp.zeros((), jnp.int32), jnp.int32(1), rows)
        )[-1]

    def call(v: Variant) -> np.ndarray:
        rows = np.asarray(run(v.start, np.int32(v.kind), v.matrix))
        return rows[~np.isnan(rows[:, 0])]

    return call


def scipy_runner(fun: Callable, name: str, budget: int) -> Callable[[Variant], np.ndarray]:
    """SciPy's run: rows (evaluations so far, value, gradient norm), one an evaluation."""
    compiled = jax.jit(jax.value_and_grad(fun))
    options = {"maxiter": budget, "gtol": 0.0}
    if name == "L-BFGS-B":
        options |= {"maxfun": budget, "ftol": 0.0}

    def call(v: Variant) -> np.ndarray:
        rows: list[tuple] = []
        kind, matrix = jax.device_put((np.int32(v.kind), v.matrix))

        def at(z):
            value, gradient = (np.asarray(a, float) for a in compiled(z, kind, matrix))
            rows.append((len(rows) + 1, float(value), float(np.linalg.norm(gradient))))
            if len(rows) >= budget:
                raise StopIteration
            return float(value), gradient

        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                scipy.optimize.minimize(at, v.start, jac=True, method=name, options=options)
        except (StopIteration, ValueError):  # SciPy raises on some values that are not finite
            pass
        return np.asarray(rows)

    return call


def reached(rows: np.ndarray, minima: list[float], accuracy: float | None) -> float:
    """Evaluations until solved, or infinity."""
    count, value, norm = rows.T
    if accuracy is None:
        good = norm <= 1e-8 * np.maximum(1, np.abs(value))
    else:
        value = np.fmin.accumulate(value)
        good = np.zeros(len(rows), bool)
        for least in minima:
            size = max(abs(least), min(1.0, rows[0, 1] - least))
            near = np.abs(value - least) <= accuracy * size
            # A minimum must be ended at, not passed on the way down.
            good |= near & near[-1]
    return float(count[good][0]) if good.any() else np.inf


def compare(group: list[Problem], method, rival: str, names: list[str], budget: int) -> list[dict]:
    """A row for each variant of each problem: evaluations of both until solved."""
    fun = joined(group)
    ours, theirs = runner(fun, method, budget), scipy_runner(fun, rival, budget)
    out = []
    for v in (v for k, problem in enumerate(group) for v in variants(problem, k, names)):
        runs = {"steepest": ours(v), "scipy": theirs(v)}
        if not np.isfinite(runs["steepest"][0]).all():
            continue  # the start itself overflows
        lowest = {k: float(np.nanmin(r[:, 1])) for k, r in runs.items()}
        minima = [*v.least, min(lowest.values())]
        row = {"problem": v.problem, "variant": v.name, "variables": len(v.start)}
        for name, rows in runs.items():
            row[name] = [reached(rows, minima, a) for a in (*ACCURACIES, None)]
            row[f"{name}_lowest"] = lowest[name]
        out.append(row)
    return out


def summary(rows: list[dict]) -> list[dict]:
    """How many are solved within each budget."""
    ours, theirs = (np.array([r[k] for r in rows]) for k in ("steepest", "scipy"))
    out = []
    for k, criterion in enumerate(CRITERIA):
        both = np.isfinite(ours[:, k]) & np.isfinite(theirs[:, k])
        medians = np.median(np.log(ours[both, k] / theirs[both, k])) if both.any() else np.nan
        for budget in BUDGETS:
            out.append({
                "criterion": criterion, "evaluations": budget, "of": len(rows),
                "steepest": int((ours[:, k] <= budget).sum()),
                "scipy": int((theirs[:, k] <= budget).sum()),
                "median_ratio": round(float(np.exp(medians)), 3),
            })  # fmt: skip
    return out


def main(argv=None) -> Results:
    """Print the tables; write and return the numbers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--methods", default=",".join(SCIPY))
    parser.add_argument("--variants", default=",".join(VARIANTS))
    parser.add_argument("--problems", default="")
    parser.add_argument("--settings", default="{}", help="of the methods, as JSON")
    parser.add_argument("--budget", type=int, default=max(BUDGETS))
    parser.add_argument("--quick", action="store_true", help="three problems, the least budget")
    options = parser.parse_args(argv)
    chosen = [p for p in PROBLEMS.values() if p.name in (options.problems or p.name).split(",")]
    if options.quick:
        chosen, options.budget = chosen[:3], min(BUDGETS)
    partial = options.quick or options.problems or options.settings != "{}"
    results = Results("reliability", quick=bool(partial), accuracies=ACCURACIES)
    for name in options.methods.split(","):
        method = SEARCH_OPTIMIZERS[name](**json.loads(options.settings))
        print(f"\n{name}: evaluations to {', '.join(CRITERIA)}: ours / SciPy {SCIPY[name]}")
        rows: list[dict] = []
        for n in sorted({p.start.size for p in chosen}):
            group = [p for p in chosen if p.start.size == n]
            with jax.enable_x64(True):
                found = compare(
                    group, method, SCIPY[name], options.variants.split(","), options.budget
                )
            for r in found:
                cells = "  ".join(
                    f"{a:>6.0f}/{b:<6.0f}" for a, b in zip(r["steepest"], r["scipy"], strict=True)
                )
                print(f"{r['problem']:26}{r['variant']:9}{r['variables']:4}  {cells}  "
                      f"{r['steepest_lowest']:.8g} {r['scipy_lowest']:.8g}",
                      flush=True)  # fmt: skip
            rows += found
        for r in rows:
            plain = {
                k: [int(c) if np.isfinite(c) else None for c in r[k]] for k in ("steepest", "scipy")
            }
            results.add(name, r | plain)
        for variant in ("all", *options.variants.split(",")):
            some = [r for r in rows if variant in ("all", r["variant"])]
            for line in summary(some) if some else []:
                results.add("solved", {"method": name, "variant": variant, **line})
    results.print("solved")
    print(f"\nwritten to {results.write()}")
    return results


if __name__ == "__main__":
    main()
