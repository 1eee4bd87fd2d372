"""A loss against the grid that a last layer leaves which draws all sub-pixels of a place at once."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from upres.training.losses.base import Batch, Loss

__all__ = ["Grid"]

CELLS = 3


class Grid(Loss):
    """Mean absolute error of the sub-pixels' means over squares of 3x3 LR pixels, beside that of all sub-pixels there.

    An error that is as large at every sub-pixel of a place, and one that is random, leave nothing; a pattern that
    repeats with every LR pixel stays whole. Pixel losses suppress such patterns by themselves; perceptual and
    adversarial ones barely see them.
    """

    def prepare(self, network: nn.Module, side: int) -> None:
        """See `Loss.prepare`: patches must not be too small."""
        super().prepare(network, side)
        patch = side // int(network.scale)  # type: ignore[arg-type]
        if patch < CELLS:
            raise ValueError(f"needs LR patches of {CELLS} pixels or more, not {patch}")

    def forward(self, batch: Batch) -> Tensor:
        """See `Loss.forward`."""
        scale = batch.hr.shape[-1] // batch.lr.shape[-1]
        subpixels = F.pixel_unshuffle(batch.sr - batch.hr, scale)  # (N, 3·scale², H, W)
        means = F.avg_pool2d(subpixels, CELLS, stride=CELLS // 2)
        places = means.reshape(len(means), -1, scale**2, *means.shape[2:])
        return (places - places.mean(2, keepdim=True)).abs().mean()
