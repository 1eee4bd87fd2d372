"""What IMDN and the networks of AIM 2020 that follow it share: everything but the blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from torch import Tensor, nn

from upres.networks.base import Network
from upres.networks.blocks import convolution

__all__ = ["LongSkipNetwork"]


class LongSkipNetwork(Network):
    """RGB (N, 3, H, W) in [0, 1] to (N, 3, scale·H, scale·W): a convolution, blocks that a skip goes around, and
    a convolution to sub-pixels.

    Args:
        scale: the factor r between LR and SR.
        channels: feature channels.
        blocks: from (N, channels, H, W) to the same shape, one after the other.
        radius: how many pixels away all blocks together see; None where they see all of the picture.
        layer: makes the three convolutions, of the numbers of input and output channels and the kernel's side.
        end_kernel: side of the kernel of the convolution before the skip ends.
    """

    def __init__(
        self,
        scale: int,
        channels: int,
        blocks: Iterable[nn.Module],
        radius: int | None,
        layer: Callable[[int, int, int], nn.Module] = convolution,
        end_kernel: int = 3,
    ) -> None:
        super().__init__(scale, halo=None if radius is None else radius + 2 + end_kernel // 2)
        self.head = layer(3, channels, 3)
        self.blocks = nn.Sequential(*blocks)
        self.end = layer(channels, channels, end_kernel)
        self.upsampler = nn.Sequential(layer(channels, 3 * scale**2, 3), nn.PixelShuffle(scale))

    def upscale(self, lr: Tensor) -> Tensor:
        """See `Network.upscale`."""
        shallow = self.head(lr)  # (N, channels, H, W)
        return self.upsampler(shallow + self.end(self.deep(shallow)))  # type: ignore[no-any-return]

    def deep(self, shallow: Tensor) -> Tensor:
        """What the blocks make of the first convolution's features."""
        return self.blocks(shallow)  # type: ignore[no-any-return]
