"""Multi-layer perceptrons: `MLPClassifier`, `MLPRegressor`."""

from __future__ import annotations

from typing import Any

import numpy as np

from steepest.engine.settings import Settings, with_recipe
from steepest.estimators import base
from steepest.estimators.trained import Trained, TrainedClassifier, TrainedRegressor

SETTINGS = (
    "activation", "initializer", "norm", "dropout", "loss", "l1", "l2", "label_smoothing",
    "optimizer", "learning_rate", "momentum", "weight_decay", "clip_norm", "clip_value", "average",
    "schedule", "warmup", "batch_size", "patience", "min_delta", "dtype",
)  # fmt: skip
"""Parameters that are `Settings` of the same name; None leaves them to the recipe or the rule."""


class Perceptron(Trained):
    """Base of both: parameters to settings, and scikit-learn's names for the weights."""

    NUMBERS = frozenset(SETTINGS) - {
        "activation", "initializer", "norm", "loss", "optimizer", "schedule", "batch_size", "dtype",
    }  # fmt: skip

    def _settings(self, once: bool) -> Settings:
        given = {k: getattr(self, k) for k in SETTINGS if getattr(self, k, None) is not None}
        for name in self._auto():
            # No choice of one's own: the rest of the recipe stays.
            del given[name]
        hidden = np.atleast_1d(np.asarray(self.hidden_layer_sizes, int)).tolist()
        given = with_recipe(given | {"hidden": tuple(hidden)})
        if (once or self.warm_start) and self.schedule is None:
            # A schedule that ends at zero would leave later calls nothing to learn with.
            given["schedule"] = "constant"
        return Settings(
            epochs=1 if once else base.whole(self, "max_iter", self.max_iter),
            **given,
        )

    def _members(self):
        return base.whole(self, "ensemble", self.ensemble)

    @property
    def coefs_(self) -> list[np.ndarray]:
        """The weight matrices of the first member, for standardised inputs."""
        return [layer["weight"][0] for layer in self._params["layers"]]

    @property
    def intercepts_(self) -> list[np.ndarray]:
        """The biases of the first member."""
        return [layer["bias"][0] for layer in self._params["layers"]]


class MLPClassifier(Perceptron, TrainedClassifier):
    """A multi-layer perceptron for classes, one label or several a row.

    h_0 = x, h_l = a(h_{l-1} W_l + b_l), p = softmax(h W + b), trained on mini-batches by
    w <- w - eta dL/dw. With no choice about model and descent made, by a recipe that trains well
    untuned: Adam at 0.005 under a cosine schedule, dropout 0.4 (0.2 where a layer has
    fewer than 64 units), labels smoothed by 0.1, averaged weights.

    Parameters:
      hidden_layer_sizes: units of each hidden layer.
      activation, initializer, norm, dropout: of the layers, see `models.MLP`.
      loss: a name, a loss, or a function of outputs and targets; None: log-loss (by the recipe
        with smoothed labels).
      optimizer, learning_rate, momentum, weight_decay, schedule, warmup, clip_norm, clip_value,
        average, batch_size, l1, l2, label_smoothing, dtype: as in `Settings`; None leaves each to
        the recipe, or to the optimizer. `auto` for learning_rate, batch_size or optimizer finds it
        by measurement on the rows, as `train` does; what was found is in `chosen_`.
      max_iter: epochs at most. patience, min_delta: early stopping, in epochs.
      validation_fraction: share of the rows held out to choose the best epoch.
      standardize: scale inputs to mean 0 and deviation 1.
      class_weight: `balanced`, a dict of label -> weight, or None.
      ensemble: how many models, from as many seeds, are trained in one program and averaged.
      warm_start: whether `fit` goes on from the weights, and the optimizer's memory, of the last.
      random_state: seed of weights, order and dropout. verbose: print while it runs.
      callbacks: functions called between chunks of steps with the state of the run.

    Attributes: `classes_`, `loss_curve_`, `validation_loss_curve_`, `n_iter_` (epochs),
    `best_epoch_`, `loss_`, `coefs_`, `intercepts_`, `outcome_`, `message_`.

    >>> from sklearn.datasets import load_iris
    >>> X, y = load_iris(return_X_y=True)
    >>> model = MLPClassifier((32,), max_iter=50, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.9, model.predict_proba(X[:1]).shape
    (True, (1, 3))
    """

    def __init__(self, hidden_layer_sizes=(128,), *, activation="relu", initializer="auto",
                 norm=None, dropout=None, loss=None, optimizer=None, learning_rate=None,
                 momentum=None, weight_decay=None, schedule=None, warmup=None, clip_norm=None,
                 clip_value=None, average=None, batch_size=None, l1=None, l2=None,
                 label_smoothing=None, max_iter=100, patience=None, min_delta=0.0,
                 validation_fraction=0.0, standardize=True, class_weight=None, ensemble=1,
                 warm_start=False, dtype=None, random_state=None, verbose=False,
                 callbacks=None):  # fmt: skip
        base.keep(self, locals())

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Any:
        """One pass over these rows, from where the last call ended, the optimizer's memory kept.

        `classes`: all labels, needed in the first call where `y` does not hold them all. The scale
        of the inputs is that of the first call.
        """
        return self._partial(X, y, sample_weight, classes)


class MLPRegressor(Perceptron, TrainedRegressor):
    """A multi-layer perceptron for real targets, one or several a row.

    As `MLPClassifier`, with the squared loss on targets that are scaled inside to mean 0 and
    deviation 1 (each column by itself; not for the Poisson loss), so their units do not matter.

    Parameters: as there, without class_weight and label_smoothing. `loss`: None is `squared`;
    lengths such as Huber's delta are in deviations of the target.

    >>> from sklearn.datasets import load_diabetes
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = MLPRegressor((16,), max_iter=20, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.4
    True
    """

    def __init__(self, hidden_layer_sizes=(128,), *, activation="relu", initializer="auto",
                 norm=None, dropout=None, loss=None, optimizer=None, learning_rate=None,
                 momentum=None, weight_decay=None, schedule=None, warmup=None, clip_norm=None,
                 clip_value=None, average=None, batch_size=None, l1=None, l2=None, max_iter=100,
                 patience=None, min_delta=0.0, validation_fraction=0.0, standardize=True,
                 ensemble=1, warm_start=False, dtype=None, random_state=None, verbose=False,
                 callbacks=None):  # fmt: skip
        base.keep(self, locals())

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Any:
        """One pass over these rows, from where the last call ended, the optimizer's memory kept.

        The scales of inputs and targets are those of the first call.
        """
        return self._partial(X, y, sample_weight)
