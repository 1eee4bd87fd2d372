"""Plain stacks of convolutions with the anchor, around `fast` and `fine`: what runs fastest on CPUs."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, Literal

from upres.networks import NetworkSpec
from upres.networks.bicubicpp import STEPS, BicubicPlusPlus
from upres.search.genome import Gene, Genome, Space
from upres.training.checked import Count, Factor

__all__ = ["Plain"]

DEFAULTS = {name: parameter.default for name, parameter in inspect.signature(BicubicPlusPlus).parameters.items()}
MACRO = ("channels", "blocks", "convolutions", "downscale")


@dataclass(frozen=True, kw_only=True)
class Plain(Space):
    """`BicubicPlusPlus` with the anchor: each key lists what its argument of the same meaning may be."""

    scale: Count = 3
    """The factor between LR and SR."""
    channels: list[Count] = field(default_factory=lambda: [16, 24, 32, 40, 48, 64])
    blocks: list[Count] = field(default_factory=lambda: [1, 2, 3, 4, 6])
    convolutions: list[Count] = field(default_factory=lambda: [1, 2, 3])
    downscales: list[Literal["stride", "space-to-depth", "haar", "none"]] = field(
        default_factory=lambda: ["stride", "space-to-depth", "none"]
    )
    slopes: list[Factor] = field(default_factory=lambda: [0.0, 0.05, 0.1])
    layers: list[Literal["plain", "edge", "asymmetric"]] = field(
        default_factory=lambda: ["plain", "edge", "asymmetric"]
    )
    """What the blocks' convolutions train as; exported, they are the same."""
    biases: list[Annotated[int, (0, 1)]] = field(default_factory=lambda: [0, 1])
    """Without or with; layers that are not plain have them."""

    @cached_property
    def genes(self) -> tuple[Gene, ...]:
        """See `Space.genes`."""
        choices: dict[str, Sequence[Any]] = {
            "channels": self.channels,
            "blocks": self.blocks,
            "convolutions": self.convolutions,
            "downscale": self.downscales,
            "slope": self.slopes,
            "layer": self.layers,
            "bias": [bool(value) for value in self.biases],
        }
        return tuple(
            Gene(name, name, "macro" if name in MACRO else "micro", tuple(values)) for name, values in choices.items()
        )

    def decode(self, genome: Genome) -> NetworkSpec:
        """See `Space.decode`."""
        arguments = {gene.name: value for gene, value in zip(self.genes, self.values(genome), strict=True)}
        bias = arguments["bias"] or arguments["layer"] != "plain"
        return NetworkSpec("bicubicpp", {"scale": self.scale, "anchor": True, **arguments, "bias": bias})

    def values_of(self, spec: NetworkSpec) -> list[Any]:
        """See `Space.values_of`."""
        arguments = {**DEFAULTS, **spec.arguments}
        if spec.name != "bicubicpp" or arguments["scale"] != self.scale or not arguments["anchor"]:
            raise ValueError(f"{spec.name} is outside of the space: it is no bicubicpp x{self.scale} with an anchor")
        return [arguments[gene.name] for gene in self.genes]

    def describe(self, genome: Genome) -> str:
        """See `Space.describe`."""
        arguments = self.decode(genome).arguments
        return ", ".join(f"{gene.name} {arguments[gene.name]}" for gene in self.genes)

    def canonical(self, genome: Genome) -> Genome:
        """See `Space.canonical`: layers that are not plain have biases, whatever the gene says."""
        *same, layer, bias = genome
        return (*same, layer, bias if self.layers[layer] == "plain" else 0)

    def distance(self, first: Genome, second: Genome) -> int:
        """See `Space.distance`: networks that work at different resolutions have nothing in common."""
        apart = len({STEPS[self.values(genome)[3]] for genome in (first, second)}) > 1
        return super().distance(first, second) + apart * len(first)
