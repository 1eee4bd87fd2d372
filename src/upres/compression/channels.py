"""Which channels of a network depend on each other, and how they are removed.

Skips, products, depthwise convolutions and pixel shuffles tie channels of several layers to each other, which can
only be removed together (Fang et al., DepGraph, CVPR 2023, arXiv:2301.12900, has the same groups).
"""

from __future__ import annotations

import copy
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn

from upres.compression.labels import FIXED, Axis, labels_of
from upres.networks import Network
from upres.networks.checkpoint import fit

__all__ = ["ChannelGroup", "channel_groups", "families", "remove", "spare"]

NetworkT = TypeVar("NetworkT", bound=Network)


@dataclass(frozen=True)
class ChannelGroup:
    """Channels that can only be removed together."""

    places: tuple[tuple[Axis, tuple[int, ...]], ...]
    """Which channels of which axes these are."""
    channels: int
    """How many channels of a layer these are; one, but for those that group convolutions and halves tie."""

    @property
    def family(self) -> tuple[tuple[Axis, int], ...]:
        """What groups have in common that stand for one another: the axes, and how many channels of each."""
        return tuple((axis, len(channels)) for axis, channels in self.places)


def channel_groups(network: Network) -> list[ChannelGroup]:
    """All groups of channels that `remove` can remove from a network, whichever its weights are.

    Not among them are the channels of pictures, those that are tied to constants or to all others of their layer,
    those that only layers have which do not run, and those that operations see that are not known here.

    Args:
        network: is run once, of which only shapes flow.
    """
    labels = labels_of(network)
    found: dict[int, dict[Axis, list[int]]] = defaultdict(lambda: defaultdict(list))
    for axis, of_channels in labels.items():
        for channel, label in enumerate(of_channels):
            found[label][axis].append(channel)
    found.pop(FIXED, None)
    free, shared = spare(network), _shared(network)
    groups = [
        ChannelGroup(
            tuple((axis, tuple(channels)) for axis, channels in sorted(places.items())),
            min(len(channels) * shared.get(axis, 1) for axis, channels in places.items()),
        )
        for _, places in sorted(found.items())
        if all(len(channels) <= free[axis] for axis, channels in places.items())
    ]
    # Where a number in the code says how many channels there are, the first or the last of them cannot go.
    ends = [[members[end] for members in families(groups)] for end in (0, -1)]
    if not all(_separable(network, labels, tried) for tried in ends):
        ends = [[group for group in tried if _separable(network, labels, [group])] for tried in ends]
    first, last = ({group.family for group in tried} for tried in ends)
    return [group for group in groups if group.family in first & last]


def families(groups: Sequence[ChannelGroup]) -> list[list[ChannelGroup]]:
    """Groups, together with those that can stand for them."""
    found: dict[object, list[ChannelGroup]] = defaultdict(list)
    for group in groups:
        found[group.family].append(group)
    return list(found.values())


def remove(network: NetworkT, groups: Sequence[ChannelGroup]) -> NetworkT:
    """A copy of a network without some of its channels; a checkpoint of it can be loaded.

    Args:
        network: stays as it is.
        groups: of `channel_groups` of this network.

    Raises:
        ValueError: if this takes a layer's last channel, or what is left does not run.
    """
    gone: dict[Axis, set[int]] = defaultdict(set)
    for group in groups:
        for axis, channels in group.places:
            gone[axis].update(channels)
    for axis, left in spare(network).items():
        if len(gone[axis]) > left:
            raise ValueError(f"{axis[0]} cannot lose {len(gone[axis])} channels, only {left}")
    state = network.state_dict()
    for (name, place), lost in gone.items():
        kept = [channel for channel in range(state[name].shape[place]) if channel not in lost]
        state[name] = state[name].index_select(place, torch.tensor(kept, device=state[name].device))
    pruned = copy.deepcopy(network)
    fit(pruned, state)
    pruned.load_state_dict(state)
    return pruned


def spare(network: nn.Module) -> Counter[Axis]:
    """How many channels each axis of a network's tensors can lose: all but one.

    A convolution in groups keeps two of each group, and a depthwise one two, because the one would look like the other.
    """
    axes: Counter[Axis] = Counter()
    for name, tensor in network.state_dict().items():
        axes.update({(name, axis): size - 1 for axis, size in enumerate(tensor.shape)})
    axes.subtract(dict.fromkeys(_shared(network), 1))
    return axes


def _shared(network: nn.Module) -> dict[Axis, int]:
    """The axes by which convolutions in groups lose channels, and how many of the layer's channels one there is."""
    axes = {}
    for path, module in network.named_modules():
        if isinstance(module, nn.Conv2d) and module.groups > 1:
            depthwise = module.groups == module.in_channels
            axes[f"{path}.weight", module.weight.ndim - (4 if depthwise else 3)] = 1 if depthwise else module.groups
    return axes


def _separable(network: Network, labels: dict[Axis, list[int]], groups: Sequence[ChannelGroup]) -> bool:
    """Whether a network without these groups runs, with all other channels in their places."""
    try:
        after = labels_of(remove(network, groups))
    except ValueError:
        return False
    gone = {(axis, channel) for group in groups for axis, channels in group.places for channel in channels}
    pairs: set[tuple[int, int]] = set()
    for axis in (
        labels.keys() & after.keys()
    ):  # of one channel that is left, which is no axis any more, there is no order
        kept = [label for channel, label in enumerate(labels[axis]) if (axis, channel) not in gone]
        pairs.update(zip(kept, after[axis], strict=True))
    before, now = map(set, zip(*pairs, strict=True))
    return len(pairs) == len(before) == len(now)
