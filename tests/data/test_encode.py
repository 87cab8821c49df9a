"""Encoding of arrays: held against scikit-learn's scalers; exact through JSON."""

import json

import numpy as np
import pytest
from sklearn.preprocessing import StandardScaler

from steepest.core.errors import DataError, FileError
from steepest.data import Encoder, load


def through_json(encoder):
    return Encoder.from_dict(json.loads(json.dumps(encoder.to_dict(), allow_nan=False)))


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "diabetes"])
def test_inputs_are_those_of_standard_scaler(name):
    train, validation, test = load(name).split(seed=1)
    encoder = Encoder.fit(train)
    scaler = StandardScaler().fit(train.x)
    for part in (train, validation, test):
        ours = encoder.transform(part, np.float64).x
        assert np.allclose(ours, scaler.transform(part.x), rtol=1e-12, atol=1e-12)
        assert encoder.transform(part).x.dtype == np.float32
    assert encoder.inputs == (train.x.shape[1],)
    assert encoder.transform(test).x.flags.c_contiguous


def test_classes_are_indexed_in_sorted_order_and_decoded():
    table = load("breast_cancer")
    encoder = Encoder.fit(table)
    arrays = encoder.transform(table)
    assert encoder.classes == ("benign", "malignant")
    assert encoder.outputs == 2
    assert arrays.y.dtype == np.int32
    assert np.array_equal(encoder.decode(arrays.y), table.y)
    assert encoder.target_mean is None


def test_regression_targets_are_scaled_and_back():
    table = load("diabetes")
    encoder = Encoder.fit(table)
    y = encoder.transform(table, np.float64).y
    assert (encoder.task, encoder.outputs, encoder.classes) == ("regression", 1, None)
    assert np.isclose(y.mean(), 0, atol=1e-12)
    assert np.isclose(y.std(), 1)
    assert np.allclose(encoder.decode(y), table.y)
    assert np.isclose(encoder.target_scale, np.std(table.y))


def test_several_targets_and_a_constant_one():
    rng = np.random.default_rng(0)
    y = np.column_stack([rng.normal(5, 3, 50), np.full(50, 7.0)])
    table = load((rng.normal(size=(50, 2)), y))
    encoder = Encoder.fit(table)
    arrays = encoder.transform(table, np.float64)
    assert encoder.outputs == 2
    assert np.array_equal(arrays.y[:, 1], np.zeros(50))
    assert np.allclose(encoder.decode(arrays.y), y)


def test_images_are_scaled_as_a_whole_and_keep_their_shape():
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (40, 6, 5, 3), dtype=np.uint8)
    table = load((x, np.arange(40) % 4))
    encoder = Encoder.fit(table)
    out = encoder.transform(table, np.float64).x
    assert encoder.inputs == (6, 5, 3) == encoder.image_shape
    assert np.allclose(out, (x - x.mean()) / x.std(), atol=1e-12)
    digits = load("digits")
    whole = Encoder.fit(digits).transform(digits, np.float64).x
    assert whole.shape == (1797, 64)
    assert np.allclose(whole, (digits.x - digits.x.mean()) / digits.x.std())


def test_constant_features_become_zero_and_say_so():
    x = np.column_stack([np.full(30, 0.1), np.arange(30.0)])
    table = load((x, np.arange(30) % 2))
    encoder = Encoder.fit(table)
    later = load((np.array([[9.0, 1.0]]), None))
    assert encoder.transform(later).x[0, 0] == 0
    assert "constant" in encoder.report[0].action
    assert encoder.report[1].width == 1


def test_missing_values_are_filled_and_marked():
    x = np.column_stack([np.arange(10.0), np.arange(10.0) ** 2])
    x[3, 1] = np.nan
    table = load((x, np.arange(10) % 2))
    encoder = Encoder.fit(table)
    out = encoder.transform(table, np.float64).x
    assert encoder.inputs == (3,)
    assert out[3, 1] == 0
    assert out[:, 2].tolist() == [0, 0, 0, 1, 0, 0, 0, 0, 0, 0]
    kept = np.delete(x[:, 1], 3)
    assert np.allclose(np.delete(out[:, 1], 3), (kept - kept.mean()) / kept.std())
    assert encoder.warnings == []
    later = load((np.array([[np.nan, 4.0]]), None))
    for _ in range(2):
        assert encoder.transform(later).x[0, 0] == 0
    assert len(encoder.warnings) == 1
    assert "x0" in encoder.warnings[0]


def test_weights_count_as_repeated_rows():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(30, 3)), rng.normal(size=30)
    w = rng.integers(0, 3, 30)
    weighted = Encoder.fit(load((x, y), weights=w))
    repeated = Encoder.fit(load((np.repeat(x, w, axis=0), np.repeat(y, w))))
    assert np.allclose(weighted.features.mean, repeated.features.mean)
    assert np.allclose(weighted.features.scale, repeated.features.scale)
    assert np.isclose(weighted.target_scale, repeated.target_scale)


@pytest.mark.parametrize("name", ["iris", "digits", "diabetes"])
def test_json_keeps_every_bit(name):
    table = load(name)
    encoder = Encoder.fit(table)
    again = through_json(encoder)
    a, b = encoder.transform(table, np.float64), again.transform(table, np.float64)
    assert np.array_equal(a.x, b.x)
    assert np.array_equal(a.y, b.y)
    assert again.to_dict() == encoder.to_dict()
    assert again.decode(a.y[:3]).tolist() == encoder.decode(a.y[:3]).tolist()


def test_without_standardizing_numbers_stay():
    table = load("diabetes")
    arrays = Encoder.fit(table, standardize=False).transform(table, np.float64)
    assert np.array_equal(arrays.x, table.x)
    assert np.array_equal(arrays.y, table.y)


def test_an_altered_description_is_refused():
    good = Encoder.fit(load("iris")).to_dict()
    with pytest.raises(FileError, match="schema 99"):
        Encoder.from_dict(good | {"schema": 99})
    with pytest.raises(FileError, match="altered"):
        Encoder.from_dict(good | {"features": {"kind": "array"}})


def test_a_huge_value_at_prediction_stays_finite():
    encoder = Encoder.fit(load("iris"))
    x = encoder.transform(load((np.full((1, 4), 1e300), None))).x
    assert np.isfinite(x).all()


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (
            [[1.0], [np.inf], [2.0]],
            [0, 1, 0],
            "column 'x0' is infinite in row 2",
        ),
        ([[1.0], [1e200], [2.0]], [0, 1, 0], "below 1e"),
        ([[np.nan], [np.nan]], [0, 1], "all values are missing"),
        ([[1.0], [2.0], [3.0]], ["a", "a", "a"], "one class only"),
        ([[1.0], [2.0], [3.0]], ["a", "b", "c"], "3 classes in 3 rows"),
    ],
)
def test_what_cannot_be_learned_is_refused(x, y, words):
    with pytest.raises(DataError, match=words):
        Encoder.fit(load((np.array(x), np.array(y))))


def test_later_rows_must_fit():
    encoder = Encoder.fit(load("iris"))
    with pytest.raises(DataError, match=r"rows have the shape \(3,\), training had \(4,\)"):
        encoder.transform(load((np.zeros((2, 3)), None)))
    with pytest.raises(DataError, match="is 'tulip' in row 2, a class"):
        encoder.transform(load((np.zeros((2, 4)), ["setosa", "tulip"])))
    with pytest.raises(DataError, match="is infinite in row 2"):
        encoder.transform(load((np.array([[0.0] * 4, [np.inf] * 4]), None)))


def test_a_later_target_beyond_float32_is_refused():
    table = load((np.arange(8.0)[:, None], np.linspace(0, 1, 8)))
    encoder = Encoder.fit(table)
    later = load((np.zeros((2, 1)), [0.5, 1e300]), task="regression")
    with pytest.raises(DataError, match=r"in row 2, too far from the training rows for float32"):
        encoder.transform(later)
    assert np.isfinite(encoder.transform(later, np.float64).y).all()
    with pytest.raises(DataError, match="from 0 to 1e"):
        load((np.zeros((2, 1)), [0.5, 1.5]), weights=[1, 1e300])
