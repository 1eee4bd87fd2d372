"""PSNR of a model over a data set."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from upres.errors import ImageError
from upres.images import make_lr, read, resize
from upres.metrics import psnr

__all__ = ["Quality", "evaluate", "pairs"]

CONVENTION = "PSNR in dB on Y (BT.601, not rounded) of 8-bit images, {scale} pixels shaved, mean over images"


@dataclass(frozen=True)
class Quality:
    """What a method reaches on a data set."""

    scale: int
    psnr: dict[str, float]
    """Image name to PSNR in dB."""
    bicubic: dict[str, float]
    """The same for MATLAB's bicubic."""

    @property
    def convention(self) -> str:
        """How the numbers were made."""
        return CONVENTION.format(scale=self.scale)

    @property
    def mean(self) -> float:
        """Over the images, of their dB."""
        return float(np.mean(list(self.psnr.values())))

    @property
    def mean_bicubic(self) -> float:
        """The same for bicubic."""
        return float(np.mean(list(self.bicubic.values())))


def evaluate(upscale: Callable[[NDArray[Any]], NDArray[Any]], folder: Path, scale: int) -> Quality:
    """Upscale every LR image of a data set and compare with its HR.

    Args:
        upscale: (h, w, 3) uint8 to (scale·h, scale·w, 3) uint8.
        folder: see `pairs`.

    Raises:
        ImageError: if the folder holds no images for this scale.
    """
    reached, bicubic = {}, {}
    for name, lr, hr in pairs(folder, scale):
        reached[name] = psnr(upscale(lr), hr, shave=scale)
        bicubic[name] = psnr(resize(lr, hr.shape[:2]), hr, shave=scale)
    if not reached:
        raise ImageError(f"{folder}: holds no images for scale {scale}")
    return Quality(scale, reached, bicubic)


def pairs(folder: Path, scale: int) -> Iterator[tuple[str, NDArray[np.uint8], NDArray[np.uint8]]]:
    """Name, LR and HR, (H, W, 3) uint8, of a data set.

    Either ``image_SRF_<scale>/*_LR.*`` and ``*_HR.*`` as the SelfExSR project publishes its
    sets, or a folder of HR images, whose LR is then made by MATLAB's bicubic after cropping
    to a multiple of the scale.
    """
    if not folder.is_dir():
        raise ImageError(f"{folder}: there is no such folder")
    paired = folder / f"image_SRF_{scale}"
    for path in sorted((paired if paired.is_dir() else folder).iterdir()):
        if path.is_dir() or path.suffix == ".csv" or "_LR." in path.name:
            continue
        hr = read(path).rgb8()
        if "_HR." in path.name:
            yield path.stem, read(path.with_name(path.name.replace("_HR.", "_LR."))).rgb8(), hr
        else:
            yield path.stem, *make_lr(hr, scale)
