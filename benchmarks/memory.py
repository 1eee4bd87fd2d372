"""What memory pictures take: the most that `upres --scale 2` ever has, and whether an `Upscaler` grows.

    python benchmarks/memory.py [--size 20000x15000] [--jpeg-size 12000x8400] [--pictures 1000] [--json FILE]

Big pictures: a TIFF and a PNG of one size, to the same format, and a JPEG of another, to PNG and to JPEG; each in a
process of its own. Small ones: through one `Upscaler`, of sizes from 16 to 256 pixels a side that change all the time;
what the process grows by after the first hundred.
"""

from __future__ import annotations

import argparse
import gc
import json as json_text
import tempfile
from pathlib import Path

import numpy as np
import pyvips
from pictures import PHOTOGRAPH
from timing import spent_by_upres

from upres import Upscaler
from upres.evaluation.results import write_text

SETTLED = 100  # pictures after which the process has all that it keeps


def make(path: Path, size: str) -> None:
    """The photograph side by side with itself, in bounded memory."""
    width, height = map(int, size.split("x"))
    photograph = pyvips.Image.new_from_file(str(PHOTOGRAPH))
    many = photograph.replicate(width // photograph.width + 1, height // photograph.height + 1)
    many.crop(0, 0, width, height).write_to_file(str(path), **({"bigtiff": True} if path.suffix == ".tif" else {}))


def resident() -> float:
    """MiB of this process that are in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


def growth(pictures: int) -> float:
    """MiB by which an Upscaler's process grows from its hundredth picture to its last."""
    upscaler, random, before = Upscaler(scale=2), np.random.default_rng(0), 0.0
    for number in range(pictures):
        if number == SETTLED:
            gc.collect()
            before = resident()
        height, width = random.integers(16, 257, 2)
        upscaler(np.zeros((height, width, 3), np.uint8))
    gc.collect()
    return resident() - before


def main(size: str, jpeg_size: str, pictures: int, json: Path | None) -> None:
    found = {}
    works = [(".tif", ".tif", size), (".png", ".png", size), (".jpg", ".png", jpeg_size), (".jpg", ".jpg", jpeg_size)]
    for source, target, of in works:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"big{source}"
            make(path, of)
            spent = spent_by_upres("--scale", "2", "--output", path.with_name(f"result{target}"), path)
        what = f"{of} {source} to {target}"
        found[what] = {"mebibytes": spent.mebibytes, "seconds": spent.seconds}
        print(f"{what:32}{spent.mebibytes:8.0f} MiB at most, {spent.seconds:.0f} s", flush=True)
    if pictures > SETTLED:
        grown = growth(pictures)
        print(f"{pictures} small pictures: {grown:+.1f} MiB after the first {SETTLED}")
        found["growth"] = {"mebibytes": grown, "pictures": pictures}
    if json:
        write_text(json, json_text.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", default="20000x15000", help="of the TIFF and the PNG")
    parser.add_argument("--jpeg-size", default="12000x8400")
    parser.add_argument("--pictures", type=int, default=1000, help="small ones")
    parser.add_argument("--json", type=Path)
    main(**vars(parser.parse_args()))
