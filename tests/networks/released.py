"""Writes a network's weights as its authors would have."""

import re

from torch import nn

from upres.networks.published import Published, State


def released(layout: Published, network: nn.Module) -> State:
    """The network's tensors under the authors' names."""
    return {_theirs(layout, name): tensor for name, tensor in network.state_dict().items()}


def _theirs(layout: Published, name: str) -> str:
    for theirs, ours in layout.names.items():
        match = re.fullmatch(r"(\d+)".join(map(re.escape, ours.split("{}"))) + r"(\.\w+)", name) if ours else None
        if match:
            *numbers, kind = match.groups()
            starts = re.findall(r"\{([01])\}", theirs)
            counted = [int(number) + int(start) for number, start in zip(numbers, starts, strict=True)]
            return re.sub(r"\{[01]\}", "{}", theirs).format(*counted) + kind
    raise AssertionError(f"the authors have no {name}")
