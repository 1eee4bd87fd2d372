"""Photographs in memory, and batches that depend on the step's number alone."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from upres.errors import RecipeError
from upres.images import FORMATS, SUFFIXES, make_lr, read
from upres.training.degradation import Pipeline

__all__ = ["Augmentation", "Photographs", "ahead", "load_photographs"]

PHOTOGRAPHIC = SUFFIXES - set(FORMATS["gif"].suffixes)
MARGIN = 4  # LR pixels around a patch that are degraded with it, so that its border is not the picture's
BLOCK = 8  # of JPEG

Pixels = NDArray[np.uint8]
Made = TypeVar("Made")


@dataclass(frozen=True)
class Augmentation:
    """What is done to the patches of a batch, LR and HR alike."""

    flips: bool = True
    turns: bool = True
    permute_colours: bool = False


@dataclass(frozen=True)
class Photographs:
    """HR photographs and their LR images, (H, W, 3) uint8, decoded once."""

    hr: list[Pixels]
    lr: list[Pixels] | Pipeline
    """The images, or what makes LR anew for every patch."""
    scale: int
    augmentation: Augmentation = Augmentation()

    def pairs(self) -> Iterator[tuple[Pixels, Pixels]]:
        """(LR, HR), in the order of the files' names."""
        for number, hr in enumerate(self.hr):
            yield self.whole_lr(number), hr

    def whole_lr(self, number: int) -> Pixels:
        """LR of a photograph, always the same."""
        if isinstance(self.lr, Pipeline):
            height, width = self.hr[number].shape[:2]
            return self.lr(self.hr[number], (height // self.scale, width // self.scale), (number,))
        return self.lr[number]

    def batch(self, seed: tuple[int, ...], size: int, patch: int) -> tuple[Tensor, Tensor]:
        """Random patches, the batch augmented by random choices; equal seeds give equal batches.

        Returns:
            LR (size, 3, patch, patch) and HR (size, 3, scale·patch, scale·patch), float32
            in [0, 1]. A photograph's chance grows with its area.
        """
        random = np.random.default_rng(seed)
        r = self.scale
        sides = [(hr.shape[0] // r, hr.shape[1] // r) for hr in self.hr]
        areas = np.cumsum([height * width for height, width in sides])
        chosen = np.searchsorted(areas, random.integers(areas[-1], size=size), side="right")
        lr_patches = np.empty((size, patch, patch, 3), np.uint8)
        hr_patches = np.empty((size, patch * r, patch * r, 3), np.uint8)
        for place, number in enumerate(chosen):
            height, width = sides[number]
            top = int(random.integers(height - patch + 1))
            left = int(random.integers(width - patch + 1))
            lr_patches[place] = self._lr_patch(number, top, left, patch, (*seed, place))
            hr_patches[place] = self.hr[number][top * r : (top + patch) * r, left * r : (left + patch) * r]
        turn, flip, colours = int(random.integers(4)), bool(random.integers(2)), random.permutation(3)
        turn, flip = turn * self.augmentation.turns, flip and self.augmentation.flips
        if not self.augmentation.permute_colours:
            colours = np.arange(3)
        return _tensor(lr_patches, turn, flip, colours), _tensor(hr_patches, turn, flip, colours)

    def _lr_patch(self, number: int, top: int, left: int, patch: int, seed: tuple[int, ...]) -> Pixels:
        if not isinstance(self.lr, Pipeline):
            return self.lr[number][top : top + patch, left : left + patch]
        # The random margin moves the patch over JPEG's grid of blocks.
        above, beside = np.random.default_rng(seed).integers(MARGIN, MARGIN + BLOCK, size=2)
        first_row, first_column = max(0, top - int(above)), max(0, left - int(beside))
        rows = slice(first_row * self.scale, (top + patch + MARGIN) * self.scale)
        columns = slice(first_column * self.scale, (left + patch + MARGIN) * self.scale)
        hr = self.hr[number][rows, columns]
        lr = self.lr(hr, (hr.shape[0] // self.scale, hr.shape[1] // self.scale), (*seed, 0))
        return lr[top - first_row :, left - first_column :][:patch, :patch]


def load_photographs(
    folder: str,
    scale: int,
    patch: int = 1,
    *,
    lr: str = "",
    degradation: Pipeline | None = None,
    augmentation: Augmentation = Augmentation(),
) -> Photographs:
    """Decode a folder of photographs; LR is given, or degraded HR, or else MATLAB's bicubic.

    HR is cropped at the bottom and right to a multiple of the scale. Photographs whose LR
    is smaller than a patch are left out.

    Args:
        folder: of HR.
        scale: the factor between LR and HR.
        patch: side of the largest LR patch that will be asked for.
        lr: folder of LR files with the names of HR's, or those with ``x2``, ``x3`` ... after them.
        degradation: what makes LR from HR.
        augmentation: for the batches.

    Raises:
        RecipeError: if the folder has no photograph that is large enough, or LR is missing or of another size.
    """
    paths = _photographs(folder)
    given = {path.stem: path for path in _photographs(lr)} if lr else {}

    def load(path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
        hr = read(path).rgb8()
        if degradation:
            height, width = (side // scale for side in hr.shape[:2])
            return hr[:0], np.ascontiguousarray(hr[: height * scale, : width * scale])
        if not lr:
            return make_lr(hr, scale)
        name = next((name for name in (path.stem, f"{path.stem}x{scale}") if name in given), None)
        if name is None:
            raise RecipeError(f"{lr}: holds no {path.stem} and no {path.stem}x{scale}, the LR of {path}")
        small = read(given[name]).rgb8()
        height, width = small.shape[:2]
        if (height, width) != (hr.shape[0] // scale, hr.shape[1] // scale):
            raise RecipeError(
                f"{given[name]}: is {width}x{height}, but {path} is {hr.shape[1]}x{hr.shape[0]}: not a scale of {scale}"
            )
        return small, np.ascontiguousarray(hr[: height * scale, : width * scale])

    with ThreadPoolExecutor() as pool:
        pairs = [pair for pair in pool.map(load, paths) if min(pair[1].shape[:2]) >= patch * scale]
    if not pairs:
        raise RecipeError(
            f"{folder or 'the folder of photographs'}: holds no photograph of at least "
            f"{patch * scale}x{patch * scale} pixels; set data.train and data.validation"
        )
    small_images = [small for small, _ in pairs]
    return Photographs([hr for _, hr in pairs], degradation or small_images, scale, augmentation)


def ahead(make: Callable[[int], Made], numbers: Iterable[int], workers: int = 2) -> Iterator[tuple[int, Made]]:
    """Every number and what is made of it, in order, made in threads while earlier ones are used."""
    pool = ThreadPoolExecutor(workers)
    waiting: deque[tuple[int, Future[Made]]] = deque()
    try:
        for number in numbers:
            waiting.append((number, pool.submit(make, number)))
            if len(waiting) > workers:
                first, made = waiting.popleft()
                yield first, made.result()
        for first, made in waiting:
            yield first, made.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _photographs(folder: str) -> list[Path]:
    return sorted(path for path in Path(folder).glob("*") if path.suffix.lower() in PHOTOGRAPHIC)


def _tensor(patches: Pixels, quarters: int, flip: bool, colours: NDArray[np.int64]) -> Tensor:
    turned = np.rot90(patches[:, :, ::-1] if flip else patches, quarters, axes=(1, 2))[..., colours]
    # NHWC memory seen as NCHW is channels-last, which convolutions on the CPU prefer.
    return torch.from_numpy(np.ascontiguousarray(turned)).permute(0, 3, 1, 2).float().div_(255)
