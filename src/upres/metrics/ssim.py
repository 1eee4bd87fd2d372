"""SSIM as the super-resolution literature computes it."""

from __future__ import annotations

import math
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upres.metrics.psnr import On, compared
from upres.metrics.windows import gaussian_means

__all__ = ["ssim"]

SIDE = 11
SIGMA = 1.5
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
BAND = 64  # rows that are worked on at once, so that all intermediate images stay in the cache


def ssim(
    sr: NDArray[Any],
    hr: NDArray[Any],
    *,
    shave: int,
    on: On = "y",
    round_luma: bool = False,
    round_images: bool = True,
) -> float:
    """Structural similarity, at most 1, mean over the windows that lie inside the image.

    Wang, Bovik, Sheikh, Simoncelli, "Image Quality Assessment: From Error Visibility to
    Structural Similarity" (2004), equation 13, with the 11 x 11 Gaussian window of standard
    deviation 1.5, K1 = 0.01, K2 = 0.03 and L = 255. On RGB: the mean of the channels.

    Arguments are those of `upres.metrics.psnr`.

    Raises:
        ValueError: as `upres.metrics.psnr`, or if fewer than 11 x 11 pixels are left after shaving.
    """
    first, second = compared(sr, hr, shave=shave, on=on, round_luma=round_luma, round_images=round_images)
    if min(first.shape[:2]) < SIDE:
        raise ValueError(f"SSIM needs {SIDE}x{SIDE} pixels after shaving, not {first.shape[1]}x{first.shape[0]}")
    planes = (
        [(first, second)] if first.ndim == 2 else list(zip(np.rollaxis(first, 2), np.rollaxis(second, 2), strict=True))
    )
    windows = first.shape[0] - SIDE + 1
    bands = [
        (x[top : top + BAND + SIDE - 1], y[top : top + BAND + SIDE - 1])
        for x, y in planes
        for top in range(0, windows, BAND)
    ]
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        total = math.fsum(pool.map(lambda band: _summed(*band), bands))
    return float(total / (len(planes) * windows * (first.shape[1] - SIDE + 1)))


def _summed(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """The sum of the similarity over the windows of a band."""
    x, y = np.ascontiguousarray(x), np.ascontiguousarray(y)
    mean_x, mean_y, mean_product, mean_squares = (
        gaussian_means(values, SIDE, SIGMA) for values in (x, y, x * y, x**2 + y**2)
    )
    product, squares = mean_x * mean_y, mean_x**2 + mean_y**2
    covariance, variances = mean_product - product, mean_squares - squares
    return float(np.sum((2 * product + C1) * (2 * covariance + C2) / ((squares + C1) * (variances + C2))))
