"""SPAN: swift parameter-free attention network (Wan et al., NTIRE at CVPR 2024, arXiv:2311.12770).

As it runs: what each 3x3 convolution is trained as is merged. Attention is a symmetric function of the features
themselves. Overall winner of NTIRE 2024, with 28 channels.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from upres.networks.base import Network
from upres.networks.blocks import DIV2K_MEAN, PixelShuffler, convolution
from upres.networks.published import Published, State, shuffled_scale

__all__ = ["PUBLISHED", "SPAN", "span_ntire2024", "span_s"]

BLOCKS = 6


class SwiftParameterFreeAttentionBlock(nn.Module):
    """SPAB: three convolutions, the input added, times an odd function of the third."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(convolution(channels, channels) for _ in range(3))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(N, channels, H, W) to the block's output and its first layer's, of the same shape."""
        first = F.silu(self.layers[0](features))
        last = self.layers[2](F.silu(self.layers[1](first)))
        return (features + last) * (torch.sigmoid(last) - 0.5), first


class SPAN(Network):
    """RGB (N, 3, H, W) in [0, 1] to (N, 3, scale·H, scale·W).

    The convolutions see 0 to 255, less the mean of DIV2K, and draw 0 to 1.

    Args:
        scale: the factor r between LR and SR.
        channels: feature channels.
    """

    def __init__(self, scale: int = 4, channels: int = 52) -> None:
        super().__init__(scale, halo=3 * BLOCKS + 3)
        self.head = convolution(3, channels)
        self.blocks = nn.ModuleList(SwiftParameterFreeAttentionBlock(channels) for _ in range(BLOCKS))
        self.end = convolution(channels, channels)
        self.fusion = convolution(4 * channels, channels, 1)
        self.upsampler = PixelShuffler(channels, scale)
        self.mean: Tensor
        self.register_buffer("mean", torch.tensor(DIV2K_MEAN).reshape(1, 3, 1, 1), persistent=False)

    def upscale(self, lr: Tensor) -> Tensor:
        """See `Network.upscale`."""
        shallow = self.head((lr - self.mean) * 255)  # (N, channels, H, W)
        features, outputs, inside = shallow, [], shallow
        for block in self.blocks:
            features, inside = block(features)
            outputs.append(features)
        parts = [shallow, self.end(features), outputs[0], inside]
        return self.upsampler(self.fusion(torch.cat(parts, dim=1)))  # type: ignore[no-any-return]


def span_s(scale: int = 4) -> SPAN:
    """SPAN-S: 48 channels."""
    return SPAN(scale, channels=48)


def span_ntire2024(scale: int = 4) -> SPAN:
    """The entry to NTIRE 2024: 28 channels."""
    return SPAN(scale, channels=28)


def _arguments(state: State) -> dict[str, Any]:
    return {"scale": shuffled_scale(state["upsampler.0.weight"]), "channels": state["head.weight"].shape[0]}


def _merge(state: State) -> State:
    """What training runs in place of one 3x3 convolution, folded: 1x1, 3x3 and 1x1, beside a 1x1."""
    merged = {name: tensor for name, tensor in state.items() if ".sk." not in name and ".conv." not in name}
    for layer in [name.removesuffix(".sk.weight") for name in state if name.endswith(".sk.weight")]:
        (w1, b1), (w2, b2), (w3, b3), (beside, bias) = (
            (state[f"{layer}.{part}.weight"], state[f"{layer}.{part}.bias"])
            for part in ("conv.0", "conv.1", "conv.2", "sk")
        )
        kernel = torch.einsum("on,nmyx,mi->oiyx", w3[..., 0, 0], w2, w1[..., 0, 0])
        merged[f"{layer}.eval_conv.weight"] = kernel + F.pad(beside, (1, 1, 1, 1))
        merged[f"{layer}.eval_conv.bias"] = w3[..., 0, 0] @ (w2.sum((2, 3)) @ b1 + b2) + b3 + bias
    return merged


PUBLISHED = (
    Published(
        "span",
        {
            "conv_1.eval_conv": "head",
            "block_{1}.c{1}_r.eval_conv": "blocks.{}.layers.{}",
            "conv_2.eval_conv": "end",
            "conv_cat": "fusion",
            "upsampler.0": "upsampler.0",
        },
        _arguments,
        _merge,
    ),
)
