"""From the tiles of a picture to bands of its rows, one row of tiles after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from upres.runtime.samples import Samples
from upres.runtime.tiles import Span, Tile, shares

__all__ = ["Run", "blended", "joined"]

Run = Callable[[Tile], Samples]
"""From a tile to its (scale·h, scale·w, C) SR samples."""


def joined(rows: list[list[Tile]], run: Run, scale: int, channels: int, dtype: np.dtype[Any]) -> Iterator[Samples]:
    """Tiles that keep no pixel twice, side by side."""
    for row in rows:
        if len(row) == 1:
            yield _kept(run(row[0]), row[0], scale)
            continue
        band = np.empty((row[0].rows.kept * scale, row[-1].columns.keep_stop * scale, channels), dtype)
        for tile in row:
            band[:, _sr(tile.columns, scale)] = _kept(run(tile), tile, scale)
        yield band


def blended(rows: list[list[Tile]], run: Run, scale: int, channels: int, dtype: np.dtype[Any]) -> Iterator[Samples]:
    """Tiles of which neighbours overlap, by the weighted mean, in f32; integers are rounded once.

    Beside a band, what the next row of tiles overlaps is held.
    """
    spans = [row[0].rows for row in rows]
    across = shares([tile.columns for tile in rows[0]], scale)
    carried = np.zeros((0, rows[0][-1].columns.keep_stop * scale, channels), np.float32)
    for row, down, below in zip(rows, shares(spans, scale), [*spans[1:], None], strict=True):
        sums = np.zeros((len(down), *carried.shape[1:]), np.float32)
        sums[: len(carried)] = carried
        for tile, weights in zip(row, across, strict=True):
            share = down[:, None, None] * weights[:, None]
            sums[:, _sr(tile.columns, scale)] += _kept(run(tile), tile, scale) * share
        complete = (below.keep_start - row[0].rows.keep_start) * scale if below else len(sums)
        carried = sums[complete:].copy()
        band = sums[:complete]
        yield np.rint(band, out=band).astype(dtype) if dtype.kind == "u" else band


def _kept(sr: Samples, tile: Tile, scale: int) -> Samples:
    rows, columns = (
        slice((span.keep_start - span.start) * scale, (span.keep_stop - span.start) * scale)
        for span in (tile.rows, tile.columns)
    )
    return sr[rows, columns]


def _sr(span: Span, scale: int) -> slice:
    """What a span keeps, in the SR picture."""
    return slice(span.keep_start * scale, span.keep_stop * scale)
