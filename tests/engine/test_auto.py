"""Settings given as `auto`: the size of a batch in closed form, races that the better rule wins."""

import math

import numpy as np
import pytest

from steepest.core.errors import UsageError
from steepest.core.record import replace
from steepest.engine.auto import choose, take_auto
from steepest.engine.auto_batch import LARGEST, SMALLEST, best_size, tune_batch
from steepest.engine.auto_optimizer import tune_optimizer
from steepest.engine.auto_rate import LEAST, RATES, SEEDS
from steepest.engine.settings import Settings
from steepest.engine.train import Prepared, train

QUICK = Settings(model="linear", optimizer="sgd", epochs=30, batch_size=16)


@pytest.mark.parametrize("noise", [3.0, 40.0, 900.0, 2e4])
@pytest.mark.parametrize("overhead", [1.0, 20.0, 300.0])
def test_the_batch_that_reaches_a_loss_soonest(noise, overhead):
    sizes = 2.0 ** np.arange(3, 11)
    time = (1 + noise / sizes) * (overhead + sizes)
    assert best_size(noise, overhead, math.inf) == sizes[time.argmin()]


def test_no_gradient_means_the_largest_batch_that_is_allowed():
    assert best_size(math.inf, 1.0, 200.0) == 128
    assert best_size(math.inf, 1.0, 1e9) == LARGEST
    assert best_size(0.0, 1.0, 1e9) == SMALLEST


def test_a_batch_is_chosen_by_noise_and_time():
    ready = Prepared("iris", QUICK)
    found = tune_batch(ready, QUICK)
    assert found.size == best_size(found.noise.value, max(found.overhead, 1.0), found.cap)
    # 120 rows for 30 epochs give no thousand steps, so that the smallest size is all there is.
    assert found.cap == SMALLEST
    assert found.noise.trace > 0
    assert "gradient noise scale" in str(found)
    again = tune_batch(ready, QUICK)
    assert again.noise == found.noise


def test_the_better_rule_wins_the_race():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 2)) @ np.array([[1.0, 0.99], [0.99, 1.0]])
    y = x @ np.array([1.0, -1.0])
    settings = Settings(model="linear", batch_size="full", epochs=400, validation=0.0)
    race = tune_optimizer(Prepared((x, y), settings), settings, entrants=("sgd", "nesterov"))
    # Two columns that are nearly one: a condition number at which momentum pays.
    assert race.optimizer == "nesterov"
    ((steps, heats),) = race.rounds
    assert steps == LEAST
    assert [h.optimizer for h in heats] == ["nesterov", "sgd"]
    assert heats[0].losses.shape == (RATES, SEEDS)
    assert race.rate == heats[0].rate
    assert race.spent == pytest.approx(2 * RATES * SEEDS * steps / 400)


@pytest.mark.slow
def test_half_of_the_entrants_go_on():
    ready = Prepared("iris", QUICK)
    entrants = ("sgd", "signsgd", "momentum")
    race = tune_optimizer(ready, QUICK, entrants=entrants)
    (first, all_), (second, kept) = race.rounds
    assert second == 2 * first
    assert {h.optimizer for h in all_} == set(entrants)
    assert {h.optimizer for h in kept} == {h.optimizer for h in all_[:2]}
    assert race.optimizer == kept[0].optimizer
    assert race.to_dict() == tune_optimizer(ready, QUICK, entrants=entrants).to_dict()


def test_entrants_that_do_not_take_the_settings_stay_out():
    ready, settings = Prepared("iris", QUICK), replace(QUICK, momentum=0.8)
    race = tune_optimizer(ready, settings, entrants=("sgd", "momentum"))
    assert [h.optimizer for h in race.rounds[0][1]] == ["momentum"]
    with pytest.raises(UsageError, match="none of them takes these settings"):
        tune_optimizer(ready, settings, entrants=("sgd",))


@pytest.mark.slow
def test_train_chooses_all_three_and_says_so():
    fit = train("mlp", "iris", hidden=(8,), epochs=60, optimizer="auto", batch_size="auto")
    settings, chosen = fit.settings, fit.tuned
    assert (settings.optimizer, settings.learning_rate) == (chosen.optimizer, chosen.rate)
    assert settings.batch_size == chosen.batch_size
    assert settings.schedule == "cosine", "the rest of the recipe stays"
    assert set(fit.to_dict()["chosen"]) == {"batch_size", "optimizer"}
    again = train("mlp", "iris", settings=settings)
    np.testing.assert_array_equal(fit.w, again.w)


def test_nothing_asked_for_nothing_chosen():
    assert choose(None, QUICK, frozenset()) == (QUICK, None)
    assert "chosen" not in train("linear", "iris", learning_rate=0.1, epochs=1).to_dict()


@pytest.mark.parametrize(("given", "words"), [
    ({"learning_rate": "fast"}, "must be a number or 'auto'"),
    ({"optimizer": "auto", "learning_rate": 0.1}, "leave out learning_rate=0.1"),
])  # fmt: skip
def test_what_cannot_be_auto_is_refused(given, words):
    with pytest.raises(UsageError, match=words):
        take_auto(given)


def test_taken_out_of_what_was_given():
    given = {"optimizer": "auto", "learning_rate": "auto", "batch_size": 8}
    assert take_auto(given) == {"optimizer", "learning_rate"}
    assert given == {"batch_size": 8}
