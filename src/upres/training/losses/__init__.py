"""Losses: what a recipe can name under ``losses``, and the weighted sum of a stage's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn

from upres.errors import UpresError
from upres.training.losses import pixel
from upres.training.losses.adversarial import Adversarial
from upres.training.losses.base import Batch, Compared, Loss, Watch
from upres.training.losses.classsr import AverageLoss, ClassLoss
from upres.training.losses.distillation import Distillation
from upres.training.losses.grid import Grid
from upres.training.losses.perceptual import Perceptual, Style

__all__ = ["LOSSES", "Adversarial", "Batch", "Criterion", "Loss", "Watch", "make_loss"]

LOSSES: dict[str, Callable[..., Any]] = {
    "l1": pixel.l1,
    "l2": pixel.l2,
    "charbonnier": pixel.charbonnier,
    "luma_l1": pixel.luma_l1,
    "luma_l2": pixel.luma_l2,
    "total_variation": pixel.total_variation,
    "ssim": pixel.ssim,
    "fft": pixel.fft,
    "perceptual": Perceptual,
    "style": Style,
    "adversarial": Adversarial,
    "class_loss": ClassLoss,
    "average_loss": AverageLoss,
    "distillation": Distillation,
    "grid": Grid,
}
"""Functions of SR and HR, and `Loss` classes for what needs more; keyword-only arguments are keys in a recipe."""


def make_loss(name: str, options: Mapping[str, Any]) -> Loss:
    """A loss by its name in `LOSSES`.

    Raises:
        ValueError: if the options contradict each other.
    """
    kind = LOSSES[name]
    return kind(**options) if isinstance(kind, type) else Compared(kind, **options)


class Criterion(nn.Module):
    """The losses of a stage.

    Args:
        losses: names to weights, or to tables of options with a ``weight``, which is 1 if not given.
        network: the one that is trained.
        side: height and width of the HR patches.

    Raises:
        ValueError: naming the loss that does not fit the network or the patches, or cannot be read.
    """

    def __init__(self, losses: Mapping[str, float | Mapping[str, Any]], network: nn.Module, side: int) -> None:
        super().__init__()
        self.weights: dict[str, float] = {}
        self.losses = nn.ModuleDict()
        for name, value in losses.items():
            options = dict(value) if isinstance(value, Mapping) else {"weight": value}
            self.weights[name] = options.pop("weight", 1.0)
            try:
                loss = make_loss(name, options)
                loss.prepare(network, side)
            except (ValueError, UpresError) as error:
                raise ValueError(f"{name}: {error}") from None
            self.losses[name] = loss

    @property
    def watched(self) -> list[str]:
        """Names of the network's modules whose outputs the losses need."""
        return sorted({name for loss in self.losses.values() for name in loss.watched})  # type: ignore[union-attr]

    @property
    def adversary(self) -> Adversarial | None:
        """The loss that has a discriminator to train, if there is one."""
        return next((loss for loss in self.losses.values() if isinstance(loss, Adversarial)), None)

    def forward(self, batch: Batch) -> dict[str, Tensor]:
        """Every loss, weighed."""
        return {name: self.weights[name] * loss(batch) for name, loss in self.losses.items()}
