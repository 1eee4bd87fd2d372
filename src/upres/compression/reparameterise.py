"""Re-parameterisation: what only training needs is folded into plain convolutions."""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from upres.networks.reparameterised import ReparameterisedConvolution

__all__ = ["merge"]

ModuleT = TypeVar("ModuleT", bound=nn.Module)


def merge(network: ModuleT) -> ModuleT:
    """A copy in evaluation mode, with the same output to 1e-5, of which no more is left than has to run.

    The convolutions of `upres.networks.reparameterised` become plain ones, and batch norm that directly follows a
    convolution, or a transposed one without groups, in a `torch.nn.Sequential` is folded into that convolution.

    Args:
        network: stays as it is.
    """
    return _merge(copy.deepcopy(network).eval())  # type: ignore[return-value]


def _merge(module: nn.Module) -> nn.Module:
    if isinstance(module, ReparameterisedConvolution):
        return module.merged().eval()
    for name, child in module.named_children():
        module.add_module(name, _merge(child))
    if isinstance(module, nn.Sequential):
        for i in reversed(range(len(module) - 1)):
            convolution, norm = module[i], module[i + 1]
            if isinstance(norm, nn.BatchNorm2d) and isinstance(convolution, (nn.Conv2d, nn.ConvTranspose2d)):
                transposed = isinstance(convolution, nn.ConvTranspose2d)
                if not transposed or convolution.groups == 1:
                    module[i] = fused = fuse_conv_bn_eval(convolution, norm, transpose=transposed)
                    assert fused.bias is not None
                    fused.bias.requires_grad_(fused.weight.requires_grad)  # also where there was none to begin with
                    del module[i + 1]
    return module
