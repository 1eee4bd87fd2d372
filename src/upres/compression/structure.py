"""What became of a network since its constructor: in files beside its weights."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from upres.networks import Network
from upres.networks.checkpoint import fit

__all__ = ["restructured", "structure"]


def structure(network: Network) -> dict[str, str]:
    """What the names and shapes of the tensors do not tell."""
    return {}


def restructured(network: Network, state: Mapping[str, Tensor], structure: Mapping[str, str]) -> Network:
    """A new network with the structure of one whose tensors and `structure` are given, but not its weights."""
    fit(network, state)
    return network
