"""What the shapes that `fine_x4` was chosen among cost in the runtime: milliseconds for 960x540 to x4, in turn.

    python benchmarks/networks.py [rounds]

Fresh weights, numpy to numpy, OpenVINO, f32 and, where the processor has it, bf16.
"""

from __future__ import annotations

import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from timing import interleaved

from upres.compression.export import export
from upres.errors import ModelError
from upres.networks import NetworkSpec
from upres.networks.checkpoint import save_checkpoint
from upres.runtime import Upscaler


def plain(channels: int, blocks: int) -> NetworkSpec:
    options: dict[str, Any] = {"scale": 4, "downscale": "none", "anchor": True}
    return NetworkSpec("bicubicpp", {**options, "channels": channels, "blocks": blocks})


SPECS = {
    "plain, 32 channels, 6 blocks": plain(32, 6),
    "plain, 48 channels, 4 blocks": plain(48, 4),
    "plain, 48 channels, 6 blocks": plain(48, 6),
    "plain, 64 channels, 4 blocks": plain(64, 4),
    "SPAN with 28 channels": NetworkSpec("span_ntire2024"),
    "RLFN of NTIRE 2022": NetworkSpec("rlfn_ntire2022"),
    "RFDN of AIM 2020": NetworkSpec("rfdn"),
}


def main(rounds: int) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (540, 960, 3), np.uint8)
    works = {}
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, spec) in enumerate(SPECS.items()):
            model = Path(folder) / f"network{number}.onnx"
            save_checkpoint(model.with_suffix(".safetensors"), spec, spec.build())
            export(model.with_suffix(".safetensors"), model)
            for precision in ("f32", "bf16"):
                try:
                    upscaler = Upscaler(model, scale=4, precision=precision)
                except ModelError:
                    continue  # the processor has no bf16
                works[f"{name}, {precision}"] = partial(upscaler, picture)
        for name, milliseconds in interleaved(works, rounds).items():
            print(f"{name:40} {milliseconds:6.0f} ms")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
