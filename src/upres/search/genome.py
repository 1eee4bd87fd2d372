"""Genomes, and the elastic search space of FALSR (Chu et al., arXiv:1901.07261).

A genome is one choice a gene. Genes of a group, such as all of a cell's, are crossed over and mutated together.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import Annotated, Any, ClassVar, Literal

from numpy.random import Generator

from upres.networks import NetworkSpec
from upres.networks.falsr import (
    CELLS_A,
    CELLS_B,
    CELLS_C,
    CONNECTIONS_A,
    CONNECTIONS_B,
    CONNECTIONS_C,
)
from upres.training.checked import Count

__all__ = ["Elastic", "Gene", "Genome", "Space"]

Genome = tuple[int, ...]
"""For every gene of a space, the number of its choice."""

RELEASED = {
    "falsr_a": (CELLS_A, CONNECTIONS_A),
    "falsr_b": (CELLS_B, CONNECTIONS_B),
    "falsr_c": (CELLS_C, CONNECTIONS_C),
}
CELL = re.compile(r"([a-z]+(?:Con[GE]\d)?)_f(\d+)_k(\d+)_b(\d+)_(isskip|noskip)", re.IGNORECASE)


@dataclass(frozen=True)
class Gene:
    """One thing that is chosen."""

    name: str
    group: str
    """What is crossed over and mutated with it."""
    level: Literal["micro", "macro"]
    """What a part of the network is, or how the parts make a whole."""
    choices: tuple[Any, ...]


class Space:
    """The networks that a search can propose. A subclass's keyword-only arguments are its keys in a search's file."""

    notation: ClassVar[str] = ""
    """What readers need to know to read what `describe` says."""

    @property
    def genes(self) -> tuple[Gene, ...]:
        """What is chosen, in the order of genomes."""
        raise NotImplementedError

    def decode(self, genome: Genome) -> NetworkSpec:
        """What builds a genome's network."""
        raise NotImplementedError

    def values_of(self, spec: NetworkSpec) -> list[Any]:
        """What the genes must choose for a network.

        Raises:
            ValueError: if it is of another kind than this space's networks.
        """
        raise NotImplementedError

    def encode(self, spec: NetworkSpec) -> Genome:
        """The genome of a network.

        Raises:
            ValueError: naming what the space does not have.
        """
        genome = []
        for gene, value in zip(self.genes, self.values_of(spec), strict=True):
            if value not in gene.choices:
                choices = ", ".join(map(str, gene.choices))
                raise ValueError(f"{spec.name} is outside of the space: its {gene.name} is {value}, not {choices}")
            genome.append(gene.choices.index(value))
        return tuple(genome)

    def values(self, genome: Genome) -> list[Any]:
        """What a genome's genes choose.

        Raises:
            ValueError: if it is no genome of this space.
        """
        if len(genome) != len(self.genes) or not all(
            0 <= number < len(gene.choices) for number, gene in zip(genome, self.genes, strict=True)
        ):
            raise ValueError(f"{list(genome)} is no genome of this space: it has {len(self.genes)} genes")
        return [gene.choices[number] for number, gene in zip(genome, self.genes, strict=True)]

    def canonical(self, genome: Genome) -> Genome:
        """One genome for all that build the same network."""
        return genome

    def describe(self, genome: Genome) -> str:
        """A genome in words."""
        return ", ".join(f"{gene.name} {value}" for gene, value in zip(self.genes, self.values(genome), strict=True))

    def random(self, random: Generator) -> Genome:
        """Every choice with the same chance."""
        return tuple(int(random.integers(len(gene.choices))) for gene in self.genes)

    @cached_property
    def groups(self) -> dict[str, list[int]]:
        """The places of every group's genes, in order."""
        groups: dict[str, list[int]] = {}
        for place, gene in enumerate(self.genes):
            groups.setdefault(gene.group, []).append(place)
        return groups

    def distance(self, first: Genome, second: Genome) -> int:
        """In how many genes two genomes differ."""
        return sum(a != b for a, b in zip(first, second, strict=True))


@dataclass(frozen=True, kw_only=True)
class Elastic(Space):
    """FALSR's space: cells between a fixed first convolution and a fixed sub-pixel upsampling: `upres.networks.falsr`.

    Micro genes say what each cell is: 192 choices by default. Macro genes say which outputs before the one that
    precedes it feed a cell, and the last convolution, too; the preceding one always does, as in all that were
    released. With 7 cells that makes 192^7 · 2^28 genomes.
    """

    notation: ClassVar[str] = (
        "what feeds a cell (0 is the first convolution, 1 the first cell) → the cell: conv, groupConG with so many "
        "groups or invertBotConE, an inverted bottleneck with such an expansion; of f channels, kernels of side k, b "
        "in a row, with (isskip) or without (noskip) a residual."
    )
    scale: Annotated[int, (1, 4)] = 2
    """The factor between LR and SR: 1, 2 or 4, whose square divides 32."""
    cells: Count = 7
    kinds: list[Literal["conv", "groupConG2", "groupConG4", "invertBotConE2"]] = field(
        default_factory=lambda: ["conv", "groupConG2", "groupConG4", "invertBotConE2"]
    )
    """Plain convolutions, those of 2 or 4 groups, inverted bottlenecks with expansion 2."""
    channels: list[Count] = field(default_factory=lambda: [16, 32, 48, 64])
    kernels: list[Count] = field(default_factory=lambda: [1, 3])
    repeats: list[Count] = field(default_factory=lambda: [1, 2, 4])

    @cached_property
    def genes(self) -> tuple[Gene, ...]:
        """See `Space.genes`: kind, channels, kernel, repeats and residual of every cell, then the connections."""
        genes = []
        for cell in range(self.cells):
            for name, choices in (
                ("kind", self.kinds),
                ("channels", self.channels),
                ("kernel", self.kernels),
                ("repeats", self.repeats),
                ("residual", ["noskip", "isskip"]),
            ):
                genes.append(Gene(f"cell {cell + 1} {name}", f"cell {cell + 1}", "micro", tuple(choices)))
        for place in range(1, self.cells + 1):
            fed = "the end" if place == self.cells else f"cell {place + 1}"
            genes += [Gene(f"{source} to {fed}", f"into {fed}", "macro", (False, True)) for source in range(place)]
        return tuple(genes)

    def decode(self, genome: Genome) -> NetworkSpec:
        """See `Space.decode`: the notation of the released graphs."""
        values = self.values(genome)
        cells = []
        for start in range(0, 5 * self.cells, 5):
            kind, channels, kernel, repeats, residual = values[start : start + 5]
            cells.append(f"{kind}_f{channels}_k{kernel}_b{repeats}_{residual}")
        connections, at = [[0]], 5 * self.cells
        for place in range(1, self.cells + 1):
            connections.append([source for source in range(place) if values[at + source]] + [place])
            at += place
        return NetworkSpec("falsr", {"scale": self.scale, "cells": cells, "connections": connections})

    def values_of(self, spec: NetworkSpec) -> list[Any]:
        """See `Space.values_of`."""
        if spec.name not in ("falsr", *RELEASED):
            raise ValueError(f"{spec.name} is outside of the space: it is no FALSR")
        cells, connections = RELEASED.get(spec.name, (CELLS_A, CONNECTIONS_A))
        cells, connections = spec.arguments.get("cells", cells), spec.arguments.get("connections", connections)
        if len(cells) != self.cells or spec.arguments.get("scale", 2) != self.scale:
            raise ValueError(
                f"{spec.name} is outside of the space: it has {len(cells)} cells and scale "
                f"{spec.arguments.get('scale', 2)}, not {self.cells} and {self.scale}"
            )
        values: list[Any] = []
        for cell in cells:
            match = CELL.fullmatch(cell)
            if match is None:
                raise ValueError(f"{spec.name} is outside of the space: it has a cell {cell}")
            values += [match[1], int(match[2]), int(match[3]), int(match[4]), match[5]]
        for place, sources in enumerate(connections):
            if place not in sources:
                raise ValueError(f"{spec.name} is outside of the space: output {place} does not feed what follows it")
            values += [source in sources for source in range(place)]
        return values

    def canonical(self, genome: Genome) -> Genome:
        """See `Space.canonical`: a cell of one block has no residual."""
        same = list(genome)
        for start in range(0, 5 * self.cells, 5):
            if self.repeats[genome[start + 3]] == 1:
                same[start + 4] = 0
        return tuple(same)

    def describe(self, genome: Genome) -> str:
        """See `Space.describe`: every cell after the outputs that feed it."""
        arguments = self.decode(genome).arguments
        fed = ["+".join(map(str, sources)) for sources in arguments["connections"]]
        cells = [f"{sources} → {cell}" for sources, cell in zip(fed, arguments["cells"], strict=False)]
        return "; ".join([*cells, f"{fed[-1]} → end"])
