"""PAN: efficient image super-resolution using pixel attention (Zhao et al., AIM at ECCV 2020, arXiv:2010.01073).

The network with the fewest parameters of AIM 2020: self-calibrated blocks with pixel attention (SC-PA), and
pixel attention in the reconstruction (U-PA), which upscales by nearest neighbour.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from upres.networks.base import Network
from upres.networks.blocks import Interpolation, convolution, prime_factors, reach
from upres.networks.published import Published, State, length

__all__ = ["PAN", "PUBLISHED"]


class SCPA(nn.Module):
    """SC-PA: one half of the channels is convolved, the other also attends to its pixels.

    (N, channels, H, W) to the same shape.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        half = channels // 2
        self.plain_in = convolution(channels, half, 1, bias=False)
        self.plain = convolution(half, half, bias=False)
        self.attended_in = convolution(channels, half, 1, bias=False)
        self.attention = convolution(half, half, 1)
        self.attended = convolution(half, half, bias=False)
        self.attended_out = convolution(half, half, bias=False)
        self.fusion = convolution(2 * half, channels, 1, bias=False)
        self.activation = nn.LeakyReLU(0.2)

    def forward(self, features: Tensor) -> Tensor:
        """Both halves, fused, and the input added."""
        plain = self.plain(self.activation(self.plain_in(features)))
        attended = self.activation(self.attended_in(features))
        attended = self.attended_out(self.attended(attended) * torch.sigmoid(self.attention(attended)))
        both = torch.cat([self.activation(plain), self.activation(attended)], dim=1)
        return features + self.fusion(both)  # type: ignore[no-any-return]


class UPA(nn.Module):
    """U-PA: nearest neighbour, a convolution, pixel attention, a convolution.

    (N, inputs, H, W) to (N, outputs, factor·H, factor·W).
    """

    def __init__(self, inputs: int, outputs: int, factor: int) -> None:
        super().__init__()
        self.factor = factor
        self.first = convolution(inputs, outputs)
        self.attention = convolution(outputs, outputs, 1)
        self.second = convolution(outputs, outputs)
        self.activation = nn.LeakyReLU(0.2)

    def forward(self, features: Tensor) -> Tensor:
        """Upscale by the factor."""
        features = self.first(F.interpolate(features, scale_factor=self.factor, mode="nearest"))
        features = self.activation(features * torch.sigmoid(self.attention(features)))
        return self.activation(self.second(features))  # type: ignore[no-any-return]


class PAN(Network):
    """RGB (N, 3, H, W) in [0, 1] to (N, 3, scale·H, scale·W).

    Args:
        scale: the factor r between LR and SR; one U-PA for each of its prime factors.
        channels: feature channels at the LR resolution.
        blocks: SC-PA blocks.
        upsampling_channels: feature channels of the reconstruction.
    """

    def __init__(self, scale: int = 4, channels: int = 40, blocks: int = 16, upsampling_channels: int = 24) -> None:
        factors = prime_factors(scale)
        super().__init__(scale, halo=2 + 2 * blocks + reach(factors, 3, between=2))
        self.head = convolution(3, channels)
        self.blocks = nn.Sequential(*(SCPA(channels) for _ in range(blocks)))
        self.end = convolution(channels, channels)
        widths = [channels, *[upsampling_channels] * len(factors)]
        self.upsamplers = nn.Sequential(
            *(UPA(inputs, upsampling_channels, factor) for inputs, factor in zip(widths, factors, strict=False))
        )
        self.tail = convolution(upsampling_channels, 3)
        self.skip = Interpolation(scale, "bilinear")

    def upscale(self, lr: Tensor) -> Tensor:
        """See `Network.upscale`."""
        shallow = self.head(lr)  # (N, channels, H, W)
        features = shallow + self.end(self.blocks(shallow))
        return self.tail(self.upsamplers(features)) + self.skip(lr)  # type: ignore[no-any-return]


def _arguments(state: State) -> dict[str, Any]:
    return {
        "scale": 4 if length(state, "upsamplers") == 2 else [2, 3],  # whose weights do not differ in shape
        "channels": state["head.weight"].shape[0],
        "blocks": length(state, "blocks"),
        "upsampling_channels": state["tail.weight"].shape[1],
    }


PUBLISHED = (
    Published(
        "pan",
        {
            "conv_first": "head",
            "SCPA_trunk.{0}.conv1_a": "blocks.{}.plain_in",
            "SCPA_trunk.{0}.conv1_b": "blocks.{}.attended_in",
            "SCPA_trunk.{0}.k1.0": "blocks.{}.plain",
            "SCPA_trunk.{0}.PAConv.k2": "blocks.{}.attention",
            "SCPA_trunk.{0}.PAConv.k3": "blocks.{}.attended",
            "SCPA_trunk.{0}.PAConv.k4": "blocks.{}.attended_out",
            "SCPA_trunk.{0}.conv3": "blocks.{}.fusion",
            "trunk_conv": "end",
            "upconv{1}": "upsamplers.{}.first",
            "att{1}.conv": "upsamplers.{}.attention",
            "HRconv{1}": "upsamplers.{}.second",
            "conv_last": "tail",
        },
        _arguments,
    ),
)
