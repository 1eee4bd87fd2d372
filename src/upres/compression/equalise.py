"""Equalisation: channels that are rounded to the same levels are made to reach equally far, and draw what they drew."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from upres.compression.channels import ChannelGroup, channel_groups
from upres.networks import Network

__all__ = ["equalised"]

LEAST = 1e-3
"""Of how far a layer's features reach: channels that reach less are taken for this, so that dead ones stay finite."""

EQUAL = 1e-5
"""Of white: what a picture may change by, which is rounding in floating point."""


@torch.no_grad()
def equalised(network: Network, batches: Sequence[Tensor]) -> Network:
    """A copy in which the channels that skips add to reach about equally far.

    Convolutions, sums and ReLUs, leaky or not, let a channel be multiplied by a number where it is made, if it is
    divided by it where it is read (Nagel et al., Data-Free Quantization, ICCV 2019, arXiv:1906.04721, section 4.1). A
    skip ties a channel of several layers to each other, which have one number: the inverse of what share of each
    layer's reach the channel has in the mean. Channels of one layer alone stay: they would only be cut off sooner.

    Args:
        network: merged; stays as it is.
        batches: (N, 3, H, W) of LR in [0, 1].
    """
    families: dict[object, list[ChannelGroup]] = defaultdict(list)
    for group in channel_groups(network):
        families[group.family].append(group)
    for groups in filter(partial(_add_up, network), families.values()):
        scaled = _scaled(network, groups, batches)
        if all(torch.allclose(scaled.upscale(lr), network.upscale(lr), rtol=0, atol=EQUAL) for lr in batches):
            network = scaled
    return network


def _add_up(network: Network, groups: list[ChannelGroup]) -> bool:
    """Whether channels that stand for one another are made by several plain convolutions, and read by such."""
    axes = [axis for axis, channels in groups[0].places if len(channels) == 1]
    layers = [_layer(network, name) for name, _ in axes]
    plain = all(type(layer) is nn.Conv2d and layer.groups == 1 for layer in layers)
    makers = [name for name, axis in axes if axis == 0 and name.endswith(".weight")]
    return len(axes) == len(groups[0].places) and plain and len(makers) > 1 and any(axis == 1 for _, axis in axes)


def _scaled(network: Network, groups: list[ChannelGroup], batches: Sequence[Tensor]) -> Network:
    """Likewise for channels that stand for one another, as if all between their layers were ReLUs and sums."""
    channels = {axis: torch.tensor([dict(group.places)[axis][0] for group in groups]) for axis, _ in groups[0].places}
    readers = [(name, axis) for name, axis in channels if axis == 1]
    reached = torch.stack([_reached(network, name, batches)[channels[name, axis]] for name, axis in readers])
    factors = 1 / (reached / reached.amax(1, keepdim=True)).mean(0).clamp(min=LEAST)
    scaled = copy.deepcopy(network)
    state = scaled.state_dict()
    for (name, axis), numbers in channels.items():
        along = factors.new_ones(state[name].shape[axis]).index_put((numbers,), factors if axis == 0 else 1 / factors)
        state[name].mul_(along.view([-1 if each == axis else 1 for each in range(state[name].ndim)]))
    return scaled


def _layer(network: Network, name: str) -> nn.Module:
    return network.get_submodule(name.rpartition(".")[0])


def _reached(network: Network, name: str, batches: Sequence[Tensor]) -> Tensor:
    """The largest absolute value of each channel that the layer of a weight reads."""
    seen: list[Tensor] = []
    handle = _layer(network, name).register_forward_pre_hook(
        lambda _, inputs: seen.append(inputs[0].abs().amax((0, 2, 3)))
    )
    for lr in batches:
        network.upscale(lr)
    handle.remove()
    return torch.stack(seen).amax(0)
