"""Searches over parameters, all candidates and folds in one program; results as scikit-learn's."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

import jax
import numpy as np
from sklearn import model_selection as sk
from sklearn.base import clone, is_classifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import check_cv
from sklearn.utils import _safe_indexing, indexable

from steepest.core.errors import DivergedError, UsageError
from steepest.estimators.base import READY, Estimator, Job, run_jobs
from steepest.estimators.inputs import check_weight


class Fixed:
    """Splits that have been drawn: whoever asks gets the same."""

    def __init__(self, splits: list):
        self.splits = splits

    def split(self, X: Any = None, y: Any = None, groups: Any = None, **_: Any) -> Any:
        """The pairs (train, test) of row numbers."""
        return iter(self.splits)

    def get_n_splits(self, *_: Any, **__: Any) -> int:
        """How many."""
        return len(self.splits)


# What the classes of scikit-learn give to those that are made of the two.
_Base: Any = sk.GridSearchCV if TYPE_CHECKING else object


class Together(_Base):
    """Fits all candidates on all folds before scikit-learn scores them, one by one.

    Candidates that differ in numbers alone (`Estimator.NUMBERS`) are the cells of one program, its
    streams of data are the folds; other parameters make groups, one program each. What is not an
    estimator of steepest, or is fitted with more than weights, is left to scikit-learn.
    """

    def fit(self, X: Any, y: Any = None, **params: Any) -> Any:
        """Search, and refit the best on all rows, as scikit-learn's class of that name."""
        if not self._own(params):
            return super().fit(X, y, **params)
        # The work is done in this process, on all cores; workers would not see it.
        jobs = self.n_jobs  # type: ignore[has-type]
        self.n_jobs = None
        self._given = (X, y, params)
        try:
            return super().fit(X, y, **params)
        finally:
            self.n_jobs = jobs
            del self._given

    def _own(self, params: dict) -> bool:
        plain = set(params) <= {"sample_weight", "groups"}
        callbacks = getattr(self.estimator, "callbacks", None)
        warm = getattr(self.estimator, "warm_start", False)
        return isinstance(self.estimator, Estimator) and plain and not callbacks and not warm

    def _run_search(self, evaluate_candidates, *, callback_ctx=None):
        # Since scikit-learn 1.9 there is a context of its callbacks to hand on.
        context = {} if callback_ctx is None else {"callback_ctx": callback_ctx}
        if not hasattr(self, "_given"):
            return super()._run_search(evaluate_candidates, **context)
        X, y, params = self._given
        X, y = indexable(X, y)
        groups, weight = params.get("groups"), params.get("sample_weight")

        def evaluate(candidates, cv=None, more_results=None, **context):
            candidates = list(candidates)
            chosen = cv or check_cv(self.cv, y, classifier=is_classifier(self.estimator))
            splits = list(chosen.split(X, y, **({} if groups is None else {"groups": groups})))
            token = READY.set(self._fitted(candidates, splits, X, y, weight))
            try:
                return evaluate_candidates(candidates, Fixed(splits), more_results, **context)
            finally:
                READY.reset(token)

        return super()._run_search(evaluate, **context)

    def _fitted(self, candidates, splits, X, y, weight) -> deque:
        """(parameters, rows, estimator or exception) of each fit, in scikit-learn's order."""
        models = [clone(self.estimator).set_params(**clone(c, safe=False)) for c in candidates]
        if weight is not None:
            weight = check_weight(weight, len(y))
        done: dict[tuple[int, int], Any] = {}
        try:
            for group in _groups(models, X, y, weight):
                self._run_group(models, group, splits, X, y, weight, done)
        except (UsageError, ValueError, TypeError):
            # A parameter that cannot work: scikit-learn meets it again, and reports or scores it.
            done = {}
        out: deque = deque()
        for c, model in enumerate(models):
            for f, (rows, _) in enumerate(splits):
                if (c, f) in done:
                    count = int(np.sum(rows)) if np.asarray(rows).dtype == bool else len(rows)
                    out.append((model.get_params(deep=False), count, done[c, f]))
        return out

    def _run_group(self, models, group, splits, X, y, weight, done) -> None:
        first = models[group[0]]
        whole = first._job(X, y, weight)
        jobs: list[list[Job]] = []
        for rows, _ in splits:
            part = None if weight is None else weight[rows]
            job = first._job(_safe_indexing(X, rows), _safe_indexing(y, rows), part, like=whole)
            jobs.append([job, *(models[c]._restage(job) for c in group[1:])])
        runs = run_jobs(jobs)
        per = len(jobs[0][0].seeds)
        for f in range(len(splits)):
            for cell, c in enumerate(group):
                model = clone(models[c])
                for name in ("n_features_in_", "feature_names_in_"):
                    if hasattr(first, name):
                        setattr(model, name, getattr(first, name))
                try:
                    model._adopt(jobs[f][cell], runs, range(f * per, (f + 1) * per), cell)
                    done[c, f] = model
                except DivergedError as error:
                    done[c, f] = error


def _groups(models, X, y, weight) -> list[list[int]]:
    """Candidates that one program can run: equal but for `NUMBERS`, and of equal structure."""
    alike: dict[str, list[int]] = {}
    for c, model in enumerate(models):
        if model._alone():
            continue
        rest = {k: v for k, v in model.get_params(deep=False).items() if k not in model.NUMBERS}
        alike.setdefault(repr(sorted(rest.items())), []).append(c)
    groups: list[list[int]] = []
    for members in alike.values():
        job = models[members[0]]._job(X, y, weight)
        shapes: dict[Any, list[int]] = {}
        for c in members:
            shapes.setdefault(jax.tree.structure(models[c]._restage(job).stages), []).append(c)
        groups += shapes.values()
    return groups


class GridSearchCV(Together, sk.GridSearchCV):
    """scikit-learn's `GridSearchCV`, with all candidates and folds of a grid in one program.

    Parameters and attributes are scikit-learn's. For estimators of steepest, values of numeric
    parameters (learning rates, penalties, dropout, ...) share a program and run side by side;
    others (sizes of layers, optimizers) make a program each. `fit_time` in `cv_results_` is then
    that of taking over what was fitted. Any other estimator, a pipeline too, is searched as
    scikit-learn does it.

    >>> from sklearn.datasets import load_iris
    >>> from steepest import LogisticRegression
    >>> X, y = load_iris(return_X_y=True)
    >>> search = GridSearchCV(LogisticRegression(), {"C": [0.01, 1.0, 100.0]}, cv=3).fit(X, y)
    >>> search.best_params_["C"] > 0.01, bool(search.best_score_ > 0.95)
    (True, True)
    """


class RandomizedSearchCV(Together, sk.RandomizedSearchCV):
    """scikit-learn's `RandomizedSearchCV`, with candidates and folds in one program.

    Parameters and attributes are scikit-learn's; see `GridSearchCV`.
    """


class HalvingSearchCV(Together, sk.HalvingGridSearchCV):
    """scikit-learn's `HalvingGridSearchCV`, with the candidates of a round in one program.

    Each round drops the worse candidates and gives the others `factor` times the resource: rows, or
    a parameter such as `max_iter` (Jamieson & Talwalkar 2016). Parameters and attributes are
    scikit-learn's; see `GridSearchCV`.
    """
