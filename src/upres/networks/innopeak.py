"""InnoPeak_SR's residual blocks that run several times (Zhang et al., AIM at ECCV 2020, arXiv:2009.06943).

Four residual blocks of MSRResNet run four times each time with the same weights: the 0.361 M parameters, 81.72 G
multiply-adds, 145.75 M activations and 35 convolutions of the report's table.
"""

from __future__ import annotations

from torch import Tensor, nn

from upres.networks.longskip import LongSkipNetwork
from upres.networks.msrresnet import ResidualBlock

__all__ = ["InnoPeak"]


class InnoPeak(LongSkipNetwork):
    """RGB (N, 3, H, W) in [0, 1] to (N, 3, scale·H, scale·W).

    Args:
        scale: the factor r between LR and SR.
        channels: feature channels.
        blocks: residual blocks.
        recursions: how often all of them run.
    """

    def __init__(self, scale: int = 4, channels: int = 64, blocks: int = 4, recursions: int = 4) -> None:
        residual = (ResidualBlock(channels, nn.ReLU()) for _ in range(blocks))
        super().__init__(scale, channels, residual, radius=2 * blocks * recursions)
        self.recursions = recursions

    def deep(self, shallow: Tensor) -> Tensor:
        """See `LongSkipNetwork.deep`."""
        for _ in range(self.recursions):
            shallow = super().deep(shallow)
        return shallow
