"""Trees by gradient descent beside grown ones: held-out scores, and the time of an epoch.

    python -m benchmarks.trees [--quick] [--only NAME ...] [--sets SET ...]

scores     five folds (shuffled, seed 0), three seeds each, defaults, nothing tuned, inputs as they
           are: a tree beside scikit-learn's of the same depth
ensembles  the same, one seed: beside scikit-learn's random forest and gradient boosting
epoch      seconds of an epoch of a tree of depth 5: ours, and torch's eager mode with the same
           arithmetic as GradTree writes it (a product over the nodes of every path, three Adams).
           The GradTree package itself needs TensorFlow Addons, which no current Python installs.
"""

from __future__ import annotations

import time
import warnings
from functools import partial
from typing import Any

import numpy as np

from benchmarks.measure import Results, alternate, run_cases

warnings.simplefilter("ignore")
SETS = ("iris", "wine", "breast_cancer", "diabetes", "digits")
DEPTH = 5


def folds(name: str):
    """(X, y, real, [(train, test), ...])."""
    from sklearn import datasets
    from sklearn.model_selection import KFold

    X, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    split = list(KFold(5, shuffle=True, random_state=0).split(X))
    return X, y, name == "diabetes", split


def held_out(make: Any, X, y, split, seeds) -> tuple[float, float, float]:
    """Mean over folds and seeds, standard error over folds, seconds a fit (median)."""
    found, seconds = np.zeros((len(split), len(seeds))), []
    for f, (a, b) in enumerate(split):
        for s, seed in enumerate(seeds):
            begun = time.perf_counter()
            model = make(seed).fit(X[a], y[a])
            seconds.append(time.perf_counter() - begun)
            found[f, s] = model.score(X[b], y[b])
    by_fold = found.mean(axis=1)
    error = by_fold.std(ddof=1) / np.sqrt(len(by_fold)) if len(by_fold) > 1 else np.nan
    return float(found.mean()), float(error), float(np.median(seconds))


def scores(results: Results, quick: bool, sets=SETS) -> None:
    """A tree of depth 5, and an oblique one, beside scikit-learn's of that depth."""
    from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

    import steepest

    for name in sets[:1] if quick else sets:
        X, y, real, split = folds(name)
        grown = DecisionTreeRegressor if real else DecisionTreeClassifier
        ours = steepest.TreeRegressor if real else steepest.TreeClassifier
        seeds = range(1 if quick else 3)
        score, error, seconds = held_out(
            lambda s, ours=ours: ours(DEPTH, random_state=s), X, y, split, seeds
        )
        soft, *_ = held_out(
            lambda s, ours=ours: ours(DEPTH, splits="oblique", n_init=1, random_state=s),
            X, y, split, seeds[:1],
        )  # fmt: skip
        theirs, their_error, their_seconds = held_out(
            lambda s, grown=grown: grown(max_depth=DEPTH, random_state=s), X, y, split, seeds
        )
        results.add("scores", {
            "set": name, "steepest": score, "error": error, "oblique": soft, "sklearn": theirs,
            "sklearn_error": their_error, "steepest_s": seconds, "sklearn_s": their_seconds,
        })  # fmt: skip
        results.write()


def ensembles(results: Results, quick: bool, sets=SETS) -> None:
    """Trees that are trained together beside scikit-learn's two kinds."""
    from sklearn import ensemble

    import steepest

    for name in sets[:1] if quick else sets:
        X, y, real, split = folds(name)
        kind = "Regressor" if real else "Classifier"
        rivals = {
            "steepest": getattr(steepest, f"TreeEnsemble{kind}"),
            "random_forest": getattr(ensemble, f"RandomForest{kind}"),
            "gradient_boosting": getattr(ensemble, f"GradientBoosting{kind}"),
        }
        row: dict[str, Any] = {"set": name}
        for rival, cls in rivals.items():
            score, error, seconds = held_out(
                lambda s, cls=cls: cls(random_state=s), X, y, split, range(1)
            )
            row |= {rival: score, f"{rival}_error": error, f"{rival}_s": seconds}
        results.add("ensembles", row)
        results.write()


def torch_epoch(X, y, classes: int, batch: int):
    """A function that trains one epoch of a tree of depth 5 in torch, as GradTree is written."""
    import torch

    nodes, leaves, features = 2**DEPTH - 1, 2**DEPTH, X.shape[1]
    generator = torch.Generator().manual_seed(0)
    shapes = {
        "feature": (nodes, features),
        "threshold": (nodes, features),
        "leaf": (leaves, classes),
    }
    w = {
        name: (0.05 * torch.randn(shape, generator=generator)).requires_grad_()
        for name, shape in shapes.items()
    }
    rules = [torch.optim.Adam([a], lr=0.01) for a in w.values()]
    path = np.array([[(leaf >> (DEPTH - 1 - level)) & 1 for level in range(DEPTH)]
                     for leaf in range(leaves)])  # fmt: skip
    place = np.array([[2**level - 1 + (leaf >> (DEPTH - level)) for level in range(DEPTH)]
                      for leaf in range(leaves)])  # fmt: skip
    right, place = torch.tensor(path, dtype=torch.float32), torch.tensor(place)
    x_all, y_all = torch.tensor(X, dtype=torch.float32), torch.tensor(y)

    def forward(x):
        soft = torch.softmax(w["feature"], dim=-1)
        hard = torch.nn.functional.one_hot(soft.argmax(-1), features)
        one = soft - (soft - hard).detach()
        gap = torch.einsum("in,in->i", w["threshold"], one) - torch.einsum("bn,in->bi", x, one)
        side = (torch.nn.functional.softsign(gap) + 1) / 2
        side = (side - (side - side.round()).detach())[:, place]
        share = ((1 - right) * side + right * (1 - side)).prod(dim=-1)
        return share @ w["leaf"]

    def epoch():
        for rows in torch.randperm(len(X), generator=generator).split(batch):
            loss = torch.nn.functional.cross_entropy(forward(x_all[rows]), y_all[rows])
            for rule in rules:
                rule.zero_grad()
            loss.backward()
            for rule in rules:
                rule.step()

    return epoch


def epoch(results: Results, quick: bool) -> None:
    """The time of an epoch; ours as the difference of two fits of unlike length, both warm."""
    from sklearn.datasets import load_digits

    import steepest

    X, y = load_digits(return_X_y=True)
    short, long = (2, 4) if quick else (10, 60)

    def fit(batch: int, epochs: int) -> None:
        steepest.TreeClassifier(
            DEPTH, n_init=1, batch_size=batch, max_iter=epochs, random_state=0
        ).fit(X, y)

    for batch in (64,) if quick else (64, 256):
        rivals = {
            "short": partial(fit, batch, short),
            "long": partial(fit, batch, long),
            "torch": torch_epoch(X, y, 10, batch),
        }
        found = alternate(rivals, 1 if quick else 5)
        mine = (found["long"].median - found["short"].median) / (long - short)
        results.add("epoch", {
            "case": f"digits, depth {DEPTH}, batch {batch}", "steepest_s": mine,
            "torch_s": found["torch"].median, "times": found["torch"].median / mine,
        })  # fmt: skip


def main() -> None:
    """Run the parts that were asked for, and write what they found."""
    cases = {"scores": scores, "ensembles": ensembles, "epoch": epoch}
    run_cases("trees", __doc__.splitlines()[0], cases, SETS)


if __name__ == "__main__":
    main()
