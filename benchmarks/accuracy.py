"""Held-out accuracy of `steepest train DATA`, nothing tuned, against scikit-learn's default MLP.

    python -m benchmarks.accuracy

Five folds (shuffled, seed 0), five model seeds each, on the five bundled sets. Ours: the recipe
that `steepest train` uses when nothing but DATA is given, of whose training rows it holds a tenth
out for validation itself. Theirs: `MLPClassifier()`, `MLPRegressor()` on standardised inputs (and,
for regression, standardised targets) with all training rows. The standard error is that of the
mean over folds of the paired difference.
"""

from __future__ import annotations

import argparse
import dataclasses
import warnings

import numpy as np

from benchmarks.measure import Results

SETS = ("iris", "wine", "breast_cancer", "diabetes", "digits")


def ours(table, folds, seeds):
    from steepest.core.record import replace
    from steepest.engine.runs import measure, run
    from steepest.engine.settings import Settings, with_recipe
    from steepest.engine.train import Prepared

    settings = replace(Settings(), **with_recipe({}))
    scores = []
    for train, test in folds:
        ready = Prepared(dataclasses.replace(table.take(train), test=table.take(test)), settings)
        runs = run(
            [ready.spec(settings)], ready.train, ready.validation, seeds=range(seeds),
            batch_size=settings.batch_size, epochs=settings.epochs, every=10**6,
        )  # fmt: skip
        found = measure(runs, ready.test)
        scores.append(found.get("accuracy", found.get("r2"))[:, 0].mean())
    return np.array(scores)


def theirs(table, folds, seeds):
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y = np.asarray(table.x), np.asarray(table.y)
    scores = []
    for train, test in folds:
        found = []
        for seed in range(seeds):
            if table.task == "classification":
                net = make_pipeline(StandardScaler(), MLPClassifier(random_state=seed))
            else:
                net = TransformedTargetRegressor(
                    make_pipeline(StandardScaler(), MLPRegressor(random_state=seed)),
                    transformer=StandardScaler(),
                )
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                found.append(net.fit(x[train], y[train]).score(x[test], y[test]))
        scores.append(np.mean(found))
    return np.array(scores)


def main() -> None:
    from sklearn.model_selection import KFold

    from steepest.data import load

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one seed, the smallest set")
    quick = parser.parse_args().quick
    seeds = 1 if quick else 5
    results = Results("accuracy", quick=quick, command="python -m benchmarks.accuracy")
    for name in SETS[:1] if quick else SETS:
        table = load(name)
        folds = list(KFold(5, shuffle=True, random_state=0).split(np.zeros(len(table))))
        a, b = ours(table, folds, seeds), theirs(table, folds, seeds)
        difference = a - b
        results.add("accuracy", {
            "data": name, "metric": "accuracy" if table.task == "classification" else "r2",
            "steepest": round(float(a.mean()), 4), "sklearn_mlp": round(float(b.mean()), 4),
            "difference": round(float(difference.mean()), 4),
            "standard_error": round(float(difference.std(ddof=1) / len(folds) ** 0.5), 4),
        })  # fmt: skip
    results.print("accuracy")
    results.write()


if __name__ == "__main__":
    main()
