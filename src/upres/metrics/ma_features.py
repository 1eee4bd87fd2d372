"""The statistics that the metric of Ma et al. rests on.

Ma, Yang, Yang and Yang, "Learning a No-Reference Quality Metric for Single-Image
Super-Resolution", CVIU 2017 (arXiv 1612.05890). Order, scaling, pooling and borders are
those of the authors' release, so that their forests apply.
"""

from __future__ import annotations

import functools
import itertools
import math
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from upres.images.resize import resize
from upres.metrics.psnr import check_bytes, rgb2gray
from upres.metrics.steerable import steerable_pyramid
from upres.metrics.windows import gaussian_means

__all__ = ["MaFeatures", "ggd_shape", "ma_features"]

Array = NDArray[np.float64]

MIN_SIDE = 84  # below, a quarter of the image has less than the 25 patches that its 25 singular values need

BLOCK, BORDER = 3, 2  # the local DCT looks at 3×3 blocks with 2 pixels around them
DCT_SIDE = BLOCK + 2 * BORDER
# Three orientations of the coefficients, as Saad, Bovik and Charrier group them in "Blind Image
# Quality Assessment: A Natural Scene Statistics Approach in the DCT Domain", TIP 2012.
ORIENTATIONS = np.array(
    [
        [0, 1, 1, 1, 1, 1, 1],
        [3, 2, 1, 1, 1, 1, 1],
        [3, 3, 2, 2, 1, 1, 1],
        [3, 3, 2, 2, 2, 1, 1],
        [3, 3, 3, 2, 2, 2, 2],
        [3, 3, 3, 3, 2, 2, 2],
        [3, 3, 3, 3, 2, 2, 2],
    ]
)

LEVELS, BANDS = 2, 6
GUARD = 16  # pixels of the finest bands that are left out at each border
PATCH = 5


class MaFeatures(NamedTuple):
    """The three groups of statistics, in the order of the authors' release."""

    local_frequency: Array
    """(18,): block DCT at full, half and quarter size: shape of the coefficients' generalised Gaussian
    (mean of the lowest tenth, mean), their coefficient of variation and its variance over
    orientations (mean of the highest tenth, mean)."""
    global_frequency: Array
    """(45,): steerable pyramid: shapes of the 12 normalised bands, of the 6 pairs of bands of one
    orientation; correlation of the 12 bands with the high-pass residual, of the 15 pairs of orientations."""
    spatial: Array
    """(75,): the 25 singular values of the 5×5 patches at full, half and quarter size, largest first."""


def ma_features(image: NDArray[np.uint8]) -> MaFeatures:
    """The statistics that the metric rests on.

    Args:
        image: (H, W), (H, W, 1) or (H, W, 3) uint8; RGB becomes grey as MATLAB's ``rgb2gray`` makes it.

    Raises:
        ValueError: if the image is of another kind, smaller than 84×84, or of a single grey level, where
            the normalisation of the bands has no value.
    """
    grey = _grey(image)
    scales = [grey / 255]
    for _ in range(2):
        scales.append(gaussian_means(np.pad(scales[-1], 1), 3, 0.5)[1::2, 1::2])
    return MaFeatures(
        np.concatenate([_local_frequency(scale) for scale in scales]),
        _global_frequency(grey),
        np.concatenate([_spatial(scale) for scale in scales]),
    )


def _grey(image: NDArray[np.uint8]) -> Array:
    check_bytes(image, "the metric of Ma et al.")
    height, width = image.shape[:2]
    if min(height, width) < MIN_SIDE:
        raise ValueError(f"{width}x{height} is too small: the metric of Ma et al. needs {MIN_SIDE}x{MIN_SIDE} pixels")
    grey = rgb2gray(image)
    if grey.min() == grey.max():
        raise ValueError("the metric of Ma et al. is not defined for an image of a single grey level")
    return grey


def _local_frequency(image: Array) -> Array:
    """Six statistics of the DCT around every block; zeros lie outside the image."""
    padding = [(BORDER, BORDER + -side % BLOCK) for side in image.shape]
    windows = sliding_window_view(np.pad(image, padding), (DCT_SIDE, DCT_SIDE))[::BLOCK, ::BLOCK]
    coefficients = windows.reshape(-1, DCT_SIDE**2) @ _dct().T
    orientations = [np.abs(coefficients[:, ORIENTATIONS.ravel() == group]) for group in (1, 2, 3)]
    shape = np.sort(ggd_shape(coefficients[:, 1:]))
    variation = np.sort(_variation(np.abs(coefficients[:, 1:]), 1e-7))
    oriented = np.sort(np.var([_variation(group, 1e-8) for group in orientations], axis=0, ddof=1))
    lowest = shape[: math.ceil(len(shape) * 0.1)]
    highest = slice(int(len(shape) * 0.9) - 1, None)
    pooled = (lowest, shape, variation[highest], variation, oriented[highest], oriented)
    return np.array([part.mean() for part in pooled])


@functools.cache
def _dct() -> Array:
    """The orthonormal DCT-II of a block, as a matrix for its pixels in rows."""
    frequency, place = np.mgrid[:DCT_SIDE, :DCT_SIDE]
    basis = np.cos(math.pi * frequency * (2 * place + 1) / (2 * DCT_SIDE)) * math.sqrt(2 / DCT_SIDE)
    basis[0] /= math.sqrt(2)
    return np.kron(basis, basis)


def _variation(magnitudes: Array, epsilon: float) -> Array:
    return np.asarray(magnitudes.std(axis=-1, ddof=1) / (magnitudes.mean(axis=-1) + epsilon))


def ggd_shape(samples: Array) -> Array:
    """The shape of the generalised Gaussian of samples, by matching moments: 2 is Gaussian, 1 Laplacian.

    Sharifi and Leon-Garcia, TCSVT 1995. Shapes are multiples of 0.001 from 0.03 to 10.

    Args:
        samples: (..., n); a fit for each leading index.
    """
    mean = samples.mean(axis=-1, keepdims=True)
    ratio = samples.var(axis=-1, ddof=1) / (np.abs(samples - mean).mean(axis=-1) ** 2 + 1e-7)
    shapes, boundaries = _ggd_table()
    return np.asarray(shapes[np.searchsorted(boundaries, ratio)])


@functools.cache
def _ggd_table() -> tuple[Array, Array]:
    """Shapes, from high to low, and the moment ratios halfway between those of neighbours."""
    shapes = 10 - np.arange(9971) / 1000
    log_gamma = np.vectorize(math.lgamma)
    ratios = np.exp(log_gamma(1 / shapes) + log_gamma(3 / shapes) - 2 * log_gamma(2 / shapes))
    return shapes, (ratios[1:] + ratios[:-1]) / 2


def _global_frequency(grey: Array) -> Array:
    """Shapes and correlations of the bands of a steerable pyramid."""
    high, (fine, coarse), _ = steerable_pyramid(grey, levels=LEVELS, orientations=BANDS)
    normalised = [_normalised(fine, coarse, GUARD), _normalised(coarse, None, GUARD // 2)]
    flat = [bands.reshape(BANDS, -1) for bands in normalised]
    size = (high.shape[0], high.shape[1])
    pairs = itertools.chain(
        ((resize(band, size, border="symmetric"), high) for band in (*fine, *coarse)),
        itertools.combinations(normalised[0], 2),
    )
    return np.concatenate(
        [*map(ggd_shape, flat), ggd_shape(np.concatenate(flat, axis=1)), [_structure(*pair) for pair in pairs]]
    )


def _normalised(bands: Array, coarser: Array | None, guard: int) -> Array:
    """Divide bands by their local energy under a Gaussian scale mixture, as DIIVINE does.

    Moorthy and Bovik, "Blind Image Quality Assessment: From Natural Scene Statistics to
    Perceptual Quality", TIP 2011. A neighbourhood is 3×3 pixels, the pixel at its
    place in the coarser level and in the other orientations.

    Args:
        bands: (orientations, h, w) of one level.
        coarser: of the next level, if there is one.
        guard: pixels that are left out at each border, beside the one that has no neighbourhood.
    """
    count, height, width = bands.shape
    inside = bands[:, 1:-1, 1:-1]
    out = np.empty((count, height - 2 - 2 * guard, width - 2 - 2 * guard))
    for k, band in enumerate(bands):
        neighbours = [band[y : y + height - 2, x : x + width - 2] for y in range(3) for x in range(3)]
        # In the authors' code the last orientation has no parent; their forests expect that.
        if coarser is not None and k < count - 1:
            parent = resize(coarser[k], scale=2, border="symmetric")
            neighbours.append(parent[1 : height - 1, 1 : width - 1])
        dimension = len(neighbours)  # likewise, the other orientations do not count
        vectors = np.stack([*neighbours, *np.delete(inside, k, axis=0)]).reshape(dimension + count - 1, -1)
        covariance = vectors @ vectors.T / vectors.shape[1]
        inverse = np.linalg.pinv(covariance, rcond=len(vectors) * np.finfo(float).eps, hermitian=True)
        energy = np.maximum(np.einsum("ip,ip->p", vectors, inverse @ vectors) / dimension, 0)
        scale = np.sqrt(energy).reshape(inside[k].shape)
        centred = inside[k] - inside[k].mean()
        normal = np.divide(centred, scale, out=np.zeros_like(centred), where=scale > 0)
        out[k] = normal[guard : height - 2 - guard, guard : width - 2 - guard]
    out -= out.mean(axis=(1, 2), keepdims=True)
    return out


def _structure(first: Array, second: Array) -> float:
    """Mean contrast and structure term of SSIM (11×11 Gaussian window)."""
    mean_1, mean_2 = (gaussian_means(image, 11, 1.5) for image in (first, second))
    variances = gaussian_means(first**2 + second**2, 11, 1.5) - mean_1**2 - mean_2**2
    covariance = gaussian_means(first * second, 11, 1.5) - mean_1 * mean_2
    c2 = (0.03 * 255) ** 2
    return float(np.mean((2 * covariance + c2) / (variances + c2)))


def _spatial(image: Array) -> Array:
    """Singular values of the patches that lie side by side, the last filled up with zeros."""
    filled = np.pad(image, [(0, -side % PATCH) for side in image.shape])
    height, width = (side // PATCH for side in filled.shape)
    patches = filled.reshape(height, PATCH, width, PATCH).swapaxes(1, 2).reshape(-1, PATCH**2)
    return np.asarray(np.linalg.svd(patches, compute_uv=False), np.float64)
