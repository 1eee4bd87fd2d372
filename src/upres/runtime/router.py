"""Pictures through a model of several branches: plan block by block, run, lay over."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from upres.images.rows import Rows, strips
from upres.runtime.bundle import branches_of
from upres.runtime.engines import Engine
from upres.runtime.model import Model
from upres.runtime.routing import LEVELS, EffortMap, Plan, Planner, paint
from upres.runtime.samples import REACH, AnyRows, Samples, rgb, upscale_tile

__all__ = ["Router", "Use", "judged"]

BLOCK = 2**24  # LR pixels among which work is shared out
PROBE = 96  # LR pixels along a side of what is upscaled to see how fast a branch is
SLACK = 0.9  # of a time budget is planned with

Use = Literal["tiles", "windows", "hardness"]
"""What an engine is for: tiles of few shapes, windows of many, or the router of a bundle."""


class Router:
    """Upscales pictures with a model of several branches.

    Args:
        model: which has a routing on its card.
        engine: opens, once, what runs a model for pictures of a dtype.
        effort: see `upres.Upscaler`; above 0 and below 100, or None.
    """

    def __init__(
        self, model: Model, engine: Callable[[Model, np.dtype[Any], Use], Engine], effort: float | None
    ) -> None:
        assert model.card.routing
        self._routing, self._model, self._engine, self._effort = model.card.routing, model, engine, effort
        self._branches = branches_of(model)
        self._speeds: dict[tuple[str, str], float] = {}

    def bands(
        self,
        rows: Rows,
        upscale: Callable[[AnyRows, Model, Callable[[float], None] | None], Iterator[Samples]],
        progress: Callable[[float], None] | None,
        deadline: float | None,
        effort_map: EffortMap | None,
    ) -> Iterator[Samples]:
        """Bands of the picture at the model's scale.

        Args:
            rows: of the picture.
            upscale: makes such bands with one network, and tells its progress.
            progress: told the share that is done.
            deadline: of `time.perf_counter`; instead of an effort.
            effort_map: is told the plans.
        """
        height, width, _ = rows.shape
        routing, scale = self._routing, self._model.card.scale
        held, strip = _Held(rows), routing.cell << LEVELS
        block = max(BLOCK // width // strip, 1) * strip
        part = slice(0, min(block, height))
        plan = self._plan(held, part, deadline, None)
        base = self._branches[plan.base]
        if part.stop == height and not plan.windows:
            if effort_map:
                effort_map.add(held.window(0, height), 0, plan, len(self._branches))
            yield from upscale(held, base, progress)
            return
        bands = strips(upscale(held, base, None), strip * scale)
        # Windows that would reach past the picture are moved up, by less than their height.
        margin = max(strip + 2 * routing.context, (base.card.halo or 0) + base.card.alignment) + REACH
        for top in range(0, height, block):
            if top:
                part = slice(top, min(top + block, height))
                plan = self._plan(held, part, deadline, plan.base)
            if effort_map:
                effort_map.add(held.window(part.start, part.stop), top, plan, len(self._branches))
            for first in range(part.start, part.stop, strip):
                held.first = max(first - margin, 0)
                within = slice(first, min(first + strip, part.stop))
                whole = next(bands)
                band = whole
                for window in plan.windows:
                    if not within.start <= window.tile.rows.keep_start < within.stop:
                        continue
                    if deadline and time.perf_counter() > deadline:
                        break
                    if band is whole:
                        band = whole.copy()
                    engine = self._engine(self._branches[window.branch], rows.dtype, "windows")
                    sr = upscale_tile(engine.run, held, window.tile, scale)
                    paint(band, whole, sr, window.tile, within, (height, width), scale)
                if progress:
                    progress(within.stop / height)
                yield band

    def _plan(self, rows: AnyRows, part: slice, deadline: float | None, base: int | None) -> Plan:
        """What upscales some rows of a picture."""
        (height, width, _), routing = rows.shape, self._routing
        hardness = self._hardness(rows, part)
        if deadline is None:
            planner = Planner(hardness, routing, part, (height, width), base=base)
            return planner.at(routing.price) if self._effort is None else planner.spread(self._effort / 100)
        costs = [self._speed(branch, rows.dtype) for branch in self._branches]
        planner = Planner(hardness, routing, part, (height, width), costs, base)
        left = SLACK * (deadline - time.perf_counter())
        return planner.afford(left * (part.stop - part.start) / (height - part.start))

    def _hardness(self, rows: AnyRows, part: slice) -> NDArray[np.float32]:
        """Of the cells in some rows."""
        height, _, channels = rows.shape
        cell = self._routing.cell
        top, stop = max(part.start - cell, 0), min(part.stop + cell, height)
        lr = rgb(rows.window(top, stop)[..., : 3 if channels > 2 else 1])
        hardness = judged(self._engine(self._model, rows.dtype, "hardness"), lr, cell)
        first = (part.start - top) // cell
        return hardness[first : first + math.ceil((part.stop - part.start) / cell)]

    def _speed(self, branch: Model, dtype: np.dtype[Any]) -> float:
        """Seconds that a branch takes for an LR pixel, measured once."""
        key = (branch.card.name, dtype.name)
        if key not in self._speeds:
            engine, lr = self._engine(branch, dtype, "windows"), np.zeros((PROBE, PROBE, 3), dtype)
            engine.run(lr)
            start = time.perf_counter()
            engine.run(lr)
            self._speeds[key] = (time.perf_counter() - start) / PROBE**2
        return self._speeds[key]


def judged(engine: Engine, lr: Samples, cell: int) -> NDArray[np.float32]:
    """The hardness of a picture's cells, (h, w); the last ones are filled up with its edge.

    Args:
        engine: of a router.
        lr: (H, W, 3).
        cell: LR pixels along a side of a cell.
    """
    height, width, channels = lr.shape
    if height % cell or width % cell:  # faster than numpy.pad
        filled = np.empty((height + -height % cell, width + -width % cell, channels), lr.dtype)
        filled[:height, :width] = lr
        filled[height:, :width] = lr[-1:]
        filled[:, width:] = filled[:, width - 1 : width]
        lr = filled
    return engine.run(np.ascontiguousarray(lr))[..., 0]


class _Held:
    """Rows of a picture that may be asked for again, from the first on that is held."""

    def __init__(self, rows: Rows) -> None:
        self.shape, self.dtype, self._rows = rows.shape, rows.dtype, rows
        self.first = 0

    def window(self, start: int, stop: int) -> Samples:
        """See `Rows.window`."""
        if start < self.first:
            raise ValueError(f"row {start} was let go; the first held is {self.first}")
        return self._rows.window(self.first, stop)[start - self.first :]
