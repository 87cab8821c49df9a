"""Trees that are trained together: `TreeEnsembleClassifier`, `TreeEnsembleRegressor`."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np
from sklearn.utils.validation import check_is_fitted

from steepest.core.errors import UsageError
from steepest.engine.compiling import precision
from steepest.engine.program import program
from steepest.engine.spec import cast_host
from steepest.estimators import base
from steepest.estimators.hard_tree import HardTree, grown
from steepest.estimators.inputs import check_rows, dense
from steepest.estimators.trained import TrainedClassifier, TrainedRegressor
from steepest.estimators.tree import GradientTrees
from steepest.models.tree import TreeEnsemble


class TreeEnsembles(GradientTrees):
    """Base of both: parameters to `models.TreeEnsemble`, and its trees as trees of nodes."""

    NUMBERS = GradientTrees.NUMBERS | {"learning_rate_weight", "dropout"}

    def _made(self):
        return TreeEnsemble(
            trees=base.whole(self, "n_estimators", self.n_estimators),
            depth=self.max_depth,
            features=self.max_features,
            dropout=self.dropout,
        )

    def _rates(self):
        return {**super()._rates(), "weight": self.learning_rate_weight}

    def _adopt(self, job, runs, streams=(0,), cell=0, again=False):
        super()._adopt(job, runs, streams, cell, again)
        # Trees are fitted anew each time; the optimizer's memory is of no further use.
        del self._state, self._calls
        params = {name: a[0].astype(np.float64) for name, a in self._params.items()}
        logits = np.where(self._buffers["allowed"][0] > 0, params["feature"], -np.inf)
        feature = logits.argmax(axis=-1)
        threshold = np.take_along_axis(params["threshold"], feature[..., None], axis=-1)[..., 0]
        weight = np.asarray(job.train.weight, np.float64)
        self.estimators_ = [
            grown(
                feature[:, e], threshold[:, e], self._value(params["leaf"][:, e]),
                job.train.x, weight, self._coding.scaling.undo,
            )
            for e in range(feature.shape[1])
        ]  # fmt: skip

    def estimator_weights(self, X: Any) -> np.ndarray:
        """How much each tree counts for each row, (rows, trees); each row sums to 1."""
        check_is_fitted(self)
        x = self._coding.scaling(dense(check_rows(self, X)), self._dtype)
        params, buffers = jax.tree.map(lambda a: a[0], (self._params, self._buffers))
        with precision(self._dtype):
            return np.asarray(_weights(cast_host(self._model, self._dtype), params, buffers, x)).T

    def describe(self, i: int, decimals: int = 2) -> str:
        """Tree number `i` as text; what its leaves say by themselves."""
        from steepest.report.trees import tree_text

        features, classes = self._names()
        return tree_text(self._estimator(i), features, classes, decimals=decimals)

    def plot_tree(self, i: int, ax: Any = None, decimals: int = 2) -> Any:
        """Draw tree number `i`; returns Matplotlib's axes, new ones unless `ax` is given."""
        from steepest.report.trees import plot_tree

        features, classes = self._names()
        return plot_tree(self._estimator(i), features, classes, ax=ax, decimals=decimals)

    def _estimator(self, i: int) -> HardTree:
        check_is_fitted(self)
        if not isinstance(i, (int, np.integer)) or not 0 <= i < len(self.estimators_):
            raise UsageError(
                f"{type(self).__name__}: i must be the number of a tree, from 0 to "
                f"{len(self.estimators_) - 1}, got {i!r}."
            )
        return self.estimators_[i]


@program
def _weights(model, params, buffers, x):
    return model.weights(params, model.shares(params, buffers, x))


class TreeEnsembleClassifier(TreeEnsembles, TrainedClassifier):
    """Axis-aligned decision trees that are learned together, and weigh themselves for each row.

    f(x) = sum_e softmax_e(w_e(x)) leaf_e(x), p = softmax(f): the leaf in which row x falls in tree
    e gives its outputs, and how much they count for this row. All features, thresholds, leaves and
    weights descend the log-loss at once (`models.TreeEnsemble`). Marton, Luedtke, Bartelt and
    Stuckenschmidt, "GRANDE" (ICLR 2024).

    Features are mapped to normal scores inside, so units, outliers and monotone transformations do
    not matter. Missing values are refused: fill them in first.

    Parameters:
      n_estimators: trees. max_depth: levels of splits of each.
      max_features: share of the features that each tree may use, drawn at the start.
      dropout: probability that a tree is left out, for a row, in training.
      learning_rate_feature, learning_rate_threshold, learning_rate_leaf, learning_rate_weight: of
        the four kinds of weights.
      optimizer, schedule, average, batch_size, max_iter, patience, min_delta, validation_fraction,
        class_weight, dtype, random_state, verbose, callbacks: as in `TreeClassifier`.

    Attributes: `classes_`, `estimators_` (the trees, each a `HardTree`; splits that part no
    training rows are left out), `loss_curve_`, `validation_loss_curve_`, `n_iter_` (epochs),
    `best_epoch_`, `loss_`, `outcome_`, `message_`.

    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = TreeEnsembleClassifier(8, max_depth=2, max_iter=30, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.9, model.estimator_weights(X).shape
    (True, (150, 8))
    """

    def __init__(self, n_estimators=64, *, max_depth=5, max_features=0.8, dropout=0.2,
                 learning_rate_feature=0.1, learning_rate_threshold=0.03, learning_rate_leaf=0.1,
                 learning_rate_weight=0.05, optimizer="adam", schedule="cosine", average=None,
                 batch_size=64, max_iter=50, patience=None, min_delta=0.0,
                 validation_fraction=0.0, class_weight=None, dtype="float32", random_state=None,
                 verbose=False, callbacks=None):  # fmt: skip
        base.keep(self, locals())


class TreeEnsembleRegressor(TreeEnsembles, TrainedRegressor):
    """Axis-aligned regression trees that are learned together, and weigh themselves for each row.

    As `TreeEnsembleClassifier`, with the squared loss on targets that are scaled inside to mean 0
    and deviation 1 (each column by itself), so their units do not matter.

    Parameters: as there, without class_weight; fewer and smaller trees by default, since noise in
    the target is learned by heart sooner than labels are. `loss`: None is `squared`; others by
    name.

    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = TreeEnsembleRegressor(8, max_depth=3, max_iter=30, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.4
    True
    """

    def __init__(self, n_estimators=32, *, max_depth=4, max_features=0.8, dropout=0.2, loss=None,
                 learning_rate_feature=0.1, learning_rate_threshold=0.03, learning_rate_leaf=0.1,
                 learning_rate_weight=0.05, optimizer="adam", schedule="cosine", average=None,
                 batch_size=64, max_iter=40, patience=None, min_delta=0.0,
                 validation_fraction=0.0, dtype="float32", random_state=None, verbose=False,
                 callbacks=None):  # fmt: skip
        base.keep(self, locals())
