"""LatticeNet: towards lightweight image super-resolution with lattice block (Luo et al., ECCV 2020).

The network of HaiYun in AIM 2020. A lattice block crosses its two branches twice, as a lattice filter does, each time
weighing the other branch's channels by their mean and standard deviation.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from upres.networks.base import Network
from upres.networks.blocks import DIV2K_MEAN, PixelShuffler, bottleneck, convolution, deviation, outputs_of
from upres.networks.published import Published, State, length, prefixed, shuffled_scale

__all__ = ["PUBLISHED", "LatticeNet"]


class CombinationCoefficient(nn.Module):
    """A weight for every channel, from its mean and its standard deviation over the picture.

    (N, channels, H, W), of more than one pixel, to (N, channels, 1, 1) in [0, 1].
    """

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.of_mean = bottleneck(channels, reduction)
        self.of_deviation = bottleneck(channels, reduction)

    def forward(self, features: Tensor) -> Tensor:
        """The mean of both branches."""
        of_mean = self.of_mean(features.mean((2, 3), keepdim=True))
        return (of_mean + self.of_deviation(deviation(features, correction=1))) / 2  # type: ignore[no-any-return]


class LatticeBlock(nn.Module):
    """Two butterflies, each with three convolutions, and their fusion.

    Args:
        channels: of the features (N, channels, H, W), which keep their shape.
        inner: channels between the convolutions.
        reduction: how many times fewer channels the bottlenecks of the coefficients have.
    """

    def __init__(self, channels: int, inner: int, reduction: int) -> None:
        super().__init__()

        def three() -> nn.Sequential:
            layers: list[nn.Module] = []
            for inputs, outputs in pairwise([channels, inner, inner, channels]):
                layers += [convolution(inputs, outputs), nn.LeakyReLU(0.05)]
            return nn.Sequential(*layers)

        self.first, self.second = three(), three()
        self.of_first, self.of_input, self.of_second, self.of_crossed = (
            CombinationCoefficient(channels, reduction) for _ in range(4)
        )
        self.fusion = convolution(2 * channels, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Cross twice, concatenate, fuse."""
        first = self.first(features)
        straight = features + self.of_first(first) * first
        crossed = first + self.of_input(features) * features
        second = self.second(straight)
        straight = second + self.of_crossed(crossed) * crossed
        crossed = crossed + self.of_second(second) * second
        return self.fusion(torch.cat([straight, crossed], dim=1))  # type: ignore[no-any-return]


class BackwardFusion(nn.Module):
    """BFM: from the last block's output to the first one's, each fused with what came so far."""

    def __init__(self, channels: int, blocks: int) -> None:
        super().__init__()
        self.later = nn.ModuleList(convolution(channels, channels // 2, 1) for _ in range(blocks - 1))
        self.earlier = nn.ModuleList(convolution(channels, channels // 2, 1) for _ in range(blocks - 1))

    def forward(self, outputs: list[Tensor]) -> Tensor:
        """(N, channels, H, W) each, and fused."""
        fused = outputs[-1]
        for later, earlier, output in zip(self.later, self.earlier, reversed(outputs[:-1]), strict=True):
            fused = F.relu(torch.cat([later(fused), earlier(output)], dim=1))
        return fused


class LatticeNet(Network):
    """RGB (N, 3, H, W) in [0, 1] to (N, 3, scale·H, scale·W).

    Args:
        scale: the factor r between LR and SR.
        channels: feature channels.
        inner: channels between the convolutions of a lattice block.
        blocks: lattice blocks.
        reduction: how many times fewer channels the bottlenecks of the coefficients have.
        value_range: what white is to the convolutions; the released weights were trained with 255.
    """

    def __init__(
        self,
        scale: int = 4,
        channels: int = 64,
        inner: int = 48,
        blocks: int = 4,
        reduction: int = 16,
        value_range: float = 255.0,
    ) -> None:
        super().__init__(scale, halo=None, minimum=2)
        self.value_range = value_range
        self.mean: Tensor
        self.register_buffer("mean", torch.tensor(DIV2K_MEAN).reshape(1, 3, 1, 1), persistent=False)
        self.head = nn.Sequential(convolution(3, channels), convolution(channels, channels))
        self.blocks = nn.ModuleList(LatticeBlock(channels, inner, reduction) for _ in range(blocks))
        self.fusion = BackwardFusion(channels, blocks)
        self.end = convolution(channels, channels)
        self.upsampler = PixelShuffler(channels, scale)

    def upscale(self, lr: Tensor) -> Tensor:
        """See `Network.upscale`."""
        shallow = self.head((lr - self.mean) * self.value_range)  # (N, channels, H, W)
        outputs = outputs_of(self.blocks, shallow)
        sr = self.upsampler(self.end(shallow + self.fusion(outputs)))
        return sr / self.value_range + self.mean  # type: ignore[no-any-return]


def _arguments(state: State) -> dict[str, Any]:
    inner, channels = state["blocks.0.first.0.weight"].shape[:2]
    return {
        "scale": shuffled_scale(state["upsampler.0.weight"]),
        "channels": channels,
        "inner": inner,
        "blocks": length(state, "blocks"),
        "reduction": channels // state["blocks.0.of_first.of_mean.0.weight"].shape[0],
    }


BLOCK_NAMES = {
    "conv_block0.{0}": "first.{}",
    "conv_block1.{0}": "second.{}",
    "compress": "fusion",
    **{
        f"{theirs}.conv_{statistic}.{{0}}": f"{ours}.of_{of}.{{}}"
        for theirs, ours in {
            "fea_ca1": "of_first",
            "x_ca1": "of_input",
            "fea_ca2": "of_crossed",
            "x_ca2": "of_second",
        }.items()
        for statistic, of in {"mean": "mean", "std": "deviation"}.items()
    },
}

PUBLISHED = (
    Published(
        "latticenet",
        {
            "sub_mean": "",
            "add_mean": "",
            "conv1": "head.0",
            "conv2": "head.1",
            **prefixed("body_unit{1}", "blocks.{}", BLOCK_NAMES),
            "T_tdm{1}.0": "fusion.later.{}",
            "L_tdm{1}.0": "fusion.earlier.{}",
            "tail.0": "end",
            "tail.1": "upsampler.0",
        },
        _arguments,
    ),
)
