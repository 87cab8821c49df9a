"""Decision trees learned by gradient descent: `TreeClassifier`, `TreeRegressor`."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from steepest.core.errors import UsageError, suggest
from steepest.engine.compiling import precision
from steepest.engine.settings import Settings
from steepest.estimators import base
from steepest.estimators.hard_tree import HardTree, grown
from steepest.estimators.inputs import Scaling, check_rows, dense
from steepest.estimators.quantiles import Quantiles
from steepest.estimators.trained import Trained, TrainedClassifier, TrainedRegressor
from steepest.models.tree import RATES, Tree
from steepest.optimizers.groups import Groups
from steepest.optimizers.registry import optimizer as make_optimizer
from steepest.schedules import schedule as make_schedule

PARAMETERS = ("feature", "threshold", "leaf", "weight")
"""What the parameters `learning_rate_...` are named after, in the order of `_rates`."""


class GradientTrees(Trained):
    """Base of trees and ensembles of trees: parameters to settings, with a rate for each group."""

    NUMBERS = frozenset({
        "learning_rate_feature", "learning_rate_threshold", "learning_rate_leaf", "patience",
        "min_delta",
    })  # fmt: skip
    # Parameters of other models that these have not.
    warm_start = False
    loss = None
    label_smoothing = None

    def _made(self) -> Any:
        raise NotImplementedError

    def _rates(self) -> dict[str, float]:
        """The learning rate of each array of weights, by its name in the model."""
        return {
            "feature": self.learning_rate_feature,
            "threshold": self.learning_rate_threshold,
            "leaf": self.learning_rate_leaf,
        }

    def _settings(self, once: bool) -> Settings:
        rules = {}
        for said, (name, rate) in zip(PARAMETERS, self._rates().items(), strict=False):
            base.real(self, f"learning_rate_{said}", rate, least=None, above=0.0)
            rules[name] = make_optimizer(
                self.optimizer, learning_rate=make_schedule(self.schedule, rate)
            )
        given = {} if self.patience is None else {"patience": self.patience}
        return Settings(
            model=self._made(),
            loss="auto" if self.loss is None else self.loss,
            optimizer=Groups(rules),
            average=self.average,
            batch_size=self.batch_size,
            epochs=base.whole(self, "max_iter", self.max_iter),
            min_delta=self.min_delta,
            dtype=self.dtype,
            **given,
        )

    def _limit(self, job, runs, cell):
        # Derivatives that go straight through a decision are not those of the loss: their curvature
        # sets no limit, so only the rates are named.
        rates = zip(PARAMETERS, self._rates().values(), strict=False)
        return f" {', '.join(f'learning_rate_{said}={rate:g}' for said, rate in rates)} were used."

    def _rows(self, X, y, reset=True):
        # Trees look at every feature of a row.
        X, y = super()._rows(X, y, reset)
        return dense(X, X.dtype if X.dtype.kind == "f" else np.float64), y

    def _scaling(self, x, weight, known, fresh):
        if known is not None and not fresh:
            return known.scaling
        return Quantiles.fit(x, weight)

    def _stage(self, settings, coding):
        scaling = coding.scaling
        features = len(scaling.shift) if isinstance(scaling, Scaling) else scaling.features
        return self._spec(settings, coding, features)

    def _probabilities(self, X):
        # In float64 a row's probabilities do not hang on the rows that are predicted with it.
        return self._value(self._forward(X, "float64")[0])

    def _value(self, outputs: np.ndarray) -> np.ndarray:
        """What leaves with these outputs predict: probabilities, or values of the target."""
        with precision("float64"):
            if self._task == "classification":
                return np.asarray(self._loss.probabilities(outputs), np.float64)
            value = np.asarray(self._loss.predict(outputs)).reshape(outputs.shape)
        target = self._coding.target
        return value * target.scale + target.shift

    def _names(self) -> tuple[list[str], list[str] | None]:
        """Names of the features, and of the classes."""
        names = getattr(self, "feature_names_in_", None)
        if names is None:
            names = [f"x[{j}]" for j in range(self.n_features_in_)]
        labels = self._coding.target if self._task == "classification" else None
        if labels is None or labels.multilabel:
            return [str(n) for n in names], None
        return [str(n) for n in names], [str(c) for c in labels.classes]


class SingleTree(GradientTrees):
    """Base of the single trees: of `n_init` trees the best is kept, and made a hard tree."""

    def _made(self):
        return Tree(depth=self.max_depth, splits=self.splits)

    def _members(self):
        return base.whole(self, "n_init", self.n_init)

    def _rates(self):
        if self.splits not in RATES:
            raise UsageError(f"splits={self.splits!r} is not known; {suggest(self.splits, RATES)}")
        given = super()._rates().values()
        known = RATES[self.splits].items()
        return {
            name: rate if own is None else own
            for (name, rate), own in zip(known, given, strict=True)
        }

    def _scaling(self, x, weight, known, fresh):
        if self.splits == "oblique" and (known is None or fresh):
            return Scaling.fit(x, weight)
        return super()._scaling(x, weight, known, fresh)

    def _adopt(self, job, runs, streams=(0,), cell=0, again=False):
        # The same measure by which the best epoch of each was chosen.
        values = np.asarray(runs.carry.best_value)[list(streams), cell]
        best = list(streams)[int(np.nanargmin(np.where(np.isfinite(values), values, np.inf)))]
        super()._adopt(job, runs, [best], cell, again)
        # Trees are fitted anew each time; the optimizer's memory is of no further use.
        del self._state, self._calls
        if self.splits == "axis":
            self.tree_ = self._grown(job)

    def _grown(self, job) -> HardTree:
        params = {name: np.asarray(a[0], np.float64) for name, a in self._params.items()}
        feature = params["feature"].argmax(axis=-1)
        return grown(
            feature,
            params["threshold"][np.arange(len(feature)), feature],
            self._value(params["leaf"]),
            job.train.x,
            np.asarray(job.train.weight, np.float64),
            self._coding.scaling.undo,
        )

    def _hard(self) -> HardTree:
        check_is_fitted(self)
        if not hasattr(self, "tree_"):
            raise UsageError(
                f"{type(self).__name__}: a row goes to all leaves of an oblique tree, by shares; "
                "only splits='axis' gives a tree of single decisions."
            )
        return self.tree_

    def _values(self, X: Any) -> np.ndarray:
        """Probabilities or predictions of rows, (rows, outputs)."""
        check_is_fitted(self)
        if hasattr(self, "tree_"):
            return self.tree_.predict(dense(check_rows(self, X)))
        return self._value(self._forward(X, "float64")[0])

    def apply(self, X: Any) -> np.ndarray:
        """The leaf that each row ends in, as the number of its node in `tree_`."""
        return self._hard().apply(dense(check_rows(self, X)))

    def get_depth(self) -> int:
        """Splits on the longest path; splits that part no training rows are not counted."""
        return self._hard().max_depth

    def get_n_leaves(self) -> int:
        """Leaves that training rows end in."""
        return self._hard().n_leaves

    def describe(self, decimals: int = 2) -> str:
        """The learned tree as text, in the units of the data."""
        from steepest.report.trees import oblique_text, tree_text

        check_is_fitted(self)
        features, classes = self._names()
        if self.splits == "axis":
            return tree_text(self.tree_, features, classes, decimals=decimals)
        weight, bias, leaf = (self._params[n][0] for n in ("weight", "bias", "leaf"))
        scaling = self._coding.scaling
        weight = weight.astype(np.float64).T / scaling.scale[:, None]
        return oblique_text(
            weight, bias - scaling.shift @ weight, self._value(leaf.astype(np.float64)),
            features, classes, decimals=decimals,
        )  # fmt: skip

    def plot_tree(self, ax: Any = None, decimals: int = 2) -> Any:
        """Draw the learned tree; returns Matplotlib's axes, new ones unless `ax` is given."""
        from steepest.report.trees import plot_tree

        features, classes = self._names()
        return plot_tree(self._hard(), features, classes, ax=ax, decimals=decimals)


class TreeClassifier(SingleTree, TrainedClassifier):
    """A decision tree whose splits and leaves are learned together, by gradient descent.

    Growing a tree split by split is greedy: each split is the best for itself. Here features,
    thresholds and leaves of a complete tree all descend the log-loss at once (`models.Tree`), and
    what comes out is an ordinary tree of hard decisions, to be printed and drawn. Marton, Luedtke,
    Bartelt and Stuckenschmidt, "GradTree" (AAAI 2024).

    Features are mapped to normal scores inside, so units, outliers and monotone transformations do
    not matter; thresholds are reported in the units of the data. Splits that part no training rows
    are left out. Missing values are refused: fill them in first.

    Parameters:
      max_depth: levels of splits.
      splits: `axis`, one feature a split; `oblique`, a soft split by a weighted sum of all
        features (a soft tree: rows go both ways by shares).
      n_init: trees from as many random starts, trained in one program; the best is kept, by
        validation loss if there are validation rows, else by training loss.
      learning_rate_feature, learning_rate_threshold, learning_rate_leaf: of the three kinds of
        weights (oblique: of weights, of biases, of leaves); None: those of `models.tree.RATES`.
      optimizer: a first-order rule by name. schedule: of the learning rates. average: decay of the
        moving average of the weights, or None. batch_size: rows a step, or `full`.
      max_iter: epochs at most. patience, min_delta: early stopping, in epochs.
      validation_fraction: share of the rows held out to choose the best epoch, and tree.
      class_weight: `balanced`, a dict of label -> weight, or None.
      dtype: `float32` or `float64`. random_state: seed. verbose: print while it runs.
      callbacks: functions called between chunks of steps with the state of the run.

    Attributes: `classes_`, `tree_` (a `HardTree`, with the names of scikit-learn's), `loss_curve_`,
    `validation_loss_curve_`, `n_iter_` (epochs), `best_epoch_`, `loss_`, `outcome_`, `message_`.

    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = TreeClassifier(max_depth=2, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.9, model.get_depth(), "x[3] <= " in model.describe()
    (True, 2, True)
    """

    def __init__(self, max_depth=5, *, splits="axis", n_init=8, learning_rate_feature=None,
                 learning_rate_threshold=None, learning_rate_leaf=None, optimizer="adam",
                 schedule="cosine", average=0.99, batch_size=64, max_iter=200, patience=None,
                 min_delta=0.0, validation_fraction=0.0, class_weight=None, dtype="float32",
                 random_state=None, verbose=False, callbacks=None):  # fmt: skip
        base.keep(self, locals())

    def _probabilities(self, X):
        return self._values(X)


class TreeRegressor(SingleTree, TrainedRegressor):
    """A regression tree whose splits and leaves are learned together, by gradient descent.

    As `TreeClassifier`, with the squared loss on targets that are scaled inside to mean 0 and
    deviation 1 (each column by itself), so their units do not matter.

    Parameters: as there, without class_weight. `loss`: None is `squared`; also `absolute`, `huber`
    and the others by name; lengths such as Huber's delta are in deviations of the target.

    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = TreeRegressor(max_depth=3, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.3, model.get_n_leaves() <= 8
    (True, True)
    """

    def __init__(self, max_depth=5, *, splits="axis", loss=None, n_init=8,
                 learning_rate_feature=None, learning_rate_threshold=None, learning_rate_leaf=None,
                 optimizer="adam", schedule="cosine", average=0.99, batch_size=64, max_iter=200,
                 patience=None, min_delta=0.0, validation_fraction=0.0, dtype="float32",
                 random_state=None, verbose=False, callbacks=None):  # fmt: skip
        base.keep(self, locals())

    def predict(self, X: Any) -> np.ndarray:
        """The prediction in the units of the target, (rows,) or (rows, outputs)."""
        value = self._values(X)
        return value if self._coding.target.columns else value[:, 0]
