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


def test_errors_that_neighbours_know_of():
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (800, 2))
    signal = np.sign(x[:, 0] * x[:, 1])
    y = signal + 0.3 * rng.standard_normal(800)
    blind = rows.left(x, y, np.zeros(800), True)
    assert blind.score == pytest.approx(0, abs=0.01)
    # The signal has 1/1.09 of the variance; neighbours see it but for the edges of the fields.
    assert 0.7 < blind.corrected < 1 / 1.09
    seeing = rows.left(x, y, signal, True)
    assert seeing.score == pytest.approx(1 - 0.09 / 1.09, abs=0.02)
    assert abs(seeing.gain) < 0.01
    classes = (signal > 0).astype(int)
    even = rows.left(x, classes, np.tile([0.5001, 0.4999], (800, 1)), False)
    assert even.gain > 0.35
    assert even.gain > 10 * even.error
    assert rows.left(x, classes, np.eye(2)[classes], False).gain == 0


def test_noise_is_not_left_over():
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((500, 6)), rng.standard_normal(500)
    found = rows.left(x, y, np.zeros(500), True)
    assert found.gain < 2.5 * found.error + 0.01
    assert rows.left(x[:20], y[:20], np.zeros(20), True) is None


def test_counts_of_words_are_sparse():
    rng = np.random.default_rng(2)
    few = Arrays((rng.random((200, 30)) < 0.05).astype(float), np.zeros(200))
    assert rows.sparse(few)
    assert not rows.sparse(Arrays(rng.standard_normal((200, 30)), np.zeros(200)))


def test_rows_that_share_a_value_are_told_by_each_other_and_not_by_their_order():
    # Ten values, each of both classes as often: sorted by class, neighbours would look alike.
    column = np.tile(np.arange(10.0), 20)
    labels = np.repeat([0, 1], 100)
    told = rows._told(column, labels, regression=False)
    assert told == pytest.approx(9 / 19)
    assert rows._told(column + 100.0 * labels, labels, regression=False) == 1.0
