"""Minimising functions: steepest against SciPy, optimistix and NumPy, in turns in one process.

    python -m benchmarks.minimize [--quick] [--only solve,steps,starts,process] [--repeats N]

solve:    wall time, evaluations and steps until the gradient norm is at most 1e-8, from the
          customary start: cold (first call, compilation and all; later methods of one package
          share some small programs with the first) and warm (median of the repeats).
          L-BFGS, BFGS and CG of steepest; BFGS, L-BFGS-B and CG of SciPy, twice: with f and
          gradient written in NumPy (`rosen`, `rosen_der`, ...) and with the compiled JAX function;
          optimistix BFGS. Everything in float64.
steps:    plain gradient descent, steps a second, against the loop that one writes in NumPy.
starts:   10,000 starts as one program against a loop over SciPy's L-BFGS-B (over a sample of the
          starts, scaled up; both numbers are in the file).
process:  `steepest minimize` as a whole process, with a filled compile cache.

SciPy's tolerances on values are switched off, so that every rival goes for the same gradient norm
(in SciPy the largest entry, divided by sqrt(n) to be no easier). Writes results/minimize.json.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.optimize

import steepest
from benchmarks.measure import Results, Timing, alternate, run_process
from benchmarks.problems import PROBLEMS

TOLERANCE = 1e-8
MAX_STEPS = 20_000
SLOW_SECONDS = 0.5


@dataclass(frozen=True)
class Case:
    """A function in JAX, the same with its gradient in NumPy (if written), and a start."""

    name: str
    fun: Callable[[Any], Any]
    start: np.ndarray
    numpy: tuple[Callable, Callable] | None = None


def rosenbrock(x):
    return jnp.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)


def quadratic(n: int, condition: float = 1e4) -> Case:
    """sum l_i x_i^2 / 2 with eigenvalues spread geometrically from 1 to `condition`."""
    scale = np.geomspace(1, condition, n)
    return Case(
        f"quadratic {condition:g}, n={n}",
        lambda x: 0.5 * jnp.sum(scale * x**2),
        np.ones(n),
        (lambda x: 0.5 * np.sum(scale * x**2), lambda x: scale * x),
    )


def cases(quick: bool) -> list[Case]:
    out = []
    for n in (4,) if quick else (100, 2, 1000):
        start = np.resize([-1.2, 1.0], n)
        rosen = (scipy.optimize.rosen, scipy.optimize.rosen_der)
        out.append(Case(f"rosenbrock, n={n}", rosenbrock, start, rosen))
        out.append(quadratic(n))
    names = ("beale",) if quick else ("wood", "powell_singular", "osborne_2")
    out += [
        Case(f"{p.name}, n={p.start.size}", p.fun, p.start) for p in (PROBLEMS[n] for n in names)
    ]
    return out


def ours(case: Case, method: str) -> dict[str, Any]:
    r = steepest.minimize(
        case.fun, case.start, optimizer=method, max_steps=MAX_STEPS, tol=TOLERANCE, probes=()
    )
    return {"steps": r.nit, "evaluations": r.njev, "fun": r.fun, "gradient_norm": r.gradient_norm}


def scipys(case: Case, method: str, pair: tuple[Callable, Callable]) -> dict[str, Any]:
    options: dict[str, Any] = {"maxiter": MAX_STEPS, "gtol": TOLERANCE / case.start.size**0.5}
    if method == "L-BFGS-B":
        options |= {"maxfun": 2 * MAX_STEPS, "ftol": 0.0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        r = scipy.optimize.minimize(
            pair[0], case.start, jac=pair[1], method=method, options=options
        )
    return {
        "steps": int(r.nit), "evaluations": int(r.njev), "fun": float(r.fun),
        "gradient_norm": float(np.linalg.norm(r.jac)),
    }  # fmt: skip


def compiled_pair(case: Case) -> tuple[Callable, Callable]:
    """The JAX function as SciPy takes it: compiled when first called."""
    both = jax.jit(jax.value_and_grad(case.fun))
    last: list[Any] = [None, None]

    def at(x):
        if last[0] is None or not np.array_equal(last[0], x):
            last[:] = [x.copy(), both(x)]
        return last[1]

    return (lambda x: float(at(x)[0]), lambda x: np.asarray(at(x)[1]))


def optimistix_solver(case: Case) -> Callable[[], dict[str, Any]]:
    import optimistix

    solver = optimistix.BFGS(rtol=0.0, atol=TOLERANCE)

    def fun(x, _):
        return case.fun(x)

    @jax.jit
    def solve(x):
        found = optimistix.minimise(fun, solver, x, max_steps=MAX_STEPS, throw=False)
        return found.value, found.stats["num_steps"], *jax.value_and_grad(case.fun)(found.value)

    def call():
        _, steps, value, gradient = jax.block_until_ready(solve(jnp.asarray(case.start)))
        return {
            "steps": int(steps), "evaluations": None, "fun": float(value),
            "gradient_norm": float(jnp.linalg.norm(gradient)),
        }  # fmt: skip

    return call


def rivals_of(case: Case) -> dict[str, Callable[[], dict[str, Any]]]:
    """Who takes part in a case, by name."""
    rivals: dict[str, Callable[[], dict[str, Any]]] = {}
    for method in ("lbfgs", "bfgs", "cg"):
        rivals[f"steepest {method}"] = partial(ours, case, method)
    jitted = compiled_pair(case)
    for method in ("L-BFGS-B", "BFGS", "CG"):
        if case.numpy is not None:
            rivals[f"scipy {method}, numpy"] = partial(scipys, case, method, case.numpy)
        rivals[f"scipy {method}, jax"] = partial(scipys, case, method, jitted)
    rivals["optimistix bfgs"] = optimistix_solver(case)
    return rivals


def solve(results: Results, repeats: int, quick: bool) -> None:
    """Each method on each function, to the same gradient norm; who takes seconds is timed once."""
    for case in cases(quick):
        rivals = rivals_of(case)
        jax.clear_caches()
        cold, once = {}, {}
        for name, rival in rivals.items():
            cold[name], result = timed(rival)
            compiles = "numpy" not in name
            seconds, result = timed(rival) if compiles else (cold[name], result)
            once[name] = Timing([seconds], result)
        slow = {name for name in rivals if once[name].median > SLOW_SECONDS}
        timings = alternate({n: r for n, r in rivals.items() if n not in slow}, repeats, warm=0)
        timings |= {name: once[name] for name in slow}
        print(f"\n{case.name}", flush=True)
        for name in rivals:
            timing, found = timings[name], timings[name].result
            count = found["evaluations"] or found["steps"]
            row = {
                "function": case.name, "method": name,
                "converged": found["gradient_norm"] <= 1.01 * TOLERANCE,
                "warm_ms": 1e3 * timing.median, "cold_ms": 1e3 * cold[name],
                "steps": found["steps"], "evaluations": found["evaluations"],
                "us_an_evaluation": 1e6 * timing.median / max(count, 1),
                "gradient_norm": found["gradient_norm"], "fun": found["fun"],
                "spread": timing.spread, "seconds": timing.seconds,
            }  # fmt: skip
            results.add("solve", row)
            print(f"  {name:26} warm {row['warm_ms']:9.2f} ms  cold {row['cold_ms']:8.0f} ms  "
                  f"{row['steps']:6} steps  {row['evaluations'] or '-':>6} evaluations  "
                  f"|g| {row['gradient_norm']:.1e}", flush=True)  # fmt: skip
        results.write()
    results.print("solve", (
        "function", "method", "converged", "warm_ms", "cold_ms", "steps", "evaluations",
        "gradient_norm",
    ))  # fmt: skip


def timed(f: Callable[[], Any]) -> tuple[float, Any]:
    """`(seconds, result)` of one call."""
    began = time.perf_counter()
    result = f()
    return time.perf_counter() - began, result


def steps(results: Results, repeats: int, quick: bool) -> None:
    """Gradient descent with a fixed rate: steps a second."""
    count = 2_000 if quick else 50_000
    for n in (2,) if quick else (2, 100, 1000):
        start = np.resize([-1.2, 1.0], n)
        rate = 1e-4

        def by_steepest(start=start, rate=rate):
            return steepest.minimize(
                rosenbrock, start, learning_rate=rate, max_steps=count, tol=0, probes=()
            ).last_x

        def by_numpy(start=start, rate=rate):
            x = start.copy()
            for _ in range(count):
                x = x - rate * scipy.optimize.rosen_der(x)
            return x

        timings = alternate({"steepest": by_steepest, "numpy": by_numpy}, min(repeats, 3))
        a, b = timings["steepest"].result, timings["numpy"].result
        results.add("steps", {
            "function": f"rosenbrock, n={n}", "steps": count,
            "steepest_per_s": count / timings["steepest"].median,
            "numpy_per_s": count / timings["numpy"].median,
            "ratio": timings["numpy"].median / timings["steepest"].median,
            "largest_difference": float(np.max(np.abs(a - b))),
        })  # fmt: skip
    results.print("steps")


def starts(results: Results, repeats: int, quick: bool) -> None:
    """Many starts as one program against a loop over SciPy."""
    count, sample = (200, 20) if quick else (10_000, 300)
    for name in ("himmelblau", "styblinski-tang"):
        f = steepest.function(name)
        low, high = np.array(f.bounds).T
        points = np.random.default_rng(0).uniform(low, high, (count, len(low)))
        gradients = _gradients()[name]

        def by_steepest(f=f, points=points):
            return steepest.minimize(f, points, starts=count, tol=TOLERANCE, probes=()).fun

        def by_scipy(name=name, pair=gradients, points=points):
            return np.array([
                scipys(Case(name, pair[0], x), "L-BFGS-B", pair)["fun"] for x in points[:sample]
            ])  # fmt: skip

        timings = alternate({"steepest": by_steepest, "scipy": by_scipy}, min(repeats, 5))
        ours_s, theirs_s = timings["steepest"].median, timings["scipy"].median * count / sample
        a, b = timings["steepest"].result[:sample], timings["scipy"].result
        results.add("starts", {
            "function": name, "starts": count, "steepest_s": ours_s,
            "scipy_s": theirs_s, "scipy_starts_timed": sample, "ratio": theirs_s / ours_s,
            "same_minimum_value": float(np.mean(np.abs(a - b) <= 1e-6 * np.maximum(1, np.abs(b)))),
            "steepest_lowest": float(np.nanmin(a)), "scipy_lowest": float(b.min()),
        })  # fmt: skip
    results.print("starts")


def _gradients() -> dict[str, tuple[Callable, Callable]]:
    def himmelblau(x):
        return (x[0] ** 2 + x[1] - 11) ** 2 + (x[0] + x[1] ** 2 - 7) ** 2

    def himmelblau_gradient(x):
        a, b = x[0] ** 2 + x[1] - 11, x[0] + x[1] ** 2 - 7
        return np.array([4 * x[0] * a + 2 * b, 2 * a + 4 * x[1] * b])

    def styblinski(x):
        return 0.5 * np.sum(x**4 - 16 * x**2 + 5 * x)

    def styblinski_gradient(x):
        return 2 * x**3 - 16 * x + 2.5

    return {
        "himmelblau": (himmelblau, himmelblau_gradient),
        "styblinski-tang": (styblinski, styblinski_gradient),
    }


def process(results: Results, repeats: int, quick: bool) -> None:
    """The command line, from the start of the process to its end."""
    command = [
        sys.executable, "-m", "steepest", "minimize", "x^2 + x*y + y^2", "--start", "3,-2",
        "--optimizer", "gd", "--learning-rate", "0.1",
    ]  # fmt: skip
    with tempfile.TemporaryDirectory() as cache:
        env = os.environ | {"STEEPEST_CACHE": cache}
        first = run_process(command, env).seconds
        timing = alternate({
            "warm": lambda: run_process(command, env),
            "jax": lambda: run_process([sys.executable, "-c", "import jax, numpy, typer, rich"]),
        }, min(repeats, 5), warm=0)  # fmt: skip
    results.add("process", {
        "command": " ".join(command[2:]), "empty_cache_s": first,
        "filled_cache_s": timing["warm"].median, "imports_of_others_s": timing["jax"].median,
    })  # fmt: skip
    results.print("process")


PARTS = {"solve": solve, "steps": steps, "starts": starts, "process": process}


def main(argv: list[str] | None = None) -> None:
    """Run the parts asked for, print the tables, write the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, to see that it works")
    parser.add_argument("--only", default=",".join(PARTS), help="parts, separated by commas")
    parser.add_argument("--repeats", type=int, default=0)
    options = parser.parse_args(argv)
    os.environ["STEEPEST_CACHE"] = "off"  # cold means cold
    results = Results("minimize", quick=options.quick, tolerance=TOLERANCE)
    repeats = options.repeats or (2 if options.quick else 7)
    with jax.enable_x64(True):
        for name in options.only.split(","):
            PARTS[name.strip()](results, repeats, options.quick)
            results.write()
    print(f"\nwritten to {results.write()}")


if __name__ == "__main__":
    main()
