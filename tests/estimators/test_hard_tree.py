"""Complete trees are made from scikit-learn's own; what is grown of them must be those again."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_iris
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from steepest.estimators.hard_tree import HardTree, grown

DEPTH = 4


def complete(tree):
    """A tree of scikit-learn as a complete one: below its leaves, splits that part nothing."""
    feature, threshold = np.zeros(2**DEPTH - 1, int), np.full(2**DEPTH - 1, np.inf)
    value = np.full((2**DEPTH, tree.value.shape[-1]), np.nan)

    def fill(node, place):
        if tree.children_left[node] >= 0:
            feature[place], threshold[place] = tree.feature[node], tree.threshold[node]
            fill(tree.children_left[node], 2 * place + 1)
            fill(tree.children_right[node], 2 * place + 2)
            return
        while place < len(feature):
            place = 2 * place + 1
        value[place - len(feature)] = tree.value[node, 0]

    fill(0, 0)
    return feature, threshold, value


def same(score, feature):
    return score


@pytest.fixture(params=["iris", "diabetes"], scope="module")
def case(request):
    if request.param == "iris":
        X, y = load_iris(return_X_y=True)
        model = DecisionTreeClassifier(max_depth=DEPTH, random_state=0).fit(X, y)
    else:
        X, y = load_diabetes(return_X_y=True)
        model = DecisionTreeRegressor(max_depth=DEPTH, random_state=0).fit(X, y)
    return X, model, grown(*complete(model.tree_), X, np.ones(len(X)), same)


def test_it_is_scikit_learns_tree_again(case):
    X, model, found = case
    for name in ("children_left", "children_right", "feature", "n_node_samples", "value",
                 "threshold", "weighted_n_node_samples"):  # fmt: skip
        theirs = np.asarray(getattr(model.tree_, name)).reshape(len(found.feature), -1)
        ours = getattr(found, name).reshape(len(found.feature), -1)
        # scikit-learn keeps rows, and so thresholds, in single precision.
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-7)
    assert (found.node_count, found.n_leaves) == (model.tree_.node_count, model.get_n_leaves())
    assert found.max_depth == model.get_depth()
    np.testing.assert_array_equal(found.apply(X), model.apply(X))
    np.testing.assert_allclose(found.predict(X), model.tree_.value[model.apply(X), 0])


def test_thresholds_move_to_the_middle_and_part_the_rows_as_before():
    X = np.array([[0.0], [1.0], [4.0], [9.0]])
    found = grown(np.zeros(1, int), np.array([1.01]), np.array([[1.0], [2.0]]), X, np.ones(4), same)
    assert found.threshold.tolist() == [2.5, -2, -2]
    assert found.apply(X).tolist() == [1, 1, 2, 2]
    next_to = np.array([[1.0], [np.nextafter(1.0, 2)]])
    found = grown(np.zeros(1, int), np.array([1.0]), np.array([[1.0], [2.0]]), next_to, np.ones(2),
                  same)  # fmt: skip
    assert found.predict(next_to).ravel().tolist() == [1.0, 2.0]


def test_leaves_that_no_row_has_taught_are_left_out():
    X = np.array([[0.0], [1.0], [2.0]])
    feature, threshold = np.zeros(3, int), np.array([5.0, 0.5, 0.0])
    value = np.array([[1.0], [2.0], [3.0], [4.0]])
    found = grown(feature, threshold, value, X, np.ones(3), same)
    assert found.node_count == 3
    assert found.predict(np.array([[100.0]])).item() == 2.0
    # Rows of weight 0 are no rows.
    found = grown(feature, threshold, value, X, np.array([1.0, 0.0, 0.0]), same)
    assert isinstance(found, HardTree)
    assert found.node_count == 1
    assert found.max_depth == 0
    assert found.predict(X).ravel().tolist() == [1.0, 1.0, 1.0]


def test_inner_nodes_hold_the_weighted_mean_of_their_leaves():
    X = np.arange(4.0)[:, None]
    weight = np.array([1.0, 2.0, 3.0, 4.0])
    found = grown(np.zeros(3, int), np.array([1.5, 0.5, 2.5]), np.eye(4), X, weight, same)
    np.testing.assert_allclose(found.value[0], weight / 10)
    assert found.weighted_n_node_samples[0] == 10
