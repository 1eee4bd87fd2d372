"""How good a network is while it is trained."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from torch import nn

from upres.images import resize
from upres.metrics import psnr
from upres.networks.base import upscale_rgb8
from upres.training.data import Photographs
from upres.training.decoded import Pixels

__all__ = ["bicubic_psnr", "mean_psnr", "middle", "upscaled"]


def mean_psnr(network: nn.Module, photographs: Photographs) -> float:
    """Mean over the photographs of PSNR on Y, the border of the scale's width left out."""
    return _mean_psnr(lambda lr, _: upscaled(network, lr), photographs)


def bicubic_psnr(photographs: Photographs) -> float:
    """As `mean_psnr`, of MATLAB's bicubic."""
    return _mean_psnr(lambda lr, hr: resize(lr, hr.shape[:2]), photographs)


def _mean_psnr(upscale: Callable[[Pixels, Pixels], Pixels], photographs: Photographs) -> float:
    """Of what is made of LR, where HR tells the size."""
    return float(np.mean([psnr(upscale(lr, hr), hr, shave=photographs.scale) for lr, hr in photographs.pairs()]))


def middle(network: nn.Module, photographs: Photographs) -> Pixels:
    """The middle of the first validation photograph, upscaled, for TensorBoard."""
    lr = photographs.whole_lr(0)
    top, left = (max(0, side // 2 - 32) for side in lr.shape[:2])
    return upscaled(network, lr[top : top + 64, left : left + 64])


def upscaled(network: nn.Module, lr: Pixels) -> Pixels:
    """As the network works outside of training: batch norm and routing differ."""
    training = network.training
    try:
        return upscale_rgb8(network.eval(), lr)
    finally:
        network.train(training)
