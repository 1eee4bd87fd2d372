"""MSRResNet: SRResNet without batch normalisation (Wang et al., PIRM at ECCV 2018, arXiv:1809.00219).

What AIM 2019 and AIM 2020 (Zhang et al., arXiv:2009.06943) measured against; with 36, 52 and 64 channels the
branches of ClassSR-SRResNet (Kong et al., CVPR 2021, arXiv:2103.04039).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from upres.networks.base import Network
from upres.networks.blocks import Interpolation, PixelShuffler, convolution, draw, draw_small, prime_factors, reach
from upres.networks.published import Published, State, length, shuffled_scale

__all__ = ["PUBLISHED", "MSRResNet"]


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions with ReLU between, and the input added.

    Args:
        channels: of input and output.
        activation: ReLU as a function, which challenges do not count, or as a module, which they do.
    """

    def __init__(self, channels: int, activation: Callable[[Tensor], Tensor] = F.relu) -> None:
        super().__init__()
        self.first = convolution(channels, channels)
        self.activation = activation
        self.second = convolution(channels, channels)

    def forward(self, features: Tensor) -> Tensor:
        """(N, channels, H, W) to the same shape."""
        return features + self.second(self.activation(self.first(features)))  # type: ignore[no-any-return]


class MSRResNet(Network):
    """RGB (N, 3, H, W) in [0, 1] to (N, 3, scale·H, scale·W).

    Args:
        scale: the factor r between LR and SR; one pixel shuffle for each of its prime factors.
        channels: feature channels.
        blocks: residual blocks.
    """

    def __init__(self, scale: int = 4, channels: int = 64, blocks: int = 16) -> None:
        factors = prime_factors(scale)
        super().__init__(scale, halo=2 + 2 * blocks + reach(factors, 2))
        self.activation = nn.LeakyReLU(0.1)
        self.head = convolution(3, channels)
        self.blocks = nn.Sequential(*(ResidualBlock(channels) for _ in range(blocks)))
        self.upsamplers = nn.ModuleList(PixelShuffler(channels, factor, channels) for factor in factors)
        self.hr = convolution(channels, channels)
        self.tail = convolution(channels, 3)
        self.skip = Interpolation(scale, "bilinear")

    def initialise(self) -> None:
        """See `Network.initialise`: as its authors do (BasicSR; ESRGAN's supplement says why)."""
        draw(self, draw_small)

    def upscale(self, lr: Tensor) -> Tensor:
        """See `Network.upscale`."""
        features = self.blocks(self.activation(self.head(lr)))  # (N, channels, H, W)
        for upsampler in self.upsamplers:
            features = self.activation(upsampler(features))  # (N, channels, factor·H, factor·W)
        return self.tail(self.activation(self.hr(features))) + self.skip(lr)  # type: ignore[no-any-return]


def _arguments(state: State) -> dict[str, Any]:
    scale = math.prod(
        shuffled_scale(state[f"upsamplers.{step}.0.weight"], state["hr.weight"].shape[0])
        for step in range(length(state, "upsamplers"))
    )
    return {"scale": scale, "channels": state["head.weight"].shape[0], "blocks": length(state, "blocks")}


PUBLISHED = (
    Published(
        "msrresnet",
        {
            "conv_first": "head",
            "recon_trunk.{0}.conv1": "blocks.{}.first",
            "recon_trunk.{0}.conv2": "blocks.{}.second",
            "upconv{1}": "upsamplers.{}.0",
            "HRconv": "hr",
            "conv_last": "tail",
        },
        _arguments,
    ),
    Published(
        "msrresnet",
        {
            "conv_first": "head",
            "body.{0}.conv1": "blocks.{}.first",
            "body.{0}.conv2": "blocks.{}.second",
            "upconv{1}": "upsamplers.{}.0",
            "conv_hr": "hr",
            "conv_last": "tail",
        },
        _arguments,
    ),
)
"""As in AIM and ClassSR, and as in BasicSR today."""
