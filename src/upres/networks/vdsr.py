"""VDSR: accurate super-resolution using very deep convolutional networks (Kim et al., CVPR 2016, arXiv:1511.04587).

Twenty 3x3 convolutions draw what bicubic's luma lacks; one set of weights serves all scales.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from upres.networks.blocks import convolution, draw
from upres.networks.luma import LumaNetwork
from upres.networks.published import Published, State, length

__all__ = ["PUBLISHED", "VDSR"]


class VDSR(LumaNetwork):
    """RGB (N, 3, H, W) in [0, 1] to (N, 3, scale·H, scale·W); the network sees luma only.

    Args:
        scale: the factor r between LR and SR, which the weights have no part in.
        channels: feature channels.
        depth: convolutions.
        bias: of the convolutions; the authors' model has biases, the port to PyTorch none.
    """

    def __init__(self, scale: int = 2, channels: int = 64, depth: int = 20, bias: bool = True) -> None:
        super().__init__(scale, halo=-(-depth // scale), interpolated=True, others=(2, 3, 4))
        self.head = convolution(1, channels, bias=bias)
        self.body = nn.ModuleList(convolution(channels, channels, bias=bias) for _ in range(depth - 2))
        self.tail = convolution(channels, 1, bias=bias)

    def initialise(self) -> None:
        """See `Network.initialise`: as He et al. (section 5.2)."""
        draw(self, nn.init.kaiming_normal_)

    def upscale_luma(self, luma: Tensor) -> Tensor:
        """See `LumaNetwork.upscale_luma`."""
        features = F.relu(self.head(luma))
        for layer in self.body:
            features = F.relu(layer(features))
        return luma + self.tail(features)  # type: ignore[no-any-return]


def _arguments(state: State) -> dict[str, Any]:
    return {
        "channels": state["head.weight"].shape[0],
        "depth": length(state, "body") + 2,
        "bias": "head.bias" in state,
    }


PUBLISHED = (Published("vdsr", {"input": "head", "residual_layer.{0}.conv": "body.{}", "output": "tail"}, _arguments),)
