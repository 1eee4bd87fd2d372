"""What is to be said of a network before it is trained."""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass

import torch

from upres.networks import NETWORKS, NetworkSpec
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
    """Authors, where it appeared, and its number at arXiv."""


def facts(name: str) -> Facts:
    """The facts of a network in `NETWORKS`."""
    with torch.device("meta"):  # only shapes are needed
        network = NetworkSpec(name).build()
        scales = tuple(scale for scale in (2, 3, 4, 8) if _can_be_built(name, scale))
    first_line = (sys.modules[NETWORKS[name].__module__].__doc__ or "").partition("\n")[0]
    paper = re.search(r"\((.*arXiv.*)\)", first_line)
    return Facts(name, network.scale, scales or (network.scale,), count(network), paper[1] if paper else "")


def _can_be_built(name: str, scale: int) -> bool:
    try:
        NetworkSpec(name, {"scale": scale}).build()
    except ValueError:
        return False
    return True
