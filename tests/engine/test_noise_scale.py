"""The gradient noise scale, against quadratics whose noise is known in closed form."""

import numpy as np
import pytest

from steepest.core.errors import UsageError
from steepest.data.dataset import Arrays
from steepest.engine.noise_scale import noise_scale
from steepest.engine.sharpness import Gradients, gradients
from steepest.models.custom import Custom
from steepest.objectives.objective import Objective


def centre(dimensions):
    """L(w) = mean_i |w - x_i|^2 / 2 as an objective: its gradient at row i is w - x_i."""
    import jax.numpy as jnp

    from steepest.objectives.loss import Custom as Loss

    model = Custom(lambda key: jnp.zeros(dimensions), lambda w, x: w - x)
    return Objective(model, Loss(lambda f, y: 0.5 * jnp.sum(f**2, axis=-1)))


def known(seed, rows=20_000, dimensions=8, shift=0.5):
    """Rows with covariance diag(1 ... d), and the noise scale at w = 0: tr(S) / |mean|^2."""
    rng = np.random.default_rng(seed)
    spread = np.sqrt(np.arange(1, dimensions + 1))
    x = (shift + rng.standard_normal((rows, dimensions)) * spread).astype(np.float32)
    mean = x.mean(axis=0, dtype=np.float64)
    exact = x.astype(np.float64).var(axis=0).sum() / (mean @ mean)
    return Arrays(x, np.zeros(rows, np.float32)), exact


@pytest.mark.parametrize("batch_size", [8, 64])
def test_the_noise_of_a_quadratic_is_found(batch_size):
    arrays, exact = known(0)
    w = np.zeros(8, np.float32)
    found = gradients(centre(8), w, arrays, batch_size=batch_size, count=256)
    scale = noise_scale(found, len(arrays.x))
    assert scale.value == pytest.approx(exact, rel=0.25)
    assert scale.low < exact < scale.high
    assert scale.trace == pytest.approx(36, rel=0.1)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(1)
    d, batch, m, mean = 20, 16, 32, 0.4
    exact = d / (d * mean**2)
    hits = 0
    for _ in range(400):
        g = mean + rng.standard_normal((m, d)) / np.sqrt(batch)
        scale = noise_scale(Gradients(g, batch))
        hits += scale.low <= exact <= scale.high
    # Fieller's interval of a ratio with independent ends is on the safe side of 95 %.
    assert hits >= 0.93 * 400


def test_over_seeds_of_the_draws_the_interval_holds_the_noise_of_a_quadratic():
    arrays, exact = known(5)
    w = np.zeros(8, np.float32)
    same = centre(8)  # a new one would compile anew
    drawn = [gradients(same, w, arrays, batch_size=16, count=32, seed=s) for s in range(60)]
    scales = [noise_scale(d, len(arrays.x)) for d in drawn]
    assert sum(s.low <= exact <= s.high for s in scales) >= 0.9 * 60
    # As unbiased as a ratio can be: the median over seeds is near, single ones are apart.
    values = np.array([s.value for s in scales])
    assert np.median(values) == pytest.approx(exact, rel=0.1)
    assert values.std() > 0.02 * exact


def test_drawing_without_replacement_is_undone():
    arrays, exact = known(2, rows=200)
    found = gradients(centre(8), np.zeros(8, np.float32), arrays, batch_size=100, count=400)
    with_it = noise_scale(found, 200).value
    without = noise_scale(found).value
    assert with_it == pytest.approx(exact, rel=0.15)
    assert without < 0.7 * exact


def test_no_gradient_means_no_bound():
    rng = np.random.default_rng(3)
    scale = noise_scale(Gradients(rng.standard_normal((16, 50)), 4))
    assert scale.high == np.inf
    assert scale.low > 4


def test_too_few_batches_are_refused():
    with pytest.raises(UsageError, match="at least 3 mini-batches, got 2"):
        noise_scale(Gradients(np.ones((2, 3)), 4))
    with pytest.raises(UsageError, match="batch_size must be at least 1"):
        gradients(centre(2), np.zeros(2), known(0, 10, 2)[0], batch_size=0)
