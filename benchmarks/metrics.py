"""What the metrics cost: PSNR and SSIM of a 4K pair, NIQE and Ma's features of a 2K image.

python benchmarks/metrics.py [rounds]
"""

from __future__ import annotations

import sys
from functools import partial

import numpy as np
from pictures import photograph
from timing import interleaved

from upres.metrics import ma_features, niqe, psnr, ssim


def main(rounds: int) -> None:
    hr = photograph(2160, 3840)
    sr = hr ^ np.random.default_rng(0).integers(0, 8, hr.shape, np.uint8)
    image = np.ascontiguousarray(hr[:1080, :2048])
    works = {
        "PSNR on Y, 3840x2160": partial(psnr, sr, hr, shave=4),
        "SSIM on Y, 3840x2160": partial(ssim, sr, hr, shave=4),
        "NIQE, 2048x1080": partial(niqe, image),
        "Ma's features, 2048x1080": partial(ma_features, image),
    }
    for name, milliseconds in interleaved(works, rounds).items():
        print(f"{name:26} {milliseconds:8.0f} ms")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
