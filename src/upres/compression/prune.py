"""Structured pruning: whole channels are removed, and what depends on them, so that the network that is left is dense.

`upres.compression.channels` finds what can only be removed together; here is chosen what goes.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torch import nn

from upres.compression.channels import ChannelGroup, channel_groups, remove, spare
from upres.compression.export import to_onnx
from upres.compression.reparameterise import merge
from upres.networks import Network
from upres.networks.count import count
from upres.runtime.card import Card
from upres.runtime.engines import open_engine
from upres.runtime.model import Model

__all__ = ["prune"]

SIDE = 256  # LR pixels, of what costs are counted and measured of
ROUNDS = 7

Score = Callable[[nn.Module], float]
Family = tuple[object, ...]


def prune(
    network: Network,
    *,
    score: Score,
    by: Literal["validation", "magnitude"] = "validation",
    channels: int | None = None,
    parameters: int | None = None,
    multiply_adds: int | None = None,
    milliseconds: float | None = None,
    candidates: int | None = None,
    seed: int = 0,
) -> Network:
    """A smaller network, of which channels are removed until one target is met.

    ``validation`` tries the removal of one candidate after the other, keeps that after which the score is best, and
    begins again, with neither magnitudes nor gradients (Bicubic++, arXiv:2305.02126, section 3.2). ``magnitude``
    removes those first whose weights are the smallest by their mean absolute value (Li et al., Pruning filters for
    efficient convnets, ICLR 2017, arXiv:1608.08710, section 3.1, which has the sum).

    Args:
        network: stays as it is.
        score: the higher the better, such as PSNR in dB; only ``validation`` asks for it.
        by: what chooses.
        channels: no layer keeps more than this, of those channels that can be removed.
        parameters: at most this many are left.
        multiply_adds: likewise, for an LR picture of 256 x 256, as `upres.networks.count` counts them.
        milliseconds: likewise, for such a picture on this machine, OpenVINO in f32, the median of 7.
        candidates: so many, drawn by the seed, are tried before each removal by validation; None for all.
        seed: of what is drawn.

    Raises:
        ValueError: unless there is exactly one target, or if it cannot be reached; the text says how near one comes.
    """
    targets = {
        "parameters": (parameters, _parameters),
        "multiply_adds": (multiply_adds, _multiply_adds),
        "milliseconds": (milliseconds, _milliseconds),
    }
    wanted = [(name, target, cost) for name, (target, cost) in targets.items() if target is not None]
    if len(wanted) + (channels is not None) != 1:
        raise ValueError("give one target: channels, parameters, multiply_adds or milliseconds")
    groups = channel_groups(network)
    if channels is not None:
        surplus = _Surplus(groups, channels)
        if by == "validation":
            return _by_validation(network, score, surplus.left, candidates, seed)
        return remove(network, surplus.first(_by_magnitude(network, groups)))
    name, target, cost = wanted[0]
    if by == "validation":

        def going_on(network: Network, _: list[ChannelGroup]) -> list[ChannelGroup]:
            return groups if cost(network) > target else []

        pruned = _by_validation(network, score, going_on, candidates, seed)
    else:
        pruned = _until(network, _by_magnitude(network, groups), lambda network: cost(network) <= target)
    if (reached := cost(pruned)) > target:
        raise ValueError(f"{name} = {target}: cannot be reached; without all that can be removed there are {reached}")
    return pruned


class _Surplus:
    """Which groups may still go until no layer has more than so many channels."""

    def __init__(self, groups: list[ChannelGroup], channels: int) -> None:
        self.groups = groups
        sizes = Counter(group.family for group in groups)
        together = {group.family: group.channels for group in groups}
        # A layer keeps what would leave it with fewer channels than are asked for.
        self.removable = {family: max(0, size - -(-channels // together[family])) for family, size in sizes.items()}

    def left(self, _: Network, gone: list[ChannelGroup]) -> list[ChannelGroup]:
        """What may go after some have gone."""
        used = Counter(group.family for group in gone)
        return [group for group in self.groups if used[group.family] < self.removable[group.family]]

    def first(self, groups: list[ChannelGroup]) -> list[ChannelGroup]:
        """Those that go if they go in this order."""
        used: Counter[Family] = Counter()
        gone = []
        for group in groups:
            if used[group.family] < self.removable[group.family]:
                used[group.family] += 1
                gone.append(group)
        return gone


def _by_validation(
    network: Network,
    score: Score,
    left: Callable[[Network, list[ChannelGroup]], list[ChannelGroup]],
    candidates: int | None,
    seed: int,
) -> Network:
    """Without one group after the other, as long as some are left that may go.

    Args:
        network: see `prune`.
        score: see `prune`.
        left: from what is left of the network, and what has gone, to the groups that may go still.
        candidates: see `prune`.
        seed: see `prune`.
    """
    random = np.random.default_rng(seed)
    gone: list[ChannelGroup] = []
    pruned = network
    while tried := [group for group in left(pruned, gone) if group not in gone]:
        if candidates is not None and candidates < len(tried):
            tried = [tried[place] for place in sorted(random.choice(len(tried), candidates, replace=False))]
        results = [(score(made), group, made) for group in tried if (made := _without(network, [*gone, group]))]
        if not results:
            return pruned
        _, group, pruned = max(results, key=lambda result: result[0])
        gone.append(group)
    return pruned


def _without(network: Network, groups: list[ChannelGroup]) -> Network | None:
    """None where a layer would lose its last channel."""
    try:
        return remove(network, groups)
    except ValueError:
        return None


def _by_magnitude(network: Network, groups: list[ChannelGroup]) -> list[ChannelGroup]:
    """From the smallest weights to the largest."""
    state = network.state_dict()
    means: dict[tuple[str, int], torch.Tensor] = {}

    def magnitude(group: ChannelGroup) -> float:
        values = []
        for (name, axis), places in group.places:
            if (name, axis) not in means:
                others = [other for other in range(state[name].ndim) if other != axis]
                means[name, axis] = state[name].double().abs().mean(others) if others else state[name].double().abs()
            values += [means[name, axis][place].item() for place in places]
        return statistics.fmean(values)

    return sorted(groups, key=magnitude)


def _until(network: Network, order: list[ChannelGroup], enough: Callable[[Network], bool]) -> Network:
    """Without the fewest of the first groups that are enough; without all if these are not."""
    order = _removable(network, order)
    few, many = 0, len(order)
    while few < many:
        middle = (few + many) // 2
        if enough(remove(network, order[:middle])):
            many = middle
        else:
            few = middle + 1
    return remove(network, order[:many])


def _removable(network: Network, order: list[ChannelGroup]) -> list[ChannelGroup]:
    """Those that can be removed together, if the first ones go first: layers keep a channel."""
    left = spare(network)
    gone = []
    for group in order:
        if all(len(channels) <= left[axis] for axis, channels in group.places):
            left.subtract({axis: len(channels) for axis, channels in group.places})
            gone.append(group)
    return gone


def _parameters(network: Network) -> float:
    return sum(parameter.numel() for parameter in network.parameters())


def _multiply_adds(network: Network) -> float:
    return count(network, SIDE, SIDE).multiply_adds


def _milliseconds(network: Network) -> float:
    card = Card("pruned", network.scale, network.halo)
    engine = open_engine("openvino", Model(card, to_onnx(merge(network))), np.dtype(np.uint8), "f32", None)
    picture = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
    times = []
    for _ in range(ROUNDS + 1):  # the first one compiles
        start = time.perf_counter()
        engine.run(picture)
        times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[1:])
