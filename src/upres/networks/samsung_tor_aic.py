"""SAMSUNG_TOR_AIC's network of MobileNetV3 blocks (Zhang et al., AIM at ECCV 2020, arXiv:2009.06943).

The blocks are those of Howard et al. (Searching for MobileNetV3, ICCV 2019, arXiv:1905.02244, figure 4), without batch
norm as in MSRResNet. The report does not say all sizes; those here are chosen.
"""

from __future__ import annotations

from torch import Tensor, nn

from upres.networks.blocks import bottleneck, convolution
from upres.networks.longskip import LongSkipNetwork

__all__ = ["SamsungTORAIC"]


class SqueezeAndExcitation(nn.Sequential):
    """Weigh the channels by a bottleneck of their means, as MobileNetV3 does."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__(nn.AdaptiveAvgPool2d(1), bottleneck(channels, reduction, nn.Hardsigmoid))

    def forward(self, features: Tensor) -> Tensor:
        """(N, channels, H, W) to the same shape."""
        return features * super().forward(features)  # type: ignore[no-any-return, no-untyped-call]


class MobileNetV3Block(nn.Sequential):
    """1x1 to more channels, depthwise 3x3, squeeze and excitation, 1x1 to as many as before, and the input added."""

    def __init__(self, channels: int, expansion: int) -> None:
        wide = expansion * channels
        super().__init__(
            convolution(channels, wide, 1),
            nn.Hardswish(),
            convolution(wide, wide, groups=wide),
            nn.Hardswish(),
            SqueezeAndExcitation(wide, reduction=4),
            convolution(wide, channels, 1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """(N, channels, H, W) to the same shape."""
        return features + super().forward(features)  # type: ignore[no-any-return, no-untyped-call]


class SamsungTORAIC(LongSkipNetwork):
    """RGB (N, 3, H, W) in [0, 1] to (N, 3, scale·H, scale·W).

    Args:
        scale: the factor r between LR and SR.
        channels: feature channels.
        blocks: MobileNetV3 blocks.
        expansion: how many times more channels a block has inside.
    """

    def __init__(self, scale: int = 4, channels: int = 64, blocks: int = 16, expansion: int = 3) -> None:
        super().__init__(scale, channels, (MobileNetV3Block(channels, expansion) for _ in range(blocks)), radius=None)
