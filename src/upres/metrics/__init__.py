"""Metrics: arrays in, a number out, under conventions that are stated."""

from upres.metrics.fit_ma import fit_ma
from upres.metrics.ma import MaModel, ma
from upres.metrics.ma_features import MaFeatures, ma_features
from upres.metrics.psnr import luma, psnr

__all__ = ["MaFeatures", "MaModel", "fit_ma", "luma", "ma", "ma_features", "psnr"]
