"""What a network costs on paper: parameters, multiply-adds, activations, convolutions."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

__all__ = ["Counts", "count"]

aten = torch.ops.aten
RECTIFIERS = {aten.relu, aten.relu_, aten.leaky_relu, aten.leaky_relu_, aten._prelu_kernel, aten.elu, aten.hardtanh}
PRODUCTS = {aten.mm, aten.addmm, aten.bmm}


@dataclass(frozen=True)
class Counts:
    """The cost measures of the AIM and NTIRE efficient super-resolution challenges that no clock is needed for."""

    parameters: int
    multiply_adds: int
    """Of convolutions and dense layers without their biases, one for each value that a ReLU or one of its kin makes,
    two for each that an affine batch normalisation makes; sums, products, pooling and interpolation are free, the
    last also where it is a convolution with kernels that are not learnt."""
    activations: int
    """Elements of the outputs of all convolutions."""
    convolutions: int
    """How many are run."""


def count(network: nn.Module, height: int = 256, width: int = 256, channels: int = 3) -> Counts:
    """Count one run on an LR image, as the AIM 2020 efficient super-resolution challenge does (arXiv:2009.06943).

    Nothing is computed: only shapes flow, so that any network and size takes no time.

    Args:
        network: takes (1, channels, height, width).
        height: of the LR image, in pixels.
        width: likewise.
        channels: likewise, 3 for RGB.
    """
    shapes = copy.deepcopy(network).eval().to("meta").requires_grad_()
    with torch.enable_grad(), _Tally() as tally:
        shapes(torch.empty(1, channels, height, width, device="meta"))
    parameters = sum(parameter.numel() for parameter in network.parameters())
    return Counts(parameters, tally.multiply_adds, tally.activations, tally.convolutions)


class _Tally(TorchDispatchMode):
    """Sees every operation, also those that no module stands for."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.multiply_adds = self.activations = self.convolutions = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        operation = function.overloadpacket
        if operation is aten.convolution and args[1].requires_grad:
            pixels = made.numel() // made.shape[1]
            self.multiply_adds += args[1].numel() * pixels
            self.activations += made.numel()
            self.convolutions += 1
        elif operation in PRODUCTS:
            self.multiply_adds += args[-2].numel() * args[-1].shape[-1]
        elif operation in RECTIFIERS:
            self.multiply_adds += made.numel()
        elif operation is aten.native_batch_norm and args[1] is not None:
            self.multiply_adds += 2 * made[0].numel()
        return made
