"""IMDN: information multi-distillation network (Hui et al., ACM MM 2019, arXiv:1909.11856).

Every block splits off a quarter of its channels after each of three convolutions and refines the rest.
The network won AIM 2019; the version that AIM 2020 and NTIRE 2022 took as their baseline has neither the
attention nor the concatenation of all blocks, and IMDN-RTC is a small one of that kind.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn

from upres.networks.blocks import ContrastAttention, convolution, outputs_of, widths
from upres.networks.longskip import LongSkipNetwork
from upres.networks.published import Published, State, length, shuffled_scale

__all__ = ["IMDN", "PUBLISHED", "imdn_baseline", "imdn_rtc"]


class InformationMultiDistillationBlock(nn.Module):
    """IMDB: distil, concatenate, attend, fuse, add the input.

    Args:
        channels: of the features (N, channels, H, W), which keep their shape.
        attention: weigh the channels by their contrast.
        layer: makes the convolutions, of the numbers of input and output channels and, for 1, the kernel's side.
    """

    def __init__(self, channels: int, attention: bool, layer: Callable[..., nn.Module] = convolution) -> None:
        super().__init__()
        distilled = channels // 4
        remaining = channels - distilled
        self.convolutions = nn.ModuleList(
            [
                layer(channels, channels),
                layer(remaining, channels),
                layer(remaining, channels),
            ]
        )
        self.last = layer(remaining, distilled)
        self.activation = nn.LeakyReLU(0.05)
        self.attention = ContrastAttention(4 * distilled) if attention else nn.Identity()
        self.fusion = layer(4 * distilled, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(N, channels, H, W) to the same shape."""
        parts = []
        rest = features
        for layer, following in pairwise([*self.convolutions, self.last]):
            remaining = widths(following)[0]  # which pruning lessens
            part, rest = self.activation(layer(rest)).split((widths(layer)[1] - remaining, remaining), dim=1)
            parts.append(part)
        parts.append(self.last(rest))
        return features + self.fusion(self.attention(torch.cat(parts, dim=1)))  # type: ignore[no-any-return]


class IMDN(LongSkipNetwork):
    """RGB (N, 3, H, W) in [0, 1] to (N, 3, scale·H, scale·W).

    Args:
        scale: the factor r between LR and SR.
        channels: feature channels; a quarter is split off at every step.
        blocks: information multi-distillation blocks.
        attention: contrast-aware channel attention in every block, which makes all of the picture matter.
        concatenation: the outputs of all blocks go on, fused by a 1x1 convolution; otherwise the last one's.
        end_kernel: side of the kernel of the convolution before the long skip.
    """

    def __init__(
        self,
        scale: int = 4,
        channels: int = 64,
        blocks: int = 6,
        attention: bool = True,
        concatenation: bool = True,
        end_kernel: int = 3,
    ) -> None:
        distilling = (InformationMultiDistillationBlock(channels, attention) for _ in range(blocks))
        super().__init__(scale, channels, distilling, None if attention else 4 * blocks, end_kernel=end_kernel)
        self.fusion = (
            nn.Sequential(convolution(blocks * channels, channels, 1), nn.LeakyReLU(0.05)) if concatenation else None
        )

    def deep(self, shallow: Tensor) -> Tensor:
        """See `LongSkipNetwork.deep`."""
        outputs = outputs_of(self.blocks, shallow)
        return self.fusion(torch.cat(outputs, dim=1)) if self.fusion else outputs[-1]


def imdn_baseline(scale: int = 4) -> IMDN:
    """The winner of AIM 2019 as the baseline of AIM 2020 and NTIRE 2022: 893,936 parameters at x4."""
    return IMDN(scale, blocks=8, attention=False, concatenation=False)


def imdn_rtc(scale: int = 2) -> IMDN:
    """IMDN-RTC, for real time on small devices: 20,190 parameters at x2."""
    return IMDN(scale, channels=12, blocks=5, attention=False, concatenation=False, end_kernel=1)


def _arguments(state: State) -> dict[str, Any]:
    return {
        "scale": shuffled_scale(state["upsampler.0.weight"]),
        "channels": state["head.weight"].shape[0],
        "blocks": length(state, "blocks"),
        "attention": "blocks.0.attention.bottleneck.0.weight" in state,
        "concatenation": "fusion.0.weight" in state,
        "end_kernel": state["end.weight"].shape[-1],
    }


PUBLISHED = (
    Published(
        "imdn",
        {
            "fea_conv": "head",
            "IMDB{1}.c4": "blocks.{}.last",
            "IMDB{1}.c5": "blocks.{}.fusion",
            "IMDB{1}.c{1}": "blocks.{}.convolutions.{}",
            "IMDB{1}.cca.conv_du.{0}": "blocks.{}.attention.bottleneck.{}",
            "c.0": "fusion.0",
            "LR_conv": "end",
            "upsampler.0": "upsampler.0",
        },
        _arguments,
    ),
    Published(
        "imdn",
        {
            "model.0": "head",
            "model.1.sub.{0}.c4": "blocks.{}.last",
            "model.1.sub.{0}.c5": "blocks.{}.fusion",
            "model.1.sub.{0}.c{1}": "blocks.{}.convolutions.{}",
            "model.1.sub.{0}": "end",
            "model.2": "upsampler.0",
        },
        _arguments,
    ),
    Published(
        "imdn",
        {
            "model.0": "head",
            "model.1.sub.{0}.conv4": "blocks.{}.last",
            "model.1.sub.{0}.conv1x1": "blocks.{}.fusion",
            "model.1.sub.{0}.conv{1}.0": "blocks.{}.convolutions.{}",
            "model.1.sub.{0}": "end",
            "model.2": "upsampler.0",
        },
        _arguments,
    ),
)
"""IMDN, IMDN-RTC, and the baseline of the challenges."""
