"""Data sets: which LR image belongs to which HR image."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from upres.errors import ImageError
from upres.images import SUFFIXES, make_lr, read

__all__ = ["Pair", "files_by_name", "find_pairs", "find_sets"]


@dataclass(frozen=True)
class Pair:
    """An image of a data set."""

    name: str
    """The file's name without what says its scale and kind: ``img_001`` of ``img_001_SRF_4_HR.png``."""
    hr: Path
    lr: Path | None
    """None where LR is made from HR by MATLAB's bicubic."""
    scale: int

    def load(self) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """LR (h, w, 3) and HR (scale·h, scale·w, 3), uint8; grey is repeated.

        Raises:
            ImageError: if a file cannot be read, or the sizes do not fit.
        """
        hr = read(self.hr).rgb8()
        if min(hr.shape[:2]) < self.scale:
            raise ImageError(f"{self.hr}: is {hr.shape[1]}x{hr.shape[0]}, too small to be reduced by {self.scale}")
        if self.lr is None:
            return make_lr(hr, self.scale)
        lr = read(self.lr).rgb8()
        height, width = (side * self.scale for side in lr.shape[:2])
        if hr.shape[0] - height not in range(self.scale) or hr.shape[1] - width not in range(self.scale):
            raise ImageError(
                f"{self.lr}: is {lr.shape[1]}x{lr.shape[0]}, which is not {self.hr} "
                f"({hr.shape[1]}x{hr.shape[0]}) reduced by {self.scale}"
            )
        return lr, np.ascontiguousarray(hr[:height, :width])


def find_pairs(folder: Path, scale: int, lr: Path | None = None) -> list[Pair]:
    """The images of a data set, in order of their names.

    LR is made by MATLAB's bicubic, unless it is found: in ``lr``; as ``*_LR`` beside ``*_HR``
    in ``image_SRF_<scale>``, as the SelfExSR project publishes its sets; or as
    ``LR_bicubic/X<scale>`` beside ``HR``, as in EDSR's archive of benchmarks.

    Args:
        folder: HR images of any size, or the folder of one of these forms.
        scale: the factor between LR and HR.
        lr: a folder of LR images of the same names; endings such as ``x4`` are ignored.

    Raises:
        ImageError: if there is no such folder or image, or an LR image is missing.
    """
    for form, reduced in ((f"image_SRF_{scale}", ""), ("HR", f"LR_bicubic/X{scale}")):
        if (folder / form).is_dir():
            folder, beside = folder / form, folder / reduced
            lr = lr or (beside if reduced and beside.is_dir() else None)
            break
    files = files_by_name(folder, without=("_LR",))
    if not files:
        raise ImageError(f"{folder}: holds no images for scale {scale}")
    if lr is None:
        return [Pair(name, path, _beside(path), scale) for name, path in files.items()]
    given = files_by_name(lr)
    if missing := sorted(set(files) - set(given)):
        raise ImageError(f"{lr}: has no LR image for {', '.join(missing)}")
    return [Pair(name, path, given[name], scale) for name, path in files.items()]


def find_sets(folders: Sequence[Path], scale: int, lr: Sequence[Path] = ()) -> dict[str, list[Pair]]:
    """The images of several data sets, by the sets' names, which are those of their folders.

    Args:
        folders: as for `find_pairs`.
        scale: the factor between LR and HR.
        lr: none, or the LR of each.

    Raises:
        ImageError: as `find_pairs`.
        ValueError: if LR is not given for each, or two folders have one name.
    """
    if lr and len(lr) != len(folders):
        raise ValueError(f"--lr and --data go in pairs, but there are {len(lr)} and {len(folders)}")
    sets: dict[str, list[Pair]] = {}
    for folder, reduced in zip_longest(folders, lr):
        name = folder.resolve().name
        if name in sets:
            raise ValueError(f"two data sets are called {name}: measure them apart, or rename one of the folders")
        sets[name] = find_pairs(folder, scale, reduced)
    return sets


def files_by_name(folder: Path, without: tuple[str, ...] = ()) -> dict[str, Path]:
    """The images of a folder by their names without scale and kind.

    Args:
        folder: where.
        without: files whose stem ends in one of these are left out.

    Raises:
        ImageError: if there is no such folder, or two files have one name.
    """
    if not folder.is_dir():
        raise ImageError(f"{folder}: there is no such folder")
    found: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() not in SUFFIXES or path.stem.endswith(without):
            continue
        name = re.sub(r"(_SRF_\d+)?(_(HR|LR|SR))?(_?[xX]\d+)?$", "", path.stem) or path.stem
        if name in found:
            raise ImageError(f"{folder}: both {found[name].name} and {path.name} are called {name}; keep one")
        found[name] = path
    return found


def _beside(hr: Path) -> Path | None:
    if not hr.stem.endswith("_HR"):
        return None
    lr = hr.with_stem(hr.stem.removesuffix("_HR") + "_LR")
    if not lr.exists():
        raise ImageError(f"{lr}: is missing beside {hr.name}")
    return lr
