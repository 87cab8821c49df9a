"""Trouble in rows, planted and found; scores of neighbours against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import r2_score
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

from steepest.data.dataset import Arrays
from steepest.diagnose import rows

RNG = np.random.default_rng(0)
X = RNG.standard_normal((120, 4))
CLASS = ((X[:, 0] + X[:, 1] > 0) + (X[:, 2] > 0.5)).astype(np.int32)
NUMBER = X[:, 0] + 0.3 * RNG.standard_normal(120)


def test_neighbours_are_those_of_scikit_learn():
    scaled = X / X.std(axis=0)
    found = rows.reference(Arrays(X, CLASS), regression=False)
    said = cross_val_predict(KNeighborsClassifier(5), scaled, CLASS, cv=LeaveOneOut())
    assert found.score == pytest.approx(np.mean(said == CLASS), abs=1 / 120)
    assert found.error == pytest.approx(np.sqrt(found.score * (1 - found.score) / 120))
    found = rows.reference(Arrays(X, NUMBER), regression=True)
    said = cross_val_predict(KNeighborsRegressor(5), scaled, NUMBER, cv=LeaveOneOut())
    assert found.score == pytest.approx(r2_score(NUMBER, said), abs=1e-9)
    assert rows.reference(Arrays(X[:20], CLASS[:20]), False) is None


@pytest.mark.parametrize("kind", ["recoded", "noisy"])
def test_a_leak_is_found_and_named(kind):
    extra = np.array([7.0, 3.0, 5.0])[CLASS]
    if kind == "noisy":
        extra = extra + 0.01 * RNG.standard_normal(120)
    assert rows.leak(Arrays(X, CLASS), regression=False) is None
    column, told = rows.leak(Arrays(np.column_stack([X, extra]), CLASS), regression=False)
    assert column == 4
    assert told > 0.995


def test_a_leak_beside_columns_that_tell_much_by_nature():
    # Classes apart by 3.3 deviations in two of the columns, as in the petals of irises.
    near = np.column_stack([X[:, :2], X[:, 2:] + 3.3 * CLASS[:, None]])
    assert rows.leak(Arrays(near, CLASS), regression=False) is None
    leaked = np.column_stack([near, CLASS + 0.01 * RNG.standard_normal(120)])
    assert rows.leak(Arrays(leaked, CLASS), regression=False)[0] == 4
    # Where all columns tell the classes, none is suspicious.
    apart = X + 20.0 * CLASS[:, None]
    assert rows.leak(Arrays(apart, CLASS), regression=False) is None


def test_a_leak_of_numbers_is_found_in_any_monotone_form():
    assert rows.leak(Arrays(X, NUMBER), regression=True) is None
    with_it = np.column_stack([X[:, :2], np.exp(-NUMBER), X[:, 2:]])
    column, told = rows.leak(Arrays(with_it, NUMBER), regression=True)
    assert column == 2
    assert told == pytest.approx(1)


def test_copies_count_rows_with_their_target():
    train, held = Arrays(X[:100], CLASS[:100]), Arrays(X[100:], CLASS[100:])
    assert rows.copies(train, held) == 0
    mixed = Arrays(np.vstack([X[90:100], X[100:110]]), np.r_[CLASS[90:100], CLASS[100:110]])
    assert rows.copies(train, mixed) == 0.5
    other = Arrays(X[:10], 1 - CLASS[:10] + 5)
    assert rows.copies(train, other) == 0


def test_scales():
    x = X / X.std(axis=0) * np.array([1.0, 1000.0, 0.01, 1.0])
    found = rows.scale(Arrays(x, NUMBER * 50), regression=True, image=False)
    assert found.column == 1
    assert found.largest == pytest.approx(1000, rel=0.2)
    assert found.ratio == pytest.approx(1e5, rel=1e-6)
    assert found.target == pytest.approx(50 * np.sqrt(np.mean(NUMBER**2)))
    assert rows.scale(Arrays(x, CLASS), regression=False, image=True).ratio == 1
