"""Re-parameterisation: what only training needs is folded into plain convolutions."""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils.fusion import fuse_conv_bn_eval

from upres.networks.reparameterised import ReparameterisedConvolution

__all__ = ["merge"]

ModuleT = TypeVar("ModuleT", bound=nn.Module)


def merge(network: ModuleT) -> ModuleT:
    """A copy in evaluation mode, with the same output to 1e-5, of which no more is left than has to run.

    Folded are the convolutions of `upres.networks.reparameterised` into plain ones, weight normalisation into the
    weights, and batch norm that directly follows a convolution, or a transposed one, in a `torch.nn.Sequential`
    into that convolution.

    Args:
        network: stays as it is.
    """
    return _merge(copy.deepcopy(network).eval())  # type: ignore[return-value]


def _merge(module: nn.Module) -> nn.Module:
    if isinstance(module, ReparameterisedConvolution):
        return module.merged()
    if parametrize.is_parametrized(module, "weight"):
        parametrize.remove_parametrizations(module, "weight")
    for name, child in module.named_children():
        module.add_module(name, _merge(child))
    if isinstance(module, nn.Sequential):
        for i in reversed(range(len(module) - 1)):
            convolution, norm = module[i], module[i + 1]
            if isinstance(convolution, (nn.Conv2d, nn.ConvTranspose2d)) and isinstance(norm, nn.BatchNorm2d):
                module[i] = fuse_conv_bn_eval(convolution, norm, transpose=isinstance(convolution, nn.ConvTranspose2d))
                del module[i + 1]
    return module
