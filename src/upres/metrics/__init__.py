"""Metrics: arrays in, a number out, under conventions that are stated."""

from upres.metrics.niqe import NiqeModel, fit_niqe, niqe
from upres.metrics.psnr import luma, psnr, rmse
from upres.metrics.ssim import ssim

__all__ = ["NiqeModel", "fit_niqe", "luma", "niqe", "psnr", "rmse", "ssim"]
