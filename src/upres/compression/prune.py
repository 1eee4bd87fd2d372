"""Structured pruning: the removal of channels."""

from __future__ import annotations

from typing import Any

from upres.errors import UpresError
from upres.networks import Network

__all__ = ["prune"]


def prune(network: Network, **_: Any) -> Network:
    """Not there yet."""
    raise UpresError(f"{type(network).__name__} cannot be pruned yet")
