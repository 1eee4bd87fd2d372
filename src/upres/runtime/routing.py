"""Spending the work where a picture needs it (after Kong et al., ClassSR, CVPR 2021, arXiv:2103.04039).

A router says how hard each cell of a picture, a small square, is, and a line per branch what that branch would gain on
it over the smallest. `Planner` then chooses the branch that upscales all of the picture, and windows, rectangles of
cells that larger branches upscale anew with some context around them, so that gains are worth their work; `paint` lays
the windows over what is there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from upres.runtime.card import Routing
from upres.runtime.samples import Samples, peak_of
from upres.runtime.tiles import Span, Tile

__all__ = ["FADE", "LEVELS", "EffortMap", "Plan", "Planner", "Window", "multiply_adds", "paint"]

LEVELS = 3  # windows have 1 to 2 ** LEVELS cells along a side
CALL = 1800  # LR pixels of the largest branch, in whose time a window can be run and painted at all
FADE = 1  # LR pixels on each side of a window's border over which what is inside fades in
PRICES = 16  # that are tried at once
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


@dataclass(frozen=True)
class Plan:
    """What upscales a picture, or some of its rows."""

    base: int
    """The branch that all goes through, by its place."""
    windows: list[Window]
    """Of larger branches; no two keep the same pixel."""


class Planner:
    """What branches are worth at any price of work.

    Windows are rectangles of 2^i by 2^j cells of a grid, i and j differing by one at most. Of all branches for the
    whole and all ways to halve it into windows of larger ones, dynamic programming finds those of the most gain less
    the price of their work, from small blocks to large.

    Args:
        hardness: (h, w) of the cells in some rows of the picture; the last ones may reach past it.
        routing: of the model.
        rows: of the picture that the cells are in, in LR pixels.
        size: height and width of the picture in LR pixels.
        costs: of an LR pixel in each branch; None for the routing's.
        base: the branch for the whole, if it is chosen already.
    """

    def __init__(
        self,
        hardness: NDArray[np.float32],
        routing: Routing,
        rows: slice,
        size: tuple[int, int],
        costs: list[float] | None = None,
        base: int | None = None,
    ) -> None:
        self._cell, self._context, self._rows, self._size = routing.cell, routing.context, rows, size
        self._levels = min(LEVELS, math.ceil(math.log2(max(hardness.shape))))
        costs = costs or routing.costs
        self._costs = np.array(costs)
        self._bases = range(len(costs)) if base is None else [base]
        down, across = (
            np.clip(side - routing.cell * np.arange(cells + -cells % 2**self._levels), 0, routing.cell)
            for side, cells in zip((rows.stop - rows.start, size[1]), hardness.shape, strict=True)
        )
        areas = np.outer(down, across).astype(np.float32)
        padded = np.zeros_like(areas)
        padded[: hardness.shape[0], : hardness.shape[1]] = hardness
        lines = [(0.0, 0.0), *routing.gains]
        gains = np.stack([slope * np.maximum(padded - floor, 0) * areas for slope, floor in lines]).astype(np.float32)
        self._area, self._gains = float(areas.sum()), gains.sum((1, 2), np.float64)
        shapes = [(i, j) for i in range(self._levels + 1) for j in range(self._levels + 1) if abs(i - j) <= 1]
        self._blocks = {
            (i, j): (
                _halved(_halved(gains, -2, i), -1, j),
                self._costs * (self._side(i, 0) * self._side(j, 1)) + self._costs[-1] * CALL,
            )
            for i, j in sorted(shapes, key=sum)
        }
        # A price that no window is worth: what the hardest pixel gains at most.
        density = float((gains.max(0) / np.maximum(areas, 1)).max())
        self._highest = (density or 1.0) / float(self._costs[1])

    def at(self, price: float) -> Plan:
        """The plan of the most gain less work at a price."""
        base = max(self._bases, key=lambda branch: float(self._worth(branch, np.array([price]))[0][0]))
        return self._plan(base, price)

    def _plan(self, base: int, price: float) -> Plan:
        _, choices = self._choose(base, np.array([price]))
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
                windows.append(Window(choice, Tile(self._span(i, row, 0), self._span(j, column, 1))))

        for row, column in np.ndindex(choices[self._levels, self._levels].shape[1:] if choices else (0, 0)):
            collect(self._levels, self._levels, row, column)
        return Plan(base, windows)

    def spread(self, effort: float) -> Plan:
        """The best plan within a share, 0 to 1, of the way from the smallest branch's work to the largest one's."""
        smallest, largest = self._costs[0], self._costs[-1]
        return self.afford(self._area * (smallest + effort * (largest - smallest)) * (1 + 1e-9))

    def afford(self, limit: float) -> Plan:
        """The best plan of so much work at most, in pixels times their costs; the smallest branch at least."""
        first = self._bases[0]
        best, most = (first, 2 * self._highest), (0.0, 0.0)
        for base in self._bases:
            if base > first and self._costs[base] * self._area > limit:
                break
            price, gain, work = self._lowest(base, limit)
            share = round(gain / float(self._gains.max() or 1), 4)
            if share and (share, -work) > most:  # of equal ones the one of less work
                best, most = (base, price), (share, -work)
        return self._plan(*best)

    def _lowest(self, base: int, limit: float) -> tuple[float, float, float]:
        """The lowest price at which a branch for the whole and its windows are of so much work at most.

        And what they gain, and their work. At the highest price there are no windows.
        """
        high, low = 2 * self._highest, self._highest / RANGE
        best = (high, float(self._gains[base]), float(self._costs[base] * self._area))
        for _ in range(ROUNDS):
            prices = np.geomspace(high, low, PRICES)
            worth, work = self._worth(base, prices)
            within = int((work > limit).argmax() if work[-1] > limit else PRICES) - 1
            if within < 0:
                break
            best = (prices[within], float(worth[within] + prices[within] * work[within]), float(work[within]))
            if within == PRICES - 1:
                break
            high, low = prices[within], prices[within + 1]
        return best

    def _worth(self, base: int, prices: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """At each price: gain less work, and the work."""
        values, work = self._choose(base, prices)[0]
        whole = self._costs[base] * self._area
        return self._gains[base] - prices * whole + values, work + whole

    def _choose(
        self, base: int, prices: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], dict[tuple[int, int], NDArray[np.int64]]]:
        """At each price the value and the work of the windows; and what is done with blocks of each shape.

        That is (prices, h, w) of branches, or of `NOTHING`, `ROWS` or `COLUMNS`: to halve them.
        """
        if base == len(self._costs) - 1:
            return np.zeros((2, len(prices))), {}
        best: dict[tuple[int, int], NDArray[np.float32]] = {}  # value and work: (2, prices, h, w)
        choices: dict[tuple[int, int], NDArray[np.int64]] = {}
        for (i, j), (gains, works) in self._blocks.items():
            work = works[base + 1 :].astype(np.float32)
            values = (
                gains[base + 1 :] - gains[base] - np.multiply.outer(prices, work)[..., None, None].astype(np.float32)
            )
            choice, worth = values.argmax(1), values.max(1)
            state = np.where(worth > 0, np.stack([worth, work[choice]]), 0)
            choice += base + 1
            choice[worth <= 0] = NOTHING
            for halves, axis, how in (((i - 1, j), -2, ROWS), ((i, j - 1), -1, COLUMNS)):
                if halves in best:
                    halved = _halved(best[halves], axis, 1)
                    better = halved[0] > state[0]
                    state = np.where(better, halved, state)
                    choice[better] = how
            best[i, j], choices[i, j] = state, choice
        return best[self._levels, self._levels].sum((2, 3), np.float64), choices

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


def multiply_adds(routing: Routing, plan: Plan, height: int, width: int) -> float:
    """By LR pixel of a picture: of the router, of the branch for the whole, and of what the windows see."""
    larger = sum(
        routing.branches[window.branch].multiply_adds * window.tile.rows.length * window.tile.columns.length
        for window in plan.windows
    )
    return routing.multiply_adds + routing.branches[plan.base].multiply_adds + larger / (height * width)


def paint(
    band: Samples, base: Samples, sr: Samples, tile: Tile, rows: slice, size: tuple[int, int], scale: int
) -> None:
    """Lay what a larger branch made of a window over a band of the SR picture, in place.

    At the window's borders it fades in by a weighted mean, over `FADE` LR pixels on each side. There the shares of
    windows that touch add up to the whole, so that nothing of what was there is left between them. Nothing is
    painted beyond the band, before whose borders windows fade out.

    Args:
        band: (scale·h, scale·W, C) SR rows.
        base: the same as the branch for the whole made them.
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
        self.plans: list[Plan] = []
        """Of its rows, from top to bottom."""

    def add(self, lr: Samples, top: int, plan: Plan, branches: int) -> None:
        """Draw rows of the LR picture, (h, W, C) from row ``top`` on, and the plan for them, of so many branches."""
        places = np.linspace(0, len(COLOURS) - 1, branches)
        colours = np.stack([np.interp(places, range(len(COLOURS)), colour) for colour in COLOURS.T], axis=1)
        grey = lr[..., : 3 if lr.shape[2] > 2 else 1].mean(2, keepdims=True) * (255 / peak_of(lr.dtype))
        self.plans.append(plan)
        part = self.pixels[top : top + len(lr)]
        part[...] = 0.6 * grey + 0.4 * colours[plan.base]
        for window in plan.windows:
            rows, columns = (slice(span.keep_start, span.keep_stop) for span in (window.tile.rows, window.tile.columns))
            inside = self.pixels[rows, columns]
            colour = colours[window.branch]
            inside[...] = 0.6 * grey[rows.start - top : rows.stop - top, columns] + 0.4 * colour
            inside[0], inside[:, 0] = colour, colour
