"""Between the samples of a picture and the RGB that networks take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Cut", "Samples", "alpha_cutter", "grey", "opaque", "peak_of", "rgb_cutter", "unpremultiply"]

Samples = NDArray[Any]

Cut = Callable[[slice, slice], Samples]
"""From rows and columns of a picture to the (h, w, 3) samples there."""


def rgb_cutter(colour: Samples, alpha: Samples | None = None) -> Cut:
    """Cuts RGB out of grey or RGB; with alpha, premultiplied and in 16 bits (or float)."""

    def cut(rows: slice, columns: slice) -> Samples:
        samples = colour[rows, columns]
        if alpha is not None:
            samples = _premultiply(samples, alpha[rows, columns])
        return np.broadcast_to(samples, (*samples.shape[:2], 3))

    return cut


def alpha_cutter(alpha: Samples) -> Cut:
    """Cuts alpha, in 16 bits (or float), as three equal channels."""

    def cut(rows: slice, columns: slice) -> Samples:
        samples = alpha[rows, columns]
        if samples.dtype == np.uint8:
            samples = samples.astype(np.uint16) * 257
        return np.broadcast_to(samples, (*samples.shape[:2], 3))

    return cut


def peak_of(dtype: np.dtype[Any]) -> int:
    """What full opacity or white is in a dtype."""
    return int(np.iinfo(dtype).max) if dtype.kind == "u" else 1


def opaque(alpha: Samples) -> bool:
    """Whether nothing shines through anywhere."""
    return bool((alpha == peak_of(alpha.dtype)).all())


def _premultiply(colour: Samples, alpha: Samples) -> Samples:
    if colour.dtype.kind == "f":
        return colour * alpha
    peak = peak_of(colour.dtype)
    product = colour.astype(np.float64) * alpha * (65535 / peak**2)
    return np.rint(product).astype(np.uint16)


def unpremultiply(premultiplied: Samples, alpha: Samples, channels: int, dtype: np.dtype[Any]) -> Samples:
    """Colour and alpha of the picture's own dtype from premultiplied RGB and its alpha."""
    colour = premultiplied if channels == 3 else grey(premultiplied)
    peak = peak_of(dtype)
    inner = peak_of(alpha.dtype)
    opacity = alpha.astype(np.float32) / inner
    straight = np.divide(colour, inner * opacity, out=np.zeros(colour.shape, np.float32), where=alpha > 0)
    values = np.concatenate([straight.clip(0, 1), opacity.clip(0, 1)], axis=2) * peak
    return np.rint(values).astype(dtype) if dtype.kind == "u" else values.astype(dtype)


def grey(rgb: Samples) -> Samples:
    """(H, W, 3) to (H, W, 1): the mean of what a network made of a grey picture's three equal channels."""
    if rgb.dtype.kind == "f":
        mean: Samples = rgb.mean(axis=2, keepdims=True, dtype=rgb.dtype)
        return mean
    total: Samples = rgb.sum(axis=2, keepdims=True, dtype=np.uint32)
    rounded: Samples = ((2 * total + 3) // 6).astype(rgb.dtype)
    return rounded
