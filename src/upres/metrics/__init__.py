"""Metrics: arrays in, a number out, under conventions that are stated."""

from upres.metrics.ma import MaModel, ma
from upres.metrics.ma_features import MaFeatures, ma_features
from upres.metrics.niqe import NiqeModel, fit_niqe, niqe
from upres.metrics.perceptual_index import PIRM_SHAVE, perceptual_index, pirm_luma
from upres.metrics.psnr import luma, psnr, rgb2gray, rmse
from upres.metrics.ssim import ssim

__all__ = [
    "PIRM_SHAVE",
    "MaFeatures",
    "MaModel",
    "NiqeModel",
    "fit_niqe",
    "luma",
    "ma",
    "ma_features",
    "niqe",
    "perceptual_index",
    "pirm_luma",
    "psnr",
    "rgb2gray",
    "rmse",
    "ssim",
]
