"""ClassSR: accelerating super-resolution networks by data characteristic (Kong et al., CVPR 2021, arXiv:2103.04039).

A small class module decides how hard a sub-image is, and a branch of fitting size upscales it. The branches are one
network with three widths.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import torch
from torch import Tensor, nn

from upres.networks import carn, fsrcnn, msrresnet
from upres.networks.base import Network
from upres.networks.blocks import convolution, draw, draw_small
from upres.networks.published import Published, State, length

__all__ = ["PUBLISHED", "SUB_IMAGE", "ClassModule", "ClassSR", "classsr_carn", "classsr_fsrcnn"]

SUB_IMAGE = 32
"""LR pixels along a side of what is classified."""

BRANCHES: dict[str, tuple[Callable[[int, int], Network], tuple[int, ...]]] = {
    "fsrcnn": (fsrcnn.FSRCNNBranch, (16, 36, 56)),
    "carn": (carn.branch, (36, 52, 64)),
    "srresnet": (msrresnet.MSRResNet, (36, 52, 64)),
}
"""Of scale and channels, and the paper's channels from easy to hard."""


class ClassModule(nn.Module):
    """Sub-images (N, 3, H, W) in [0, 1], of 4x4 pixels or more, to logits (N, classes).

    Five convolutions, of which the first sees every 4x4 pixels once, the mean over the sub-image, and a dense layer.
    """

    def __init__(self, classes: int = 3) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, 128, 4, stride=4)]
        for outputs in (128, 128, 128, 32):
            layers += [nn.LeakyReLU(0.1), convolution(128, outputs, 1)]
        self.convolutions = nn.Sequential(*layers)
        self.dense = nn.Linear(32, classes)

    def forward(self, lr: Tensor) -> Tensor:
        """Classify."""
        return self.dense(self.convolutions(lr).mean((2, 3)))  # type: ignore[no-any-return]


class ClassSR(Network):
    """Sub-images, RGB (N, 3, H, W) in [0, 1], to (N, 3, scale·H, scale·W).

    In training all branches upscale every sub-image, and their results are weighed by the class probabilities;
    in evaluation the most probable one does alone. A model that is exported runs all and takes that one.

    Args:
        scale: the factor r between LR and SR.
        base: the network of the branches: ``fsrcnn``, ``carn`` (CARN-M) or ``srresnet`` (MSRResNet).
        channels: of each branch, from easy to hard; None for the paper's.

    Raises:
        ValueError: for an unknown ``base``, or a single branch.
    """

    def __init__(
        self,
        scale: int = 4,
        base: Literal["fsrcnn", "carn", "srresnet"] = "srresnet",
        channels: Sequence[int] | None = None,
    ) -> None:
        if base not in BRANCHES:
            raise ValueError(f"base must be one of {', '.join(BRANCHES)}, not {base!r}")
        make, widths = BRANCHES[base]
        if channels is not None and len(channels) < 2:
            raise ValueError(f"channels must be of two branches or more, not {channels}")
        super().__init__(scale, halo=None, minimum=4)
        self.branches = nn.ModuleList(make(scale, width) for width in channels or widths)
        self.class_module = ClassModule(len(self.branches))

    def initialise(self) -> None:
        """See `Network.initialise`: as the authors do."""
        draw(self.class_module, draw_small)
        for branch in self.branches:
            branch.initialise()  # type: ignore[operator]

    def classify(self, lr: Tensor) -> Tensor:
        """The probabilities (N, classes) that the classes fit the sub-images, for routing and for the losses."""
        return torch.softmax(self.class_module(lr), dim=1)

    def upscale(self, lr: Tensor) -> Tensor:
        """See `Network.upscale`."""
        probabilities = self.classify(lr)
        chosen = nn.functional.one_hot(probabilities.argmax(1), len(self.branches)).to(lr.dtype)
        # In an export, and where only shapes flow, no values are there to choose by.
        if self.training or lr.is_meta or torch.onnx.is_in_onnx_export():
            results = [branch.upscale(lr) for branch in self.branches]  # type: ignore[operator]
            weights = probabilities if self.training else chosen
            return torch.einsum("nc,ncdyx->ndyx", weights, torch.stack(results, dim=1))
        sr = lr.new_empty(len(lr), 3, self.scale * lr.shape[2], self.scale * lr.shape[3])
        for branch, members in zip(self.branches, chosen.bool().unbind(1), strict=True):
            if members.any():
                sr[members] = branch(lr[members])
        return sr


def classsr_fsrcnn(scale: int = 4) -> ClassSR:
    """ClassSR-FSRCNN, with 16, 36 and 56 channels."""
    return ClassSR(scale, "fsrcnn")


def classsr_carn(scale: int = 4) -> ClassSR:
    """ClassSR-CARN, with 36, 52 and 64 channels."""
    return ClassSR(scale, "carn")


def _published(base: str, head: str, branch: Published) -> Published:
    """The authors' files: every branch as its own network's files are, after ``net1``, ``net2`` and ``net3``."""

    def prepare(state: State) -> State:
        parts: dict[str, State] = {}
        for name, tensor in state.items():
            part, _, rest = name.partition(".")
            parts.setdefault(part, {})[rest] = tensor
        prepared = {part: branch.prepare(parts[part]) if part.startswith("net") else parts[part] for part in parts}
        return {f"{part}.{name}": tensor for part in prepared for name, tensor in prepared[part].items()}

    def arguments(state: State) -> dict[str, Any]:
        channels = [state[f"branches.{place}.{head}.weight"].shape[0] for place in range(length(state, "branches"))]
        return {"scale": 4, "base": base, "channels": channels}

    names = {f"net{{1}}.{theirs}": ours and f"branches.{{}}.{ours}" for theirs, ours in branch.names.items()}
    names["classifier.CondNet.{0}"] = "class_module.convolutions.{}"
    names["classifier.lastOut"] = "class_module.dense"
    return Published("classsr", names, arguments, prepare)


PUBLISHED = (
    _published("fsrcnn", "convolutions.0", fsrcnn.PUBLISHED[-1]),
    _published("carn", "head", carn.PUBLISHED[0]),
    _published("srresnet", "head", msrresnet.PUBLISHED[0]),
)
