"""The estimators beside scikit-learn's: seconds to the same result, and held-out scores.

    python -m benchmarks.estimators [--quick] [--only NAME ...]

speed     one fit of each in turns, warm (programs compiled); the objective reached is compared
cold      a process of its own each, from its start, with a filled compile cache
scores    five folds (shuffled, seed 0), five seeds each, defaults, nothing tuned; scikit-learn's
          inputs standardised, and for regression its targets
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings

import numpy as np

from benchmarks.measure import Results, alternate, run_process

warnings.simplefilter("ignore")
SETS = ("iris", "wine", "breast_cancer", "digits", "diabetes")
COLD = {
    "mlp": ("import warnings; warnings.simplefilter('ignore')\n"
            "from sklearn.datasets import load_digits\nX, y = load_digits(return_X_y=True)\n"),
}  # fmt: skip


def rows(n: int, p: int = 54):
    """Two classes with noise, p features: the shape of the covertype data."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n, p))
    y = (X @ rng.normal(size=p) + 3 * rng.normal(size=n) > 0).astype(int)
    return X, y


def speed(results: Results, quick: bool) -> None:
    """Logistic regression and linear SVM to the same objective, SGD and MLP by epochs, a search."""
    from sklearn import linear_model, model_selection, neural_network, svm
    from sklearn.datasets import load_digits

    import steepest

    def add(case, ours, theirs, repeats=3, **more):
        found = alternate({"steepest": ours, "sklearn": theirs}, 1 if quick else repeats)
        a, b = found["steepest"].median, found["sklearn"].median
        results.add(
            "speed", {"case": case, "steepest_s": a, "sklearn_s": b, "times": b / a, **more}
        )

    X, y = rows(5_000 if quick else 500_000)

    def logistic(model, c=1.0):
        z = X @ model.coef_[0] + model.intercept_[0]
        loss = np.logaddexp(0, np.where(y == 1, -z, z)).sum() * c
        return loss + (model.coef_**2).sum() / 2

    a = steepest.LogisticRegression(tol=1e-5).fit(X, y)
    b = linear_model.LogisticRegression().fit(X, y)
    add(
        f"LogisticRegression {len(X)} x 54",
        lambda: steepest.LogisticRegression(tol=1e-5).fit(X, y),
        lambda: linear_model.LogisticRegression().fit(X, y),
        objective_ratio=logistic(a) / logistic(b),
    )
    add(
        f"LinearSVC {len(X)} x 54",
        lambda: steepest.LinearSVC(tol=1e-5).fit(X, y),
        lambda: svm.LinearSVC(dual=False).fit(X, y),
    )
    one = {"max_iter": 1, "tol": None, "random_state": 0}
    add(
        f"SGDClassifier, an epoch of {len(X)} x 54",
        lambda: steepest.SGDClassifier("log_loss", **one).fit(X, y),
        lambda: linear_model.SGDClassifier("log_loss", **one).fit(X, y),
    )
    X, y = load_digits(return_X_y=True)
    epochs = 5 if quick else 100
    ours = steepest.MLPClassifier(
        (100,), optimizer="adam", learning_rate=1e-3, batch_size=200, max_iter=epochs,
        random_state=0,
    )  # fmt: skip
    theirs = neural_network.MLPClassifier(
        (100,), max_iter=epochs, n_iter_no_change=10**6, random_state=0
    )
    add("MLP 100 on digits", lambda: ours.fit(X, y), lambda: theirs.fit(X / 16, y))
    epochs = 2 if quick else 30
    rates, penalties = np.logspace(-4, -1, 8), [1e-5, 1e-4, 1e-3]
    a = steepest.GridSearchCV(
        ours.set_params(max_iter=epochs), {"learning_rate": rates, "l2": penalties}, cv=5
    )
    b = model_selection.GridSearchCV(
        theirs.set_params(max_iter=epochs),
        {"learning_rate_init": rates, "alpha": penalties}, cv=5, n_jobs=2,
    )  # fmt: skip
    began = time.perf_counter()
    a.fit(X, y)
    first = time.perf_counter() - began
    add(
        "GridSearchCV, 24 MLPs x 5 folds of digits",
        lambda: a.fit(X, y), lambda: b.fit(X / 16, y), 1, first_call_s=first,
    )  # fmt: skip


def cold(results: Results, quick: bool) -> None:
    """From process start to a fitted MLP on digits, the cache filled by a run before."""
    ours = COLD["mlp"] + (
        "from steepest import MLPClassifier\nMLPClassifier((100,), optimizer='adam', "
        "learning_rate=1e-3, batch_size=200, max_iter=100, random_state=0).fit(X, y)"
    )
    theirs = COLD["mlp"] + (
        "from sklearn.neural_network import MLPClassifier\nMLPClassifier((100,), max_iter=100, "
        "n_iter_no_change=10**6, random_state=0).fit(X / 16, y)"
    )
    found = alternate(
        {
            name: lambda code=code: run_process([sys.executable, "-c", code])
            for name, code in (("steepest", ours), ("sklearn", theirs))
        },
        1 if quick else 3,
    )
    a, b = found["steepest"].median, found["sklearn"].median
    row = {"case": "MLP 100 on digits, from process start", "steepest_s": a, "sklearn_s": b}
    results.add("cold", row | {"times": b / a})


def scores(results: Results, quick: bool) -> None:
    """Held-out accuracy or R^2 of the defaults."""
    from sklearn import datasets
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.model_selection import KFold
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    import steepest

    for name in SETS[:1] if quick else SETS:
        X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
        real = name == "diabetes"

        def rival(seed, real=real):
            net = (MLPRegressor if real else MLPClassifier)(random_state=seed)
            net = make_pipeline(StandardScaler(), net)
            return TransformedTargetRegressor(net, transformer=StandardScaler()) if real else net

        def ours(seed, k=1, real=real):
            cls = steepest.MLPRegressor if real else steepest.MLPClassifier
            return cls(random_state=100 * seed, ensemble=k)

        makers = {"steepest": ours, "ensemble": lambda s, o=ours: o(s, 5), "sklearn": rival}
        found = {k: [] for k in makers}
        for train, test in KFold(5, shuffle=True, random_state=0).split(X):
            for k, make in makers.items():
                seeds = range(1 if quick else 5)
                each = [make(s).fit(X[train], y[train]).score(X[test], y[test]) for s in seeds]
                found[k].append(np.mean(each))
        row = {"data": name} | {k: float(np.mean(v)) for k, v in found.items()}
        for k in ("steepest", "ensemble"):
            d = np.subtract(found[k], found["sklearn"])
            row[f"{k}_minus_sklearn"] = float(d.mean())
            row[f"{k}_se"] = float(d.std(ddof=1) / len(d) ** 0.5)
        results.add("scores", row)


def main() -> None:
    cases = {"speed": speed, "cold": cold, "scores": scores}
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small, proves nothing")
    parser.add_argument("--only", nargs="*", choices=list(cases), help="some of the tables")
    given = parser.parse_args()
    results = Results("estimators", quick=given.quick, command="python -m benchmarks.estimators")
    for name in given.only or cases:
        cases[name](results, given.quick)
        results.print(name)
    results.write()


if __name__ == "__main__":
    main()
