"""Each known illness, injected into runs, is found; runs that are well are not accused.

The thresholds were set on other seeds; `python -m benchmarks.diagnose confusion` measures on more
data sets and seeds, and docs/diagnose.md shows its table.
"""

import jax.numpy as jnp
import numpy as np
import pytest

from steepest.data.sources import load
from steepest.diagnose.diagnose import diagnose_fit
from steepest.diagnose.examples import SICK, WELL
from steepest.diagnose.illness import CAUSES, ILLNESSES
from steepest.engine.train import train

QUICK_FINDS = {
    "learning_rate_too_small", "learning_rate_too_large", "unscaled_data", "copied_rows",
    "leaked_target", "regularisation_too_strong", "overfitting", "underfitting", "constant_columns",
}  # fmt: skip


def trained(table, settings, seed):
    settings = dict(settings)
    return train(settings.pop("model", "mlp"), table, seed=seed, **settings)


QUICK = {"learning_rate_too_small", "dead_units", "overfitting"}


@pytest.mark.parametrize(
    "code", [c if c in QUICK else pytest.param(c, marks=pytest.mark.slow) for c in SICK]
)
def test_an_injected_illness_is_found(code):
    table, settings = SICK[code](load("wine"), np.random.default_rng(21))
    fit = trained(table, settings, 21)
    found = fit.diagnose()
    assert code in found.codes
    one = next(f for f in found if f.code == code)
    assert one.evidence
    assert one.sentence.endswith((".", ")"))
    if code in QUICK_FINDS:
        assert code in fit.diagnose(deep=False).codes


@pytest.mark.parametrize("kind", ["recipe", "adam", "momentum"])
def test_a_run_that_is_well_is_not_accused(kind):
    fit = trained(load("wine"), WELL[kind], 22)
    found = fit.diagnose()
    assert found.codes == ()
    assert not found
    assert "Nothing is wrong" in str(found)
    assert found.measured["curvature"].limit > 0
    assert found.measured["noise_scale"].value > 0


def test_every_illness_has_an_example_and_no_cause_hides_its_own_cause():
    assert set(SICK) == set(ILLNESSES) - {"not_finite_at_start"}
    for cause, symptoms in CAUSES.items():
        assert cause in ILLNESSES
        for symptom in symptoms:
            assert symptom in ILLNESSES
            assert cause not in CAUSES.get(symptom, ()), (cause, symptom)


def test_a_loss_that_is_no_number_at_the_start():
    def infinite(key, shape, dtype):
        return jnp.full(shape, jnp.inf, dtype)

    fit = train("mlp", "iris", hidden=(4,), epochs=2, initializer=infinite)
    assert fit.diagnose().codes == ("not_finite_at_start",)


def test_the_rows_can_be_given_again():
    fit = trained(load("iris"), WELL["adam"], 0)
    fit.parts = {}
    assert diagnose_fit(fit, "iris", deep=False).codes == ()
    with pytest.raises(ValueError, match="give data="):
        diagnose_fit(fit)


def test_changes_are_settings_that_train_takes():
    from steepest.core.record import replace
    from steepest.engine.settings import Settings

    table, settings = SICK["learning_rate_too_large"](load("wine"), np.random.default_rng(3))
    found = trained(table, settings, 3).diagnose()
    assert found[0].code == "learning_rate_too_large"
    for change in found[0].changes:
        replace(Settings(), **change)
    better = dict(settings) | found[0].changes[0]
    assert "learning_rate_too_large" not in trained(table, better, 3).diagnose(deep=False).codes
