"""The convolutions of VGG (Simonyan and Zisserman, ICLR 2015, arXiv:1409.1556, table 1, columns D and E)."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from upres.evaluation.fetch import fetch_parameters
from upres.networks.load import read_tensors

__all__ = ["VGG", "Architecture", "layer_names", "vgg"]

Architecture = Literal["vgg16", "vgg19"]

CHANNELS = (64, 128, 256, 512, 512)
CONVOLUTIONS: dict[Architecture, tuple[int, ...]] = {"vgg16": (2, 2, 3, 3, 3), "vgg19": (2, 2, 4, 4, 4)}
"""In each of the five blocks; after each block the resolution is halved."""

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of ImageNet's RGB in [0, 1], by which the published weights expect their input normalised."""


def layer_names(architecture: Architecture) -> list[str]:
    """``conv1_1``, ``relu1_1``, ... ``pool5``: block and place in it, as the literature names them."""
    names = []
    for block, count in enumerate(CONVOLUTIONS[architecture], start=1):
        for place in range(1, count + 1):
            names += [f"conv{block}_{place}", f"relu{block}_{place}"]
        names.append(f"pool{block}")
    return names


class VGG(nn.Module):
    """RGB (N, 3, H, W) in [0, 1] to the features of named layers.

    Args:
        architecture: ``vgg16`` is the paper's D, ``vgg19`` its E.
        last: the last layer there is, for example ``relu2_2`` or ``conv5_4``, which is before its ReLU.
        padding: how the convolutions see the border; the paper's is zeros.

    Raises:
        ValueError: if there is no such layer.
    """

    def __init__(self, architecture: Architecture, last: str, padding: Literal["zeros", "reflect"] = "zeros") -> None:
        super().__init__()
        known = layer_names(architecture)
        if last not in known:
            raise ValueError(f"{architecture} has no layer {last}; it has {', '.join(known)}")
        self.normalise = nn.Conv2d(3, 3, 1)
        with torch.no_grad():
            self.normalise.weight.copy_(torch.diag(1 / torch.tensor(DEVIATION))[..., None, None])
            self.normalise.bias.copy_(-torch.tensor(MEAN) / torch.tensor(DEVIATION))  # type: ignore[union-attr]
        self.layers = nn.ModuleDict()
        inputs = 3
        for name in known[: known.index(last) + 1]:
            if name.startswith("conv"):
                outputs = CHANNELS[int(name[4]) - 1]
                self.layers[name] = nn.Conv2d(inputs, outputs, 3, padding=1, padding_mode=padding)
                inputs = outputs
            else:
                self.layers[name] = nn.ReLU() if name.startswith("relu") else nn.MaxPool2d(2)

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Every layer's name to its features, (N, C, H, W); block b has 1/2^(b-1) of the resolution."""
        features = {}
        x = self.normalise(images)
        for name, layer in self.layers.items():
            features[name] = x = layer(x)
        return features


@cache
def vgg(architecture: Architecture, last: str, weights: str = "") -> VGG:
    """A VGG with weights that never change, in evaluation mode.

    Args:
        architecture: see `VGG`.
        last: see `VGG`.
        weights: ``.pth`` or ``.safetensors`` with the names of torchvision (``features.0.weight``), with or without
            ``features.``. If the first convolution is 1x1, it normalises the input, and the border is reflected, as in
            the rescaled VGG-19 of Gatys et al. Empty to fetch PyTorch's own, once.

    Raises:
        ValueError: if the layer is unknown, or the file unreadable or of another network.
        UpresError: if the weights cannot be fetched.
    """
    path = Path(weights) if weights else fetch_parameters(architecture)
    state = {name.removeprefix("features."): tensor for name, tensor in read_tensors(path)[1].items()}
    places = sorted({int(name.removesuffix(".weight")) for name in state if re.fullmatch(r"\d+\.weight", name)})
    own_input = bool(places) and state[f"{places[0]}.weight"].shape[2:] == (1, 1)
    with torch.random.fork_rng(devices=[]):  # what else is drawn must not depend on whether this is in the cache
        network = VGG(architecture, last, "reflect" if own_input else "zeros")
    ours = ["normalise"] if own_input else []
    ours += [f"layers.{name}" for name in network.layers if name.startswith("conv")]
    if len(places) < len(ours):
        raise ValueError(f"{path}: holds {len(places)} convolutions, but {architecture} up to {last} has {len(ours)}")
    named = {
        f"{our}.{kind}": state[f"{place}.{kind}"]
        for our, place in zip(ours, places, strict=False)
        for kind in ("weight", "bias")
        if f"{place}.{kind}" in state
    }
    own = network.state_dict()
    if missing := [name for name in own if name.startswith("layers.") and name not in named]:
        raise ValueError(f"{path}: is not of {architecture}: it has no {missing[0].removeprefix('layers.')}")
    try:
        network.load_state_dict(own | named)
    except RuntimeError as error:
        raise ValueError(f"{path}: is not of {architecture}: {error}") from None
    return network.eval().requires_grad_(False)
