"""Losses: (SR, HR) batches, NCHW in [0, 1], in; a scalar out."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

__all__ = ["LOSSES", "charbonnier", "l1", "l2", "luma", "luma_l1", "luma_l2"]

Loss = Callable[[Tensor, Tensor], Tensor]


def l1(sr: Tensor, hr: Tensor) -> Tensor:
    """Mean absolute error."""
    return (sr - hr).abs().mean()


def l2(sr: Tensor, hr: Tensor) -> Tensor:
    """Mean squared error."""
    return (sr - hr).square().mean()


def charbonnier(sr: Tensor, hr: Tensor, epsilon: float = 1e-3) -> Tensor:
    """Mean of sqrt(d² + ε²), L1 smoothed at 0 (Lai et al., LapSRN, CVPR 2017, section 3.3)."""
    return ((sr - hr).square() + epsilon**2).sqrt().mean()


def luma(difference: Tensor) -> Tensor:
    """(N, 3, H, W) RGB to (N, H, W) luma of ITU-R BT.601, the channel on which PSNR is reported."""
    weights = torch.tensor([0.299, 0.587, 0.114], dtype=difference.dtype, device=difference.device)
    return torch.einsum("nchw,c->nhw", difference, weights)


def luma_l1(sr: Tensor, hr: Tensor) -> Tensor:
    """Mean absolute error of the luma."""
    return luma(sr - hr).abs().mean()


def luma_l2(sr: Tensor, hr: Tensor) -> Tensor:
    """Mean squared error of the luma."""
    return luma(sr - hr).square().mean()


LOSSES: dict[str, Loss] = {
    "l1": l1,
    "l2": l2,
    "charbonnier": charbonnier,
    "luma_l1": luma_l1,
    "luma_l2": luma_l2,
}
