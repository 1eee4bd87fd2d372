"""The perceptual index of PIRM 2018 and ASC 2019."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from upres.metrics.ma import MaModel, ma
from upres.metrics.niqe import NiqeModel, niqe
from upres.metrics.psnr import check_bytes, luma, shaved

__all__ = ["PIRM_SHAVE", "perceptual_index", "pirm_luma"]

PIRM_SHAVE = 4


def perceptual_index(image: NDArray[np.uint8], ma_model: MaModel, niqe_model: NiqeModel | None = None) -> float:
    """PI = ((10 - Ma) + NIQE) / 2, lower is better (Blau et al., PIRM 2018, equation 1).

    Both on the rounded luma of MATLAB's ``rgb2ycbcr`` with 4 pixels shaved, unlike either alone.

    Args:
        image: (H, W, 3) or grey (H, W) or (H, W, 1), uint8.
        ma_model: published values rest on the authors'.
        niqe_model: as for `niqe`; published values rest on the authors' parameters.

    Raises:
        ValueError: if one of the two is not defined for the image, for example a small one.
    """
    grey = pirm_luma(image)
    return ((10 - ma(grey, ma_model)) + niqe(image, shave=PIRM_SHAVE, model=niqe_model)) / 2


def pirm_luma(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The rounded luma, shaved: (H - 8, W - 8).

    Raises:
        ValueError: if the image is not as for `perceptual_index`, or nothing is left of it.
    """
    check_bytes(image, "PI")
    return luma(shaved(image, PIRM_SHAVE)).round().astype(np.uint8)
