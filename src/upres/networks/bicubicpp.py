"""Bicubic++: slim, slimmer, slimmest (Bilecen and Ayazoglu, NTIRE at CVPR 2023, arXiv:2305.02126).

A strided convolution works at half the LR resolution, two convolutions and a skip
follow, and one more draws the (2r)² sub-pixels of each colour. No biases. What the
paper's ablations vary is arguments.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from upres.networks.base import Network
from upres.networks.blocks import Anchor
from upres.networks.published import Published, State, shuffled_scale
from upres.networks.reparameterised import LAYERS

__all__ = ["PUBLISHED", "BicubicPlusPlus"]

STEPS = {"stride": 2, "space-to-depth": 2, "haar": 2, "none": 1}

BASES = {
    "space-to-depth": torch.eye(4),
    "haar": torch.tensor([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]) / 2,
}
"""What 2x2 pixels, row by row, are turned into: themselves, or their orthonormal Haar wavelet transform."""


class BicubicPlusPlus(Network):
    """RGB (N, 3, H, W) in [0, 1] to (N, 3, scale·H, scale·W).

    Args:
        scale: the factor r between LR and SR.
        channels: feature channels.
        blocks: residual blocks R.
        convolutions: 3x3 convolutions m in a block.
        downscale: how half the LR resolution is reached: by the ``stride`` of the first convolution
            as the paper does, or before it by ``space-to-depth`` or the ``haar`` wavelet transform;
            ``none`` works at the LR resolution.
        slope: of the Leaky ReLU; 0 for a ReLU.
        bias: give the convolutions biases.
        anchor: add the nearest-neighbour upscaled input to the output, so that the
            network only draws the difference; this is what survives 8-bit integers
            (Du et al., Anchor-based Plain Net, arXiv:2105.09750).
        layer: what the convolutions in the blocks train as: ``plain``, or re-parameterised as ``edge``, ``repvgg`` or
            ``asymmetric``, which have biases; exported, all are plain.

    Raises:
        ValueError: for an unknown ``downscale`` or ``layer``, or one with biases where there shall be none.
    """

    def __init__(
        self,
        scale: int = 3,
        channels: int = 32,
        blocks: int = 1,
        convolutions: int = 2,
        downscale: Literal["stride", "space-to-depth", "haar", "none"] = "stride",
        slope: float = 0.1,
        bias: bool = False,
        anchor: bool = False,
        layer: Literal["plain", "edge", "repvgg", "asymmetric"] = "plain",
    ) -> None:
        if layer not in LAYERS:
            raise ValueError(f"layer must be one of {', '.join(LAYERS)}, not {layer!r}")
        if layer != "plain" and not bias:
            raise ValueError(f"layer = {layer}: such convolutions have biases; set bias = true")
        if downscale not in STEPS:
            raise ValueError(f"downscale must be one of {', '.join(STEPS)}, not {downscale!r}")
        step = STEPS[downscale]
        depth = blocks * convolutions + 1  # 3x3 convolutions at the inner resolution
        basis = BASES[downscale].repeat(3, 1).reshape(12, 1, 2, 2) if downscale in BASES else None
        super().__init__(scale, halo=step * (depth + 1) + (basis is not None), alignment=step)

        def convolution(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
            return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=bias)

        inner = convolution if layer == "plain" else LAYERS[layer]
        self.activation = nn.LeakyReLU(slope)
        self.basis: Tensor | None
        self.register_buffer("basis", basis, persistent=False)
        self.head = convolution(3, channels, step) if basis is None else convolution(12, channels)
        self.blocks = nn.ModuleList(
            nn.ModuleList([inner(channels, channels) for _ in range(convolutions)]) for _ in range(blocks)
        )
        self.tail = convolution(channels, 3 * (step * scale) ** 2)
        self.anchor = Anchor(scale, step) if anchor else None

    def upscale(self, lr: Tensor) -> Tensor:
        """See `Network.upscale`."""
        pixels = lr if self.basis is None else F.conv2d(lr, self.basis, stride=2, groups=3)  # (N, 12, H/2, W/2)
        features = self.activation(self.head(pixels))  # (N, channels, H/step, W/step)
        for block in self.blocks:
            skip = features
            for convolution in block:  # type: ignore[attr-defined]
                features = self.activation(convolution(features))
            features = features + skip
        subpixels = self.tail(features)  # (N, 3·(step·scale)², H/step, W/step)
        if self.anchor is not None:
            subpixels = subpixels + self.anchor(lr)
        return F.pixel_shuffle(subpixels, self.alignment * self.scale)


def _arguments(state: State) -> dict[str, Any]:
    return {"scale": shuffled_scale(state["tail.weight"]) // 2, "channels": state["head.weight"].shape[0]}


PUBLISHED = (Published("bicubicpp", {"conv0": "head", "conv{1}": "blocks.0.{}", "conv_out": "tail"}, _arguments),)
