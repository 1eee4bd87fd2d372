"""Image transformation networks for perceptual losses (Johnson et al., ECCV 2016, arXiv:1603.08155).

The paper's two image transformation networks (section 3.1; tables 1 and 2 of the supplement): residual blocks with
batch norm between 9x9 convolutions, upsampled by convolutions with a stride of one half, which are transposed ones.
What super-resolution makes is meant to be followed by `upres.images.match_histograms` with the LR picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from upres.networks.base import Network
from upres.networks.blocks import NormalisedResidualBlock, convolution

__all__ = ["Johnson", "JohnsonStyleTransfer"]

END_RADIUS = 4  # of the 9x9 convolutions


class Johnson(Network):
    """RGB (N, 3, H, W) in [0, 1] to (N, 3, scale·H, scale·W).

    Args:
        scale: the factor r between LR and SR, a power of two; the paper's are 4 and 8.
        channels: feature channels.
        blocks: residual blocks.

    Raises:
        ValueError: if the scale is not a power of two.
    """

    def __init__(self, scale: int = 4, channels: int = 64, blocks: int = 4) -> None:
        doublings = scale.bit_length() - 1
        if scale != 2**doublings or doublings == 0:
            raise ValueError(f"scale must be a power of two, not {scale}")
        first, last = _reach_of_tail(0, scale - 1, doublings)
        super().__init__(scale, halo=END_RADIUS + 2 * blocks + max(-first, last))
        self.head = nn.Sequential(*_normalised(convolution(3, channels, 9, bias=False)))
        self.blocks = nn.Sequential(*(NormalisedResidualBlock(channels, nn.ReLU()) for _ in range(blocks)))
        self.tail = _tail([channels] * (doublings + 1))

    def upscale(self, lr: Tensor) -> Tensor:
        """See `Network.upscale`."""
        return self.tail(self.blocks(self.head(lr)))  # type: ignore[no-any-return]


class JohnsonStyleTransfer(Network):
    """RGB (N, 3, H, W) in [0, 1] to a picture of the same size, in the style that it was trained with.

    Works at a quarter of the resolution. The picture is reflected at its borders by as much as the convolutions of
    the residual blocks, which do not pad, take away.

    Args:
        channels: feature channels at the full resolution; twice as many at half of it, four times at a quarter.
        blocks: residual blocks.
    """

    def __init__(self, channels: int = 32, blocks: int = 5) -> None:
        border = 8 * blocks
        halo = 0
        for pixel in range(4):  # of which one feature is made
            first, last = _reach_of_tail(pixel, pixel, doublings=2)
            first, last = first - 2 * blocks, last + 2 * blocks
            for _ in range(2):
                first, last = 2 * first - 1, 2 * last + 1
            halo = max(halo, pixel - first + END_RADIUS, last - pixel + END_RADIUS)
        super().__init__(scale=1, halo=halo, alignment=4, minimum=border + 4)
        self.border = border
        self.head = nn.Sequential(
            *_normalised(convolution(3, channels, 9, bias=False)),
            *_normalised(convolution(channels, 2 * channels, stride=2, bias=False)),
            *_normalised(convolution(2 * channels, 4 * channels, stride=2, bias=False)),
        )
        self.blocks = nn.Sequential(
            *(NormalisedResidualBlock(4 * channels, nn.ReLU(), padding=False) for _ in range(blocks))
        )
        self.tail = _tail([4 * channels, 2 * channels, channels])

    def upscale(self, lr: Tensor) -> Tensor:
        """See `Network.upscale`."""
        padded = F.pad(lr, (self.border,) * 4, mode="reflect")
        return self.tail(self.blocks(self.head(padded)))  # type: ignore[no-any-return]


class UnitTanh(nn.Module):
    """The hyperbolic tangent, scaled to the range of a picture, [0, 1]."""

    def forward(self, features: Tensor) -> Tensor:
        """Of any shape."""
        return (torch.tanh(features) + 1) / 2


def _normalised(layer: nn.Conv2d | nn.ConvTranspose2d) -> tuple[nn.Module, nn.Module, nn.Module]:
    return layer, nn.BatchNorm2d(layer.out_channels), nn.ReLU()


def _tail(widths: Sequence[int]) -> nn.Sequential:
    """Double the resolution from each width to the next, then draw the picture."""
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(widths):
        half_strided = nn.ConvTranspose2d(inputs, outputs, 3, stride=2, padding=1, output_padding=1, bias=False)
        layers += _normalised(half_strided)
    return nn.Sequential(*layers, convolution(widths[-1], 3, 9), UnitTanh())


def _reach_of_tail(first: int, last: int, doublings: int) -> tuple[int, int]:
    """First and last feature that a tail's pixels from first to last depend on."""
    first, last = first - END_RADIUS, last + END_RADIUS
    for _ in range(doublings):
        first, last = first // 2, (last + 1) // 2
    return first, last
