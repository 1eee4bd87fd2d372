"""Files of arrays: what fitted metrics are kept in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

__all__ = ["save_arrays"]


def save_arrays(path: Path | str, **arrays: Any) -> None:
    """Write an ``.npz`` without pickles, atomically, under the very name that is given."""
    path = Path(path)
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        np.savez_compressed(file, **arrays)
    part.replace(path)
