"""Studies end to end, on iris: against single runs, killed and resumed, halved, folded."""

import json

import jax
import numpy as np
import polars as pl
import pytest

import steepest
from steepest.core.errors import DataError, FileError, UsageError
from steepest.study import Study, directory
from steepest.study import execute as execute_module
from steepest.study.plan import Group

FIXED = {"optimizer": "sgd", "hidden": (6,), "epochs": 6, "batch_size": 16}


def study(**changes):
    given = {"vary": {"learning_rate": [0.01, 0.1, 0.3]}, "fixed": FIXED, "seeds": 3} | changes
    return Study("iris", **given)


@pytest.fixture(scope="module")
def found():
    return study().run()


def test_a_run_of_a_study_is_the_run_that_train_makes(found):
    rows = found.runs.filter(pl.col("learning_rate") == 0.1)
    for seed in (0, 2):
        # The study splits by the first seed for all; so does train with several seeds.
        fits = steepest.train("mlp", "iris", **FIXED, learning_rate=0.1, seeds=[seed, 99], seed=0)
        row = rows.filter(pl.col("seed") == seed).row(0, named=True)
        for part in ("train", "validation", "test"):
            for name, value in getattr(fits[0], part).items():
                assert row[f"{part}_{name}"] == pytest.approx(value, rel=1e-4), (part, name)
        assert row["outcome"] == fits[0].outcome.text
        assert row["steps"] == fits[0].steps
        assert row["best_epoch"] == fits[0].best_epoch


def test_the_table_has_a_row_a_run_in_order(found):
    assert found.runs["cell"].to_list() == [c for c in range(3) for _ in range(3)]
    assert found.runs["seed"].to_list() == [0, 1, 2] * 3
    assert found.runs["learning_rate"].to_list()[::3] == [0.01, 0.1, 0.3]
    assert found.metric == "validation_loss"


def test_the_summary_is_that_of_numpy(found):
    values = found.values("test_loss")
    table = found.summary("test_loss")
    assert table["median"].to_list() == sorted(np.median(values, axis=1))
    row = table.row(0, named=True)
    mine = values[row["cell"]]
    assert row["mean"] == pytest.approx(mine.mean())
    assert row["deviation"] == pytest.approx(mine.std(ddof=1))
    assert row["median_low"] <= row["median"] <= row["median_high"]


def test_scores_are_better_when_higher(found):
    accuracy = np.median(found.values("test_accuracy"), axis=1)
    assert accuracy[found.best("test_accuracy")] == accuracy.max()


def test_differences_are_paired_with_the_best(found):
    table = found.compare("train_loss")
    best = found.best("train_loss")
    values = found.values("train_loss")
    for row in table.iter_rows(named=True):
        d = values[row["cell"]] - values[best]
        assert row["difference"] == pytest.approx(d.mean())
        assert row["low"] < row["difference"] < row["high"]
        # With three seeds the sign-flip test cannot fall below 1/4.
        assert row["p"] >= 0.25


def test_curves_are_the_recorded_losses(found):
    epochs, losses = found.curves("train_loss")
    assert epochs.tolist() == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(losses[:, :, -1], found.values("final_loss"), rtol=1e-6)


def test_code_and_shapes_make_groups_and_numbers_do_not():
    vary = {"learning_rate": "0.01:1:log5", "activation": "relu,tanh", "l2": [0.01, 0.1]}
    made = study(vary=vary)
    assert made.plan.programs == 2
    assert made.plan.runs == 60
    assert "60 runs" in made.plan.describe()


@pytest.mark.slow
def test_cells_share_weights_and_orders_within_a_seed():
    # With rate 0 nothing moves, so the training loss tells the initial weights.
    result = study(vary={"learning_rate": [1e-12, 2e-12]}, seeds=4).run()
    first, second = result.values("train_loss")
    np.testing.assert_allclose(first, second, rtol=1e-6)
    assert len(set(first.round(6))) == 4


def test_a_diverged_run_leaves_its_neighbours_alone():
    fixed = FIXED | {"loss": "squared", "optimizer": "sgd"}
    rates = [0.01, 1e6]
    both = Study("diabetes", vary={"learning_rate": rates}, fixed=fixed, seeds=2).run()
    alone = Study("diabetes", vary={"learning_rate": rates[:1]}, fixed=fixed, seeds=2).run()
    assert both.runs["outcome"].to_list()[2:] == ["diverged"] * 2
    np.testing.assert_allclose(both.values()[0], alone.values()[0], rtol=1e-5)
    assert np.isnan(both.values()[1]).all()
    assert both.best() == 0
    assert "2 of 4 runs diverged" in both.sentence()


def test_folds_hold_out_every_row_once():
    made = study(folds=3, fixed=FIXED | {"test": 0.2})
    held = [len(f.validation) for f in made.plan.groups[0].folds]
    assert sum(held) == 120
    result = made.run()
    assert len(result.runs) == 3 * 3 * 3
    assert result.runs["fold"].to_list()[:6] == [0, 1, 2, 0, 1, 2]
    with pytest.raises(UsageError, match="between 2 and"):
        study(folds=1)


def test_ended_cells_are_packed_away_without_changing_the_others(monkeypatch):
    monkeypatch.setattr("steepest.study.block.PACKING_SECONDS", 0.0)
    fixed = FIXED | {"epochs": 16, "target": 0.6}
    vary = {"learning_rate": [0.3, 0.25, 0.2, 0.001]}
    packed = study(vary=vary, fixed=fixed).run()
    assert set(packed.runs["outcome"][:9]) == {"converged"}
    monkeypatch.setattr("steepest.study.block.STAGES", (1.0,))
    whole = study(vary=vary, fixed=fixed).run()
    assert packed.runs["steps"].to_list() == whole.runs["steps"].to_list()
    for name in packed.metrics:
        np.testing.assert_allclose(packed.values(name), whole.values(name), rtol=1e-4)
    assert len(packed.trace) == len(whole.trace)


def test_halving_spends_the_steps_on_the_best():
    vary = {"learning_rate": [1e-4, 1e-3, 3e-3, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5]}
    fixed = FIXED | {"epochs": 18}
    all_ = study(vary=vary, fixed=fixed).run()
    halved = study(vary=vary, fixed=fixed, halving=True).run()
    steps = halved.runs.group_by("cell").agg(pl.col("steps").max()).sort("cell")["steps"].to_list()
    full = all_.runs["steps"].max()
    assert steps.count(full) == 1
    assert sum(steps) < 0.4 * 9 * full
    best = all_.summary()["cell"].to_list()[:3]
    assert steps.index(full) in best
    assert "halving" in halved.runs.filter(pl.col("cell") == 0)["reason"][0]


def test_a_killed_study_goes_on_and_ends_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(Group, "block_cells", property(lambda self: 1))
    whole = study().run(tmp_path / "whole")
    real, calls = execute_module._table, []

    def dies(plan, block):
        calls.append(block)
        if len(calls) == 3:
            raise SystemExit("killed")
        return real(plan, block)

    monkeypatch.setattr(execute_module, "_table", dies)
    with pytest.raises(SystemExit):
        study().run(tmp_path / "cut")
    assert len(directory.kept(tmp_path / "cut")) == 2
    # One of the parts was damaged besides: it is done again.
    file = tmp_path / "cut" / "parts" / "0-runs.parquet"
    file.write_bytes(file.read_bytes()[:-3])
    monkeypatch.setattr(execute_module, "_table", real)
    again = Study.of(tmp_path / "cut").run(tmp_path / "cut", resume=True)
    assert again.runs.equals(whole.runs)
    assert not (tmp_path / "cut" / "parts").exists()
    read = study().run(tmp_path / "cut", resume=True)
    assert read.runs.equals(whole.runs)
    assert read.trace.drop("seconds").equals(again.trace.drop("seconds"))


def test_a_directory_is_not_overwritten_unasked_nor_resumed_by_another_study(tmp_path):
    study().run(tmp_path)
    with pytest.raises(UsageError, match="already holds a study"):
        study().run(tmp_path)
    with pytest.raises(UsageError, match="with another seeds"):
        study(seeds=2).run(tmp_path, resume=True)
    study(seeds=2).run(tmp_path, overwrite=True)
    assert json.loads((tmp_path / "study.json").read_text())["seeds"] == [0, 1]
    with pytest.raises(FileError, match="holds no study"):
        Study.of(tmp_path / "nothing")


def test_results_can_be_written(found, tmp_path):
    found.write(tmp_path / "runs.csv")
    found.write(tmp_path / "runs.parquet")
    assert pl.read_parquet(tmp_path / "runs.parquet").equals(found.runs)
    assert len(pl.read_csv(tmp_path / "runs.csv")) == 9
    assert len(found.to_pandas()) == 9
    with pytest.raises(UsageError, match=r"\.csv or \.parquet"):
        found.write(tmp_path / "runs.xlsx")


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"vary": {"learning_rate": [0.1, -1]}}, UsageError, "cell 1 .*above 0"),
        ({"vary": {"activation": ["relu", "tanhh"]}}, UsageError, "cell 1 .*did you mean 'tanh'"),
        ({"vary": {"epochs": [1, 2]}}, UsageError, "epochs is both varied and fixed"),
        ({"seeds": 0}, UsageError, "at least 1"),
        ({"seeds": [1, 1]}, UsageError, "different numbers"),
        ({"metric": "test_acuracy"}, UsageError, "did you mean 'test_accuracy'"),
        ({"design": "latin"}, UsageError, "random:50"),
        ({"vary": None}, UsageError, "either what to vary"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(changes, error, message):
    with pytest.raises(error, match=message):
        study(**changes)


def test_a_wrong_name_of_data_is_a_data_error():
    with pytest.raises((DataError, UsageError), match="irs"):
        Study("irs", vary={"learning_rate": [0.1]})


def test_other_numbers_and_seeds_compile_nothing_new():
    study(seeds=2).run()
    with jax.log_compiles(False):
        from steepest.engine.advance import advance

        before = advance._cache_size()
        study(seeds=[5, 6], vary={"learning_rate": [0.02, 0.2, 0.5]}).run()
        assert advance._cache_size() == before
