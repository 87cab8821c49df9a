"""Layer 1: models f_w(x), each a frozen record with `bind`, `init`, `forward`, `decay_mask`."""

from steepest.models.layers import ACTIVATIONS, INITIALIZERS
from steepest.models.linear import Linear
from steepest.models.mlp import MLP
from steepest.models.registry import MODELS, model

__all__ = ["ACTIVATIONS", "INITIALIZERS", "MLP", "MODELS", "Linear", "model"]
