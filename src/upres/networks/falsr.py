"""FALSR: fast, accurate and lightweight super-resolution with architecture search (Chu et al., arXiv:1901.07261).

Seven cells that an evolutionary search chose, each fed by some of the outputs before it. Cells and connections
of A, B and C are those of the released graphs.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from upres.networks.blocks import convolution, reach
from upres.networks.luma import LumaNetwork
from upres.networks.published import Published, State, from_tensorflow

__all__ = ["FALSR", "PUBLISHED", "falsr_a", "falsr_b", "falsr_c"]

HEAD_CHANNELS = 32
NOTATION = re.compile(r"(conv|groupConG(\d+)|invertBotConE(\d+))_f(\d+)_k(\d+)_b(\d+)_(isskip|noskip)")
CELLS_A = (
    "conv_f64_k3_b4_isskip",
    "conv_f48_k1_b1_isskip",
    "conv_f64_k3_b4_isskip",
    "conv_f64_k3_b4_isskip",
    "conv_f64_k3_b4_isskip",
    "conv_f64_k1_b4_noskip",
    "conv_f64_k3_b4_isskip",
)
CONNECTIONS_A = ((0,), (1,), (2,), (2, 3), (0, 2, 4), (5,), (0, 2, 5, 6), (0, 1, 2, 3, 4, 5, 6, 7))
CELLS_B = (
    "invertBotConE2_f16_k3_b1_isskip",
    "invertBotConE2_f48_k1_b2_isskip",
    "conv_f16_k1_b2_isskip",
    "invertBotConE2_f32_k3_b4_noskip",
    "conv_f64_k3_b2_noskip",
    "groupConG4_f16_k3_b4_noskip",
    "conv_f16_k3_b1_isskip",
)
CONNECTIONS_B = ((0,), (0, 1), (0, 1, 2), (3,), (2, 3, 4), (2, 4, 5), (0, 1, 2, 6), (1, 4, 6, 7))
CELLS_C = (
    "groupConG2_f32_k1_b1_noskip",
    "conv_f64_k1_b4_noskip",
    "invertBotConE2_f48_k3_b4_noskip",
    "groupConG2_f32_k1_b1_noskip",
    "groupConG4_f32_k1_b1_isskip",
    "conv_f48_k1_b4_noskip",
    "conv_f16_k3_b1_isskip",
)
CONNECTIONS_C = ((0,), (0, 1), (2,), (1, 3), (0, 4), (0, 5), (1, 6), (0, 2, 6, 7))


class InvertedBottleneck(nn.Module):
    """A convolution to more channels, a depthwise 3x3, a convolution back, and the input added."""

    def __init__(self, channels: int, expansion: int, kernel: int) -> None:
        super().__init__()
        inner = expansion * channels
        self.expand = convolution(channels, inner, kernel)
        self.depthwise = convolution(inner, inner, groups=inner)
        self.project = convolution(inner, channels, kernel)

    def forward(self, features: Tensor) -> Tensor:
        """(N, channels, H, W) to the same shape."""
        return features + self.project(F.relu(self.depthwise(F.relu(self.expand(features)))))  # type: ignore[no-any-return]


class Cell(nn.Module):
    """A choice of the search space: one kind of block, repeated, with or without a skip.

    Args:
        inputs: channels.
        notation: as the released graphs name it: ``conv``, ``groupConG`` with the number of groups or
            ``invertBotConE`` with the expansion, then f channels, k kernel side, b blocks, isskip or noskip.

    Raises:
        ValueError: for any other notation.
    """

    def __init__(self, inputs: int, notation: str) -> None:
        super().__init__()
        match = NOTATION.fullmatch(notation)
        if match is None:
            raise ValueError(f"a cell is written like conv_f64_k3_b4_isskip, not {notation!r}")
        groups, expansion, self.channels, kernel, blocks = (int(number or 1) for number in match.groups()[1:6])
        self.skip = match[7] == "isskip" and blocks > 1
        self.first: nn.Module
        self.rest: nn.Sequential
        if match[3]:
            self.first = convolution(inputs, self.channels, 1)
            self.rest = nn.Sequential(*(InvertedBottleneck(self.channels, expansion, kernel) for _ in range(blocks)))
            self.radius = blocks * (2 * (kernel // 2) + 1)
        else:
            self.first, *rest = (
                nn.Sequential(convolution(width, self.channels, kernel, groups=groups), nn.ReLU())
                for width in [inputs, *[self.channels] * (blocks - 1)]
            )
            self.rest = nn.Sequential(*rest)
            self.radius = blocks * (kernel // 2)

    def forward(self, features: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, f, H, W)."""
        first = self.first(features)
        last: Tensor = self.rest(first)
        return last + first if self.skip else last


class FALSR(LumaNetwork):
    """RGB (N, 3, H, W) in [0, 1] to (N, 3, scale·H, scale·W); the network sees full-range luma only.

    Args:
        scale: the factor r between LR and SR; the paper's is 2.
        cells: in the released graphs' notation, see `Cell`; by default those of FALSR-A.
        connections: for each cell, and last for the final convolution, which outputs it is fed by: 0 for the first
            convolution's, 1 for the first cell's, and so on.

    Raises:
        ValueError: if a notation is unknown, the number of connections is not that of cells and one more, one is to
            a later output, or the square of the scale does not divide 32.
    """

    def __init__(
        self,
        scale: int = 2,
        cells: Sequence[str] = CELLS_A,
        connections: Sequence[Sequence[int]] = CONNECTIONS_A,
    ) -> None:
        if HEAD_CHANNELS % scale**2:
            raise ValueError(f"the square of the scale must divide {HEAD_CHANNELS}, so it cannot be {scale}")
        if len(connections) != len(cells) + 1:
            raise ValueError(f"{len(cells)} cells need {len(cells) + 1} connections, not {len(connections)}")
        if any(not 0 <= source <= place for place, sources in enumerate(connections) for source in sources):
            raise ValueError("cells are fed by outputs before them only")
        channels, radii, built = [HEAD_CHANNELS], [1], []
        for notation, sources in zip(cells, connections, strict=False):
            cell = Cell(sum(channels[source] for source in sources), notation)
            built.append(cell)
            channels.append(cell.channels)
            radii.append(max(radii[source] for source in sources) + cell.radius)
        super().__init__(
            scale,
            halo=max(radii[source] for source in connections[-1]) + 1 + reach([scale], 1),
            studio_range=False,
        )
        self.connections = connections
        self.head = convolution(1, HEAD_CHANNELS)
        self.cells = nn.ModuleList(built)
        self.end = convolution(sum(channels[source] for source in connections[-1]), HEAD_CHANNELS)
        self.tail = convolution(HEAD_CHANNELS // scale**2, 1)

    def upscale_luma(self, luma: Tensor) -> Tensor:
        """See `LumaNetwork.upscale_luma`."""
        outputs = [F.relu(self.head(luma))]  # (N, 32, H, W)
        for cell, sources in zip(self.cells, self.connections, strict=False):
            outputs.append(cell(torch.cat([outputs[source] for source in sources], dim=1)))
        end = F.relu(self.end(torch.cat([outputs[source] for source in self.connections[-1]], dim=1)))
        # TensorFlow has the channels of a sub-pixel side by side, torch the sub-pixels of a channel.
        subpixels = torch.stack((end + outputs[0]).chunk(self.scale**2, dim=1), dim=2).flatten(1, 2)
        return self.tail(F.pixel_shuffle(subpixels, self.scale))  # type: ignore[no-any-return]


def falsr_a() -> FALSR:
    """FALSR-A: 1,021 thousand parameters."""
    return FALSR(2, CELLS_A, CONNECTIONS_A)


def falsr_b() -> FALSR:
    """FALSR-B: 326 thousand parameters."""
    return FALSR(2, CELLS_B, CONNECTIONS_B)


def falsr_c() -> FALSR:
    """FALSR-C: 408 thousand parameters in the paper, 426,569 in the released graph."""
    return FALSR(2, CELLS_C, CONNECTIONS_C)


GRAPH = "test_sr_evaluator_i1_b0_g/"
KINDS = {
    "kernel": "weight",
    "W": "weight",
    "W_depthwise2d": "weight",
    "bias": "bias",
    "b": "bias",
    "b_depthwise2d": "bias",
}


def _of_graph(state: State) -> State:
    """The kernels and biases of the graph, without what their cell is called: that is in the arguments."""
    named = {}
    for name, tensor in state.items():
        layer, _, kind = name.removeprefix(GRAPH).rpartition("/")
        if name.startswith(GRAPH) and kind in KINDS:
            place = re.sub(f"/{NOTATION.pattern}_?", "/", layer)
            if KINDS[kind] == "weight":
                tensor = from_tensorflow(tensor, depthwise=kind == "W_depthwise2d")
            named[f"{place}.{KINDS[kind]}"] = tensor
    return named


def _released(cells: Sequence[str], connections: Sequence[Sequence[int]], _: State) -> dict[str, Any]:
    return {"scale": 2, "cells": list(cells), "connections": [list(sources) for sources in connections]}


PUBLISHED = tuple(
    Published(
        "falsr",
        {
            "n32s1/c": "head",
            "cell{0}/b0": "cells.{}.first.0",
            "cell{0}/b{1}": "cells.{}.rest.{}.0",
            "cell{0}/conv_supple": "cells.{}.first",
            "cell{0}/b{0}_conv_1": "cells.{}.rest.{}.expand",
            "cell{0}/b{0}depth_wise": "cells.{}.rest.{}.depthwise",
            "cell{0}/b{0}_conv_2": "cells.{}.rest.{}.project",
            "n32s1/2/0": "end",
            "yout": "tail",
        },
        partial(_released, cells, connections),
        _of_graph,
    )
    for cells, connections in ((CELLS_A, CONNECTIONS_A), (CELLS_B, CONNECTIONS_B), (CELLS_C, CONNECTIONS_C))
)
"""The frozen graphs of A, B and C. What cells are fed by does not show in the tensors."""
