"""Pictures of estimators: what is drawn, read back from the axes."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.datasets import load_diabetes, load_iris

import steepest


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def iris():
    return load_iris(return_X_y=True)


@pytest.fixture(scope="module")
def net(iris):
    X, y = iris
    model = steepest.MLPClassifier((8,), max_iter=12, random_state=0)
    return model.fit(X[::2], y[::2], X_val=X[1::2], y_val=y[1::2])


def test_loss_curves_with_the_best_epoch(net):
    ax = steepest.plot_loss_curve(net)
    train, held, best = ax.get_lines()
    np.testing.assert_array_equal(train.get_ydata(), net.loss_curve_)
    np.testing.assert_array_equal(held.get_ydata(), net.validation_loss_curve_)
    assert best.get_xdata()[0] == net.best_epoch_
    assert steepest.plot_loss_curve(net, ax=ax) is ax


def test_iterations_of_a_linear_model(iris):
    ax = steepest.plot_loss_curve(steepest.LogisticRegression().fit(*iris), log=True)
    assert (ax.get_xlabel(), ax.get_yscale()) == ("iteration", "log")


def test_areas_are_the_classes_predicted(net, iris):
    X, y = iris
    ax = steepest.plot_decision_boundary(net, X, y, features=(2, 3), points=20)
    (picture,) = ax.get_images()
    left, right, bottom, top = picture.get_extent()
    row = np.median(X, axis=0)
    row[2:] = left, bottom
    shades = [p.get_facecolor()[:3] for p in ax.get_legend().get_patches()]
    corner = picture.get_array()[0, 0]
    # Areas are paler than the colours of their classes, but of the same hue.
    pale = 1 - corner
    alike = [(1 - np.array(s)) @ pale / np.linalg.norm(1 - np.array(s)) for s in shades]
    nearest = np.argmax(alike)
    assert net.predict([row])[0] == net.classes_[nearest]
    points = ax.collections[-1].get_offsets()
    np.testing.assert_array_equal(points, X[:, 2:])
    assert left < X[:, 2].min() < X[:, 2].max() < right < top + right


def test_a_regressor_over_named_columns():
    X, y = load_diabetes(return_X_y=True, as_frame=True)
    ax = steepest.plot_decision_boundary(
        steepest.Ridge().fit(X, y), X, y, features=("bmi", "bp"), points=10
    )
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("bmi", "bp")
    assert isinstance(X, pd.DataFrame)


def test_what_cannot_be_drawn_is_refused(net, iris):
    with pytest.raises(steepest.UsageError, match="X has no feature 7; it has 4"):
        steepest.plot_decision_boundary(net, iris[0], features=(0, 7))
    with pytest.raises(steepest.UsageError, match="no loss_curve_"):
        steepest.plot_loss_curve(_Fitted().fit(None))


class _Fitted(BaseEstimator):
    def fit(self, X):
        self.fitted_ = True
        return self
