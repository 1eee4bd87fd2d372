import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from upres.training.losses import Adversarial, Batch


class Brightness(torch.nn.Module):
    """A discriminator that takes bright pictures for natural."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor(1.0))

    def logits(self, pictures: Tensor) -> Tensor:
        return self.gain * pictures.mean((1, 2, 3))[:, None]


def loss_of(kind: Any) -> Adversarial:
    loss = Adversarial(kind=kind)
    loss.discriminator = Brightness()
    return loss


def batch_of(sr: list[float], hr: list[float]) -> Batch:
    made, natural = (torch.tensor(values)[:, None, None, None].expand(-1, 3, 4, 4).clone() for values in (sr, hr))
    return Batch(made, made.requires_grad_(True), natural)


def test_standard_losses_are_those_of_the_papers() -> None:
    loss, batch = loss_of("standard"), batch_of([0.2, -1.0], [0.7, 2.0])
    d_sr, d_hr = torch.sigmoid(torch.tensor([0.2, -1.0])), torch.sigmoid(torch.tensor([0.7, 2.0]))
    assert float(loss(batch).detach()) == pytest.approx(float(-d_sr.log().mean()))
    assert float(loss.discriminate(batch).detach()) == pytest.approx(
        float(-d_hr.log().mean() - (1 - d_sr).log().mean())
    )


def test_relativistic_average_losses_are_those_of_the_paper() -> None:
    loss, batch = loss_of("relativistic_average"), batch_of([0.2, -1.0], [0.7, 2.0])
    sr, hr = torch.tensor([0.2, -1.0]), torch.tensor([0.7, 2.0])
    more, less = hr - sr.mean(), sr - hr.mean()
    wanted_d = -logsigmoid(more).mean() - torch.log(1 - torch.sigmoid(less)).mean()
    wanted_g = -logsigmoid(less).mean() - torch.log(1 - torch.sigmoid(more)).mean()
    assert float(loss.discriminate(batch).detach()) == pytest.approx(float(wanted_d))
    assert float(loss(batch).detach()) == pytest.approx(float(wanted_g))


@pytest.mark.parametrize(("kind", "fooled"), [("standard", math.log(2)), ("relativistic_average", 2 * math.log(2))])
def test_where_nothing_can_be_told_apart_both_sides_guess(kind: str, fooled: float) -> None:
    loss, batch = loss_of(kind), batch_of([0.0, 0.0], [0.0, 0.0])
    assert float(loss(batch).detach()) == pytest.approx(fooled)
    assert float(loss.discriminate(batch).detach()) == pytest.approx(2 * math.log(2))


@pytest.mark.parametrize("kind", ["standard", "relativistic_average"])
def test_each_side_learns_from_its_own_loss_alone(kind: str) -> None:
    loss, batch = loss_of(kind), batch_of([0.2, -1.0], [0.7, 2.0])
    assert isinstance(loss.discriminator, Brightness)
    loss(batch).backward()
    assert loss.discriminator.gain.grad is None
    assert batch.sr.grad is not None
    assert (batch.sr.grad < 0).all()  # brighter would fool it better
    batch.sr.grad = None
    loss.discriminate(batch).backward()  # type: ignore[no-untyped-call]
    assert batch.sr.grad is None
    assert loss.discriminator.gain.grad is not None
    assert loss.discriminator.gain.grad < 0  # the natural ones are the brighter ones


def test_the_discriminator_is_made_for_the_patches() -> None:
    loss = Adversarial(channels=4, hidden=8)
    loss.prepare(torch.nn.Identity(), 32)
    assert loss(Batch(torch.rand(2, 3, 16, 16), torch.rand(2, 3, 32, 32), torch.rand(2, 3, 32, 32))).isfinite()
    with pytest.raises(ValueError, match=r"patch times the scale .* multiple of 16, not 40"):
        loss.prepare(torch.nn.Identity(), 40)
