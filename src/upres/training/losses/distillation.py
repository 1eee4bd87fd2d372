"""Distillation: learning from a larger network that is trained already (Hinton et al. 2015, Romero et al. 2015)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from upres.networks import Network, load
from upres.training.losses.base import Batch, Loss, Watch, need_modules
from upres.training.losses.pixel import l1

__all__ = ["Distillation", "attention"]


class Distillation(Loss):
    """Mean absolute difference from the teacher's SR and from its features.

    Args:
        teacher: its checkpoint, or a released file that `upres.networks.load` knows.
        outputs: weight of the difference of the SR.
        layers: names of modules of the network whose outputs shall be like the teacher's.
        teacher_layers: the teacher's modules, in the same order; empty where they have the same names.
        features: weight of the difference of the features, mean over the layers.
        compare: the features' ``values``, which must have equal shapes, or their maps of ``attention``, which may
            differ in channels; see `attention`.

    Raises:
        ValueError: if the two lists of layers differ in length.
    """

    one_scale = True

    def __init__(
        self,
        *,
        teacher: str,
        outputs: float = 1.0,
        layers: list[str] = [],  # noqa: B006  # read only
        teacher_layers: list[str] = [],  # noqa: B006
        features: float = 1.0,
        compare: Literal["values", "attention"] = "values",
    ) -> None:
        super().__init__()
        if teacher_layers and len(teacher_layers) != len(layers):
            raise ValueError(f"teacher_layers has {len(teacher_layers)} names, but layers {len(layers)}")
        self.path, self.outputs, self.features, self.compare = Path(teacher), outputs, features, compare
        self.watched = tuple(layers)
        self.teacher_layers = tuple(teacher_layers or layers)
        self.teacher: Network
        self.watch: Watch

    def prepare(self, network: nn.Module, side: int) -> None:
        """See `Loss.prepare`: the teacher's scale and features must be the network's."""
        super().prepare(network, side)
        scale = int(network.scale)  # type: ignore[arg-type]
        self.teacher = load(self.path, scale)[1].requires_grad_(False)
        need_modules(self.teacher, self.teacher_layers, f"the teacher {self.path}")
        self.watch = Watch(self.teacher, self.teacher_layers)
        watch = Watch(network, self.watched)
        with torch.no_grad():
            lr = torch.zeros(1, 3, side // scale, side // scale)
            training = network.training
            network.eval()(lr)
            network.train(training)
            self.teacher(lr)
        watch.close()
        for name in {*self.watched} - watch.outputs.keys() | {*self.teacher_layers} - self.watch.outputs.keys():
            raise ValueError(f"{name} gives nothing by itself; name a module in it")
        for ours, theirs in zip(self.watched, self.teacher_layers, strict=True):
            mine, wanted = (
                tuple(self._compared(x).shape[1:]) for x in (watch.outputs[ours], self.watch.outputs[theirs])
            )
            if mine != wanted:
                raise ValueError(f"{ours} gives {mine}, the teacher's {theirs} {wanted}: they cannot be compared")

    def forward(self, batch: Batch) -> Tensor:
        """See `Loss.forward`."""
        with torch.no_grad():
            sr = self.teacher(batch.lr)
        loss = self.outputs * l1(batch.sr, sr)
        for ours, theirs in zip(self.watched, self.teacher_layers, strict=True):
            mine, wanted = self._compared(batch.watched[ours]), self._compared(self.watch.outputs[theirs])
            loss = loss + self.features / len(self.watched) * l1(mine, wanted)
        return loss

    def _compared(self, features: Tensor) -> Tensor:
        return attention(features) if self.compare == "attention" else features


def attention(features: Tensor) -> Tensor:
    """Where features (N, C, H, W) are strong: (N, H·W), the mean square over the channels, of length 1.

    Zagoruyko and Komodakis, ICLR 2017, arXiv:1612.03928, section 3.1.
    """
    return F.normalize(features.square().mean(1).flatten(1))
