"""EFDN: edge-enhanced feature distillation network (Wang, NTIRE at CVPR 2022, arXiv:2204.08759).

As it runs: the edge-enhanced diverse branches that it is trained with are merged into 3x3 convolutions.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from upres.networks.base import Network
from upres.networks.blocks import ESA, PixelShuffler, convolution, outputs_of
from upres.networks.published import ESA_NAMES, Published, State, prefixed, shuffled_scale

__all__ = ["EFDN", "PUBLISHED"]


class EdgeEnhancedFeatureDistillationBlock(nn.Module):
    """EFDB: 1x1, 3x3, 3x3; each result and the input distilled, fused, attended.

    (N, channels, H, W) to the same shape.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(convolution(channels, channels, kernel), nn.PReLU(channels)) for kernel in (1, 3, 3)
        )
        self.distillations = nn.ModuleList(convolution(channels, channels // 2, 1) for _ in range(4))
        self.fusion = convolution(4 * (channels // 2), channels, 1)
        self.attention = ESA(channels, channels // 4)

    def forward(self, features: Tensor) -> Tensor:
        """What is distilled from the input and all layers, and the input added."""
        outputs = [features, *outputs_of(self.layers, features)]
        parts = [distil(output) for distil, output in zip(self.distillations, outputs, strict=True)]
        return features + self.attention(self.fusion(torch.cat(parts, dim=1)))  # type: ignore[no-any-return]


class EFDN(Network):
    """RGB (N, 3, H, W) in [0, 1] to (N, 3, scale·H, scale·W); clamped unless in training.

    Args:
        scale: the factor r between LR and SR.
        channels: feature channels.
    """

    def __init__(self, scale: int = 4, channels: int = 48) -> None:
        super().__init__(scale, halo=None, minimum=ESA.minimum)
        self.head = convolution(3, channels)
        self.blocks = nn.ModuleList(EdgeEnhancedFeatureDistillationBlock(channels) for _ in range(4))
        self.fusions = nn.ModuleList(convolution(2 * channels, channels, 1) for _ in range(3))
        self.upsampler = PixelShuffler(channels, scale)

    def upscale(self, lr: Tensor) -> Tensor:
        """See `Network.upscale`."""
        shallow = self.head(lr)  # (N, channels, H, W)
        first = self.blocks[0](shallow)
        second = self.blocks[1](first)
        fused = self.fusions[0](torch.cat([first, second], dim=1))
        for block, fusion in zip(self.blocks[2:], self.fusions[1:], strict=True):
            fused = fusion(torch.cat([second, block(fused)], dim=1))
        sr: Tensor = self.upsampler(fused + shallow)
        return sr if self.training else sr.clamp(0, 1)


def _arguments(state: State) -> dict[str, Any]:
    return {"scale": shuffled_scale(state["upsampler.0.weight"]), "channels": state["head.weight"].shape[0]}


PUBLISHED = (
    Published(
        "efdn",
        {
            "head": "head",
            "cells.{0}.conv1.conv1x1": "blocks.{}.layers.0.0",
            "cells.{0}.conv{1}.rep_conv": "blocks.{}.layers.{}.0",
            "cells.{0}.conv{1}.act": "blocks.{}.layers.{}.1",
            "cells.{0}.branch.{0}": "blocks.{}.distillations.{}",
            "cells.{0}.fuse": "blocks.{}.fusion",
            **prefixed("cells.{0}.att", "blocks.{}.attention", ESA_NAMES),
            "local_fuse.{0}": "fusions.{}",
            "tail.0": "upsampler.0",
        },
        _arguments,
    ),
)
"""The entry to NTIRE 2022, with its branches merged."""
