"""At which JPEG quality a variant for compressed pictures begins to pay: PSNR on Y in dB beside its plain model's.

    python benchmarks/denoise.py ../shared/data/Set14 fast_x4 fast_jpeg_x4

LR by MATLAB's bicubic, then JPEG with colours at half the resolution; not rounded, the scale shaved, mean over images.
`upres.runtime.upscaler.LOW_QUALITY` is where they change places.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from upres import Upscaler
from upres.evaluation.quality import mean_psnr
from upres.images import resize

QUALITIES = (30, 40, 50, 60, 70, 75, 80, 85, 90, 92, 95, 98, 100, None)
Pixels = NDArray[np.uint8]


def compressed(upscale: Callable[[Pixels], Pixels], quality: int | None, lr: Pixels) -> Pixels:
    if quality is not None:
        file = io.BytesIO()
        Image.fromarray(lr).save(file, "JPEG", quality=quality, subsampling="4:2:0")
        lr = np.asarray(Image.open(file))
    return upscale(lr)


def main(folder: Path, models: list[str]) -> None:
    scale = Upscaler.native_scale(models[0])
    methods: dict[str, Callable[[Pixels], Pixels]] = {"bicubic": partial(resize, scale=scale)}
    methods |= {Path(model).stem: Upscaler(model, scale=scale) for model in models}
    print("quality" + "".join(f"{name:>24}" for name in methods))
    for quality in QUALITIES:
        values = [mean_psnr(partial(compressed, upscale, quality), folder, scale) for upscale in methods.values()]
        print(f"{quality or 'none':>7}" + "".join(f"{value:24.2f}" for value in values), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:])
