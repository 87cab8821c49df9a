"""Curves that fall, settle, jump and turn, made by formulas."""

import numpy as np
import pytest

from steepest.diagnose.curve import Curve, curve, smooth, turn


def falling(rate, epochs=60, noise=0.0, floor=0.0, seed=0):
    """1 at the start, exp(-rate) after the last epoch."""
    rng = np.random.default_rng(seed)
    t = np.arange(1, epochs + 1) / epochs
    loss = floor + np.exp(-rate * t) * (1 + noise * rng.standard_normal(epochs))
    return Curve(np.arange(epochs), loss, 1.0)


@pytest.mark.parametrize(("rate", "low", "high"), [
    (0.1, 0.2, 0.27), (1.0, 0.1, 0.25), (6.0, 0.0, 0.03), (30.0, 0.0, 1e-6),
])  # fmt: skip
def test_the_share_that_falls_in_the_last_quarter(rate, low, high):
    assert low <= falling(rate).falling <= high


def test_noise_is_no_fall():
    settled = [falling(30, noise=0.0, floor=0.5, seed=s) for s in range(1)]
    assert settled[0].falling < 1e-6
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(200):
        loss = 0.5 + 0.05 * rng.standard_normal(60)
        shares.append(Curve(np.arange(60), loss, 1.0).falling)
    assert np.quantile(shares, 0.95) < 0.03
    assert falling(1.0, noise=0.05).falling > 0.08


def test_jumps_and_their_period():
    t = np.arange(40)
    bouncing = Curve(t, 1.0 + 0.4 * (-1.0) ** t, 1.0)
    assert bouncing.jumps == pytest.approx(0.8, rel=0.5)
    assert bouncing.period == 2
    assert falling(1.0).period is None
    assert falling(1.0).jumps < 0.05


def test_drop_start_and_end():
    one = falling(3.0)
    assert one.start == 1
    assert one.end == pytest.approx(np.exp(-2.7), rel=0.05)
    assert one.drop == pytest.approx(1 - one.end)
    assert one.lowest == pytest.approx(np.exp(-3.0), rel=0.06)


def test_epochs_are_preferred_and_steps_stand_in():
    steps = {"loss": np.linspace(4, 1, 100), "epoch": np.arange(100) / 10}
    short = curve(steps, {"epoch": np.arange(3), "train_loss": np.ones(3)})
    assert len(short.loss) == 40
    assert not short.by_epoch
    assert short.start == 4
    by_epoch = curve(steps, {"epoch": np.arange(10), "train_loss": np.linspace(3, 1, 10)})
    assert len(by_epoch.loss) == 10
    assert by_epoch.start == 4
    assert curve({"loss": np.array([1.0, np.nan])}, {}) is None


def test_the_turn_of_validation():
    epoch = np.arange(1, 41)
    held = 1 + 0.001 * (epoch - 15.0) ** 2
    found = turn({"epoch": epoch, "validation_loss": held, "train_loss": 2.0 / epoch})
    assert found.epoch == pytest.approx(15, abs=1)
    assert found.rise == pytest.approx(0.6, abs=0.1)
    assert found.train_now < 0.5 * found.train_then
    assert turn({"epoch": epoch, "train_loss": held}) is None
    assert turn({"epoch": epoch[:3], "validation_loss": held[:3], "train_loss": held[:3]}) is None


def test_the_running_median_drops_single_spikes():
    spiky = np.ones(9)
    spiky[4] = 100
    assert smooth(spiky).max() == 1


@pytest.mark.parametrize("period", [2, 5, 7])
def test_period_and_amplitude_of_a_wave(period):
    at = np.arange(80)
    wave = Curve(at, 2 - 0.001 * at + 0.3 * np.cos(2 * np.pi * at / period), 3.0)
    assert wave.period == period
    assert wave.amplitude == pytest.approx(0.3, rel=0.15)


def test_noise_and_lines_have_no_period():
    at, rng = np.arange(60), np.random.default_rng(0)
    assert Curve(at, 2 - 0.01 * at, 3.0).period is None
    waves = sum(Curve(at, rng.random(60), 3.0).period is not None for _ in range(100))
    assert waves <= 10


def test_spikes_do_not_make_a_curve_fall():
    rng = np.random.default_rng(1)
    flat = np.full(60, 0.5) + 0.02 * rng.standard_normal(60)
    flat[31] = flat[33] = 5.0
    assert Curve(np.arange(60), flat, 1.0).falling < 0.02
    falling = 1.0 - 0.01 * np.arange(60) + 0.02 * rng.standard_normal(60)
    falling[35] = 5.0
    assert Curve(np.arange(60), falling, 1.0).falling == pytest.approx(0.25, abs=0.08)


def test_coming_down_from_a_bad_start_is_no_progress():
    loss = 1.5 + 7 * 0.95 ** np.arange(60)
    found = Curve(np.arange(60), loss, 8.5)
    assert found.falling < 0.1
    assert found.fall(1.0, most=1.0) == 1.0
