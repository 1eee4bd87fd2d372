"""Regression forests as plain arrays (Breiman, "Random Forests", Machine Learning 2001)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Forest"]


@dataclass(frozen=True)
class Forest:
    """Regression trees whose predictions are averaged; the nodes of all trees lie in one list.

    Raises:
        ValueError: if the nodes are no trees, so that a prediction would not end.
    """

    roots: NDArray[np.int32]
    """(trees,): the node where each tree begins."""
    feature: NDArray[np.int32]
    """(nodes,): which feature a node looks at."""
    threshold: NDArray[np.float64]
    """(nodes,): it goes left if the feature is at most this."""
    left: NDArray[np.int32]
    """(nodes,): the next node; a leaf is its own."""
    right: NDArray[np.int32]
    """(nodes,): likewise."""
    value: NDArray[np.float64]
    """(nodes,): what a leaf predicts."""

    def __post_init__(self) -> None:
        own = np.arange(len(self.value))
        sound = (
            {part.shape for part in (self.feature, self.threshold, self.left, self.right, self.value)} == {own.shape}
            and all(part.dtype.kind == "i" for part in (self.roots, self.feature, self.left, self.right))
            and all(part.min() >= 0 for part in (self.roots, self.feature, self.left, self.right))
            and all(part.max() < len(own) for part in (self.roots, self.left, self.right))
            and np.array_equal(self.left == own, self.right == own)
            and np.all((self.left == own) | (np.minimum(self.left, self.right) > own))
            and np.isfinite(self.value).all()
        )
        if not sound:
            raise ValueError("the forest is damaged: its nodes form no trees")

    @classmethod
    def join(cls, trees: Iterable[tuple[NDArray[Any], ...]]) -> Forest:
        """A forest of trees that are each (left, right, feature, threshold, value), with -1 for a leaf's children."""
        roots, nodes, start = [], [], 0
        for left, right, feature, threshold, value in trees:
            own, leaf = np.arange(len(left)), left < 0
            left, right = (start + np.where(leaf, own, child) for child in (left, right))
            nodes.append((np.where(leaf, 0, feature), threshold, left, right, value))
            roots.append(start)
            start += len(own)
        kinds = (np.int32, np.float64, np.int32, np.int32, np.float64)
        fields = (np.concatenate(part).astype(kind) for part, kind in zip(zip(*nodes, strict=True), kinds, strict=True))
        return cls(np.array(roots, np.int32), *fields)

    def __call__(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, features) to the (n,) mean predictions of the trees."""
        sample = np.arange(len(features))[:, None]
        node = np.broadcast_to(self.roots, (len(features), len(self.roots)))
        while True:
            goes_left = features[sample, self.feature[node]] <= self.threshold[node]
            child = np.where(goes_left, self.left[node], self.right[node])
            if np.array_equal(child, node):
                return np.asarray(self.value[node].mean(axis=1))
            node = child
