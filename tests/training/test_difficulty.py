from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from upres.errors import RecipeError
from upres.images import Picture, read, resize, write
from upres.metrics import psnr
from upres.networks import NetworkSpec
from upres.networks.base import upscale_rgb8
from upres.networks.checkpoint import load_checkpoint, save_checkpoint
from upres.training.data import Photographs, load_photographs
from upres.training.difficulty import ranked


@pytest.fixture
def folder(tmp_path: Path, photograph: NDArray[np.uint8]) -> str:
    (tmp_path / "hr").mkdir()
    write(tmp_path / "hr" / "a.png", Picture(photograph))
    write(tmp_path / "hr" / "b.png", Picture(np.ascontiguousarray(photograph[::-1, :101])))
    return str(tmp_path / "hr")


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    spec = NetworkSpec("bicubicpp", {"scale": 2, "channels": 4, "anchor": True})
    save_checkpoint(tmp_path / "network.safetensors", spec, spec.build())
    return tmp_path / "network.safetensors"


def corners(photographs: Photographs) -> list[tuple[int, int, int]]:
    assert photographs.tiles
    return [
        (number, *corner) for number, corners in enumerate(photographs.tiles.corners) for corner in corners.tolist()
    ]


def test_batches_come_from_what_is_easy_or_hard(tmp_path: Path) -> None:
    image = np.full((48, 96, 3), 90, np.uint8)
    image[:, 48:] = np.random.default_rng(0).integers(0, 256, (48, 48, 3))
    write(tmp_path / "half.png", Picture(image))
    photographs = load_photographs(str(tmp_path), 2, 8)
    easy, hard = (ranked(photographs, "bicubic", 8, part, 2) for part in (0, 1))
    for step in range(5):
        assert easy.batch((0,), step, 8, 8)[1].std() < 1e-6
        assert hard.batch((0,), step, 8, 8)[1].std((1, 2, 3)).min() > 0.2
    with pytest.raises(ValueError, match="for patches of 8 LR pixels, not 12"):
        easy.batch((0,), 0, 8, 12)


def test_the_parts_are_equal_and_together_cover_the_photographs(folder: str) -> None:
    photographs = load_photographs(folder, 2, 16)  # 88x120 and 88x50 LR pixels
    parts = [corners(ranked(photographs, "bicubic", 16, part, 3)) for part in range(3)]
    assert {len(part) for part in parts} == {24}
    tops, lefts = (0, 16, 32, 48, 64, 72), [(0, 16, 32, 48, 64, 80, 96, 104), (0, 16, 32, 34)]
    tiles = [(number, top, left) for number in (0, 1) for top in tops for left in lefts[number]]
    assert sorted(parts[0] + parts[1] + parts[2]) == tiles


@pytest.mark.parametrize("by", ["bicubic", "network"])
def test_no_tile_is_harder_than_one_of_a_harder_part(folder: str, checkpoint: Path, by: str) -> None:
    """Each is upscaled by itself, its PSNR is on RGB."""
    photographs = load_photographs(folder, 2, 16)
    network = load_checkpoint(checkpoint)[1]
    pairs = list(photographs.pairs())

    def reached(number: int, top: int, left: int) -> float:
        lr, hr = pairs[number]
        tile = lr[top : top + 16, left : left + 16]
        sr = resize(tile, (32, 32)) if by == "bicubic" else upscale_rgb8(network, tile)
        return psnr(sr, hr[2 * top : 2 * top + 32, 2 * left : 2 * left + 32], shave=2, on="rgb")

    name = by if by == "bicubic" else str(checkpoint)
    parts = [[reached(*tile) for tile in corners(ranked(photographs, name, 16, part, 3))] for part in range(3)]
    assert min(parts[0]) > max(parts[1]) - 1e-3
    assert min(parts[1]) > max(parts[2]) - 1e-3


def test_the_ranks_are_kept_for_a_run_that_goes_on(tmp_path: Path, folder: str, checkpoint: Path) -> None:
    seen: list[tuple[int, int]] = []

    def middle() -> Photographs:
        seen.clear()
        some = load_photographs(folder, 2, 16)
        return ranked(some, str(checkpoint), 16, 1, 3, cache=tmp_path, progress=lambda *told: seen.append(told))

    first = corners(middle())
    assert seen == [(1, 2), (2, 2)]
    assert corners(middle()) == first
    assert not seen
    torch.manual_seed(1)
    spec = load_checkpoint(checkpoint)[0]
    save_checkpoint(checkpoint, spec, spec.build())
    assert corners(middle()) != first
    assert seen
    write(Path(folder) / "b.png", read(Path(folder) / "a.png"))
    middle()
    assert seen
    checkpoint.unlink()
    with pytest.raises(RecipeError, match=r"difficulty.by: .*network.safetensors: there is no such file"):
        middle()


def test_tiles_are_drawn_from_photographs_that_do_not_all_fit(tmp_path: Path) -> None:
    for number in range(20):
        image = np.full((32, 32, 3), 8 * number, np.uint8)
        image[:16] ^= np.random.default_rng(number).integers(0, 2, (16, 32, 1), np.uint8) * 7
        write(tmp_path / f"{number:02}.png", Picture(image))
    photographs = load_photographs(str(tmp_path), 2, 8, memory=20 * 32 * 32 * 3.75 / 3 / 2**30)
    easy = ranked(photographs, "bicubic", 8, 0, 2)
    seen: set[int] = set()
    for step in range(100):
        hr = easy.batch((0,), step, 16, 8)[1] * 255
        assert all(patch.unique().numel() == 1 for patch in hr)
        seen.update((hr[:, 0, 0, 0] / 8).round().int().tolist())
    assert seen == set(range(20))


def test_what_cannot_rank_is_said(folder: str, checkpoint: Path) -> None:
    photographs = load_photographs(folder, 3, 16)
    with pytest.raises(RecipeError, match=r"difficulty.by: .* is of scale 2, not 3"):
        ranked(photographs, str(checkpoint), 16, 0, 3)
    with pytest.raises(RecipeError, match=r"difficulty.parts = 99: there are only"):
        ranked(photographs, "bicubic", 16, 0, 99)
