"""The automatic learning rate: exact where curvature decides, near the best where it is swept."""

import numpy as np
import pytest

from steepest.core.errors import UsageError
from steepest.core.record import replace
from steepest.engine.auto_rate import HIGHEST, LEAST, RATES, for_length, limit_at_start, tune_rate
from steepest.engine.settings import RECIPE, Settings
from steepest.engine.train import Prepared, train

RNG = np.random.default_rng(0)
X = RNG.standard_normal((120, 5)) @ np.diag([1, 1, 2, 3, 0.5])
Y = X @ RNG.standard_normal(5) + 0.1 * RNG.standard_normal(120)
FULL = Settings(model="linear", optimizer="gd", batch_size="full", epochs=100)


def spectrum(ready):
    """Eigenvalues of the Hessian of mean squared error with an intercept."""
    x = np.column_stack([ready.train.x, np.ones(len(ready.train.x))]).astype(float)
    return np.linalg.eigvalsh(2 * x.T @ x / len(x))


def test_least_squares_by_full_batches_needs_no_sweep():
    ready = Prepared((X, Y), FULL)
    values = spectrum(ready)
    tuned = tune_rate(ready, FULL)
    assert tuned.rate == pytest.approx(2 / (values[0] + values[-1]), rel=0.01)
    assert tuned.limit == pytest.approx(2 / values[-1], rel=0.01)
    assert len(tuned.rates) == 0
    assert "by curvature alone" in str(tuned)


@pytest.mark.parametrize(("optimizer", "factor"), [("momentum", 1.9), ("nesterov", 1.9 / 2.8)])
def test_momentum_takes_half_of_its_limit(optimizer, factor):
    settings = replace(FULL, optimizer=optimizer)
    ready = Prepared((X, Y), settings)
    top = spectrum(ready)[-1]
    tuned = tune_rate(ready, settings)
    assert tuned.limit == pytest.approx(2 * factor / top, rel=0.01)
    assert tuned.rate == pytest.approx(factor / top, rel=0.01)


@pytest.mark.slow
def test_a_sweep_is_bounded_reproducible_and_near_the_best():
    settings = Settings(hidden=(16,), optimizer="momentum", epochs=40)
    ready = Prepared("iris", settings)
    tuned = tune_rate(ready, settings)
    assert tuned.to_dict() == tune_rate(ready, settings).to_dict()
    assert tuned.rates.max() <= 2 * tuned.limit * 10**0.4
    assert tuned.losses.shape == (2 * RATES, 2)
    assert tuned.steps == LEAST
    # The run has 40 epochs of 4 steps, of which the sweep saw 24.
    assert tuned.rate == pytest.approx(tuned.best * (LEAST / 160) ** 0.5, rel=0.05)
    finite = np.isfinite(tuned.losses).all(axis=1)
    lowest = np.log(tuned.losses[finite]).mean(axis=1).min()
    chosen = int(np.argmin(np.abs(tuned.rates / tuned.best - 1)))
    assert np.log(tuned.losses[chosen]).mean() <= lowest + 0.5

    def end(rate):
        return train("mlp", "iris", settings=replace(settings, learning_rate=rate)).train["loss"]

    assert end(tuned.rate) < 0.5 * end(tuned.rate / 1000)


def test_at_most_a_fifth_of_the_budget():
    settings = Settings(hidden=(4,), optimizer="sgd", epochs=2000, batch_size=16)
    ready = Prepared("iris", settings)
    tuned = tune_rate(ready, replace(settings, epochs=2000))
    assert 0.1 < tuned.spent <= 0.2
    assert tuned.steps > LEAST


@pytest.mark.slow
def test_train_takes_auto_and_keeps_the_rest_of_the_recipe():
    fit = train("mlp", "iris", learning_rate="auto", epochs=10)
    assert fit.tuned.rate == fit.settings.learning_rate
    assert fit.settings.schedule == "cosine"
    assert fit.settings.dropout == RECIPE["dropout"]
    again = train("mlp", "iris", settings=fit.settings)
    np.testing.assert_array_equal(fit.w, again.w)
    assert train("mlp", "iris", learning_rate=0.1, epochs=1).tuned is None


def test_rules_without_a_limit_are_swept_from_the_top():
    settings = Settings(hidden=(8,), optimizer="signsgd", epochs=5)
    ready = Prepared("iris", settings)
    assert limit_at_start(ready, settings) is None
    tuned = tune_rate(ready, settings)
    assert tuned.rates[0] == HIGHEST
    assert 1e-4 < tuned.rate < 1


def test_a_longer_run_takes_a_lower_rate_but_not_without_noise():
    settings = Settings(model="linear", optimizer="sgd", epochs=25, batch_size=12)
    ready = Prepared((X, Y), replace(settings, validation=0.0, test=0.0))
    assert for_length(ready, settings, 250) == 1.0
    assert for_length(ready, settings, 10) == pytest.approx(0.2)
    assert for_length(ready, replace(settings, batch_size="full"), 5) == 1.0


@pytest.mark.parametrize(("changes", "words"), [
    ({"learning_rate": "fast"}, "learning_rate='fast' must be a number or 'auto'"),
    ({"learning_rate": "auto", "optimizer": "lbfgs", "batch_size": "full"}, "its own step length"),
])  # fmt: skip
def test_what_cannot_be_found_is_refused(changes, words):
    with pytest.raises(UsageError, match=words):
        train("linear", "iris", epochs=2, **changes)
