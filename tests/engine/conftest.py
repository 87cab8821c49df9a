"""Small data and specs that the engine's tests share."""

import pytest

from steepest.core.record import replace
from steepest.engine.settings import Settings
from steepest.engine.train import Prepared


@pytest.fixture(scope="session")
def settings():
    return Settings(hidden=(8,), batch_size=16, epochs=3, probes=("loss", "gradient_norm"))


@pytest.fixture(scope="session")
def iris(settings):
    return Prepared("iris", settings)


@pytest.fixture
def cells(iris, settings):
    """Specs that differ in the learning rate: `cells(0.1, 0.01)`."""

    def make(*rates, **changes):
        return [iris.spec(replace(settings, learning_rate=r, **changes)) for r in rates]

    return make
