"""Support vector machines against liblinear and libsvm."""

import numpy as np
import pytest
from sklearn import svm as sk
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from sklearn.preprocessing import scale

import steepest

EXACT = {"tol": 1e-11, "max_iter": 1_000_000}


@pytest.fixture(scope="module")
def cancer():
    X, y = load_breast_cancer(return_X_y=True)
    return scale(X), y


@pytest.fixture(scope="module")
def diabetes():
    X, y = load_diabetes(return_X_y=True)
    return scale(X), y


def near(ours, theirs, within=1e-4):
    gap = np.linalg.norm(np.ravel(ours.coef_) - np.ravel(theirs.coef_))
    assert gap <= within * np.linalg.norm(theirs.coef_)
    np.testing.assert_allclose(ours.intercept_, theirs.intercept_, rtol=within, atol=1e-4)


@pytest.mark.parametrize("loss", ["squared_hinge", "hinge"])
def test_linear_svc(loss, cancer):
    X, y = cancer
    near(
        steepest.LinearSVC(C=0.1, loss=loss).fit(X, y),
        sk.LinearSVC(C=0.1, loss=loss, **EXACT).fit(X, y),
    )


def test_linear_svc_of_three_classes_far_from_zero():
    X, y = load_wine(return_X_y=True)
    X = scale(X) + 1
    near(steepest.LinearSVC().fit(X, y), sk.LinearSVC(**EXACT).fit(X, y))


@pytest.mark.parametrize("loss", ["epsilon_insensitive", "squared_epsilon_insensitive"])
def test_linear_svr(loss, diabetes):
    X, y = diabetes
    how = {"dual": False} if loss.startswith("squared") else {}
    near(
        steepest.LinearSVR(loss=loss, epsilon=1.0).fit(X, y),
        sk.LinearSVR(loss=loss, epsilon=1.0, **how, **EXACT).fit(X, y),
    )


def test_the_whole_kernel_is_libsvm(cancer):
    X, y = cancer
    ours = steepest.SVC(n_components=300, random_state=0).fit(X[:300], y[:300])
    theirs = sk.SVC(tol=1e-8).fit(X[:300], y[:300])
    np.testing.assert_allclose(
        ours.decision_function(X[300:]), theirs.decision_function(X[300:]), atol=5e-3
    )


@pytest.mark.slow
def test_fewer_features_come_near(cancer, diabetes):
    X, y = cancer
    for method in ("nystroem", "fourier"):
        model = steepest.SVC(n_components=100, method=method, random_state=0)
        assert model.fit(X[::2], y[::2]).score(X[1::2], y[1::2]) > 0.94
    X, y = diabetes
    model = steepest.SVR(C=100.0, n_components=100, random_state=0).fit(X[::2], y[::2])
    assert model.score(X[1::2], y[1::2]) > 0.35


@pytest.mark.parametrize(
    ("model", "said"),
    [
        (steepest.LinearSVC(loss="hing"), "did you mean 'hinge'"),
        (steepest.SVC(kernel="rbff"), "did you mean 'rbf'"),
        (steepest.SVC(method="x"), "must be 'nystroem' or 'fourier'"),
        (steepest.SVC(kernel="poly", method="fourier"), "use 'nystroem'"),
        (steepest.SVC(gamma="x"), "must be a number, 'scale' or 'auto'"),
        (steepest.LinearSVR(C=0), "C must be a number above 0"),
    ],
    ids=str,
)
def test_bad_parameters_are_refused_in_fit(model, said, cancer):
    with pytest.raises(steepest.UsageError, match=said):
        model.fit(*cancer)
