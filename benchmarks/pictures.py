"""The photograph that is upscaled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from upres import read
from upres.images import resize

__all__ = ["PHOTOGRAPH", "photograph"]

PHOTOGRAPH = Path(__file__).parent.parent / "examples" / "colosseum.webp"


def photograph(height: int, width: int) -> NDArray[np.uint8]:
    """(height, width, 3), contiguous."""
    return np.ascontiguousarray(resize(read(PHOTOGRAPH).rgb8(), (height, width)))
