"""Which patches are hard."""

from __future__ import annotations

from pathlib import Path

from upres.errors import UpresError
from upres.training.data import Photographs

__all__ = ["ranked"]


def ranked(photographs: Photographs, by: str, patch: int, part: int, parts: int, cache: Path) -> Photographs:  # noqa: ARG001
    """Not there yet."""
    raise UpresError(f"patches cannot be ranked by {by} yet")
