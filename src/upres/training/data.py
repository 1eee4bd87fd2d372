"""Photographs in memory, and batches that depend on the step's number alone."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from upres.errors import RecipeError
from upres.images import FORMATS, SUFFIXES, make_lr, read

__all__ = ["Photographs", "load_photographs"]

PHOTOGRAPHIC = SUFFIXES - set(FORMATS["gif"].suffixes)


@dataclass(frozen=True)
class Photographs:
    """HR photographs and their LR images, (H, W, 3) uint8, decoded once."""

    hr: list[NDArray[np.uint8]]
    lr: list[NDArray[np.uint8]]
    scale: int

    def pairs(self) -> Iterator[tuple[NDArray[np.uint8], NDArray[np.uint8]]]:
        """(LR, HR), in the order of the files' names."""
        return zip(self.lr, self.hr, strict=True)

    def batch(self, seed: tuple[int, ...], size: int, patch: int) -> tuple[Tensor, Tensor]:
        """Random patches, the batch flipped and turned by a random quarter; equal seeds give equal batches.

        Returns:
            LR (size, 3, patch, patch) and HR (size, 3, scale·patch, scale·patch), float32
            in [0, 1]. A photograph's chance grows with its area.
        """
        random = np.random.default_rng(seed)
        areas = np.cumsum([lr.shape[0] * lr.shape[1] for lr in self.lr])
        chosen = np.searchsorted(areas, random.integers(areas[-1], size=size), side="right")
        r = self.scale
        lr_patches = np.empty((size, patch, patch, 3), np.uint8)
        hr_patches = np.empty((size, patch * r, patch * r, 3), np.uint8)
        for place, number in enumerate(chosen):
            lr, hr = self.lr[number], self.hr[number]
            top = int(random.integers(lr.shape[0] - patch + 1))
            left = int(random.integers(lr.shape[1] - patch + 1))
            lr_patches[place] = lr[top : top + patch, left : left + patch]
            hr_patches[place] = hr[top * r : (top + patch) * r, left * r : (left + patch) * r]
        turn, flip = int(random.integers(4)), bool(random.integers(2))
        return _tensor(lr_patches, turn, flip), _tensor(hr_patches, turn, flip)


def load_photographs(folder: str, scale: int, patch: int = 1) -> Photographs:
    """Decode a folder of photographs and make their LR by MATLAB's bicubic.

    HR is cropped at the bottom and right to a multiple of the scale. Photographs whose LR
    is smaller than a patch are left out.

    Raises:
        RecipeError: if the folder has no photograph that is large enough.
    """
    paths = sorted(path for path in Path(folder).glob("*") if path.suffix.lower() in PHOTOGRAPHIC)

    def load(path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
        return make_lr(read(path).rgb8(), scale)

    with ThreadPoolExecutor() as pool:
        pairs = [(lr, hr) for lr, hr in pool.map(load, paths) if min(lr.shape[:2]) >= patch]
    if not pairs:
        raise RecipeError(
            f"{folder or 'the folder of photographs'}: holds no photograph of at least "
            f"{patch * scale}x{patch * scale} pixels; set data.train and data.validation"
        )
    return Photographs([hr for _, hr in pairs], [lr for lr, _ in pairs], scale)


def _tensor(patches: NDArray[np.uint8], quarters: int, flip: bool) -> Tensor:
    turned = np.rot90(patches[:, :, ::-1] if flip else patches, quarters, axes=(1, 2))
    # NHWC memory seen as NCHW is channels-last, which convolutions on the CPU prefer.
    return torch.from_numpy(np.ascontiguousarray(turned)).permute(0, 3, 1, 2).float().div_(255)
