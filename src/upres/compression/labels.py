"""Labels of channels that go the way of the data, to tell which channels depend on each other.

Every channel that a layer makes has a label of its own. Operations that move values (concatenation, split, pixel
shuffle) move their labels by the very same operation; where values of several labels meet in one (skips, products,
depthwise convolutions), those labels become one; and the inputs of a layer have the labels of what comes in.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.weak import WeakTensorKeyDictionary

from upres.networks import Network
from upres.networks.blocks import convolution
from upres.networks.reparameterised import ReparameterisedConvolution

__all__ = ["FIXED", "Axis", "labels_of"]

Axis = tuple[str, int]
"""The name of a tensor in a network's state, and one of its axes."""

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


def labels_of(network: Network) -> dict[Axis, list[int]]:
    """A label for every channel of a network's tensors, equal where channels depend on each other.

    `FIXED` are those of pictures, those that meet constants, and those that operations see that are not known here.
    Axes of layers that do not run, and axes that are no channels, are not there.

    Args:
        network: is run once, of which only shapes flow.
    """
    shapes = copy.deepcopy(network).eval().to("meta")
    modules = dict(shapes.named_modules())
    replaced = {path: module for path, module in modules.items() if isinstance(module, ReparameterisedConvolution)}
    for path, module in replaced.items():
        sizes = (module.in_channels, module.out_channels, module.kernel_size[0])
        shapes.set_submodule(path, convolution(*sizes, groups=module.groups, bias=False).to("meta"))
    tracer = _Tracer(shapes)
    lr = torch.empty(1, 3, network.minimum, network.minimum, dtype=next(shapes.parameters()).dtype, device="meta")
    with torch.no_grad(), tracer:
        tracer.fix(shapes(lr))
    axes = tracer.axes
    for path, module in replaced.items():
        outputs, inputs = axes.pop((f"{path}.weight", 0), None), axes.pop((f"{path}.weight", 1), None)
        if outputs is None or inputs is None:
            continue  # it does not run
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
        differ = (first != second) & (first != FREE) & (second != FREE)
        count = len(self._parents)
        for pair in set((first * count + second)[differ].long().tolist()):
            older, newer = sorted(map(self.root, divmod(pair, count)))
            self._parents[newer] = older

    def fix(self, tensor: Tensor) -> None:
        """Keep the channels of a tensor."""
        self.tie(self._of(tensor), FIXED)

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
            meeting = [self._of(tensor).expand(made.shape) for tensor in tensors]
            self._labels[made] = torch.stack(meeting).amax(0)
            for labels in meeting:
                self.tie(self._labels[made], labels)
        else:
            for tensor in tensors:
                self.fix(tensor)
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


def _meets_channels(features: Tensor, axes: Sequence[int] | None = None) -> bool:
    """Whether a reduction over these axes, or all, is also over the channels."""
    return not axes or any(axis % features.ndim < 2 for axis in axes)
