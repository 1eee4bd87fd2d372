"""FIMDN: faster IMDN via asymmetric convolution (AiriA_CG in Zhang et al., AIM at ECCV 2020, arXiv:2009.06943).

Six blocks of the AIM 2019 IMDN instead of eight, whose 3x3 convolutions train as 3x3, 1x3 and 3x1 in parallel:
cascaded asymmetric convolution blocks (CACB). Merged it has the 0.687 M parameters, 44.98 G multiply-adds, 118.49 M
activations and 33 convolutions of the report's table.
"""

from __future__ import annotations

from torch import nn

from upres.networks.blocks import convolution
from upres.networks.imdn import InformationMultiDistillationBlock
from upres.networks.longskip import LongSkipNetwork
from upres.networks.reparameterised import AsymmetricConvolution

__all__ = ["FIMDN"]


class FIMDN(LongSkipNetwork):
    """RGB (N, 3, H, W) in [0, 1] to (N, 3, scale·H, scale·W).

    Args:
        scale: the factor r between LR and SR.
        channels: feature channels; a quarter is split off at every step.
        blocks: cascaded asymmetric convolution blocks.
    """

    def __init__(self, scale: int = 4, channels: int = 64, blocks: int = 6) -> None:
        cascades = (InformationMultiDistillationBlock(channels, False, _layer) for _ in range(blocks))
        super().__init__(scale, channels, cascades, radius=4 * blocks)


def _layer(inputs: int, outputs: int, kernel: int = 3) -> nn.Module:
    return AsymmetricConvolution(inputs, outputs) if kernel == 3 else convolution(inputs, outputs, kernel)
