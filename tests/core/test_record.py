"""Records: validated when made by a person, transparent to JAX, the same after JSON."""

import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from steepest.core.errors import UsageError
from steepest.core.record import (
    from_dict,
    number,
    part,
    record,
    replace,
    set_field,
    static,
    swap,
    to_dict,
)


@record
class Inner:
    rate: float = number(default=0.5, above=0, most=1)


@record
class Outer:
    a: float = number(default=1.0, least=0, below=10)
    limit: float | None = number(default=None, optional=True)
    mode: str = static(default="slow", choices=("slow", "fast"))
    inner: Any = part(factory=Inner)
    sizes: tuple = static(default=())


@record
class Doubled:
    x: float = number(default=1.0, least=0)

    def __post_init__(self):
        set_field(self, "x", 2 * self.x)


class TestValidation:
    @pytest.mark.parametrize(
        ("make", "said"),
        [
            (lambda: Outer(a=-1), r"Outer: a must be at least 0 and below 10, got -1"),
            (lambda: Outer(a=10), "below 10, got 10"),
            (lambda: Outer(a=math.nan), "got nan"),
            (lambda: Outer(a="3"), "a must be a number, got '3'"),
            (lambda: Outer(a=True), "a must be a number, got True"),
            (lambda: Outer(a=None), "a must be a number, got None"),
            (lambda: Outer(a=np.array([1.0, 11.0])), "got 11.0"),
            (lambda: Inner(rate=0), "rate must be above 0 and at most 1, got 0"),
            (lambda: Outer(mode="fsat"), "mode='fsat' is not known; did you mean 'fast'"),
            (lambda: Outer(sizes=[1]), r"sizes=\[1\] must be hashable; give a tuple"),
            (lambda: Doubled(-1), "x must be at least 0, got -2"),
            (lambda: replace(Outer(), b=1), "Outer has no setting 'b'"),
            (lambda: replace(Outer(), a=-1), "got -1"),
        ],
    )
    def test_refused(self, make, said):
        with pytest.raises(UsageError, match=said):
            make()

    @pytest.mark.parametrize("a", [0, 9.5, np.float32(2), np.array([1.0, 2.0]), jnp.ones(3)])
    def test_accepted(self, a):
        assert Outer(a=a).a is a

    def test_own_post_init_runs_once(self):
        assert Doubled(3).x == 6

    def test_frozen(self):
        with pytest.raises(dataclasses.FrozenInstanceError):
            Outer().a = 2

    def test_replace_and_swap(self):
        one = Outer()
        assert replace(one, a=2.0) == Outer(a=2.0)
        assert swap(one, a=-5).a == -5
        assert one.a == 1.0


class TestTree:
    def test_leaves_are_the_numbers_and_nothing_else(self):
        assert jax.tree.leaves(Outer(a=2.0, mode="fast")) == [2.0, 0.5]

    def test_paths_are_named(self):
        paths, _ = jax.tree_util.tree_flatten_with_path(Outer())
        assert [jax.tree_util.keystr(p) for p, _ in paths] == [".a", ".inner.rate"]

    def test_static_fields_are_the_structure(self):
        assert jax.tree.structure(Outer(a=1)) == jax.tree.structure(Outer(a=2))
        assert jax.tree.structure(Outer()) != jax.tree.structure(Outer(mode="fast"))

    def test_another_number_never_recompiles_another_choice_does(self):
        traced = []

        @jax.jit
        def f(o):
            traced.append(o.mode)
            return jnp.asarray(o.a, jnp.float32) * jnp.asarray(o.inner.rate, jnp.float32)

        assert f(Outer(a=2.0)) == 1.0
        assert f(Outer(a=3.0, inner=Inner(1.0))) == 3.0
        assert traced == ["slow"]
        f(Outer(mode="fast"))
        assert traced == ["slow", "fast"]

    def test_vmap_over_stacked_numbers(self):
        stacked = Outer(a=jnp.arange(4.0), inner=Inner(jnp.full(4, 0.5)))
        out = jax.vmap(lambda o: o.a * o.inner.rate)(stacked)
        np.testing.assert_array_equal(out, [0.0, 0.5, 1.0, 1.5])

    def test_values_out_of_bounds_pass_through_transformations(self):
        # Gradients and differences of records are records too; bounds are for people's settings.
        out = jax.tree.map(lambda x: -x, Outer(a=2.0))
        assert (out.a, out.inner.rate) == (-2.0, -0.5)
        assert jax.grad(lambda o: -3.0 * o.a)(Outer(a=1.0)).a == -3.0

    def test_own_post_init_does_not_run_again(self):
        assert jax.tree.map(lambda x: x, Doubled(3)).x == 6


class TestText:
    def test_repr_shows_what_differs_from_the_defaults(self):
        assert repr(Inner()) == "Inner()"
        assert repr(Outer(a=2.0, mode="fast")) == "Outer(a=2.0, mode='fast', inner=Inner())"

    def test_repr_of_stacked_leaves(self):
        assert repr(Inner(np.array([0.5, 1.0]))) == "Inner(rate=array([0.5, 1. ]))"

    @pytest.mark.parametrize(
        "value", [Outer(), Outer(a=3, limit=-2.5, mode="fast", inner=Inner(0.25), sizes=(1, 2))]
    )
    def test_json_round_trip(self, value):
        import json

        data = json.loads(json.dumps(to_dict(value)))
        assert from_dict(data) == value

    def test_arrays_become_lists(self):
        assert to_dict(Outer(a=jnp.arange(2.0)))["a"] == [0.0, 1.0]
        assert to_dict({"x": np.float64(2)}) == {"x": 2.0}

    @pytest.mark.parametrize(
        ("data", "said"),
        [
            ({"kind": "Outr"}, "did you mean"),
            ({"kind": "os.system", "command": "ls"}, "kind 'os.system' is not known"),
            ({"kind": "Inner", "rat": 1}, "Inner has no setting 'rat'; did you mean 'rate'"),
            ({"kind": "Inner", "rate": 7}, "at most 1, got 7"),
        ],
    )
    def test_foreign_json_is_refused(self, data, said):
        with pytest.raises(UsageError, match=said):
            from_dict(data)

    def test_code_is_refused(self):
        with pytest.raises(UsageError, match="'<lambda>' is Python code"):
            to_dict(Outer(inner=lambda x: x))


class TestEquality:
    def test_by_value(self):
        assert Outer(a=np.ones(2)) == Outer(a=jnp.ones(2))
        assert Outer() != Outer(a=2.0)
        assert Outer() != Outer(mode="fast")
        assert Outer() != Inner()

    def test_not_hashable_since_leaves_may_be_arrays(self):
        with pytest.raises(TypeError):
            hash(Outer())
