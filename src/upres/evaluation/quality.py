"""How good a method's pictures are, over a data set."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from upres.errors import ImageError
from upres.evaluation.measures import MEASURES, Measure, Settings
from upres.evaluation.methods import Method
from upres.evaluation.pairs import Pair, find_pairs
from upres.evaluation.results import Result
from upres.images import Picture, write

__all__ = ["evaluate", "mean_psnr", "qualities"]


def evaluate(
    method: Method,
    pairs: Sequence[Pair],
    measures: Mapping[str, Measure],
    data: str = "",
    save: Path | None = None,
    workers: int | None = None,
    progress: Callable[[], None] | None = None,
) -> Result:
    """Upscale the LR images of a data set and compare with HR.

    Args:
        method: what is judged.
        pairs: the data set, from `find_pairs`.
        measures: name to measure, from `MEASURES`.
        data: the set's name.
        save: a folder for the images, as PNG: SR in one of the method's name, LR in one beside it.
        workers: images that are worked on at once; None for one a processor core.
        progress: called after every image.

    Raises:
        ImageError: if an image cannot be read, a measure is not defined for it, or the
            method's picture has another size than HR.
    """

    def judge(pair: Pair) -> dict[str, float]:
        lr, hr = pair.load()
        sr = method.run(pair.name, lr)
        if sr.shape != hr.shape:
            sizes = [f"{image.shape[1]}x{image.shape[0]}" for image in (sr, hr)]
            raise ImageError(f"{method.name}: its picture of {pair.name} is {sizes[0]}, HR is {sizes[1]}")
        if save:
            for folder, image in ((method.name, sr), ("LR", lr)):
                write(save / folder / f"{pair.name}.png", Picture(image))
        try:
            values = {name: measure.compute(sr, hr) for name, measure in measures.items()}
        except ValueError as error:
            raise ImageError(f"{pair.hr}: {error}") from None
        if progress:
            progress()
        return values

    if save:
        for folder in (method.name, "LR"):
            (save / folder).mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(workers or os.cpu_count()) as pool:
        images = dict(zip((pair.name for pair in pairs), pool.map(judge, pairs), strict=True))
    conventions = {
        name: f"{measure.title}, {measure.better} is better: {measure.convention}" for name, measure in measures.items()
    }
    means = {name: measure.mean([values[name] for values in images.values()]) for name, measure in measures.items()}
    if method.multiply_adds is not None:
        conventions["multiply_adds"] = "by LR pixel, of the branches that the image went through and what chose them"
        means["multiply_adds"] = fmean(method.multiply_adds[name] for name in images)
        for name, values in images.items():
            values["multiply_adds"] = method.multiply_adds[name]
    return Result(
        method.name,
        method.scale,
        data,
        method.engine,
        method.precision,
        conventions=conventions,
        means=means,
        images=images,
    )


def qualities(
    upscale: Callable[[NDArray[np.uint8]], NDArray[np.uint8]], folders: Sequence[Path], scale: int
) -> dict[str, float]:
    """What a card states: the data sets' names to `mean_psnr`, to 0.001 dB."""
    return {folder.resolve().name: round(mean_psnr(upscale, folder, scale), 3) for folder in folders}


def mean_psnr(upscale: Callable[[NDArray[np.uint8]], NDArray[np.uint8]], folder: Path, scale: int) -> float:
    """Mean PSNR in dB of a function from LR to SR, both (h, w, 3) uint8, by the default convention."""
    method = Method("", scale, lambda _, lr: upscale(lr))
    measures = {"psnr_y": MEASURES["psnr_y"](Settings(scale))}
    return evaluate(method, find_pairs(folder, scale), measures).means["psnr_y"]
