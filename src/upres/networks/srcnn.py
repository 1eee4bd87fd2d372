"""SRCNN: image super-resolution using deep convolutional networks (Dong et al., TPAMI 2015, arXiv:1501.00092).

Three convolutions on luma that bicubic has upscaled: patch extraction, non-linear mapping, reconstruction.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from torch import Tensor, nn
from torch.nn import functional as F

from upres.networks.blocks import convolution, draw
from upres.networks.luma import LumaNetwork
from upres.networks.published import Published, State

__all__ = ["PUBLISHED", "SRCNN", "srcnn_955"]


class SRCNN(LumaNetwork):
    """RGB (N, 3, H, W) in [0, 1] to (N, 3, scale·H, scale·W); the network sees luma only.

    Args:
        scale: the factor r between LR and SR, which the weights have no part in.
        kernels: sides of the three kernels; 9-1-5 is the basic setting.
        channels: of the two layers of features.
    """

    def __init__(self, scale: int = 3, kernels: Sequence[int] = (9, 1, 5), channels: Sequence[int] = (64, 32)) -> None:
        radius = sum(kernel // 2 for kernel in kernels)
        super().__init__(scale, halo=-(-radius // scale), interpolated=True)
        self.extraction = convolution(1, channels[0], kernels[0])
        self.mapping = convolution(channels[0], channels[1], kernels[1])
        self.reconstruction = convolution(channels[1], 1, kernels[2])

    def initialise(self) -> None:
        """See `Network.initialise`: from a normal distribution of deviation 0.001 (section 4)."""
        draw(self, partial(nn.init.normal_, std=1e-3))

    def upscale_luma(self, luma: Tensor) -> Tensor:
        """See `LumaNetwork.upscale_luma`."""
        features = F.relu(self.mapping(F.relu(self.extraction(luma))))
        return self.reconstruction(features)  # type: ignore[no-any-return]


def srcnn_955(scale: int = 3) -> SRCNN:
    """The best of the paper (section 4.3.2): 9-5-5, 57,184 weights."""
    return SRCNN(scale, kernels=(9, 5, 5))


def _arguments(state: State) -> dict[str, Any]:
    layers = [state[f"{layer}.weight"] for layer in ("extraction", "mapping", "reconstruction")]
    return {
        "kernels": [weight.shape[-1] for weight in layers],
        "channels": [weight.shape[0] for weight in layers[:2]],
    }


PUBLISHED = (Published("srcnn", {"conv1": "extraction", "conv2": "mapping", "conv3": "reconstruction"}, _arguments),)
"""As all ports to PyTorch name the layers; the authors' own are MATLAB's."""
