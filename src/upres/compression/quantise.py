"""Training as 8-bit integers will compute."""

from __future__ import annotations

from torch import Tensor

from upres.errors import UpresError
from upres.networks import Network

__all__ = ["quantise"]


def quantise(network: Network, patches: list[Tensor]) -> Network:  # noqa: ARG001
    """Not there yet."""
    raise UpresError(f"{type(network).__name__} cannot be quantised yet")
