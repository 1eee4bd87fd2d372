"""MATLAB's ``imresize``: bicubic with antialiasing, any size, both ways.

The field makes its LR images with it, so every number depends on its details:
the cubic kernel has a = -0.5 (Keys 1981), is widened by 1/scale when shrinking,
its weights are normalised, the dimension that shrinks more goes first (rows on
a tie), and integer images are rounded and saturated after each of the two passes.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["Border", "make_lr", "resize", "resize_bands"]

Border = Literal["replicate", "symmetric"]

BLOCK = 64  # output rows per matrix product: large enough for BLAS, small enough to stay nearly banded


def resize(
    image: NDArray[Any],
    size: tuple[int, int] | None = None,
    *,
    scale: float | None = None,
    border: Border = "replicate",
) -> NDArray[Any]:
    """Resize an image as MATLAB's ``imresize(image, ...)`` does with ``bicubic``.

    Args:
        image: (H, W) or (H, W, C), uint8, uint16 or floating point of any range.
        size: the target height and width. Give this or ``scale``.
        scale: the target is ``ceil(scale * side)``, and the kernel follows ``scale``
            exactly, as in MATLAB.
        border: ``replicate`` is what made the LR images of Set5, Set14, BSD100 and
            Urban100 (MATLAB up to 2015); ``symmetric`` is today's MATLAB.

    Returns:
        An array of the same dtype and number of dimensions. Integers are rounded half
        up and saturated; floating point is neither rounded nor clamped.

    Raises:
        ValueError: for empty images, other dtypes, or not exactly one of size and scale.
    """
    if (size is None) == (scale is None):
        raise ValueError("give either size=(height, width) or scale=factor")
    if image.dtype not in (np.uint8, np.uint16) and image.dtype.kind != "f":
        raise ValueError(f"an image to resize is uint8, uint16 or floating point, not {image.dtype}")
    height, width = image.shape[:2]
    if scale is not None:
        if not scale > 0:
            raise ValueError(f"scale must be positive, not {scale}")
        size, factors = (math.ceil(scale * height), math.ceil(scale * width)), (scale, scale)
    else:
        assert size is not None
        factors = (size[0] / height if height else 0, size[1] / width if width else 0)
    return next(_resize_bands([image], (height, width), size, factors, border, size[0]))


def make_lr(image: NDArray[Any], scale: int) -> tuple[NDArray[Any], NDArray[Any]]:
    """LR and HR of an image: HR is cropped at the bottom and right to a multiple of the scale, LR is its bicubic.

    Args:
        image: as for `resize`.
        scale: the factor between LR and HR.
    """
    height, width = (side // scale for side in image.shape[:2])
    hr = np.ascontiguousarray(image[: height * scale, : width * scale])
    return resize(hr, (height, width)), hr


def resize_bands(
    bands: Iterable[NDArray[Any]],
    source: tuple[int, int],
    target: tuple[int, int],
    *,
    border: Border = "replicate",
) -> Iterator[NDArray[Any]]:
    """Resize an image that comes as bands of rows, keeping only the rows still needed.

    Args:
        bands: (h, W) or (h, W, C) arrays whose heights add up to ``source[0]``.
        source: height and width of the whole image.
        target: height and width of the result.
        border: as in `resize`.

    Yields:
        Bands of the result, in order; concatenated they equal ``resize(image, target)``.
    """
    factors = (target[0] / source[0], target[1] / source[1])
    yield from _resize_bands(bands, source, target, factors, border, BLOCK)


def _resize_bands(
    bands: Iterable[NDArray[Any]],
    source: tuple[int, int],
    target: tuple[int, int],
    factors: tuple[float, float],
    border: Border,
    step: int,
) -> Iterator[NDArray[Any]]:
    if min(*source, *target) < 1:
        raise ValueError(f"cannot resize {source[1]}x{source[0]} to {target[1]}x{target[0]}: no pixels")
    rows = _contributions(source[0], target[0], factors[0], border)
    columns = _contributions(source[1], target[1], factors[1], border)
    columns_first = factors[1] < factors[0]

    incoming = iter(bands)
    buffer: NDArray[Any] | None = None
    top = 0  # row of the image that buffer[0] holds
    for start in range(0, target[0], step):
        indices, weights = rows[0][start : start + step], rows[1][start : start + step]
        first, last = int(indices.min()), int(indices.max())
        while buffer is None or top + len(buffer) <= last:
            band = next(incoming)
            band = _weigh_columns(band, *columns) if columns_first else band
            buffer = band if buffer is None else np.concatenate([buffer, band])
        buffer, top = buffer[first - top :], first
        made = _weigh_rows(buffer, indices - top, weights)
        yield made if columns_first else _weigh_columns(made, *columns)


def _cubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' cubic convolution kernel with a = -0.5 (Keys 1981, equation 15)."""
    x = np.abs(x)
    near = 1.5 * x**3 - 2.5 * x**2 + 1
    far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
    return np.where(x <= 1, near, np.where(x <= 2, far, 0.0))


def _contributions(
    source: int, target: int, factor: float, border: Border
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Which source pixels make each target pixel, and with what weights: two (target, taps) arrays."""
    shrink = min(factor, 1.0)
    width = 4 / shrink
    centre = (np.arange(target) + 0.5) / factor - 0.5
    left = np.floor(centre - width / 2).astype(np.int64)
    indices = left[:, None] + np.arange(math.ceil(width) + 2)
    weights = _cubic(shrink * (centre[:, None] - indices))
    weights /= weights.sum(axis=1, keepdims=True)
    if border == "replicate":
        indices = indices.clip(0, source - 1)
    else:
        indices = indices % (2 * source)
        indices = np.minimum(indices, 2 * source - 1 - indices)
    used = np.any(weights != 0, axis=0)
    return indices[:, used], weights[:, used]


def _weigh_columns(image: NDArray[Any], indices: NDArray[np.int64], weights: NDArray[np.float64]) -> NDArray[Any]:
    return _weigh_rows(image.swapaxes(0, 1), indices, weights).swapaxes(0, 1)


def _weigh_rows(image: NDArray[Any], indices: NDArray[np.int64], weights: NDArray[np.float64]) -> NDArray[Any]:
    """Weighted sums of rows, as products with small dense slices of the banded matrix."""
    out = np.empty((len(indices), *image.shape[1:]), image.dtype)
    for start in range(0, len(indices), BLOCK):
        block = slice(start, start + BLOCK)
        first, last = int(indices[block].min()), int(indices[block].max())
        matrix = np.zeros((len(indices[block]), last - first + 1))
        np.add.at(matrix, (np.arange(len(matrix))[:, None], indices[block] - first), weights[block])
        rows = image[first : last + 1].reshape(last - first + 1, -1).astype(np.float64)
        result = (matrix @ rows).reshape(out[block].shape)
        out[block] = _as_integers(result, image.dtype) if image.dtype.kind == "u" else result
    return out


def _as_integers(values: NDArray[np.float64], dtype: np.dtype[Any]) -> NDArray[np.float64]:
    # BLAS adds up in an order that depends on the processor and the sizes; halves must be rounded up all the same.
    return np.floor(values + (0.5 + 1e-9)).clip(0, np.iinfo(dtype).max)
