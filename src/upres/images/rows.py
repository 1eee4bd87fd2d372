"""The rows of a picture that is never held whole."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["Rows", "side_by_side", "strips"]

AHEAD = 4  # items in work or waiting; memory holds so many of them and of what was made
ItemT = TypeVar("ItemT")
MadeT = TypeVar("MadeT")


class Rows:
    """A picture whose rows come from top to bottom; those that are no longer needed are let go.

    Args:
        shape: height, width and channels of the whole picture.
        dtype: of its samples.
        bands: (h, W, C) arrays from top to bottom whose heights add up to the picture's; one may be all of it.
    """

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype[Any], bands: Iterable[NDArray[Any]]) -> None:
        self.shape = (shape[0], shape[1], shape[2])
        self.dtype = dtype
        self._bands = iter(bands)
        self._held: NDArray[Any] = np.empty((0, *self.shape[1:]), dtype)
        self._top = 0  # row of the picture that is the first held

    @classmethod
    def of(cls, pixels: NDArray[Any]) -> Rows:
        """The rows of a picture in memory, (H, W, C); they are not copied."""
        return cls(pixels.shape, pixels.dtype, [pixels])

    def window(self, start: int, stop: int) -> NDArray[Any]:
        """Rows ``start`` to ``stop``, (stop - start, W, C); none above ``start`` can be asked for later.

        Raises:
            ValueError: if the rows were let go.
            ImageError: if they cannot be decoded.
        """
        if start < self._top:
            raise ValueError(f"row {start} was let go; the first held is {self._top}")
        parts, rows = [self._held[start - self._top :]], self._top + len(self._held)
        while rows < stop:
            band = next(self._bands)
            parts.append(band[max(start - rows, 0) :])
            rows += len(band)
        parts = [part for part in parts if len(part)]
        self._held, self._top = parts[0] if len(parts) == 1 else np.concatenate(parts), start
        return self._held[: stop - start]


def strips(bands: Iterable[NDArray[Any]], height: int) -> Iterator[NDArray[Any]]:
    """The same rows in strips of equal height, the last one perhaps shorter; most are views."""
    rest: list[NDArray[Any]] = []
    missing = height
    for band in bands:
        start = 0
        while len(band) - start >= missing:
            part = band[start : start + missing]
            start += missing
            yield np.concatenate([*rest, part]) if rest else part
            rest, missing = [], height
        if start < len(band):
            rest.append(band[start:])
            missing -= len(band) - start
    if rest:
        yield rest[0] if len(rest) == 1 else np.concatenate(rest)


def side_by_side(work: Callable[[ItemT], MadeT], items: Iterable[ItemT]) -> Iterator[MadeT]:
    """What ``work`` makes of every item, in their order, by all cores, while the next items are made."""
    waiting: deque[Future[MadeT]] = deque()
    pool = ThreadPoolExecutor(os.cpu_count())
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
