"""What is to be said of a network before it is trained."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass

from upres.networks import NETWORKS, Network, NetworkSpec
from upres.networks.count import Counts, count

__all__ = ["Facts", "facts"]


@dataclass(frozen=True)
class Facts:
    """A network of the table, as its paper has it."""

    name: str
    scale: int
    """By default."""
    scales: tuple[int, ...]
    """Of 2, 3, 4 and 8, those it can be built for."""
    counts: Counts
    """At the default scale, for an LR image of 256 x 256."""
    paper: str
    """Authors, where it appeared, and its number at arXiv if it has one."""


def facts(name: str, as_it_runs: Callable[[Network], Network] = lambda network: network) -> Facts:
    """The facts of a network in `NETWORKS`.

    Args:
        name: of the network.
        as_it_runs: what is done to it before its costs are counted, as `upres.compression.reparameterise.merge` does.
    """
    network = NetworkSpec(name).build()
    scales = tuple(scale for scale in (2, 3, 4, 8) if scale == network.scale or _can_be_built(name, scale))
    first_line = (sys.modules[NETWORKS[name].__module__].__doc__ or "").partition("\n")[0]
    paper = re.search(r"\((.*\d{4}.*)\)", first_line)
    counts = count(as_it_runs(network))
    return Facts(name, network.scale, scales or (network.scale,), counts, paper[1] if paper else "")


def _can_be_built(name: str, scale: int) -> bool:
    try:
        NetworkSpec(name, {"scale": scale}).build()
    except ValueError:
        return False
    return True
