"""The steerable pyramid, computed in the Fourier domain.

Simoncelli and Freeman, "The Steerable Pyramid: A Flexible Architecture for Multi-Scale
Derivative Computation", ICIP 1995; the filters are those of Portilla and Simoncelli,
"A Parametric Texture Model Based on Joint Statistics of Complex Wavelet Coefficients",
IJCV 2000.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["SteerablePyramid", "steerable_pyramid"]

Array = NDArray[np.float64]


class SteerablePyramid(NamedTuple):
    """An image in bands of scale and orientation, and what lies beyond the finest and the coarsest."""

    high: Array
    """(H, W): the corners of the spectrum, above the finest bands."""
    bands: list[Array]
    """A level each, finest first: (orientations, h, w), h and w halved (rounded up) from level to level."""
    low: Array
    """(h, w): what is left below the coarsest bands."""


def steerable_pyramid(image: NDArray[Any], *, levels: int, orientations: int) -> SteerablePyramid:
    """Decompose an image into oriented bands an octave wide.

    Band k of a level passes edges whose normal lies at k·180°/orientations. The filters are
    a tight frame, circular at the borders; a coarser grid keeps the amplitude of its part of
    the spectrum, so its samples grow by the number of pixels that were left out.

    Args:
        image: (H, W), any range.
        levels: octaves.
        orientations: bands a level.
    """
    y, x = (2 * (np.arange(side) - side // 2) / side for side in image.shape)
    octave = np.log2(np.maximum(np.hypot(y[:, None], x), 1e-9))  # 0 at the Nyquist frequency
    angle = np.arctan2(y[:, None], x)
    order = orientations - 1
    gain = (-2j) ** order * math.factorial(order) / math.sqrt(orientations * math.factorial(2 * order))

    spectrum = np.fft.fftshift(np.fft.fft2(image))
    high, spectrum = _pixels(spectrum * _high_pass(octave)), spectrum * _low_pass(octave)
    bands = []
    for level in range(1, levels + 1):
        ring = gain * spectrum * _high_pass(octave + level)
        turns = [np.cos(angle - math.pi * k / orientations) ** order for k in range(orientations)]
        bands.append(np.stack([_pixels(ring * turn) for turn in turns]))
        inner = tuple(_inner_half(side) for side in octave.shape)
        octave, angle = octave[inner], angle[inner]
        spectrum = spectrum[inner] * _low_pass(octave + level)
    return SteerablePyramid(high, bands, _pixels(spectrum))


def _high_pass(octave: Array) -> Array:
    """A raised cosine over the octave below 0, with `_low_pass` of unit power."""
    return np.cos(math.pi / 2 * np.clip(-octave, 0, 1))


def _low_pass(octave: Array) -> Array:
    return np.sin(math.pi / 2 * np.clip(-octave, 0, 1))


def _inner_half(side: int) -> slice:
    """The lower half of a centred axis of frequencies; its own zero is again at side // 2."""
    half = (side + 1) // 2
    return slice(side // 2 - half // 2, side // 2 - half // 2 + half)


def _pixels(spectrum: NDArray[np.complex128]) -> Array:
    return np.fft.ifft2(np.fft.ifftshift(spectrum)).real
