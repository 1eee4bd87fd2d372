"""What tells best where the larger branch gains, and how much context its windows need.

    python benchmarks/routers.py --train PHOTOGRAPHS --data val [--most 80]

Routers: the cells of 24x24 LR pixels that each calls the hardest go to the larger model, the others to the smaller
one; dB of PSNR on Y behind the larger model, mean over pictures. ``detail`` is upres' own; ``change`` is how much the
smaller model changes bicubic, squared; ``classifier`` are gradient-boosted trees, trained on the photographs to predict
the gain from eight statistics of the cell, ``with change`` also from that; ``oracle`` knows the gain.

Context: squares of 32 and 64 LR pixels that the larger model upscales one by one, with so many LR pixels around them;
dB behind the whole picture, and the largest difference in levels.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingRegressor

from upres import Upscaler
from upres.evaluation.pairs import Pair, find_pairs
from upres.images import resize
from upres.metrics.psnr import luma
from upres.runtime.bundle import detail_router
from upres.runtime.engines import open_engine
from upres.runtime.graph import hardness_graph

CELL = 24
SHARES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
CONTEXTS = (0, 2, 3, 4, 6, 8)
Array = NDArray[np.float64]


class Cells:
    """Of a picture: the errors of both models and what routers see, each (cells,)."""

    def __init__(self, pair: Pair, small: Upscaler, large: Upscaler) -> None:
        lr, hr = pair.load()
        self.scale = hr.shape[0] // lr.shape[0]
        rows, columns = (side // CELL * CELL for side in lr.shape[:2])
        lr, hr = lr[:rows, :columns], hr[: rows * self.scale, : columns * self.scale]
        target, first = luma(hr), luma(small(lr))
        self.small, self.large = (self._cells((y - target) ** 2) for y in (first, luma(large(lr))))
        self.change = self._cells((first - luma(resize(lr, hr.shape[:2]))) ** 2)
        router = open_engine("openvino", hardness_graph(detail_router(CELL), lr.dtype), "f32", None)
        self.detail = router.run(np.ascontiguousarray(lr)).ravel().astype(float)
        self.statistics = np.log1p(np.stack([*self._statistics(luma(lr)), self.detail], axis=1))

    def _statistics(self, y: Array) -> list[Array]:
        padded = np.pad(y, 1, "edge")
        up, down, left, right = padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]
        laplacian, across, along = 4 * y - up - down - left - right, right - left, down - up
        mean = self._cells(y, 1)
        squares = [laplacian**4, np.abs(laplacian), across**2, along**2, (across * along) ** 2]
        return [*(self._cells(values, 1) for values in squares), mean, self._cells(y**2, 1) - mean**2]

    def _cells(self, values: Array, scale: int | None = None) -> Array:
        side = CELL * (scale or self.scale)
        height, width = values.shape
        return values.reshape(height // side, side, width // side, side).mean((1, 3)).ravel()

    def behind(self, hardness: Array, share: float) -> float:
        """dB behind the larger model, if the hardest cells go to it."""
        order = np.argsort(-hardness)
        largest = order[: round(share * len(order))]
        error = self.small.copy()
        error[largest] = self.large[largest]
        return float(10 * np.log10(error.sum() / self.large.sum()))


def compare_routers(train: list[Cells], pictures: list[Cells]) -> None:
    statistics = np.concatenate([cells.statistics for cells in train])
    change = np.log1p(np.concatenate([cells.change for cells in train]))[:, None]
    gain = np.concatenate([np.maximum(cells.small - cells.large, 0) for cells in train])
    weight = np.concatenate([np.full(len(cells.large), 1 / cells.large.mean()) for cells in train])
    options = {"loss": "poisson", "learning_rate": 0.05, "min_samples_leaf": 200, "random_state": 0}
    classifier = HistGradientBoostingRegressor(**options).fit(statistics, gain, weight)
    both = HistGradientBoostingRegressor(**options).fit(np.hstack([statistics, change]), gain, weight)
    routers = {
        "oracle": lambda cells: cells.small - cells.large,
        "detail": lambda cells: cells.detail,
        "change": lambda cells: cells.change,
        "classifier": lambda cells: classifier.predict(cells.statistics),
        "with change": lambda cells: both.predict(np.hstack([cells.statistics, np.log1p(cells.change)[:, None]])),
    }
    print(f"{'':14}" + "".join(f"{share:>8.0%}" for share in SHARES))
    for name, router in routers.items():
        behind = [fmean(cells.behind(router(cells), share) for cells in pictures) for share in SHARES]
        print(f"{name:14}" + "".join(f"{decibels:8.3f}" for decibels in behind))


def compare_contexts(pairs: list[Pair], large: Upscaler) -> None:
    print(f"{'side':>4}{'context':>9}{'behind':>9}{'levels':>8}")
    for side in (32, 64):
        for context in CONTEXTS:
            behind, levels = [], 0
            for pair in pairs:
                lr, hr = pair.load()
                whole = large(lr)
                pieced = in_squares(lr, large, side, context)
                errors = [((luma(sr) - luma(hr)) ** 2).mean() for sr in (pieced, whole)]
                behind.append(10 * np.log10(errors[0] / errors[1]))
                levels = max(levels, int(np.abs(pieced.astype(int) - whole).max()))
            print(f"{side:4}{context:9}{fmean(behind):9.4f}{levels:8}")


def in_squares(lr: NDArray[np.uint8], large: Upscaler, side: int, context: int) -> NDArray[np.uint8]:
    rows = []
    for top in range(0, lr.shape[0], side):
        row = []
        for left in range(0, lr.shape[1], side):
            above, before = max(top - context, 0), max(left - context, 0)
            seen = lr[above : top + side + context, before : left + side + context]
            sr = large(np.ascontiguousarray(seen))
            scale = sr.shape[0] // seen.shape[0]
            height, width = (min(side, length - start) for start, length in zip((top, left), lr.shape, strict=False))
            down, across = (top - above) * scale, (left - before) * scale
            row.append(sr[down : down + height * scale, across : across + width * scale])
        rows.append(np.concatenate(row, axis=1))
    return np.concatenate(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--train", type=Path, required=True, help="photographs that the classifier learns from")
    parser.add_argument("--data", type=Path, required=True, help="a data set that all are compared on")
    parser.add_argument("--most", type=int, default=80, help="of these at most")
    parser.add_argument("--small", default="fast_x4")
    parser.add_argument("--large", default="fine_x4")
    arguments = parser.parse_args()
    scale = Upscaler.native_scale(arguments.large)
    smaller, larger = (Upscaler(name, scale=scale, precision="f32") for name in (arguments.small, arguments.large))
    photographs = find_pairs(arguments.train, scale)
    photographs = photographs[:: -(-len(photographs) // arguments.most)]
    learnt = [Cells(pair, smaller, larger) for pair in photographs]
    compared = find_pairs(arguments.data, scale)
    compare_routers(learnt, [Cells(pair, smaller, larger) for pair in compared])
    compare_contexts(compared, larger)
