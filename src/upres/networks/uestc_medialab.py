"""UESTC-MediaLab's IMDN whose layers are cheap but train richly (Zhang et al., AIM at ECCV 2020, arXiv:2009.06943).

Every 3x3 convolution of an IMDN block is a group convolution, PReLU and a 1x1 convolution; the skips around blocks are
adaptive; and every kernel trains as a sum of kernel bases. The report does not say all sizes; with those chosen here
the merged network has 0.458 M parameters, 29.92 G multiply-adds and 57 convolutions, the report's 0.461 M, 30.06 G
and 57.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from upres.networks.imdn import InformationMultiDistillationBlock
from upres.networks.longskip import LongSkipNetwork
from upres.networks.reparameterised import KernelBases

__all__ = ["UESTCMediaLab"]


class AdaptiveSkip(nn.Module):
    """A module's output plus the input in shares that are learnt for each channel: (N, channels, H, W) to the same."""

    def __init__(self, channels: int, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.shares = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, features: Tensor) -> Tensor:
        """Run and add."""
        return self.module(features) + self.shares * features  # type: ignore[no-any-return]


class UESTCMediaLab(LongSkipNetwork):
    """RGB (N, 3, H, W) in [0, 1] to (N, 3, scale·H, scale·W).

    Args:
        scale: the factor r between LR and SR.
        channels: feature channels; a quarter is split off at every step.
        blocks: information multi-distillation blocks.
        groups: of the 3x3 convolutions.
        bases: kernels whose sum a kernel trains as.
    """

    def __init__(self, scale: int = 4, channels: int = 64, blocks: int = 6, groups: int = 2, bases: int = 4) -> None:
        def plain(inputs: int, outputs: int, kernel: int = 3) -> nn.Module:
            return KernelBases(inputs, outputs, kernel, bases=bases)

        def layer(inputs: int, outputs: int, kernel: int = 3) -> nn.Module:
            if kernel == 1:
                return plain(inputs, outputs, 1)
            grouped = KernelBases(inputs, inputs, bases=bases, groups=groups)
            return nn.Sequential(grouped, nn.PReLU(), plain(inputs, outputs, 1))

        adaptive = (
            AdaptiveSkip(channels, InformationMultiDistillationBlock(channels, False, layer)) for _ in range(blocks)
        )
        super().__init__(scale, channels, adaptive, radius=4 * blocks, layer=plain)

    @torch.no_grad()
    def initialise(self) -> None:
        """See `Network.initialise`: N bases of Xavier's uniform distribution, each with a share of 1/N."""
        for layer in self.modules():
            if isinstance(layer, KernelBases):
                for base in layer.weight:
                    nn.init.xavier_uniform_(base).div_(len(layer.weight))
