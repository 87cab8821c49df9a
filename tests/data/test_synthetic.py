"""Synthetic sets lie on the curves that they are named after, and their options are checked."""

import numpy as np
import pytest

from steepest.core.errors import UsageError
from steepest.data import load


def test_moons_lie_on_half_circles():
    table = load("moons:n=500,noise=0")
    centres = np.where(table.y[:, None] == 1, [1.0, 0.5], [0.0, 0.0])
    offset = table.x - centres
    assert np.allclose(np.linalg.norm(offset, axis=1), 1)
    assert np.all(np.where(table.y == 1, -offset[:, 1], offset[:, 1]) >= 0)


def test_circles_have_their_radii():
    table = load("circles:noise=0,factor=0.3")
    assert np.allclose(np.linalg.norm(table.x, axis=1), np.where(table.y == 1, 0.3, 1.0))


def test_spirals_wind_with_the_radius():
    table = load("spirals:noise=0,classes=3,turns=2,n=600")
    radius = np.linalg.norm(table.x, axis=1)
    angle = np.arctan2(table.x[:, 1], table.x[:, 0])
    expected = 2 * np.pi * (2 * radius + table.y / 3)
    assert np.allclose(np.exp(1j * angle), np.exp(1j * expected))
    assert radius.max() <= 1


def test_blobs_have_the_deviation_asked_for():
    table = load("blobs:n=9000,classes=3,features=4,noise=0.5")
    assert table.x.shape == (9000, 4)
    for c in range(3):
        assert np.allclose(table.x[table.y == c].std(axis=0), 0.5, atol=0.03)


@pytest.mark.parametrize("name", ["moons", "circles", "spirals", "blobs"])
def test_seeded_and_balanced(name):
    a, b, c = (load(f"{name}:n=301,seed={s}") for s in (4, 4, 5))
    assert np.array_equal(a.x, b.x)
    assert not np.array_equal(a.x, c.x)
    assert np.ptp(np.bincount(a.y)) <= 1
    assert a.task == "classification"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("moons:n=x", "n='x' must be a whole number of at least 2"),
        ("moons:n=1", "at least 2"),
        ("moons:noise=-1", "noise='-1' must be a number of at least 0"),
        ("moons:noise=nan", "must be a number"),
        ("moons:noise", "is not an option of moons"),
        ("blobs:clases=3", "did you mean 'classes'"),
        ("blobs:n=3,classes=5", "at least the number of classes, 5"),
    ],
)
def test_options_are_checked(text, words):
    with pytest.raises(UsageError, match=words):
        load(text)
