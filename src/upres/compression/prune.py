"""Structured pruning: channels are removed from a network until it is small enough."""

from __future__ import annotations

import statistics
import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

import numpy as np

from upres.compression.channels import ChannelGroup, channel_groups, remove, spare
from upres.compression.export import to_onnx
from upres.compression.labels import Axis
from upres.compression.reparameterise import merge
from upres.networks import Network
from upres.networks.count import count
from upres.runtime.card import Card
from upres.runtime.engines import open_engine
from upres.runtime.graph import picture_graph

__all__ = ["ChannelGroup", "Stopwatch", "channel_groups", "prune", "remove"]

NetworkT = TypeVar("NetworkT", bound=Network)

SIDE = 256  # of the LR picture that multiply-adds and milliseconds are of
RUNS = 11


class Stopwatch:
    """Measures what networks, merged and exported, take for an LR picture of 256x256 bytes: OpenVINO, f32, all cores.

    Runs of a network and of the first one take turns, so that a machine that is busy for a while does not make one
    look slow: a time is the median ratio of a run to the first one's before it, times what the first one took.

    Args:
        first: network, such as the one that is to become faster.
    """

    def __init__(self, first: Network) -> None:
        self._first = _runner(first)
        self.milliseconds = statistics.median(self._first() for _ in range(2 * RUNS))
        """What the first network took, the median of its runs."""

    def __call__(self, network: Network) -> float:
        """The milliseconds that a network takes."""
        run = _runner(network)
        ratios = [(1 / self._first()) * run() for _ in range(RUNS)]
        return self.milliseconds * statistics.median(ratios)


def _runner(network: Network) -> Callable[[], float]:
    """Runs a network once and gives the milliseconds that it took."""
    card = Card("pruned", network.scale, network.halo, network.alignment, network.minimum)
    engine = open_engine("openvino", picture_graph(card, to_onnx(merge(network)), np.dtype(np.uint8)), "f32", None)
    lr = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)

    def run() -> float:
        start = time.perf_counter()
        engine.run(lr)
        return 1000 * (time.perf_counter() - start)

    run()  # compiles
    return run


def prune(
    network: NetworkT,
    *,
    score: Callable[[NetworkT], float] | None = None,
    by: Literal["validation", "magnitude"] = "validation",
    channels: int | None = None,
    parameters: int | None = None,
    multiply_adds: int | None = None,
    milliseconds: float | None = None,
    candidates: int = 100,
    seed: int = 0,
    measure: Callable[[NetworkT], float] | None = None,
) -> NetworkT:
    """A copy of a network without its least useful channels, smaller than exactly one target says.

    By validation, removals are tried: of all groups of channels that can go, or of a random sample where there are
    more than ``candidates``, the one goes without which the score is best, and so on; no magnitude and no gradient
    decides. That is how Bicubic++ comes from 34 channels to 32 (Bilecen and Ayazoglu, arXiv:2305.02126). Where the
    target is not ``channels``, what counts is the score lost for each parameter or multiply-add that is saved. By
    magnitude, the groups go whose kernels have the least mean absolute value, compared with the other groups of the
    same layers (after Li et al., Pruning Filters for Efficient ConvNets, ICLR 2017, arXiv:1608.08710).

    Args:
        network: stays as it is.
        score: the higher the better, such as the mean PSNR on validation pictures; for ``validation``.
        by: which channels are the least useful.
        channels: no layer keeps more channels of a kind, which are those that can stand for one another: a layer
            whose output is split has several kinds, and layers that a skip connects have one in common.
        parameters: of the merged network, at most.
        multiply_adds: likewise, for an LR picture of 256x256, as `upres.networks.count` counts.
        milliseconds: likewise, as ``measure`` finds.
        candidates: removals that are tried for one that is made, at most.
        seed: of their choice.
        measure: gives the milliseconds that a network takes; by default a `Stopwatch`.

    Raises:
        ValueError: if there is not exactly one target, or it cannot be reached: the text says how far it goes.
    """
    targets = {"parameters": parameters, "multiply_adds": multiply_adds, "milliseconds": milliseconds}
    given = {name: limit for name, limit in {"channels": channels, **targets}.items() if limit is not None}
    if len(given) != 1:
        raise ValueError("prune to exactly one of channels, parameters, multiply_adds and milliseconds")
    if by not in ("validation", "magnitude"):
        raise ValueError(f"prune by validation or magnitude, not {by!r}")
    if by == "validation" and score is None:
        raise ValueError("pruning by validation needs a score")
    [(target, limit)] = given.items()
    if target == "milliseconds" and measure is None:
        measure = Stopwatch(network)

    def cost(pruned: NetworkT, room: _Room) -> float:
        if target == "channels":
            return room.widest()
        return measure(pruned) if measure and target == "milliseconds" else _counted(pruned, target)

    groups = _by_magnitude(network, channel_groups(network))
    if not groups:
        raise ValueError("no channels of this network are known to go without harm, so it cannot be pruned")
    room = _Room(network, groups, channels)
    order = [group for group in groups if room.take(group)]
    smallest = remove(network, order)
    reached = cost(smallest, room)
    if reached > limit:
        raise _unreachable(target, reached, limit)
    if score is None or by == "magnitude":
        if target == "channels":
            return smallest
        fewest = bisect_left(
            range(len(order)), True, key=lambda number: cost(remove(network, order[:number]), room) <= limit
        )
        return remove(network, order[:fewest])

    random = np.random.default_rng(seed)
    room = _Room(network, groups, channels)
    removed: list[ChannelGroup] = []
    pruned = remove(network, removed)
    now = score(pruned)
    while (reached := cost(pruned, room)) > limit:
        options = [group for group in groups if room.admits(group)]
        if not options:
            raise _unreachable(target, reached, limit)
        chosen = random.choice(len(options), min(candidates, len(options)), replace=False)
        counted = {"channels": None, "parameters": "parameters"}.get(target, "multiply_adds")
        tried = [options[place] for place in sorted(chosen)]
        group, now = _least_missed(network, removed, tried, score, now, counted)
        room.take(group)
        groups.remove(group)
        removed.append(group)
        pruned = remove(network, removed)
    return pruned


def _least_missed(
    network: NetworkT,
    removed: list[ChannelGroup],
    options: list[ChannelGroup],
    score: Callable[[NetworkT], float],
    now: float,
    counted: str | None,
) -> tuple[ChannelGroup, float]:
    """The group without which least of the score now is lost, for each of what is counted, and the score then."""
    saved: dict[object, int] = {}  # by one group of a family as by another
    before = _counted(remove(network, removed), counted) if counted else 1
    trials = []
    for group in options:
        smaller = remove(network, [*removed, group])
        if group.family not in saved:
            saved[group.family] = max(before - _counted(smaller, counted), 1) if counted else 1
        then = score(smaller)
        trials.append(((then - now) / saved[group.family], group, then))
    _, group, then = max(trials, key=lambda trial: trial[0])
    return group, then


class _Room:
    """What can still be removed from a network.

    Args:
        network: whole.
        groups: that it has.
        channels: of a kind that stay; None for one.
    """

    def __init__(self, network: Network, groups: Sequence[ChannelGroup], channels: int | None) -> None:
        self._free = spare(network)
        self._stay = channels or 0
        self._widths: Counter[object] = Counter()
        for group in groups:
            self._widths[group.family] += group.channels

    def widest(self) -> int:
        """Channels of the kind that has most."""
        return max(self._widths.values(), default=0)

    def admits(self, group: ChannelGroup) -> bool:
        """Whether a group can be removed."""
        wide = self._widths[group.family] > self._stay
        return wide and all(len(channels) <= self._free[axis] for axis, channels in group.places)

    def take(self, group: ChannelGroup) -> bool:
        """Note that a group is removed, if it can be."""
        if admitted := self.admits(group):
            self._widths[group.family] -= group.channels
            self._free.subtract({axis: len(channels) for axis, channels in group.places})
        return admitted


def _unreachable(target: str, reached: float, limit: float) -> ValueError:
    return ValueError(f"{target} can be pruned to {reached:,} at the least, not to {limit:,}")


def _counted(network: Network, what: str) -> int:
    counts = count(merge(network), SIDE, SIDE)
    return counts.parameters if what == "parameters" else counts.multiply_adds


def _by_magnitude(network: Network, groups: Sequence[ChannelGroup]) -> list[ChannelGroup]:
    """Groups from the least mean absolute value of their kernels, relative to their family's, to the largest."""
    sums: dict[Axis, list[float]] = {}  # over all of each channel
    sizes: dict[Axis, int] = {}
    for name, tensor in network.state_dict().items():
        for axis in range(tensor.ndim if tensor.ndim >= 4 else 0):
            sums[name, axis] = (
                tensor.float().abs().sum([other for other in range(tensor.ndim) if other != axis]).tolist()
            )
            sizes[name, axis] = tensor.numel() // tensor.shape[axis]

    def magnitude(group: ChannelGroup) -> float:
        kernels = [(axis, channels) for axis, channels in group.places if axis in sums]
        total = sum(sums[axis][channel] for axis, channels in kernels for channel in channels)
        return total / sum(sizes[axis] * len(channels) for axis, channels in kernels)

    magnitudes = [magnitude(group) for group in groups]
    of_families: dict[object, list[float]] = defaultdict(list)
    for group, value in zip(groups, magnitudes, strict=True):
        of_families[group.family].append(value)
    means = {family: statistics.fmean(values) or 1.0 for family, values in of_families.items()}
    ranks = [value / means[group.family] for group, value in zip(groups, magnitudes, strict=True)]
    return [groups[place] for place in np.argsort(ranks, kind="stable")]
