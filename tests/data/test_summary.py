"""One pass over pieces finds the encoder that all rows at once give."""

import numpy as np
import polars as pl
import pytest

from steepest.core.errors import DataError
from steepest.data import Encoder
from steepest.data.dataset import Table
from steepest.data.summary import Summary


def table():
    rng = np.random.default_rng(1)
    n = 5000
    numbers = rng.normal(3, 2, n)
    gaps = pl.Series([None if r < 0.1 else v for r, v in zip(rng.random(n), numbers, strict=True)])
    frame = pl.DataFrame(
        {
            "number": numbers,
            "outliers": rng.standard_cauchy(n),
            "gaps": gaps,
            "whole": rng.integers(0, 9, n),
            "word": rng.choice(["a", "b", "c"], n, p=[0.6, 0.3, 0.1]),
            "many": rng.integers(0, 300, n).astype(str),
            "flag": rng.random(n) < 0.2,
            "constant": np.ones(n),
            "day": pl.Series(rng.integers(0, 4000, n)).cast(pl.Date),
            "id": np.arange(n),
        }
    ).with_columns(many="v" + pl.col("many"))
    y = pl.Series("target", np.where(numbers > 3, "high", "low"))
    return Table(frame=frame, y=y, name="made")


def summed(whole, cuts, train=None, **options):
    summary = Summary(**options)
    for first, last in zip([0, *cuts], [*cuts, whole.rows], strict=True):
        part = whole.take(np.arange(first, last))
        mask = np.ones(part.rows, bool) if train is None else train[first:last]
        summary.add(part, np.flatnonzero(mask))
    return summary.encoder()


@pytest.mark.parametrize("embed", [False, True])
@pytest.mark.parametrize("standardize", [False, True])
def test_the_encoder_is_that_of_all_rows_at_once(embed, standardize):
    whole = table()
    found = summed(whole, [17, 900, 901, 4000], standardize=standardize, embed=embed).to_dict()
    wanted = Encoder.fit(whole, standardize, embed).to_dict()
    assert found["target"] == wanted["target"]
    for a, b in zip(found["features"]["columns"], wanted["features"]["columns"], strict=True):
        assert a.keys() == b.keys()
        for key, value in b.items():
            if isinstance(value, float):
                assert a[key] == pytest.approx(value, rel=1e-9, abs=1e-9), (b["name"], key)
            else:
                assert a[key] == value, (b["name"], key)


def test_only_training_rows_count_for_the_inputs():
    whole = table()
    train = np.random.default_rng(0).random(whole.rows) < 0.6
    found = summed(whole, [1000, 3000], train).transform(whole).x
    wanted = Encoder.fit(whole.take(np.flatnonzero(train))).transform(whole).x
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_a_sample_tells_kinds_and_quartiles_nearly():
    whole = table()
    found = summed(whole, [1000, 3000], share=0.2)
    exact = Encoder.fit(whole)
    a, b = (e.features.columns for e in (found, exact))
    assert [c.kind for c in a] == [c.kind for c in b]
    assert a[0].centre == pytest.approx(b[0].centre, rel=1e-12)
    assert a[4].levels == b[4].levels
    assert a[1].bent
    assert a[1].scale == pytest.approx(b[1].scale, rel=0.2)


def test_what_is_rare_is_seen_though_the_sample_has_it_not():
    n = 4000
    rare = np.zeros(n)
    rare[777] = 1.0
    words = ["usual"] * n
    words[1234] = "rare"
    gap = np.arange(n, dtype=float)
    gap[99] = np.nan
    frame = pl.DataFrame({"rare": rare, "words": words, "gap": gap})
    whole = Table(frame=frame, y=pl.Series(rare), task="regression")
    found = summed(whole, [2000], share=0.01, seed=5).features.columns
    assert [c.kind for c in found] == ["number", "category", "number"]
    assert set(found[1].levels) == {"usual", "rare"}
    assert found[2].marked


@pytest.mark.parametrize("task", ["regression", None])
def test_images_and_numbers_as_target(task):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (200, 5, 4, 1), dtype=np.uint8)
    y = rng.normal(size=200) if task else rng.integers(0, 4, 200)
    whole = Table(x=x, y=y, image_shape=(5, 4, 1), task=task)
    found, wanted = summed(whole, [30, 150]), Encoder.fit(whole)
    assert found.task == wanted.task
    a, b = found.transform(whole), wanted.transform(whole)
    np.testing.assert_allclose(a.x, b.x, rtol=1e-6)
    np.testing.assert_allclose(a.y, b.y, rtol=1e-6)


def test_mistakes_are_told_by_the_row_of_the_file():
    frame = pl.DataFrame({"a": [1.0] * 50 + [1e200]})
    whole = Table(frame=frame, y=pl.Series([0.0] * 51), task="regression")
    with pytest.raises(DataError, match="'a' is 1e\\+200 in row 51"):
        summed(whole, [20, 40])
    with pytest.raises(DataError, match="one class only"):
        summed(Table(frame=pl.DataFrame({"a": [1.0, 2.0]}), y=pl.Series(["x", "x"])), [1])
    with pytest.raises(DataError, match="no column is left"):
        summed(Table(frame=pl.DataFrame({"a": [1.0, 1.0]}), y=pl.Series(["x", "y"])), [1])
