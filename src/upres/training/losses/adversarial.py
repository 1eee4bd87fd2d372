"""Adversarial losses: a discriminator tells pictures from what the network makes, and learns beside it."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn.functional import softplus

from upres.networks.srgan import Discriminator
from upres.training.checked import Count, Factor
from upres.training.losses.base import Batch, Loss

__all__ = ["Adversarial"]


class Adversarial(Loss):
    """The network's loss, and the discriminator's; means over the batch.

    ``standard``: the discriminator's cross entropy, and for the network -log D(SR), which does not saturate (Goodfellow
    et al. 2014, section 3; SRGAN, equation 6). ``relativistic_average``: how much more natural than the average of
    the others a picture looks, for both sides (Jolicoeur-Martineau 2018, arXiv:1807.00734, section 4.2; ESRGAN).

    The discriminator is SRGAN's. Each stage starts a new one; it is trained by Adam, one step after each of the
    network's. One that wins leaves the network nothing to learn from: fewer channels and a lower rate hold it back.

    Args:
        kind: which loss.
        channels: of the discriminator's first convolution.
        hidden: outputs of its first dense layer.
        rate: its learning rate, as a factor to the stage's.
    """

    one_scale = True

    def __init__(
        self,
        *,
        kind: Literal["standard", "relativistic_average"] = "standard",
        channels: Count = 64,
        hidden: Count = 1024,
        rate: Factor = 1.0,
    ) -> None:
        super().__init__()
        self.kind, self.channels, self.hidden, self.rate = kind, channels, hidden, rate
        self.discriminator: nn.Module

    def prepare(self, network: nn.Module, side: int) -> None:
        """See `Loss.prepare`: the discriminator is made for the HR patches."""
        super().prepare(network, side)
        try:
            self.discriminator = Discriminator(side, self.channels, self.hidden)
        except ValueError as error:
            raise ValueError(f"for the discriminator, the patch times the scale is the side: {error}") from None

    def forward(self, batch: Batch) -> Tensor:
        """The network's loss; the discriminator gets no gradient."""
        self.discriminator.requires_grad_(False)
        sr = self._logits(batch.sr)
        loss = softplus(-sr).mean() if self.kind == "standard" else _told_apart(sr, self._logits(batch.hr))
        self.discriminator.requires_grad_(True)
        return loss

    def discriminate(self, batch: Batch) -> Tensor:
        """The discriminator's loss; the network gets no gradient."""
        sr, hr = self._logits(batch.sr.detach()), self._logits(batch.hr)
        if self.kind == "standard":
            return softplus(-hr).mean() + softplus(sr).mean()
        return _told_apart(hr, sr)

    def _logits(self, pictures: Tensor) -> Tensor:
        return self.discriminator.logits(pictures)  # type: ignore[operator, no-any-return]


def _told_apart(natural: Tensor, other: Tensor) -> Tensor:
    """Cross entropy of "more natural than the average of the others" for the first, and of its contrary for the others.

    log σ(x) is -softplus(-x).
    """
    return softplus(other.mean() - natural).mean() + softplus(other - natural.mean()).mean()
