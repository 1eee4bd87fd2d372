"""Zhang9678's residual blocks that recurse through an LSTM (Zhang et al., AIM at ECCV 2020, arXiv:2009.06943).

The convolutional LSTM is that of Shi et al. (arXiv:1506.04214, equation 3, without peepholes). The report does not say
all sizes; those here are chosen.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from upres.networks.blocks import convolution
from upres.networks.longskip import LongSkipNetwork
from upres.networks.msrresnet import ResidualBlock

__all__ = ["Zhang9678"]


class ConvolutionalLSTM(nn.Module):
    """One step: input, hidden state and cell, (N, channels, H, W) each, to the next hidden state and cell."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gates = convolution(2 * channels, 4 * channels)

    def forward(self, features: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Forget, learn, tell."""
        forget, learn, tell, content = self.gates(torch.cat([features, hidden], dim=1)).chunk(4, dim=1)
        cell = torch.sigmoid(forget) * cell + torch.sigmoid(learn) * torch.tanh(content)
        return torch.sigmoid(tell) * torch.tanh(cell), cell


class Zhang9678(LongSkipNetwork):
    """RGB (N, 3, H, W) in [0, 1] to (N, 3, scale·H, scale·W).

    Args:
        scale: the factor r between LR and SR.
        channels: feature channels.
        blocks: residual blocks of MSRResNet, which run before the LSTM.
        recursions: how often all of this runs, with the same weights.
    """

    def __init__(self, scale: int = 4, channels: int = 64, blocks: int = 4, recursions: int = 3) -> None:
        residual = (ResidualBlock(channels) for _ in range(blocks))
        super().__init__(scale, channels, residual, radius=(2 * blocks + 1) * recursions)
        self.lstm = ConvolutionalLSTM(channels)
        self.recursions = recursions

    def deep(self, shallow: Tensor) -> Tensor:
        """See `LongSkipNetwork.deep`."""
        hidden, cell = shallow, torch.zeros_like(shallow)
        for _ in range(self.recursions):
            hidden, cell = self.lstm(super().deep(hidden), hidden, cell)
        return hidden
