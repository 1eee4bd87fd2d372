"""Pictures through ClassSR as its authors run it: sub-image by sub-image (Kong et al., CVPR 2021, arXiv:2103.04039)."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from upres.networks.base import upscale_rgb8
from upres.networks.classsr import SUB_IMAGE, ClassSR
from upres.networks.count import count
from upres.runtime.bands import blended
from upres.runtime.tiles import Tile, plan

__all__ = ["OVERLAP", "upscale_sub_images"]

OVERLAP = 4
"""LR pixels that neighbours have in common."""


def upscale_sub_images(network: ClassSR, lr: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float]:
    """Each sub-image goes through the branch that the class module chooses; where they overlap they are blended.

    Args:
        network: in evaluation mode.
        lr: (H, W, 3) uint8.

    Returns:
        (scale·H, scale·W, 3) uint8, and the multiply-adds by LR pixel, class module included, mean over the
        sub-images, as the paper counts.
    """
    height, width, _ = lr.shape
    minimum = network.minimum
    rows = list(plan(height, width, tile=(SUB_IMAGE, SUB_IMAGE), halo=OVERLAP // 2, minimum=minimum, overlapping=True))
    spent = []

    def run(tile: Tile) -> NDArray[np.uint8]:
        part = lr[tile.rows.start : tile.rows.stop, tile.columns.start : tile.columns.stop]
        below, beside = tile.rows.length - len(part), tile.columns.length - part.shape[1]
        part = np.pad(part, ((0, below), (0, beside), (0, 0)))  # of pictures below the minimum, as networks pad
        values = torch.tensor(part).permute(2, 0, 1)[None] / 255
        with torch.inference_mode():
            branch = int(network.classify(values).argmax())
        spent.append(work[branch])
        return upscale_rgb8(network.branches[branch], part)

    judged = count(network.class_module, SUB_IMAGE, SUB_IMAGE).multiply_adds
    work = [(count(branch, SUB_IMAGE, SUB_IMAGE).multiply_adds + judged) / SUB_IMAGE**2 for branch in network.branches]
    sr = np.concatenate(list(blended(rows, run, network.scale, 3, lr.dtype)))
    return sr, float(np.mean(spent))
