"""PSNR and RMSE as the super-resolution literature computes them."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["On", "compared", "luma", "psnr", "rmse"]

On = Literal["y", "rgb"]


def luma(image: NDArray[Any]) -> NDArray[np.float64]:
    """Y of MATLAB's ``rgb2ycbcr`` (ITU-R BT.601, studio range), not rounded.

    Args:
        image: (H, W, 3) or grey (H, W) or (H, W, 1), 0 to 255. Grey counts as R = G = B.

    Returns:
        (H, W), float64, 16 to 235.
    """
    rgb = image.astype(np.float64)
    if rgb.ndim == 2 or rgb.shape[2] == 1:
        return 16 + rgb.reshape(rgb.shape[:2]) * (65.481 + 128.553 + 24.966) / 255
    return np.asarray(16 + rgb @ np.array([65.481, 128.553, 24.966]) / 255)


def psnr(
    sr: NDArray[Any],
    hr: NDArray[Any],
    *,
    shave: int,
    on: On = "y",
    round_luma: bool = False,
    round_images: bool = True,
) -> float:
    """Peak signal-to-noise ratio in dB, peak 255; infinite for equal images.

    Args:
        sr: (H, W) or (H, W, C), 0 to 255, integers or floating point.
        hr: of the same height and width.
        shave: pixels left out on every side; the field takes the scale.
        on: ``y`` compares the luma, ``rgb`` all channels with one mean squared error.
        round_luma: round Y to whole numbers first, as MATLAB's ``rgb2ycbcr`` returns for
            uint8 (IMDN, SelfExSR); published values differ by up to 0.1 dB between the two.
        round_images: floating point is rounded and clamped to 8 bits before anything else.

    Raises:
        ValueError: if the images' sizes differ or nothing is left after shaving.
    """
    error = rmse(sr, hr, shave=shave, on=on, round_luma=round_luma, round_images=round_images)
    return float("inf") if error == 0 else float(20 * np.log10(255 / error))


def rmse(
    sr: NDArray[Any],
    hr: NDArray[Any],
    *,
    shave: int,
    on: On = "y",
    round_luma: bool = False,
    round_images: bool = True,
) -> float:
    """Root of the mean squared error, in 8-bit levels. Arguments and errors are those of `psnr`.

    PIRM 2018 and ASC 2019 compare the rounded luma with 4 pixels shaved, and over a set of
    images take the root of the mean of the squares (Blau et al. 2018, section 3).
    """
    first, second = compared(sr, hr, shave=shave, on=on, round_luma=round_luma, round_images=round_images)
    return float(np.sqrt(np.mean((first - second) ** 2)))


def compared(
    sr: NDArray[Any], hr: NDArray[Any], *, shave: int, on: On, round_luma: bool, round_images: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What two images are compared by: (H - 2·shave, W - 2·shave[, C]) luma or channels, 0 to 255.

    Arguments and errors are those of `psnr`.
    """
    if sr.shape[:2] != hr.shape[:2]:
        raise ValueError(f"the images must have one size, not {_size(sr)} and {_size(hr)}")
    if on not in ("y", "rgb"):
        raise ValueError(f"on must be 'y' or 'rgb', not {on!r}")
    if on == "rgb" and sr.shape != hr.shape:
        raise ValueError(f"the images must have the same channels, not shapes {sr.shape} and {hr.shape}")
    if not 0 <= 2 * shave < min(hr.shape[:2]):
        raise ValueError(f"nothing is left of {_size(hr)} pixels after shaving {shave} on every side")
    first, second = (_values(image, shave, on, round_luma, round_images) for image in (sr, hr))
    return first, second


def _values(image: NDArray[Any], shave: int, on: On, round_luma: bool, round_images: bool) -> NDArray[np.float64]:
    inside = image[shave : image.shape[0] - shave, shave : image.shape[1] - shave]
    if round_images and inside.dtype.kind == "f":
        inside = inside.round().clip(0, 255)
    if on == "rgb":
        return inside.astype(np.float64)
    return luma(inside).round() if round_luma else luma(inside)


def _size(image: NDArray[Any]) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"
