"""What the whole command costs: `upres --scale 2` of one JPEG of 1920x1080, and of a folder of photographs.

    python benchmarks/command.py [--rounds 9] [--pictures 100] [--json FILE]

One JPEG: a new process each time, as from a shell, with compiled networks kept on disk; beside it, in one process that
is warm, decoding, the network and encoding one after the other, and as the command does them, side by side; and the
very first run, whose folder of caches is empty. The folder: JPEGs of 1224x816, by `--jobs 1` and as it is by default;
how busy the cores were is user and system time over wall time and cores.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from pictures import PHOTOGRAPH
from timing import Spent, measured, medians, spent_by_upres, write_times

from upres import Picture, Upscaler, read, write
from upres.images import Metadata, resize, write_bands
from upres.jobs import Job, run

SCALE = 2
FIRST_RUNS = 3


def phases(source: Path, target: Path, rounds: int) -> dict[str, list[float]]:
    """Milliseconds in this process of what the command does."""
    upscaler = Upscaler(scale=SCALE)
    lr = read(source)
    bands = list(upscaler.bands(lr.pixels))
    sr = np.concatenate(bands)

    def all_of_it() -> None:
        (result,) = run([Job(source, target)], upscaler, overwrite=True)
        assert result.error is None, result.error

    works = {
        "decode": lambda: read(source),
        "network": lambda: list(upscaler.bands(lr.pixels)),
        "encode": lambda: write_bands(target, sr.shape, sr.dtype, [sr], Metadata()),
        "all three, side by side": all_of_it,
    }
    return measured(works, rounds)


def folder(sources: Path, out: Path, *options: str) -> Spent:
    return spent_by_upres("--scale", str(SCALE), "--output", out, "--overwrite", *options, sources)


def main(rounds: int, pictures: int, json: Path | None) -> None:
    photograph = read(PHOTOGRAPH).rgb8()
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        source, target = place / "photograph.jpg", place / "photograph_x2.png"
        write(source, Picture(resize(photograph, (1080, 1920))))

        def once(cache: Path | None = None) -> float:
            options = ("--scale", str(SCALE), "--output", target, "--overwrite")
            return spent_by_upres(*options, source, cache=cache).seconds * 1000

        once()
        times = {"command": [once() for _ in range(rounds)]} | phases(source, target, rounds)
        times["very first command"] = [once(place / f"cache{number}") for number in range(FIRST_RUNS)]
        print(f"1920x1080 JPEG to x{SCALE} PNG, medians of {rounds} rounds ({FIRST_RUNS} of the very first), ms")
        for what, value in medians(times).items():
            print(f"{what:28}{value:8.0f}")
        facts: dict[str, Any] = {}
        if pictures:
            photographs = place / "photographs"
            photographs.mkdir()
            smaller = resize(photograph, (816, 1224))
            for number in range(pictures):
                write(photographs / f"{number}.jpg", Picture(np.roll(smaller, 8 * number, 1)))
            print(f"{pictures} JPEGs of 1224x816 to x{SCALE} PNGs")
            for what, options in {"--jobs 1": ("--jobs", "1"), "default": ()}.items():
                spent = folder(photographs, place / "out", *options)
                facts[what] = vars(spent) | {"utilisation": spent.utilisation}
                print(f"{what:28}{spent.seconds:8.2f} s, {spent.utilisation:.0%} of {os.cpu_count()} cores")
    if json:
        write_times(json, times, folder=facts)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--pictures", type=int, default=100, help="in the folder; 0 leaves it out")
    parser.add_argument("--json", type=Path)
    main(**vars(parser.parse_args()))
