"""CARN: cascading residual network (Ahn et al., ECCV 2018, arXiv:1803.08664).

All that blocks have made so far is concatenated and fused by 1x1 convolutions, within blocks and among them.
CARN-M is the mobile one: group convolutions, and one residual block that a cascading block runs three times.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from upres.networks.base import Network
from upres.networks.blocks import DIV2K_MEAN, convolution, prime_factors, reach
from upres.networks.published import Published, State

__all__ = ["CARN", "PUBLISHED", "branch", "carn_classsr", "carn_m"]

STEPS = 3  # residual blocks in a cascading block, and cascading blocks in the network


class ResidualBlock(nn.Sequential):
    """Two 3x3 convolutions; the mobile one (residual-E) groups them and ends with a 1x1 convolution."""

    def __init__(self, channels: int, mobile: bool, groups: int) -> None:
        layers: list[nn.Module] = [
            convolution(channels, channels, groups=groups),
            nn.ReLU(),
            convolution(channels, channels, groups=groups),
        ]
        super().__init__(*layers, *([nn.ReLU(), convolution(channels, channels, 1)] if mobile else []))

    def forward(self, features: Tensor) -> Tensor:
        """(N, channels, H, W) to the same shape."""
        return F.relu(features + super().forward(features))  # type: ignore[no-untyped-call]


class Cascade(nn.Module):
    """Blocks one after the other; after each, all outputs so far are concatenated and fused.

    Args:
        blocks: from (N, channels, H, W) to the same shape each.
        channels: of the features.
        batch_norm: normalise what is fused, instead of a bias.
    """

    def __init__(self, blocks: Iterable[nn.Module], channels: int, batch_norm: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.fusions = nn.ModuleList(
            nn.Sequential(
                convolution(step * channels, channels, 1, bias=not batch_norm),
                *([nn.BatchNorm2d(channels)] if batch_norm else []),
                nn.ReLU(),
            )
            for step in range(2, STEPS + 2)
        )

    def forward(self, features: Tensor) -> Tensor:
        """(N, channels, H, W) to the same shape."""
        collected = features
        for step, fusion in enumerate(self.fusions):
            block = self.blocks[step % len(self.blocks)]  # the one there is, where it is shared
            collected = torch.cat([collected, block(features)], dim=1)
            features = fusion(collected)
        return features


class CARN(Network):
    """RGB (N, 3, H, W) in [0, 1] to (N, 3, scale·H, scale·W); inside, the mean of DIV2K is 0.

    Args:
        scale: the factor r between LR and SR, one of ``scales``.
        channels: feature channels.
        mobile: residual-E blocks, one for each cascading block, as in CARN-M.
        groups: of the 3x3 convolutions but the first and the last.
        scales: for which the network has upsamplers; the paper trains one body for all.
        batch_norm: after the 1x1 convolutions, as ClassSR has it.
        learnt_shift: what takes the mean away and adds it again are 1x1 convolutions that learn, likewise.

    Raises:
        ValueError: if the scale is not one of ``scales``.
    """

    def __init__(
        self,
        scale: int = 4,
        channels: int = 64,
        mobile: bool = False,
        groups: int = 1,
        scales: Sequence[int] = (2, 3, 4),
        batch_norm: bool = False,
        learnt_shift: bool = False,
    ) -> None:
        if scale not in scales:
            raise ValueError(f"scale must be one of scales {tuple(scales)}, not {scale}")
        factors = prime_factors(scale)
        super().__init__(scale, halo=2 + 2 * STEPS**2 + reach(factors, 1))
        self.scales = tuple(scales)

        def cascading() -> Cascade:
            residuals = (ResidualBlock(channels, mobile, groups) for _ in range(1 if mobile else STEPS))
            return Cascade(residuals, channels, batch_norm)

        self.head = convolution(3, channels)
        self.body = Cascade((cascading() for _ in range(STEPS)), channels, batch_norm)
        self.upsamplers = nn.ModuleDict({str(factor): _upsampler(channels, factor, groups) for factor in scales})
        self.tail = convolution(channels, 3)
        mean = torch.tensor(DIV2K_MEAN)
        self.sub_mean, self.add_mean = _shift(-mean, learnt_shift), _shift(mean, learnt_shift)

    def upscale(self, lr: Tensor) -> Tensor:
        """See `Network.upscale`."""
        features = self.body(self.head(self.sub_mean(lr)))  # (N, channels, H, W)
        return self.add_mean(self.tail(self.upsamplers[str(self.scale)](features)))  # type: ignore[no-any-return]


class Shift(nn.Module):
    """Adds a colour, (3,), to RGB."""

    def __init__(self, colour: Tensor) -> None:
        super().__init__()
        self.colour: Tensor
        self.register_buffer("colour", colour.reshape(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) to the same shape."""
        return images + self.colour


@torch.no_grad()
def _shift(colour: Tensor, learnt: bool) -> nn.Module:
    """What adds a colour to RGB, or a 1x1 convolution that begins so."""
    if not learnt:
        return Shift(colour)
    layer = nn.Conv2d(3, 3, 1)
    layer.weight.copy_(torch.eye(3)[..., None, None])
    assert layer.bias is not None
    layer.bias.copy_(colour)
    return layer


def carn_m(scale: int = 4) -> CARN:
    """CARN-M: groups of 4."""
    return CARN(scale, mobile=True, groups=4)


def carn_classsr(channels: int = 64) -> CARN:
    """A branch of ClassSR-CARN (Kong et al., CVPR 2021, arXiv:2103.04039), x4: 36, 52 or 64 channels."""
    return branch(4, channels)


def branch(scale: int, channels: int) -> CARN:
    """Likewise, of any scale."""
    return CARN(scale, channels, mobile=True, groups=4, scales=(scale,), batch_norm=True, learnt_shift=True)


def _upsampler(channels: int, scale: int, groups: int) -> nn.Sequential:
    """For each prime factor of the scale a convolution, ReLU, and a pixel shuffle."""
    layers: list[nn.Module] = []
    for factor in prime_factors(scale):
        convolved = convolution(channels, channels * factor**2, groups=groups)
        layers += [convolved, nn.ReLU(), nn.PixelShuffle(factor)]
    return nn.Sequential(*layers)


def _arguments(state: State) -> dict[str, Any]:
    channels = state["head.weight"].shape[0]
    scales = sorted({int(name.split(".")[1]) for name in state if name.startswith("upsamplers.")})
    return {
        "scale": scales[::-1],
        "channels": channels,
        "mobile": "body.blocks.0.blocks.0.4.weight" in state,
        "groups": channels // state["body.blocks.0.blocks.0.0.weight"].shape[1],
        "scales": scales,
        "batch_norm": "body.fusions.0.1.weight" in state,
        "learnt_shift": "sub_mean.weight" in state,
    }


def _name_the_scale(state: State) -> State:
    """Of the upsampler of a network with one, by how many times as many channels its convolutions draw."""
    drawn = [state[name].shape[0] for name in state if re.fullmatch(r"upsample\.up\.body\.\d+\.weight", name)]
    scale = math.prod(math.isqrt(outputs // state["entry.weight"].shape[0]) for outputs in drawn)
    return {name.replace("upsample.up.", f"upsample.up{scale}."): tensor for name, tensor in state.items()}


PUBLISHED = (
    Published(
        "carn",
        {
            "sub_mean.shifter": "",
            "add_mean.shifter": "",
            "sub_mean": "sub_mean",
            "add_mean": "add_mean",
            "entry": "head",
            "b{1}.b{1}.body.{0}": "body.blocks.{}.blocks.{}.{}",
            "b{1}.c{1}.body.{0}": "body.blocks.{}.fusions.{}.{}",
            "c{1}.body.{0}": "body.fusions.{}.{}",
            "b{1}.c{1}.{0}": "body.blocks.{}.fusions.{}.{}",
            "c{1}.{0}": "body.fusions.{}.{}",
            "upsample.up{0}.body.{0}": "upsamplers.{}.{}",
            "exit": "tail",
        },
        _arguments,
        _name_the_scale,
    ),
)
"""The authors' files, and the branches of ClassSR, whose 1x1 convolutions stand one level higher."""
