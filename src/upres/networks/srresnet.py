"""SRResNet: the generator of SRGAN (Ledig et al., CVPR 2017, arXiv:1609.04802).

Residual blocks with batch normalisation and PReLU, and one pixel shuffle for each doubling (figure 4).
"""

from __future__ import annotations

from torch import Tensor, nn

from upres.networks.base import Network
from upres.networks.blocks import NormalisedResidualBlock, PixelShuffler, convolution, prime_factors, reach

__all__ = ["SRResNet"]


class SRResNet(Network):
    """RGB (N, 3, H, W) in [0, 1] to (N, 3, scale·H, scale·W); inside, HR goes from -1 to 1 (section 3.2).

    Args:
        scale: the factor r between LR and SR; one pixel shuffle for each of its prime factors.
        channels: feature channels.
        blocks: residual blocks.
    """

    def __init__(self, scale: int = 4, channels: int = 64, blocks: int = 16) -> None:
        factors = prime_factors(scale)
        super().__init__(scale, halo=4 + 2 * blocks + 2 + reach(factors, 4))
        self.head = nn.Sequential(convolution(3, channels, 9), nn.PReLU())
        self.blocks = nn.Sequential(*(NormalisedResidualBlock(channels, nn.PReLU()) for _ in range(blocks)))
        self.end = nn.Sequential(convolution(channels, channels, bias=False), nn.BatchNorm2d(channels))
        self.upsamplers = nn.Sequential(
            *(nn.Sequential(PixelShuffler(channels, factor, channels), nn.PReLU()) for factor in factors)
        )
        self.tail = convolution(channels, 3, 9)

    def upscale(self, lr: Tensor) -> Tensor:
        """See `Network.upscale`."""
        shallow = self.head(lr)  # (N, channels, H, W)
        features = self.upsamplers(shallow + self.end(self.blocks(shallow)))
        return (self.tail(features) + 1) / 2  # type: ignore[no-any-return]
