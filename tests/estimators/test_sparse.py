"""Sparse rows: the same models as of dense ones, and X never dense as a whole."""

import subprocess
import sys

import jax
import numpy as np
import pytest
import scipy.sparse as sp

import steepest
from steepest.estimators import sparse
from steepest.estimators.inputs import Scaling

ROWS, COLUMNS = 300, 500


@pytest.fixture(scope="module")
def text():
    """Rows like counts of words: few of many columns."""
    rng = np.random.default_rng(0)
    X = sp.random_array((ROWS, COLUMNS), density=0.02, format="csr", rng=rng)
    X.data += 0.5
    w = rng.normal(size=COLUMNS)
    return X, X @ w + 0.1 * rng.normal(size=ROWS)


def test_packed_rows_are_the_rows(text):
    X, _ = text
    assert sparse.packs(X)
    x = sparse.pack(X, "float64")
    assert x.shape == (ROWS, 2 * sparse.entries_of(X))
    np.testing.assert_array_equal(sparse.unpack(x, COLUMNS).toarray(), X.toarray())
    w = np.random.default_rng(1).normal(size=(COLUMNS, 3))
    with jax.enable_x64(True):
        np.testing.assert_allclose(jax.jit(sparse.product)(x, w), X @ w, rtol=1e-12)
        gradient = jax.jit(jax.grad(lambda w: (sparse.product(x, w) ** 3).sum()))(w)
    np.testing.assert_allclose(gradient, 3 * X.T @ (X @ w) ** 2, rtol=1e-10)


def test_moments_count_the_zeros(text):
    X, _ = text
    weight = np.random.default_rng(1).uniform(0, 2, ROWS)
    ours, dense = Scaling.fit(X, weight), Scaling.fit(X.toarray(), weight)
    np.testing.assert_allclose(ours.shift, dense.shift, atol=1e-12)
    np.testing.assert_allclose(ours.scale, dense.scale, rtol=1e-9)


@pytest.mark.parametrize(
    "model",
    [steepest.Ridge(0.1), pytest.param(steepest.ElasticNet(0.003), marks=pytest.mark.slow)],
    ids=lambda m: type(m).__name__,
)
def test_linear_models_are_those_of_dense_rows(model, text):
    X, y = text
    packed = model.fit(X, y)
    coef, said = packed.coef_, packed.optimality_
    assert said < 1e-6
    dense = model.fit(X.toarray(), y).coef_
    np.testing.assert_allclose(coef, dense, atol=2e-5 * np.abs(dense).max())
    np.testing.assert_allclose(model.predict(X), model.predict(X.toarray()))


def test_mini_batches_are_those_of_dense_rows(text):
    X, y = text
    labels = np.array(["low", "mid", "high"])[np.digitize(y, np.quantile(y, [0.3, 0.6]))]
    X_val, y_val = X[:20], labels[:20]
    how = {"max_iter": 2, "random_state": 0}
    net = steepest.MLPClassifier((8,), **how)
    packed = net.fit(X, labels, X_val=X_val, y_val=y_val).predict_proba(X)
    dense = net.fit(X.toarray(), labels, X_val=X_val, y_val=y_val).predict_proba(X)
    np.testing.assert_allclose(packed, dense, atol=1e-4)
    sgd = steepest.SGDRegressor(tol=None, **how)
    packed = sgd.fit(X, y).coef_
    np.testing.assert_allclose(packed, sgd.fit(X.toarray(), y).coef_, atol=1e-12)
    again = sgd.partial_fit(X[:100], y[:100])
    assert again.t_ == 2 * ROWS + 100 + 1


@pytest.mark.slow
def test_folds_of_sparse_rows_are_one_program(text):
    from sklearn import model_selection

    X, y = text
    grid = {"alpha": [0.1, 1.0]}
    ours = steepest.GridSearchCV(steepest.Ridge(), grid, cv=3).fit(X, y)
    theirs = model_selection.GridSearchCV(steepest.Ridge(), grid, cv=3).fit(X, y)
    np.testing.assert_allclose(
        ours.cv_results_["mean_test_score"], theirs.cv_results_["mean_test_score"], atol=1e-6
    )


MEMORY = """
import resource, warnings
import numpy as np, scipy.sparse as sp
import steepest
warnings.simplefilter("ignore")
rng = np.random.default_rng(0)
def rows(n, p):
    X = sp.random_array((n, p), density=20 / p, format="csr", rng=rng)
    return X, X[:, :50].sum(axis=1) > 0
models = [
    steepest.LogisticRegression(max_iter=20),
    steepest.SGDClassifier(max_iter=1, batch_size=100),
    steepest.MLPClassifier((4,), max_iter=1, batch_size=100),
]
peaks = []
for n, p in ((1000, 1000), (20_000, 20_000)):
    X, y = rows(n, p)
    for model in models:
        model.fit(X, y).predict(X)
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
print(peaks[1] - peaks[0], n * p * 4 / 2**20)
"""


@pytest.mark.slow
def test_x_is_never_dense():
    out = subprocess.run(
        [sys.executable, "-c", MEMORY], capture_output=True, text=True, check=True
    ).stdout
    more, dense = map(float, out.split())
    assert more < dense / 3
