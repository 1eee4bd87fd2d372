"""Patches from easy to hard, as the branches of ClassSR learn from (Kong et al., CVPR 2021, section 3.4)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from upres.errors import RecipeError
from upres.images import resize
from upres.metrics import psnr
from upres.networks import Network, load
from upres.training.data import Photographs, Tiles
from upres.training.decoded import Pixels

__all__ = ["ranked"]

TOGETHER = 16  # tiles that go through a network at once

Upscale = Callable[[Pixels], Pixels]


def ranked(
    photographs: Photographs,
    by: str,
    patch: int,
    part: int,
    parts: int,
    *,
    cache: Path | None = None,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], object] | None = None,
) -> Photographs:
    """The photographs, with batches from one part of all tiles, which are ranked from easy to hard.

    The tiles of a photograph lie side by side; the last ones end at its far edges. A tile is
    the easier the higher the PSNR is that ``by`` reaches on it, which as with the authors
    upscales every tile by itself, is rounded to 8 bits and compared on RGB, the scale shaved.
    Their tiles overlap by half, where these do not.

    Batches are drawn from all tiles of the part alike; where not all photographs fit in memory, nearly so.

    Args:
        photographs: what is ranked.
        by: ``bicubic``, MATLAB's, or the path of a checkpoint or of released weights; the authors took MSRResNet.
        patch: LR pixels of a tile's side, and of a patch's in the batches.
        part: which part, 0 for the easiest.
        parts: of equal numbers of tiles; the authors made 3.
        cache: a folder that keeps the PSNR of the tiles, so that it is computed once.
        device: where the network runs.
        progress: told after each photograph how many are done and how many there are.

    Raises:
        RecipeError: if the checkpoint cannot be read or is of another scale, patches are too small to shave, or there
            are fewer tiles than parts.
        UpresError: if a photograph cannot be decoded.
    """
    if patch <= 2:
        raise RecipeError(f"patch = {patch}: difficulty needs patches of at least 3, of which the border is left out")
    corners = [_corners(height, width, patch) for height, width in photographs.sides.tolist()]
    numbers = np.repeat(np.arange(len(corners)), [len(tiles) for tiles in corners])
    if len(numbers) < parts:
        raise RecipeError(f"difficulty.parts = {parts}: there are only {len(numbers)} patches of {patch}x{patch}")
    upscale = _upscaler(by, photographs.scale, device)
    kept = cache and cache / f"psnr-{_identity(photographs, by, patch)}.npy"
    if kept and kept.exists():
        reached = np.load(kept)
    else:
        reached = _psnr(photographs, corners, patch, upscale, progress)
        if kept:
            _save(kept, reached)
    order = np.argsort(-reached, kind="stable")
    chosen = np.sort(order[len(order) * part // parts : len(order) * (part + 1) // parts])
    ends = np.searchsorted(numbers[chosen], np.arange(1, len(corners)))
    return replace(photographs, tiles=Tiles(patch, np.split(np.concatenate(corners)[chosen], ends)))


def _corners(height: int, width: int, patch: int) -> NDArray[np.int64]:
    """Top and left of the tiles that cover a photograph, (N, 2)."""
    tops, lefts = (np.unique(np.append(np.arange(0, side - patch, patch), side - patch)) for side in (height, width))
    return np.stack(np.meshgrid(tops, lefts, indexing="ij"), axis=-1).reshape(-1, 2)


def _upscaler(by: str, scale: int, device: torch.device | str) -> Upscale:
    """From LR tiles, (N, H, W, 3) uint8, to SR tiles."""
    if by == "bicubic":
        return lambda tiles: _bicubic(tiles, scale)
    try:
        network = load(Path(by), scale)[1].to(device)
    except ValueError as error:
        raise RecipeError(f"difficulty.by: {error}") from None
    return lambda tiles: _through(network, tiles, device)


def _bicubic(tiles: Pixels, scale: int) -> Pixels:
    count, height, width, channels = tiles.shape
    side_by_side = np.moveaxis(tiles, 0, 2).reshape(height, width, count * channels)
    sr: Pixels = resize(side_by_side, (scale * height, scale * width))
    return np.moveaxis(sr.reshape(scale * height, scale * width, count, channels), 2, 0)


@torch.inference_mode()
def _through(network: Network, tiles: Pixels, device: torch.device | str) -> Pixels:
    sr = network(torch.from_numpy(tiles).to(device).permute(0, 3, 1, 2).float() / 255)
    made: Pixels = (sr.clamp(0, 1) * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
    return made


def _psnr(
    photographs: Photographs,
    corners: list[NDArray[np.int64]],
    patch: int,
    upscale: Upscale,
    progress: Callable[[int, int], object] | None,
) -> NDArray[np.float64]:
    """Of all tiles of the photographs, one after the other."""
    r = photographs.scale
    reached = []
    for done, ((lr, hr), places) in enumerate(zip(photographs.pairs(), corners, strict=True), 1):
        for some in np.split(places, range(TOGETHER, len(places), TOGETHER)):
            srs = upscale(np.stack([lr[top : top + patch, left : left + patch] for top, left in some]))
            hrs = [hr[top * r : (top + patch) * r, left * r : (left + patch) * r] for top, left in some]
            reached += [psnr(sr, tile, shave=r, on="rgb") for sr, tile in zip(srs, hrs, strict=True)]
        if progress:
            progress(done, len(corners))
    return np.array(reached)


def _identity(photographs: Photographs, by: str, patch: int) -> str:
    """What the PSNR of the tiles depends on, but for where the photographs lie."""
    steps = photographs.degradation.steps if photographs.degradation else []
    judge = by if by == "bicubic" else hashlib.sha256(Path(by).read_bytes()).hexdigest()
    what = json.dumps([judge, patch, photographs.scale, steps, photographs.files, photographs.sides.tolist()])
    return hashlib.sha256(what.encode()).hexdigest()[:16]


def _save(path: Path, values: NDArray[np.float64]) -> None:
    part = path.with_name(f"{path.name}.part")
    with part.open("wb") as file:
        np.save(file, values)
    part.replace(path)
