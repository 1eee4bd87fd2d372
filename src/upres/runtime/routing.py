"""Spending the work where a picture needs it (after Kong et al., ClassSR, CVPR 2021, arXiv:2103.04039).

A model of several branches has the smallest one upscale all of a picture. A router says how hard each cell, a small
square, is, and a line per branch what that branch would gain on it. `Planner` then chooses windows, rectangles of cells
that a larger branch upscales anew with some context around them, so that the gain is worth its work, and `paint` lays
them over what is there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from upres.runtime.card import Routing
from upres.runtime.samples import Samples, peak_of
from upres.runtime.tiles import Span, Tile

__all__ = ["FADE", "LEVELS", "EffortMap", "Planner", "Window", "multiply_adds", "paint"]

LEVELS = 3  # windows have 1 to 2 ** LEVELS cells along a side
CALL = 800  # LR pixels of the largest branch, whose work is what it costs to run and to paint a window at all
MOVE = 1100  # multiply-adds whose time it takes to move an SR pixel's bytes
FADE = 1  # LR pixels on each side of a window's border over which what is inside fades in
PRICES = 24  # that are tried at once
ROUNDS = 2  # of trying prices, each between two of the ones before
RANGE = 1e4  # between the highest and the lowest price
NOTHING, ROWS, COLUMNS = -1, -2, -3

COLOURS = np.array([(0, 40, 200), (255, 200, 0), (230, 0, 0)], np.float32)
"""Of branches in an `EffortMap`, from the smallest to the largest; between them mixed."""


@dataclass(frozen=True)
class Window:
    """A rectangle that a larger branch upscales."""

    branch: int
    tile: Tile
    """What it sees, and what is kept of it."""

    def covers(self, height: int, width: int) -> bool:
        """Whether it is all of a picture, which then needs no other branch."""
        return (self.tile.rows.kept, self.tile.columns.kept) == (height, width)


class _Totals(NamedTuple):
    """Of the windows at several prices."""

    area: NDArray[np.float32]
    work: NDArray[np.float32]


class Planner:
    """What windows to have, at any price of work.

    Windows are rectangles of 2^i by 2^j cells of a grid, i and j differing by one at most. Of all ways to halve blocks
    into them dynamic programming finds the one of the most gain less the price of its work, from small blocks to large.

    Args:
        hardness: (h, w) of the cells in some rows of the picture; the last ones may reach past it.
        routing: of the model.
        rows: of the picture that the cells are in, in LR pixels.
        size: height and width of the picture in LR pixels.
        prices: of an LR pixel in each branch; None for their multiply-adds and what moving its result costs.
    """

    def __init__(
        self,
        hardness: NDArray[np.float32],
        routing: Routing,
        rows: slice,
        size: tuple[int, int],
        prices: list[float] | None = None,
    ) -> None:
        self._cell, self._context, self._rows, self._size = routing.cell, routing.context, rows, size
        self._levels = min(LEVELS, math.ceil(math.log2(max(hardness.shape))))
        down, across = (
            np.clip(side - routing.cell * np.arange(cells + -cells % 2**self._levels), 0, routing.cell)
            for side, cells in zip((rows.stop - rows.start, size[1]), hardness.shape, strict=True)
        )
        area = np.outer(down, across).astype(np.float32)
        padded = np.zeros_like(area)
        padded[: hardness.shape[0], : hardness.shape[1]] = hardness
        gains = np.stack([slope * np.maximum(padded - floor, 0) * area for slope, floor in routing.gains])
        if prices is None:
            prices = [card.multiply_adds + MOVE * card.scale**2 for card in routing.branches]
        self._prices = prices
        shapes = [(i, j) for i in range(self._levels + 1) for j in range(self._levels + 1) if abs(i - j) <= 1]
        self._blocks = {
            (i, j): (
                _halved(_halved(gains, -2, i), -1, j),
                _halved(_halved(area, -2, i), -1, j),
                np.array(prices[1:], np.float32) * (self._side(i, 0) * self._side(j, 1)) + CALL * prices[-1],
            )
            for i, j in sorted(shapes, key=sum)
        }
        self._area = float(area.sum())

    def at(self, price: float) -> list[Window]:
        """Windows that gain more than their work costs at a price; one, where all of a picture takes less work."""
        totals, choices = self._choose(np.array([price]))
        height, width = self._size
        smallest, largest = self._prices[0], self._prices[-1]
        if self._rows == slice(0, height) and totals.work[0] > (largest - smallest) * self._area:
            return [Window(len(self._prices) - 1, Tile(Span(0, height, 0, height), Span(0, width, 0, width)))]
        windows: list[Window] = []

        def collect(i: int, j: int, row: int, column: int) -> None:
            choice = int(choices[i, j][0, row, column])
            if choice == ROWS:
                collect(i - 1, j, 2 * row, column)
                collect(i - 1, j, 2 * row + 1, column)
            elif choice == COLUMNS:
                collect(i, j - 1, row, 2 * column)
                collect(i, j - 1, row, 2 * column + 1)
            elif choice != NOTHING:
                windows.append(Window(choice + 1, Tile(self._span(i, row, 0), self._span(j, column, 1))))

        for row, column in np.ndindex(choices[self._levels, self._levels].shape[1:]):
            collect(self._levels, self._levels, row, column)
        return windows

    def spread(self, share: float) -> list[Window]:
        """Windows on a share of the picture at most, 0 to 1."""
        return self._within(lambda totals: totals.area <= share * self._area)

    def afford(self, limit: float) -> list[Window]:
        """Windows of so much work at most, in pixels at their prices."""
        return self._within(lambda totals: totals.work <= limit)

    def _within(self, allowed: Callable[[_Totals], NDArray[np.bool_]]) -> list[Window]:
        """The windows at the lowest price at which they are allowed."""
        highest = max(float((gains / works[:, None, None]).max()) for gains, _, works in self._blocks.values())
        if highest <= 0:
            return []
        high, low = 2 * highest, highest / RANGE  # at the first there are none
        for _ in range(ROUNDS):
            prices = np.geomspace(high, low, PRICES)
            refused = np.flatnonzero(~allowed(self._choose(prices)[0]))
            if not len(refused):
                return self.at(low)
            if refused[0] == 0:
                return []
            high, low = prices[refused[0] - 1], prices[refused[0]]
        return self.at(high)

    def _choose(self, prices: NDArray[np.float64]) -> tuple[_Totals, dict[tuple[int, int], NDArray[np.int64]]]:
        """At each price the totals; and what is done with the blocks of each shape, (prices, h, w).

        That is a branch, by its place after the first, or `NOTHING`, `ROWS` or `COLUMNS`: to halve them.
        """
        best: dict[tuple[int, int], NDArray[np.float32]] = {}  # value, area and work: (3, prices, h, w)
        choices: dict[tuple[int, int], NDArray[np.int64]] = {}
        for (i, j), (gains, area, works) in self._blocks.items():
            values = gains - np.multiply.outer(prices, works)[..., None, None].astype(np.float32)
            choice, worth = values.argmax(1), values.max(1)
            state = np.where(worth > 0, np.stack([worth, np.broadcast_to(area, worth.shape), works[choice]]), 0)
            choice[worth <= 0] = NOTHING
            for halves, axis, how in (((i - 1, j), -2, ROWS), ((i, j - 1), -1, COLUMNS)):
                if halves in best:
                    halved = _halved(best[halves], axis, 1)
                    better = halved[0] > state[0]
                    state = np.where(better, halved, state)
                    choice[better] = how
            best[i, j], choices[i, j] = state, choice
        _, areas, spent = best[self._levels, self._levels].sum((2, 3))
        return _Totals(areas, spent), choices

    def _side(self, level: int, axis: int) -> int:
        """What a window of 2^level cells sees, in LR pixels."""
        return min((self._cell << level) + 2 * self._context, self._size[axis])

    def _span(self, level: int, place: int, axis: int) -> Span:
        """A window's rows or columns; at the picture's borders it sees more context inside instead, as tiles do."""
        seen, whole = self._side(level, axis), self._size[axis]
        top, end = (self._rows.start, self._rows.stop) if axis == 0 else (0, whole)
        start = top + place * (self._cell << level)
        first = min(max(start - self._context, 0), whole - seen)
        return Span(first, first + seen, start, min(start + (self._cell << level), end))


def _halved(blocks: NDArray[np.float32], axis: int, times: int) -> NDArray[np.float32]:
    """Sums of 2^times neighbours along one of the last two axes."""
    axis += blocks.ndim
    shape = (*blocks.shape[:axis], blocks.shape[axis] >> times, 1 << times, *blocks.shape[axis + 1 :])
    summed: NDArray[np.float32] = blocks.reshape(shape).sum(axis + 1)
    return summed


def multiply_adds(routing: Routing, windows: list[Window], height: int, width: int) -> float:
    """By LR pixel of a picture: of the router, of the smallest branch, and of what the windows see."""
    smallest = 0 if any(window.covers(height, width) for window in windows) else routing.branches[0].multiply_adds
    larger = sum(
        routing.branches[window.branch].multiply_adds * window.tile.rows.length * window.tile.columns.length
        for window in windows
    )
    return routing.multiply_adds + smallest + larger / (height * width)


def paint(
    band: Samples, base: Samples, sr: Samples, tile: Tile, rows: slice, size: tuple[int, int], scale: int
) -> None:
    """Lay what a larger branch made of a window over a band of the SR picture, in place.

    At the window's borders it fades in by a weighted mean, over `FADE` LR pixels on each side. There the shares of
    windows that touch add up to the whole, so that nothing of the smallest branch is left between them. Nothing is
    painted beyond the band, before whose borders windows fade out.

    Args:
        band: (scale·h, scale·W, C) SR rows.
        base: the same as the smallest branch made them.
        sr: of all that the window sees.
        tile: the window.
        rows: of the LR picture that the band is of.
        size: height and width of the LR picture.
        scale: the factor r between LR and SR.
    """
    height, width = size
    down, source_down, y = _fading(tile.rows, rows.start, rows.stop, height, scale)
    across, source_across, x = _fading(tile.columns, 0, width, width, scale)
    band, base, sr = band[down, across], base[down, across], sr[source_down, source_across]
    (top, bottom), (left, right) = (
        (int(full[0]), int(full[-1]) + 1) for full in (np.flatnonzero(w == 1) for w in (y, x))
    )
    band[top:bottom, left:right] = sr[top:bottom, left:right]
    whole, middle = slice(None), slice(top, bottom)
    for part in (
        (slice(top), whole),
        (slice(bottom, None), whole),
        (middle, slice(left)),
        (middle, slice(right, None)),
    ):
        share = y[part[0], None, None] * x[part[1], None]
        mixed = band[part] + share * (sr[part].astype(np.float32) - base[part])
        band[part] = np.clip(np.rint(mixed), 0, peak_of(band.dtype)) if band.dtype.kind == "u" else mixed


def _fading(span: Span, start: int, stop: int, side: int, scale: int) -> tuple[slice, slice, NDArray[np.float32]]:
    """Where a span is painted, in a band from start to stop, from where in its SR samples, and with which shares."""
    first, last = max(span.keep_start - FADE, start), min(span.keep_stop + FADE, stop)
    places = (np.arange(first * scale, last * scale) + 0.5) / scale
    share = np.ones(len(places))
    for border, inside, end, edge in (
        (span.keep_start, places - span.keep_start, start, 0),
        (span.keep_stop, span.keep_stop - places, stop, side),
    ):
        if border != edge:
            share = np.minimum(share, (inside if border == end else inside + FADE) / (2 * FADE))
    band, seen = ((first - begin) * scale for begin in (start, span.start))
    length = (last - first) * scale
    return slice(band, band + length), slice(seen, seen + length), share.astype(np.float32)


class EffortMap:
    """A picture of which branch upscaled what: the LR picture in grey, tinted, with the windows' borders.

    Args:
        height: of the LR picture in pixels.
        width: likewise.
    """

    def __init__(self, height: int, width: int) -> None:
        self.pixels = np.zeros((height, width, 3), np.uint8)
        """(height, width, 3) uint8, RGB, filled from top to bottom."""
        self.windows: list[Window] = []
        """All of them."""

    def add(self, lr: Samples, top: int, windows: list[Window], branches: int) -> None:
        """Draw rows of the LR picture, (h, W, C) from row ``top`` on, and the windows in them, of so many branches."""
        places = np.linspace(0, len(COLOURS) - 1, branches)
        colours = np.stack([np.interp(places, range(len(COLOURS)), colour) for colour in COLOURS.T], axis=1)
        grey = lr[..., : 3 if lr.shape[2] > 2 else 1].mean(2, keepdims=True) * (255 / peak_of(lr.dtype))
        self.windows += windows
        part = self.pixels[top : top + len(lr)]
        part[...] = 0.6 * grey + 0.4 * colours[0]
        for window in windows:
            rows, columns = (slice(span.keep_start, span.keep_stop) for span in (window.tile.rows, window.tile.columns))
            inside = self.pixels[rows, columns]
            colour = colours[window.branch]
            inside[...] = 0.6 * grey[rows.start - top : rows.stop - top, columns] + 0.4 * colour
            inside[0], inside[:, 0] = colour, colour
