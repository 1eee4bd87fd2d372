"""What int8 costs in quality: every bundled model that has it beside its f32, and between the engines.

    python benchmarks/int8.py Set14 BSD100 [--models fast_x3 ...] [--json FILE]

PSNR on Y in dB, not rounded, the scale shaved: the mean loss over a set's images, the largest, and on which.
Levels: the largest difference between the pictures of OpenVINO and ONNX Runtime, and the share of the samples that
differ. The aims: 0.03 dB, 0.2 dB, 1 level.
"""

from __future__ import annotations

import argparse
from json import dumps
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np

from upres import Upscaler, models
from upres.errors import ImageError, ModelError
from upres.evaluation.measures import MEASURES, Settings
from upres.evaluation.pairs import Pair, find_pairs
from upres.evaluation.results import write_text


def losses(model: str, scale: int, pairs: list[Pair]) -> dict[str, Any]:
    """Of one model on one set."""
    psnr = MEASURES["psnr_y"](Settings(scale)).compute
    f32 = Upscaler(model, scale=scale, precision="f32")
    int8 = Upscaler(model, scale=scale, precision="int8")
    by_onnxruntime = Upscaler(model, scale=scale, precision="int8", engine="onnxruntime")
    images = {}
    for pair in pairs:
        lr, hr = pair.load()
        sr = int8(lr)
        difference = np.abs(sr.astype(int) - by_onnxruntime(lr))
        images[pair.name] = {
            "f32": psnr(f32(lr), hr),
            "int8": psnr(sr, hr),
            "levels": int(difference.max()),
            "differing": float((difference > 0).mean()),
        }
    loss = {name: image["f32"] - image["int8"] for name, image in images.items()}
    worst = max(loss, key=loss.__getitem__)
    return {
        "f32": fmean(image["f32"] for image in images.values()),
        "int8": fmean(image["int8"] for image in images.values()),
        "loss": fmean(loss.values()),
        "largest_loss": loss[worst],
        "worst_image": worst,
        "levels": max(image["levels"] for image in images.values()),
        "differing": fmean(image["differing"] for image in images.values()),
        "images": images,
    }


def main(sets: list[Path], chosen: list[str] | None, json: Path | None) -> None:
    results: dict[str, dict[str, Any]] = {}
    for card in models():
        if card.precision == "int8" or (chosen and card.name not in chosen):
            continue
        try:
            Upscaler(card.name, scale=card.scale, precision="int8")
        except ModelError:
            continue  # the model has no int8
        for folder in sets:
            try:
                pairs = find_pairs(folder, card.scale)
            except ImageError:
                continue  # the set is not at hand at this scale
            results.setdefault(card.name, {})[folder.name] = losses(card.name, card.scale, pairs)
    if not results:
        print("no bundled model has int8 and a set of its scale")
        return
    print(f"{'':14}{'':8}{'f32':>7}{'int8':>7}{'loss':>7}{'largest':>9}{'levels':>8}{'differing':>11}")
    for name, by_set in results.items():
        for data, found in by_set.items():
            print(
                f"{name:14}{data:8}{found['f32']:7.2f}{found['int8']:7.2f}{found['loss']:7.3f}"
                f"{found['largest_loss']:9.3f}{found['levels']:8}{found['differing']:11.4%}  {found['worst_image']}"
            )
    if json:
        write_text(json, dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", type=Path, nargs="+", help="data sets, as for upres eval")
    parser.add_argument("--models", nargs="+", dest="chosen", help="names of bundled models; all without it")
    parser.add_argument("--json", type=Path)
    main(**vars(parser.parse_args()))
