"""Histograms: giving one picture the distribution of values that another has."""

from __future__ import annotations

from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

__all__ = ["match_histograms"]

PixelT = TypeVar("PixelT", bound=np.generic)


def match_histograms(picture: NDArray[PixelT], reference: NDArray[Any]) -> NDArray[PixelT]:
    """A picture whose channels have the histograms that the reference's have.

    A value becomes the reference's value of the same rank: the share of pixels that are not larger is the same
    (Gonzalez and Woods, Digital Image Processing, section 3.3.2). Johnson et al. (arXiv:1603.08155, section 4.2) do
    this to what their network makes, with the LR picture as the reference.

    Args:
        picture: (H, W, C), of any integers or floats.
        reference: of any other height and width, with the same channels and range.

    Returns:
        (H, W, C) of the picture's dtype; integers are rounded.

    Raises:
        ValueError: if the channels differ.

    >>> bright = np.array([[[200], [210]], [[220], [230]]], dtype=np.uint8)
    >>> dark = np.array([[[0], [10]], [[20], [30]]], dtype=np.uint8)
    >>> match_histograms(bright, dark)[..., 0]
    array([[ 0, 10],
           [20, 30]], dtype=uint8)
    """
    if picture.shape[2:] != reference.shape[2:]:
        raise ValueError(f"the picture's channels {picture.shape[2:]} are not the reference's {reference.shape[2:]}")
    matched = np.empty_like(picture)
    for channel in range(picture.shape[2]):
        _, places, counts = np.unique(picture[..., channel], return_inverse=True, return_counts=True)
        values, reference_counts = np.unique(reference[..., channel], return_counts=True)
        shares = np.cumsum(counts) / picture[..., channel].size
        reference_shares = np.cumsum(reference_counts) / reference[..., channel].size
        found = np.interp(shares, reference_shares, values.astype(np.float64))
        if np.issubdtype(picture.dtype, np.integer):
            found = np.rint(found)
        matched[..., channel] = found[places.reshape(picture.shape[:2])]
    return matched
