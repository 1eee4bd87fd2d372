"""Between the samples of a picture and the RGB that networks take."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["REACH", "Samples", "grey", "near_transparency", "opaque", "peak_of", "spread"]

Samples = NDArray[Any]

SPREAD = 6  # LR pixels; what lies further from all that is visible hardly reaches it
REACH = SPREAD + 1  # LR pixels that spread colours depend on


def spread(pixels: Samples) -> Samples:
    """Pixels with alpha, (H, W, 2 or 4), whose invisible ones have the colours of visible ones beside them.

    What is hidden by alpha then neither bleeds into what is seen, nor makes an edge that a network would sharpen.
    A pixel depends on those up to `REACH` from it.
    """
    return np.concatenate([_spread(pixels[..., :-1], pixels[..., -1:]), pixels[..., -1:]], axis=2)


def near_transparency(alpha: Samples) -> NDArray[np.bool_]:
    """(H, W, 1): where anything within `SPREAD` pixels is not opaque."""
    near: NDArray[np.bool_] = alpha != peak_of(alpha.dtype)
    for _ in range(SPREAD):
        near = _around(near, np.logical_or)
    return near


def _spread(colour: Samples, alpha: Samples) -> Samples:
    if opaque(alpha):
        return colour
    weight = alpha.astype(np.float32) / peak_of(alpha.dtype)
    values = colour.astype(np.float32)
    # A pixel counts as it is seen beside its neighbours: its own colour, where they are no more opaque than it.
    share = weight / np.maximum(_around(weight, np.maximum), 1e-6)
    known = weight > 0
    values = np.where(known, share * values + (1 - share) * _mean_around(values, weight), values)
    for _ in range(SPREAD):
        reached = _around(weight, np.add)
        new = ~known & (reached > 0)
        values = np.where(new, _mean_around(values, weight), values)
        weight = np.where(new, reached / 9, weight)
        known |= new
    return np.rint(values).astype(colour.dtype) if colour.dtype.kind == "u" else values


def _mean_around(values: Samples, weight: Samples) -> Samples:
    """Weighted mean of the 3x3 pixels around each."""
    mean: Samples = _around(values * weight, np.add) / np.maximum(_around(weight, np.add), 1e-12)
    return mean


def _around(values: Samples, combine: np.ufunc) -> Samples:
    """Combine the 3x3 pixels around each; beyond the picture is nothing."""
    for axis in (0, 1):
        out = values.copy()
        near, far = [slice(None)] * 3, [slice(None)] * 3
        near[axis], far[axis] = slice(None, -1), slice(1, None)
        combine(out[tuple(near)], values[tuple(far)], out=out[tuple(near)])
        combine(out[tuple(far)], values[tuple(near)], out=out[tuple(far)])
        values = out
    return values


def peak_of(dtype: np.dtype[Any]) -> int:
    """What full opacity or white is in a dtype."""
    return int(np.iinfo(dtype).max) if dtype.kind == "u" else 1


def opaque(alpha: Samples) -> bool:
    """Whether nothing shines through anywhere."""
    return bool((alpha == peak_of(alpha.dtype)).all())


def grey(rgb: Samples) -> Samples:
    """(H, W, 3) to (H, W, 1): the mean of what a network made of a grey picture's three equal channels."""
    if rgb.dtype.kind == "f":
        mean: Samples = rgb.mean(axis=2, keepdims=True, dtype=rgb.dtype)
        return mean
    total: Samples = rgb.sum(axis=2, keepdims=True, dtype=np.uint32)
    rounded: Samples = ((2 * total + 3) // 6).astype(rgb.dtype)
    return rounded
