"""The estimators beside scikit-learn's: seconds to the same result, memory, and held-out scores.

    python -m benchmarks.estimators [--quick] [--only NAME ...] [--sets SET ...]

linear    one fit of each in turns, warm (programs compiled); the objective reached is compared
networks  the same for SGD and MLP by epochs
search    a grid of 24 MLPs in five folds; the first call compiles, the second does not
cold      a process of its own each, from its start, with a filled compile cache
memory    the peak of a process above what it takes to import and to make X, in sizes of X
scores    five folds (shuffled, seed 0), five seeds each, defaults, nothing tuned; scikit-learn's
          inputs standardised, and for regression its targets
"""

from __future__ import annotations

import subprocess
import sys
import time
import warnings

import numpy as np

from benchmarks.measure import Results, alternate, run_cases, run_process

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


def compare(results, table, case, ours, theirs, repeats=3, **more) -> None:
    """Seconds of both in turns, and how many times as long scikit-learn takes."""
    found = alternate({"steepest": ours, "sklearn": theirs}, repeats)
    a, b = found["steepest"].median, found["sklearn"].median
    row = {"case": case, "steepest_s": a, "sklearn_s": b, "times": b / a, **more}
    results.add(table, row)


def linear(results: Results, quick: bool) -> None:
    """Logistic regression and linear SVM to the same objective, and an epoch of SGD."""
    from sklearn import linear_model, svm

    import steepest

    X, y = rows(5_000 if quick else 500_000)
    repeats = 1 if quick else 3

    def objective(model, loss, intercept):
        z = np.where(y == 1, 1, -1) * (X @ model.coef_[0] + model.intercept_[0])
        return loss(z).sum() + (model.coef_**2).sum() / 2 + intercept * model.intercept_[0] ** 2 / 2

    pairs = {
        "LogisticRegression": (
            lambda: steepest.LogisticRegression(tol=1e-4),
            lambda: linear_model.LogisticRegression(),
            lambda m: objective(m, lambda z: np.logaddexp(0, -z), 0),
        ),
        "LinearSVC": (
            lambda: steepest.LinearSVC(tol=1e-5),
            lambda: svm.LinearSVC(dual=False),
            lambda m: objective(m, lambda z: np.square(np.maximum(1 - z, 0)), 1),
        ),
    }
    for name, (ours, theirs, value) in pairs.items():
        a, b = value(ours().fit(X, y)), value(theirs().fit(X, y))
        compare(
            results, "linear", f"{name} {len(X)} x 54",
            lambda make=ours: make().fit(X, y), lambda make=theirs: make().fit(X, y),
            repeats, objective_ratio=a / b,
        )  # fmt: skip
    one = {"max_iter": 1, "tol": None, "random_state": 0}
    steepest.SGDClassifier("log_loss", **one).fit(X, y)
    compare(
        results, "linear", f"SGDClassifier, an epoch of {len(X)} x 54",
        lambda: steepest.SGDClassifier("log_loss", **one).fit(X, y),
        lambda: linear_model.SGDClassifier("log_loss", **one).fit(X, y), repeats,
    )  # fmt: skip


def digits_networks(epochs: int):
    """The same perceptron twice: ours and scikit-learn's."""
    from sklearn import neural_network

    import steepest

    ours = steepest.MLPClassifier(
        (100,), optimizer="adam", learning_rate=1e-3, batch_size=200, max_iter=epochs,
        random_state=0,
    )  # fmt: skip
    theirs = neural_network.MLPClassifier(
        (100,), max_iter=epochs, n_iter_no_change=10**6, random_state=0
    )
    return ours, theirs


def networks(results: Results, quick: bool) -> None:
    """One perceptron on digits, for the same epochs."""
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    ours, theirs = digits_networks(5 if quick else 100)
    ours.fit(X, y)
    compare(
        results, "networks", "MLP 100 on digits",
        lambda: ours.fit(X, y), lambda: theirs.fit(X / 16, y), 1 if quick else 3,
    )  # fmt: skip


def search(results: Results, quick: bool) -> None:
    """24 candidates in five folds."""
    from sklearn import model_selection
    from sklearn.datasets import load_digits

    import steepest

    X, y = load_digits(return_X_y=True)
    ours, theirs = digits_networks(2 if quick else 30)
    rates, penalties = np.logspace(-4, -1, 8), [1e-5, 1e-4, 1e-3]
    a = steepest.GridSearchCV(ours, {"learning_rate": rates, "l2": penalties}, cv=5)
    b = model_selection.GridSearchCV(
        theirs, {"learning_rate_init": rates, "alpha": penalties}, cv=5, n_jobs=2
    )
    began = time.perf_counter()
    a.fit(X, y)
    first = time.perf_counter() - began
    compare(
        results, "search", "GridSearchCV, 24 MLPs x 5 folds of digits",
        lambda: a.fit(X, y), lambda: b.fit(X / 16, y), 1, first_call_s=first,
        best_score=a.best_score_,
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


MEMORY = """
import resource, sys, warnings
import numpy as np
import steepest
warnings.simplefilter("ignore")
name, n = sys.argv[1], int(sys.argv[2])
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
models = {
    "Ridge": lambda: steepest.Ridge(max_iter=5),
    "LogisticRegression": lambda: steepest.LogisticRegression(max_iter=5),
    "Lasso": lambda: steepest.Lasso(0.01, max_iter=5),
    "SGDClassifier": lambda: steepest.SGDClassifier(max_iter=1, batch_size=1000),
    "MLPClassifier": lambda: steepest.MLPClassifier((8,), max_iter=1, batch_size=1000),
}
def data(n):
    X = np.random.default_rng(0).normal(size=(n, 54))
    return X, (X[:, 0] > 0).astype(int)
models[name]().fit(*data(100_000))
X, y = data(n)
before = peak()
models[name]().fit(X, y)
print((peak() - before) / X.nbytes)
"""


def memory(results: Results, quick: bool) -> None:
    """How much a fit takes beside X, in sizes of X as float64."""
    n = 400_000 if quick else 2_000_000
    for name in ("Ridge", "LogisticRegression", "Lasso", "SGDClassifier", "MLPClassifier"):
        out = subprocess.run(
            [sys.executable, "-c", MEMORY, name, str(n)], capture_output=True, text=True, check=True
        ).stdout
        results.add("memory", {"case": f"{name} {n} x 54", "sizes_of_X": float(out)})


def scores(results: Results, quick: bool, sets=SETS) -> None:
    """Held-out accuracy or R^2 of the defaults."""
    from sklearn import datasets
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.model_selection import KFold
    from sklearn.neural_network import MLPClassifier, MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    import steepest

    for name in sets[:1] if quick else sets:
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
        results.write()


def main() -> None:
    """Run the parts that were asked for, and write what they found."""
    cases = {
        "linear": linear, "networks": networks, "search": search, "cold": cold, "memory": memory,
        "scores": scores,
    }  # fmt: skip
    run_cases("estimators", __doc__.splitlines()[0], cases, SETS)


if __name__ == "__main__":
    main()
