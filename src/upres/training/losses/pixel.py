"""Losses on the pixels: (SR, HR) batches, RGB (N, 3, H, W) in [0, 1], in; a scalar out."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

__all__ = ["charbonnier", "fft", "l1", "l2", "luma", "luma_l1", "luma_l2", "ssim", "total_variation"]

SSIM_SIDE, SSIM_SIGMA = 11, 1.5
SSIM_C1, SSIM_C2 = 0.01**2, 0.03**2  # for values in [0, 1]


def l1(sr: Tensor, hr: Tensor) -> Tensor:
    """Mean absolute error."""
    return (sr - hr).abs().mean()


def l2(sr: Tensor, hr: Tensor) -> Tensor:
    """Mean squared error."""
    return (sr - hr).square().mean()


def charbonnier(sr: Tensor, hr: Tensor, *, epsilon: float = 1e-3) -> Tensor:
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


def total_variation(sr: Tensor, hr: Tensor, *, squared: bool = False) -> Tensor:  # noqa: ARG001  # a loss of SR alone
    """Mean absolute difference of SR's neighbours, down and across (Rudin, Osher, Fatemi 1992, anisotropic).

    Args:
        sr: what is to be smooth.
        hr: not looked at.
        squared: the mean square instead, as Johnson et al. (ECCV 2016) have it in their code.
    """
    power = 2 if squared else 1
    return sr.diff(dim=2).abs().pow(power).mean() + sr.diff(dim=3).abs().pow(power).mean()


def ssim(sr: Tensor, hr: Tensor, *, on: Literal["rgb", "y"] = "rgb") -> Tensor:
    """One minus the structural similarity that `upres.metrics.ssim` measures, without rounding.

    Wang et al. 2004, equation 13, over the windows that lie inside the image.

    Args:
        sr: at least 11 pixels high and wide.
        hr: of the same shape.
        on: all channels, or the luma in BT.601's studio range.

    Raises:
        ValueError: if the images are smaller than a window.
    """
    if min(sr.shape[2:]) < SSIM_SIDE:
        raise ValueError(f"SSIM needs HR patches of {SSIM_SIDE} pixels or more, not {min(sr.shape[2:])}")
    x, y = (16 / 255 + 219 / 255 * luma(image)[:, None] if on == "y" else image for image in (sr, hr))
    mean_x, mean_y, mean_xy, mean_squares = (_gaussian_means(plane) for plane in (x, y, x * y, x**2 + y**2))
    product, squares = mean_x * mean_y, mean_x**2 + mean_y**2
    covariance, variances = mean_xy - product, mean_squares - squares
    numerator = (2 * product + SSIM_C1) * (2 * covariance + SSIM_C2)
    return 1 - (numerator / ((squares + SSIM_C1) * (variances + SSIM_C2))).mean()


def _gaussian_means(planes: Tensor) -> Tensor:
    distance = torch.arange(SSIM_SIDE, dtype=planes.dtype, device=planes.device) - SSIM_SIDE // 2
    weights = torch.softmax(-(distance**2) / (2 * SSIM_SIGMA**2), 0)
    flat = planes.flatten(0, 1)[:, None]
    return F.conv2d(F.conv2d(flat, weights[None, None, :, None]), weights[None, None, None, :])


def fft(sr: Tensor, hr: Tensor) -> Tensor:
    """Mean absolute difference of the Fourier transforms' real and imaginary parts.

    Cho et al., MIMO-UNet, ICCV 2021, equation 8, at one resolution. The transform is not normalised: its values, and
    this loss, grow with the root of the patch's area or faster.
    """
    return torch.view_as_real(torch.fft.fft2(sr - hr)).abs().mean()
