import jax
import jax.numpy as jnp
import numpy as np
import pytest

from steepest.core import tree as trees
from steepest.core.errors import UsageError
from steepest.core.record import from_dict, to_dict
from steepest.models import Tree, TreeEnsemble
from steepest.models.tree import entmax, leaf_shares

torch = pytest.importorskip("torch")
RNG = np.random.default_rng(0)
X = RNG.normal(size=(12, 4))


def hardened(z, dim):
    soft = torch.softmax(z, dim)
    hard = torch.nn.functional.one_hot(soft.argmax(dim), z.shape[dim]).movedim(-1, dim)
    return soft - (soft - hard).detach()


def products(left, depth):
    """The share of each leaf as the papers write it: a product over the nodes of its path."""
    leaves = []
    for leaf in range(2**depth):
        share, node = 1.0, 0
        for level in range(depth):
            right = leaf >> (depth - 1 - level) & 1
            share = share * ((1 - left[..., node]) if right else left[..., node])
            node = 2 * node + 1 + right
        leaves.append(share)
    return torch.stack(leaves, dim=-1)


def of_torch(model, p, allowed, x):
    if getattr(model, "splits", "axis") == "oblique":
        left = torch.sigmoid(x @ p["weight"].T + p["bias"])
    else:
        logits = p["feature"]
        if allowed is not None:
            logits = torch.where(torch.tensor(allowed) > 0, logits, -torch.inf)
        one = hardened(logits, -1)
        gap = (one * p["threshold"]).sum(-1) - torch.einsum("bn,...n->b...", x, one)
        soft = (torch.nn.functional.softsign(gap) + 1) / 2
        left = soft - (soft - (gap >= 0).double()).detach()
    share = products(left.movedim(1, -1), model.depth)
    if allowed is None:
        return share @ p["leaf"]
    counts = torch.softmax(torch.einsum("bel,le->be", share, p["weight"]), dim=-1)
    return torch.einsum("bel,be,lec->bc", share, counts, p["leaf"])


MODELS = [
    Tree(3),
    Tree(1),
    Tree(2, splits="oblique"),
    TreeEnsemble(trees=5, depth=2, features=0.5),
]


@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_outputs_and_gradients_are_those_of_the_papers(model, x64):
    model = model.bind((12,), 3)
    x = RNG.normal(size=(9, 12))
    params, buffers = model.init(jax.random.key(1))
    params = {k: a + 0.3 * RNG.normal(size=a.shape) for k, a in params.items()}
    pull = RNG.normal(size=(9, 3))
    theirs = {k: torch.tensor(np.asarray(a), requires_grad=True) for k, a in params.items()}
    allowed = np.asarray(buffers["allowed"]) if buffers else None
    out = of_torch(model, theirs, allowed, torch.tensor(x))
    out.backward(torch.tensor(pull))

    def total(params):
        y, _ = model.forward(params, buffers, jnp.asarray(x), train=True)
        return jnp.sum(y * pull), y

    (_, ours), gradient = jax.jit(jax.value_and_grad(total, has_aux=True))(params)
    np.testing.assert_allclose(ours, out.detach(), rtol=1e-9, atol=1e-12)
    for name, g in gradient.items():
        np.testing.assert_allclose(g, theirs[name].grad, rtol=1e-6, atol=1e-10)
        assert np.any(np.asarray(g) != 0)


def test_a_tree_decides_hard():
    model = Tree(4).bind((4,), 2)
    params, _ = model.init(jax.random.key(0))
    found = model.forward(params, (), jnp.asarray(X, jnp.float32))[0]
    feature = np.argmax(params["feature"], axis=-1)
    for x, y in zip(X.astype(np.float32), np.asarray(found), strict=True):
        node = 0
        while node < 15:
            j = feature[node]
            node = 2 * node + (1 if x[j] <= params["threshold"][node, j] else 2)
        np.testing.assert_array_equal(y, params["leaf"][node - 15])


def test_a_value_on_the_threshold_goes_left():
    model = Tree(1).bind((1,), 1)
    params = {"feature": jnp.zeros((1, 1)), "threshold": jnp.ones((1, 1)),
              "leaf": jnp.asarray([[5.0], [7.0]])}  # fmt: skip
    x = jnp.asarray([[1.0], [np.nextafter(np.float32(1), np.float32(2))]], jnp.float32)
    assert model.forward(params, (), x)[0].ravel().tolist() == [5.0, 7.0]


def test_shares_of_a_soft_tree_sum_to_one():
    shares = leaf_shares(jnp.asarray(RNG.uniform(size=(7, 6)), jnp.float32))
    assert shares.shape == (8, 6)
    np.testing.assert_allclose(shares.sum(axis=0), 1, rtol=1e-6)


def by_sorting(z):
    """1.5-entmax by the sort of Peters et al. (2019), algorithm 2."""
    z = np.sort(z / 2)[::-1]
    for k in range(len(z), 0, -1):
        mean = z[:k].mean()
        left = 1 - ((z[:k] - mean) ** 2).sum()
        if left >= 0 and mean - np.sqrt(left / k) <= z[k - 1]:
            return mean - np.sqrt(left / k)
    raise AssertionError("no support")


@pytest.mark.parametrize("size", [1, 2, 7, 300])
@pytest.mark.parametrize("spread", [0.0, 0.05, 3.0, 100.0])
def test_entmax_is_that_of_sorting(size, spread, x64):
    z = spread * np.random.default_rng(size).normal(size=size)
    p = np.asarray(entmax(jnp.asarray(z)))
    expected = np.maximum(z / 2 - by_sorting(z), 0) ** 2
    np.testing.assert_allclose(p, expected, rtol=1e-8, atol=1e-12)
    assert p.sum() == pytest.approx(1, abs=1e-12)


def test_derivatives_of_entmax_are_those_of_its_root(x64):
    z = jnp.asarray([[0.4, -0.1], [0.1, 2.0], [-3.0, 0.3]])
    pull = jnp.asarray(RNG.normal(size=z.shape))
    gradient = jax.grad(lambda z: jnp.sum(entmax(z) * pull))(z)
    step = 1e-6
    for place in np.ndindex(z.shape):
        a, b = (jnp.sum(entmax(z.at[place].add(s * step)) * pull) for s in (1, -1))
        assert float(gradient[place]) == pytest.approx(float(a - b) / (2 * step), abs=1e-6)


def test_the_choice_is_soft_in_its_derivatives_alone(x64):
    a, b = (Tree(3, choice=c).bind((4,), 2) for c in ("softmax", "entmax"))
    params, _ = a.init(jax.random.key(3))

    def total(params, model):
        return jnp.sum(model.forward(params, (), X)[0] ** 2)

    both = jax.jit(jax.value_and_grad(total))
    (u, g), (v, h) = both(params, a), both(params, b)
    assert u == v
    np.testing.assert_array_equal(g["leaf"], h["leaf"])
    assert np.any(g["feature"] != h["feature"])


def test_trees_see_their_share_of_the_features_and_weigh_themselves():
    model = TreeEnsemble(trees=6, depth=2, features=0.5).bind((40,), 3)
    params, buffers = model.init(jax.random.key(0))
    assert buffers["allowed"].sum(axis=-1).tolist() == [20.0] * 6
    chosen = np.argmax(model.logits(params, buffers), axis=-1)
    assert np.take_along_axis(np.asarray(buffers["allowed"]), chosen.T, axis=-1).all()
    x = jnp.asarray(RNG.normal(size=(5, 40)), jnp.float32)
    weights = jax.jit(lambda: model.weights(params, model.shares(params, buffers, x)))()
    np.testing.assert_allclose(weights.sum(axis=0), 1, rtol=1e-6)
    assert len(np.unique(weights[0])) > 1


def test_dropout_leaves_trees_out_in_training_alone():
    model = TreeEnsemble(trees=6, depth=2, dropout=0.5).bind((4,), 2)
    assert model.uses_key
    assert not TreeEnsemble(dropout=0).uses_key
    params, buffers = model.init(jax.random.key(0))
    x = jnp.asarray(X, jnp.float32)
    key = jax.random.key(1)

    @jax.jit
    def all_ways():
        return [
            model.forward(params, buffers, x, *how, train=train)[0]
            for how in ((), (key,))
            for train in (False, True)
        ]

    plain, without_key, predicting, training = all_ways()
    np.testing.assert_array_equal(plain, without_key)
    np.testing.assert_array_equal(plain, predicting)
    assert np.any(plain != training)


@pytest.mark.parametrize("double", [False, True])
@pytest.mark.parametrize("model", MODELS, ids=repr)
def test_dtype_is_that_of_the_run_and_runs_stack(model, double):
    with jax.enable_x64(double):
        model = model.bind((2, 2), 3)
        x = jnp.asarray(X.reshape(-1, 2, 2), jnp.zeros(()).dtype)

        def outputs(keys):
            params, buffers = jax.vmap(model.init)(keys)
            return jax.vmap(lambda p, b: model.forward(p, b, x)[0])(params, buffers), params

        # Shapes and number types are known without compiling anything.
        out, params = jax.eval_shape(outputs, jax.random.split(jax.random.key(0), 2))
        assert out.shape == (2, 12, 3)
        assert {a.dtype for a in trees.leaves((params, out))} == {jnp.zeros(()).dtype}
        assert from_dict(to_dict(model)) == model
        mask = model.decay_mask(params)
        assert mask["leaf"]
        assert not mask.get("feature", False)


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: Tree(0), "depth must be a whole number from 1 to 14, got 0"),
        (lambda: Tree(2.0), "depth"),
        (lambda: TreeEnsemble(depth=15), "depth"),
        (lambda: Tree(splits="diagonal"), "splits='diagonal' is not known"),
        (lambda: Tree(choice="argmax"), "choice"),
        (lambda: TreeEnsemble(trees=0), "trees must be a positive whole number"),
        (lambda: TreeEnsemble(features=0), "share above 0"),
        (lambda: TreeEnsemble(dropout=1.0), "dropout"),
    ],
)
def test_what_cannot_work_is_refused(make, said):
    with pytest.raises(UsageError, match=said):
        make()
