"""Photographs to train on, and batches that depend on the seed and the step alone."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from torch import Tensor

from upres.errors import ImageError, RecipeError
from upres.images import FORMATS, SUFFIXES, make_lr, read, read_size
from upres.training.decoded import LEAST, Decoded, Pair, Pixels, working_set
from upres.training.degradation import Pipeline

__all__ = ["Augmentation", "Photographs", "Tiles", "ahead", "load_photographs"]

PHOTOGRAPHIC = SUFFIXES - set(FORMATS["gif"].suffixes)
MARGIN = 4  # LR pixels around a patch that are degraded with it, so that its border is not the picture's
BLOCK = 8  # of JPEG
GIB = 2**30
WORKERS = min(8, os.cpu_count() or 2)  # batches made at the same time, so that a GPU does not wait for them

Made = TypeVar("Made")


@dataclass(frozen=True)
class Change:
    """What is done to a patch, LR and HR alike."""

    quarters: int
    flip: bool
    colours: NDArray[np.int64]

    def of(self, patch: Pixels) -> Pixels:
        """The patch (H, W, 3), changed."""
        return np.rot90(patch[:, ::-1] if self.flip else patch, self.quarters)[..., self.colours]


@dataclass(frozen=True)
class Augmentation:
    """What may be done to patches."""

    flips: bool = True
    turns: bool = True
    permute_colours: bool = False

    def draw(self, random: Generator) -> Change:
        """What is done to one patch."""
        quarters, flip, colours = int(random.integers(4)), bool(random.integers(2)), random.permutation(3)
        colours = colours if self.permute_colours else np.arange(3)
        return Change(quarters * self.turns, flip and self.flips, colours)


@dataclass(frozen=True)
class Tiles:
    """Some places in photographs."""

    side: int
    """Of each, in LR pixels."""
    corners: list[NDArray[np.int64]]
    """Of every photograph, (N, 2): top and left LR pixels."""


@dataclass(frozen=True)
class Photographs:
    """HR photographs and their LR images, (H, W, 3) uint8, of which those in use are held in memory."""

    decoded: Decoded
    sides: NDArray[np.int64]
    """LR height and width of every photograph, (N, 2)."""
    files: list[str]
    """Every photograph's file, by its name and its bytes' number; where it lies does not matter."""
    scale: int
    degradation: Pipeline | None = None
    """What makes LR anew for every patch."""
    augmentation: Augmentation = Augmentation()
    tiles: Tiles | None = None
    """The only places that patches are cut from; None for all."""

    def pairs(self) -> Iterator[Pair]:
        """(LR, HR), in the order of the files' names."""
        for number in range(len(self.sides)):
            yield self._whole(number, soon=range(number + 1, len(self.sides))[:1])

    def whole_lr(self, number: int) -> Pixels:
        """LR of a photograph, always the same."""
        return self._whole(number)[0]

    def _whole(self, number: int, soon: Iterable[int] = ()) -> Pair:
        lr, hr = self.decoded.get([number], soon)[number]
        if self.degradation:
            height, width = self.sides[number].tolist()
            lr = self.degradation(hr, (height, width), (number,))
        return lr, hr

    def batch(
        self, seed: tuple[int, ...], step: int, size: int, patch: int, share: tuple[int, int] = (0, 1)
    ) -> tuple[Tensor, Tensor]:
        """Random patches, each augmented by random choices; equal arguments give equal batches.

        Args:
            seed: of all batches of a stage.
            step: the batch's number.
            size: patches in the batch.
            patch: LR pixels of a patch's side.
            share: the place of a process and how many there are: each gets as many patches, and
                their shares, one after the other, are the batch.

        Returns:
            LR (size, 3, patch, patch) and HR (size, 3, scale·patch, scale·patch), float32
            in [0, 1]. A photograph's chance grows with its area, or with the number of its tiles.

        Raises:
            UpresError: if a photograph cannot be decoded.
            ValueError: if the size is not a multiple of the number of processes, or patches are
                not as large as the tiles.
        """
        rank, world = share
        if size % world:
            raise ValueError(f"a batch of {size} patches cannot be shared equally by {world} processes")
        if self.tiles and patch != self.tiles.side:
            raise ValueError(f"the tiles were chosen for patches of {self.tiles.side} LR pixels, not {patch}")
        random = np.random.default_rng((*seed, step))
        numbers, pixels, soon = self._working_set(seed, step * size * patch**2)
        ends = pixels.cumsum()
        chosen = numbers[np.searchsorted(ends, random.integers(ends[-1], size=size), side="right")].tolist()
        corners = [self._corner(number, patch, random) for number in chosen]
        changes = [self.augmentation.draw(random) for _ in range(size)]
        places = range(size)[size * rank // world : size * (rank + 1) // world]
        pairs = self.decoded.get({chosen[place] for place in places}, soon.tolist())
        cut = [self._cut(pairs[chosen[place]], *corners[place], patch, (*seed, step, place)) for place in places]
        changed = [changes[place] for place in places]
        lr, hr = (_tensor(patches, changed) for patches in zip(*cut, strict=True))
        return lr, hr

    def _working_set(
        self, seed: tuple[int, ...], drawn: int
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Of which photographs how many LR pixels can be drawn, and the photographs that come next."""
        sizes = self.decoded.sizes
        if not self.tiles:
            return working_set(sizes, self.decoded.capacity, seed, drawn)
        tiled = self.tiles.side**2 * np.array([len(corners) for corners in self.tiles.corners])
        numbers, parts, soon = working_set(sizes * (tiled > 0), self.decoded.capacity, seed, drawn)
        return numbers, (parts * (tiled / sizes)[numbers]).astype(np.int64), soon

    def _corner(self, number: int, patch: int, random: Generator) -> tuple[int, int]:
        if self.tiles:
            corners = self.tiles.corners[number]
            top, left = corners[random.integers(len(corners))].tolist()
        else:
            top, left = (int(random.integers(side - patch + 1)) for side in self.sides[number].tolist())
        return top, left

    def _cut(self, pair: Pair, top: int, left: int, patch: int, seed: tuple[int, ...]) -> Pair:
        r = self.scale
        lr, hr = pair
        hr_patch = hr[top * r : (top + patch) * r, left * r : (left + patch) * r]
        if not self.degradation:
            return lr[top : top + patch, left : left + patch], hr_patch
        # The random margin moves the patch over JPEG's grid of blocks. Seeds that differ by zeros at their end are the
        # same to NumPy, so what is drawn besides the batch has another number there.
        above, beside = np.random.default_rng((*seed, 1)).integers(MARGIN, MARGIN + BLOCK, size=2)
        first_row, first_column = max(0, top - int(above)), max(0, left - int(beside))
        hr = hr[first_row * r : (top + patch + MARGIN) * r, first_column * r : (left + patch + MARGIN) * r]
        lr = self.degradation(hr, (hr.shape[0] // r, hr.shape[1] // r), (*seed, 2))
        return lr[top - first_row :, left - first_column :][:patch, :patch], hr_patch


def load_photographs(
    folder: str,
    scale: int,
    patch: int = 1,
    *,
    lr: str = "",
    degradation: Pipeline | None = None,
    augmentation: Augmentation = Augmentation(),
    memory: float = 4.0,
) -> Photographs:
    """The photographs of a folder; LR is given, or degraded HR, or else MATLAB's bicubic, or HR itself for scale 1.

    HR is cropped at the bottom and right to a multiple of the scale. Photographs whose LR
    is smaller than a patch are left out. Here the files' headers are read; photographs are
    decoded when they are used.

    Args:
        folder: of HR.
        scale: the factor between LR and HR.
        patch: side of the largest LR patch that will be asked for.
        lr: folder of LR files with the names of HR's, or those with ``x2``, ``x3`` ... after them.
        degradation: what makes LR from HR.
        augmentation: for the batches.
        memory: GiB of decoded HR and LR that are held at once, beside what decoding itself takes.

    Raises:
        RecipeError: if the folder has no photograph that is large enough, a file is no picture, LR is missing or of
            another size, or so little memory does not hold a few photographs.
    """
    if not folder:
        raise RecipeError("no folder of photographs is given: set data.train (`upres train --data FOLDER`)")
    paths = [*_by_name(folder).values()] if lr else _photographs(folder)
    given = _by_name(lr) if lr else {}
    with ThreadPoolExecutor() as pool:
        files = list(pool.map(lambda path: _File.of(path, scale, given, lr), paths))
    files = [file for file in files if min(file.size) >= patch]
    if not files:
        raise RecipeError(
            f"{folder}: holds no photograph of at least "
            f"{patch * scale}x{patch * scale} pixels; set data.train and data.validation"
        )
    sides = np.array([file.size for file in files])
    areas = sides.prod(axis=1)
    has_lr = bool(lr) or (not degradation and scale > 1)
    pixel = 3 * (scale**2 + has_lr)  # bytes of an LR pixel and its HR
    capacity = int(memory * GIB / pixel)
    if capacity < min(areas.sum(), LEAST * areas.max()):
        largest = files[int(areas.argmax())].hr
        raise RecipeError(
            f"data.memory = {memory:g}: too little for photographs as large as {largest}; "
            f"set at least {math.ceil(LEAST * areas.max() * pixel / GIB * 1000) / 1000:g}"
        )

    def load(number: int) -> Pair:
        return files[number].load(scale, degraded=degradation is not None)

    names = [f"{file.hr.name} {file.hr.stat().st_size}" for file in files]
    return Photographs(Decoded(load, areas, capacity), sides, names, scale, degradation, augmentation)


def _by_name(folder: str) -> dict[str, Path]:
    """The photographs of a folder, of which no two may be called alike where LR belongs to HR by name."""
    named: dict[str, Path] = {}
    for path in _photographs(folder):
        if other := named.get(path.stem):
            raise RecipeError(f"{folder}: {other.name} and {path.name} are called alike, so LR and HR cannot be told")
        named[path.stem] = path
    return named


@dataclass(frozen=True)
class _File:
    """One photograph of a folder."""

    hr: Path
    lr: Path | None
    size: tuple[int, int]
    """Height and width of LR."""

    @classmethod
    def of(cls, path: Path, scale: int, given: dict[str, Path], folder: str) -> _File:
        height, width = _size(path)
        size = height // scale, width // scale
        if not folder:
            return cls(path, None, size)
        name = next((name for name in (path.stem, f"{path.stem}x{scale}") if name in given), None)
        if name is None:
            raise RecipeError(f"{folder}: holds no {path.stem} and no {path.stem}x{scale}, the LR of {path}")
        small = _size(given[name])
        if small != size:
            raise RecipeError(
                f"{given[name]}: is {small[1]}x{small[0]}, but {path} is {width}x{height}: not a scale of {scale}"
            )
        return cls(path, given[name], size)

    def load(self, scale: int, degraded: bool) -> Pair:
        """LR, empty where patches are degraded one by one, and HR."""
        hr = _decode(self.hr, scale, self.size)
        if self.lr:
            return _decode(self.lr, 1, self.size), hr
        if degraded:
            return hr[:0], hr
        return (make_lr(hr, scale)[0], hr) if scale > 1 else (hr, hr)


def _size(path: Path) -> tuple[int, int]:
    try:
        return read_size(path)
    except ImageError as error:
        raise RecipeError(f"{error}: repair or remove it") from None


def _decode(path: Path, scale: int, size: tuple[int, int]) -> Pixels:
    """Cropped to the multiple of a size that its header promised."""
    try:
        pixels = read(path).rgb8()
    except ImageError as error:
        raise ImageError(f"{error}: repair or remove it, and run the same command again") from None
    if (pixels.shape[0] // scale, pixels.shape[1] // scale) != size:
        raise ImageError(f"{path}: is of another size than before; run the same command again")
    return np.ascontiguousarray(pixels[: size[0] * scale, : size[1] * scale])


def ahead(make: Callable[[int], Made], numbers: Iterable[int], workers: int = WORKERS) -> Iterator[tuple[int, Made]]:
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
    if not Path(folder).is_dir():
        raise RecipeError(f"{folder}: is no folder; set data.train and data.validation")
    return sorted(path for path in Path(folder).glob("*") if path.suffix.lower() in PHOTOGRAPHIC)


def _tensor(patches: Sequence[Pixels], changes: Sequence[Change]) -> Tensor:
    # NHWC memory seen as NCHW is channels-last, which convolutions on the CPU prefer.
    changed = np.stack([change.of(patch) for change, patch in zip(changes, patches, strict=True)])
    return torch.from_numpy(changed).permute(0, 3, 1, 2).float().div_(255)
