"""The losses of ClassSR's class module (Kong et al., CVPR 2021, arXiv:2103.04039, section 3.4)."""

from __future__ import annotations

from itertools import combinations

import torch
from torch import Tensor

from upres.training.losses.base import Batch, Loss

__all__ = ["AverageLoss", "ClassLoss", "average_loss", "class_loss"]

MODULE = "class_module"


def class_loss(probabilities: Tensor) -> Tensor:
    """How undecided the class module is: M - 1 - Σ|Pi - Pj| over the pairs i < j, mean over the sub-images.

    The paper's equation 5 and the authors' constant, which makes 0 the least: there, every sub-image has one class.

    Args:
        probabilities: (N, M), of each sub-image and class.
    """
    classes = probabilities.unbind(1)
    return len(classes) - 1 - torch.stack([(p - q).abs() for p, q in combinations(classes, 2)]).sum(0).mean()


def average_loss(probabilities: Tensor) -> Tensor:
    """How unevenly the classes are used: Σ|ΣPi - N/M| over the classes, divided by its largest value.

    The paper's equation 6, scaled as the authors do: 0 where all classes are equally likely over the batch, 1 where
    only one is.

    Args:
        probabilities: (N, M), of each sub-image and class.
    """
    count, classes = probabilities.shape
    return (probabilities.sum(0) - count / classes).abs().sum() / (2 * count * (classes - 1) / classes)


class ClassLoss(Loss):
    """See `class_loss`."""

    watched = (MODULE,)

    def forward(self, batch: Batch) -> Tensor:
        """See `Loss.forward`."""
        return class_loss(torch.softmax(batch.watched[MODULE], 1))


class AverageLoss(Loss):
    """See `average_loss`."""

    watched = (MODULE,)

    def forward(self, batch: Batch) -> Tensor:
        """See `Loss.forward`."""
        return average_loss(torch.softmax(batch.watched[MODULE], 1))
