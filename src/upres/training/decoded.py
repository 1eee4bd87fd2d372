"""Decoded photographs in bounded memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Lock

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEAST", "Decoded", "Pair", "Pixels", "working_set"]

Pixels = NDArray[np.uint8]
Pair = tuple[Pixels, Pixels]
"""LR and HR, (H, W, 3)."""

REUSE = 16  # patches are cut from a photograph until they have so many times its area
SPARE = 4  # of the largest photograph: two that reach out of a working set, one ahead of it, one of another thread
LEAST = SPARE + 1
"""As many of the largest photograph must fit, if not all do."""


class Decoded:
    """Photographs by number, decoded in threads when they are asked for; the ones used last are held.

    Args:
        load: decodes a photograph.
        sizes: of all photographs, in any unit.
        capacity: how much is held at once, in the same unit, beside what decoding itself takes.
    """

    def __init__(self, load: Callable[[int], Pair], sizes: NDArray[np.int64], capacity: int) -> None:
        self.sizes = sizes
        self.capacity = capacity
        self.load = load
        self._held: dict[int, Future[Pair]] = {}  # those used last at the end
        self._lock = Lock()
        self._pool = ThreadPoolExecutor()

    def get(self, numbers: Iterable[int], soon: Iterable[int] = ()) -> dict[int, Pair]:
        """Photographs by their numbers, while those asked for soon begin to be decoded.

        Raises:
            UpresError: if one of the numbers cannot be decoded.
        """
        with self._lock:
            waiting = {number: self._future(number) for number in numbers}
            for number in soon:
                self._future(number)
        return {number: future.result() for number, future in waiting.items()}

    def changed(self, change: Callable[[int, Pair], Pair]) -> Decoded:
        """The same photographs, of which each pair is another; nothing is shared."""
        return Decoded(lambda number: change(number, self.load(number)), self.sizes, self.capacity)

    def _future(self, number: int) -> Future[Pair]:
        future = self._held.pop(number, None)
        if future is None:
            room = self.capacity - self.sizes[number]
            while self._held and sum(self.sizes[held] for held in self._held) > room:
                del self._held[next(iter(self._held))]
            future = self._pool.submit(self.load, number)
        self._held[number] = future
        return future


def working_set(
    sizes: NDArray[np.int64], capacity: int, seed: tuple[int, ...], drawn: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The photographs to cut patches from, after patches of a total size were drawn.

    Where not all fit, they lie end to end on an endless line, in another random order each round, and a window moves
    along it: by a sixteenth of what is drawn from it, so that a decoded photograph serves many patches, and steadily,
    so that all are drawn from in proportion to their sizes.

    Args:
        sizes: of all photographs; those of size 0 are left out.
        capacity: what can be held.
        seed: of the orders.
        drawn: total size of the patches.

    Returns:
        Numbers of the photographs, the size of each one's part in the window, and the numbers of those that come next.
    """
    numbers = np.flatnonzero(sizes)
    total, largest = int(sizes.sum()), int(sizes.max())
    if total <= capacity:
        return numbers, sizes[numbers], numbers[:0]
    rounds, start = divmod(drawn // REUSE, total)
    end = start + capacity - SPARE * largest
    orders = [np.random.default_rng((number, *seed)).permutation(numbers) for number in (rounds, rounds + 1)]
    line = np.concatenate(orders)
    ends = sizes[line].cumsum()
    begins = ends - sizes[line]
    parts = np.minimum(ends, end) - np.maximum(begins, start)
    return line[parts > 0], parts[parts > 0], line[(begins >= end) & (begins < end + largest)]
