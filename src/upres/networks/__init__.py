"""The networks of the literature: one file a paper, one line here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from upres.networks.base import Network
from upres.networks.bicubicpp import BicubicPlusPlus

__all__ = ["NETWORKS", "Network", "NetworkSpec"]

NETWORKS: dict[str, type[Network]] = {
    "bicubicpp": BicubicPlusPlus,
}


@dataclass(frozen=True)
class NetworkSpec:
    """What rebuilds a network: its name in `NETWORKS` and its constructor's arguments."""

    name: str
    arguments: dict[str, Any] = field(default_factory=dict)

    def build(self) -> Network:
        """A new network with fresh weights.

        Raises:
            ValueError: if the name or an argument is unknown; the text lists those known.
        """
        if self.name not in NETWORKS:
            raise ValueError(f"no network is called {self.name!r}; known: {', '.join(sorted(NETWORKS))}")
        try:
            return NETWORKS[self.name](**self.arguments)
        except TypeError as error:
            raise ValueError(f"network {self.name}: {error}") from None
