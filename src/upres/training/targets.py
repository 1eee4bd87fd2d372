"""What a teacher draws, in place of HR."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from zlib import crc32

from upres.evaluation.ensemble import self_ensemble
from upres.images import Picture, read, write
from upres.training.data import Photographs
from upres.training.decoded import Pair, Pixels

__all__ = ["complete", "drawn"]


def complete(folder: Path, photographs: Photographs) -> bool:
    """Whether the teacher's pictures of all photographs are there."""
    return all(_place(folder, photographs, number).exists() for number in range(len(photographs.sides)))


def drawn(
    photographs: Photographs,
    upscale: Callable[[Pixels], Pixels],
    folder: Path,
    progress: Callable[[int, int], object] | None = None,
    share: tuple[int, int] = (0, 1),
) -> Photographs:
    """The photographs, with the self-ensemble of a teacher's SR in place of HR.

    A self-ensemble is better than its network alone, and has none of HR's detail that LR does not tell, which is noise
    to who learns: a network that learns from its own gets closer to it in few steps.

    Args:
        photographs: whose LR is given, or is MATLAB's bicubic.
        upscale: from LR to SR, (H, W, 3) uint8.
        folder: that keeps the teacher's pictures; those that are there are not drawn again.
        progress: told after each photograph how many are done and how many there are.
        share: of several processes with one folder the number of this one, and how many there are. Each begins with its
            share of the photographs and then draws what the others have not drawn yet.

    Raises:
        UpresError: if a photograph cannot be decoded, or the folder cannot be written.
    """
    folder.mkdir(exist_ok=True)
    count = len(photographs.sides)
    rank, world = share
    for done in range(count):
        number = (done + count * rank // world) % count
        place = _place(folder, photographs, number)
        if not place.exists():
            write(place, Picture(self_ensemble(upscale, photographs.decoded.load(number)[0])))
        if progress:
            progress(done + 1, count)

    def with_target(number: int, pair: Pair) -> Pair:
        return pair[0], read(_place(folder, photographs, number)).rgb8()

    return replace(photographs, decoded=photographs.decoded.changed(with_target))


def _place(folder: Path, photographs: Photographs, number: int) -> Path:
    return folder / f"{number:06}_{crc32(photographs.files[number].encode()):08x}.png"
