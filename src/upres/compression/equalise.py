"""Equalisation: channels that are rounded to the same levels are made to reach equally far, and draw what they drew."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor, nn

from upres.compression.channels import ChannelGroup, channel_groups, families
from upres.networks import Network

__all__ = ["between_convolutions", "equalised", "multiplied"]

LEAST = 1e-3
"""Of how far a layer's features reach: channels that reach less are taken for this, so that dead ones stay finite."""

EQUAL = 1e-5
"""Of white: what a picture may change by, which is rounding in floating point."""


@torch.no_grad()
def equalised(network: Network, batches: Sequence[Tensor]) -> Network:
    """A copy in which the channels that skips add to reach about equally far; the network itself if it has no such.

    A skip ties a channel of several layers to each other, which have one number to be multiplied by: the inverse of
    what share of each layer's reach the channel has in the mean. Channels of one layer alone stay: they would only be
    cut off sooner.

    Args:
        network: merged; stays as it is.
        batches: (N, 3, H, W) of LR in [0, 1].
    """
    for groups in families(channel_groups(network)):
        makers = sum(axis == 0 and name.endswith(".weight") for (name, axis), _ in groups[0].places)
        if makers > 1 and between_convolutions(network, groups):
            reached = _reached(network, groups, batches)
            factors = 1 / (reached / reached.amax(1, keepdim=True)).mean(0).clamp(min=LEAST)
            network = multiplied(network, groups, factors, batches)
    return network


def between_convolutions(network: Network, groups: Sequence[ChannelGroup]) -> bool:
    """Whether only plain convolutions make and read channels that stand for one another, and some do read them."""
    places = groups[0].places
    layers = [_layer(network, name) for (name, _), _ in places]
    plain = all(type(layer) is nn.Conv2d and layer.groups == 1 for layer in layers)
    alone = all(len(channels) == 1 for _, channels in places)
    return plain and alone and any(axis == 1 for (_, axis), _ in places)


def multiplied(network: Network, groups: Sequence[ChannelGroup], factors: Tensor, batches: Sequence[Tensor]) -> Network:
    """A copy that draws the same, with channels multiplied; the network itself where that is not possible.

    Convolutions, sums and ReLUs, leaky or not, let a channel be multiplied by a number where it is made, if it is
    divided by it where it is read (Nagel et al., Data-Free Quantization, ICCV 2019, arXiv:1906.04721, section 4.1).

    Args:
        network: stays as it is.
        groups: channels that stand for one another, of `between_convolutions`.
        factors: of each of them, positive.
        batches: (N, 3, H, W) of LR in [0, 1], of which the same has to be drawn.
    """
    scaled = copy.deepcopy(network)
    state = scaled.state_dict()
    for (name, axis), numbers in _channels(groups).items():
        along = factors.new_ones(state[name].shape[axis]).index_put((numbers,), factors if axis == 0 else 1 / factors)
        state[name].mul_(along.view([-1 if each == axis else 1 for each in range(state[name].ndim)]))
    same = all(torch.allclose(scaled.upscale(lr), network.upscale(lr), rtol=0, atol=EQUAL) for lr in batches)
    return scaled if same else network


def _channels(groups: Sequence[ChannelGroup]) -> dict[tuple[str, int], Tensor]:
    """The numbers of channels that stand for one another, by axis."""
    return {axis: torch.tensor([dict(group.places)[axis][0] for group in groups]) for axis, _ in groups[0].places}


def _layer(network: Network, name: str) -> nn.Module:
    return network.get_submodule(name.rpartition(".")[0])


def _reached(network: Network, groups: Sequence[ChannelGroup], batches: Sequence[Tensor]) -> Tensor:
    """The largest absolute values of channels as the layers read them, (layers, channels)."""
    readers = {name: numbers for (name, axis), numbers in _channels(groups).items() if axis == 1}
    seen: dict[str, list[Tensor]] = {name: [] for name in readers}

    def note(name: str, _: nn.Module, inputs: tuple[Tensor]) -> None:
        seen[name].append(inputs[0].abs().amax((0, 2, 3))[readers[name]])

    handles = [_layer(network, name).register_forward_pre_hook(partial(note, name)) for name in readers]
    for lr in batches:
        network.upscale(lr)
    for handle in handles:
        handle.remove()
    return torch.stack([torch.stack(of_batches).amax(0) for of_batches in seen.values()])
