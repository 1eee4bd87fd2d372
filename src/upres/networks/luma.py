"""What networks of papers that upscale luma only share: RGB in and out, colour by bicubic."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from upres.networks.base import Network
from upres.networks.blocks import Interpolation

__all__ = ["LumaNetwork"]

BICUBIC_HALO = 2
FULL_RANGE = ((0.299, 0.587, 0.114), 0.0)
STUDIO_RANGE = ((65.481 / 255, 128.553 / 255, 24.966 / 255), 16 / 255)


class LumaNetwork(Network):
    """RGB (N, 3, H, W) in [0, 1] to (N, 3, scale·H, scale·W); a subclass implements `upscale_luma`.

    Luma goes through the network, Cb and Cr are upscaled by bicubic (a = -0.5).

    Args:
        scale: the factor r between LR and SR.
        halo: of `upscale_luma`, in LR pixels.
        interpolated: `upscale_luma` takes luma that bicubic has upscaled already.
        studio_range: luma of BT.601 from 16/255 to 235/255, as MATLAB's ``rgb2ycbcr`` makes it; else from 0 to 1.
        others: scales that the weights serve as well.
    """

    def __init__(
        self,
        scale: int,
        halo: int,
        *,
        interpolated: bool = False,
        studio_range: bool = True,
        others: Sequence[int] = (),
    ) -> None:
        super().__init__(scale, halo=halo + BICUBIC_HALO if interpolated else max(halo, BICUBIC_HALO))
        self.interpolated = interpolated
        self.scales = tuple(sorted({scale, *others}))
        self.bicubic = nn.ModuleDict({str(factor): Interpolation(factor, "bicubic") for factor in self.scales})
        weights, self.black = STUDIO_RANGE if studio_range else FULL_RANGE
        self.white = self.black + sum(weights)
        self.luma_weights: Tensor
        self.register_buffer("luma_weights", torch.tensor(weights).reshape(1, 3, 1, 1), persistent=False)

    def upscale(self, lr: Tensor) -> Tensor:
        """See `Network.upscale`."""
        colour = self.bicubic[str(self.scale)](lr)
        change = self.upscale_luma(self.luma(colour if self.interpolated else lr)) - self.luma(colour)
        # With Cb and Cr as they are, a change of luma is the same change of red, green and blue.
        return colour + change / (self.white - self.black)  # type: ignore[no-any-return]

    def luma(self, rgb: Tensor) -> Tensor:
        """(N, 3, H, W) to (N, 1, H, W)."""
        return (rgb * self.luma_weights).sum(1, keepdim=True) + self.black

    def upscale_luma(self, luma: Tensor) -> Tensor:
        """The network proper: (N, 1, H, W), or (N, 1, scale·H, scale·W) if interpolated, to the latter."""
        raise NotImplementedError
