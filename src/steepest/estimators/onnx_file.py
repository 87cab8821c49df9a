"""Fitted estimators as ONNX graphs, which other programs and languages run without JAX."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils.validation import check_is_fitted

from steepest.core.errors import MissingExtraError, UsageError
from steepest.models.mlp import MLP
from steepest.objectives.classification import BinaryLogLoss, LogLoss
from steepest.objectives.regression import Poisson

OPSET = 20
ACTIVATIONS: dict[str, tuple[str, dict[str, float]]] = {
    "sigmoid": ("Sigmoid", {}),
    "tanh": ("Tanh", {}),
    "relu": ("Relu", {}),
    "leaky_relu": ("LeakyRelu", {"alpha": 0.01}),
    "elu": ("Elu", {"alpha": 1.0}),
    "gelu": ("Gelu", {}),
    "softplus": ("Softplus", {}),
}
"""The operator of each activation, with its attributes; `identity` and `silu` are made by hand."""
EPSILON = 1e-5
"""That of both normalisations, as in `models.layers`."""


class Graph:
    """An ONNX graph under construction: nodes in order, and the numbers they use."""

    def __init__(self, dtype: str):
        try:
            from onnx import helper, numpy_helper
        except ImportError:
            raise MissingExtraError("onnx", "onnx", "Writing an ONNX file") from None
        self.helper, self.numpy_helper = helper, numpy_helper
        self.dtype = np.dtype(dtype)
        self.nodes: list[Any] = []
        self.numbers: list[Any] = []

    def constant(self, value: Any, dtype: Any = None) -> str:
        """An array that the graph holds; its name."""
        name = f"c{len(self.numbers)}"
        array = np.ascontiguousarray(np.asarray(value, dtype or self.dtype))
        self.numbers.append(self.numpy_helper.from_array(array, name))
        return name

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """A node; the name of its result."""
        name = attributes.pop("name", None) or f"n{len(self.nodes)}"
        self.nodes.append(self.helper.make_node(operator, list(inputs), [name], **attributes))
        return name

    def affine(self, x: str, weight: Any, bias: Any) -> str:
        """x W + b."""
        return self.add("Gemm", x, self.constant(weight), self.constant(np.ravel(bias)))


def save_onnx(path: str | os.PathLike[str], estimator: Any, dtype: str = "float32") -> None:
    """Write a fitted estimator as an ONNX file; see `Estimator.to_onnx`."""
    check_is_fitted(estimator)
    if dtype not in ("float32", "float64"):
        raise UsageError(f"dtype must be 'float32' or 'float64', got {dtype!r}.")
    graph = Graph(dtype)
    model = getattr(estimator, "_model", None)
    if isinstance(model, MLP):
        outputs = _perceptron(graph, estimator, model)
    elif hasattr(estimator, "coef_") and not hasattr(estimator, "_map"):
        outputs = _linear(graph, estimator)
    else:
        raise UsageError(
            f"{type(estimator).__name__} has no ONNX form here; linear models and perceptrons have."
        )
    several = outputs[1] == "multilabel"
    if is_classifier(estimator):
        outputs = _labels(graph, estimator, *outputs)
    _write(path, graph, estimator, outputs, several)


def _perceptron(graph: Graph, estimator: Any, model: MLP) -> tuple[str, str]:
    """The mean of all members, as (probabilities or values, of which kind)."""
    scaling = estimator._coding.scaling
    x = graph.add("Div", graph.add("Sub", "X", graph.constant(scaling.shift)),
                  graph.constant(scaling.scale))  # fmt: skip
    members = len(estimator._params["layers"][0]["bias"])
    found = [_member(graph, estimator, model, x, m) for m in range(members)]
    mean = graph.add("Mean", *found) if members > 1 else found[0]
    if is_classifier(estimator):
        return mean, "multilabel" if estimator._coding.target.multilabel else "probabilities"
    target = estimator._coding.target
    scaled = graph.add("Mul", mean, graph.constant(target.scale))
    return graph.add("Add", scaled, graph.constant(target.shift), name="prediction"), "prediction"


def _member(graph: Graph, estimator: Any, model: MLP, h: str, m: int) -> str:
    *hidden, last = estimator._params["layers"]
    for i, (layer, activation) in enumerate(zip(hidden, model.activations, strict=True)):
        h = graph.affine(h, layer["weight"][m], layer["bias"][m])
        if model.norm is not None:
            scale, shift = (graph.constant(layer["norm"][k][m]) for k in ("scale", "shift"))
            if model.norm == "layer":
                h = graph.add("LayerNormalization", h, scale, shift, epsilon=EPSILON)
            else:
                seen = estimator._buffers["norms"][i]
                mean, variance = (graph.constant(seen[k][m]) for k in ("mean", "variance"))
                h = graph.add("BatchNormalization", h, scale, shift, mean, variance,
                              epsilon=EPSILON)  # fmt: skip
        h = _activated(graph, activation, h)
    f = graph.affine(h, last["weight"][m], last["bias"][m])
    loss = estimator._loss
    if isinstance(loss, LogLoss):
        return graph.add("Softmax", f, axis=-1)
    if isinstance(loss, BinaryLogLoss):
        p = graph.add("Sigmoid", f)
        return p if loss.multilabel else _both(graph, p)
    if isinstance(loss, Poisson):
        return graph.add("Exp", f)
    if is_classifier(estimator):
        raise UsageError(f"loss={estimator.loss!r} gives no probabilities, which ONNX needs here.")
    return f


def _activated(graph: Graph, name: Any, h: str) -> str:
    if name == "identity":
        return h
    if name == "silu":
        return graph.add("Mul", h, graph.add("Sigmoid", h))
    if name not in ACTIVATIONS:
        raise UsageError(f"activation={name!r} has no ONNX form here; known: {sorted(ACTIVATIONS)}")
    operator, attributes = ACTIVATIONS[name]
    return graph.add(operator, h, **attributes)


def _linear(graph: Graph, estimator: Any) -> tuple[str, str]:
    weight = np.atleast_2d(estimator.coef_).T
    f = graph.affine("X", weight, np.broadcast_to(estimator.intercept_, weight.shape[1]))
    if not is_classifier(estimator):
        counts = type(estimator).__name__ == "PoissonRegressor"
        return graph.add("Exp" if counts else "Identity", f, name="prediction"), "prediction"
    if not hasattr(estimator, "predict_proba"):
        return f, "decision"
    if weight.shape[1] == 1:
        return _both(graph, graph.add("Sigmoid", f)), "probabilities"
    if hasattr(estimator, "t_"):
        # Each class against the rest, normalised.
        p = graph.add("Sigmoid", f)
        axes = graph.constant([1], np.int64)
        return graph.add("Div", p, graph.add("ReduceSum", p, axes, keepdims=1)), "probabilities"
    return graph.add("Softmax", f, axis=-1), "probabilities"


def _both(graph: Graph, p: str) -> str:
    """(1 - p, p)."""
    return graph.add("Concat", graph.add("Sub", graph.constant(1.0), p), p, axis=1)


def _labels(graph: Graph, estimator: Any, scores: str, kind: str) -> tuple[str, str]:
    """The label of each row from its scores, in a node `label`, with the scores beside it."""
    named = graph.add(
        "Identity", scores, name="decision" if kind == "decision" else "probabilities"
    )
    binary = kind == "decision" and len(estimator.classes_) == 2
    if kind == "multilabel" or binary:
        half = graph.constant(0.0 if kind == "decision" else 0.5)
        codes = graph.add("Cast", graph.add("Greater", scores, half), to=7)  # int64
        if kind == "multilabel":
            graph.add("Identity", codes, name="label")
            return "label", named
        codes = graph.add("Squeeze", codes, graph.constant([1], np.int64))
    else:
        codes = graph.add("ArgMax", scores, axis=1, keepdims=0)
    classes = np.asarray(estimator.classes_)
    whole = classes.dtype.kind in "biu"
    table = graph.constant(classes if whole else classes.astype(str).astype(object),
                           np.int64 if whole else object)  # fmt: skip
    graph.add("Gather", table, codes, name="label")
    return "label", named


def _write(
    path: Any, graph: Graph, estimator: Any, outputs: tuple[str, str], several: bool
) -> None:
    import onnx
    from onnx import TensorProto

    number = TensorProto.FLOAT if graph.dtype == np.float32 else TensorProto.DOUBLE
    kinds = {"prediction": number, "probabilities": number, "decision": number}
    if "label" in outputs:
        classes = np.asarray(estimator.classes_)
        kinds["label"] = TensorProto.INT64 if classes.dtype.kind in "biu" else TensorProto.STRING
    # Of one label a row the labels are a vector; all else are matrices.
    shapes: dict[str, list] = {name: [None, None] for name in kinds}
    if not several:
        shapes["label"] = [None]
    make = graph.helper
    names = dict.fromkeys(outputs)
    made = make.make_model(
        make.make_graph(
            graph.nodes,
            type(estimator).__name__,
            [make.make_tensor_value_info("X", number, [None, estimator.n_features_in_])],
            [make.make_tensor_value_info(name, kinds[name], shapes[name]) for name in names],
            graph.numbers,
        ),
        opset_imports=[make.make_opsetid("", OPSET)],
        producer_name="steepest",
    )
    made.ir_version = 9
    onnx.checker.check_model(made)
    onnx.save(made, os.fspath(path))
