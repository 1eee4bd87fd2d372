"""FSRCNN: accelerating the super-resolution convolutional network (Dong et al., ECCV 2016, arXiv:1608.00367).

Feature extraction at the LR resolution, shrinking, m mapping layers, expanding, deconvolution.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from typing import Any, Literal

from torch import Tensor, nn

from upres.networks.base import Network
from upres.networks.blocks import convolution, draw, draw_small
from upres.networks.luma import LumaNetwork
from upres.networks.published import Published, State, channels_first, length, shuffled_scale

__all__ = ["FSRCNN", "PUBLISHED", "FSRCNNBranch", "fsrcnn_small"]

KERNEL = 9  # of the deconvolution


class FSRCNN(LumaNetwork):
    """RGB (N, 3, H, W) in [0, 1] to (N, 3, scale·H, scale·W); the network sees luma only.

    Args:
        scale: the factor r between LR and SR.
        channels: d, of the features.
        shrunk: s, channels that the mapping works with.
        mapping: m, 3x3 convolutions of the mapping.
        upsampling: the paper's 9x9 ``deconvolution``, or ``subpixel``: a 1x1 convolution and a pixel shuffle, as
            in the TensorFlow port whose weights OpenCV uses.

    Raises:
        ValueError: for an unknown ``upsampling``.
    """

    def __init__(
        self,
        scale: int = 3,
        channels: int = 56,
        shrunk: int = 12,
        mapping: int = 4,
        upsampling: Literal["deconvolution", "subpixel"] = "deconvolution",
    ) -> None:
        if upsampling not in ("deconvolution", "subpixel"):
            raise ValueError(f"upsampling must be deconvolution or subpixel, not {upsampling!r}")
        deconvolved = upsampling == "deconvolution"
        super().__init__(scale, halo=2 + mapping + (_deconvolution_reach(scale, KERNEL // 2) if deconvolved else 0))
        widths = [1, channels, *[shrunk] * (mapping + 1), channels]
        self.convolutions = _convolutions(widths)
        self.activations = nn.ModuleList(nn.PReLU(width) for width in widths[1:])
        self.upsampler: nn.Module
        if deconvolved:
            self.upsampler = _deconvolution(channels, 1, scale, KERNEL // 2)
        else:
            self.upsampler = nn.Sequential(convolution(channels, scale**2, 1), nn.PixelShuffle(scale))

    def initialise(self) -> None:
        """See `Network.initialise`: convolutions as He et al., the deconvolution as SRCNN's layers (section 4.1).

        Of He et al. the rule that keeps gradients, not features, as the deviations in the authors' files say: 0.0378
        for 5x5 kernels that make 56 channels.
        """
        draw(self, partial(nn.init.kaiming_normal_, mode="fan_out"))
        if isinstance(self.upsampler, nn.ConvTranspose2d) and self.upsampler.bias is not None:
            nn.init.normal_(self.upsampler.weight, std=1e-3)
            nn.init.zeros_(self.upsampler.bias)

    def upscale_luma(self, luma: Tensor) -> Tensor:
        """See `LumaNetwork.upscale_luma`."""
        features = luma
        for layer, activation in zip(self.convolutions, self.activations, strict=True):
            features = activation(layer(features))
        return self.upsampler(features)  # type: ignore[no-any-return]


class FSRCNNBranch(Network):
    """FSRCNN as the branches of ClassSR have it (Kong et al., CVPR 2021, arXiv:2103.04039): on RGB.

    RGB (N, 3, H, W) in [0, 1] to (N, 3, scale·H, scale·W). Beside that, an activation has one slope for all of
    its channels, and follows only the last of the mapping's convolutions; the deconvolution is padded by 3.

    Args:
        scale: the factor r between LR and SR, at least 3.
        channels: d, of the features: 16, 36 and 56 in the three branches.
        shrunk: s, channels that the mapping works with.
        mapping: m, 3x3 convolutions of the mapping.

    Raises:
        ValueError: for scale 2, for which the deconvolution has no such padding.
    """

    def __init__(self, scale: int = 4, channels: int = 56, shrunk: int = 12, mapping: int = 4) -> None:
        if scale < 3:
            raise ValueError(f"the branches of ClassSR-FSRCNN upscale by 3 or more, not {scale}")
        super().__init__(scale, halo=2 + mapping + _deconvolution_reach(scale, 3))
        self.convolutions = _convolutions([3, channels, *[shrunk] * (mapping + 1), channels])
        self.activations = nn.ModuleList(
            nn.Identity() if 1 < place < mapping + 1 else nn.PReLU() for place in range(mapping + 3)
        )
        self.upsampler = _deconvolution(channels, 3, scale, 3)

    def initialise(self) -> None:
        """See `Network.initialise`: as ClassSR's authors do, who leave the deconvolution as PyTorch draws it."""
        draw(self, draw_small)

    def upscale(self, lr: Tensor) -> Tensor:
        """See `Network.upscale`."""
        features = lr
        for layer, activation in zip(self.convolutions, self.activations, strict=True):
            features = activation(layer(features))
        return self.upsampler(features)  # type: ignore[no-any-return]


def fsrcnn_small(scale: int = 3) -> FSRCNN:
    """FSRCNN-s: d = 32, s = 5, m = 1, for real time on a CPU."""
    return FSRCNN(scale, channels=32, shrunk=5, mapping=1)


def _convolutions(widths: Sequence[int]) -> nn.ModuleList:
    """Extraction 5x5, shrinking 1x1, mapping 3x3, expanding 1x1, between layers of these widths."""
    kernels = [5, 1, *[3] * (len(widths) - 4), 1]
    return nn.ModuleList(map(convolution, widths, widths[1:], kernels))


def _deconvolution(inputs: int, outputs: int, scale: int, padding: int) -> nn.ConvTranspose2d:
    return nn.ConvTranspose2d(
        inputs, outputs, KERNEL, stride=scale, padding=padding, output_padding=scale + 2 * padding - KERNEL
    )


def _deconvolution_reach(scale: int, padding: int) -> int:
    """LR pixels beside its own that an SR pixel is made from."""
    return max((KERNEL - 1 - padding) // scale, (scale - 1 + padding) // scale)


def _arguments(state: State) -> dict[str, Any]:
    return {
        "channels": state["convolutions.0.weight"].shape[0],
        "shrunk": state["convolutions.1.weight"].shape[0],
        "mapping": length(state, "convolutions") - 3,
    }


def _subpixel(state: State) -> State:
    """The last convolution named, and its bias, which is one for all sub-pixels, once for each."""
    last = sum(re.fullmatch(r"f\d+", name) is not None for name in state)
    named = channels_first(state)
    if last:
        named["kernel"] = named.pop(f"f{last}")
        named["bias"] = named.pop(f"b{last}").expand(len(named["kernel"]))
    return named


def _in_order(state: State) -> State:
    """Convolutions and activations, which take turns, by their places."""
    names = {}
    for name in state:
        part, _, rest = name.partition(".")
        if part in ("first_part", "mid_part"):
            number, _, kind = rest.partition(".")
            place = int(number) + (2 if part == "mid_part" else 0)
            names[name] = f"{('convolutions', 'activations')[place % 2]}.{place // 2}.{kind}"
    return {names.get(name, name): tensor for name, tensor in state.items()}


def _of_branch(state: State) -> State:
    """The body's layers by their places: shrinking, the mapping, its activation, expanding."""
    numbers = [int(name.split(".")[1]) for name in state if name.startswith("body_conv.")]
    last = max(numbers, default=0)
    places = {f"body_conv.{place}": f"convolutions.{place + 1}" for place in range(1, last - 1)}
    places |= {
        f"body_conv.{last - 1}": f"activations.{last - 1}",
        f"body_conv.{last}.0": f"convolutions.{last}",
        f"body_conv.{last}.1": f"activations.{last}",
    }

    def name_of(name: str) -> str:
        layer, _, kind = name.rpartition(".")
        return f"{places.get(layer, layer)}.{kind}"

    return {name_of(name): tensor for name, tensor in state.items()}


PUBLISHED = (
    Published(
        "fsrcnn",
        {
            "f{1}": "convolutions.{}.weight",
            "b{1}": "convolutions.{}.bias",
            "alpha{1}": "activations.{}.weight",
            "kernel": "upsampler.0.weight",
            "bias": "upsampler.0.bias",
            "mul_{0}/y": "",
            "NCHW_output/perm": "",
        },
        lambda state: {
            "scale": shuffled_scale(state["upsampler.0.weight"], 1),
            **_arguments(state),
            "upsampling": "subpixel",
        },
        _subpixel,
    ),
    Published(
        "fsrcnn",
        {
            "convolutions.{0}": "convolutions.{}",
            "activations.{0}": "activations.{}",
            "last_part": "upsampler",
        },
        _arguments,
        _in_order,
    ),
    Published(
        "fsrcnn_classsr",
        {
            "head_conv.0": "convolutions.0",
            "head_conv.1": "activations.0",
            "body_conv.0.0": "convolutions.1",
            "body_conv.0.1": "activations.1",
            "convolutions.{0}": "convolutions.{}",
            "activations.{0}": "activations.{}",
            "tail_conv": "upsampler",
        },
        lambda state: {"scale": 4, **_arguments(state)},
        _of_branch,
    ),
)
"""The port to TensorFlow whose weights OpenCV uses, the one to PyTorch, and the branches of ClassSR."""
