"""Layer 1: models f_w(x), each a frozen record with `bind`, `init`, `forward`, `decay_mask`."""

from steepest.models.custom import Custom, from_equinox, from_flax, from_nnx
from steepest.models.embedding import Embedding
from steepest.models.layers import ACTIVATIONS, INITIALIZERS
from steepest.models.linear import Linear
from steepest.models.mlp import MLP
from steepest.models.registry import MODELS, model
from steepest.models.tree import Tree, TreeEnsemble

__all__ = [
    "ACTIVATIONS",
    "INITIALIZERS",
    "MLP",
    "MODELS",
    "Custom",
    "Embedding",
    "Linear",
    "Tree",
    "TreeEnsemble",
    "from_equinox",
    "from_flax",
    "from_nnx",
    "model",
]
