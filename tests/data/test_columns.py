"""Each kind of column: what it becomes, held against formulas written out here."""

import itertools
import json

import numpy as np
import polars as pl
import pytest
from sklearn.preprocessing import OneHotEncoder

from steepest.core.errors import DataError
from steepest.data import Encoder, load


def encode(train, later=None, standardize=True):
    """Encoder and float64 inputs of the columns `train`, to which a target is added."""

    def table(columns):
        frame = columns if isinstance(columns, pl.DataFrame) else pl.DataFrame(columns)
        return load((frame, np.arange(frame.height) % 2))

    encoder = Encoder.fit(table(train), standardize)
    again = Encoder.from_dict(json.loads(json.dumps(encoder.to_dict(), allow_nan=False)))
    rows = load((pl.DataFrame(train if later is None else later), None), labelled=False)
    x = encoder.transform(rows, np.float64).x
    assert np.array_equal(again.transform(rows, np.float64).x, x)
    assert again.report == encoder.report
    assert x.shape[1:] == encoder.inputs == (sum(r.width for r in encoder.report),)
    return encoder, x


def test_tame_numbers_are_standardised():
    a = np.random.default_rng(0).normal(5, 2, 500)
    _, x = encode({"a": a})
    assert np.allclose(x[:, 0], (a - a.mean()) / a.std())


def test_outliers_neither_set_the_scale_nor_the_range():
    a = np.random.default_rng(0).normal(5, 2, 1000)
    a[7] = 1e9
    encoder, x = encode({"a": a})
    q1, q2, q3 = np.quantile(a, [0.25, 0.5, 0.75])
    z = (a - q2) / ((q3 - q1) / 1.3489795)
    assert np.allclose(x[:, 0], z / np.sqrt(1 + (z / 3) ** 2), rtol=1e-6)
    assert np.abs(x).max() <= 3
    assert "tails bent" in encoder.report[0].action


def test_mostly_one_value_with_rare_others():
    a = np.zeros(1000)
    a[::100] = np.arange(10)
    _, x = encode({"a": a})
    assert np.isfinite(x).all()
    assert np.abs(x).max() <= 3
    assert len(np.unique(x)) == 10


def test_missing_numbers_get_the_centre_and_a_mark():
    a = [1.0, None, 3.0, float("nan"), 8.0]
    encoder, x = encode({"a": a})
    assert encoder.inputs == (2,)
    assert x[[1, 3], 0].tolist() == [0, 0]
    assert x[:, 1].tolist() == [0, 1, 0, 1, 0]
    assert encoder.warnings == []


def test_categories_are_those_of_one_hot_encoder():
    rng = np.random.default_rng(1)
    a = rng.choice(["red", "green", "blue"], 200)
    encoder, x = encode({"a": a})
    theirs = OneHotEncoder(
        sparse_output=False, categories=[list(encoder.features.columns[0].levels)]
    )
    assert np.array_equal(x, theirs.fit_transform(a[:, None]))


def test_rare_categories_share_an_input_and_missing_ones_have_theirs():
    a = [f"level{i % 100}" for i in range(1500)] + [None] * 5
    encoder, x = encode({"a": a})
    column = encoder.features.columns[0]
    assert (len(column.levels), column.other, column.marked) == (64, True, True)
    assert np.array_equal(x.sum(axis=1), np.ones(len(a)))
    assert x[:, -1].sum() == 5
    assert x[:, -2].sum() == sum(v is not None and v not in column.levels for v in a)
    _, later = encode({"a": a}, {"a": ["never seen", None]})
    assert later[0].argmax() == 64
    assert later[1].argmax() == 65


def test_booleans_are_signs():
    _, x = encode({"a": [True, False, None, True], "b": [True, False, True, False]})
    assert x.tolist() == [[1, 0, 1], [-1, 0, -1], [0, 1, 1], [1, 0, -1]]
    _, later = encode({"a": [True, False]}, {"a": ["TRUE", "false"]})
    assert later.ravel().tolist() == [1, -1]


def test_dates_become_time_and_cycles():
    import datetime as dt

    start = dt.datetime(2019, 3, 1, 6)
    times = [start + dt.timedelta(hours=7 * i) for i in range(2000)]
    encoder, x = encode({"t": times})
    seconds = np.array([t.replace(tzinfo=dt.UTC).timestamp() for t in times])
    assert encoder.inputs == (7,)
    assert np.allclose(x[:, 0], (seconds - seconds.mean()) / seconds.std())
    week = np.array([t.weekday() for t in times]) / 7
    day = np.array([t.hour for t in times]) / 24
    assert np.allclose(x[:, 3], np.sin(2 * np.pi * week), atol=1e-9)
    assert np.allclose(x[:, 4], np.cos(2 * np.pi * week), atol=1e-9)
    assert np.allclose(x[:, 5], np.sin(2 * np.pi * day), atol=1e-6)
    year = np.array([t.timetuple().tm_yday - 1 for t in times]) + day
    assert np.abs(x[:, 2] - np.cos(2 * np.pi * year / 365.25)).max() < 0.03


@pytest.mark.parametrize(
    "form", ["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M"]
)
def test_dates_in_writing_are_found(form):
    import datetime as dt

    days = [dt.datetime(2020, 1, 1) + dt.timedelta(days=3 * i) for i in range(300)]
    encoder, written = encode({"t": [d.strftime(form) for d in days]})
    _, read = encode({"t": days})
    assert encoder.report[0].kind == "date"
    assert np.allclose(written, read)


def test_months_alone_without_days_of_the_week_are_not_invented():
    import datetime as dt

    encoder, _ = encode({"t": [dt.date(2020, 1, 1 + 7 * (i % 4)) for i in range(40)]})
    assert encoder.features.columns[0].cycles == ()


def test_text_is_hashed_to_unit_length():
    import zlib

    rng = np.random.default_rng(0)
    words = ["the", "cat", "dog", "sat", "ran", "Straße", "été"]
    lines = [" ".join(rng.choice(words, 6)) + f" {i}" for i in range(100)]
    encoder, x = encode({"t": lines})
    assert encoder.report[0].kind == "text"
    for line, row in zip(lines[:20], x[:20], strict=True):
        tokens = line.lower().split()
        expected = np.zeros(256)
        for gram in tokens + [f"{a} {b}" for a, b in itertools.pairwise(tokens)]:
            code = zlib.crc32(gram.encode())
            expected[code % 256] += -1 if code >> 31 else 1
        assert np.allclose(row, expected / np.linalg.norm(expected))
    _, later = encode({"t": lines}, {"t": [None, "", "!?"]})
    assert not later.any()


def test_numbers_among_a_few_words_stay_numbers():
    a = [str(i / 7) for i in range(99)] + ["unknown"]
    encoder, x = encode({"a": a})
    assert encoder.report[0].kind == "number"
    assert x[-1].tolist() == [0, 1]
    assert "'unknown' in row 100" in encoder.warnings[0]


def test_what_says_nothing_is_dropped_and_said():
    n = 60
    encoder, x = encode(
        {
            "id": range(n),
            "customerId": range(100, 100 + n),
            "code": [f"AB-{i}" for i in range(n)],
            "one": ["x"] * n,
            "list": [[1, 2]] * n,
            "a": [float(i * i % 17) for i in range(n)],
        }
    )
    kinds = {r.name: r.kind for r in encoder.report}
    assert kinds.pop("a") == "number"
    assert set(kinds.values()) == {"dropped"}
    assert x.shape == (n, 1)
    actions = {r.name: r.action for r in encoder.report}
    assert "same value" in actions["one"]
    assert "number of the row" in actions["id"]
    assert "a name of the row, 60 different in 60 rows" in actions["code"]


def test_an_integer_input_is_no_row_number():
    encoder, _ = encode({"size": range(100), "video": range(100)})
    assert [r.kind for r in encoder.report] == ["number", "number"]


def test_nothing_to_learn_from_is_refused():
    with pytest.raises(DataError, match="no column is left to learn from"):
        encode({"a": [1, 1, 1, 1], "id": [1, 1, 1, 1]})


def test_without_standardizing_numbers_stay():
    _, x = encode({"a": [1.0, 2.0, 1e9, None]}, standardize=False)
    assert x[:3, 0].tolist() == [1, 2, 1e6]  # FARTHEST, so that float32 holds
    assert x[3].tolist() == [2, 1]


TRAIN = {
    "n": [1.0, 2.0, 3.0, 4.0],
    "c": ["u", "v", "u", "v"],
    "b": [True, False, True, True],
    "d": ["2020-01-01", "2020-05-02", "2020-09-03", "2020-12-04"],
}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"c": ["w", "u"]}, "Column 'c' has the category 'w' in row 1"),
        ({"c": [None, "u"]}, "Column 'c' has missing values"),
        ({"n": ["1.5", "abc"]}, "Column 'n' is 'abc' in row 2, which is no number"),
        ({"n": [None, 1.0]}, "Column 'n' has missing values"),
        ({"b": [None, True]}, "Column 'b' has missing values"),
        ({"d": ["2020-02-30", "2020-01-01"]}, "Column 'd' is '2020-02-30' in row 1"),
        ({"d": [None, "2020-01-01"]}, "Column 'd' has missing values"),
        ({"z": [1, 2]}, "the column 'z' was not in training and is left out"),
        ({"n": None}, "the column 'n' of training is not there"),
    ],
)
def test_surprises_at_prediction_are_told_once(change, words):
    columns = {k: v[:2] for k, v in TRAIN.items()} | change
    frame = pl.DataFrame({k: v for k, v in columns.items() if v is not None})
    encoder = Encoder.fit(load((pl.DataFrame(TRAIN), [0, 1, 0, 1])))
    for _ in range(3):
        out = encoder.transform(load(frame, labelled=False)).x
        assert np.isfinite(out).all()
        assert out.shape == (2, *encoder.inputs)
    assert sum(words in w for w in encoder.warnings) == 1, encoder.warnings


def test_reordered_columns_are_taken_by_name():
    encoder = Encoder.fit(load((pl.DataFrame(TRAIN), [0, 1, 0, 1])))
    frame = pl.DataFrame(TRAIN)
    a = encoder.transform(load(frame, labelled=False)).x
    assert encoder.warnings == []
    b = encoder.transform(load(frame[:, ::-1], labelled=False)).x
    assert np.array_equal(a, b)
    assert len(encoder.warnings) == 1
    assert "another order" in encoder.warnings[0]
    with pytest.raises(DataError, match="none of the columns of training is there"):
        encoder.transform(load(pl.DataFrame({"q": [1]}), labelled=False))


def test_arrays_and_frames_serve_each_other():
    table = load("iris")
    frame = pl.DataFrame(dict(zip(table.features, table.x.T, strict=True)))
    by_array = Encoder.fit(table)
    a = by_array.transform(table).x
    assert np.array_equal(by_array.transform(load(frame[:, ::-1], labelled=False)).x, a)
    by_frame = Encoder.fit(load((frame, table.y)))
    b = by_frame.transform(load((table.x, None))).x
    assert np.array_equal(b, by_frame.transform(load((frame, None))).x)


def test_fitted_on_training_rows_only():
    frame = pl.DataFrame({"a": np.arange(100.0), "y": [i % 2 for i in range(100)]})
    train = load(frame).split(seed=0).train
    a = train.frame["a"].to_numpy()
    column = Encoder.fit(train).features.columns[0]
    assert (column.centre, column.scale) == (a.mean(), a.std())


def test_blocks_and_threads_do_not_show():
    n = 70_000
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"a": rng.normal(size=n), "c": rng.choice(list("abc"), n)})
    encoder = Encoder.fit(load((frame, np.arange(n) % 2)))
    whole = encoder.transform(load((frame, None))).x
    parts = [encoder.transform(load((frame[i : i + 999], None))).x for i in range(0, n, 999)]
    assert np.array_equal(whole, np.concatenate(parts))
    strange = frame.with_columns(c=pl.Series([*frame["c"][: n - 1], "new"]))
    encoder.transform(load((strange, None)))
    assert encoder.warnings == [
        f"Column 'c' has the category 'new' in row {n}, which training never had; "
        "such rows count as of no known category."
    ]
