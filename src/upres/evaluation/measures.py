"""What `upres eval` can measure: a function a measure, one line each in `MEASURES`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from upres.errors import MissingExtra
from upres.metrics import NiqeModel, niqe, psnr, rmse, ssim

__all__ = ["MEASURES", "Measure", "Settings"]

PIRM_SHAVE = 4


@dataclass(frozen=True)
class Measure:
    """A number about an SR image, with the convention that it is made by."""

    title: str
    convention: str
    better: Literal["higher", "lower"]
    digits: int
    """After the decimal point, as papers print it."""
    compute: Callable[[NDArray[np.uint8], NDArray[np.uint8]], float]
    """Of SR and HR, both (H, W, 3) uint8."""
    squared: bool = False
    """The mean over images is the root of the mean of the squares, as PIRM 2018 has it."""

    def mean(self, values: Sequence[float]) -> float:
        """Over the images of a set."""
        return float(np.sqrt(np.mean(np.square(values))) if self.squared else np.mean(values))


@dataclass(frozen=True)
class Settings:
    """What measures depend on."""

    scale: int
    """Also the number of pixels shaved, where the measure does not say otherwise."""
    round_luma: bool = False
    """PSNR and SSIM on Y rounded to whole numbers, as MATLAB's ``rgb2ycbcr`` gives it for uint8."""
    niqe_model: NiqeModel = field(default_factory=NiqeModel.own)
    niqe_name: str = "upres's own"
    """Where the NIQE model is from."""


def _psnr_y(settings: Settings) -> Measure:
    return Measure(
        "PSNR",
        f"dB, {_on_y(settings)}",
        "higher",
        2,
        lambda sr, hr: psnr(sr, hr, shave=settings.scale, round_luma=settings.round_luma),
    )


def _ssim_y(settings: Settings) -> Measure:
    return Measure(
        "SSIM",
        f"{_on_y(settings)}",
        "higher",
        4,
        lambda sr, hr: ssim(sr, hr, shave=settings.scale, round_luma=settings.round_luma),
    )


def _psnr_rgb(settings: Settings) -> Measure:
    return Measure(
        "PSNR RGB",
        f"dB, on RGB, {settings.scale} pixels shaved",
        "higher",
        2,
        lambda sr, hr: psnr(sr, hr, shave=settings.scale, on="rgb"),
    )


def _ssim_rgb(settings: Settings) -> Measure:
    return Measure(
        "SSIM RGB",
        f"mean of the channels, {settings.scale} pixels shaved",
        "higher",
        4,
        lambda sr, hr: ssim(sr, hr, shave=settings.scale, on="rgb"),
    )


def _rmse(_: Settings) -> Measure:
    return Measure(
        "RMSE",
        f"levels, on rounded Y, {PIRM_SHAVE} pixels shaved, over images the root of the mean of squares (PIRM 2018)",
        "lower",
        2,
        lambda sr, hr: rmse(sr, hr, shave=PIRM_SHAVE, round_luma=True),
        squared=True,
    )


def _niqe(settings: Settings) -> Measure:
    return Measure(
        "NIQE",
        f"on rounded Y, {settings.scale} pixels shaved, pristine model: {settings.niqe_name}",
        "lower",
        3,
        lambda sr, _: niqe(sr, shave=settings.scale, model=settings.niqe_model),
    )


def _lpips(settings: Settings) -> Measure:
    try:
        import lpips
        import torch
    except ImportError:
        raise MissingExtra("LPIPS", "lpips") from None
    distance = lpips.LPIPS(net="alex", verbose=False).eval()

    def tensor(image: NDArray[np.uint8]) -> torch.Tensor:
        inside = image[settings.scale : -settings.scale, settings.scale : -settings.scale]
        return torch.tensor(inside).permute(2, 0, 1)[None].float() / 127.5 - 1

    def compute(sr: NDArray[np.uint8], hr: NDArray[np.uint8]) -> float:
        with torch.inference_mode():
            return float(distance(tensor(sr), tensor(hr)))

    return Measure("LPIPS", f"AlexNet, version 0.1, on RGB, {settings.scale} pixels shaved", "lower", 4, compute)


MEASURES: dict[str, Callable[[Settings], Measure]] = {
    "psnr_y": _psnr_y,
    "ssim_y": _ssim_y,
    "psnr_rgb": _psnr_rgb,
    "ssim_rgb": _ssim_rgb,
    "rmse": _rmse,
    "niqe": _niqe,
    "lpips": _lpips,
}


def _on_y(settings: Settings) -> str:
    rounded = "rounded" if settings.round_luma else "not rounded"
    return f"on Y (BT.601, {rounded}), {settings.scale} pixels shaved"
