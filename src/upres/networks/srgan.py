"""The discriminator of SRGAN (Ledig et al., CVPR 2017, arXiv:1609.04802, section 2.1 and figure 4).

The generator is `upres.networks.srresnet.SRResNet`.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn

from upres.networks.blocks import convolution

__all__ = ["Discriminator"]


class Discriminator(nn.Module):
    """How likely a picture is a natural one rather than a generator's: RGB (N, 3, side, side) in [0, 1] to (N, 1).

    Eight 3x3 convolutions, of which every second halves the resolution and every second doubles the channels, and two
    dense layers.

    Args:
        side: height and width of the pictures, a multiple of 16; the paper's are 96.
        channels: of the first convolution's output.
        hidden: outputs of the first dense layer.

    Raises:
        ValueError: if the side is not a multiple of 16.
    """

    def __init__(self, side: int = 96, channels: int = 64, hidden: int = 1024) -> None:
        if side < 16 or side % 16:
            raise ValueError(f"side must be a multiple of 16, not {side}")
        super().__init__()
        layers: list[nn.Module] = [convolution(3, channels), nn.LeakyReLU(0.2)]
        widths = [channels * factor for factor in (1, 1, 2, 2, 4, 4, 8, 8)]
        for place, (inputs, outputs) in enumerate(pairwise(widths)):
            stride = 2 if place % 2 == 0 else 1
            layers += [
                convolution(inputs, outputs, stride=stride, bias=False),
                nn.BatchNorm2d(outputs),
                nn.LeakyReLU(0.2),
            ]
        self.convolutions = nn.Sequential(*layers)
        self.dense = nn.Sequential(
            nn.Flatten(),
            nn.Linear(widths[-1] * (side // 16) ** 2, hidden),
            nn.LeakyReLU(0.2),
            nn.Linear(hidden, 1),
        )

    def logits(self, pictures: Tensor) -> Tensor:
        """What the sigmoid is taken of, for losses that need it: (N, 1), any value."""
        return self.dense(self.convolutions(pictures))  # type: ignore[no-any-return]

    def forward(self, pictures: Tensor) -> Tensor:
        """Probabilities (N, 1)."""
        return torch.sigmoid(self.logits(pictures))
