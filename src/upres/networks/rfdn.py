"""RFDN: residual feature distillation network (Liu et al., AIM at ECCV 2020, arXiv:2009.11551).

IMDN whose splits are 1x1 convolutions, whose 3x3 convolutions have a skip each, and whose attention is over
pixels. By default the winner of AIM 2020, whose weights are released; the network of the paper's tables is larger.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from upres.networks.base import Network
from upres.networks.blocks import ESA, convolution, outputs_of
from upres.networks.published import ESA_NAMES, Published, State, length, prefixed, shuffled_scale

__all__ = ["PUBLISHED", "RFDN", "ResidualFeatureDistillationBlock"]


class ResidualFeatureDistillationBlock(nn.Module):
    """RFDB: distil by 1x1 and refine by 3x3 three times, concatenate, fuse, attend.

    Args:
        channels: of the features (N, channels, H, W), which keep their shape.
        attention: of the same shape.
        layer: makes the 3x3 convolutions, of the numbers of input and output channels.
        activation: after each distillation and refinement.
    """

    def __init__(
        self,
        channels: int,
        attention: ESA,
        layer: Callable[[int, int], nn.Module] = convolution,
        activation: nn.Module | None = None,
    ) -> None:
        super().__init__()
        distilled = channels // 2
        self.distillations = nn.ModuleList(convolution(channels, distilled, 1) for _ in range(3))
        self.refinements = nn.ModuleList(layer(channels, channels) for _ in range(3))
        self.last = layer(channels, distilled)
        self.activation = activation or nn.LeakyReLU(0.05)
        self.fusion = convolution(4 * distilled, channels, 1)
        self.attention = attention

    def forward(self, features: Tensor) -> Tensor:
        """(N, channels, H, W) to the same shape."""
        parts = []
        for distil, refine in zip(self.distillations, self.refinements, strict=True):
            parts.append(self.activation(distil(features)))
            features = self.activation(refine(features) + features)
        parts.append(self.activation(self.last(features)))
        return self.attention(self.fusion(torch.cat(parts, dim=1)))  # type: ignore[no-any-return]


class RFDN(Network):
    """RGB (N, 3, H, W) in [0, 1] to (N, 3, scale·H, scale·W).

    Args:
        scale: the factor r between LR and SR.
        channels: feature channels; half of them are distilled at every step.
        blocks: residual feature distillation blocks.
        attention_channels: inside the ESA.
        value_range: what white is to the convolutions; the released weights were trained with 255.
    """

    def __init__(
        self,
        scale: int = 4,
        channels: int = 50,
        blocks: int = 4,
        attention_channels: int = 12,
        value_range: float = 255.0,
    ) -> None:
        super().__init__(scale, halo=None, minimum=ESA.minimum)
        self.value_range = value_range
        self.head = convolution(3, channels)
        self.blocks = nn.ModuleList(
            ResidualFeatureDistillationBlock(channels, ESA(channels, attention_channels)) for _ in range(blocks)
        )
        self.fusion = nn.Sequential(convolution(blocks * channels, channels, 1), nn.LeakyReLU(0.05))
        self.end = convolution(channels, channels)
        self.tail = convolution(channels, 3 * scale**2)

    def upscale(self, lr: Tensor) -> Tensor:
        """See `Network.upscale`."""
        shallow = self.head(lr * self.value_range)  # (N, channels, H, W)
        outputs = outputs_of(self.blocks, shallow)
        deep = self.end(self.fusion(torch.cat(outputs, dim=1)))
        return F.pixel_shuffle(self.tail(shallow + deep) / self.value_range, self.scale)


def _arguments(state: State) -> dict[str, Any]:
    return {
        "scale": shuffled_scale(state["tail.weight"]),
        "channels": state["head.weight"].shape[0],
        "blocks": length(state, "blocks"),
        "attention_channels": state["blocks.0.attention.reduce.weight"].shape[0],
    }


PUBLISHED = (
    Published(
        "rfdn",
        {
            "fea_conv": "head",
            "B{1}.c{1}_d": "blocks.{}.distillations.{}",
            "B{1}.c{1}_r": "blocks.{}.refinements.{}",
            "B{1}.c4": "blocks.{}.last",
            "B{1}.c5": "blocks.{}.fusion",
            **prefixed("B{1}.esa", "blocks.{}.attention", ESA_NAMES),
            "c.0": "fusion.0",
            "LR_conv": "end",
            "upsampler.0": "tail",
        },
        _arguments,
    ),
)
