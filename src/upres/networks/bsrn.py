"""BSRN: blueprint separable residual network (Li et al., NTIRE at CVPR 2022, arXiv:2205.05996).

RFDN whose 3x3 convolutions are a 1x1 and then a depthwise one, with channel attention after the spatial one.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from upres.networks.base import Network
from upres.networks.blocks import ESA, ContrastAttention, PixelShuffler, convolution, outputs_of
from upres.networks.published import ESA_NAMES, Published, State, length, prefixed, shuffled_scale
from upres.networks.rfdn import ResidualFeatureDistillationBlock

__all__ = ["BSRN", "PUBLISHED", "bsrn_ntire2022"]

REPEATS = 4  # of the picture, before the first convolution


class BlueprintConvolution(nn.Module):
    """BSConv (Haase and Amthor, CVPR 2020, arXiv:2003.13549): a 1x1 convolution, then a depthwise 3x3 one.

    Args:
        inputs: channels.
        outputs: channels.
        stride: of the depthwise convolution, which is padded only if the stride is 1.
        bias: of the 1x1 convolution.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1, bias: bool = False) -> None:
        super().__init__()
        self.pointwise = convolution(inputs, outputs, 1, bias=bias)
        self.depthwise = nn.Conv2d(outputs, outputs, 3, stride, padding=int(stride == 1), groups=outputs)

    def forward(self, features: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H, W) for stride 1."""
        return self.depthwise(self.pointwise(features))  # type: ignore[no-any-return]


class ChannelWeights(nn.Module):
    """A learnt weight for each channel and a 1x1 convolution: the attention of the NTIRE 2022 entry."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1, channels, 1, 1))
        self.fusion = convolution(channels, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """(N, channels, H, W) to the same shape."""
        return self.fusion(features * self.weight)  # type: ignore[no-any-return]


class EfficientSeparableDistillationBlock(ResidualFeatureDistillationBlock):
    """ESDB: RFDB of BSConv, attention to channels after that to pixels, and the input added.

    Args:
        channels: of the features (N, channels, H, W), which keep their shape.
        challenge: see `BSRN`.
    """

    def __init__(self, channels: int, challenge: bool) -> None:
        layer = partial(BlueprintConvolution, bias=challenge)
        inner = channels // 4
        middle = nn.Sequential(layer(inner, inner), nn.GELU(), layer(inner, inner), nn.GELU(), layer(inner, inner))
        stride = None if challenge else BlueprintConvolution(inner, inner, stride=2)
        super().__init__(channels, ESA(channels, inner, middle, stride), layer, nn.GELU())
        self.channel_attention = ChannelWeights(channels) if challenge else ContrastAttention(channels)

    def forward(self, features: Tensor) -> Tensor:
        """(N, channels, H, W) to the same shape."""
        return features + self.channel_attention(super().forward(features))  # type: ignore[no-any-return]


class BSRN(Network):
    """RGB (N, 3, H, W) in [0, 1] to (N, 3, scale·H, scale·W).

    Args:
        scale: the factor r between LR and SR.
        channels: feature channels.
        blocks: efficient separable distillation blocks.
        challenge: as entered in NTIRE 2022: learnt weights of the channels instead of attention to their contrast,
            a bias between the two parts of a BSConv, a plain strided convolution in the ESA.
    """

    def __init__(self, scale: int = 4, channels: int = 64, blocks: int = 8, challenge: bool = False) -> None:
        super().__init__(scale, halo=None, minimum=ESA.minimum)
        self.head = BlueprintConvolution(3 * REPEATS, channels, bias=challenge)
        self.blocks = nn.ModuleList(EfficientSeparableDistillationBlock(channels, challenge) for _ in range(blocks))
        self.fusion = nn.Sequential(convolution(blocks * channels, channels, 1), nn.GELU())
        self.end = BlueprintConvolution(channels, channels, bias=challenge)
        self.upsampler = PixelShuffler(channels, scale)

    def upscale(self, lr: Tensor) -> Tensor:
        """See `Network.upscale`."""
        shallow = self.head(torch.cat([lr] * REPEATS, dim=1))  # (N, channels, H, W)
        outputs = outputs_of(self.blocks, shallow)
        deep = self.end(self.fusion(torch.cat(outputs, dim=1)))
        return self.upsampler(shallow + deep)  # type: ignore[no-any-return]


def bsrn_ntire2022(scale: int = 4) -> BSRN:
    """The entry to NTIRE 2022, first by complexity: 156,288 parameters at x4."""
    return BSRN(scale, channels=48, blocks=5, challenge=True)


def _arguments(state: State) -> dict[str, Any]:
    return {
        "scale": shuffled_scale(state["upsampler.0.weight"]),
        "channels": state["head.pointwise.weight"].shape[0],
        "blocks": length(state, "blocks"),
        "challenge": "blocks.0.channel_attention.weight" in state,
    }


def _separable(theirs: str, ours: str) -> dict[str, str]:
    return prefixed(theirs, ours, {"pw": "pointwise", "dw": "depthwise"})


PUBLISHED = (
    Published(
        "bsrn",
        {
            **_separable("fea_conv", "head"),
            "B{1}.c{1}_d": "blocks.{}.distillations.{}",
            **_separable("B{1}.c{1}_r", "blocks.{}.refinements.{}"),
            **_separable("B{1}.c4", "blocks.{}.last"),
            "B{1}.c5": "blocks.{}.fusion",
            **prefixed("B{1}.esa", "blocks.{}.attention", ESA_NAMES),
            **_separable("B{1}.esa.conv2", "blocks.{}.attention.stride"),
            **_separable("B{1}.esa.conv_max", "blocks.{}.attention.middle.0"),
            **_separable("B{1}.esa.conv3", "blocks.{}.attention.middle.2"),
            **_separable("B{1}.esa.conv3_", "blocks.{}.attention.middle.4"),
            "B{1}.cw": "blocks.{}.channel_attention.weight",
            "B{1}.conv_out": "blocks.{}.channel_attention.fusion",
            "B{1}.cca.conv_du.{0}": "blocks.{}.channel_attention.bottleneck.{}",
            "c1": "fusion.0",
            **_separable("c2", "end"),
            "upsampler.upsampleOneStep.0": "upsampler.0",
        },
        _arguments,
        # The challenge's 1x1 convolutions are kept as dense layers.
        lambda state: {name: tensor[..., None, None] if tensor.ndim == 2 else tensor for name, tensor in state.items()},
    ),
)
