"""404NotFound's residual blocks of Ghost convolutions (Zhang et al., AIM at ECCV 2020, arXiv:2009.06943).

A Ghost convolution (Han et al., GhostNet, CVPR 2020, arXiv:1911.11907, section 3.1) computes half of its channels and
derives the other half from them, each from one. Kernels are 1x3, or 3x1 where a second one would only look sideways
again. The report does not say all sizes; those here are chosen.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from upres.networks.longskip import LongSkipNetwork

__all__ = ["NotFound404"]


class GhostConvolution(nn.Module):
    """(N, channels, H, W) to the same shape.

    Args:
        channels: an even number.
        kernel: height and width of both convolutions' kernels.
    """

    def __init__(self, channels: int, kernel: tuple[int, int]) -> None:
        super().__init__()
        half, padding = channels // 2, (kernel[0] // 2, kernel[1] // 2)
        self.primary = nn.Conv2d(channels, half, kernel, padding=padding)
        self.cheap = nn.Conv2d(half, half, kernel, padding=padding, groups=half)

    def forward(self, features: Tensor) -> Tensor:
        """Compute, derive, concatenate."""
        computed = self.primary(features)
        return torch.cat([computed, self.cheap(computed)], dim=1)


class GhostBlock(nn.Module):
    """Two Ghost convolutions, along rows and along columns, with ReLU between, and the input added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.rows = GhostConvolution(channels, (1, 3))
        self.columns = GhostConvolution(channels, (3, 1))

    def forward(self, features: Tensor) -> Tensor:
        """(N, channels, H, W) to the same shape."""
        return features + self.columns(F.relu(self.rows(features)))  # type: ignore[no-any-return]


class NotFound404(LongSkipNetwork):
    """RGB (N, 3, H, W) in [0, 1] to (N, 3, scale·H, scale·W).

    Args:
        scale: the factor r between LR and SR.
        channels: feature channels, an even number.
        blocks: residual blocks of two Ghost convolutions.
    """

    def __init__(self, scale: int = 4, channels: int = 64, blocks: int = 22) -> None:
        super().__init__(scale, channels, (GhostBlock(channels) for _ in range(blocks)), radius=2 * blocks)
