"""Trained models as `steepest train` leaves them, for the commands that use one."""

import numpy as np
import polars as pl
import pytest

from steepest.engine.result import Fits
from steepest.engine.train import train
from steepest.store import run_directory


@pytest.fixture(scope="session")
def shop(tmp_path_factory):
    """(directory of a run, its file): classes from two numbers and a category."""
    folder = tmp_path_factory.mktemp("shop")
    rng = np.random.default_rng(0)
    size, colour = rng.normal(size=60), rng.choice(["red", "blue"], 60)
    sold = np.where(size + (colour == "red") > 0.5, "yes", "no")
    rows = {"size": size, "price": rng.normal(size=60), "colour": colour, "sold": sold}
    pl.DataFrame(rows).write_csv(folder / "shop.csv")
    file = str(folder / "shop.csv")
    fit = train("mlp", file, hidden=(8,), epochs=3, learning_rate=0.01)
    data = {"name": "shop.csv", "fingerprint": {"path": file, "size": 1, "sha256": "ab" * 32}}
    run_directory.write(folder / "run", Fits([fit], 0.1), data)
    return folder / "run", folder / "shop.csv"


@pytest.fixture(scope="session")
def slope(tmp_path_factory):
    """(directory of a run, its file): two numbers from one."""
    folder = tmp_path_factory.mktemp("slope")
    x = np.linspace(-1, 1, 40)
    pl.DataFrame({"x": x, "up": 3 * x, "down": 5 - x}).write_csv(folder / "slope.csv")
    file = str(folder / "slope.csv")
    fit = train(
        "linear", file, batch_size="full", epochs=3, learning_rate=0.1, optimizer="sgd",
        data_options={"target": ("up", "down")},
    )  # fmt: skip
    run_directory.write(folder / "run", Fits([fit], 0.1), {"name": "slope.csv"})
    return folder / "run", folder / "slope.csv"
