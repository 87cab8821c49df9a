"""How many standard problems L-BFGS solves, here and in SciPy, at equal numbers of gradients.

    python -m benchmarks.reliability [--method lbfgs] [--problems NAME,...] [--json FILE]

A problem counts as solved when the value is within `accuracy` of a known minimum,
f - f* <= accuracy x max(|f*|, min(1, f(x0) - f*)), and, in the last column, when the gradient norm
is at most 1e-8 max(1, |f|). Every call of value-and-gradient counts, for both, in float64.
"""

from __future__ import annotations

import argparse
import json
import warnings

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize

from benchmarks.problems import PROBLEMS, Problem
from steepest.core.types import Evaluation
from steepest.optimizers.searching import SEARCH_OPTIMIZERS

BUDGETS = (50, 100, 200, 500, 1000, 2000)
ACCURACIES = (1e-6, 1e-10)
SCIPY = {"lbfgs": "L-BFGS-B", "bfgs": "BFGS", "cg": "CG"}


def history_ours(problem: Problem, method, budget: int) -> np.ndarray:
    """Rows (evaluations so far, value, gradient norm), one a step."""

    def evaluate(x):
        return Evaluation(*jax.value_and_grad(problem.fun)(x))

    @jax.jit
    def run(x):
        state = method.start(evaluate, x)

        def step(carry, _):
            x, state, count = carry
            s = method.step(evaluate, x, state)
            count = count + s.evaluations
            new = s.state.held.point
            row = jnp.stack([count.astype(x.dtype), new.value, jnp.linalg.norm(new.gradient)])
            return (s.params, s.state, count), row

        p = state.held.point
        row = jnp.stack([jnp.ones(()), p.value, jnp.linalg.norm(p.gradient)])
        _, rows = jax.lax.scan(step, (x, state, jnp.zeros((), jnp.int32)), None, budget)
        return jnp.concatenate([row[None], rows])

    return np.asarray(run(jnp.asarray(problem.start)))


def history_scipy(problem: Problem, name: str, budget: int) -> np.ndarray:
    """Rows (evaluations so far, value, gradient norm), one an evaluation."""
    compiled = jax.jit(jax.value_and_grad(problem.fun))
    rows: list[tuple] = []

    def fun(x):
        value, gradient = (np.asarray(a, float) for a in compiled(x))
        rows.append((len(rows) + 1, float(value), float(np.linalg.norm(gradient))))
        if len(rows) >= budget:
            raise StopIteration
        return float(value), gradient

    options = {"maxiter": budget, "gtol": 0.0}
    if name == "L-BFGS-B":
        options |= {"maxfun": budget, "ftol": 0.0}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scipy.optimize.minimize(fun, problem.start, jac=True, method=name, options=options)
    except StopIteration:
        pass
    return np.asarray(rows)


def reached(rows: np.ndarray, problem: Problem, accuracy: float | None) -> float:
    """Evaluations until solved, or infinity."""
    count, value, norm = rows.T
    if accuracy is None:
        good = norm <= 1e-8 * np.maximum(1, np.abs(value))
    else:
        good = np.zeros(len(rows), bool)
        for least in problem.least:
            size = max(abs(least), min(1.0, value[0] - least))
            # Other minima than the lowest must be ended at, not passed on the way down.
            near = value - least <= accuracy * size
            good |= (
                near if least == problem.least[0] else near & (value - least >= -accuracy * size)
            )
    return float(count[good][0]) if good.any() else np.inf


def main(argv=None) -> dict:
    """Print the table; return the numbers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--method", default="lbfgs")
    parser.add_argument("--problems", default="")
    parser.add_argument("--settings", default="{}", help="of the method, as JSON")
    parser.add_argument("--budget", type=int, default=max(BUDGETS))
    parser.add_argument("--json", default="")
    parser.add_argument("--quick", action="store_true", help="three problems, the least budget")
    options = parser.parse_args(argv)
    if options.quick:
        options.problems = options.problems or ",".join(list(PROBLEMS)[:3])
        options.budget = min(BUDGETS)
    method, rival = (
        SEARCH_OPTIMIZERS[options.method](**json.loads(options.settings)),
        SCIPY.get(options.method, "L-BFGS-B"),
    )
    chosen = [
        p for n, p in PROBLEMS.items() if not options.problems or n in options.problems.split(",")
    ]
    results: dict = {}
    print(f"{'problem':28}{'n':>5}  evaluations to 1e-6, 1e-10, gradient:  ours / SciPy {rival}")
    for p in chosen:
        with jax.enable_x64(True):
            ours = history_ours(p, method, options.budget)
            theirs = history_scipy(p, rival, options.budget)
        row = [(reached(ours, p, a), reached(theirs, p, a)) for a in (*ACCURACIES, None)]
        results[p.name] = row
        cells = "  ".join(f"{a:>6.0f}/{b:<6.0f}" for a, b in row)
        print(
            f"{p.name:28}{p.start.size:5}  {cells}  {np.nanmin(ours[:, 1]):.10g} {np.nanmin(theirs[:, 1]):.10g}",
            flush=True,
        )
    table = np.asarray(list(results.values()))
    for k, label in enumerate(("1e-6", "1e-10", "gradient")):
        print(f"\nsolved to {label}, of {len(chosen)}:   ours   SciPy")
        for budget in BUDGETS:
            a, b = (table[:, k] <= budget).sum(0)
            print(f"  within {budget:5} evaluations {a:6} {b:6}")
        both = np.isfinite(table[:, k]).all(1)
        a, b = np.median(table[both, k], axis=0)
        print(f"  median evaluations where both solve: {a:.0f} / {b:.0f}")
    if options.json:
        with open(options.json, "w") as f:
            json.dump(results, f, indent=1)
    return results


if __name__ == "__main__":
    main()
