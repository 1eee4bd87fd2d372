"""RLFN: residual local feature network (Kong et al., NTIRE at CVPR 2022, arXiv:2205.07514).

RFDN without distillation: three convolutions and a skip in each block, and a smaller ESA. First by runtime in
NTIRE 2022, with the pruned version.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from upres.networks.base import Network
from upres.networks.blocks import ESA, convolution
from upres.networks.published import ESA_NAMES, Published, State, length, prefixed, shuffled_scale

__all__ = ["PUBLISHED", "RLFN", "rlfn_ntire2022", "rlfn_s"]


class ResidualLocalFeatureBlock(nn.Module):
    """RLFB: refine three times, add the input, fuse, attend.

    Args:
        channels: of the features (N, channels, H, W), which keep their shape.
        middle: channels between the convolutions.
        attention_channels: inside the ESA.
    """

    def __init__(self, channels: int, middle: int, attention_channels: int) -> None:
        super().__init__()
        self.refinements = nn.ModuleList(
            [convolution(channels, middle), convolution(middle, middle), convolution(middle, channels)]
        )
        self.activation = nn.LeakyReLU(0.05)
        self.fusion = convolution(channels, channels, 1)
        self.attention = ESA(channels, attention_channels, convolution(attention_channels, attention_channels))

    def forward(self, features: Tensor) -> Tensor:
        """(N, channels, H, W) to the same shape."""
        refined = features
        for layer in self.refinements:
            refined = self.activation(layer(refined))
        return self.attention(self.fusion(features + refined))  # type: ignore[no-any-return]


class RLFN(Network):
    """RGB (N, 3, H, W) in [0, 1] to (N, 3, scale·H, scale·W).

    Args:
        scale: the factor r between LR and SR.
        channels: feature channels.
        blocks: residual local feature blocks.
        middle: channels inside the blocks; None for as many as outside.
        attention_channels: inside the ESA.
        value_range: what white is to the convolutions; the released weights were trained with 255.
    """

    def __init__(
        self,
        scale: int = 4,
        channels: int = 52,
        blocks: int = 6,
        middle: int | None = None,
        attention_channels: int = 16,
        value_range: float = 255.0,
    ) -> None:
        super().__init__(scale, halo=None, minimum=ESA.minimum)
        self.value_range = value_range
        self.head = convolution(3, channels)
        self.blocks = nn.Sequential(
            *(ResidualLocalFeatureBlock(channels, middle or channels, attention_channels) for _ in range(blocks))
        )
        self.end = convolution(channels, channels)
        self.tail = convolution(channels, 3 * scale**2)

    def upscale(self, lr: Tensor) -> Tensor:
        """See `Network.upscale`."""
        shallow = self.head(lr * self.value_range)  # (N, channels, H, W)
        deep = self.end(self.blocks(shallow))
        return F.pixel_shuffle(self.tail(shallow + deep) / self.value_range, self.scale)


def rlfn_s(scale: int = 4) -> RLFN:
    """RLFN-S: 48 channels."""
    return RLFN(scale, channels=48)


def rlfn_ntire2022(scale: int = 4) -> RLFN:
    """The entry to NTIRE 2022: 4 blocks of 46 channels, 48 inside; 317,218 parameters at x4."""
    return RLFN(scale, channels=46, blocks=4, middle=48)


def _arguments(state: State) -> dict[str, Any]:
    return {
        "scale": shuffled_scale(state["tail.weight"]),
        "channels": state["head.weight"].shape[0],
        "blocks": length(state, "blocks"),
        "middle": state["blocks.0.refinements.0.weight"].shape[0],
        "attention_channels": state["blocks.0.attention.reduce.weight"].shape[0],
    }


SMALL_ESA_NAMES = {**{name: ESA_NAMES[name] for name in ("conv1", "conv_f", "conv2", "conv4")}, "conv3": "middle"}

PUBLISHED = tuple(
    Published(
        "rlfn",
        {
            first: "head",
            f"{block}{{1}}.c5": "blocks.{}.fusion",
            f"{block}{{1}}.c{{1}}_r": "blocks.{}.refinements.{}",
            **prefixed(f"{block}{{1}}.esa", "blocks.{}.attention", SMALL_ESA_NAMES),
            last: "end",
            "upsampler.0": "tail",
        },
        _arguments,
    )
    for first, block, last in (("conv_1", "block_", "conv_2"), ("fea_conv", "B", "LR_conv"))
)
"""The authors' files, and the entry to NTIRE 2022."""
