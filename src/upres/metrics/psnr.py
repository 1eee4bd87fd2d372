"""PSNR and RMSE as the super-resolution literature computes them."""

from __future__ import annotations

from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["On", "check_bytes", "compared", "luma", "psnr", "rgb2gray", "rmse", "shaved"]

On = Literal["y", "rgb"]
LUMA = (65.481, 128.553, 24.966)
PixelT = TypeVar("PixelT", bound=np.generic)


def luma(image: NDArray[Any]) -> NDArray[np.float64]:
    """Y of MATLAB's ``rgb2ycbcr`` (ITU-R BT.601, studio range), not rounded.

    Args:
        image: (H, W, 3) or grey (H, W) or (H, W, 1), 0 to 255. Grey counts as R = G = B.

    Returns:
        (H, W), float64, 16 to 235.

    Raises:
        ValueError: if the image has another shape.
    """
    _check_shape(image)
    if image.ndim == 2 or image.shape[2] == 1:
        return np.asarray(16 + image.reshape(image.shape[:2]) * (sum(LUMA) / 255))
    result = np.full(image.shape[:2], 16.0)
    for channel, weight in enumerate(LUMA):  # a matrix product would first make all channels floating point
        result += image[..., channel] * (weight / 255)
    return result


def rgb2gray(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """MATLAB's ``rgb2gray`` of uint8: full-range luma in whole numbers.

    Args:
        image: (H, W, 3) or grey (H, W) or (H, W, 1), uint8.

    Returns:
        (H, W), float64, 0 to 255.

    Raises:
        ValueError: if the image has another shape.
    """
    _check_shape(image)
    if image.ndim == 2 or image.shape[2] == 1:
        return image.reshape(image.shape[:2]).astype(np.float64)
    return np.asarray(np.floor(image @ np.array([0.298936021293775, 0.587043074451121, 0.114020904255103]) + 0.5))


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
        sr: grey (H, W) or (H, W, 1) or RGB (H, W, 3), 0 to 255, integers or floating point.
        hr: likewise, of the same height and width.
        shave: pixels left out on every side; the field takes the scale.
        on: ``y`` compares the luma, ``rgb`` all channels with one mean squared error.
        round_luma: round Y to whole numbers first, as MATLAB's ``rgb2ycbcr`` returns for
            uint8 (IMDN, SelfExSR); published values differ by up to 0.1 dB between the two.
        round_images: floating point is rounded and clamped to 8 bits before anything else.

    Raises:
        ValueError: if an image has another shape or values that are not from 0 to 255 (floating
            point: not finite, or both from 0 to 1), the images' sizes differ, or nothing is left after shaving.
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
    for image in (sr, hr):
        _check_shape(image)
        _check_values(image)
    if all(image.dtype.kind == "f" and 0 < image.max(initial=0) <= 1 for image in (sr, hr)):
        raise ValueError("the images' values go up to 1, but are measured from 0 to 255: multiply them by 255")
    if sr.shape[:2] != hr.shape[:2]:
        raise ValueError(f"the images must have one size, not {_size(sr)} and {_size(hr)}")
    if on not in ("y", "rgb"):
        raise ValueError(f"on must be 'y' or 'rgb', not {on!r}")
    if on == "rgb" and sr.shape != hr.shape:
        raise ValueError(f"the images must have the same channels, not shapes {sr.shape} and {hr.shape}")
    first, second = (_values(image, shave, on, round_luma, round_images) for image in (sr, hr))
    return first, second


def shaved(image: NDArray[PixelT], shave: int) -> NDArray[PixelT]:
    """What lies at least so many pixels inside of the image's borders, as a view.

    Raises:
        ValueError: if that is nothing, or the number is negative.
    """
    if shave < 0:
        raise ValueError(f"the pixels to shave are 0 or more, not {shave}")
    if 2 * shave >= min(image.shape[:2]):
        raise ValueError(f"nothing is left of {_size(image)} pixels after shaving {shave} on every side")
    return image[shave : image.shape[0] - shave, shave : image.shape[1] - shave]


def check_bytes(image: NDArray[Any], metric: str) -> None:
    """Raise ValueError unless an image is uint8, grey (H, W) or (H, W, 1) or RGB (H, W, 3)."""
    _check_shape(image)
    if image.dtype != np.uint8:
        raise ValueError(f"{metric} takes images of 8 bits (uint8), not {image.dtype}: convert them first")


def _check_shape(image: NDArray[Any]) -> None:
    if image.ndim not in (2, 3) or image.shape[2:] not in ((), (1,), (3,)):
        raise ValueError(f"an image is grey (H, W) or (H, W, 1) or RGB (H, W, 3), without alpha, not {image.shape}")


def _check_values(image: NDArray[Any]) -> None:
    if image.dtype.kind not in "uif":
        raise ValueError(f"an image holds integers or floating point, not {image.dtype}")
    if image.dtype.kind == "f":
        if not np.isfinite(image).all():
            raise ValueError("an image holds values that are not finite numbers")
    elif image.dtype != np.uint8 and image.size and not 0 <= image.min() <= image.max() <= 255:
        raise ValueError(
            f"an image's values go from 0 to 255, not {image.min()} to {image.max()}: convert it to 8 bits"
        )


def _values(image: NDArray[Any], shave: int, on: On, round_luma: bool, round_images: bool) -> NDArray[np.float64]:
    inside = shaved(image, shave)
    if round_images and inside.dtype.kind == "f":
        inside = inside.round().clip(0, 255)
    if on == "rgb":
        return inside.astype(np.float64)
    return luma(inside).round() if round_luma else luma(inside)


def _size(image: NDArray[Any]) -> str:
    return f"{image.shape[1]}x{image.shape[0]}"
