import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import sklearn.metrics

from steepest.core.errors import DataError, UsageError
from steepest.core.record import from_dict, to_dict
from steepest.objectives import (
    LOSSES,
    BinaryLogLoss,
    Custom,
    EpsilonInsensitive,
    Hinge,
    Huber,
    LogLoss,
    Poisson,
    Quantile,
    Squared,
    SquaredHinge,
    loss,
)

torch = pytest.importorskip("torch")
F = torch.nn.functional
RNG = np.random.default_rng(0)
ROWS = 9
LOGITS = RNG.normal(size=(ROWS, 4)) * 3
CLASSES = RNG.integers(0, 4, ROWS)
ONE = RNG.normal(size=(ROWS, 1)) * 2
BINARY = RNG.integers(0, 2, ROWS)
TWO = RNG.normal(size=(ROWS, 2)) * 2
LABELS = RNG.integers(0, 2, (ROWS, 2))
REAL = RNG.normal(size=(ROWS, 2)) * 2
COUNTS = RNG.poisson(2, (ROWS, 2))

# (loss, outputs, targets, the same in torch): rows of losses and their gradients must agree.
CASES = {
    "squared": (Squared(), TWO, REAL, lambda f, y: F.mse_loss(f, y, reduction="none").mean(1)),
    "absolute": (loss("absolute"), TWO, REAL, lambda f, y: (f - y).abs().mean(1)),
    "huber": (
        Huber(0.7), TWO, REAL, lambda f, y: F.huber_loss(f, y, reduction="none", delta=0.7).mean(1)
    ),
    "quantile": (
        Quantile(0.9), ONE, REAL[:, 0],
        lambda f, y: torch.where(y >= f[:, 0], 0.9 * (y - f[:, 0]), 0.1 * (f[:, 0] - y)),
    ),
    "epsilon": (
        EpsilonInsensitive(0.5), ONE, REAL[:, 0],
        lambda f, y: torch.clamp((f[:, 0] - y).abs() - 0.5, min=0),
    ),
    "poisson": (
        Poisson(), TWO, COUNTS,
        lambda f, y: F.poisson_nll_loss(f, y.double(), reduction="none").mean(1),
    ),
    "log_loss": (
        LogLoss(), LOGITS, CLASSES, lambda f, y: F.cross_entropy(f, y, reduction="none")
    ),
    "smoothed": (
        LogLoss(0.2), LOGITS, CLASSES,
        lambda f, y: F.cross_entropy(f, y, reduction="none", label_smoothing=0.2),
    ),
    "soft": (
        LogLoss(), LOGITS, scipy.special.softmax(RNG.normal(size=(ROWS, 4)), axis=1),
        lambda f, y: F.cross_entropy(f, y, reduction="none"),
    ),
    "binary": (
        BinaryLogLoss(), ONE, BINARY,
        lambda f, y: F.binary_cross_entropy_with_logits(f[:, 0], y.double(), reduction="none"),
    ),
    "binary smoothed": (
        BinaryLogLoss(0.2), ONE, BINARY,
        lambda f, y: F.binary_cross_entropy_with_logits(
            f[:, 0], 0.8 * y.double() + 0.1, reduction="none"
        ),
    ),
    "multilabel": (
        BinaryLogLoss(multilabel=True), TWO, LABELS,
        lambda f, y: F.binary_cross_entropy_with_logits(f, y.double(), reduction="none").mean(1),
    ),
    "hinge": (
        Hinge(), ONE, BINARY, lambda f, y: torch.clamp(1 - (2 * y - 1) * f[:, 0], min=0)
    ),
    "hinge, classes": (
        Hinge(), LOGITS, CLASSES,
        lambda f, y: torch.clamp(1 - (2 * F.one_hot(y, 4) - 1) * f, min=0).sum(1),
    ),
    "squared hinge": (
        SquaredHinge(), LOGITS, CLASSES,
        lambda f, y: torch.clamp(1 - (2 * F.one_hot(y, 4) - 1) * f, min=0).square().sum(1),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(CASES))
def test_rows_and_gradients_are_torchs(name, x64):
    ours, outputs, targets, theirs = CASES[name]
    f = torch.tensor(outputs, requires_grad=True)
    rows = theirs(f, torch.tensor(targets))
    rows.sum().backward()
    got = ours(jnp.asarray(outputs), jnp.asarray(targets))
    assert got.shape == (ROWS,)
    np.testing.assert_allclose(got, rows.detach(), rtol=1e-9, atol=1e-12)
    slope = jax.grad(lambda f: jnp.sum(ours(f, jnp.asarray(targets))))(jnp.asarray(outputs))
    np.testing.assert_allclose(slope, f.grad, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", sorted(CASES))
def test_gradients_are_finite_differences(name, x64):
    ours, outputs, targets, _ = CASES[name]
    y = jnp.asarray(targets)
    slope = jax.grad(lambda f: jnp.sum(ours(f, y)))(jnp.asarray(outputs))
    h = 1e-6
    for column in range(outputs.shape[1]):
        up, down = outputs.copy(), outputs.copy()
        up[:, column] += h
        down[:, column] -= h
        difference = (ours(jnp.asarray(up), y) - ours(jnp.asarray(down), y)) / (2 * h)
        np.testing.assert_allclose(slope[:, column], difference, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("name", sorted(CASES))
def test_float32_stays_float32(name):
    ours, outputs, targets, _ = CASES[name]
    y = jnp.asarray(targets, jnp.float32 if targets.dtype == float else jnp.int32)
    assert ours(jnp.asarray(outputs, jnp.float32), y).dtype == jnp.float32


@pytest.mark.parametrize("size", [1e4, 1e30])
def test_extreme_logits_do_not_overflow(size):
    f = jnp.array([[size, -size], [-size, size]], jnp.float32)
    y = jnp.array([0, 0])
    np.testing.assert_allclose(LogLoss()(f, y), [0, 2 * size], rtol=1e-6)
    np.testing.assert_allclose(BinaryLogLoss()(f[:, :1], 1 - y), [0, size], rtol=1e-6)
    for ours, outputs in ((LogLoss(), f), (BinaryLogLoss(), f[:, :1])):
        slope = jax.grad(lambda f, ours=ours: jnp.sum(ours(f, y)))(outputs)
        assert np.all(np.isfinite(slope))


def test_small_losses_keep_their_digits():
    f = jnp.array([[20.0, 0.0]], jnp.float32)
    exact = np.log1p(np.exp(-20.0))
    # Beside a logit of the class, log(1 + e^-20) is below the rounding of 1; softplus keeps it.
    np.testing.assert_allclose(BinaryLogLoss()(f[:, :1], jnp.array([1])), [exact], rtol=1e-5)


@pytest.mark.parametrize(("ours", "field", "values", "case"), [
    (LogLoss(), "label_smoothing", [0.0, 0.1, 0.5], "log_loss"),
    (Huber(), "delta", [0.1, 1.0, 3.0], "squared"),
    (Quantile(), "q", [0.1, 0.5, 0.9], "squared"),
    (EpsilonInsensitive(), "epsilon", [0.0, 0.2, 1.0], "squared"),
])  # fmt: skip
def test_settings_are_leaves_that_stack(ours, field, values, case):
    _, outputs, targets, _ = CASES[case]
    f, y = jnp.asarray(outputs, jnp.float32), jnp.asarray(targets)
    stacked = type(ours)(**{field: jnp.array(values)})
    got = jax.vmap(lambda one: one(f, y))(stacked)
    for value, rows in zip(values, got, strict=True):
        np.testing.assert_allclose(rows, type(ours)(**{field: value})(f, y), rtol=1e-5, atol=1e-6)
    assert np.ptp(np.sum(got, axis=1)) > 0.1


def test_quantile_and_huber_have_the_minimisers_of_scikit_learn(x64):
    y = np.sort(np.random.default_rng(3).gamma(1.0, size=101))
    grid = jnp.linspace(0, 5, 5001)

    def best(ours):
        total = jax.vmap(lambda c: jnp.sum(ours(jnp.full((101, 1), c), jnp.asarray(y))))(grid)
        return float(grid[jnp.argmin(total)])

    assert abs(best(Quantile(0.8)) - np.quantile(y, 0.8)) <= 1e-3
    assert abs(best(loss("absolute")) - np.median(y)) <= 1e-3
    assert abs(best(Squared()) - y.mean()) <= 1e-3
    pinball = sklearn.metrics.mean_pinball_loss(y, np.full(101, 1.3), alpha=0.8)
    ours = Quantile(0.8)(jnp.full((101, 1), 1.3), jnp.asarray(y))
    np.testing.assert_allclose(jnp.mean(ours), pinball, rtol=1e-12)


def test_predictions_and_probabilities(x64):
    f, g = jnp.asarray(LOGITS), jnp.asarray(ONE)
    np.testing.assert_array_equal(LogLoss().predict(f), LOGITS.argmax(1))
    np.testing.assert_allclose(LogLoss().probabilities(f), scipy.special.softmax(LOGITS, 1))
    np.testing.assert_array_equal(BinaryLogLoss().predict(g), ONE[:, 0] > 0)
    p = scipy.special.expit(ONE)
    np.testing.assert_allclose(BinaryLogLoss().probabilities(g), np.hstack([1 - p, p]))
    labels = BinaryLogLoss(multilabel=True)
    np.testing.assert_array_equal(labels.predict(jnp.asarray(TWO)), TWO > 0)
    np.testing.assert_allclose(
        labels.probabilities(jnp.asarray(TWO)), scipy.special.expit(TWO), rtol=1e-12
    )
    np.testing.assert_array_equal(Hinge().predict(f), LOGITS.argmax(1))
    np.testing.assert_allclose(Poisson().predict(g), np.exp(ONE[:, 0]))
    assert Squared().predict(jnp.asarray(TWO)).shape == (ROWS, 2)
    with pytest.raises(UsageError, match="Hinge gives no probabilities"):
        Hinge().probabilities(f)


def test_outputs_needed():
    assert [LogLoss().outputs_for(n) for n in (1, 2, 5)] == [2, 2, 5]
    assert [Hinge().outputs_for(n) for n in (2, 5)] == [1, 5]
    assert BinaryLogLoss().outputs_for(2) == 1
    assert BinaryLogLoss(multilabel=True).outputs_for(2) == 2
    assert Squared().outputs_for(3) == 3
    with pytest.raises(UsageError, match="two classes, got 3; use log_loss"):
        BinaryLogLoss().outputs_for(3)


def added(ours, outputs, targets, weight, centre=0.0, blocks=3):
    """Sums over blocks of rows, padded with rows of weight 0 that hold nonsense."""
    total = None
    for rows in np.array_split(np.arange(len(targets)), blocks):
        pad = ((0, 1),) + ((0, 0),) * (outputs.ndim - 1)
        f = np.pad(outputs[rows], pad, constant_values=outputs.max())
        y = np.pad(targets[rows], pad[: targets.ndim], mode="edge")
        w = np.append(weight[rows], 0)
        sums = ours.sums(jnp.asarray(f), jnp.asarray(y), jnp.asarray(w), centre)
        total = sums if total is None else jax.tree.map(lambda a, b: a + b, total, sums)
    return total


@pytest.mark.parametrize("ours", [Squared(), Huber(), Poisson()])
@pytest.mark.parametrize("width", [1, 2])
def test_regression_scores_are_scikit_learns(ours, width, x64):
    w = RNG.uniform(0.5, 2, ROWS)
    y = REAL[:, 0] if width == 1 else REAL
    f = TWO[:, :width]
    scores = ours.metrics(added(ours, f, y, w))
    p = np.asarray(ours.predict(jnp.asarray(f)))
    np.testing.assert_allclose(
        scores["r2"], sklearn.metrics.r2_score(y, p, sample_weight=w), rtol=1e-10
    )
    mse = sklearn.metrics.mean_squared_error(y, p, sample_weight=w)
    np.testing.assert_allclose(scores["rmse"], np.sqrt(mse), rtol=1e-10)
    mean = np.average(ours(jnp.asarray(f), jnp.asarray(y)), weights=w)
    np.testing.assert_allclose(scores["loss"], mean, rtol=1e-10)


def test_r2_of_targets_far_from_zero_in_float32():
    rng = np.random.default_rng(5)
    y = (1e6 + rng.integers(-8, 8, 400)).astype(np.float32)
    f = (y + rng.integers(-2, 2, 400)).astype(np.float32)[:, None]
    exact = sklearn.metrics.r2_score(y.astype(float), f.astype(float))
    sums = added(Squared(), f, y, np.ones(400, np.float32), centre=1e6)
    np.testing.assert_allclose(Squared().metrics(sums)["r2"], exact, rtol=1e-5)


def test_r2_of_constant_targets_as_in_scikit_learn():
    y, w = np.full(7, 0.1, np.float32), np.ones(7, np.float32)
    for f, expected in ((y, 1.0), (y + 1, 0.0)):
        half = np.full(7, 0.5)  # of 0.1, rounding makes scikit-learn's own score -1.8e16
        assert sklearn.metrics.r2_score(half, half + (f - y)) == expected
        assert Squared().metrics(added(Squared(), f[:, None], y, w))["r2"] == expected


@pytest.mark.parametrize("name", ["log_loss", "soft", "binary", "hinge", "multilabel"])
def test_accuracy_is_scikit_learns(name, x64):
    ours, outputs, targets, _ = CASES[name]
    w = RNG.uniform(0.5, 2, ROWS)
    hard = targets.argmax(1) if name == "soft" else targets
    p = np.asarray(ours.predict(jnp.asarray(outputs)))
    expected = sklearn.metrics.accuracy_score(hard, p, sample_weight=w)
    scores = ours.metrics(added(ours, outputs, targets, w))
    np.testing.assert_allclose(scores["accuracy"], expected, rtol=1e-12)


def test_metrics_of_stacked_sums_and_of_nothing():
    ours, outputs, targets, _ = CASES["squared"]
    one = added(ours, outputs, targets, np.ones(ROWS))
    host = jax.tree.map(lambda a: np.stack([np.asarray(a, np.float64)] * 3), one)
    scores = ours.metrics(host)
    for name, value in ours.metrics(one).items():
        assert scores[name].shape == (3,)
        assert scores[name].dtype == np.float64
        np.testing.assert_allclose(scores[name], value, rtol=1e-5)
    nothing = added(ours, outputs, targets, np.zeros(ROWS))
    assert np.all(np.isfinite(jax.tree.leaves(ours.metrics(nothing))))


def test_targets_are_checked():
    with pytest.raises(DataError, match="class indices 0 to 2, got values from 0 to 3"):
        LogLoss().check(np.array([0, 3]), 3)
    with pytest.raises(DataError, match="NaN or infinite"):
        Squared().check(np.array([0.0, np.nan]), 1)
    with pytest.raises(DataError, match="at least 0, got -1"):
        Poisson().check(np.array([1, -1]), 1)
    with pytest.raises(DataError, match="class indices 0 to 1"):
        BinaryLogLoss().check(np.array([-1, 1]), 2)
    for ours, y in ((LogLoss(), [0, 1]), (Poisson(), [0, 3]), (BinaryLogLoss(), [0, 1])):
        ours.check(np.array(y), 2)
    with pytest.raises(UsageError, match=r"outputs have shape \(9, 2\) and the targets \(9,\)"):
        Squared()(jnp.asarray(TWO), jnp.asarray(REAL[:, 0]))


def test_custom_losses():
    def log_cosh(f, y):
        return jnp.log(jnp.cosh(f[:, 0] - y))

    ours = loss(log_cosh)
    f, y = jnp.asarray(ONE, jnp.float32), jnp.asarray(REAL[:, 0], jnp.float32)
    np.testing.assert_allclose(ours(f, y), np.log(np.cosh(ONE[:, 0] - REAL[:, 0])), rtol=1e-4)
    assert ours.task == "regression"
    assert set(ours.metrics(ours.sums(f, y, jnp.ones(ROWS)))) == {"loss", "r2", "rmse"}
    classes = loss(lambda f, y: LogLoss()(f, y), kind="classification")
    sums = classes.sums(jnp.asarray(LOGITS, jnp.float32), jnp.asarray(CLASSES), jnp.ones(ROWS))
    assert set(classes.metrics(sums)) == {"loss", "accuracy"}
    with pytest.raises(UsageError, match="one number a row"):
        Custom(lambda f, y: jnp.mean(f))(f, y)


def test_losses_by_name():
    assert loss("huber", delta=2.0) == Huber(2.0)
    assert loss(Huber(), delta=2.0) == Huber(2.0)
    with pytest.raises(UsageError, match="did you mean 'log_loss'"):
        loss("logloss")
    with pytest.raises(UsageError, match="delta must be above 0, got 0"):
        loss("huber", delta=0)
    with pytest.raises(UsageError, match="has no setting 'label_smoothing'"):
        loss("squared", label_smoothing=0.1)
    for name, kind in LOSSES.items():
        assert from_dict(to_dict(loss(name))) == kind()
        assert kind().task in ("classification", "regression")


def test_binary_log_loss_is_two_class_log_loss(x64):
    two = jnp.concatenate([jnp.zeros((ROWS, 1)), jnp.asarray(ONE)], axis=1)
    y = jnp.asarray(BINARY)
    np.testing.assert_allclose(LogLoss(0.1)(two, y), BinaryLogLoss(0.1)(two[:, 1:], y), rtol=1e-10)
