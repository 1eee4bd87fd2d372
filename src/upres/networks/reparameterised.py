"""Convolutions that train through more parameters than they have and run as plain ones.

Sums and sequences of convolutions are convolutions, so each block here can say the one kernel that it amounts to.
`upres.compression.reparameterise.merge` puts plain convolutions in their places.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from upres.networks.blocks import convolution

__all__ = [
    "LAYERS",
    "AsymmetricConvolution",
    "EdgeOrientedConvolution",
    "KernelBases",
    "RepVGGConvolution",
    "ReparameterisedConvolution",
    "WeightNormalisedConvolution",
]


class ReparameterisedConvolution(nn.Conv2d):
    """A convolution that keeps height and width, with a kernel computed from its parameters: see `kernel`.

    Convolving once with that kernel is the same function as running every branch, and costs one convolution. At the
    picture's borders, too: branches that add a bias before another convolution must pad with that bias for their sum
    to be a convolution at all (Zhang et al., ECB, section 3.3).
    """

    axes: ClassVar[Mapping[str, str]] = {"weight": "oi", "bias": "o"}
    """What the first axes of tensors count, by the first part of the tensors' names: ``o`` output channels, or so many
    for each of several in turn; ``i`` input channels of a group; ``=`` channels that are both; ``-`` neither."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, *, groups: int = 1, bias: bool = True) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=bias)

    def kernel(self) -> tuple[Tensor, Tensor | None]:
        """The one weight, of the shape of a plain convolution's, and the bias that the block amounts to."""
        raise NotImplementedError

    def forward(self, features: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H, W)."""
        weight, bias = self.kernel()
        return F.conv2d(features, weight, bias, padding=self.padding, groups=self.groups)

    def merged(self) -> nn.Conv2d:
        """The plain convolution with the same output in evaluation mode."""
        with torch.no_grad():
            weight, bias = self.kernel()
        outputs, inputs, side, _ = weight.shape
        plain = convolution(inputs * self.groups, outputs, side, groups=self.groups, bias=bias is not None).to(weight)
        plain.load_state_dict({"weight": weight} if bias is None else {"weight": weight, "bias": bias})
        return plain


class AsymmetricConvolution(ReparameterisedConvolution):
    """ACB: 3x3, 1x3 and 3x1 in parallel (Ding et al., ACNet, ICCV 2019, arXiv:1908.03930), without batch norm."""

    axes: ClassVar[Mapping[str, str]] = {**ReparameterisedConvolution.axes, "horizontal": "oi", "vertical": "oi"}

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs)
        self.horizontal = nn.Conv2d(inputs, outputs, (1, 3), bias=False)
        self.vertical = nn.Conv2d(inputs, outputs, (3, 1), bias=False)

    def kernel(self) -> tuple[Tensor, Tensor | None]:
        """See `ReparameterisedConvolution.kernel`."""
        return self.weight + _centred(self.horizontal.weight) + _centred(self.vertical.weight), self.bias


class KernelBases(ReparameterisedConvolution):
    """A convolution whose kernel is a sum of kernels (UESTC-MediaLab in AIM 2020, arXiv:2009.06943).

    Args:
        inputs: channels.
        outputs: channels.
        kernel: side of the kernel.
        bases: kernels in the sum.
        groups: of the convolution.
    """

    axes: ClassVar[Mapping[str, str]] = {"weight": "-oi", "bias": "o"}

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, *, bases: int = 4, groups: int = 1) -> None:
        super().__init__(inputs, outputs, kernel, groups=groups)
        weights = [nn.Conv2d(inputs, outputs, kernel, groups=groups, bias=False).weight for _ in range(bases)]
        # Independent kernels add up in variance: their sum begins as large as one kernel does.
        self.weight = nn.Parameter(torch.stack(weights).detach() / bases**0.5)  # (bases, outputs, inputs/groups, k, k)

    def kernel(self) -> tuple[Tensor, Tensor | None]:
        """See `ReparameterisedConvolution.kernel`."""
        return self.weight.sum(0), self.bias

    @classmethod
    def from_plain(cls, plain: nn.Conv2d) -> KernelBases:
        """The same function, with one basis."""
        bases = cls(plain.in_channels, plain.out_channels, plain.kernel_size[0], bases=1, groups=plain.groups)
        bases.weight = nn.Parameter(plain.weight.detach()[None].clone())
        bases.bias = plain.bias
        return bases

    @torch.no_grad()
    def add(self, count: int) -> None:
        """Train as a sum of more kernels from here on, which at first is the same sum.

        The new ones are Xavier-uniform (Glorot and Bengio, AISTATS 2010) with a share of 1/N of N kernels, and all
        N give way by what they add up to.
        """
        new = torch.stack([nn.init.xavier_uniform_(torch.empty_like(self.weight[0])) for _ in range(count)])
        share = 1 / (len(self.weight) + count)
        self.weight = nn.Parameter(torch.cat([self.weight, share * new]) - share**2 * new.sum(0))


class WeightNormalisedConvolution(ReparameterisedConvolution):
    """A convolution that learns the length and the direction of each kernel (Salimans and Kingma, arXiv:1602.07868)."""

    axes: ClassVar[Mapping[str, str]] = {**ReparameterisedConvolution.axes, "length": "o"}

    def __init__(self, inputs: int, outputs: int, kernel: int = 3) -> None:
        super().__init__(inputs, outputs, kernel)
        self.length = nn.Parameter(_lengths(self.weight.detach()))

    def kernel(self) -> tuple[Tensor, Tensor | None]:
        """See `ReparameterisedConvolution.kernel`."""
        return self.length * self.weight / _lengths(self.weight), self.bias


class RepVGGConvolution(ReparameterisedConvolution):
    """3x3, 1x1 and identity in parallel, each with batch norm (Ding et al., RepVGG, CVPR 2021, arXiv:2101.03697).

    The identity is there where inputs and outputs are equally many.
    """

    axes: ClassVar[Mapping[str, str]] = {
        "weight": "oi",
        "norm": "o",
        "point": "oi",
        "point_norm": "o",
        "identity_norm": "=",
    }

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.point = nn.Conv2d(inputs, outputs, 1, bias=False)
        self.point_norm = nn.BatchNorm2d(outputs)
        self.identity_norm = nn.BatchNorm2d(inputs) if inputs == outputs else None

    def forward(self, features: Tensor) -> Tensor:
        """(N, inputs, H, W) to (N, outputs, H, W); in training every branch is normalised by its own statistics."""
        if not self.training:
            return super().forward(features)
        spatial = F.conv2d(features, self.weight, padding=self.padding)
        result = self.norm(spatial) + self.point_norm(self.point(features))
        return result + self.identity_norm(features) if self.identity_norm else result  # type: ignore[no-any-return]

    def kernel(self) -> tuple[Tensor, Tensor | None]:
        """See `ReparameterisedConvolution.kernel`; in evaluation mode only."""
        branches = [(self.weight, self.norm), (self.point.weight, self.point_norm)]
        if self.identity_norm:
            identity = torch.eye(self.in_channels, dtype=self.weight.dtype, device=self.weight.device)
            branches.append((identity[:, :, None, None], self.identity_norm))
        weights, biases = zip(*(_normalised(_centred(weight), norm) for weight, norm in branches), strict=True)
        return torch.stack(weights).sum(0), torch.stack(biases).sum(0)


FILTERS = (
    ((1.0, 0.0, -1.0), (2.0, 0.0, -2.0), (1.0, 0.0, -1.0)),
    ((1.0, 2.0, 1.0), (0.0, 0.0, 0.0), (-1.0, -2.0, -1.0)),
    ((0.0, 1.0, 0.0), (1.0, -4.0, 1.0), (0.0, 1.0, 0.0)),
)
"""Sobel's horizontal and vertical filter and the Laplacian."""


class EdgeOrientedConvolution(ReparameterisedConvolution):
    """ECB (Zhang et al., Edge-oriented Convolution Block for Real-time SR on Mobile Devices, ACM MM 2021, section 3.2).

    In parallel: 3x3; 1x1 to more channels and 3x3; and three times 1x1 and a fixed filter of every channel (`FILTERS`)
    with a strength that is learnt.

    Args:
        inputs: channels.
        outputs: channels.
        expansion: how many times more channels than outputs there are between the 1x1 and the 3x3.
    """

    axes: ClassVar[Mapping[str, str]] = {
        "weight": "oi",
        "expand": "-i",
        "spatial": "o-",
        "points": "oi",
        "strengths": "-o",
    }

    def __init__(self, inputs: int, outputs: int, expansion: float = 2.0) -> None:
        super().__init__(inputs, outputs, bias=False)
        middle = int(expansion * outputs)
        self.expand = nn.Conv2d(inputs, middle, 1)
        self.spatial = nn.Conv2d(middle, outputs, 3)
        # The filters' weights sum to zero: a bias before them would have no effect.
        self.points = nn.Conv2d(inputs, len(FILTERS) * outputs, 1, bias=False)
        self.strengths = nn.Parameter(1e-3 * torch.randn(len(FILTERS), outputs))
        self.filters: Tensor
        self.register_buffer("filters", torch.tensor(FILTERS), persistent=False)

    def kernel(self) -> tuple[Tensor, Tensor | None]:
        """See `ReparameterisedConvolution.kernel`."""
        weight, bias = _in_sequence(self.expand, self.spatial)
        points = self.points.weight.reshape(len(FILTERS), self.out_channels, self.in_channels)
        edges = torch.einsum("foi,fo,fyx->oiyx", points, self.strengths, self.filters)
        return self.weight + weight + edges, bias


LAYERS: dict[str, Callable[[int, int], nn.Module]] = {
    "edge": EdgeOrientedConvolution,
    "repvgg": RepVGGConvolution,
    "asymmetric": AsymmetricConvolution,
    "plain": convolution,
}
"""What a 3x3 convolution of a plain stack can train as; all have a bias when they are merged."""


def _lengths(weight: Tensor) -> Tensor:
    """Of the kernel of each output channel: (outputs, 1, 1, 1)."""
    return torch.linalg.vector_norm(weight, dim=(1, 2, 3), keepdim=True)  # type: ignore[no-any-return]


def _centred(weight: Tensor) -> Tensor:
    """A kernel of 1 or 3 rows and columns in the middle of a 3x3 one."""
    rows, columns = ((3 - side) // 2 for side in weight.shape[2:])
    return F.pad(weight, (columns, columns, rows, rows))


def _in_sequence(point: nn.Conv2d, spatial: nn.Conv2d) -> tuple[Tensor, Tensor]:
    """Weight and bias of a 1x1 convolution followed by one that pads with the first one's bias."""
    assert point.bias is not None
    assert spatial.bias is not None
    weight = torch.einsum("omyx,mi->oiyx", spatial.weight, point.weight[:, :, 0, 0])
    return weight, spatial.bias + torch.einsum("omyx,m->o", spatial.weight, point.bias)


def _normalised(weight: Tensor, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution without a bias followed by batch norm in evaluation mode."""
    assert norm.running_mean is not None
    assert norm.running_var is not None
    factors = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return weight * factors[:, None, None, None], norm.bias - norm.running_mean * factors
