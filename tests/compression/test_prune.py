from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from upres.compression import prune as module
from upres.compression.channels import channel_groups, remove
from upres.compression.prune import prune
from upres.networks import NETWORKS, Network, NetworkSpec
from upres.networks.checkpoint import load_checkpoint, save_checkpoint
from upres.networks.count import count

SMALL: dict[str, dict[str, Any]] = {
    "bicubicpp": {"channels": 6},
    "bsrn": {"channels": 8, "blocks": 2},
    "carn": {"channels": 4},
    "carn_m": {},
    "classsr": {"base": "fsrcnn", "channels": [4, 6]},
    "ecbsr": {"channels": 4, "blocks": 2},
    "efdn": {},
    "espcn": {},
    "falsr_b": {},
    "fimdn": {"channels": 8, "blocks": 1},
    "fsrcnn": {"features": 6, "shrunk": 4} if False else {},
    "imdn": {"channels": 16, "blocks": 1},
    "johnson": {"channels": 4, "blocks": 1},
    "latticenet": {},
    "maffsrn": {},
    "msrresnet": {"channels": 4, "blocks": 2},
    "pan": {},
    "rfdn": {"channels": 8, "blocks": 1, "attention_channels": 4},
    "rlfn": {"channels": 8, "blocks": 1, "attention_channels": 4},
    "span_ntire2024": {},
    "srcnn": {},
    "srresnet": {"channels": 4, "blocks": 1},
    "uestc_medialab": {"channels": 8, "blocks": 1},
    "vdsr": {},
    "zjuesr": {},
}


def one_of_each(network: Network) -> list[Any]:
    """The first group of every family that can spare one."""
    families: dict[Any, list[Any]] = {}
    for group in channel_groups(network):
        families.setdefault(group.family, []).append(group)
    return [groups[0] for groups in families.values() if len(groups) > 2][:8]


@torch.no_grad()
def silenced(network: Network, groups: list[Any]) -> None:
    """Let channels that are to go be 0 wherever they are made, used and shifted."""
    state = network.state_dict()
    for group in groups:
        for (name, axis), channels in group.places:
            state[name].index_fill_(axis, torch.tensor(channels), 0)
    network.load_state_dict(state)
