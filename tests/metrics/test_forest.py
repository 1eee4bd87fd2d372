from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from upres.metrics.forest import Forest

# Two trees: a stump that asks whether feature 1 is at most 0.5, and a leaf alone.
STUMP = tuple(np.array(part) for part in ([1, -1, -1], [2, -1, -1], [1, -2, -2], [0.5, 0, 0], [0, 10.0, 20.0]))
LEAF = tuple(np.array(part) for part in ([-1], [-1], [-2], [0.0], [4.0]))


def test_the_prediction_is_the_mean_of_the_trees() -> None:
    forest = Forest.join([STUMP, LEAF])
    np.testing.assert_array_equal(forest(np.array([[9, 0.4], [9, 0.5], [-9, 0.6]])), [7, 7, 12])


@pytest.mark.parametrize(
    "damage",
    [
        {"left": np.array([1, 1, 0, 3])},
        {"right": np.array([0, 1, 2, 3])},
        {"right": np.array([9, 1, 2, 3])},
        {"roots": np.array([-1])},
        {"feature": np.array([-1, 0, 0, 0])},
        {"feature": np.array([0.0, 0, 0, 0])},
        {"threshold": np.array([0.5])},
        {"value": np.array([0, np.nan, 0, 0])},
    ],
)
def test_nodes_that_are_no_trees_are_refused(damage: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="damaged"):
        replace(Forest.join([STUMP, LEAF]), **damage)


def test_scikit_learns_trees_predict_the_same() -> None:
    ensemble = pytest.importorskip("sklearn.ensemble")
    random = np.random.default_rng(0)
    samples = random.normal(size=(60, 4))
    regressor = ensemble.RandomForestRegressor(20, random_state=0).fit(samples, samples[:, 0] * samples[:, 1])
    forest = Forest.join(
        (tree.children_left, tree.children_right, tree.feature, tree.threshold, tree.value[:, 0, 0])
        for tree in (estimator.tree_ for estimator in regressor.estimators_)
    )
    new = random.normal(size=(30, 4))
    np.testing.assert_allclose(forest(new), regressor.predict(new))
