"""Weights for a new network from one that is much like it, so that it need not begin at nothing.

Where only depth grows, or width, or what convolutions train as, the new network begins as the same function (Chen et
al., Net2Net, arXiv:1511.05641); otherwise it keeps what fits.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from upres.networks import Network
from upres.networks.bicubicpp import BASES, BicubicPlusPlus
from upres.networks.blocks import convolution
from upres.networks.reparameterised import AsymmetricConvolution, EdgeOrientedConvolution, ReparameterisedConvolution

__all__ = ["inherit"]

ADDITIVE = (AsymmetricConvolution, EdgeOrientedConvolution)
"""Re-parameterised convolutions of whose kernel the weight is one term."""


@torch.no_grad()
def inherit(network: Network, parent: Network) -> None:
    """Give a network what it can have of a parent's weights.

    Output channels that the parent lacks stay as they are drawn; input channels that it lacks have no influence at
    first. Of a narrower network, the first channels are taken. Convolutions that the parent lacks in a block of a plain
    stack pass on what they get; blocks that it lacks add nothing. Between plain stacks that work at different
    resolutions, nothing is taken.

    Args:
        network: is changed; with fresh weights.
        parent: of any structure.
    """
    if network.alignment != parent.alignment:
        return
    theirs = dict(parent.named_modules())
    for name, module in network.named_modules():
        if name not in theirs:
            continue
        other = theirs[name]
        if isinstance(other, nn.Conv2d) and other.stride == (2, 2) and _splits_blocks(network):
            other = _of_blocks(other)
        if isinstance(module, nn.Conv2d) and isinstance(other, nn.Conv2d):
            _take(module, other)
        elif type(module) is type(other):
            own = dict(module.named_parameters(recurse=False))
            for kind, tensor in other.named_parameters(recurse=False):
                if kind in own and own[kind].shape == tensor.shape:
                    own[kind].copy_(tensor)
    if isinstance(network, BicubicPlusPlus) and isinstance(parent, BicubicPlusPlus):
        for number, block in enumerate(network.blocks):
            convolutions = list(block)  # type: ignore[call-overload]
            known = len(parent.blocks[number]) if number < len(parent.blocks) else 0  # type: ignore[arg-type]
            for convolution in convolutions[max(known, 1) :]:
                kernel = torch.zeros_like(_kernel(convolution)[0])
                nn.init.dirac_(kernel)
                _set(convolution, kernel, None)
            if not known:
                _set(convolutions[-1], torch.zeros_like(_kernel(convolutions[-1])[0]), None)


def _take(module: nn.Conv2d, other: nn.Conv2d) -> None:
    """The kernel of another convolution, as far as both have its channels."""
    own, theirs = _kernel(module)[0], _kernel(other)
    if own.shape[2:] != theirs[0].shape[2:] or module.groups != other.groups or module.stride != other.stride:
        return
    outputs, inputs = (min(sizes) for sizes in zip(own.shape[:2], theirs[0].shape[:2], strict=True))
    kernel = own.clone()
    kernel[:outputs, theirs[0].shape[1] :] = 0
    kernel[:outputs, :inputs] = theirs[0][:outputs, :inputs]
    _set(module, kernel, theirs[1])


def _splits_blocks(network: Network) -> bool:
    """Whether a network begins with the pixels of blocks of 2x2 as channels."""
    basis = getattr(network, "basis", None)
    return basis is not None and torch.equal(basis, BASES["space-to-depth"].repeat(3, 1).reshape(12, 1, 2, 2))


def _of_blocks(strided: nn.Conv2d) -> nn.Conv2d:
    """The convolution of blocks of 2x2 pixels, as channels, that a 3x3 one with stride 2 amounts to."""
    plain = convolution(4 * strided.in_channels, strided.out_channels, bias=strided.bias is not None)
    plain.weight.zero_()
    kernel = plain.weight.view(
        -1, strided.in_channels, 2, 2, 3, 3
    )  # of the blocks' rows and columns, then the kernel's
    for row in range(3):
        for column in range(3):
            # Rows -1, 0 and 1 of the picture are the last of the block before, and both of the block itself.
            (above, y), (beside, x) = divmod(row + 1, 2), divmod(column + 1, 2)
            kernel[:, :, y, x, above, beside] = strided.weight[:, :, row, column]
    if plain.bias is not None and strided.bias is not None:
        plain.bias.copy_(strided.bias)
    return plain


def _kernel(module: nn.Conv2d) -> tuple[Tensor, Tensor | None]:
    if isinstance(module, ReparameterisedConvolution):
        return module.kernel()
    return module.weight, module.bias


def _set(module: nn.Conv2d, kernel: Tensor, bias: Tensor | None) -> None:
    """Make a convolution amount to a kernel and a bias, where it can; no bias is 0."""
    if isinstance(module, ReparameterisedConvolution) and not isinstance(module, ADDITIVE):
        return
    now, own = _kernel(module)
    if isinstance(module, ADDITIVE):
        module.weight += kernel - now
    else:
        module.weight.copy_(kernel)
    if own is None:
        return
    wanted = torch.zeros_like(own) if bias is None else own.clone()
    if bias is not None:
        shared = min(len(own), len(bias))
        wanted[:shared] = bias[:shared]
    if isinstance(module, EdgeOrientedConvolution):
        assert module.spatial.bias is not None
        module.spatial.bias += wanted - own
    else:
        assert module.bias is not None
        module.bias.copy_(wanted)
