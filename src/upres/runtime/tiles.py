"""Cutting a picture into tiles that together give what one pass would.

A network pads the picture's own borders with zeros inside its layers, so a tile may
touch a border only where the picture does: tiles at the far edges are moved inwards
until they end there, instead of being padded. Everywhere else a tile is larger than
what is kept of it by the halo, and the result is exact. Where no halo is large enough,
neighbours overlap, to be blended by `shares`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["SIDES", "Span", "Tile", "plan", "shares"]

SIDES = (64, 96, *range(128, 705, 64))
"""The sides that tiles of large pictures have: so few that an engine can compile for each shape of them."""


@dataclass(frozen=True)
class Span:
    """One dimension of a tile, in LR pixels."""

    start: int
    """Where the tile begins."""
    stop: int
    """Where it ends; past the picture as far as the alignment and the minimum ask for."""
    keep_start: int
    """Where the part begins that is kept."""
    keep_stop: int
    """Where it ends."""

    @property
    def length(self) -> int:
        """Of the tile, halo included."""
        return self.stop - self.start

    @property
    def kept(self) -> int:
        """Pixels that are kept of it."""
        return self.keep_stop - self.keep_start


@dataclass(frozen=True)
class Tile:
    """A rectangle of the LR picture that the engine runs at once."""

    rows: Span
    columns: Span


def plan(
    height: int,
    width: int,
    *,
    tile: tuple[int, int],
    halo: int,
    alignment: int = 1,
    minimum: int = 1,
    overlapping: bool = False,
) -> Iterator[list[Tile]]:
    """Tiles from left to right, row of tiles by row of tiles, all of the same size.

    Args:
        height: of the LR picture in pixels.
        width: of the LR picture in pixels.
        tile: height and width of a tile; a picture that is smaller gets one of its own size.
        halo: what surrounds the kept part of a tile on all sides within the picture.
        alignment: tiles begin and end at multiples of it.
        minimum: no side of a tile is below it; a multiple of the alignment.
        overlapping: keep the halo too, so that neighbours have at least two of them in common.

    Yields:
        The tiles of one row; what they keep covers the picture without gaps and, unless asked for, overlaps.

    Raises:
        ValueError: if a tile is too small to keep anything beside its halo.
    """
    columns = _spans(width, tile[1], halo, alignment, minimum, overlapping)
    for rows in _spans(height, tile[0], halo, alignment, minimum, overlapping):
        yield [Tile(rows, span) for span in columns]


def shares(spans: list[Span], scale: int) -> list[NDArray[np.float32]]:
    """What each SR pixel that a span keeps counts for, beside those that other spans have of it: together 1.

    Where two spans overlap, one's share falls linearly from the whole to nothing while the other's rises.
    """
    side = spans[-1].keep_stop
    places = (np.arange(side * scale) + 0.5) / scale
    kept, weights, total = [], [], np.zeros(len(places))
    for span in spans:
        part = slice(span.keep_start * scale, span.keep_stop * scale)
        # The distance to the nearer end, of those where another span goes on.
        to_start = places[part] - (span.keep_start if span.keep_start > 0 else -side)
        to_stop = (span.keep_stop if span.keep_stop < side else 2 * side) - places[part]
        weight = np.minimum(to_start, to_stop)
        total[part] += weight
        kept.append(part)
        weights.append(weight)
    return [(weight / total[part]).astype(np.float32) for part, weight in zip(kept, weights, strict=True)]


def _spans(side: int, tile: int, halo: int, alignment: int, minimum: int, overlapping: bool) -> list[Span]:
    whole = max(math.ceil(side / alignment) * alignment, minimum)
    halo = math.ceil(halo / alignment) * alignment
    tile = max(tile // alignment * alignment, minimum)
    if whole <= tile:
        return [Span(0, whole, 0, side)]
    if tile <= 2 * halo:
        raise ValueError(f"a tile of {tile} pixels keeps nothing beside its halo of {halo} on both sides")
    starts = [*range(0, whole - tile, tile - 2 * halo), whole - tile]
    if overlapping:
        return [Span(start, start + tile, start, min(start + tile, side)) for start in starts]
    borders = [0, *(start + halo for start in starts[1:]), side]
    return [
        Span(start, start + tile, keep, keep_stop)
        for start, (keep, keep_stop) in zip(starts, pairwise(borders), strict=True)
    ]
