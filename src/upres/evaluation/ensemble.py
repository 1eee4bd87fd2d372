"""Self-ensembles: the mean of what a model makes of an image turned and mirrored."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product

import numpy as np
from numpy.typing import NDArray

__all__ = ["self_ensemble"]


def self_ensemble(
    upscale: Callable[[NDArray[np.uint8]], NDArray[np.uint8]], lr: NDArray[np.uint8]
) -> NDArray[np.uint8]:
    """The mean over all 8 ways to turn and mirror LR, each result turned back. It takes 8 times as long.

    Timofte et al., CVPR 2016, section 3.4; Lim et al., EDSR, arXiv:1707.02921, section 3.5.

    Args:
        upscale: from LR (h, w, 3) to SR, both uint8.
        lr: (h, w, 3), uint8.

    Returns:
        SR, uint8.
    """
    made = []
    for mirrored, quarters in product((False, True), range(4)):
        turned = np.rot90(lr[:, ::-1] if mirrored else lr, quarters)
        sr = np.rot90(upscale(np.ascontiguousarray(turned)), -quarters)
        made.append(sr[:, ::-1] if mirrored else sr)
    total: NDArray[np.uint16] = np.sum(made, axis=0, dtype=np.uint16)
    return ((total + 4) // 8).astype(np.uint8)
