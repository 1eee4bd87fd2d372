"""What a 4K result costs: the bundled models at every scale, beside Pillow's bicubic.

    python benchmarks/upscale_4k.py [rounds]

numpy in, numpy out, 3840x2160, all cores, f32.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from timing import interleaved

from upres import Upscaler, read
from upres.images import resize

PHOTOGRAPH = Path(__file__).parent.parent / "examples" / "colosseum.webp"


def main(rounds: int) -> None:
    photograph = read(PHOTOGRAPH).rgb8()
    works = {}
    for scale in (2, 3, 4):
        lr = np.ascontiguousarray(resize(photograph, (2160 // scale, 3840 // scale)))
        works[f"upres fast x{scale}"] = partial(Upscaler("fast", scale=scale), lr)
        works[f"Pillow bicubic x{scale}"] = partial(Image.fromarray(lr).resize, (3840, 2160), Image.Resampling.BICUBIC)
    medians = interleaved(works, rounds)
    base = medians["upres fast x3"]
    for name, milliseconds in medians.items():
        print(f"{name:20} {milliseconds:7.1f} ms   {milliseconds / base:5.2f} of upres fast x3")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
