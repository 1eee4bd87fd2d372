"""Gaussian-weighted means over windows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["gaussian_means"]

BAND = 64  # rows that are worked on at once, so that what is between stays in the cache


def gaussian_means(image: NDArray[np.float64], side: int, sigma: float) -> NDArray[np.float64]:
    """Gaussian-weighted mean of every side x side window that lies inside the image.

    Args:
        image: (H, W).
        side: of the window, odd; weights as of MATLAB's ``fspecial('gaussian', side, sigma)``.
        sigma: standard deviation in pixels.

    Returns:
        (H - side + 1, W - side + 1).
    """
    distance = np.arange(side) - side // 2
    weights = np.exp(-(distance**2) / (2 * sigma**2))
    weights /= weights.sum()
    means = np.empty((image.shape[0] - side + 1, image.shape[1] - side + 1))
    for top in range(0, len(means), BAND):
        band = image[top : top + BAND + side - 1]
        means[top : top + BAND] = _weighed(_weighed(band, weights).T, weights).T
    return means


def _weighed(image: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """Weighted sums of rows that follow each other; the weights are symmetric."""
    side = len(weights)
    rows = len(image) - side + 1
    result: NDArray[np.float64] = image[side // 2 : side // 2 + rows] * weights[side // 2]
    for near in range(side // 2):
        far = side - 1 - near
        result += (image[near : near + rows] + image[far : far + rows]) * weights[near]
    return result
