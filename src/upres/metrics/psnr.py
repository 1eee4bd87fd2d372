"""PSNR as the super-resolution literature computes it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["luma", "psnr"]


def luma(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Y of MATLAB's ``rgb2ycbcr`` (ITU-R BT.601, studio range), not rounded.

    Args:
        image: (H, W, 3) or grey (H, W) or (H, W, 1), uint8. Grey counts as R = G = B.

    Returns:
        (H, W), float64, 16 to 235.
    """
    rgb = image.astype(np.float64)
    if rgb.ndim == 2 or rgb.shape[2] == 1:
        return 16 + rgb.reshape(rgb.shape[:2]) * (65.481 + 128.553 + 24.966) / 255
    return np.asarray(16 + rgb @ np.array([65.481, 128.553, 24.966]) / 255)


def psnr(sr: NDArray[Any], hr: NDArray[Any], *, shave: int, on: str = "y", round_luma: bool = False) -> float:
    """Peak signal-to-noise ratio in dB, peak 255; infinite for equal images.

    Args:
        sr: (H, W) or (H, W, C), uint8: rounded to 8 bits before any metric.
        hr: of the same height and width.
        shave: pixels left out on every side; the field takes the scale.
        on: ``y`` compares the luma, ``rgb`` all channels with one mean squared error.
        round_luma: round Y to whole numbers first, as MATLAB's ``rgb2ycbcr`` returns for
            uint8 (IMDN, SelfExSR); published values differ by up to 0.1 dB between the two.

    Raises:
        ValueError: if the images' sizes differ or nothing is left after shaving.
    """
    if sr.shape[:2] != hr.shape[:2]:
        raise ValueError(f"PSNR needs images of equal size, not {sr.shape} and {hr.shape}")
    if on == "y":
        first, second = luma(sr), luma(hr)
        if round_luma:
            first, second = first.round(), second.round()
    elif on == "rgb":
        first, second = sr.astype(np.float64), hr.astype(np.float64)
    else:
        raise ValueError(f"on must be 'y' or 'rgb', not {on!r}")
    inside = (slice(shave, first.shape[0] - shave), slice(shave, first.shape[1] - shave))
    difference = first[inside] - second[inside]
    if difference.size == 0:
        raise ValueError(f"nothing is left of {hr.shape} after shaving {shave} pixels")
    error = float(np.mean(difference**2))
    return float("inf") if error == 0 else float(10 * np.log10(255**2 / error))
