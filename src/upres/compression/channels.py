"""Which channels of a network depend on each other, and how they are removed.

A channel is made by one layer and used by others; skips, products, depthwise convolutions and pixel shuffles tie
channels of several layers to each other, and concatenations and splits move them. All this shows when labels go the
way of the data: every channel that a layer makes has a label of its own, operations that move values move their labels
by the very same operation, and where values of several labels meet in one, those labels become one. Channels of one
label can only be removed together (Fang et al., DepGraph, CVPR 2023, arXiv:2301.12900, has the same groups).
"""

from __future__ import annotations

import copy
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.weak import WeakTensorKeyDictionary

from upres.networks import Network
from upres.networks.blocks import convolution
from upres.networks.checkpoint import fit
from upres.networks.reparameterised import ReparameterisedConvolution

__all__ = ["Axis", "ChannelGroup", "channel_groups", "remove", "spare"]

Axis = tuple[str, int]
"""The name of a tensor in a network's state, and one of its axes."""

NetworkT = TypeVar("NetworkT", bound=Network)

aten = torch.ops.aten
FREE, FIXED = 0, 1
"""The labels of what goes with any channel, such as padding and numbers, and of what cannot be removed."""
MOVES = {
    aten.cat,
    aten.channel_shuffle,
    aten.constant_pad_nd,
    aten.expand,
    aten.flip,
    aten.permute,
    aten.pixel_shuffle,
    aten.pixel_unshuffle,
    aten.reflection_pad2d,
    aten.replication_pad2d,
    aten.roll,
    aten.select,
    aten.slice,
    aten.split,
    aten.split_with_sizes,
    aten.squeeze,
    aten.stack,
    aten.transpose,
    aten.unbind,
    aten.unsqueeze,
    aten.upsample_nearest2d,
}
"""Operations that only move values: they move labels likewise."""
RESHAPES = {aten._unsafe_view, aten.reshape, aten.view}
ELEMENTWISE = {aten._prelu_kernel, aten._to_copy, aten.alias, aten.clone, aten.hardswish, aten.zeros_like}
"""Beside those that torch says it of."""
WITHIN_CHANNELS = {
    aten._adaptive_avg_pool2d,
    aten.amax,
    aten.avg_pool2d,
    aten.max_pool2d_with_indices,
    aten.mean,
    aten.sum,
    aten.upsample_bicubic2d,
    aten.upsample_bilinear2d,
    aten.var,
}
"""Operations by which values of one channel (N, channels, H, W) meet, and those of several do not."""
REDUCTIONS = {aten.amax, aten.mean, aten.sum, aten.var}  # unless over the channels


@dataclass(frozen=True)
class ChannelGroup:
    """Channels that can only be removed together."""

    places: tuple[tuple[Axis, tuple[int, ...]], ...]
    """Which channels of which axes these are."""

    @property
    def family(self) -> tuple[tuple[Axis, int], ...]:
        """What groups have in common that stand for one another: the axes, and how many channels of each."""
        return tuple((axis, len(channels)) for axis, channels in self.places)

    @property
    def channels(self) -> int:
        """How many channels of a layer these are; one, but for those that group convolutions and halves tie."""
        return min(len(channels) for _, channels in self.places)


def channel_groups(network: Network) -> list[ChannelGroup]:
    """All groups of channels that `remove` can remove from a network, whichever its weights are.

    Not among them are the channels of pictures, those that are tied to constants or to all others of their layer,
    those that only layers have which do not run, and those that operations see that are not known here.

    Args:
        network: is run once, of which only shapes flow.
    """
    roots = _roots(network)
    found: dict[int, dict[Axis, list[int]]] = defaultdict(lambda: defaultdict(list))
    for axis, labels in roots.items():
        for channel, label in enumerate(labels):
            found[label][axis].append(channel)
    del found[FIXED]
    free = spare(network)
    groups = [
        ChannelGroup(tuple((axis, tuple(channels)) for axis, channels in sorted(places.items())))
        for _, places in sorted(found.items())
        if all(len(channels) <= free[axis] for axis, channels in places.items())
    ]
    separable = {group.family for group in _separable(network, roots, [*{g.family: g for g in groups}.values()])}
    return [group for group in groups if group.family in separable]


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
    for path, module in network.named_modules():
        if isinstance(module, nn.Conv2d) and module.groups > 1:
            depthwise = module.groups == module.in_channels
            axes[f"{path}.weight", module.weight.ndim - (4 if depthwise else 3)] -= 1
    return axes


def _separable(network: Network, roots: dict[Axis, list[int]], groups: list[ChannelGroup]) -> list[ChannelGroup]:
    """Those of the groups without which a network runs, with all other channels in their places."""
    if not groups or _runs_without(network, roots, groups):
        return groups
    half = len(groups) // 2
    if not half:
        return []
    return _separable(network, roots, groups[:half]) + _separable(network, roots, groups[half:])


def _runs_without(network: Network, roots: dict[Axis, list[int]], groups: list[ChannelGroup]) -> bool:
    try:
        after = _roots(remove(network, groups))
    except ValueError:
        return False
    if roots.keys() != after.keys():  # of a tensor with one channel left, nothing tells whose it is
        return False
    gone = {(axis, channel) for group in groups for axis, channels in group.places for channel in channels}
    pairs: set[tuple[int, int]] = set()
    for axis, labels in roots.items():
        kept = [label for channel, label in enumerate(labels) if (axis, channel) not in gone]
        pairs.update(zip(kept, after[axis], strict=True))
    before, now = (set(labels) for labels in zip(*pairs, strict=True))
    return len(pairs) == len(before) == len(now)


def _roots(network: Network) -> dict[Axis, list[int]]:
    """The labels of all channels of a network's tensors, equal where channels are tied."""
    shapes = copy.deepcopy(network).eval().to("meta")
    replaced = {
        path: module for path, module in shapes.named_modules() if isinstance(module, ReparameterisedConvolution)
    }
    for path, module in replaced.items():
        sizes = (module.in_channels, module.out_channels, module.kernel_size[0])
        shapes.set_submodule(path, convolution(*sizes, groups=module.groups).to("meta"))
    tracer = _Tracer(shapes)
    lr = torch.empty(1, 3, network.minimum, network.minimum, dtype=next(shapes.parameters()).dtype, device="meta")
    with torch.no_grad(), tracer:
        shapes(lr)
    axes = tracer.axes
    for path, module in replaced.items():
        outputs, inputs = axes.pop((f"{path}.weight", 0)), axes.pop((f"{path}.weight", 1))
        axes.pop((f"{path}.bias", 0))
        for name, tensor in module.state_dict().items():
            for axis, letter in enumerate(module.axes.get(name.partition(".")[0], "")[: tensor.ndim]):
                if letter != "-":
                    labels = inputs if letter == "i" else outputs
                    axes[f"{path}.{name}", axis] = labels.repeat(tensor.shape[axis] // len(labels))
                if letter == "=":
                    tracer.tie(inputs, outputs)
    return {axis: [tracer.root(label) for label in labels.long().tolist()] for axis, labels in axes.items()}


class _Tracer(TorchDispatchMode):
    """Sees every operation of one run and lets labels go the way of the data.

    Args:
        shapes: the network, whose convolutions are plain.
    """

    def __init__(self, shapes: nn.Module) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.axes: dict[Axis, Tensor] = {}
        """Labels of the axes of those of the network's tensors that are used."""
        self._parents = [FREE, FIXED]
        self._labels: Any = WeakTensorKeyDictionary()  # of every element of a tensor, in its shape
        self._names = {id(tensor): name for name, tensor in shapes.state_dict(keep_vars=True).items()}
        layers = [module for module in shapes.modules() if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d))]
        self._kernels = {id(layer.weight) for layer in layers}

    def root(self, label: int) -> int:
        """The label that stands for all that are tied to this one."""
        while self._parents[label] != label:
            self._parents[label] = label = self._parents[self._parents[label]]
        return label

    def tie(self, first: Tensor, second: Tensor | int) -> None:
        """Make labels in the same places the same, after broadcasting."""
        pairs = torch.stack(torch.broadcast_tensors(first, torch.as_tensor(second, dtype=first.dtype)), dim=-1)  # type: ignore[no-untyped-call]
        differ = (pairs[..., 0] != pairs[..., 1]) & (pairs != FREE).all(-1)
        for pair in torch.unique(pairs[differ], dim=0).long().tolist():
            older, newer = sorted(map(self.root, pair))
            self._parents[newer] = older

    def _new(self, axis: Axis, size: int) -> Tensor:
        """Labels for an axis of a tensor of the network."""
        if axis not in self.axes:
            start = len(self._parents)
            self._parents += range(start, start + size)
            self.axes[axis] = torch.arange(start, start + size, dtype=torch.float64)  # which all operations take
        return self.axes[axis]

    def _of(self, tensor: Tensor) -> Tensor:
        """The labels of a tensor's elements."""
        if tensor not in self._labels:
            name, axes = self._names.get(id(tensor)), [axis for axis, size in enumerate(tensor.shape) if size > 1]
            labels = torch.full(tensor.shape, FIXED if axes else FREE, dtype=torch.float64)
            if id(tensor) in self._kernels:
                for axis_labels in self._of_kernel(tensor):
                    self.tie(axis_labels, FIXED)  # for its elements are used, and not to convolve
            elif name is not None and len(axes) == 1:
                labels = self._new((name, axes[0]), tensor.numel()).reshape(tensor.shape)
            self._labels[tensor] = labels
        return self._labels[tensor]  # type: ignore[no-any-return]

    def _of_kernel(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """The labels of the first two axes of a convolution's weight."""
        name = self._names[id(weight)]
        return self._new((name, 0), weight.shape[0]), self._new((name, 1), weight.shape[1])

    def _of_channels(self, features: Tensor) -> Tensor:
        """One label for each channel (N, channels, ...), which ties those within a channel."""
        labels = self._of(features).transpose(0, 1).flatten(1)
        self.tie(labels, labels.amax(1, keepdim=True))
        return labels.amax(1)

    def _set_channels(self, made: Tensor, labels: Tensor) -> None:
        self._labels[made] = labels.reshape(1, -1, *[1] * (made.ndim - 2)).expand(made.shape)

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        made = function(*args, **kwargs)
        operation = function.overloadpacket
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        if operation is aten.convolution and id(args[1]) in self._kernels and (args[8] == 1 or not args[6]):
            self._set_channels(made, self._convolve(*args[:3], transposed=args[6], groups=args[8]))
        elif operation is aten.native_batch_norm:
            labels = self._of_channels(args[0])
            for tensor in tensors[1:]:
                self.tie(labels, self._of(tensor))
            self._set_channels(made[0], labels)
        elif operation in WITHIN_CHANNELS and not (operation in REDUCTIONS and _meets_channels(*args[:2])):
            self._set_channels(made if isinstance(made, Tensor) else made[0], self._of_channels(args[0]))
        elif operation in RESHAPES:
            self._labels[made] = self._of(args[0]).reshape(args[1])
        elif operation in MOVES:
            self._move(function, made, args, kwargs)
        elif operation in ELEMENTWISE or torch.Tag.pointwise in function.tags:
            met = [self._of(tensor).expand(made.shape) for tensor in tensors]
            for others in met[1:]:
                self.tie(met[0], others)
            self._labels[made] = torch.stack(met).amax(0)
        else:
            for tensor in tensors:
                self.tie(self._of(tensor), FIXED)
        return made

    def _convolve(
        self, features: Tensor, weight: Tensor, bias: Tensor | None, *, transposed: bool, groups: int
    ) -> Tensor:
        """The labels of what a convolution makes."""
        inputs = self._of_channels(features)
        inputs = inputs.where(inputs != FREE, FIXED)
        first, second = self._of_kernel(weight)
        outputs = second if transposed else first
        if transposed:
            self.tie(inputs, first)
        elif 1 < groups == len(inputs):
            self.tie(inputs[:, None], first.reshape(groups, -1))
        else:  # channels in the same place of every group
            self.tie(inputs.reshape(groups, -1), second)
            self.tie(first.reshape(groups, -1), first[: len(first) // groups])
        if bias is not None:
            self.tie(outputs, self._of(bias))
        return outputs

    def _move(self, function: Any, made: Any, args: Any, kwargs: Any) -> None:
        if function.overloadpacket is aten.constant_pad_nd:
            args = args[:2]  # with FREE
        moved = function(*tree_map(lambda leaf: self._of(leaf) if isinstance(leaf, Tensor) else leaf, args), **kwargs)
        for tensor, labels in zip(tree_leaves(made), tree_leaves(moved), strict=True):
            self._labels[tensor] = labels
        if function.overloadpacket is aten.split and len({tensor.shape for tensor in made}) == 1:
            for labels in moved:
                self.tie(moved[0], labels)  # so that halves stay halves


def _meets_channels(features: Tensor, axes: Sequence[int]) -> bool:
    """Whether a reduction over these axes is also over the channels."""
    return features.ndim < 3 or any(axis % features.ndim < 2 for axis in axes)
