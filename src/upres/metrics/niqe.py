"""NIQE: how far the statistics of an image are from those of pristine photographs."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from upres.errors import ModelError
from upres.images.resize import resize
from upres.metrics.arrays import save_arrays
from upres.metrics.psnr import check_bytes, luma, rgb2gray, shaved
from upres.metrics.windows import gaussian_means

__all__ = ["NiqeModel", "fit_aggd", "fit_niqe", "niqe", "niqe_features"]

Grey = Literal["luma", "rgb2gray"]
BLOCK = 96
SIDE, SIGMA = 7, 7 / 6
ROUNDING = 1e-6
NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))
SHARP = 0.75  # of the sharpest block's sharpness; what the authors fit the pristine model to


@dataclass(frozen=True)
class NiqeModel:
    """The multivariate Gaussian of pristine photographs' features."""

    mean: NDArray[np.float64]
    """(36,)."""
    covariance: NDArray[np.float64]
    """(36, 36)."""

    def __post_init__(self) -> None:
        if not (np.isfinite(self.mean).all() and np.isfinite(self.covariance).all()):
            raise ValueError("a pristine model holds finite numbers only")

    @classmethod
    def load(cls, path: Path) -> NiqeModel:
        """Read an ``.npz`` of `save`, or the published parameters in the form that BasicSR gives them.

        Raises:
            OSError: if the file cannot be opened.
            ModelError: if it is neither.
        """
        names = (("mean", "covariance"), ("mu_pris_param", "cov_pris_param"), ("mu_prisparam", "cov_prisparam"))
        with path.open("rb") as stream:
            try:
                file = np.load(stream, allow_pickle=False)
                mean, covariance = next(pair for pair in names if pair[0] in file)
                return cls(file[mean].reshape(36).astype(float), file[covariance].reshape(36, 36).astype(float))
            except Exception:  # damaged files make NumPy raise of every kind
                raise ModelError(f"{path}: not a model of NIQE; make one with `upres metrics fit-niqe`") from None

    def save(self, path: Path) -> None:
        """Write an ``.npz``, atomically."""
        save_arrays(path, mean=self.mean, covariance=self.covariance)

    @staticmethod
    @functools.cache
    def own() -> NiqeModel:
        """The model that comes with upres, fitted by `fit_niqe`; its values differ from published ones."""
        return NiqeModel.load(Path(str(resources.files("upres.metrics"))) / "niqe.npz")


def niqe(image: NDArray[np.uint8], *, shave: int = 0, grey: Grey = "luma", model: NiqeModel | None = None) -> float:
    """Natural image quality evaluator, from 0, lower is better.

    Mittal, Soundararajan, Bovik, "Making a Completely Blind Image Quality Analyzer" (2013):
    the distance (equation 10) between Gaussians of 36 features, of the image's 96 x 96 blocks
    and of pristine photographs.

    Args:
        image: (H, W) or (H, W, 1) or (H, W, 3), uint8.
        shave: pixels left out on every side; PIRM 2018 takes 4.
        grey: ``luma`` is the rounded Y of MATLAB's ``rgb2ycbcr``, as PIRM 2018 and most SR
            papers take it; ``rgb2gray`` is what the authors of NIQE take. They differ by a few percent.
        model: None for `NiqeModel.own`. Published values rest on the authors' parameters.

    Raises:
        ValueError: if the image is of another kind, or after shaving has fewer than two blocks,
            or fewer than two with any texture, since then no distance is defined.
    """
    model = model or NiqeModel.own()
    features = niqe_features(_grey(image, shave, grey))
    usable = features[np.isfinite(features).all(axis=1)]
    if len(usable) < 2:
        raise ValueError("NIQE is not defined for an image without texture in at least two of its blocks")
    difference = np.nanmean(features, axis=0) - model.mean
    covariance = (np.cov(usable, rowvar=False) + model.covariance) / 2
    return float(np.sqrt(max(0.0, difference @ np.linalg.pinv(covariance) @ difference)))


def niqe_features(grey: NDArray[np.float64]) -> NDArray[np.float64]:
    """The 36 features of every block; NaN where a block has no variation that they describe.

    Args:
        grey: (H, W), 0 to 255; rows and columns beyond a multiple of 96 are left out.

    Returns:
        (blocks, 36): 18 at full size, 18 at half size.

    Raises:
        ValueError: if there are fewer than two blocks.
    """
    return np.hstack([_features(normalised) for normalised, _ in _scales(grey)])


def fit_niqe(images: Iterable[NDArray[np.uint8]], *, grey: Grey = "luma") -> NiqeModel:
    """Fit a pristine model to the sharp blocks of photographs.

    Args:
        images: as for `niqe`; those with fewer than two blocks are refused.
        grey: as for `niqe`; use the same in both.

    Raises:
        ValueError: if an image is too small or there are too few sharp blocks for a covariance.
    """
    rows = []
    for image in images:
        scales = list(_scales(_grey(image, 0, grey)))
        sharpness = scales[0][1].mean(axis=(1, 2))
        features = np.hstack([_features(normalised) for normalised, _ in scales])
        rows.append(features[sharpness > SHARP * sharpness.max()])
    found = np.concatenate(rows) if rows else np.empty((0, 36))
    found = found[np.isfinite(found).all(axis=1)]
    if len(found) <= 36:
        raise ValueError(f"a NIQE model needs more than 36 sharp blocks of {BLOCK}x{BLOCK} pixels, not {len(found)}")
    return NiqeModel(found.mean(axis=0), np.cov(found, rowvar=False))


def _grey(image: NDArray[np.uint8], shave: int, grey: Grey) -> NDArray[np.float64]:
    check_bytes(image, "NIQE")
    inside = shaved(image, shave)
    if grey == "luma":
        return luma(inside).round()
    if grey != "rgb2gray":
        raise ValueError(f"grey must be 'luma' or 'rgb2gray', not {grey!r}")
    return rgb2gray(inside)


def _scales(grey: NDArray[np.float64]) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Normalised luminance (section 3.1) and local deviation, both as (blocks, side, side), at full and half size."""
    rows, columns = (side // BLOCK for side in grey.shape)
    if rows * columns < 2:
        size = f"{grey.shape[1]}x{grey.shape[0]}"
        raise ValueError(f"NIQE needs at least two blocks of {BLOCK}x{BLOCK} pixels; {size} is too small")
    whole = grey[: rows * BLOCK, : columns * BLOCK]
    for scale in (whole, resize(whole, scale=0.5, border="symmetric")):
        padded = np.pad(scale, SIDE // 2, mode="edge")
        mean = gaussian_means(padded, SIDE, SIGMA)
        deviation = np.sqrt(np.abs(gaussian_means(padded**2, SIDE, SIGMA) - mean**2))
        difference = scale - mean
        difference[np.abs(difference) < ROUNDING] = 0  # or the signs of flat areas, which the fits count, are chance
        side = scale.shape[0] // rows
        yield _blocks(difference / (deviation + 1), side), _blocks(deviation, side)


def _blocks(image: NDArray[np.float64], side: int) -> NDArray[np.float64]:
    """(blocks, side, side), row by row."""
    rows, columns = image.shape[0] // side, image.shape[1] // side
    return image.reshape(rows, side, columns, side).swapaxes(1, 2).reshape(rows * columns, side, side)


def _features(blocks: NDArray[np.float64]) -> NDArray[np.float64]:
    """(blocks, 18): shape and scale of the values, then four of the products with each neighbour (section 3.2)."""
    shape, left, right = fit_aggd(blocks)
    columns = [shape, (left + right) / 2]
    for shift in NEIGHBOURS:
        shape, left, right = fit_aggd(blocks * np.roll(blocks, shift, axis=(1, 2)))
        columns += [shape, (right - left) * _gamma(2 / shape) / _gamma(1 / shape), left, right]
    return np.stack(columns, axis=1)


def fit_aggd(blocks: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Asymmetric generalised Gaussians by moment matching (Lasmar, Stitou, Berthoumieu 2009; NIQE equations 4 to 6).

    Args:
        blocks: (blocks, height, width).

    Returns:
        Shape alpha, left and right scale beta of each block, (blocks,); NaN where all values
        are of one sign or zero.
    """
    values = blocks.reshape(len(blocks), -1)
    squares = values**2
    negative, positive = values < 0, values > 0
    with np.errstate(invalid="ignore", divide="ignore"):
        left = np.sqrt((squares * negative).sum(axis=1) / negative.sum(axis=1))
        right = np.sqrt((squares * positive).sum(axis=1) / positive.sum(axis=1))
        ratio = left / right
        moment = np.abs(values).mean(axis=1) ** 2 / squares.mean(axis=1)
        moment *= (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    shape = _shape_of(moment)
    scale = np.sqrt(_gamma(1 / shape) / _gamma(3 / shape))
    return shape, left * scale, right * scale


def _shape_of(moment: NDArray[np.float64]) -> NDArray[np.float64]:
    """The alpha among 0.2, 0.201, ..., 10 whose squared mean over mean square is nearest."""
    alphas, moments = _table()
    above = np.searchsorted(moments, moment).clip(1, len(moments) - 1)
    nearest = above - (moment - moments[above - 1] < moments[above] - moment)
    return np.where(np.isfinite(moment), alphas[nearest], np.nan)


@functools.cache
def _table() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    alphas = np.arange(200, 10_001) / 1000
    return alphas, _gamma(2 / alphas) ** 2 / (_gamma(1 / alphas) * _gamma(3 / alphas))


_gamma = np.vectorize(math.gamma, otypes=[np.float64])
