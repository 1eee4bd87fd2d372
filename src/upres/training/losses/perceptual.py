"""Losses on the features of VGG: content and style (Johnson et al., ECCV 2016, arXiv:1603.08155, section 3.2)."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from upres.images import read, resize
from upres.training.checked import Count
from upres.training.losses.base import Batch, Loss
from upres.training.losses.vgg import VGG, Architecture, layer_names, vgg

__all__ = ["Perceptual", "Style", "gram"]


class VGGLoss(Loss):
    """What losses on VGG's features share: the network, which is no part of what a checkpoint keeps."""

    def __init__(self, architecture: Architecture, layers: list[str], weights: str) -> None:
        super().__init__()
        known = layer_names(architecture)
        if not layers:
            raise ValueError(f"layers is empty; {architecture} has {', '.join(known)}")
        for layer in layers:
            if layer not in known:
                raise ValueError(f"{architecture} has no layer {layer}; it has {', '.join(known)}")
        self.architecture, self.layers, self.weights = architecture, layers, weights
        self.last = max(layers, key=known.index)
        self.vgg: VGG

    def prepare(self, network: nn.Module, side: int) -> None:
        """See `Loss.prepare`: the patches must leave a feature in the last layer."""
        super().prepare(network, side)
        smallest = 2 ** (int(self.last.removeprefix("pool")) if "pool" in self.last else int(self.last[4]) - 1)
        if side < smallest:
            raise ValueError(f"{self.last} needs HR patches of {smallest} pixels or more, not {side}")
        self.vgg = vgg(self.architecture, self.last, self.weights)

    def features(self, images: Tensor) -> list[Tensor]:
        """Of the layers in question."""
        features = self.vgg(images)
        return [features[layer] for layer in self.layers]


class Perceptual(VGGLoss):
    """Distance of the features of SR and HR, mean over each layer's elements, sum over the layers.

    Johnson et al. use VGG-16's ``relu2_2``; SRGAN VGG-19's ``relu5_4`` with features divided by 12.75 (a weight of
    1/12.75²); ESRGAN ``conv5_4``, before the ReLU, and L1.

    Args:
        vgg: the network.
        layers: a name or several; ``conv`` is before the ReLU, ``relu`` after.
        distance: ``l2`` is the mean square, ``l1`` the mean absolute difference.
        weights: a file, see `upres.training.losses.vgg.vgg`; empty to fetch PyTorch's.

    Raises:
        ValueError: if a layer is unknown.
    """

    def __init__(
        self,
        *,
        vgg: Architecture = "vgg19",
        layers: list[str] = ["conv5_4"],  # noqa: B006  # read only
        distance: Literal["l1", "l2"] = "l2",
        weights: str = "",
    ) -> None:
        super().__init__(vgg, layers, weights)
        self.power = 2 if distance == "l2" else 1

    def forward(self, batch: Batch) -> Tensor:
        """See `Loss.forward`."""
        with torch.no_grad():
            wanted = self.features(batch.hr)
        made = self.features(batch.sr)
        return torch.stack([(x - y).abs().pow(self.power).mean() for x, y in zip(made, wanted, strict=True)]).sum()


class Style(VGGLoss):
    """Squared Frobenius distance of the Gram matrices of SR and a picture, sum over the layers, mean over the batch.

    Args:
        picture: the file whose style is wanted; empty for each patch's own HR.
        side: to what the picture's shorter side is resized; strokes are as broad in SR as in the picture then.
        vgg: the network.
        layers: the paper's.
        weights: a file, see `upres.training.losses.vgg.vgg`; empty to fetch PyTorch's.

    Raises:
        ValueError: if a layer is unknown.
    """

    def __init__(
        self,
        *,
        picture: str = "",
        side: Count = 256,
        vgg: Architecture = "vgg16",
        layers: list[str] = ["relu1_2", "relu2_2", "relu3_3", "relu4_3"],  # noqa: B006  # read only
        weights: str = "",
    ) -> None:
        super().__init__(vgg, layers, weights)
        self.picture, self.side = picture, side
        self.grams: list[Tensor] = []

    def prepare(self, network: nn.Module, side: int) -> None:
        """See `Loss.prepare`."""
        super().prepare(network, side)
        if self.picture:
            picture = read(self.picture).rgb8()
            picture = resize(picture, scale=self.side / min(picture.shape[:2]))
            pixels = torch.tensor(picture).permute(2, 0, 1)[None].float() / 255
            self.grams = [gram(features) for features in self.features(pixels)]

    def forward(self, batch: Batch) -> Tensor:
        """See `Loss.forward`."""
        if self.picture:
            wanted = [target.to(batch.sr.device) for target in self.grams]
        else:
            with torch.no_grad():
                wanted = [gram(features) for features in self.features(batch.hr)]
        made = [gram(features) for features in self.features(batch.sr)]
        return torch.stack([(x - y).square().sum((1, 2)).mean() for x, y in zip(made, wanted, strict=True)]).sum()


def gram(features: Tensor) -> Tensor:
    """Gram matrices (N, C, C) of features (N, C, H, W), divided by C·H·W (Johnson et al., equation 3)."""
    flat = features.flatten(2)
    return flat @ flat.mT / (flat.shape[1] * flat.shape[2])
