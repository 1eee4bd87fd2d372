"""Blocks that several papers use, each once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = [
    "DIV2K_MEAN",
    "ESA",
    "Anchor",
    "ContrastAttention",
    "Interpolation",
    "NormalisedResidualBlock",
    "PixelShuffler",
    "bottleneck",
    "convolution",
    "deviation",
    "draw",
    "draw_small",
    "outputs_of",
    "prime_factors",
    "reach",
    "widths",
]

DIV2K_MEAN = (0.4488, 0.4371, 0.4040)
"""Of its training pictures' RGB in [0, 1], which some networks subtract."""


def convolution(
    inputs: int, outputs: int, kernel: int = 3, *, stride: int = 1, groups: int = 1, bias: bool = True
) -> nn.Conv2d:
    """A convolution with a square kernel of odd side that keeps height and width where its stride is 1."""
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=bias)


def bottleneck(channels: int, reduction: int, gate: type[nn.Module] = nn.Sigmoid) -> nn.Sequential:
    """Weights of channels (N, channels, 1, 1) from as many statistics, through fewer: squeeze and excitation.

    Hu et al., arXiv:1709.01507, section 3.2.
    """
    inner = channels // reduction
    return nn.Sequential(convolution(channels, inner, 1), nn.ReLU(), convolution(inner, channels, 1), gate())


def deviation(features: Tensor, correction: int) -> Tensor:
    """The standard deviation of channels over the picture: (N, channels, H, W) to (N, channels, 1, 1).

    Args:
        features: of more pixels than the correction.
        correction: what the number of pixels is lessened by, 0 or 1.
    """
    variance = features.var((2, 3), correction=correction, keepdim=True)
    # The root's slope at 0, where a flat picture ends up, would make every gradient NaN.
    return variance.clamp(min=torch.finfo(torch.float32).tiny).sqrt()


def draw(module: nn.Module, rule: Callable[[Tensor], object]) -> None:
    """Draw the kernels of all convolutions in a module anew, in place; biases start at 0."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            rule(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


@torch.no_grad()
def draw_small(kernel: Tensor) -> None:
    """A tenth of what He et al. draw (arXiv:1502.01852, equation 10), which residual blocks without batch norm need."""
    nn.init.kaiming_normal_(kernel).mul_(0.1)


class Anchor(nn.Module):
    """The nearest-neighbour upscaled picture as it is before the pixel shuffle.

    A network that it is added to draws the difference alone (Du et al., Anchor-based Plain Net, arXiv:2105.09750).

    Args:
        scale: the factor r between LR and SR.
        step: of how many LR pixels a side the sub-pixels are drawn at once.
    """

    def __init__(self, scale: int, step: int = 1) -> None:
        super().__init__()
        self.step = step
        self.kernel: Tensor
        self.register_buffer("kernel", _nearest_kernel(scale, step), persistent=False)

    def forward(self, lr: Tensor) -> Tensor:
        """(N, 3, H, W) to (N, 3·(step·scale)², H/step, W/step)."""
        # Autocast would round the picture itself.
        with torch.autocast("cuda" if lr.is_cuda else "cpu", enabled=False):
            return F.conv2d(lr, self.kernel, stride=self.step)


def _nearest_kernel(scale: int, step: int) -> Tensor:
    """The convolution of ones and zeros that, pixel-shuffled, repeats every pixel scale x scale times."""
    side = step * scale
    kernel = torch.zeros(3, side, side, 3, step, step)
    for y in range(side):
        for x in range(side):
            for colour in range(3):
                kernel[colour, y, x, colour, y // scale, x // scale] = 1
    return kernel.reshape(3 * side * side, 3, step, step)


class NormalisedResidualBlock(nn.Sequential):
    """Two 3x3 convolutions with batch norm, an activation between them, and the input added.

    (N, channels, H, W) to the same shape; without padding two pixels less on every side.
    """

    def __init__(self, channels: int, activation: nn.Module, *, padding: bool = True) -> None:
        super().__init__(
            nn.Conv2d(channels, channels, 3, padding=int(padding), bias=False),
            nn.BatchNorm2d(channels),
            activation,
            nn.Conv2d(channels, channels, 3, padding=int(padding), bias=False),
            nn.BatchNorm2d(channels),
        )
        self.padding = padding

    def forward(self, features: Tensor) -> Tensor:
        """Add to the input, or to its middle."""
        skip = features if self.padding else features[..., 2:-2, 2:-2]
        return skip + super().forward(features)  # type: ignore[no-any-return, no-untyped-call]


class PixelShuffler(nn.Sequential):
    """A 3x3 convolution to scale² sub-pixels of every output channel and their shuffle (Shi et al., arXiv:1609.05158).

    (N, inputs, H, W) to (N, outputs, scale·H, scale·W).
    """

    def __init__(self, inputs: int, scale: int, outputs: int = 3, *, groups: int = 1) -> None:
        super().__init__(convolution(inputs, outputs * scale**2, groups=groups), nn.PixelShuffle(scale))


class ContrastAttention(nn.Module):
    """Contrast-aware channel attention (Hui et al., ACM MM 2019, arXiv:1909.11856).

    Channels are weighed by a bottleneck of their standard deviation plus mean over the whole picture.

    Args:
        channels: of the features (N, channels, H, W), which keep their shape.
        reduction: how many times fewer channels the bottleneck has.
    """

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        self.bottleneck = bottleneck(channels, reduction)

    def forward(self, features: Tensor) -> Tensor:
        """Weigh the channels."""
        mean = features.mean((2, 3), keepdim=True)
        return features * self.bottleneck(deviation(features, correction=0) + mean)  # type: ignore[no-any-return]


class ESA(nn.Module):
    """Enhanced spatial attention (Liu et al., Residual Feature Aggregation Network, CVPR 2020).

    Pixels are weighed by what a strided convolution and a pooling see of a large neighbourhood.

    Args:
        channels: of the features (N, channels, H, W), which keep their shape; H and W are at least `minimum`.
        inner: channels of the attention's own features.
        middle: what the pooled features (N, inner, h, w) go through; None for the paper's three 3x3
            convolutions with ReLU between.
        stride: halves the resolution before the pooling, without padding; None for the paper's 3x3 convolution.
    """

    minimum = 15

    def __init__(
        self, channels: int, inner: int, middle: nn.Module | None = None, stride: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.reduce = convolution(channels, inner, 1)
        self.skip = convolution(inner, inner, 1)
        self.stride = stride or nn.Conv2d(inner, inner, 3, stride=2)
        self.middle = middle or nn.Sequential(
            convolution(inner, inner), nn.ReLU(), convolution(inner, inner), nn.ReLU(), convolution(inner, inner)
        )
        self.expand = convolution(inner, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Weigh the pixels."""
        reduced = self.reduce(features)
        pooled = F.max_pool2d(self.stride(reduced), kernel_size=7, stride=3)
        seen = F.interpolate(self.middle(pooled), features.shape[-2:], mode="bilinear", align_corners=False)
        return features * torch.sigmoid(self.expand(seen + self.skip(reduced)))


class Interpolation(nn.Module):
    """Bilinear, or bicubic (a = -0.5, as MATLAB's), upscaling by an integer; borders are replicated.

    (N, channels, H, W) to (N, channels, scale·H, scale·W). A convolution with one kernel for each sub-pixel and
    a pixel shuffle, so that a sub-pixel's weights are the same wherever it stands, and pictures can be tiled exactly.
    """

    def __init__(self, scale: int, mode: Literal["bilinear", "bicubic"], channels: int = 3) -> None:
        super().__init__()
        self.scale = scale
        self.channels = channels
        self.radius = {"bilinear": 1, "bicubic": 2}[mode]
        taps = torch.arange(-self.radius, self.radius + 1.0)
        places = (torch.arange(scale) + 0.5) / scale - 0.5  # of the sub-pixels, in LR pixels
        distances = (taps - places[:, None]).abs()  # (scale, taps)
        weights = (1 - distances).clamp(min=0) if mode == "bilinear" else _cubic(distances)
        kernels = torch.einsum("yi,xj->yxij", weights, weights).reshape(scale**2, 1, len(taps), len(taps))
        self.kernels: Tensor
        self.register_buffer("kernels", kernels.repeat(channels, 1, 1, 1), persistent=False)

    def forward(self, pictures: Tensor) -> Tensor:
        """Upscale."""
        padded = F.pad(pictures, (self.radius,) * 4, mode="replicate")
        return F.pixel_shuffle(F.conv2d(padded, self.kernels, groups=self.channels), self.scale)


def _cubic(distances: Tensor) -> Tensor:
    """Keys' kernel with a = -0.5 (Cubic convolution interpolation for digital image processing, 1981)."""
    near = 1.5 * distances**3 - 2.5 * distances**2 + 1
    far = -0.5 * distances**3 + 2.5 * distances**2 - 4 * distances + 2
    return torch.where(distances <= 1, near, torch.where(distances < 2, far, 0.0))


def prime_factors(scale: int) -> list[int]:
    """The steps in which networks of several pixel shuffles upscale: 2 and 2 for 4, 3 for 3."""
    for factor in range(2, scale):
        if scale % factor == 0:
            return [factor, *prime_factors(scale // factor)]
    return [scale]


def reach(factors: Sequence[int], end: int, between: int = 1) -> int:
    """LR pixels that convolutions after upscaling steps reach beyond an SR pixel's own LR pixel.

    Args:
        factors: of the steps, from LR to SR.
        end: what the convolutions after the last step reach together, in SR pixels.
        between: what those between a step and the next reach together, in pixels of that resolution.
    """
    first, last, radius = 0, math.prod(factors) - 1, end
    for factor in reversed(factors):
        first, last, radius = (first - radius) // factor, (last + radius) // factor, between
    return max(-first, last)


def outputs_of(layers: Iterable[nn.Module], features: Tensor) -> list[Tensor]:
    """What each of the layers makes, which run one after the other, (N, channels, H, W) each."""
    outputs = []
    for layer in layers:
        features = layer(features)
        outputs.append(features)
    return outputs


def widths(layer: nn.Module) -> tuple[int, int]:
    """The channels that a convolution, or a sequence of layers with several, takes and makes."""
    layers = layer if isinstance(layer, nn.Sequential) else [layer]
    convolutions = [part for part in layers if isinstance(part, nn.Conv2d)]
    return convolutions[0].in_channels, convolutions[-1].out_channels
