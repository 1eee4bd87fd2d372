"""How authors name the tensors of their released files, and what their shapes tell of a network's arguments."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from torch import Tensor

__all__ = [
    "ESA_NAMES",
    "Published",
    "State",
    "channels_first",
    "from_tensorflow",
    "length",
    "prefixed",
    "shuffled_scale",
]

State = dict[str, Tensor]

ESA_NAMES = {
    "conv1": "reduce",
    "conv_f": "skip",
    "conv2": "stride",
    "conv_max": "middle.0",
    "conv3": "middle.2",
    "conv3_": "middle.4",
    "conv4": "expand",
}
"""As RFDN's authors name the layers of `upres.networks.blocks.ESA`, and others after them."""


@dataclass(frozen=True)
class Published:
    """One way in which a network's released files are written."""

    network: str
    """Its name in `upres.networks.NETWORKS`."""
    names: Mapping[str, str]
    """The authors' names of layers to ours, without the ``.weight`` or ``.bias`` that follows. In the authors'
    ``{0}`` stands for a number that counts from 0 and ``{1}`` for one that counts from 1; each ``{}`` of ours is one
    of these, counted from 0. Ours is empty for what the network does without."""
    arguments: Callable[[State], dict[str, Any]]
    """The constructor's arguments, from the tensors under our names. Of weights that serve several scales, ``scale``
    is a list of them, the default first, or not there if they serve any. Raises KeyError where a tensor is missing."""
    prepare: Callable[[State], State] = dict
    """What is changed in the authors' names and tensors before."""

    def rename(self, state: State) -> tuple[State, list[str]]:
        """The tensors under our names, and the authors' names that are not among those known."""
        renamed, unknown = {}, []
        for name, tensor in self.prepare(state).items():
            for theirs, ours in self.names.items():
                translated = _translate(name, theirs, ours)
                if translated is not None:
                    break
            else:
                unknown.append(name)
                continue
            if translated:
                renamed[translated] = tensor
        return renamed, unknown


def _translate(name: str, theirs: str, ours: str) -> str | None:
    """A tensor's name by one entry of `Published.names`; None where that is of another layer."""
    pattern, starts = _pattern(theirs)
    match = pattern.fullmatch(name)
    if match is None:
        return None
    *numbers, kind = match.groups()
    places = [int(number) - start for number, start in zip(numbers, starts, strict=True)]
    if any(place < 0 for place in places):
        return None
    return ours and ours.format(*places) + kind


@cache
def _pattern(theirs: str) -> tuple[re.Pattern[str], list[int]]:
    """Matches numbers and what kind of tensor it is; and what the numbers count from."""
    pieces = re.split(r"\{([01])\}", theirs)
    pattern = r"(\d+)".join(map(re.escape, pieces[::2])) + r"((?:\.\w+)?)"
    return re.compile(pattern), [int(start) for start in pieces[1::2]]


def prefixed(theirs: str, ours: str, names: Mapping[str, str]) -> dict[str, str]:
    """The names of a block's layers, after where the block stands."""
    return {f"{theirs}.{name}": f"{ours}.{names[name]}" for name in names}


def length(state: State, layers: str) -> int:
    """How many entries a list of layers has.

    Raises:
        KeyError: if it has none, or one is missing between others.
    """
    numbers = {int(name[len(layers) + 1 :].split(".")[0]) for name in state if name.startswith(f"{layers}.")}
    for number in range(max(len(numbers), 1)):
        if number not in numbers:
            raise KeyError(f"{layers}.{number}")
    return len(numbers)


def shuffled_scale(weight: Tensor, outputs: int = 3) -> int:
    """The scale of a pixel shuffle from the weight of the convolution before it."""
    return math.isqrt(weight.shape[0] // outputs)


def from_tensorflow(kernel: Tensor, *, depthwise: bool = False) -> Tensor:
    """A kernel (height, width, inputs, outputs), or depthwise (height, width, channels, 1), as torch has it."""
    return kernel.permute(2, 3, 0, 1) if depthwise else kernel.permute(3, 2, 0, 1)


def channels_first(state: State) -> State:
    """TensorFlow's tensors with their kernels as torch has them."""
    return {name: from_tensorflow(tensor) if tensor.ndim == 4 else tensor for name, tensor in state.items()}
