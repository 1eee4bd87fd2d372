"""Metrics: arrays in, a number out, under conventions that are stated."""

from upres.metrics.psnr import luma, psnr

__all__ = ["luma", "psnr"]
