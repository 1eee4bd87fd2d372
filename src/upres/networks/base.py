"""What all networks share: any height and width in, exactly the scaled size out."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["Network", "Rgb8", "upscale_rgb8"]


class Network(nn.Module):
    """RGB (N, 3, H, W) in [0, 1] to (N, 3, scale·H, scale·W), for any H and W.

    A subclass implements `upscale` for sides that are multiples of its alignment and not below its minimum.

    Args:
        scale: the factor r between LR and SR.
        halo: LR pixels around an SR pixel's own LR pixel that influence it; None where
            all of the picture does.
        alignment: what both sides of the input of `upscale` are multiples of.
        minimum: what neither side of the input of `upscale` is below, a multiple of the alignment.
    """

    def __init__(self, scale: int, halo: int | None, alignment: int = 1, minimum: int = 1) -> None:
        super().__init__()
        self.scale = scale
        self.scales: tuple[int, ...] = (scale,)
        """Those that one set of weights serves: it upscales by any of them that `scale` is set to."""
        self.halo = halo
        self.alignment = alignment
        self.minimum = max(minimum, alignment)

    def initialise(self) -> None:
        """Draw the weights that training starts from as the paper does, where torch's own way is another."""

    def forward(self, lr: Tensor) -> Tensor:
        """Pad with zeros to the alignment and the minimum, upscale, crop."""
        height, width = lr.shape[-2:]
        below, beside = (max(-side % self.alignment, self.minimum - side) for side in (height, width))
        return self.upscale(F.pad(lr, (0, beside, 0, below)))[..., : height * self.scale, : width * self.scale]

    def upscale(self, lr: Tensor) -> Tensor:
        """The network proper, for aligned sides that are large enough."""
        raise NotImplementedError


class Rgb8(nn.Module):
    """A network from picture to picture as they lie in memory, on the network's device and in its precision.

    All of it runs on the device, so that it can be compiled or recorded as one graph.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, lr: Tensor) -> Tensor:
        """(H, W, 3) uint8 to (scale·H, scale·W, 3) uint8, rounded half to even and clamped, contiguous."""
        values = lr.permute(2, 0, 1)[None].to(next(self.network.parameters()).dtype) / 255
        sr: Tensor = self.network(values)[0].permute(1, 2, 0)
        return (sr.float().clamp(0, 1) * 255).round().byte().contiguous()


@torch.inference_mode()
def upscale_rgb8(network: nn.Module, lr: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Run a network over a whole image: (H, W, 3) uint8 in, (scale·H, scale·W, 3) uint8 out, rounded."""
    pixels = torch.tensor(lr, device=next(network.parameters()).device)
    return np.asarray(Rgb8(network)(pixels).cpu().numpy())
