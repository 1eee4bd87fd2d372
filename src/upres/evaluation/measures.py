"""What `upres eval` can measure: a function a measure, one line each in `MEASURES`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from upres.errors import MissingExtra, UpresError
from upres.evaluation.fetch import fetched
from upres.metrics import PIRM_SHAVE, MaModel, NiqeModel, ma, niqe, perceptual_index, pirm_luma, psnr, rmse, ssim
from upres.metrics.psnr import shaved

__all__ = ["MEASURES", "Measure", "Models", "Settings", "rmse_and_pi"]


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
class Models:
    """What NIQE, Ma's metric and PI rest on, read when it is asked for."""

    niqe_source: str = "own"
    """``own`` comes with upres; ``published`` was fetched; or a file."""
    ma_source: str = "published"
    """``published`` was fetched; or a file."""

    @cached_property
    def niqe(self) -> NiqeModel:
        """The pristine model."""
        if self.niqe_source == "own":
            return NiqeModel.own()
        return NiqeModel.load(_file(self.niqe_source, "niqe"))

    @cached_property
    def ma(self) -> MaModel:
        """The regression forests."""
        return MaModel.load(_file(self.ma_source, "ma"))

    @property
    def told(self) -> str:
        """Where the pristine model is from, for conventions."""
        return f"pristine model: {'that of upres' if self.niqe_source == 'own' else self.niqe_source}"


@dataclass(frozen=True)
class Settings:
    """What measures depend on."""

    scale: int
    """Also the number of pixels shaved, where the measure does not say otherwise."""
    round_luma: bool = False
    """PSNR and SSIM on Y rounded to whole numbers, as MATLAB's ``rgb2ycbcr`` gives it for uint8."""
    models: Models = Models()  # it is frozen


def _on_luma(title: str, unit: str, digits: int, metric: Callable[..., float]) -> Callable[[Settings], Measure]:
    def make(settings: Settings) -> Measure:
        options = {"shave": settings.scale, "round_luma": settings.round_luma}
        return Measure(title, unit + _on_y(settings), "higher", digits, partial(metric, **options))

    return make


def _on_rgb(title: str, convention: str, digits: int, metric: Callable[..., float]) -> Callable[[Settings], Measure]:
    def make(settings: Settings) -> Measure:
        told = f"{convention}, {settings.scale} pixels shaved"
        return Measure(title, told, "higher", digits, partial(metric, shave=settings.scale, on="rgb"))

    return make


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
    model = settings.models.niqe
    return Measure(
        "NIQE",
        f"on rounded Y, {settings.scale} pixels shaved, {settings.models.told}",
        "lower",
        3,
        lambda sr, _: niqe(sr, shave=settings.scale, model=model),
    )


def _ma(settings: Settings) -> Measure:
    model = settings.models.ma
    return Measure(
        "Ma",
        f"on rounded Y, {PIRM_SHAVE} pixels shaved (PIRM 2018), forests: {settings.models.ma_source}",
        "higher",
        3,
        lambda sr, _: ma(pirm_luma(sr), model),
    )


def _pi(settings: Settings) -> Measure:
    forests, pristine = settings.models.ma, settings.models.niqe
    return Measure(
        "PI",
        f"((10 - Ma) + NIQE) / 2, on rounded Y, {PIRM_SHAVE} pixels shaved (PIRM 2018), "
        f"forests: {settings.models.ma_source}, {settings.models.told}",
        "lower",
        3,
        lambda sr, _: perceptual_index(sr, forests, pristine),
    )


def _lpips(settings: Settings) -> Measure:
    try:
        import lpips
        import torch
    except ImportError:
        raise MissingExtra("LPIPS", "lpips") from None
    try:
        distance = lpips.LPIPS(net="alex", verbose=False).eval()
    except OSError as error:
        raise UpresError(f"LPIPS fetches the weights of AlexNet, which failed: {error}") from None

    def tensor(image: NDArray[np.uint8]) -> torch.Tensor:
        return torch.tensor(shaved(image, settings.scale)).permute(2, 0, 1)[None].float() / 127.5 - 1

    def compute(sr: NDArray[np.uint8], hr: NDArray[np.uint8]) -> float:
        try:
            with torch.inference_mode():
                return float(distance(tensor(sr), tensor(hr)))
        except RuntimeError:
            raise ValueError(f"AlexNet, which LPIPS is made by, cannot take {hr.shape[1]}x{hr.shape[0]}") from None

    return Measure("LPIPS", f"AlexNet, version 0.1, on RGB, {settings.scale} pixels shaved", "lower", 4, compute)


MEASURES: dict[str, Callable[[Settings], Measure]] = {
    "psnr_y": _on_luma("PSNR", "dB, ", 2, psnr),
    "ssim_y": _on_luma("SSIM", "", 4, ssim),
    "psnr_rgb": _on_rgb("PSNR RGB", "dB, on RGB", 2, psnr),
    "ssim_rgb": _on_rgb("SSIM RGB", "mean of the channels", 4, ssim),
    "rmse": _rmse,
    "niqe": _niqe,
    "ma": _ma,
    "pi": _pi,
    "lpips": _lpips,
}


def rmse_and_pi(models: Models) -> Callable[[NDArray[np.uint8], NDArray[np.uint8]], tuple[float, float]]:
    """What PIRM 2018 and ASC 2019 measure of an SR and its HR picture, both (H, W, 3) uint8."""
    settings = Settings(PIRM_SHAVE, models=models)
    error, index = _rmse(settings).compute, _pi(settings).compute
    return lambda sr, hr: (error(sr, hr), index(sr, hr))


def _on_y(settings: Settings) -> str:
    rounded = "rounded" if settings.round_luma else "not rounded"
    return f"on Y (BT.601, {rounded}), {settings.scale} pixels shaved"


def _file(source: str, metric: str) -> Path:
    return fetched(metric) if source == "published" else Path(source)
