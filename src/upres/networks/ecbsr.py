"""ECBSR: edge-oriented convolution block for real-time super resolution on mobile devices (Zhang et al., ACM MM 2021).

A plain chain of convolutions and PReLU whose output is added to every sub-pixel's nearest LR pixel. What makes it good
is how the convolutions train (section 3.2); the paper compares that with other re-parameterised ones.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from upres.networks.luma import LumaNetwork
from upres.networks.reparameterised import LAYERS

__all__ = ["ECBSR"]


class ECBSR(LumaNetwork):
    """RGB (N, 3, H, W) in [0, 1] to (N, 3, scale·H, scale·W); the network sees luma only.

    Args:
        scale: the factor r between LR and SR.
        channels: feature channels C; the paper's are 8, 16, 32 and 64.
        blocks: convolutions M between the first and the last; the paper's are 4, 4 or 10, 10 and 16.
        layer: what the convolutions train as: ``edge``, the paper's ECB; ``repvgg``; ``asymmetric``; or ``plain``.

    Raises:
        ValueError: for an unknown ``layer``.
    """

    def __init__(
        self,
        scale: int = 4,
        channels: int = 16,
        blocks: int = 4,
        layer: Literal["edge", "repvgg", "asymmetric", "plain"] = "edge",
    ) -> None:
        if layer not in LAYERS:
            raise ValueError(f"layer must be one of {', '.join(LAYERS)}, not {layer!r}")
        super().__init__(scale, halo=blocks + 2)
        body: list[nn.Module] = []
        for inputs, outputs in pairwise([1, *[channels] * (blocks + 1)]):
            body += [LAYERS[layer](inputs, outputs), nn.PReLU(channels)]
        self.body = nn.Sequential(*body)
        self.tail = LAYERS[layer](channels, scale**2)

    def upscale_luma(self, luma: Tensor) -> Tensor:
        """See `LumaNetwork.upscale_luma`."""
        return F.pixel_shuffle(self.tail(self.body(luma)) + luma, self.scale)
