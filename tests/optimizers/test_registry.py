import dataclasses

import optax
import pytest

from steepest.core.errors import UsageError
from steepest.core.types import Optimizer
from steepest.optimizers.adam import Adam
from steepest.optimizers.gradient_descent import GradientDescent
from steepest.optimizers.registry import OPTIMIZERS, optimizer
from steepest.optimizers.wrap import ClipByNorm, FromOptax
from steepest.schedules import Constant


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_name_makes_an_optimizer_with_its_defaults(name):
    made = optimizer(name)
    assert type(made) is OPTIMIZERS[name]
    assert isinstance(made, Optimizer)
    assert made == OPTIMIZERS[name]()
    for field in dataclasses.fields(made):
        assert field.metadata["help"] or field.metadata.get("choices"), field.name


def test_names_are_forgiving_and_settings_arrive():
    assert type(optimizer("SGD")) is GradientDescent
    assert type(optimizer("Sign-SGD")) is OPTIMIZERS["signsgd"]
    assert optimizer("adam", learning_rate=0.1, beta1=0.5) == Adam(0.1, beta1=0.5)


def test_objects_pass_through():
    method = ClipByNorm(Adam())
    assert optimizer(method) is method
    assert optimizer(Adam(), learning_rate=0.5).learning_rate == Constant(0.5)
    assert isinstance(optimizer(optax.adam(0.1)), FromOptax)
    assert optimizer(optax.adam, learning_rate=0.1).learning_rate == Constant(0.1)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: optimizer("nesterof"), "did you mean 'nesterov'"),
        (lambda: optimizer("adam", beta_1=0.9), "'adam' has no setting 'beta_1'; did you mean"),
        (lambda: optimizer("adam", beta1=1.0), "beta1 must be at least 0 and below 1, got 1"),
        (lambda: optimizer("adam", learning_rate=-1), "learning_rate must be above 0, got -1"),
        (lambda: optimizer("adamw", weight_decay=-1), "weight_decay must be at least 0"),
        (lambda: optimizer(Adam(), momentum=1), "Adam has no setting 'momentum'"),
        (lambda: optimizer(3), "neither a name, nor an optimizer"),
        (lambda: optimizer(None), "neither a name, nor an optimizer"),
        (lambda: optimizer(Adam), "neither a name, nor an optimizer"),
    ],
)
def test_refusals(call, message):
    with pytest.raises(UsageError, match=message):
        call()
