"""Upscale the example photographs and show one beside ordinary bicubic resizing."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from upres import Picture, Upscaler, read, write
from upres.images import resize
from upres.jobs import collect, run

EXAMPLES = Path(__file__).parent
OUT = Path("out")
SCALE = 4
DETAIL = (slice(60, 180), slice(25, 145))  # rows and columns of sign.webp


def main() -> int:
    """Exit status 0 if every photograph was upscaled."""
    upscaler = Upscaler("fast", scale=SCALE)
    jobs = collect([str(EXAMPLES)], mark=f"_x{SCALE}", output=OUT)
    failed = False
    for result in run(jobs, upscaler, overwrite=True):
        if result.error:
            failed = True
            print(f"{result.job.source}: {result.error}")
        else:
            height, width = result.size
            print(f"{width:5} x {height:<5} {result.seconds * 1000:6.0f} ms  {result.job.target}")

    comparison = OUT / "comparison.png"
    lr = read(EXAMPLES / "sign.webp").rgb8()
    sr = upscaler(lr)
    bicubic = resize(lr, sr.shape[:2])
    enlarged = tuple(slice(side.start * SCALE, side.stop * SCALE) for side in DETAIL)
    pair = np.concatenate([bicubic[enlarged], sr[enlarged]], axis=1)
    write(comparison, Picture(np.ascontiguousarray(pair)))
    print(f"bicubic left, upres right:  {comparison}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
