"""ZJUESR's network of multi-scale IdleBlocks (Zhang et al., AIM at ECCV 2020, arXiv:2009.06943).

An IdleBlock (Xu et al., Hybrid Composition with IdleBlock, arXiv:1911.08609) leaves a part of its channels
as they are; the next block's idle part is another one. Multi-scale is its depthwise convolution, whose channels have
kernels of several sizes. The report does not say all sizes; those here are chosen.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from upres.networks.blocks import convolution
from upres.networks.longskip import LongSkipNetwork

__all__ = ["ZJUESR"]


class MultiScaleDepthwise(nn.Module):
    """Depthwise convolutions of several sizes, each of an equal part of the channels: shapes stay."""

    def __init__(self, channels: int, kernels: Sequence[int]) -> None:
        super().__init__()
        part = channels // len(kernels)
        self.parts = nn.ModuleList(convolution(part, part, kernel, groups=part) for kernel in kernels)

    def forward(self, features: Tensor) -> Tensor:
        """Split, convolve, concatenate."""
        parts = zip(self.parts, features.chunk(len(self.parts), dim=1), strict=True)
        return torch.cat([layer(part) for layer, part in parts], dim=1)


class IdleBlock(nn.Module):
    """Half of the channels is convolved and added to itself. All move on by a quarter, so that halves mix.

    Args:
        channels: of the features (N, channels, H, W), which keep their shape; a multiple of four.
        expansion: how many times more channels there are between the 1x1 convolutions.
        kernels: sides of the depthwise kernels between them.
    """

    def __init__(self, channels: int, expansion: int, kernels: Sequence[int]) -> None:
        super().__init__()
        half = channels // 2
        self.active = nn.Sequential(
            convolution(half, expansion * half, 1),
            nn.ReLU(),
            MultiScaleDepthwise(expansion * half, kernels),
            nn.ReLU(),
            convolution(expansion * half, half, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Convolve one half, let the other idle, move on."""
        active, idle = features.chunk(2, dim=1)
        first, second = (active + self.active(active)).chunk(2, dim=1)
        return torch.cat([second, idle, first], dim=1)


class ZJUESR(LongSkipNetwork):
    """RGB (N, 3, H, W) in [0, 1] to (N, 3, scale·H, scale·W).

    Args:
        scale: the factor r between LR and SR.
        channels: feature channels, a multiple of four.
        blocks: IdleBlocks.
        expansion: how many times more channels a block has inside.
        kernels: sides of the depthwise kernels, for an equal part of a block's inner channels each.

    Raises:
        ValueError: if the channels or a block's inner channels cannot be divided so.
    """

    def __init__(
        self,
        scale: int = 4,
        channels: int = 64,
        blocks: int = 16,
        expansion: int = 6,
        kernels: Sequence[int] = (3, 5, 7),
    ) -> None:
        inner = expansion * channels // 2
        if channels % 4 or inner % len(kernels):
            raise ValueError(
                f"channels must be a multiple of 4 and half of them, times the expansion, of the number of kernels:"
                f" not {channels} and {inner} for {len(kernels)} kernels"
            )
        radius = blocks * (max(kernels) // 2)
        super().__init__(
            scale, channels, (IdleBlock(channels, expansion, kernels) for _ in range(blocks)), radius=radius
        )
