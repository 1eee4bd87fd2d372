"""MAFFSRN: ultra lightweight image super-resolution with multi-attention layers (Muqeet et al., arXiv:2008.12912).

The network of MLVC in AIM 2020 (arXiv:2009.06943). Every block attends twice: to its pixels by what a pooling sees of a
large neighbourhood (ESA), and by a cheap pair of a 1x1 and a depthwise convolution (CEA).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from upres.networks.base import Network
from upres.networks.blocks import Interpolation, convolution
from upres.networks.reparameterised import WeightNormalisedConvolution

__all__ = ["MAFFSRN", "maffsrn_l"]


class MultiAttentionBlock(nn.Module):
    """MAB: two convolutions, weighed by enhanced spatial and by cost-efficient attention.

    Args:
        channels: of the features (N, channels, H, W), which keep their shape; H and W are at least `minimum`.
        reduction: how many times fewer channels the spatial attention has.
    """

    minimum = 13

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        inner = channels // reduction
        self.first = convolution(channels, channels)
        self.second = convolution(channels, channels)
        self.reduce = convolution(channels, inner, 1)
        self.stride = convolution(inner, inner, stride=2)
        self.near = convolution(inner, inner)
        self.far = nn.Conv2d(inner, inner, 3, padding=2, dilation=2)
        self.expand = convolution(inner, channels, 1)
        self.efficient = nn.Sequential(
            convolution(channels, channels, 1), convolution(channels, channels, 5, groups=channels)
        )
        self.activation = nn.LeakyReLU(0.05)
        self.rectify = nn.ReLU()

    def forward(self, features: Tensor) -> Tensor:
        """Convolve, then weigh."""
        features = self.second(self.activation(self.first(features)))
        reduced = self.reduce(features)
        pooled = F.max_pool2d(self.stride(reduced), kernel_size=7, stride=3)
        seen = self.activation(self.near(pooled)) + self.activation(self.far(pooled))
        spatial = self.expand(reduced + F.interpolate(seen, features.shape[-2:], mode="nearest"))
        return features * torch.sigmoid(self.rectify(spatial)) * torch.sigmoid(self.efficient(features))


class FeatureFusionGroup(nn.Module):
    """FFG: four blocks, fused one after the other, and the input added; both sides are scaled.

    (N, channels, H, W) to the same shape. The shuffle of channels in the paper comes before 1x1 convolutions, which
    need none.
    """

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(MultiAttentionBlock(channels, reduction) for _ in range(4))
        self.fusions = nn.ModuleList(WeightNormalisedConvolution(2 * channels, channels, 1) for _ in range(3))
        self.input_scale = nn.Parameter(torch.ones(1))
        self.output_scale = nn.Parameter(torch.ones(1))

    def forward(self, features: Tensor) -> Tensor:
        """Hierarchical fusion."""
        first, second, third, fourth = self.blocks
        outputs = [first(features)]
        for block in (second, third):
            outputs.append(outputs[-1] + block(outputs[-1]))
        outputs.append(fourth(outputs[-1]))
        fused = outputs[0]
        for fusion, output in zip(self.fusions, outputs[1:], strict=True):
            fused = fusion(torch.cat([fused, output], dim=1))
        return self.output_scale * fused + self.input_scale * features  # type: ignore[no-any-return]


class MAFFSRN(Network):
    """RGB (N, 3, H, W) in [0, 1] to (N, 3, scale·H, scale·W).

    Args:
        scale: the factor r between LR and SR.
        channels: feature channels.
        groups: feature fusion groups.
        reduction: how many times fewer channels the spatial attention has.
    """

    def __init__(self, scale: int = 4, channels: int = 32, groups: int = 4, reduction: int = 4) -> None:
        super().__init__(scale, halo=None, minimum=MultiAttentionBlock.minimum)
        self.head = WeightNormalisedConvolution(3, channels)
        self.groups = nn.Sequential(*(FeatureFusionGroup(channels, reduction) for _ in range(groups)))
        self.near = WeightNormalisedConvolution(channels, 3 * scale**2, 3)
        self.far = WeightNormalisedConvolution(channels, 3 * scale**2, 5)
        self.near_scale = nn.Parameter(torch.tensor(0.5))
        self.far_scale = nn.Parameter(torch.tensor(0.5))
        self.skip = Interpolation(scale, "bicubic")

    def upscale(self, lr: Tensor) -> Tensor:
        """See `Network.upscale`."""
        features = self.groups(self.head(lr))  # (N, channels, H, W)
        subpixels = self.near_scale * self.near(features) + self.far_scale * self.far(features)
        return F.pixel_shuffle(subpixels, self.scale) + self.skip(lr)  # type: ignore[no-any-return]


def maffsrn_l(scale: int = 4) -> MAFFSRN:
    """MAFFSRN-L, with twice as many groups."""
    return MAFFSRN(scale, groups=8)
