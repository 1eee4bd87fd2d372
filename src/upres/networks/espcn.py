"""ESPCN: real-time super-resolution by an efficient sub-pixel network (Shi et al., CVPR 2016, arXiv:1609.05158).

Three convolutions of LR luma; the last draws the r² sub-pixels of every pixel, which are then shuffled.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from upres.networks.blocks import PixelShuffler, convolution
from upres.networks.luma import LumaNetwork
from upres.networks.published import Published, State, channels_first, shuffled_scale

__all__ = ["ESPCN", "PUBLISHED"]

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"tanh": torch.tanh, "relu": F.relu}


class ESPCN(LumaNetwork):
    """RGB (N, 3, H, W) in [0, 1] to (N, 3, scale·H, scale·W); the network sees luma only.

    Args:
        scale: the factor r between LR and SR.
        channels: of the two layers of features.
        activation: between convolutions; the paper found tanh better than ReLU.
        bounded: the output goes through tanh, as in the TensorFlow port whose weights OpenCV uses.

    Raises:
        ValueError: for an unknown activation.
    """

    def __init__(
        self,
        scale: int = 3,
        channels: Sequence[int] = (64, 32),
        activation: Literal["tanh", "relu"] = "tanh",
        bounded: bool = False,
    ) -> None:
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, not {activation!r}")
        super().__init__(scale, halo=4)
        self.activation = ACTIVATIONS[activation]
        self.bounded = bounded
        self.first = convolution(1, channels[0], 5)
        self.second = convolution(channels[0], channels[1])
        self.upsampler = PixelShuffler(channels[1], scale, 1)

    def upscale_luma(self, luma: Tensor) -> Tensor:
        """See `LumaNetwork.upscale_luma`."""
        features = self.activation(self.second(self.activation(self.first(luma))))
        sr: Tensor = self.upsampler(features)
        return torch.tanh(sr) if self.bounded else sr


def _arguments(state: State) -> dict[str, Any]:
    return {
        "scale": shuffled_scale(state["upsampler.0.weight"], 1),
        "channels": [state["first.weight"].shape[0], state["second.weight"].shape[0]],
    }


PUBLISHED = (
    Published("espcn", {"first_part.0": "first", "first_part.2": "second", "last_part.0": "upsampler.0"}, _arguments),
    Published(
        "espcn",
        {
            "f1": "first.weight",
            "b1": "first.bias",
            "f2": "second.weight",
            "b2": "second.bias",
            "f3": "upsampler.0.weight",
            "b3": "upsampler.0.bias",
            "NCHW_output/perm": "",
        },
        lambda state: {**_arguments(state), "activation": "relu", "bounded": True},
        channels_first,
    ),
)
"""The port to PyTorch, and the one to TensorFlow whose weights OpenCV uses."""
