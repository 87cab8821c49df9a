"""Decision trees learned by gradient descent: one tree, or an ensemble with weights by row."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from steepest.core.errors import UsageError
from steepest.core.record import number, record, set_field, static
from steepest.models import layers
from steepest.models.sizes import fill_sizes, flatten_rows, need_sizes, normal_size

Array = Any
SPREAD = 0.05
"""Standard deviation of what is drawn at the start, as in both papers' code."""
DEEPEST = 14
"""A complete tree of this depth has 16,384 leaves; its arrays double with every further level."""
NEWTON_STEPS = 10
RATES = {
    "axis": {"feature": 0.3, "threshold": 0.1, "leaf": 0.3},
    "oblique": {"weight": 0.003, "bias": 0.003, "leaf": 0.003},
}
"""Learning rates for Adam that suit a single tree, by its splits and the names of its weights. A
hard tree must be shaken to find other splits; a soft one is smooth, and learns noise by heart where
it is pushed. Chosen on the five bundled sets."""


@jax.custom_jvp
def entmax(z: Array) -> Array:
    """The 1.5-entmax of `z` along its last axis: p_i = max(z_i / 2 - tau, 0)^2, with sum p = 1.

    A softmax with exact zeros. tau is the root of a convex, falling function of one variable, found
    by Newton's method from below, which cannot overshoot; sorting, the usual way, compiles slowly.

    Peters, Niculae and Martins, "Sparse sequence-to-sequence models" (2019), eq. 13.

    >>> [round(float(p), 3) for p in entmax(jnp.asarray([2.0, 1.0, -1.0]))]
    [0.831, 0.169, 0.0]
    """
    z = (z - jnp.max(z, axis=-1, keepdims=True)) / 2
    # Two lower bounds of the root: p_max <= 1, and the mean of p is at least its mean root squared.
    tau = jnp.maximum(-1.0, jnp.mean(z, axis=-1, keepdims=True) - z.shape[-1] ** -0.5)
    for _ in range(NEWTON_STEPS):
        gap = jnp.maximum(z - tau, 0)
        excess = jnp.sum(gap**2, axis=-1, keepdims=True) - 1
        tau = tau + excess / (2 * jnp.sum(gap, axis=-1, keepdims=True))
    p = jnp.maximum(z - tau, 0) ** 2
    return p / jnp.sum(p, axis=-1, keepdims=True)


@entmax.defjvp
def _entmax_jvp(primals, tangents):
    (z,), (dz,) = primals, tangents
    p = entmax(z)
    root = jnp.sqrt(p)
    mean = jnp.sum(root * dz, axis=-1, keepdims=True) / jnp.sum(root, axis=-1, keepdims=True)
    return p, root * (dz - mean)


CHOICES: dict[str, Callable] = {"entmax": entmax, "softmax": jax.nn.softmax}


def straight_through(hard: Array, soft: Array) -> Array:
    """The value of `hard`, exactly, with the derivatives of `soft` (Bengio et al. 2013)."""
    return jax.lax.stop_gradient(hard) + (soft - jax.lax.stop_gradient(soft))


def pick(logits: Array, choice: str) -> Array:
    """One 1 along the last axis, where the logit is largest; derivatives of `choice`."""
    hard = jax.nn.one_hot(jnp.argmax(logits, axis=-1), logits.shape[-1], dtype=logits.dtype)
    return straight_through(hard, CHOICES[choice](logits))


def is_left(gap: Array) -> Array:
    """Whether threshold - x >= 0, as 1 or 0; derivatives of (softsign(gap) + 1) / 2."""
    return straight_through((gap >= 0).astype(gap.dtype), (jax.nn.soft_sign(gap) + 1) / 2)


def leaf_shares(left: Array) -> Array:
    """(leaves, ...): the product along each path of `left`, or of 1 - `left`, (nodes, ...).

    Nodes are numbered level by level, the children of i being 2i + 1 (left) and 2i + 2; leaves from
    left to right. Level by level a row takes as many products as there are leaves, not as many as
    there are nodes on all paths.
    """
    share = jnp.ones((1, *left.shape[1:]), left.dtype)
    for level in range(_depth(left.shape[0])):
        here = left[2**level - 1 : 2 ** (level + 1) - 1]
        both = jnp.stack([share * here, share * (1 - here)], axis=1)
        share = both.reshape(2 ** (level + 1), *left.shape[1:])
    return share


def _depth(nodes: int) -> int:
    return (nodes + 1).bit_length() - 1


def check_depth(owner: str, depth: Any) -> int:
    """`depth` as a whole number from 1 to `DEEPEST`."""
    if isinstance(depth, bool) or not isinstance(depth, int) or not 1 <= depth <= DEEPEST:
        raise UsageError(
            f"{owner}: depth must be a whole number from 1 to {DEEPEST}, got {depth!r}."
        )
    return depth


@record
class Tree:
    """A complete binary tree of `depth` levels of splits; every leaf holds one row of outputs.

    With `splits="axis"` each node compares one feature with a threshold: row x goes left where
    x_j <= t_j, j the feature with the largest logit. Values are those of the hard tree; derivatives
    go straight through: that of picking the feature is that of `choice`, `softmax` or `entmax`;
    that of the comparison is that of (softsign(t_j - x_j) + 1) / 2. Marton, Luedtke, Bartelt and
    Stuckenschmidt, "GradTree: learning axis-aligned decision trees with gradient descent" (2024),
    section 3; softsign as in GRANDE (2024), eq. 7.

    With `splits="oblique"` a node sends the share sigmoid(x w + b) of a row left and the rest
    right, and the output is the mean of the leaves by share: a soft tree. Irsoy, Yildiz and
    Alpaydin, "Soft decision trees" (2012).

    Parameters are `{"feature": (nodes, inputs), "threshold": (nodes, inputs), "leaf": (leaves,
    outputs)}`, for oblique splits `weight` (nodes, inputs) and `bias` (nodes,) instead of the first
    two; nodes are numbered level by level. Inputs should be of the size of one (see
    `estimators.quantiles`). Optimizers may treat the three by name, see `optimizers.Groups`.

    Raises UsageError for a depth that is not a whole number from 1 to 14.

    >>> import jax
    >>> model = Tree(depth=2).bind(inputs=(4,), outputs=3)
    >>> params, buffers = model.init(jax.random.key(0))
    >>> {name: array.shape for name, array in params.items()}
    {'feature': (3, 4), 'threshold': (3, 4), 'leaf': (4, 3)}
    >>> model.forward(params, buffers, jax.numpy.ones((5, 4)))[0].shape
    (5, 3)
    """

    depth: int = static(default=5, help="levels of splits")
    splits: str = static(
        default="axis", choices=("axis", "oblique"), help="one feature, or a sum of all"
    )
    choice: str = static(
        default="softmax", choices=tuple(CHOICES), help="soft form of a feature's choice"
    )
    inputs: int | None = static(default=None, help="number of features; None: from the data")
    outputs: int | None = static(
        default=None, help="number of outputs; None: from the data and the loss"
    )

    def __post_init__(self):
        check_depth("Tree", self.depth)
        set_field(self, "inputs", normal_size("Tree", "inputs", self.inputs))
        set_field(self, "outputs", normal_size("Tree", "outputs", self.outputs))

    @property
    def uses_key(self) -> bool:
        """Whether training draws random numbers: never."""
        return False

    def bind(self, inputs: tuple[int, ...], outputs: int) -> Tree:
        """This model with its sizes filled in from the data."""
        return fill_sizes(self, inputs, outputs)

    def init(self, key: Array) -> tuple[Any, Any]:
        """(params, buffers); there are no buffers."""
        inputs, outputs = need_sizes(self)
        nodes = 2**self.depth - 1
        if self.splits == "oblique":
            shapes = {"weight": (nodes, inputs), "bias": (nodes,)}
            # A sum of many features is then as large as that of few.
            spread = {"weight": 1 / math.sqrt(inputs)}
        else:
            shapes = {"feature": (nodes, inputs), "threshold": (nodes, inputs)}
            spread = {"threshold": 0.5}
        shapes["leaf"] = (nodes + 1, outputs)
        return drawn(key, shapes, spread), ()

    def forward(self, params, buffers, x, key=None, train=False, weight=None):
        """(outputs, buffers)."""
        x = flatten_rows(x, params["leaf"].dtype)
        return leaf_shares(self.left(params, x)).T @ params["leaf"], buffers

    def left(self, params: Any, x: Array) -> Array:
        """The share of each row that each node sends left, (nodes, rows): 0 or 1 if not oblique."""
        # Rows stand last, so that all that is done for each of them runs over neighbours in memory.
        if self.splits == "oblique":
            return jax.nn.sigmoid(params["weight"] @ x.T + params["bias"][:, None])
        feature = pick(params["feature"], self.choice)
        threshold = jnp.sum(feature * params["threshold"], axis=-1)
        return is_left(threshold[:, None] - feature @ x.T)

    def decay_mask(self, params) -> Any:
        """Penalties apply to leaves, and to the weights of oblique splits."""
        return {name: name in ("leaf", "weight") for name in params}


def drawn(key: Array, shapes: dict, spread: dict) -> dict[str, Array]:
    """Normal numbers of these shapes, by name; deviation `SPREAD` where `spread` says no other."""
    dtype = layers.float_dtype()
    return {
        name: jnp.asarray(spread.get(name, SPREAD), dtype)
        * jax.random.normal(jax.random.fold_in(key, i), shape, dtype)
        for i, (name, shape) in enumerate(shapes.items())
    }


@record
class TreeEnsemble:
    """Axis-aligned trees that are trained together, and weigh themselves for each row.

    f(x) = sum_e softmax_e(w_e(x)) leaf_e(x): each tree e gives row x the outputs of the leaf that
    it falls in, and that leaf also says, by w_e, how much the tree counts for this row. Splits are
    those of `Tree`. Each tree sees the share `features` of the features, drawn at the start;
    `dropout` leaves trees out in training. Marton, Luedtke, Bartelt and Stuckenschmidt, "GRANDE:
    gradient-based decision tree ensembles for tabular data" (ICLR 2024), section 3, eq. 8.

    Parameters are `feature` and `threshold` (nodes, trees, inputs), `leaf` (leaves, trees,
    outputs), `weight` (leaves, trees); the buffer `allowed` (trees, inputs) holds the features of
    each tree.

    >>> import jax
    >>> model = TreeEnsemble(trees=8, depth=2).bind(inputs=(4,), outputs=3)
    >>> params, buffers = model.init(jax.random.key(0))
    >>> model.forward(params, buffers, jax.numpy.ones((5, 4)))[0].shape
    (5, 3)
    """

    trees: int = static(default=64, help="number of trees")
    depth: int = static(default=5, help="levels of splits of each tree")
    features: float = static(default=0.8, help="share of the features that each tree may use")
    dropout: float | None = number(
        default=None, least=0, below=1, optional=True, help="probability of leaving a tree out"
    )
    choice: str = static(
        default="softmax", choices=tuple(CHOICES), help="soft form of a feature's choice"
    )
    inputs: int | None = static(default=None, help="number of features; None: from the data")
    outputs: int | None = static(
        default=None, help="number of outputs; None: from the data and the loss"
    )

    def __post_init__(self):
        check_depth("TreeEnsemble", self.depth)
        for name in ("trees", "inputs", "outputs"):
            set_field(self, name, normal_size("TreeEnsemble", name, getattr(self, name)))
        if not isinstance(self.features, (int, float)) or not 0 < self.features <= 1:
            raise UsageError(
                f"TreeEnsemble: features must be a share above 0 and at most 1, "
                f"got {self.features!r}."
            )
        set_field(self, "dropout", layers.off_if_zero(self.dropout))

    @property
    def uses_key(self) -> bool:
        """Whether training draws random numbers: with dropout."""
        return self.dropout is not None

    def bind(self, inputs: tuple[int, ...], outputs: int) -> TreeEnsemble:
        """This model with its sizes filled in from the data."""
        return fill_sizes(self, inputs, outputs)

    def init(self, key: Array) -> tuple[Any, Any]:
        """(params, buffers), the features of each tree drawn without replacement."""
        inputs, outputs = need_sizes(self)
        nodes = 2**self.depth - 1
        shapes = {
            "feature": (nodes, self.trees, inputs),
            "threshold": (nodes, self.trees, inputs),
            "leaf": (nodes + 1, self.trees, outputs),
            "weight": (nodes + 1, self.trees),
        }
        params = drawn(key, shapes, {"threshold": 0.5})
        count = min(inputs, max(10, math.ceil(self.features * inputs)))
        # The features with the `count` largest of as many random numbers.
        luck = jax.random.uniform(jax.random.fold_in(key, len(shapes)), (self.trees, inputs))
        worst = jax.lax.top_k(luck, count)[0][:, -1:]
        return params, {"allowed": (luck >= worst).astype(params["leaf"].dtype)}

    def forward(self, params, buffers, x, key=None, train=False, weight=None):
        """(outputs, buffers)."""
        share = self.shares(params, buffers, x)
        weights = self.weights(params, share)
        if train and self.dropout is not None and key is not None:
            weights = layers.dropout(self.dropout, key, weights)
            total = jnp.sum(weights, axis=0)
            weights = weights / jnp.where(total > 0, total, 1)
        weighted = (share * weights).reshape(-1, len(x))
        return weighted.T @ params["leaf"].reshape(len(weighted), -1), buffers

    def shares(self, params: Any, buffers: Any, x: Array) -> Array:
        """The leaf of each row in each tree, (leaves, trees, rows): a 1 among zeros."""
        return leaf_shares(self.left(params, buffers, flatten_rows(x, params["leaf"].dtype)))

    def weights(self, params: Any, shares: Array) -> Array:
        """How much each tree counts for each row, (trees, rows)."""
        return jax.nn.softmax(jnp.sum(shares * params["weight"][..., None], axis=0), axis=0)

    def left(self, params: Any, buffers: Any, x: Array) -> Array:
        """Whether each node of each tree sends each row left, (nodes, trees, rows): 0 or 1."""
        feature = pick(self.logits(params, buffers), self.choice)
        threshold = jnp.sum(feature * params["threshold"], axis=-1)
        chosen = feature.reshape(-1, feature.shape[-1]) @ x.T
        return is_left(threshold[..., None] - chosen.reshape(*threshold.shape, len(x)))

    def logits(self, params: Any, buffers: Any) -> Array:
        """Those of the features, far below all others where a tree may not use a feature."""
        allowed = buffers["allowed"]
        return params["feature"] * allowed - 1e4 * (1 - allowed)

    def decay_mask(self, params) -> Any:
        """Penalties apply to the leaves."""
        return {name: name == "leaf" for name in params}
