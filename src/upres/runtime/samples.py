"""Between the samples of a picture and the RGB that networks take."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from upres.runtime.tiles import Tile

__all__ = [
    "REACH",
    "AnyRows",
    "Samples",
    "grey",
    "near",
    "opaque",
    "peak_of",
    "rgb",
    "spread",
    "upscale_tile",
]

Samples = NDArray[Any]


class AnyRows(Protocol):
    """What gives rows of a picture: see `upres.images.Rows`."""

    shape: tuple[int, int, int]
    dtype: np.dtype[Any]

    def window(self, start: int, stop: int) -> Samples:
        """Rows ``start`` to ``stop``, (stop - start, W, C)."""
        ...


SPREAD = 6  # LR pixels; what lies further from all that is visible hardly reaches it
REACH = SPREAD + 1  # LR pixels that spread colours depend on


def upscale_tile(network: Callable[[Samples], Samples], rows: AnyRows, tile: Tile, scale: int) -> Samples:
    """What a network that takes RGB makes of a tile of any picture, in as many channels as that has.

    Alpha goes through the model like a grey picture where both what is seen and what is not are near; elsewhere it
    stays opaque or clear, so that neither how a picture is cut nor what is far away matters.
    """
    height, width, channels = rows.shape
    reach = REACH if channels in (2, 4) else 0
    down, across = (
        slice(max(span.start - reach, 0), min(span.stop + reach, side))
        for span, side in ((tile.rows, height), (tile.columns, width))
    )
    wide = rows.window(down.start, down.stop)[:, across]
    top, left = tile.rows.start - down.start, tile.columns.start - across.start
    inside = (slice(top, top + tile.rows.length), slice(left, left + tile.columns.length))
    if not reach:
        return _of_channels(network(_padded(wide[inside], tile)), channels)
    if opaque(wide[..., -1:]):
        sr = _of_channels(network(_padded(wide[inside][..., :-1], tile)), channels - 1)
        return np.concatenate([sr, np.full_like(sr[..., :1], peak_of(sr.dtype))], axis=2)
    peak, transparency = peak_of(wide.dtype), wide[..., -1:]
    opaque_far, clear_far = (
        ~_padded(near(transparency != level)[inside], tile)[..., :1].repeat(scale, 0).repeat(scale, 1)
        for level in (peak, 0)
    )
    spreaded = spread(wide)[inside]
    sr = _of_channels(network(_padded(spreaded[..., :-1], tile)), channels - 1)
    alpha = grey(network(_padded(spreaded[..., -1:], tile)))
    alpha[opaque_far], alpha[clear_far] = peak, 0
    return np.concatenate([sr, alpha], axis=2)


def _of_channels(sr: Samples, channels: int) -> Samples:
    return sr if channels == 3 else grey(sr)


def _padded(samples: Samples, tile: Tile) -> Samples:
    """A tile's samples as RGB, with zeros where it reaches past the picture, as networks pad."""
    below, beside = tile.rows.length - samples.shape[0], tile.columns.length - samples.shape[1]
    samples = rgb(samples)
    if below or beside:
        samples = np.pad(samples, ((0, below), (0, beside), (0, 0)))
    return np.ascontiguousarray(samples)


def rgb(samples: Samples) -> Samples:
    """(H, W, 1 or 3) as (H, W, 3), a view."""
    return np.broadcast_to(samples, (*samples.shape[:2], 3))


def spread(pixels: Samples) -> Samples:
    """Pixels with alpha, (H, W, 2 or 4), whose invisible ones have the colours of visible ones beside them.

    What is hidden by alpha then neither bleeds into what is seen, nor makes an edge that a network would sharpen.
    A pixel depends on those up to `REACH` from it.
    """
    return np.concatenate([_spread(pixels[..., :-1], pixels[..., -1:]), pixels[..., -1:]], axis=2)


def near(marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(H, W, 1): where anything within `SPREAD` pixels is marked."""
    for _ in range(SPREAD):
        marked = _around(marked, np.logical_or)
    return marked


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


def grey(samples: Samples) -> Samples:
    """(H, W, 3) to (H, W, 1): the mean of what a network made of a grey picture's three equal channels."""
    if samples.dtype.kind == "f":
        mean: Samples = samples.mean(axis=2, keepdims=True, dtype=samples.dtype)
        return mean
    total: Samples = samples.sum(axis=2, keepdims=True, dtype=np.uint32)
    rounded: Samples = ((2 * total + 3) // 6).astype(samples.dtype)
    return rounded
