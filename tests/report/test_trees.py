import itertools

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor, export_text

from steepest.report.trees import oblique_text, plot_tree, tree_text


class Nodes:
    """A tree of scikit-learn, with values as (nodes, outputs)."""

    def __init__(self, model):
        for name in ("children_left", "children_right", "feature", "threshold", "n_node_samples"):
            setattr(self, name, getattr(model.tree_, name))
        self.value = model.tree_.value[:, 0]


@pytest.fixture(params=["iris", "diabetes"])
def case(request):
    real = request.param == "diabetes"
    data = (load_diabetes if real else load_iris)()
    made = DecisionTreeRegressor if real else DecisionTreeClassifier
    model = made(max_depth=4, random_state=0).fit(data.data, data.target)
    return model, data.feature_names, None if real else [str(c) for c in range(3)]


def test_text_is_scikit_learns_but_for_what_leaves_add(case):
    model, names, classes = case
    ours = tree_text(Nodes(model), names, classes).splitlines()
    theirs = export_text(model, feature_names=names).splitlines()
    assert len(ours) == len(theirs)
    for a, b in zip(ours, theirs, strict=True):
        assert a.startswith(b.replace("[", "").replace("]", ""))


def test_boxes_stand_apart_and_say_what_they_are(case):
    model, names, classes = case
    nodes = Nodes(model)
    ax = plot_tree(nodes, names, classes)
    assert len(ax.texts) == len(nodes.feature)
    assert len(ax.lines) == len(nodes.feature) - 1
    assert names[nodes.feature[0]] in ax.texts[0].get_text()
    ax.figure.canvas.draw()
    boxes = [t.get_bbox_patch().get_window_extent() for t in ax.texts]
    leaves = sorted((b.y0, b.x0, b.x1) for b, c in zip(boxes, nodes.children_left, strict=True)
                    if c == -1)  # fmt: skip
    for (y, _, right), (below, left, _) in itertools.pairwise(leaves):
        assert y != below or right <= left + 1
    colours = {t.get_bbox_patch().get_facecolor() for t in ax.texts}
    assert len(colours) > 2


def test_a_stump_of_one_leaf_can_be_drawn():
    class Leaf:
        children_left = children_right = np.array([-1])
        feature, threshold = np.array([-2]), np.array([-2.0])
        value, n_node_samples = np.array([[0.5]]), np.array([1])

    assert plot_tree(Leaf, ["x"]).texts[0].get_text() == "value: 0.50\n1 row"
    assert tree_text(Leaf, ["x"]) == "|--- value: 0.50 (1 row)\n"


def test_a_soft_tree_shows_its_largest_weights():
    weight = np.array([[1.0], [-3.0], [0.25]])
    text = oblique_text(
        weight, np.array([-0.5]), np.eye(2), ["a", "b", "c"], ["no", "yes"], terms=2
    )
    assert text.splitlines() == [
        "|--- share sigmoid(-3.00 b +1.00 a + 1 more -0.50)",
        "|   |--- class: no, p = 1.00",
        "|--- the rest",
        "|   |--- class: yes, p = 1.00",
    ]
